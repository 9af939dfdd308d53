//! What comes out of a check.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of a single check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// All is well.
    Healthy,
    /// It is not.
    Unhealthy,
    /// Nobody can tell.
    Unknown,
}

impl CheckStatus {
    /// The spelling in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Healthy, Self::Unhealthy, Self::Unknown].into_iter().find(|status| status.as_str() == text)
    }
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One run of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    /// When it began, milliseconds since the Unix epoch.
    pub at: i64,
    /// The verdict.
    pub status: CheckStatus,
    /// What the last attempt took, milliseconds.
    pub latency_ms: f64,
    /// Attempts made.
    pub attempts: u32,
    /// Why it is not healthy; at most 500 characters, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What was seen.
    #[serde(default)]
    pub details: Details,
}

impl CheckResult {
    /// A result without an attempt, such as that of a check whose parent fails.
    pub fn unknown(at: i64, message: impl Into<String>) -> Self {
        let (message, details) = (Some(message.into()), Details::default());
        Self { at, status: CheckStatus::Unknown, latency_ms: 0.0, attempts: 0, message, details }
    }
}

/// What the last attempt saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "HealthCheckDetails")]
pub struct Details {
    /// The address that was connected to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Status of the HTTP answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// The certificate that was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// How long each part took.
    pub timings: Timings,
    /// Figures such as `usedPercent`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, f64>,
    /// Texts such as the version of a server.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, String>,
}

/// Parts of one attempt, milliseconds; absent where there was none. After redirects those of the last request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "HealthCheckTimings")]
pub struct Timings {
    /// Finding the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<f64>,
    /// Connecting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<f64>,
    /// The TLS handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<f64>,
    /// From the request to the first byte of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<f64>,
    /// The whole attempt.
    pub total: f64,
}

/// A certificate that was shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HealthCheckCertificate")]
pub struct Certificate {
    /// Whose it is: the common name, or the organization.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Names and addresses that it is good for, at most 100.
    pub names: Vec<String>,
    /// Valid from, milliseconds since the Unix epoch.
    pub not_before: i64,
    /// Valid until, milliseconds since the Unix epoch: the earliest of it and those sent along.
    pub not_after: i64,
    /// Whole days until then; negative once it is over.
    pub days_left: i64,
}
