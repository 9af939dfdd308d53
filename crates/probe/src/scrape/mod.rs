//! Prometheus scraping: `prometheus.yml` read as it is, targets discovered, scraped and relabelled.
//!
//! [`ScrapeManager`] runs the jobs of a [`config::ScrapeConfig`]. A job is one task that owns its discoveries
//! and targets; a target is one task that asks, builds a [`MetricBatch`] and appends it. Everything that a
//! scrape brings, with `up` and its relatives and the markers of series that vanished, is one batch.

pub mod config; // prometheus.yml
pub mod relabel; // rules that rewrite label sets

mod build; // series to what is stored
mod cache; // the series of one target
mod client; // connections, authentication, TLS
mod clients; // a client that follows its files
mod discovery; // where targets come from
mod error; // why a scrape failed
mod fetch; // one request
mod histogram; // native histograms made coarser
mod manager; // all jobs
mod nhcb; // classic histograms as native ones
mod parse; // an answer to series
mod pool; // one job: discoveries, targets, loops
mod runner; // the loop of one target
mod status; // what is known about targets
mod target; // labels and address of a target

use async_trait::async_trait;
use model::MetricBatch;

pub(crate) use discovery::system_name_servers;
pub use manager::ScrapeManager;
pub use status::{DroppedTarget, Health, TargetMetadata, TargetStatus, Targets};

/// Where scraped series go.
#[async_trait]
pub trait Appender: Send + Sync + std::fmt::Debug {
    /// Stores a batch; returns when it is durable. What is refused item by item is the receiver's to count.
    async fn append(&self, batch: MetricBatch) -> Result<(), AppendError>;
}

/// A batch that could not be stored at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AppendError(pub String);
