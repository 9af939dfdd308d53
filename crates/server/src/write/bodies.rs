//! What intakes take, for the description of the API: decoders read it as it comes.

#![expect(dead_code, reason = "they only describe what is read elsewhere")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::moment::AnyTime;

/// A metric of our own JSON.
#[derive(JsonSchema)]
pub(super) struct CustomMetric {
    /// Letters, digits, `_` and `:`; `.` and `-` become `_`.
    name: String,
    value: MetricValue,
    /// `gauge` unless given.
    #[schemars(extend("enum" = ["gauge", "counter", "histogram", "summary", null]))]
    r#type: Option<String>,
    /// Milliseconds since 1970, or RFC 3339; now unless given.
    timestamp: Option<AnyTime>,
    unit: Option<String>,
    tags: Option<BTreeMap<String, Value>>,
}

/// A metric as it was understood.
#[derive(JsonSchema)]
pub(super) struct StoredMetric {
    name: String,
    value: MetricValue,
    r#type: Option<String>,
    timestamp: Option<AnyTime>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    tags: Option<BTreeMap<String, Value>>,
}

/// A number, or running totals of a histogram or summary.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "CustomMetricValue")]
pub(super) enum MetricValue {
    /// Of a counter an increment, of a histogram or summary one observation.
    Number(f64),
    /// `count`, `sum`, and `buckets` or `quantiles` by their bounds.
    Totals(Map<String, Value>),
}

/// Metrics.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum MetricBatch {
    List(Vec<CustomMetric>),
    Object {
        metrics: Vec<CustomMetric>,
        /// Whether one refusal refuses everything.
        #[schemars(default)]
        transaction: bool,
    },
}

/// Logs: an object, or a list of them.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum LogBatch {
    One(Map<String, Value>),
    List(Vec<Map<String, Value>>),
}

/// An event; members besides these are attributes.
#[derive(JsonSchema)]
pub(super) struct NewEvent {
    /// Left out only of a command, which may give its name as `command`.
    name: Option<String>,
    timestamp: Option<AnyTime>,
    /// `business` unless given.
    #[schemars(extend("enum" = ["deploy", "business", "user", "command", "config", null]))]
    kind: Option<String>,
    user_id: Option<String>,
    team_id: Option<String>,
    project_id: Option<String>,
    session_id: Option<String>,
    value: Option<f64>,
    service: Option<String>,
    attributes: Option<Map<String, Value>>,
}

/// Events.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum EventBatch {
    Object { events: Vec<NewEvent> },
    List(Vec<NewEvent>),
    One(Box<NewEvent>),
}

/// Logs as Loki's clients push them.
#[derive(JsonSchema)]
pub(super) struct LokiPush {
    streams: Vec<LokiStream>,
}

/// Lines with the same labels.
#[derive(JsonSchema)]
pub(super) struct LokiStream {
    stream: BTreeMap<String, String>,
    /// Nanoseconds since 1970 as text, the line, and, where there is some, structured metadata.
    values: Vec<Vec<Value>>,
}

/// A span of Zipkin's API v2.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct ZipkinSpan {
    trace_id: String,
    id: String,
    parent_id: Option<String>,
    name: Option<String>,
    kind: Option<String>,
    /// Microseconds since 1970.
    timestamp: Option<u64>,
    /// Microseconds.
    duration: Option<u64>,
    local_endpoint: Option<Map<String, Value>>,
    remote_endpoint: Option<Map<String, Value>>,
    annotations: Option<Vec<Map<String, Value>>>,
    tags: Option<BTreeMap<String, String>>,
}

/// `ExportMetricsServiceRequest` in OTLP's JSON.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct OtlpMetrics {
    resource_metrics: Vec<Map<String, Value>>,
}

/// `ExportLogsServiceRequest` in OTLP's JSON.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct OtlpLogs {
    resource_logs: Vec<Map<String, Value>>,
}

/// `ExportTraceServiceRequest` in OTLP's JSON.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct OtlpTraces {
    resource_spans: Vec<Map<String, Value>>,
}

/// What an export is answered.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct OtlpAnswer {
    /// How many items were refused and why; left out where none was.
    #[schemars(with = "Map<String, Value>", skip_serializing_if = "Option::is_none")]
    partial_success: Option<Map<String, Value>>,
}

/// What a bulk of Elasticsearch's is answered.
#[derive(JsonSchema)]
#[schemars(rename = "ElasticBulk")]
pub(super) struct ElasticBulk {
    /// Milliseconds.
    took: u64,
    /// Whether any item was refused.
    errors: bool,
    /// What became of each item, by its action.
    items: Vec<BTreeMap<String, Map<String, Value>>>,
}
