//! The only writer of telemetry files: write-ahead log, heads, segments, manifest, compaction and retention.

#[allow(dead_code, reason = "its callers are the log and the manifest")]
mod codec; // integers and texts as bytes
pub mod disk; // the seam to the file system
#[allow(dead_code, reason = "its callers are the log, the manifest and segments")]
pub(crate) mod durable; // the order in which files become durable
mod error; // what can go wrong
#[allow(dead_code, reason = "the engine is its caller")]
mod manifest; // which segments count
#[allow(dead_code, unused_imports, reason = "the engine is its caller")]
mod metrics; // series and samples in memory
#[allow(dead_code, reason = "the engine is its caller")]
mod queue; // from staging to the committer
pub mod segment; // immutable pairs of files
mod tombstone; // deletes by matcher
#[allow(dead_code, reason = "the engine is its caller")]
mod wal; // what is durable before it is acknowledged

pub use error::{Remedy, Result, StoreError};
pub use metrics::Staged;
pub use tombstone::Tombstone;
