//! Immutable pairs of files: a table of series, and the chunks with their samples.

mod meta; // what the manifest knows of a segment

pub use meta::{SegmentId, SegmentMeta, SegmentSpec, StoredMetadata};
