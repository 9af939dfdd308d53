//! Numbered records on their way from staging to the committer.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::error::{Result, StoreError};
use crate::metrics::{MetricRows, MetricShard};
use crate::rows::{Chunk, RowShard};
use crate::wal::ShardKey;

/// What goes to which head.
pub(crate) enum Work {
    Metrics { shard: Arc<MetricShard>, rows: MetricRows },
    Rows { shard: Arc<RowShard>, chunks: Vec<Arc<Chunk>>, received_ms: i64 },
}

impl Work {
    /// The shard it is for.
    pub(crate) fn key(&self) -> &ShardKey {
        match self {
            Self::Metrics { shard, .. } => &shard.key,
            Self::Rows { shard, .. } => &shard.key,
        }
    }

    /// Makes the rows visible.
    pub(crate) fn apply(self, seq: u64) {
        match self {
            Self::Metrics { shard, rows } => shard.apply(rows, seq),
            Self::Rows { shard, chunks, received_ms } => shard.apply(chunks, received_ms, seq),
        }
    }
}

/// One write: what goes to the log, what goes to the head, and who waits.
pub(crate) struct Entry {
    pub(crate) seq: u64,
    pub(crate) record: Vec<u8>,
    pub(crate) work: Work,
    pub(crate) done: oneshot::Sender<Result<()>>,
}

#[derive(Default)]
struct Inner {
    entries: Vec<Entry>,
    bytes: usize,
    seq_last: u64,
    /// Set while nothing may be written.
    refused: Option<StoreError>,
    is_closed: bool,
}

/// The queue. Sequences are given here, so that their order is the order of the queue.
#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    filled: Condvar,
    bytes_max: usize,
}

impl Queue {
    /// An empty queue that takes records until they are `bytes_max` together.
    pub(crate) fn new(seq_last: u64, bytes_max: usize) -> Self {
        let inner = Inner { seq_last, ..Inner::default() };
        Self { inner: Mutex::new(inner), filled: Condvar::new(), bytes_max }
    }

    /// Whether a write may be staged at all. Asked before a series is declared, because a declaration that
    /// does not reach the log must not be relied on.
    pub(crate) fn admit(&self) -> Result<()> {
        let inner = self.inner.lock();
        if inner.is_closed {
            return Err(StoreError::Closed);
        }
        if let Some(refused) = &inner.refused {
            return Err(refused.clone());
        }
        if inner.bytes >= self.bytes_max {
            let reason = format!("{} bytes wait for the disk", inner.bytes);
            return Err(StoreError::Unavailable { reason });
        }
        Ok(())
    }

    /// Numbers a write and adds it; `prepare` gets the number. An error leaves nothing behind; then every
    /// shard's epoch changes before writes are taken again.
    pub(crate) fn push(&self, prepare: impl FnOnce(u64) -> Entry) -> Result<u64> {
        let mut inner = self.inner.lock();
        if let Some(refused) = &inner.refused {
            return Err(refused.clone());
        }
        inner.seq_last += 1;
        let entry = prepare(inner.seq_last);
        inner.bytes += entry.record.len();
        inner.entries.push(entry);
        self.filled.notify_one();
        Ok(inner.seq_last)
    }

    /// Takes all that is queued.
    pub(crate) fn take(&self) -> Vec<Entry> {
        let mut inner = self.inner.lock();
        inner.bytes = 0;
        std::mem::take(&mut inner.entries)
    }

    /// Waits until something is queued, the queue is closed or the time is up. True when it is closed and
    /// empty.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let mut inner = self.inner.lock();
        if inner.entries.is_empty() && !inner.is_closed {
            self.filled.wait_for(&mut inner, timeout);
        }
        inner.entries.is_empty() && inner.is_closed
    }

    /// Refuses writes from now on and returns what was queued, to be answered with the same reason.
    pub(crate) fn refuse(&self, error: StoreError) -> Vec<Entry> {
        let mut inner = self.inner.lock();
        inner.refused = Some(error);
        inner.bytes = 0;
        std::mem::take(&mut inner.entries)
    }

    /// Takes writes again.
    pub(crate) fn resume(&self) {
        self.inner.lock().refused = None;
    }

    /// Why writes are refused, if they are.
    pub(crate) fn refused(&self) -> Option<StoreError> {
        self.inner.lock().refused.clone()
    }

    /// Takes no more writes; those queued are still committed.
    pub(crate) fn close(&self) {
        self.inner.lock().is_closed = true;
        self.filled.notify_all();
    }

    /// The last sequence that was given.
    pub(crate) fn seq_last(&self) -> u64 {
        self.inner.lock().seq_last
    }

    /// The first sequence that no committer has taken.
    pub(crate) fn seq_next(&self) -> u64 {
        let inner = self.inner.lock();
        inner.entries.first().map_or(inner.seq_last + 1, |entry| entry.seq)
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }
}
