//! Traces in Jaeger's JSON.

use std::collections::BTreeMap;

use query::traces::{Attributes, SERVICE_NAME, SpanData, SpanKind, SpanStatus, Trace, hex};
use serde_json::{Map, Value, json};

/// Jaeger's word for a kind: nothing for none.
pub(super) fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "",
        kind => kind.as_str(),
    }
}

/// A trace with its spans and the processes that made them.
pub(super) fn trace_json(trace: &Trace) -> Value {
    let mut numbers: BTreeMap<String, String> = BTreeMap::new();
    let mut processes = Map::new();
    let mut spans = Vec::with_capacity(trace.spans.len());
    for span in &trace.spans {
        let key = serde_json::to_string(&*span.resource).unwrap_or_default();
        let next = format!("p{}", numbers.len() + 1);
        let process = numbers.entry(key).or_insert_with(|| {
            let tags = tags(span.resource.iter().filter(|(key, _)| *key != SERVICE_NAME));
            let process = json!({ "serviceName": &*span.service, "tags": tags });
            processes.insert(next.clone(), process);
            next
        });
        spans.push(span_json(span, process));
    }
    let trace_id = hex(&trace.trace_id);
    json!({ "traceID": trace_id, "spans": spans, "processes": processes, "warnings": null })
}

fn span_json(span: &SpanData, process: &str) -> Value {
    let trace_id = hex(&span.trace_id);
    let mut references = Vec::new();
    if let Some(parent) = &span.parent_span_id {
        references.push(json!({ "refType": "CHILD_OF", "traceID": trace_id, "spanID": hex(parent) }));
    }
    for link in &span.links {
        let (trace_id, span_id) = (hex(&link.trace_id), hex(&link.span_id));
        references.push(json!({ "refType": "FOLLOWS_FROM", "traceID": trace_id, "spanID": span_id }));
    }
    let logs: Vec<Value> = span
        .events
        .iter()
        .map(|event| {
            let mut fields = vec![tag("event", &event.name.as_str().into())];
            fields.extend(event.attributes.iter().map(|(key, value)| tag(key, value)));
            json!({ "timestamp": event.time_ns / 1000, "fields": fields })
        })
        .collect();
    json!({
        "traceID": trace_id,
        "spanID": hex(&span.span_id),
        "flags": 1,
        "operationName": &*span.name,
        "references": references,
        "startTime": span.start_ns / 1000,
        "duration": span.duration_ns / 1000,
        "tags": span_tags(span),
        "logs": logs,
        "processID": process,
        "warnings": null,
    })
}

/// The span's attributes, and its kind and status as Jaeger keeps them.
fn span_tags(span: &SpanData) -> Vec<Value> {
    let mut all = tags(span.attributes.iter());
    let mut add = |key: &str, value: Value| {
        if !span.attributes.contains_key(key) {
            all.push(tag(key, &value));
        }
    };
    if span.kind != SpanKind::Unspecified {
        add("span.kind", kind(span.kind).into());
    }
    match span.status {
        SpanStatus::Unset => {}
        SpanStatus::Ok => add("otel.status_code", "OK".into()),
        SpanStatus::Error => {
            add("otel.status_code", "ERROR".into());
            add("error", true.into());
        }
    }
    if !span.status_message.is_empty() {
        add("otel.status_description", (*span.status_message).into());
    }
    all
}

fn tags<'a>(attributes: impl Iterator<Item = (&'a String, &'a Value)>) -> Vec<Value> {
    attributes.map(|(key, value)| tag(key, value)).collect()
}

fn tag(key: &str, value: &Value) -> Value {
    let kind = match value {
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        _ => "string",
    };
    match value {
        Value::Array(_) | Value::Object(_) | Value::Null => {
            json!({ "key": key, "type": kind, "value": value.to_string() })
        }
        value => json!({ "key": key, "type": kind, "value": value }),
    }
}

/// Attributes that are only texts in a JSON object of a parameter.
pub(super) fn text_map(json: &str) -> Option<Attributes> {
    serde_json::from_str(json).ok()
}
