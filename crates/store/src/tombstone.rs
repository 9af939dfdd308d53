//! A delete by matcher: hides samples until compaction has rewritten the segments that hold them.

use model::{Labels, Matcher, TimeRange};

/// Samples that were deleted: those of series that all matchers accept, inside the range, written before
/// or at a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Ascending number, unique in the data folder.
    pub id: u64,
    /// All must hold.
    pub matchers: Vec<Matcher>,
    /// Samples outside stay.
    pub range: TimeRange,
    /// Samples of higher sequence stay.
    pub seq: u64,
    /// When the delete was asked for, milliseconds.
    pub created_ms: i64,
}

impl Tombstone {
    /// True when the delete concerns a segment of this sequence range in which tombstones up to
    /// `tombstones_applied` are already carried out.
    pub fn concerns(&self, max_seq: u64, tombstones_applied: u64) -> bool {
        max_seq <= self.seq && tombstones_applied < self.id
    }

    /// True when the delete hides samples of this series (those inside [`Self::range`]).
    pub fn hides(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
    }
}
