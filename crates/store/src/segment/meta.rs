//! What the manifest knows of a segment.

use std::fmt;

use model::{Metadata, Signal, TenantId};

/// Number of a segment, unique in the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u64);

impl fmt::Display for SegmentId {
    /// Sixteen hexadecimal digits, as in file names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A finished segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentMeta {
    /// Its number.
    pub id: SegmentId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it holds.
    pub signal: Signal,
    /// Days since the Unix epoch of its folder.
    pub day: i32,
    /// 0 for a flushed head, higher after compaction.
    pub level: u8,
    /// Time of the first sample, milliseconds.
    pub min_t_ms: i64,
    /// Time of the last sample, milliseconds; inclusive.
    pub max_t_ms: i64,
    /// Lowest sequence inside.
    pub min_seq: u64,
    /// Highest sequence inside.
    pub max_seq: u64,
    /// Series with samples inside.
    pub series: u64,
    /// Samples inside.
    pub samples: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// When it was written, milliseconds.
    pub created_ms: i64,
    /// Highest tombstone whose deletes are carried out in it.
    pub tombstones_applied: u64,
}

/// A segment to be written: what its samples cannot say themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSpec {
    /// Its number.
    pub id: SegmentId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it holds.
    pub signal: Signal,
    /// Days since the Unix epoch of its folder.
    pub day: i32,
    /// 0 for a flushed head, higher after compaction.
    pub level: u8,
    /// Lowest sequence inside.
    pub min_seq: u64,
    /// Highest sequence inside.
    pub max_seq: u64,
    /// When it is written, milliseconds.
    pub created_ms: i64,
    /// Highest tombstone whose deletes are carried out in it.
    pub tombstones_applied: u64,
}

/// Metadata of a metric family and when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMetadata {
    /// Type, unit and help.
    pub metadata: Metadata,
    /// When it was last sent, milliseconds.
    pub seen_ms: i64,
}
