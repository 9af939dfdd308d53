//! A delete of rows: hides them until compaction has rewritten the segments that hold them.

use std::sync::Arc;

use model::{Predicate, Signal};

use super::filter::{Filter, InvalidPredicate};

/// Rows that were deleted: those that fulfil a predicate and lie inside a range of time, written before or at a
/// sequence.
#[derive(Clone, Debug)]
pub struct RowTombstone {
    /// Ascending number, unique in the data folder.
    pub id: u64,
    /// What the rows fulfil.
    pub predicate: Predicate,
    /// Earlier rows stay, nanoseconds.
    pub start_ns: i64,
    /// Rows from here on stay, nanoseconds; `i64::MAX`: none.
    pub end_ns: i64,
    /// Rows of higher sequence stay.
    pub seq: u64,
    /// When the delete was asked for, milliseconds.
    pub created_ms: i64,
    /// The rows it hides.
    pub(crate) filter: Arc<Filter>,
}

impl RowTombstone {
    /// A delete of rows of a signal, not numbered yet.
    pub(crate) fn new(
        signal: Signal,
        predicate: Predicate,
        start_ns: i64,
        end_ns: i64,
    ) -> Result<Self, InvalidPredicate> {
        let filter = Arc::new(Filter::new(signal, &predicate, start_ns, end_ns)?);
        Ok(Self { id: 0, predicate, start_ns, end_ns, seq: 0, created_ms: 0, filter })
    }

    /// True when the delete concerns a segment of this sequence range in which tombstones up to
    /// `tombstones_applied` are already carried out.
    pub(crate) fn concerns(&self, max_seq: u64, tombstones_applied: u64) -> bool {
        max_seq <= self.seq && tombstones_applied < self.id
    }
}

impl PartialEq for RowTombstone {
    /// The filter follows from the rest.
    fn eq(&self, other: &Self) -> bool {
        let facts = |t: &Self| (t.id, t.start_ns, t.end_ns, t.seq, t.created_ms);
        facts(self) == facts(other) && self.predicate == other.predicate
    }
}

impl Eq for RowTombstone {}
