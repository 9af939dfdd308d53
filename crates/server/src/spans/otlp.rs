//! Spans as OTLP/JSON: hexadecimal ids and numbers for enums as its specification says, or Base64 ids and names as
//! Tempo's JSON has them.

pub(crate) mod answers; // what they look like

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use query::traces::{Attributes, SpanData, SpanEvent, SpanKind, SpanLink, SpanStatus, hex};
use serde_json::{Map, Value, json};

/// How ids and enums are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// As OTLP's specification says.
    Otlp,
    /// As Tempo does.
    Tempo,
}

/// Attributes in which rows keep what OTLP has fields for.
pub(super) const SCOPE_NAME: &str = "otel.scope.name";
pub(super) const SCOPE_VERSION: &str = "otel.scope.version";
pub(super) const TRACE_STATE: &str = "trace_state";

/// Spans of one resource.
pub(super) struct OfResource<'a> {
    pub(super) resource: &'a Attributes,
    pub(super) scopes: Vec<OfScope<'a>>,
}

/// Spans that one library made.
pub(super) struct OfScope<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) spans: Vec<&'a SpanData>,
}

/// Puts spans of the same resource and library together, in the order of their first.
pub(super) fn grouped<'a>(spans: impl IntoIterator<Item = &'a SpanData>) -> Vec<OfResource<'a>> {
    let mut groups: Vec<OfResource<'a>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for span in spans {
        let key = serde_json::to_string(&*span.resource).unwrap_or_default();
        let place = *places.entry(key).or_insert_with(|| {
            groups.push(OfResource { resource: &span.resource, scopes: Vec::new() });
            groups.len() - 1
        });
        let scopes = &mut groups[place].scopes;
        let (name, version) = (text(span, SCOPE_NAME), text(span, SCOPE_VERSION));
        match scopes.iter_mut().find(|scope| scope.name == name && scope.version == version) {
            Some(scope) => scope.spans.push(span),
            None => scopes.push(OfScope { name, version, spans: vec![span] }),
        }
    }
    groups
}

/// A text among a span's attributes.
pub(super) fn text<'a>(span: &'a SpanData, key: &str) -> &'a str {
    span.attributes.get(key).and_then(Value::as_str).unwrap_or("")
}

/// Attributes without those that have fields of their own.
pub(super) fn own_attributes(span: &SpanData) -> impl Iterator<Item = (&String, &Value)> {
    span.attributes
        .iter()
        .filter(|(key, _)| ![SCOPE_NAME, SCOPE_VERSION, TRACE_STATE].contains(&key.as_str()))
}

/// The elements of `resourceSpans`.
pub(crate) fn resource_spans<'a>(
    spans: impl IntoIterator<Item = &'a SpanData>,
    flavour: Flavour,
) -> Vec<Value> {
    let scope_json = |scope: &OfScope<'_>| {
        let spans: Vec<Value> = scope.spans.iter().map(|span| span_json(span, flavour)).collect();
        let mut named = Map::new();
        put(&mut named, "name", scope.name);
        put(&mut named, "version", scope.version);
        json!({ "scope": named, "spans": spans })
    };
    let group_json = |group: &OfResource<'_>| {
        json!({
            "resource": { "attributes": attributes(group.resource.iter()) },
            "scopeSpans": group.scopes.iter().map(scope_json).collect::<Vec<_>>(),
        })
    };
    grouped(spans).iter().map(group_json).collect()
}

fn put(object: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        object.insert(key.to_owned(), text.into());
    }
}

fn id(bytes: &[u8], flavour: Flavour) -> Value {
    match flavour {
        Flavour::Otlp => hex(bytes).into(),
        Flavour::Tempo => STANDARD.encode(bytes).into(),
    }
}

fn span_json(span: &SpanData, flavour: Flavour) -> Value {
    let mut object = Map::new();
    object.insert("traceId".into(), id(&span.trace_id, flavour));
    object.insert("spanId".into(), id(&span.span_id, flavour));
    if let Some(parent) = &span.parent_span_id {
        object.insert("parentSpanId".into(), id(parent, flavour));
    }
    put(&mut object, "traceState", text(span, TRACE_STATE));
    object.insert("name".into(), span.name.as_ref().into());
    object.insert("kind".into(), kind(span.kind, flavour));
    object.insert("startTimeUnixNano".into(), span.start_ns.max(0).to_string().into());
    object.insert("endTimeUnixNano".into(), span.end_ns().max(0).to_string().into());
    object.insert("attributes".into(), attributes(own_attributes(span)));
    if !span.events.is_empty() {
        object.insert("events".into(), span.events.iter().map(event).collect());
    }
    if !span.links.is_empty() {
        object.insert("links".into(), span.links.iter().map(|one| link(one, flavour)).collect());
    }
    let mut status = Map::new();
    put(&mut status, "message", &span.status_message);
    if span.status != SpanStatus::Unset {
        status.insert("code".into(), status_code(span.status, flavour));
    }
    object.insert("status".into(), status.into());
    Value::Object(object)
}

fn event(event: &SpanEvent) -> Value {
    json!({
        "timeUnixNano": event.time_ns.max(0).to_string(),
        "name": event.name,
        "attributes": attributes(event.attributes.iter()),
    })
}

fn link(link: &SpanLink, flavour: Flavour) -> Value {
    json!({
        "traceId": id(&link.trace_id, flavour),
        "spanId": id(&link.span_id, flavour),
        "attributes": attributes(link.attributes.iter()),
    })
}

/// OpenTelemetry's number of a kind.
pub(super) fn kind_number(kind: SpanKind) -> usize {
    SpanKind::ALL.iter().position(|one| *one == kind).unwrap_or(0)
}

/// OpenTelemetry's number of a status.
pub(super) fn status_number(status: SpanStatus) -> usize {
    SpanStatus::ALL.iter().position(|one| *one == status).unwrap_or(0)
}

fn kind(kind: SpanKind, flavour: Flavour) -> Value {
    match flavour {
        Flavour::Otlp => kind_number(kind).into(),
        Flavour::Tempo => format!("SPAN_KIND_{}", kind.as_str().to_uppercase()).into(),
    }
}

fn status_code(status: SpanStatus, flavour: Flavour) -> Value {
    match flavour {
        Flavour::Otlp => status_number(status).into(),
        Flavour::Tempo => format!("STATUS_CODE_{}", status.as_str().to_uppercase()).into(),
    }
}

/// Attributes as a list of keys and values.
pub(crate) fn attributes<'a>(from: impl Iterator<Item = (&'a String, &'a Value)>) -> Value {
    from.filter(|(_, value)| !value.is_null())
        .map(|(key, value)| json!({ "key": key, "value": any_value(value) }))
        .collect()
}

/// A value with its kind; 64-bit integers are texts.
pub(crate) fn any_value(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(b) => json!({ "boolValue": b }),
        Value::Number(n) => match n.as_i64() {
            Some(n) => json!({ "intValue": n.to_string() }),
            None => json!({ "doubleValue": n }),
        },
        Value::String(text) => json!({ "stringValue": text }),
        Value::Array(all) => {
            json!({ "arrayValue": { "values": all.iter().map(any_value).collect::<Vec<_>>() } })
        }
        Value::Object(all) => json!({ "kvlistValue": { "values": attributes(all.iter()) } }),
    }
}
