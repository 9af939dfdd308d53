//! What the registry shows.

use serde::Serialize;

use super::graph;
use crate::error::ServiceError;
use crate::status::{HealthState, ServiceMetrics, ServiceStatus};

/// One registered service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceInfo {
    /// The name it is registered under.
    pub name: String,
    /// One line for operators.
    pub description: String,
    /// Where it is in its life.
    pub status: ServiceStatus,
    /// The last health check's verdict.
    pub health: HealthState,
    /// Why it failed, or what the last health check had to say.
    pub message: Option<String>,
    /// Names it needs.
    pub depends_on: Vec<String>,
    /// How often it was started anew.
    pub restarts: u64,
    /// Since it last became ready, milliseconds.
    pub uptime_ms: u64,
    /// Milliseconds since the Unix epoch.
    pub registered_at: i64,
    /// Milliseconds since the Unix epoch; the time of registration until the first check.
    pub last_health_check: i64,
    /// How long the last check took, milliseconds.
    pub response_time_ms: Option<f64>,
    /// What it did so far.
    pub metrics: ServiceMetrics,
}

/// Who depends on whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Topology {
    /// Names, in the order of registration.
    pub nodes: Vec<String>,
    /// Pairs of a service and one it depends on.
    pub edges: Vec<(String, String)>,
    /// Names in an order in which each comes after what it depends on.
    pub order: Vec<String>,
}

impl Topology {
    pub(super) fn of(nodes: Vec<(String, Vec<String>)>) -> Self {
        let order = graph::order(&nodes);
        let edges = nodes
            .iter()
            .flat_map(|(name, needs)| needs.iter().map(move |need| (name.clone(), need.clone())))
            .collect();
        Self { nodes: nodes.into_iter().map(|(name, _)| name).collect(), edges, order }
    }

    /// Services that depend on `name`, directly or not: what fails with it.
    pub fn dependents(&self, name: &str) -> Vec<String> {
        let mut found: Vec<&str> = vec![name];
        let mut next = 0;
        while next < found.len() {
            for (service, need) in &self.edges {
                if need == found[next] && !found.contains(&service.as_str()) {
                    found.push(service);
                }
            }
            next += 1;
        }
        found.into_iter().skip(1).map(str::to_owned).collect()
    }
}

/// How a shutdown went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Cleaned up, in this order.
    pub stopped: Vec<String>,
    /// Whose cleanup failed.
    pub failed: Vec<(String, ServiceError)>,
    /// Not done in time.
    pub late: Vec<String>,
}

impl ShutdownReport {
    /// True when every service was cleaned up.
    pub fn is_clean(&self) -> bool {
        self.failed.is_empty() && self.late.is_empty()
    }
}
