//! From the buffer to records.

use model::record::{log, span};
use model::{Records, Signal, Value, record};

use super::{FieldValue, OwnLine, OwnSpan};

/// The service that the program is in its own eyes.
const SERVICE: &str = "bellwether";

/// Log lines as records.
pub(crate) fn lines_to_records(lines: &[OwnLine], host: &str) -> Records {
    let mut records = Records::new(Signal::Logs);
    let resource = own_resource(&mut records, host);
    for (index, line) in lines.iter().enumerate() {
        let first_attr = records.attrs.len() as u32;
        let mut fields = [Value::Null; record::columns(Signal::Logs).len()];
        let (number, text) = severity(line.level);
        fields[log::TIMESTAMP] = Value::Int(line.time_ns);
        fields[log::OBSERVED_TIMESTAMP] = Value::Int(line.time_ns);
        fields[log::SEVERITY_NUMBER] = Value::Int(number);
        fields[log::SEVERITY_TEXT] = Value::Text(records.push_text(text));
        fields[log::BODY] = Value::Text(records.push_text(&line.message));
        if let Some(context) = line.context {
            fields[log::TRACE_ID] = Value::Bytes(records.push_text(context.trace_id));
            fields[log::SPAN_ID] = Value::Bytes(records.push_text(context.span_id));
        }
        let target = Value::Text(records.push_text(line.target));
        records.push_attr("code.namespace", target);
        push_fields(&mut records, &line.fields);
        records.push_row(index as u32, resource, first_attr, &fields);
    }
    records
}

/// Spans as records.
pub(crate) fn spans_to_records(spans: &[OwnSpan], host: &str) -> Records {
    let mut records = Records::new(Signal::Traces);
    let resource = own_resource(&mut records, host);
    for (index, own) in spans.iter().enumerate() {
        let first_attr = records.attrs.len() as u32;
        let mut fields = [Value::Null; record::columns(Signal::Traces).len()];
        fields[span::START] = Value::Int(own.start_ns);
        fields[span::DURATION] = Value::Int(own.duration_ns);
        fields[span::TRACE_ID] = Value::Bytes(records.push_text(own.context.trace_id));
        fields[span::SPAN_ID] = Value::Bytes(records.push_text(own.context.span_id));
        if let Some(parent) = own.parent {
            fields[span::PARENT_SPAN_ID] = Value::Bytes(records.push_text(parent));
        }
        let kind = if own.is_request { "server" } else { "internal" };
        let name = name(own);
        fields[span::NAME] = Value::Text(records.push_text(name));
        fields[span::KIND] = Value::Text(records.push_text(kind));
        let status = if failed(own) { "error" } else { "unset" };
        fields[span::STATUS_CODE] = Value::Text(records.push_text(status));
        push_fields(&mut records, &own.fields);
        records.push_row(index as u32, resource, first_attr, &fields);
    }
    records
}

/// Method and route of a request; the name that a task has.
fn name(own: &OwnSpan) -> String {
    let text = |wanted: &str| {
        own.fields.iter().find_map(|(name, value)| match value {
            FieldValue::Text(text) if *name == wanted => Some(text.as_str()),
            _ => None,
        })
    };
    match (text("http.request.method"), text("http.route")) {
        (Some(method), Some(route)) if own.is_request => format!("{method} {route}"),
        _ => own.name.clone(),
    }
}

/// A request that we could not serve.
fn failed(own: &OwnSpan) -> bool {
    own.fields.iter().any(
        |(name, value)| matches!(value, FieldValue::Int(s) if *name == "http.response.status_code" && *s >= 500),
    )
}

fn own_resource(records: &mut Records, host: &str) -> u32 {
    let pairs =
        [("service.name", SERVICE), ("service.version", env!("CARGO_PKG_VERSION")), ("host.name", host)];
    for (key, value) in pairs {
        let value = Value::Text(records.push_text(value));
        records.push_attr(key, value);
    }
    records.end_resource(0)
}

fn push_fields(records: &mut Records, fields: &[(&'static str, FieldValue)]) {
    for (name, value) in fields {
        let value = match value {
            FieldValue::Bool(value) => Value::Bool(*value),
            FieldValue::Int(value) => Value::Int(*value),
            FieldValue::Double(value) => Value::Double(*value),
            FieldValue::Text(text) => Value::Text(records.push_text(text)),
        };
        records.push_attr(name, value);
    }
}

/// Number and text as OpenTelemetry has them.
fn severity(level: tracing::Level) -> (i64, &'static str) {
    match level {
        tracing::Level::ERROR => (17, "ERROR"),
        tracing::Level::WARN => (13, "WARN"),
        tracing::Level::INFO => (9, "INFO"),
        tracing::Level::DEBUG => (5, "DEBUG"),
        tracing::Level::TRACE => (1, "TRACE"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own::TraceContext;

    #[test]
    fn a_request_is_named_by_method_and_route_and_fails_with_a_server_error() {
        let context = TraceContext { trace_id: [1; 16], span_id: [2; 8], sampled: true };
        let own = OwnSpan {
            start_ns: 5,
            duration_ns: 7,
            name: "request".into(),
            context,
            parent: None,
            fields: vec![
                ("http.request.method", FieldValue::Text("GET".into())),
                ("http.route", FieldValue::Text("/api/v1/query".into())),
                ("http.response.status_code", FieldValue::Int(503)),
            ],
            is_request: true,
        };
        let records = spans_to_records(&[own], "here");
        let fields = records.fields_of(0);
        assert_eq!(records.text_of(fields[span::NAME]), Some("GET /api/v1/query"));
        assert_eq!(records.text_of(fields[span::STATUS_CODE]), Some("error"));
        assert_eq!(fields[span::PARENT_SPAN_ID], Value::Null);
    }
}
