//! The only writer of telemetry files: write-ahead log, heads, segments, manifest, compaction and retention.

pub mod disk; // the seam to the file system
#[allow(dead_code, reason = "its callers are the log, the manifest and segments")]
pub(crate) mod durable; // the order in which files become durable
mod error; // what can go wrong
pub mod segment; // immutable pairs of files
mod tombstone; // deletes by matcher

pub use error::{Remedy, Result, StoreError};
pub use tombstone::Tombstone;
