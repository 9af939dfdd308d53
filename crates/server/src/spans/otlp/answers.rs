//! OTLP's JSON of spans, for the description of the API.

#![expect(dead_code, reason = "they only describe what is written elsewhere")]

use schemars::JsonSchema;
use serde_json::Value;

/// Spans of one resource.
#[derive(JsonSchema)]
#[schemars(rename = "OtlpResourceSpans", rename_all = "camelCase")]
pub(crate) struct ResourceSpans {
    resource: Resource,
    scope_spans: Vec<ScopeSpans>,
}

/// What made spans.
#[derive(JsonSchema)]
#[schemars(rename = "OtlpResource")]
pub(crate) struct Resource {
    attributes: Vec<KeyValue>,
}

/// A key with its value.
#[derive(JsonSchema)]
#[schemars(rename = "OtlpKeyValue")]
pub(crate) struct KeyValue {
    key: String,
    /// `stringValue`, `boolValue`, `intValue`, `doubleValue`, `arrayValue` or `kvlistValue`.
    value: Value,
}

/// Spans that one library made.
#[derive(JsonSchema)]
#[schemars(rename = "OtlpScopeSpans")]
pub(crate) struct ScopeSpans {
    /// Name and version of the library, where they are known.
    scope: serde_json::Map<String, Value>,
    spans: Vec<Span>,
}

/// A span; times are nanoseconds as text, and what is empty is left out.
#[derive(JsonSchema)]
#[schemars(rename = "OtlpSpan", rename_all = "camelCase")]
pub(crate) struct Span {
    trace_id: String,
    span_id: String,
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    trace_state: Option<String>,
    name: String,
    /// A number as OTLP's specification has it; a name in Tempo's answers.
    kind: Value,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<KeyValue>,
    #[schemars(with = "Vec<Value>", skip_serializing_if = "Option::is_none")]
    events: Option<Vec<Value>>,
    #[schemars(with = "Vec<Value>", skip_serializing_if = "Option::is_none")]
    links: Option<Vec<Value>>,
    /// `code` and `message`, where they are known.
    status: serde_json::Map<String, Value>,
}
