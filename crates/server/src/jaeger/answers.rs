//! What Jaeger's APIs answer, for the description: the answers themselves are written by hand.

#![expect(dead_code, reason = "they only describe what is written elsewhere")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

use crate::spans::otlp::answers::ResourceSpans;

/// The envelope of every answer.
#[derive(JsonSchema)]
#[schemars(rename = "{T}s")]
pub(super) struct Envelope<T> {
    data: Vec<T>,
    total: u64,
    limit: u64,
    offset: u64,
    /// Always `null` in an answer.
    errors: (),
}

/// The name of a service.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct JaegerService(String);

/// The name of an operation.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct JaegerOperationName(String);

/// An operation; its kind is empty where none is known.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct JaegerOperation {
    name: String,
    span_kind: String,
}

/// A trace.
#[derive(JsonSchema)]
pub(super) struct JaegerTrace {
    #[schemars(rename = "traceID")]
    trace_id: String,
    spans: Vec<JaegerSpan>,
    processes: BTreeMap<String, JaegerProcess>,
    warnings: Option<Vec<String>>,
}

/// A span; times are in microseconds.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct JaegerSpan {
    #[schemars(rename = "traceID")]
    trace_id: String,
    #[schemars(rename = "spanID")]
    span_id: String,
    flags: u32,
    operation_name: String,
    references: Vec<JaegerReference>,
    start_time: i64,
    duration: i64,
    tags: Vec<JaegerTag>,
    logs: Vec<JaegerLog>,
    #[schemars(rename = "processID")]
    process_id: String,
    warnings: Option<Vec<String>>,
}

/// Another span.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct JaegerReference {
    /// `CHILD_OF` or `FOLLOWS_FROM`.
    ref_type: String,
    #[schemars(rename = "traceID")]
    trace_id: String,
    #[schemars(rename = "spanID")]
    span_id: String,
}

/// Something that happened during a span.
#[derive(JsonSchema)]
pub(super) struct JaegerLog {
    timestamp: i64,
    fields: Vec<JaegerTag>,
}

/// What made spans.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct JaegerProcess {
    service_name: String,
    tags: Vec<JaegerTag>,
}

/// A key with its value.
#[derive(JsonSchema)]
pub(super) struct JaegerTag {
    key: String,
    /// `bool`, `float64`, `int64` or `string`.
    r#type: String,
    value: Value,
}

/// Calls of one service to another.
#[derive(JsonSchema)]
#[schemars(rename = "JaegerDependencyLink", rename_all = "camelCase")]
pub(super) struct JaegerDependency {
    parent: String,
    child: String,
    call_count: u64,
}

/// Names of services.
#[derive(JsonSchema)]
#[schemars(rename = "JaegerV3Services")]
pub(super) struct V3Services {
    services: Vec<String>,
}

/// Operations of a service.
#[derive(JsonSchema)]
#[schemars(rename = "JaegerV3Operations")]
pub(super) struct V3Operations {
    operations: Vec<JaegerOperation>,
}

/// Traces in OpenTelemetry's JSON.
#[derive(JsonSchema)]
#[schemars(rename = "JaegerV3Traces")]
pub(super) struct V3Traces {
    result: V3Spans,
}

#[derive(JsonSchema)]
#[schemars(rename = "JaegerV3Spans", rename_all = "camelCase")]
pub(super) struct V3Spans {
    resource_spans: Vec<ResourceSpans>,
}

/// A line for every trace.
#[derive(JsonSchema)]
#[schemars(rename = "JaegerV3Summaries")]
pub(super) struct V3Summaries {
    summaries: Vec<V3Summary>,
}

/// A line about a trace; times are nanoseconds as text.
#[derive(JsonSchema)]
#[schemars(rename = "JaegerV3Summary", rename_all = "camelCase")]
pub(super) struct V3Summary {
    trace_id: String,
    root_service_name: String,
    root_operation_name: String,
    min_start_time_unix_nano: String,
    max_end_time_unix_nano: String,
    span_count: u64,
    error_span_count: u64,
    orphan_span_count: u64,
    services: Vec<V3Service>,
}

#[derive(JsonSchema)]
#[schemars(rename = "JaegerV3Service", rename_all = "camelCase")]
pub(super) struct V3Service {
    name: String,
    span_count: u64,
    error_span_count: u64,
}
