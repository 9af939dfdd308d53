//! The rows of one tenant and signal: their heads, and where writes are put in order.

use std::sync::Arc;

use parking_lot::Mutex;

use super::chunk::Chunk;
use super::head::RowHead;
use crate::heads::{Head, Heads};
use crate::wal::ShardKey;

/// The rows of one tenant and signal.
pub(crate) struct RowShard {
    pub(crate) key: ShardKey,
    /// The last sequence that this shard was given; 0 when it has had none since the start. Sequences are given
    /// under this lock, so that a rotation knows what is before it.
    pub(crate) seq_last: Mutex<u64>,
    heads: Mutex<Heads<RowHead>>,
}

/// Whether a head may take more rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It may.
    Enough,
    /// It was full and is frozen now; the next one takes rows.
    Made,
    /// It is full, and an earlier one still waits to be flushed.
    Full,
}

impl RowShard {
    /// A shard without rows.
    pub(crate) fn new(key: ShardKey) -> Self {
        let heads = Heads::new(RowHead::new(key.signal));
        Self { key, seq_last: Mutex::new(0), heads: Mutex::new(heads) }
    }

    /// Looks at the heads or changes them.
    pub(crate) fn with_heads<T>(&self, act: impl FnOnce(&mut Heads<RowHead>) -> T) -> T {
        act(&mut self.heads.lock())
    }

    /// Adds committed rows to the head, in order of sequence.
    pub(crate) fn apply(&self, chunks: Vec<Arc<Chunk>>, received_ms: i64, seq: u64) {
        let active = Arc::clone(&self.heads.lock().active);
        active.apply(chunks, received_ms, seq);
        self.heads.lock().applied(seq, |_| self.fresh());
    }

    /// Ends the head: what is staged from now on goes to a new one. Returns the last sequence that was staged
    /// before, even where an earlier rotation has ended its head.
    pub(crate) fn rotate(&self) -> u64 {
        let seq_last = self.seq_last.lock();
        let mut heads = self.heads.lock();
        if heads.can_rotate(*seq_last) {
            heads.rotate(*seq_last, 0, |_| self.fresh());
        }
        *seq_last
    }

    /// Freezes the head when it is full, unless another one is frozen.
    pub(crate) fn make_room(&self, head_bytes_max: usize) -> Room {
        if self.heads.lock().active.facts().bytes < head_bytes_max {
            return Room::Enough;
        }
        let seq_last = self.seq_last.lock();
        let mut heads = self.heads.lock();
        if heads.active.facts().bytes < head_bytes_max || heads.is_rotating() {
            return Room::Enough;
        }
        if !heads.frozen.is_empty() {
            return Room::Full;
        }
        if heads.can_rotate(*seq_last) {
            heads.rotate(*seq_last, 0, |_| self.fresh());
        }
        Room::Made
    }

    /// Ends the head after a failed write: nothing that is queued will be applied.
    pub(crate) fn rotate_after_failure(&self, seq_last: u64) {
        let mut own = self.seq_last.lock();
        *own = seq_last;
        self.heads.lock().rotate_after_failure(seq_last, 0, |_| self.fresh());
    }

    /// A head for what is replayed; it comes before all others.
    pub(crate) fn fresh(&self) -> Arc<RowHead> {
        Arc::new(RowHead::new(self.key.signal))
    }
}
