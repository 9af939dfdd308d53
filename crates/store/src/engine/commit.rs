//! Staged writes become durable, then visible, then acknowledged; or none of them does.

use std::sync::atomic::Ordering;

use super::{Counters, Engine};
use crate::error::StoreError;
use crate::queue::{Entry, Work};
use crate::wal::Outgoing;

impl Engine {
    /// Commits everything that is staged with one write and one sync. Returns the number of writes that were
    /// taken from the queue, also when they failed.
    pub fn commit_once(&self) -> usize {
        let _committing = self.committing.lock();
        let mut entries = self.queue.take();
        if entries.is_empty() {
            return 0;
        }
        let taken = entries.len();
        let mut wal = self.wal.lock();
        let mut outgoing: Vec<Outgoing<'_>> = entries
            .iter_mut()
            .map(|Entry { seq, record, work, .. }| Outgoing { shard: work.key(), seq: *seq, bytes: record })
            .collect();
        if let Err(error) = wal.write_group(&mut outgoing) {
            drop(wal);
            self.fail(error, entries);
            return taken;
        }
        wal.acknowledge(entries.last().map_or(0, |entry| entry.seq));
        drop(wal);
        for Entry { seq, record, work, done } in entries {
            match &work {
                Work::Metrics { rows, .. } => Counters::add(&self.counters.samples, rows.samples() as u64),
                Work::Rows { chunks, .. } => {
                    let rows = chunks.iter().map(|chunk| chunk.rows as u64).sum();
                    Counters::add(&self.counters.rows, rows);
                }
            }
            Counters::add(&self.counters.wal_bytes, record.len() as u64);
            work.apply(seq);
            // The writer may have given up waiting; its rows count all the same.
            let _ = done.send(Ok(()));
        }
        Counters::add(&self.counters.commits, 1);
        taken
    }

    /// Refuses writes from now on, and answers those that wait with the reason. Only [`Engine::tick`] takes
    /// writes again, after every head is flushed.
    pub(super) fn fail(&self, error: StoreError, entries: Vec<Entry>) {
        let reason = if error.is_disk_full() { "disk full".into() } else { error.to_string() };
        tracing::error!(%error, "writes are refused until the heads are flushed");
        self.counters.commit_failures.fetch_add(1, Ordering::Relaxed);
        let refused = StoreError::Unavailable { reason };
        self.upkeep.lock().must_rotate_all = true;
        let queued = self.queue.refuse(refused.clone());
        for entry in entries.into_iter().chain(queued) {
            let _ = entry.done.send(Err(refused.clone()));
        }
    }
}
