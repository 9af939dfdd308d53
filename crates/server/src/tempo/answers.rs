//! What Tempo's API answers, for the description: the answers themselves are written by hand.

#![expect(dead_code, reason = "they only describe what is written elsewhere")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::spans::otlp::answers::{KeyValue, ResourceSpans};

/// Versions.
#[derive(JsonSchema)]
#[schemars(rename = "TempoBuildInfo", rename_all = "camelCase")]
pub(super) struct BuildInfo {
    version: String,
    revision: String,
    branch: String,
    build_date: String,
    build_user: String,
    go_version: String,
    application: String,
    application_version: String,
}

/// A trace in OTLP's JSON.
#[derive(JsonSchema)]
#[schemars(rename = "TempoTrace")]
pub(super) struct Trace {
    batches: Vec<ResourceSpans>,
}

/// A trace in an envelope.
#[derive(JsonSchema)]
#[schemars(rename = "TempoTraceV2")]
pub(super) struct TraceV2 {
    trace: Spans,
    metrics: Map<String, Value>,
}

#[derive(JsonSchema)]
#[schemars(rename = "TempoSpans", rename_all = "camelCase")]
pub(super) struct Spans {
    resource_spans: Vec<ResourceSpans>,
}

/// Traces that were found.
#[derive(JsonSchema)]
#[schemars(rename = "TempoSearch")]
pub(super) struct Search {
    traces: Vec<FoundTrace>,
    metrics: Cost,
}

/// What a query looked at; 64-bit numbers are texts.
#[derive(JsonSchema)]
#[schemars(rename = "TempoCost", rename_all = "camelCase")]
pub(super) struct Cost {
    inspected_bytes: String,
    inspected_spans: String,
    #[schemars(with = "u64", skip_serializing_if = "Option::is_none")]
    inspected_traces: Option<u64>,
    completed_jobs: u32,
    total_jobs: u32,
}

/// A trace that was found.
#[derive(JsonSchema)]
#[schemars(rename = "TempoFoundTrace", rename_all = "camelCase")]
pub(super) struct FoundTrace {
    #[schemars(rename = "traceID")]
    trace_id: String,
    root_service_name: String,
    root_trace_name: String,
    start_time_unix_nano: String,
    duration_ms: i64,
    span_set: Option<SpanSet>,
    span_sets: Vec<SpanSet>,
    service_stats: BTreeMap<String, ServiceStats>,
}

#[derive(JsonSchema)]
#[schemars(rename = "TempoServiceStats", rename_all = "camelCase")]
pub(super) struct ServiceStats {
    span_count: u64,
    error_count: u64,
}

/// Spans of a trace that fulfil a query together.
#[derive(JsonSchema)]
#[schemars(rename = "TempoSpanSet")]
pub(super) struct SpanSet {
    spans: Vec<FoundSpan>,
    /// How many there are in all.
    matched: u64,
    attributes: Vec<KeyValue>,
}

/// A span that was found.
#[derive(JsonSchema)]
#[schemars(rename = "TempoFoundSpan", rename_all = "camelCase")]
pub(super) struct FoundSpan {
    #[schemars(rename = "spanID")]
    span_id: String,
    name: String,
    start_time_unix_nano: String,
    duration_nanos: String,
    attributes: Vec<KeyValue>,
}

/// Names of tags.
#[derive(JsonSchema)]
#[schemars(rename = "TempoTagNames", rename_all = "camelCase")]
pub(super) struct TagNames {
    tag_names: Vec<String>,
}

/// Names of tags by scope.
#[derive(JsonSchema)]
#[schemars(rename = "TempoTagNamesV2")]
pub(super) struct TagNamesV2 {
    scopes: Vec<TagScope>,
    metrics: Map<String, Value>,
}

#[derive(JsonSchema)]
#[schemars(rename = "TempoTagScope")]
pub(super) struct TagScope {
    /// `resource`, `span` or `intrinsic`.
    name: String,
    tags: Vec<String>,
}

/// Values of a tag.
#[derive(JsonSchema)]
#[schemars(rename = "TempoTagValues", rename_all = "camelCase")]
pub(super) struct TagValues {
    tag_values: Vec<String>,
}

/// Values of a tag with their kinds.
#[derive(JsonSchema)]
#[schemars(rename = "TempoTagValuesV2", rename_all = "camelCase")]
pub(super) struct TagValuesV2 {
    tag_values: Vec<TagValue>,
    metrics: Map<String, Value>,
}

#[derive(JsonSchema)]
#[schemars(rename = "TempoTagValue")]
pub(super) struct TagValue {
    /// `bool`, `int`, `float`, `duration`, `keyword` or `string`.
    r#type: String,
    value: String,
}

/// Time series.
#[derive(JsonSchema)]
#[schemars(rename = "TempoMetrics")]
pub(super) struct Metrics {
    series: Vec<Series>,
    metrics: Cost,
}

/// A time series.
#[derive(JsonSchema)]
#[schemars(rename = "TempoSeries", rename_all = "camelCase")]
pub(super) struct Series {
    labels: Vec<KeyValue>,
    /// The labels as Prometheus writes them.
    prom_labels: String,
    samples: Vec<Sample>,
    exemplars: Vec<Exemplar>,
}

#[derive(JsonSchema)]
#[schemars(rename = "TempoSample", rename_all = "camelCase")]
pub(super) struct Sample {
    timestamp_ms: String,
    /// `null` where it is no finite number.
    value: Option<f64>,
}

#[derive(JsonSchema)]
#[schemars(rename = "TempoExemplar", rename_all = "camelCase")]
pub(super) struct Exemplar {
    labels: Vec<KeyValue>,
    value: Option<f64>,
    timestamp_ms: String,
}

/// One value of every series.
#[derive(JsonSchema)]
#[schemars(rename = "TempoInstant")]
pub(super) struct Instant {
    series: Vec<InstantSeries>,
    metrics: Cost,
}

#[derive(JsonSchema)]
#[schemars(rename = "TempoInstantSeries", rename_all = "camelCase")]
pub(super) struct InstantSeries {
    labels: Vec<KeyValue>,
    /// The labels as Prometheus writes them.
    prom_labels: String,
    /// `null` where it is no finite number.
    value: Option<f64>,
}
