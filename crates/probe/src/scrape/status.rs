//! What is known about targets from outside: the data of `/api/v1/targets` and its relatives.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Labels, Metadata};
use parking_lot::Mutex;
use url::{Host, Url};

use super::config::{Period, UnsupportedJob};
use super::target::Target;

/// Families of one target whose metadata is kept. Beyond it they are stored without being shown here.
const FAMILIES_MAX: usize = 20_000;

/// Whether the last scrape succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    /// It did.
    Up,
    /// It did not.
    Down,
}

impl Health {
    /// As Prometheus's API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// One target that is scraped.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetStatus {
    /// Its labels before relabelling.
    pub discovered_labels: Labels,
    /// The labels its series get.
    pub labels: Labels,
    /// Its job.
    pub scrape_pool: String,
    /// Its address.
    pub scrape_url: String,
    /// Its address as others reach it: with the host's name where it is the loopback.
    pub global_url: String,
    /// Why the last scrape failed; empty when it did not.
    pub last_error: String,
    /// When the last scrape began, milliseconds since the epoch.
    pub last_scrape_ms: Option<i64>,
    /// How long it took.
    pub last_scrape_duration: Duration,
    /// Whether it succeeded.
    pub health: Health,
    /// Between two scrapes.
    pub scrape_interval: Period,
    /// What a scrape may take.
    pub scrape_timeout: Period,
}

/// One target that a rule dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedTarget {
    /// Its labels before relabelling.
    pub discovered_labels: Labels,
    /// Its job.
    pub scrape_pool: String,
}

/// Every target, by job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// Those that are scraped.
    pub active: Vec<TargetStatus>,
    /// Those that rules dropped, as many as the job keeps.
    pub dropped: Vec<DroppedTarget>,
    /// How many were dropped, by job.
    pub dropped_counts: BTreeMap<String, usize>,
    /// Jobs that cannot run here, and why.
    pub unsupported: Vec<UnsupportedJob>,
    /// What discovery could not do, by job.
    pub problems: Vec<(String, String)>,
}

/// Metadata of one family of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetMetadata {
    /// The labels of the target.
    pub target: Labels,
    /// Type, unit and help.
    pub metadata: Metadata,
}

/// A target with the outcome of its last scrape.
#[derive(Debug)]
pub(crate) struct ActiveTarget {
    pub(crate) target: Target,
    outcome: Mutex<Outcome>,
    metadata: Mutex<BTreeMap<String, Metadata>>,
}

#[derive(Debug, Default)]
struct Outcome {
    health: Health,
    error: String,
    scrape_ms: Option<i64>,
    duration: Duration,
}

impl ActiveTarget {
    pub(crate) fn new(target: Target) -> Self {
        Self { target, outcome: Mutex::default(), metadata: Mutex::default() }
    }

    /// Notes how a scrape ended.
    pub(crate) fn ended(&self, scrape_ms: i64, duration: Duration, error: Option<String>) {
        let health = if error.is_some() { Health::Down } else { Health::Up };
        let error = error.unwrap_or_default();
        *self.outcome.lock() = Outcome { health, error, scrape_ms: Some(scrape_ms), duration };
    }

    /// Takes over what the target says about its families; hands back what is news.
    pub(crate) fn describe(&self, metadata: Vec<Metadata>) -> Vec<Metadata> {
        let mut known = self.metadata.lock();
        let mut news = Vec::new();
        for family in metadata {
            if known.get(&family.metric) == Some(&family) {
                continue;
            }
            if known.len() < FAMILIES_MAX || known.contains_key(&family.metric) {
                known.insert(family.metric.clone(), family.clone());
            }
            news.push(family);
        }
        news
    }

    pub(crate) fn metadata(&self) -> Vec<TargetMetadata> {
        let target = &self.target.labels;
        let known = self.metadata.lock();
        known.values().map(|m| TargetMetadata { target: target.clone(), metadata: m.clone() }).collect()
    }

    pub(crate) fn status(&self, pool: &str, hostname: &str) -> TargetStatus {
        let outcome = self.outcome.lock();
        TargetStatus {
            discovered_labels: self.target.discovered.clone(),
            labels: self.target.labels.clone(),
            scrape_pool: pool.into(),
            scrape_url: self.target.url.to_string(),
            global_url: global_url(&self.target.url, hostname),
            last_error: outcome.error.clone(),
            last_scrape_ms: outcome.scrape_ms,
            last_scrape_duration: outcome.duration,
            health: outcome.health,
            scrape_interval: self.target.interval,
            scrape_timeout: self.target.timeout,
        }
    }
}

fn global_url(url: &Url, hostname: &str) -> String {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let mut global = url.clone();
    if loopback && global.set_host(Some(hostname)).is_err() {
        return url.to_string();
    }
    global.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_shown_by_the_hosts_name() {
        let rows = [
            ("http://localhost:9090/metrics", "http://web-1:9090/metrics"),
            ("https://127.0.0.1/x?a=b", "https://web-1/x?a=b"),
            ("http://[::1]:80/", "http://web-1/"),
            ("http://10.0.0.1:9100/metrics", "http://10.0.0.1:9100/metrics"),
        ];
        for (url, want) in rows {
            assert_eq!(global_url(&Url::parse(url).expect("a URL"), "web-1"), want);
        }
    }
}
