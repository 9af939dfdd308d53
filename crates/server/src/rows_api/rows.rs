//! What rows look like, for the description of the API: they are written by `query::rows::row_json`.

#![expect(dead_code, reason = "they only describe what is written elsewhere")]

use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::moment::FineMoment;

/// A log record.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct LogRow {
    /// 32 hexadecimal digits, by which its context is asked for.
    id: String,
    timestamp: FineMoment,
    observed_timestamp: Option<FineMoment>,
    /// As OpenTelemetry numbers severities: 1 to 24.
    severity_number: Option<i64>,
    severity_text: Option<String>,
    /// What the number means: `trace`, `debug`, `info`, `warn`, `error` or `fatal`.
    level: Option<String>,
    service: Option<String>,
    body: Option<String>,
    trace_id: Option<String>,
    span_id: Option<String>,
    attributes: Map<String, Value>,
    resource: Map<String, Value>,
}

/// A span.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct SpanRow {
    /// 32 hexadecimal digits, by which its context is asked for.
    id: String,
    start: FineMoment,
    duration_ns: Option<i64>,
    trace_id: Option<String>,
    span_id: Option<String>,
    parent_span_id: Option<String>,
    name: Option<String>,
    service: Option<String>,
    /// `unspecified`, `internal`, `server`, `client`, `producer` or `consumer`.
    kind: Option<String>,
    /// `unset`, `ok` or `error`.
    status_code: Option<String>,
    status_message: Option<String>,
    attributes: Map<String, Value>,
    resource: Map<String, Value>,
    /// As they came: name, time and attributes.
    events: Vec<Value>,
    /// As they came: trace, span and attributes.
    links: Vec<Value>,
}

/// An event.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct EventRow {
    /// 32 hexadecimal digits, by which its context is asked for.
    id: String,
    timestamp: FineMoment,
    name: Option<String>,
    /// `deploy`, `business`, `user`, `command` or `config`.
    kind: Option<String>,
    user_id: Option<String>,
    team_id: Option<String>,
    project_id: Option<String>,
    session_id: Option<String>,
    value: Option<f64>,
    service: Option<String>,
    attributes: Map<String, Value>,
    resource: Map<String, Value>,
}

/// A row of any of the three signals.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(crate) enum AnyRow {
    Log(LogRow),
    Span(SpanRow),
    Event(EventRow),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::Signal;
    use query::rows::{Row, RowValue, row_json};
    use schemars::{Schema, schema_for};

    use super::*;

    fn keys(value: &Value) -> BTreeSet<&str> {
        value.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    #[test]
    fn rows_are_written_as_they_are_described() {
        let described: [(Signal, Schema); 3] = [
            (Signal::Logs, schema_for!(LogRow)),
            (Signal::Traces, schema_for!(SpanRow)),
            (Signal::Events, schema_for!(EventRow)),
        ];
        for (signal, schema) in described {
            let row = Row {
                signal,
                id: String::new(),
                time_ns: 0,
                service: None,
                fixed: vec![RowValue::Null; model::record::columns(signal).len()],
                attributes: "{}".into(),
                resource: "{}".into(),
            };
            assert_eq!(keys(&row_json(&row)), keys(&schema.as_value()["properties"]), "{signal:?}");
        }
    }
}
