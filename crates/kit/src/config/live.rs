//! A value that may change under its readers.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

/// Reads the value as it is now. Reading takes no lock; clones see the same value.
pub struct Live<T> {
    value: Arc<ArcSwap<T>>,
    changes: watch::Receiver<u64>,
}

/// Sets the value that [`Live`] handles read.
pub struct LiveSource<T> {
    value: Arc<ArcSwap<T>>,
    changes: watch::Sender<u64>,
}

impl<T> LiveSource<T> {
    /// A source that begins with `value`.
    pub fn new(value: T) -> Self {
        let (changes, _) = watch::channel(0);
        Self { value: Arc::new(ArcSwap::from_pointee(value)), changes }
    }

    /// Replaces the value and wakes those who wait for a change.
    pub fn set(&self, value: Arc<T>) {
        self.value.store(value);
        self.changes.send_modify(|version| *version += 1);
    }

    /// A handle for readers.
    pub fn live(&self) -> Live<T> {
        Live { value: self.value.clone(), changes: self.changes.subscribe() }
    }

    /// The value as it is now.
    pub fn load(&self) -> Arc<T> {
        self.value.load_full()
    }
}

impl<T> Live<T> {
    /// A handle to a value that never changes, for tests and small programs.
    pub fn fixed(value: T) -> Self {
        LiveSource::new(value).live()
    }

    /// The value as it is now. Keep it for one piece of work, so that the work sees one configuration.
    pub fn load(&self) -> Arc<T> {
        self.value.load_full()
    }

    /// Waits for the next change after the last one this handle has waited for. Never returns when the
    /// source is gone.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), changes: self.changes.clone() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Live").field(&self.load()).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for LiveSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveSource").field(&self.load()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readers_see_the_new_value_and_keep_the_old_one_they_hold() {
        let source = LiveSource::new(1);
        let mut live = source.live();
        let held = live.load();
        source.set(Arc::new(2));
        live.changed().await;
        assert_eq!((*held, *live.load(), *live.clone().load()), (1, 2, 2));
        assert_eq!(*Live::fixed(7).load(), 7);
    }
}
