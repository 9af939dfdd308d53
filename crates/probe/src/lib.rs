//! Looks at the world: host collector and Prometheus scraper.
//!
//! Both produce [`model::MetricBatch`]es and hand them to whoever asked; nothing here stores, and the time is
//! always an argument.

pub mod host; // this machine, from /proc and /sys
pub mod scrape; // other programs' metrics, as Prometheus reads them
