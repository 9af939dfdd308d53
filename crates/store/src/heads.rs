//! The heads of a shard: where committed rows wait in memory until they are in a segment.
//!
//! One head takes rows. A rotation ends it: as soon as the last row before the rotation is committed it is
//! frozen, and the next one takes rows. Frozen heads are flushed in order.

use std::collections::VecDeque;
use std::sync::Arc;

/// What is known about a head as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) min_seq: u64,
    pub(crate) max_seq: u64,
    pub(crate) min_t_ms: i64,
    pub(crate) max_t_ms: i64,
    /// Samples, or rows.
    pub(crate) samples: u64,
    /// When the first rows came in.
    pub(crate) first_received_ms: i64,
    /// When the last rows came in.
    pub(crate) last_received_ms: i64,
    /// Series; 0 where there are none.
    pub(crate) series: usize,
    pub(crate) bytes: usize,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            min_seq: u64::MAX,
            max_seq: 0,
            min_t_ms: i64::MAX,
            max_t_ms: i64::MIN,
            samples: 0,
            first_received_ms: 0,
            last_received_ms: i64::MIN,
            series: 0,
            bytes: 0,
        }
    }
}

impl Facts {
    /// True when no row was ever added.
    pub(crate) fn is_empty(&self) -> bool {
        self.max_seq == 0
    }

    /// Takes note of a record.
    pub(crate) fn add_record(&mut self, seq: u64, received_ms: i64) {
        if self.is_empty() {
            self.first_received_ms = received_ms;
        }
        self.last_received_ms = self.last_received_ms.max(received_ms);
        self.min_seq = self.min_seq.min(seq);
        self.max_seq = self.max_seq.max(seq);
    }
}

/// Rows in memory.
pub(crate) trait Head {
    /// What is known about the head as a whole.
    fn facts(&self) -> Facts;
}

/// A head that gets no more rows.
pub(crate) struct Frozen<H> {
    pub(crate) head: Arc<H>,
    /// The head and those before it hold every row up to this sequence that is not in a segment.
    pub(crate) boundary_seq: u64,
}

impl<H> Clone for Frozen<H> {
    fn clone(&self) -> Self {
        Self { head: Arc::clone(&self.head), boundary_seq: self.boundary_seq }
    }
}

/// The heads of a shard, oldest first.
pub(crate) struct Heads<H> {
    pub(crate) frozen: VecDeque<Frozen<H>>,
    pub(crate) active: Arc<H>,
    applied_seq: u64,
    /// Rotations whose boundary is not applied yet: boundary, epoch after it.
    pending: VecDeque<(u64, u64)>,
}

impl<H: Head> Heads<H> {
    pub(crate) fn new(active: H) -> Self {
        Self { frozen: VecDeque::new(), active: Arc::new(active), applied_seq: 0, pending: VecDeque::new() }
    }

    /// All heads, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<H>> {
        let frozen = self.frozen.iter().map(|frozen| Arc::clone(&frozen.head));
        frozen.chain([Arc::clone(&self.active)]).collect()
    }

    /// Whether a rotation after the sequence that was given last would freeze anything.
    pub(crate) fn can_rotate(&self, boundary_seq: u64) -> bool {
        let last = self.pending.back().map(|(boundary, _)| *boundary);
        let last = last.or(self.frozen.back().map(|frozen| frozen.boundary_seq)).unwrap_or(0);
        let is_empty = || self.applied_seq >= boundary_seq && self.active.facts().is_empty();
        boundary_seq > last && !(self.pending.is_empty() && is_empty())
    }

    /// True while a rotation waits for rows that are on their way.
    pub(crate) fn is_rotating(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Asks for a rotation: rows after `boundary_seq` go to a head of this epoch.
    pub(crate) fn rotate(&mut self, boundary_seq: u64, epoch: u64, fresh: impl FnMut(u64) -> Arc<H>) {
        self.pending.push_back((boundary_seq, epoch));
        self.swap(fresh);
    }

    /// As [`Self::rotate`], after a failed write: nothing that is queued will be applied.
    pub(crate) fn rotate_after_failure(
        &mut self,
        seq_last: u64,
        epoch: u64,
        fresh: impl FnMut(u64) -> Arc<H>,
    ) {
        self.applied_seq = seq_last;
        self.pending.clear();
        self.rotate(seq_last, epoch, fresh);
    }

    /// Takes note that everything up to a sequence is in a head.
    pub(crate) fn applied(&mut self, seq: u64, fresh: impl FnMut(u64) -> Arc<H>) {
        self.applied_seq = seq;
        self.swap(fresh);
    }

    /// Carries out the rotations whose boundary has been applied.
    fn swap(&mut self, mut fresh: impl FnMut(u64) -> Arc<H>) {
        while let Some((boundary_seq, epoch)) = self.pending.front().copied() {
            if self.applied_seq < boundary_seq {
                break;
            }
            self.pending.pop_front();
            let head = std::mem::replace(&mut self.active, fresh(epoch));
            self.frozen.push_back(Frozen { head, boundary_seq });
        }
    }
}
