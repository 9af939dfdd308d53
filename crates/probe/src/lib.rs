//! Looks at the world: health checks, host collector and Prometheus scraper.
//!
//! The latter two produce [`model::MetricBatch`]es, checks produce [`check::CheckResult`]s, and all hand them to
//! whoever asked; nothing here stores, and the time is always an argument.

pub mod check; // whether others are well
pub mod host; // this machine, from /proc and /sys
pub mod scrape; // other programs' metrics, as Prometheus reads them

mod dns; // messages of the domain name system
