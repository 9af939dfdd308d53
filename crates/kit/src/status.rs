//! What a service says about itself: status, health, metrics. Serialisable, so that an API can show it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// Where a service is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceStatus {
    /// Known, not yet created.
    Registered,
    /// Its factory or a hook is running.
    Initializing,
    /// Serving.
    Ready,
    /// Could not start, or its task failed and waits to be restarted.
    Failed,
    /// Finishing its work.
    Stopping,
    /// Cleaned up; calls are refused.
    Stopped,
}

impl ServiceStatus {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Registered, Self::Initializing, Self::Ready, Self::Failed, Self::Stopping, Self::Stopped];

    /// The spelling in the API and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Initializing => "initializing",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for ServiceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How well a service does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// Works.
    Healthy,
    /// Works, with less than it should have.
    Degraded,
    /// Does not work.
    Unhealthy,
    /// Nobody can tell.
    Unknown,
}

impl HealthState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::Degraded, Self::Unhealthy, Self::Unknown];

    /// The spelling in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The result of a health check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HealthStatus {
    /// The verdict.
    pub status: HealthState,
    /// Why, when there is something to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How long the check took, milliseconds; absent when nothing was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_time_ms: Option<f64>,
    /// When the check ended, milliseconds since the Unix epoch; absent when nothing was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_check: Option<i64>,
}

impl HealthStatus {
    /// Works.
    pub fn healthy() -> Self {
        Self { status: HealthState::Healthy, message: None, response_time_ms: None, last_check: None }
    }

    /// Works, with less than it should have.
    pub fn degraded(message: impl Into<String>) -> Self {
        Self { status: HealthState::Degraded, message: Some(message.into()), ..Self::healthy() }
    }

    /// Does not work.
    pub fn unhealthy(message: impl Into<String>) -> Self {
        Self { status: HealthState::Unhealthy, message: Some(message.into()), ..Self::healthy() }
    }

    /// Nobody can tell.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self { status: HealthState::Unknown, message: Some(message.into()), ..Self::healthy() }
    }
}

/// What a service did since it was registered.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ServiceMetrics {
    /// Operations finished, well or not.
    pub request_count: u64,
    /// Operations that returned an error.
    pub error_count: u64,
    /// `error_count / request_count`; zero while there were none.
    pub error_rate: f64,
    /// Time spent in operations, milliseconds.
    pub total_response_time: f64,
    /// Mean time of an operation, milliseconds; zero while there were none.
    pub avg_response_time: f64,
    /// Since the service last became ready, milliseconds.
    pub uptime: u64,
    /// By operation.
    pub operations: BTreeMap<String, OperationMetrics>,
    /// What the service itself measures, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub gauges: BTreeMap<String, f64>,
}

/// One kind of operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OperationMetrics {
    /// Finished, well or not.
    pub count: u64,
    /// Returned an error.
    pub errors: u64,
    /// Dropped by the caller before they finished; not in `count`.
    pub cancelled: u64,
    /// Under way now.
    pub in_flight: u64,
    /// Time of all, milliseconds.
    pub total_ms: f64,
    /// Mean time, milliseconds; zero while there were none.
    pub avg_ms: f64,
    /// Longest, milliseconds.
    pub max_ms: f64,
}
