//! What a check is, as people write it: one shape in the API, the page and files.

mod config; // what each type may be told
mod secret; // texts that no message shows
mod target; // hosts, ports, addresses
mod validate; // from what was written to what can be run
mod values; // statuses, operators, JSON paths

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use config::*;
pub use secret::Secret;
pub use target::Endpoint;
pub(crate) use target::{Target, dns_server, endpoint_of};
pub use validate::Check;
pub use values::{JsonAssertion, Operator, Statuses};
pub(crate) use values::{JsonPath, shown};

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckType {
    /// An HTTP endpoint.
    Http,
    /// An API of someone else: an HTTP endpoint of which the content counts.
    ExternalApi,
    /// A TCP port.
    Tcp,
    /// A certificate: its chain, names and age.
    Tls,
    /// Records of the domain name system.
    Dns,
    /// A host that answers an echo request (ping).
    Icmp,
    /// A service by gRPC's health protocol.
    Grpc,
    /// A WebSocket.
    #[serde(rename = "websocket")]
    WebSocket,
    /// A database of the kind that the target's scheme names: `postgres://` or `mysql://`.
    Database,
    /// PostgreSQL.
    Postgresql,
    /// MySQL or MariaDB.
    Mysql,
    /// Redis or Valkey.
    Redis,
    /// Space of a filesystem.
    Disk,
    /// Memory in use.
    Memory,
    /// A program that reports by itself.
    Heartbeat,
    /// The answer to a query about what is stored here.
    Query,
    /// A command that an agent is allowed to run.
    Command,
    /// A function that the program registered.
    Custom,
}

impl CheckType {
    /// Every type.
    pub const ALL: [Self; 18] = [
        Self::Http,
        Self::ExternalApi,
        Self::Tcp,
        Self::Tls,
        Self::Dns,
        Self::Icmp,
        Self::Grpc,
        Self::WebSocket,
        Self::Database,
        Self::Postgresql,
        Self::Mysql,
        Self::Redis,
        Self::Disk,
        Self::Memory,
        Self::Heartbeat,
        Self::Query,
        Self::Command,
        Self::Custom,
    ];

    /// How they are spelled, in the same order.
    pub const NAMES: [&'static str; 18] = {
        let mut names = [""; 18];
        let mut n = 0;
        while n < names.len() {
            names[n] = Self::ALL[n].as_str();
            n += 1;
        }
        names
    };

    /// The spelling in the API and in the column `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::ExternalApi => "external_api",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Dns => "dns",
            Self::Icmp => "icmp",
            Self::Grpc => "grpc",
            Self::WebSocket => "websocket",
            Self::Database => "database",
            Self::Postgresql => "postgresql",
            Self::Mysql => "mysql",
            Self::Redis => "redis",
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Heartbeat => "heartbeat",
            Self::Query => "query",
            Self::Command => "command",
            Self::Custom => "custom",
        }
    }

    /// Whether intervals far from the default range are ordinary for it.
    fn any_interval(self) -> bool {
        matches!(self, Self::Heartbeat | Self::Tls | Self::Dns)
    }

    /// Whether a second look at once can show something else. A threshold is the same a moment later.
    pub(crate) fn is_retried(self) -> bool {
        !matches!(self, Self::Disk | Self::Memory | Self::Heartbeat)
    }
}

impl fmt::Display for CheckType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A check as it is written and saved; its name is the object's.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckSpec {
    /// What it looks at.
    #[serde(rename = "type")]
    pub kind: CheckType,
    /// Where: a URL, `host:port`, a host, a path, a query or a name, as the type needs it.
    #[serde(default)]
    pub target: String,
    /// Seconds from one run to the next, 1 to 86400; 10 to 300 is usual.
    #[serde(default = "interval")]
    pub interval: u32,
    /// Seconds that one attempt may take, 1 to the interval.
    #[serde(default = "timeout")]
    pub timeout: u32,
    /// Attempts in all before a run has failed, at most 10; 0 and 1 are one attempt.
    #[serde(default = "retries")]
    pub retries: u32,
    /// What the type may be told; every part has a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<AnyConfig>")]
    pub config: Option<Map<String, Value>>,
    /// Whether it runs.
    #[serde(default = "yes")]
    pub is_active: bool,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Labels of its results and alerts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether the whole is unhealthy when this is; otherwise it is degraded.
    #[serde(default = "yes")]
    pub critical: bool,
    /// Checks without which this one says nothing: while one of them fails, a failure of this one is unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Agents that run it; without any the server does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<String>,
    /// Locations that must say so before it is unhealthy; more than half when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
    /// Failed runs in a row before it is unhealthy, 1 to 100.
    #[serde(default = "one")]
    pub failure_threshold: u32,
    /// Good runs in a row before it is healthy again, 1 to 100.
    #[serde(default = "one")]
    pub success_threshold: u32,
    /// What to do when it fails: the name of a runbook or a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

impl fmt::Debug for CheckSpec {
    /// Without `config`, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("CheckSpec");
        out.field("type", &self.kind).field("target", &self.target).field("interval", &self.interval);
        out.finish_non_exhaustive()
    }
}

fn interval() -> u32 {
    60
}

fn timeout() -> u32 {
    10
}

fn retries() -> u32 {
    3
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// A check that cannot be run as it is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}: {remedy}")]
pub struct SpecError {
    /// The part that is wrong, such as `config.expectedStatus[0]`.
    pub field: String,
    /// What it is, as JSON, cut where it is long; a secret is not shown.
    pub value: String,
    /// What to write instead.
    pub remedy: String,
}

/// Something that works and is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The part it is about.
    pub field: String,
    /// What to think about.
    pub text: String,
}

/// Where texts that no message may show are in `config`; `*` stands for every key.
const SECRETS: [&[&str]; 6] = [
    &["headers", "*"],
    &["metadata", "*"],
    &["auth", "password"],
    &["auth", "token"],
    &["tls", "clientKey"],
    &["password"],
];

impl CheckSpec {
    /// Reads what was written; the error names the part that is wrong.
    pub fn parse(value: &Value) -> Result<Self, SpecError> {
        serde_path_to_error::deserialize(value)
            .map_err(|error| validate::serde_error("", value, error.path(), error.inner()))
    }

    /// Calls `change` for each secret, such as to seal, open or hide it.
    pub fn each_secret(&mut self, mut change: impl FnMut(&mut String)) {
        let Some(config) = &mut self.config else { return };
        for path in SECRETS {
            let (first, rest) = path.split_first().expect("every path has a first key");
            if let Some(value) = config.get_mut(*first) {
                at(value, rest, &mut change);
            }
        }
    }
}

fn at(value: &mut Value, path: &[&str], change: &mut impl FnMut(&mut String)) {
    match (path.split_first(), value) {
        (None, Value::String(text)) => change(text),
        (Some((&"*", rest)), Value::Object(map)) => map.values_mut().for_each(|v| at(v, rest, change)),
        (Some((key, rest)), Value::Object(map)) => {
            if let Some(value) = map.get_mut(*key) {
                at(value, rest, change);
            }
        }
        _ => {}
    }
}

/// Whether a path such as `config.auth.password` leads to a secret or into one.
fn is_secret(path: &str) -> bool {
    let Some(inside) = path.strip_prefix("config.") else { return false };
    let keys: Vec<&str> = inside.split('.').collect();
    SECRETS.iter().any(|secret| {
        keys.len() >= secret.len() && secret.iter().zip(&keys).all(|(want, key)| *want == "*" || want == key)
    })
}

#[cfg(test)]
mod tests;
