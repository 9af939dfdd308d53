//! Shapes of answers.

use std::collections::BTreeMap;

use alert::engine::RuleHealth;
use alert::rule::RuleSpec;
use alert::severity::{Priority, Severity};
use alert::tables::{Delivery, Event, LogEntry, Notification};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::moment::Moment;

/// Something that fired.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AlertEvent")]
pub(super) struct EventView {
    id: String,
    /// Key of the rule that fired, or `api` for what others sent.
    rule: String,
    name: String,
    /// `firing`, `acknowledged` or `resolved`.
    state: String,
    severity: Severity,
    priority: Priority,
    /// The last value; `null` where there is none.
    value: Option<f64>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    runbook: Option<String>,
    /// `rule`, `prometheus` or `api`.
    source: String,
    /// When the breach began.
    starts_at: Moment,
    /// When it fired.
    fired_at: Moment,
    ends_at: Option<Moment>,
    acknowledged_at: Option<Moment>,
    acknowledged_by: Option<String>,
    /// Who ended it; `null` when it ended by itself.
    resolved_by: Option<String>,
    updated_at: Moment,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        Self {
            state: event.state.as_str().to_owned(),
            value: event.value.is_finite().then_some(event.value),
            id: event.id,
            rule: event.rule,
            name: event.name,
            severity: event.severity,
            priority: event.priority,
            labels: event.labels,
            annotations: event.annotations,
            runbook: event.runbook,
            source: event.source,
            starts_at: Moment(event.starts_at),
            fired_at: Moment(event.fired_at),
            ends_at: event.ends_at.map(Moment),
            acknowledged_at: event.acknowledged_at.map(Moment),
            acknowledged_by: event.acknowledged_by,
            resolved_by: event.resolved_by,
            updated_at: Moment(event.updated_at),
        }
    }
}

/// An event as open pages hear of it.
pub(super) fn event_json(event: &Event) -> Value {
    serde_json::to_value(EventView::from(event.clone())).unwrap_or_else(|_| json!({ "id": event.id }))
}

/// Something that happened to an event.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AlertEventEntry")]
pub(super) struct EntryView {
    at: Moment,
    what: String,
    /// `null` for the server.
    who: Option<String>,
    detail: Option<String>,
}

impl From<LogEntry> for EntryView {
    fn from(entry: LogEntry) -> Self {
        Self { at: Moment(entry.at), what: entry.what, who: entry.who, detail: entry.detail }
    }
}

/// A message for a channel.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Notification")]
pub(super) struct NotificationView {
    id: String,
    channel: String,
    /// `pending`, `queued`, `sent`, `failed` or `skipped`.
    status: String,
    priority: Priority,
    title: String,
    attempts: i64,
    /// What the last attempt failed with.
    error: Option<String>,
    created_at: Moment,
    ended_at: Option<Moment>,
    deliveries: Vec<DeliveryView>,
}

/// An attempt.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Delivery")]
pub(super) struct DeliveryView {
    attempt: i64,
    channel: String,
    at: Moment,
    duration_ms: i64,
    delivered: bool,
    /// Status of the answer over HTTP.
    status_code: Option<i64>,
    error: Option<String>,
}

impl NotificationView {
    pub(super) fn of(one: Notification, deliveries: Vec<Delivery>) -> Self {
        let delivery = |one: Delivery| DeliveryView {
            attempt: one.attempt,
            channel: one.channel,
            at: Moment(one.at),
            duration_ms: one.duration_ms,
            delivered: one.delivered,
            status_code: one.status_code,
            error: one.error,
        };
        Self {
            id: one.id,
            channel: one.channel,
            status: one.status.as_str().to_owned(),
            priority: one.priority,
            title: one.message.title,
            attempts: one.attempts,
            error: one.error,
            created_at: Moment(one.created_at),
            ended_at: one.ended_at.map(Moment),
            deliveries: deliveries.into_iter().map(delivery).collect(),
        }
    }
}

/// A rule with what the server knows of it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AlertRule")]
pub(super) struct RuleView {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) spec: RuleSpec,
    pub(super) last_triggered: Option<Moment>,
    pub(super) created_at: Moment,
    pub(super) updated_at: Moment,
    /// 1, and one more with each change.
    pub(super) version: i64,
    /// The file that owns it; `null` for what people made.
    pub(super) file: Option<String>,
    /// `firing`, `pending`, `ok`, or `inactive` for a rule that is turned off.
    pub(super) state: String,
    /// Alerts that fire.
    pub(super) firing: usize,
    /// When it was last evaluated; `null` before the first time.
    pub(super) evaluated_at: Option<Moment>,
    /// Why it could not be evaluated.
    pub(super) error: Option<String>,
    /// What is allowed and most likely not meant.
    pub(super) warnings: Vec<Warning>,
}

/// What is most likely not meant.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RuleWarning")]
pub(super) struct Warning {
    pub(super) field: String,
    pub(super) message: String,
}

/// When it was last evaluated.
pub(super) fn evaluated(health: &RuleHealth) -> Option<Moment> {
    (health.evaluated_at > 0).then_some(Moment(health.evaluated_at))
}
