//! OTLP/JSON: proto3's JSON with ids in hexadecimal and enumerations as numbers. Defaults are left out.

use model::Signal;
use serde_json::{Map, Value as Json, json};

use super::Group;
use super::item::{Any, Attrs, Event, Fields, Item, Link, LogFields, SpanFields};
use crate::records::write_hex;

pub(super) fn encode(signal: Signal, groups: &[Group<'_>]) -> Vec<u8> {
    let (resources, scopes, items) = match signal {
        Signal::Traces => ("resourceSpans", "scopeSpans", "spans"),
        _ => ("resourceLogs", "scopeLogs", "logRecords"),
    };
    let of_resource = |group: &Group<'_>| {
        let of_scope = |scope: &super::ScopeGroup<'_>| {
            let mut fields = Object::default();
            fields.text("name", scope.name);
            fields.text("version", scope.version);
            json!({ "scope": fields.0, items: scope.items.iter().map(item).collect::<Vec<_>>() })
        };
        let scopes_of: Vec<Json> = group.scopes.iter().map(of_scope).collect();
        json!({ "resource": { "attributes": attributes(&group.resource) }, scopes: scopes_of })
    };
    json!({ resources: groups.iter().map(of_resource).collect::<Vec<_>>() }).to_string().into_bytes()
}

/// A message under construction.
#[derive(Default)]
struct Object(Map<String, Json>);

impl Object {
    fn set(&mut self, key: &str, value: Json) {
        self.0.insert(key.into(), value);
    }

    fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.set(key, text.into());
        }
    }

    /// Up to 32 bits.
    fn number(&mut self, key: &str, number: u32) {
        if number != 0 {
            self.set(key, number.into());
        }
    }

    /// 64 bits, which JSON's readers may not hold as a number.
    fn long(&mut self, key: &str, number: u64) {
        if number != 0 {
            self.set(key, number.to_string().into());
        }
    }

    fn id(&mut self, key: &str, id: &[u8]) {
        if !id.is_empty() {
            let mut hex = Vec::with_capacity(2 * id.len());
            write_hex(&mut hex, id);
            self.set(key, String::from_utf8(hex).unwrap_or_default().into());
        }
    }

    fn list(&mut self, key: &str, list: Vec<Json>) {
        if !list.is_empty() {
            self.set(key, list.into());
        }
    }
}

fn item(item: &Item<'_>) -> Json {
    let mut out = Object::default();
    out.id("traceId", item.trace_id);
    out.id("spanId", item.span_id);
    out.list("attributes", attributes(&item.attrs));
    out.number("droppedAttributesCount", item.dropped_attributes);
    match &item.fields {
        Fields::Log(fields) => log(&mut out, fields),
        Fields::Span(fields) => span(&mut out, fields),
    }
    out.0.into()
}

fn log(out: &mut Object, fields: &LogFields<'_>) {
    out.long("timeUnixNano", fields.time_ns);
    out.long("observedTimeUnixNano", fields.observed_ns);
    out.number("severityNumber", fields.severity_number.into());
    out.text("severityText", fields.severity_text);
    if let Some(body) = fields.body {
        out.set("body", any(&Any::Text(body)));
    }
    out.number("flags", fields.flags);
    out.text("eventName", fields.event_name);
}

fn span(out: &mut Object, fields: &SpanFields<'_>) {
    out.text("traceState", fields.trace_state);
    out.id("parentSpanId", fields.parent_span_id);
    out.text("name", fields.name);
    out.number("kind", fields.kind.into());
    out.long("startTimeUnixNano", fields.start_ns);
    out.long("endTimeUnixNano", fields.end_ns);
    out.list("events", fields.events.iter().map(event).collect());
    out.number("droppedEventsCount", fields.dropped_events);
    out.list("links", fields.links.iter().map(link).collect());
    out.number("droppedLinksCount", fields.dropped_links);
    let mut status = Object::default();
    status.text("message", fields.status_message);
    status.number("code", fields.status_code.into());
    out.set("status", status.0.into());
}

fn event(from: &Event) -> Json {
    let mut out = Object::default();
    out.long("timeUnixNano", from.time_ns);
    out.text("name", &from.name);
    out.list("attributes", map(&from.attrs));
    out.number("droppedAttributesCount", from.dropped_attributes);
    out.0.into()
}

fn link(from: &Link) -> Json {
    let mut out = Object::default();
    out.id("traceId", &from.trace_id);
    out.id("spanId", &from.span_id);
    out.text("traceState", &from.trace_state);
    out.list("attributes", map(&from.attrs));
    out.number("droppedAttributesCount", from.dropped_attributes);
    out.0.into()
}

fn attributes(attributes: &Attrs<'_>) -> Vec<Json> {
    attributes.iter().map(|(key, value)| json!({ "key": key, "value": any(value) })).collect()
}

fn map(members: &Map<String, Json>) -> Vec<Json> {
    members.iter().map(|(key, value)| json!({ "key": key, "value": nested(value) })).collect()
}

fn any(value: &Any<'_>) -> Json {
    match value {
        Any::Text(text) => json!({ "stringValue": text }),
        Any::Bool(value) => json!({ "boolValue": value }),
        Any::Int(value) => json!({ "intValue": value.to_string() }),
        Any::Double(value) => json!({ "doubleValue": double(*value) }),
        Any::Json(value) => nested(value),
    }
}

/// A value inside an array or map. Its depth is that of parsed JSON, which is bounded.
fn nested(value: &Json) -> Json {
    match value {
        Json::Null => json!({}),
        Json::Bool(value) => json!({ "boolValue": value }),
        Json::Number(number) => match number.as_i64() {
            Some(int) => json!({ "intValue": int.to_string() }),
            None => json!({ "doubleValue": number }),
        },
        Json::String(text) => json!({ "stringValue": text }),
        Json::Array(values) => {
            json!({ "arrayValue": { "values": values.iter().map(nested).collect::<Vec<_>>() } })
        }
        Json::Object(members) => json!({ "kvlistValue": { "values": map(members) } }),
    }
}

fn double(value: f64) -> Json {
    match value {
        v if v.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        v => v.into(),
    }
}
