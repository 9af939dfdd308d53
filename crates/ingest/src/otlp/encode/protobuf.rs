//! OTLP/protobuf.

use serde_json::Value as Json;

use super::Group;
use super::item::{Any, Attrs, Event, Fields, Item, Link, LogFields, SpanFields};
use crate::wire::Writer;

pub(super) fn encode(groups: &[Group<'_>]) -> Vec<u8> {
    let mut request = Writer::default();
    for group in groups {
        let mut of_resource = Writer::default();
        let mut resource = Writer::default();
        attributes(&mut resource, 1, &group.resource);
        of_resource.message(1, &resource);
        for scope in &group.scopes {
            let mut of_scope = Writer::default();
            let mut fields = Writer::default();
            fields.bytes(1, scope.name.as_bytes());
            fields.bytes(2, scope.version.as_bytes());
            of_scope.bytes(1, &fields.0);
            for item in &scope.items {
                of_scope.message(2, &encode_item(item));
            }
            of_resource.message(2, &of_scope);
        }
        request.message(1, &of_resource);
    }
    request.0
}

fn encode_item(item: &Item<'_>) -> Writer {
    match &item.fields {
        Fields::Log(fields) => log(item, fields),
        Fields::Span(fields) => span(item, fields),
    }
}

fn log(item: &Item<'_>, fields: &LogFields<'_>) -> Writer {
    let mut out = Writer::default();
    out.fixed64(1, fields.time_ns);
    out.varint(2, fields.severity_number.into());
    out.bytes(3, fields.severity_text.as_bytes());
    if let Some(body) = fields.body {
        out.message(5, &any(&Any::Text(body)));
    }
    attributes(&mut out, 6, &item.attrs);
    out.varint(7, item.dropped_attributes.into());
    out.fixed32(8, fields.flags);
    out.bytes(9, item.trace_id);
    out.bytes(10, item.span_id);
    out.fixed64(11, fields.observed_ns);
    out.bytes(12, fields.event_name.as_bytes());
    out
}

fn span(item: &Item<'_>, fields: &SpanFields<'_>) -> Writer {
    let mut out = Writer::default();
    out.bytes(1, item.trace_id);
    out.bytes(2, item.span_id);
    out.bytes(3, fields.trace_state.as_bytes());
    out.bytes(4, fields.parent_span_id);
    out.bytes(5, fields.name.as_bytes());
    out.varint(6, fields.kind.into());
    out.fixed64(7, fields.start_ns);
    out.fixed64(8, fields.end_ns);
    attributes(&mut out, 9, &item.attrs);
    out.varint(10, item.dropped_attributes.into());
    for of in &fields.events {
        out.message(11, &event(of));
    }
    out.varint(12, fields.dropped_events.into());
    for of in &fields.links {
        out.message(13, &link(of));
    }
    out.varint(14, fields.dropped_links.into());
    let mut status = Writer::default();
    status.bytes(2, fields.status_message.as_bytes());
    status.varint(3, fields.status_code.into());
    out.bytes(15, &status.0);
    out
}

fn event(from: &Event) -> Writer {
    let mut out = Writer::default();
    out.fixed64(1, from.time_ns);
    out.bytes(2, from.name.as_bytes());
    for (key, value) in &from.attrs {
        out.message(3, &key_value(key, &json(value)));
    }
    out.varint(4, from.dropped_attributes.into());
    out
}

fn link(from: &Link) -> Writer {
    let mut out = Writer::default();
    out.bytes(1, &from.trace_id);
    out.bytes(2, &from.span_id);
    out.bytes(3, from.trace_state.as_bytes());
    for (key, value) in &from.attrs {
        out.message(4, &key_value(key, &json(value)));
    }
    out.varint(5, from.dropped_attributes.into());
    out
}

fn attributes(out: &mut Writer, number: u32, attributes: &Attrs<'_>) {
    for (key, value) in attributes {
        out.message(number, &key_value(key, &any(value)));
    }
}

fn key_value(key: &str, value: &Writer) -> Writer {
    let mut out = Writer::default();
    out.bytes(1, key.as_bytes());
    out.message(2, value);
    out
}

fn any(value: &Any<'_>) -> Writer {
    let mut out = Writer::default();
    match value {
        Any::Text(text) => out.some_bytes(1, text.as_bytes()),
        Any::Bool(value) => out.some_varint(2, u64::from(*value)),
        Any::Int(value) => out.some_varint(3, *value as u64),
        Any::Double(value) => out.some_double(4, *value),
        Any::Json(value) => return json(value),
    }
    out
}

/// A value inside an array or map. Its depth is that of parsed JSON, which is bounded.
fn json(value: &Json) -> Writer {
    let mut out = Writer::default();
    match value {
        Json::Null => {}
        Json::Bool(value) => out.some_varint(2, u64::from(*value)),
        Json::Number(number) => match number.as_i64() {
            Some(int) => out.some_varint(3, int as u64),
            None => out.some_double(4, number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => out.some_bytes(1, text.as_bytes()),
        Json::Array(values) => {
            let mut list = Writer::default();
            for value in values {
                list.message(1, &json(value));
            }
            out.message(5, &list);
        }
        Json::Object(members) => {
            let mut map = Writer::default();
            for (key, value) in members {
                map.message(1, &key_value(key, &json(value)));
            }
            out.message(6, &map);
        }
    }
    out
}
