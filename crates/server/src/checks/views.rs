//! Shapes of answers.

use std::collections::BTreeMap;

use probe::check::{CheckResult, CheckSpec, CheckStatus, CheckType, Details, State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::seat::{Done, HERE};
use crate::moment::Moment;
use crate::word::Word;

/// A health check.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HealthCheck")]
pub(super) struct CheckView {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(flatten)]
    #[schemars(with = "SpecShown")]
    pub(super) spec: CheckSpec,
    pub(super) created_at: Moment,
    pub(super) updated_at: Moment,
    /// 1, and one more with each change.
    pub(super) version: i64,
    /// The file that owns it; `null` for what people made.
    pub(super) file: Option<String>,
    pub(super) state: StateView,
    /// Of a heartbeat: the address that the program reports to. Whoever knows it can report.
    pub(super) push_url: Option<String>,
    /// What works and is probably not meant.
    pub(super) warnings: Vec<WarningView>,
}

/// A specification with every default written out. Only described here: what is read may leave defaults out.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "it describes the answer")]
struct SpecShown {
    /// What it looks at.
    r#type: CheckType,
    /// Where.
    target: String,
    /// Seconds from one run to the next.
    interval: u32,
    /// Seconds that one attempt may take.
    timeout: u32,
    /// Attempts before a run has failed.
    retries: u32,
    /// What the type was told; secrets are masked for whoever may not change settings.
    #[serde(default)]
    config: Option<Map<String, Value>>,
    /// Whether it runs.
    is_active: bool,
    #[serde(default)]
    description: String,
    /// Labels of its results and alerts.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Whether the whole is unhealthy when this is.
    critical: bool,
    /// Checks without which this one says nothing.
    #[serde(default)]
    depends_on: Vec<String>,
    #[serde(default)]
    locations: Vec<String>,
    #[serde(default)]
    quorum: Option<u32>,
    /// Failed runs in a row before it is unhealthy.
    failure_threshold: u32,
    /// Good runs in a row before it is healthy again.
    success_threshold: u32,
    /// What to do when it fails.
    #[serde(default)]
    runbook: Option<String>,
}

/// Something to think about.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HealthCheckWarning")]
pub(super) struct WarningView {
    pub(super) field: String,
    pub(super) message: String,
}

/// What a check counts as.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HealthCheckState")]
pub(super) struct StateView {
    pub(super) status: CheckStatus,
    /// Since when.
    pub(super) since: Option<Moment>,
    /// Since when it is down, also while nobody can tell.
    pub(super) down_since: Option<Moment>,
    /// Whether it changes all the time.
    pub(super) flapping: bool,
    /// When it last ran, since the server started.
    pub(super) last_at: Option<Moment>,
    /// What that run took, milliseconds.
    pub(super) latency_ms: Option<f64>,
    /// Why it was not healthy.
    pub(super) message: Option<String>,
}

impl StateView {
    pub(super) fn new(state: &State, last: Option<&CheckResult>) -> Self {
        Self {
            status: state.status,
            since: (state.since > 0).then_some(Moment(state.since)),
            down_since: state.down_since.map(Moment),
            flapping: state.flapping,
            last_at: last.map(|last| Moment(last.at)),
            latency_ms: last.filter(|last| last.attempts > 0).map(|last| last.latency_ms),
            message: last.and_then(|last| last.message.clone()),
        }
    }
}

/// One run of a check.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HealthCheckResult")]
pub(super) struct ResultView {
    /// When it began.
    pub(super) at: Moment,
    pub(super) status: CheckStatus,
    /// What the last attempt took, milliseconds.
    pub(super) latency_ms: f64,
    pub(super) attempts: u32,
    pub(super) message: Option<String>,
    /// Where it was run: `server`, or an agent's name.
    pub(super) place: String,
    /// What was seen.
    pub(super) details: Details,
}

impl From<CheckResult> for ResultView {
    fn from(result: CheckResult) -> Self {
        Self {
            at: Moment(result.at),
            status: result.status,
            latency_ms: result.latency_ms,
            attempts: result.attempts,
            message: result.message,
            place: HERE.to_owned(),
            details: result.details,
        }
    }
}

/// Checks of a tenant, with how they are all together.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HealthChecks")]
pub(super) struct ChecksView {
    pub(super) items: Vec<CheckView>,
    /// What to give as `after` for the page behind this one; `null` behind the last.
    pub(super) next: Option<String>,
    pub(super) summary: SummaryView,
}

/// All checks together.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HealthCheckSummary")]
pub(super) struct SummaryView {
    /// Unhealthy when a critical check is, degraded when another one is or nobody can tell of a critical one.
    pub(super) status: Word<kit::HealthState>,
    pub(super) healthy: usize,
    pub(super) unhealthy: usize,
    pub(super) unknown: usize,
    /// Those that do not run.
    pub(super) paused: usize,
}

/// A change as open pages hear of it.
pub(super) fn changed_json(done: &Done) -> Value {
    let (state, last) = done.entry.now();
    json!({
        "id": done.entry.id,
        "name": done.entry.check.name(),
        "state": StateView::new(&state, last.as_ref()),
        "transitions": done.transitions,
    })
}
