//! The only writer of telemetry files: write-ahead log, heads, segments, manifest, compaction and retention.

mod backup; // copies of a data folder
mod codec; // integers and texts as bytes
mod compact; // small segments to larger ones
pub mod disk; // the seam to the file system
pub(crate) mod durable; // the order in which files become durable
mod engine; // the store without threads
mod error; // what can go wrong
mod heads; // rows in memory, until they are in a segment
mod manifest; // which segments count
mod metrics; // series and samples in memory
mod queue; // from staging to the committer
pub mod rows; // logs, spans and events
pub mod segment; // immutable pairs of files
mod settings; // sizes and times
mod shard; // of any signal
mod snapshot; // what a query sees
mod stats; // figures for self-metrics
mod store; // threads around the engine
mod tombstone; // deletes by matcher
mod view; // open segments
mod wal; // what is durable before it is acknowledged

pub use backup::{Copied, restore};
pub use engine::Engine;
pub use error::{Remedy, Result, StoreError};
pub use metrics::Staged;
pub use rows::{HeadSampler, RowRetention, RowSnapshot};
pub use settings::Settings;
pub use snapshot::{MetricSnapshot, StoredSeries};
pub use stats::{Cardinality, SignalStats, Stats};
pub use store::{Appended, Store};
pub use tombstone::Tombstone;
