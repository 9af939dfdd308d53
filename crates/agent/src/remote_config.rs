//! What the server says to collect.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

/// What is collected on a host: the specification of the saved objects `agent/<host>` and `agent/default`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Collect {
    /// Whether metrics of the host are.
    pub host: bool,
    /// Seconds between two collections of those.
    pub host_interval_seconds: u64,
    /// Log files by pattern, such as `/var/log/*.log`.
    pub files: Vec<String>,
    /// Whether the systemd journal is.
    pub journal: bool,
    /// Prometheus `scrape_configs`, as YAML text of a whole `prometheus.yml`.
    pub scrape: String,
    /// Attributes that every record from files and journal gets.
    pub attributes: BTreeMap<String, String>,
}

impl Default for Collect {
    fn default() -> Self {
        Self {
            host: true,
            host_interval_seconds: 10,
            files: Vec::new(),
            journal: false,
            scrape: String::new(),
            attributes: BTreeMap::new(),
        }
    }
}

/// Asks the server.
pub(crate) struct Remote {
    http: reqwest::Client,
    url: String,
    token: String,
    host: String,
}

impl Remote {
    pub(crate) fn new(url: &str, token: &str, host: &str) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { http, url, token: token.to_owned(), host: host.to_owned() })
    }

    /// The host's specification, else everybody's; `None` where there is none or the server does not answer,
    /// and what was known stays.
    pub(crate) async fn ask(&self) -> Option<Collect> {
        let url = format!("{}/api/v1/monitoring/agents/{}/configuration", self.url, self.host);
        let answer = self.http.get(url).bearer_auth(&self.token).send().await.ok()?;
        if !answer.status().is_success() {
            tracing::debug!(status = %answer.status(), "the server does not say what to collect");
            return None;
        }
        let object: serde_json::Value = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
        match serde_json::from_value(object["spec"].clone()) {
            Ok(collect) => Some(collect),
            Err(error) => {
                tracing::error!(%error, "what the server says to collect cannot be read");
                None
            }
        }
    }
}
