//! The wish to stop, told once and heard by everyone who waits for it.

use std::sync::Arc;

use tokio::sync::watch;

/// Asks everyone who holds the matching [`Shutdown`] to stop. Dropping it without asking asks too, so that
/// no task outlives its owner unnoticed.
#[derive(Debug)]
pub struct ShutdownTrigger {
    sender: watch::Sender<bool>,
}

/// Hears the wish to stop. Clones hear the same one.
#[derive(Clone, Debug)]
pub struct Shutdown {
    receiver: watch::Receiver<bool>,
    // Keeps the channel of `never` open.
    _keep: Option<Arc<watch::Sender<bool>>>,
}

impl ShutdownTrigger {
    /// A trigger and its listener.
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Self { sender }, Shutdown { receiver, _keep: None })
    }

    /// Another listener.
    pub fn listener(&self) -> Shutdown {
        Shutdown { receiver: self.sender.subscribe(), _keep: None }
    }

    /// Asks to stop. Asking twice is the same as once.
    pub fn request(&self) {
        self.sender.send_replace(true);
    }
}

impl Shutdown {
    /// A listener that never hears anything, for work that is stopped by dropping it.
    pub fn never() -> Self {
        let (sender, receiver) = watch::channel(false);
        Self { receiver, _keep: Some(Arc::new(sender)) }
    }

    /// True once stopping was asked for.
    pub fn is_requested(&self) -> bool {
        *self.receiver.borrow() || self.receiver.has_changed().is_err()
    }

    /// Waits until stopping is asked for; returns at once if it already was.
    pub async fn requested(&self) {
        let mut receiver = self.receiver.clone();
        // An error means the trigger is gone, which asks as well.
        let _ = receiver.wait_for(|asked| *asked).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_listener_hears_the_request() {
        let (trigger, first) = ShutdownTrigger::new();
        let second = trigger.listener();
        assert!(!first.is_requested());
        trigger.request();
        first.requested().await;
        second.clone().requested().await;
        assert!(second.is_requested());
    }

    #[tokio::test]
    async fn a_dropped_trigger_counts_as_a_request() {
        let (trigger, listener) = ShutdownTrigger::new();
        drop(trigger);
        listener.requested().await;
        assert!(listener.is_requested());
        assert!(!Shutdown::never().is_requested());
    }
}
