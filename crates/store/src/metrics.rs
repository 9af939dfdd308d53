//! Metrics: series and their samples, from a decoded write to the head.

mod append; // a decoded write to numbered rows
mod arena; // samples in memory
mod fingerprint; // what a series is looked up by
mod head; // samples of one epoch
mod index; // labels to series
pub(crate) mod payload; // rows in the log
mod rows; // accepted rows
mod shard; // one tenant's metrics
mod table; // series known to staging

pub use append::Staged;
pub(crate) use append::{ROWS, Rules, stage};
pub(crate) use head::MetricHead;
pub(crate) use index::SeriesIndex;
pub(crate) use rows::{LocalId, MetricRows};
pub(crate) use shard::MetricShard;
