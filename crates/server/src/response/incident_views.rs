//! Shapes of incidents.

use std::collections::BTreeMap;

use alert::incident::{Incident, IncidentStatus, LinkedRunbook, Origin, Phase, Publication, TimelineEntry};
use alert::severity::Severity;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::moment::Moment;

/// What people mend together.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Incident")]
pub(super) struct IncidentView {
    pub(super) id: String,
    /// 1 and up within the tenant, for people to say.
    number: i64,
    title: String,
    severity: Severity,
    status: IncidentStatus,
    /// The route that opened it; `null` where a person did.
    route: Option<String>,
    /// The person who opened it; `null` where a route did.
    opened_by: Option<String>,
    /// What its alerts have in common.
    labels: BTreeMap<String, String>,
    /// The policy that calls people.
    escalation: Option<String>,
    assignee: Option<String>,
    /// Who does what, by e-mail address.
    roles: BTreeMap<String, String>,
    runbooks: Vec<RunbookProgress>,
    /// What a status page shows of it.
    publication: Option<Publication>,
    /// What the public was told last.
    phase: Option<Phase>,
    created_at: Moment,
    first_acknowledged_at: Option<Moment>,
    acknowledged_at: Option<Moment>,
    acknowledged_by: Option<String>,
    resolved_at: Option<Moment>,
    /// Who ended it; `null` when it ended with its alerts.
    resolved_by: Option<String>,
    /// How often it was opened again.
    reopened: u32,
    /// Alerts that belong to it.
    events: i64,
    updated_at: Moment,
}

/// A runbook that is worked through.
#[derive(Serialize, JsonSchema)]
pub(super) struct RunbookProgress {
    name: String,
    steps: Vec<StepProgress>,
}

/// A step of it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StepProgress {
    title: String,
    /// When it was done; `null` where it was not.
    done_at: Option<Moment>,
    done_by: Option<String>,
}

impl From<LinkedRunbook> for RunbookProgress {
    fn from(runbook: LinkedRunbook) -> Self {
        let step = |step: alert::incident::LinkedStep| StepProgress {
            title: step.title,
            done_at: step.done_at.map(Moment),
            done_by: step.done_by,
        };
        Self { name: runbook.name, steps: runbook.steps.into_iter().map(step).collect() }
    }
}

impl From<Incident> for IncidentView {
    fn from(incident: Incident) -> Self {
        let (route, opened_by) = match incident.origin {
            Origin::Route(route) => (Some(route), None),
            Origin::Person(person) => (None, Some(person)),
        };
        Self {
            id: incident.id,
            number: incident.number,
            title: incident.title,
            severity: incident.severity,
            status: incident.status,
            route,
            opened_by,
            labels: incident.labels,
            escalation: incident.escalation,
            assignee: incident.assignee,
            roles: incident.roles,
            runbooks: incident.runbooks.into_iter().map(RunbookProgress::from).collect(),
            publication: incident.publication,
            phase: incident.phase,
            created_at: Moment(incident.created_at),
            first_acknowledged_at: incident.first_acknowledged_at.map(Moment),
            acknowledged_at: incident.acknowledged_at.map(Moment),
            acknowledged_by: incident.acknowledged_by,
            resolved_at: incident.resolved_at.map(Moment),
            resolved_by: incident.resolved_by,
            reopened: incident.reopened,
            events: incident.events + incident.events_left_out,
            updated_at: Moment(incident.updated_at),
        }
    }
}

/// Something that happened to an incident.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IncidentEntry")]
pub(super) struct EntryView {
    /// Its place in the timeline, from 1.
    n: i64,
    at: Moment,
    /// `opened`, `event_joined`, `event_over`, `called`, `acknowledged`, `unacknowledged`, `assigned`, `role`, `note`,
    /// `severity`, `runbook`, `step`, `action`, `published`, `update`, `resolved` or `reopened`.
    kind: &'static str,
    /// `null` for the server.
    who: Option<String>,
    text: String,
    /// The same for programs.
    data: Map<String, Value>,
}

impl From<TimelineEntry> for EntryView {
    fn from(entry: TimelineEntry) -> Self {
        let kind = entry.kind.as_str();
        Self { n: entry.n, at: Moment(entry.at), kind, who: entry.who, text: entry.text, data: entry.data }
    }
}

/// An incident with all that happened to it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IncidentDetail")]
pub(super) struct Detail {
    #[serde(flatten)]
    pub(super) incident: IncidentView,
    /// The first thousand entries of its timeline.
    pub(super) timeline: Vec<EntryView>,
}
