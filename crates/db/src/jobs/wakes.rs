//! A publish on this node is heard by its workers at once; other nodes find the job when they next look.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::watch;

#[derive(Default)]
pub(crate) struct Wakes {
    /// By queue; only queues that somebody listened to, which are as many as there are kinds of workers.
    queues: Mutex<HashMap<String, watch::Sender<u64>>>,
}

impl Wakes {
    /// Changes with every publish. A counter and not a signal: what comes while the listener works is not missed.
    pub(crate) fn listen(&self, queue: &str) -> watch::Receiver<u64> {
        let mut queues = self.queues.lock();
        queues.entry(queue.to_owned()).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    pub(crate) fn wake(&self, queue: &str) {
        if let Some(sender) = self.queues.lock().get(queue) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}
