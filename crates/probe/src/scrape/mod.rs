//! Prometheus scraping: `prometheus.yml` read as it is, targets discovered, scraped and relabelled.

pub mod config; // prometheus.yml
pub mod relabel; // rules that rewrite label sets
