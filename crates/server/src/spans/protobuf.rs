//! Spans as `opentelemetry.proto.trace.v1.TracesData`, field by field.

use query::traces::{SpanData, SpanEvent, SpanLink};
use serde_json::Value;

use super::otlp::{
    OfResource, OfScope, TRACE_STATE, grouped, kind_number, own_attributes, status_number, text,
};

/// A message being written.
#[derive(Debug, Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, number: u32, wire_type: u32) {
        self.raw_varint(u64::from(number << 3 | wire_type));
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// An integer; zero is left out.
    fn varint(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.key(number, 0);
            self.raw_varint(value);
        }
    }

    /// Eight bytes; zero is left out.
    fn fixed64(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.key(number, 1);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// A text or bytes, also when empty.
    fn bytes(&mut self, number: u32, value: &[u8]) {
        self.key(number, 2);
        self.raw_varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A text; an empty one is left out.
    fn text(&mut self, number: u32, value: &str) {
        if !value.is_empty() {
            self.bytes(number, value.as_bytes());
        }
    }

    /// A message in this one.
    pub(crate) fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(number, &inner.0);
    }

    /// The bytes of the message.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Writes `resource_spans`, field 1 of `TracesData` and of Tempo's `Trace`.
pub(crate) fn write_traces<'a>(spans: impl IntoIterator<Item = &'a SpanData>, to: &mut Message) {
    for group in grouped(spans) {
        to.message(1, |to| write_group(&group, to));
    }
}

fn write_group(group: &OfResource<'_>, to: &mut Message) {
    to.message(1, |to| write_attributes(1, group.resource.iter(), to));
    for scope in &group.scopes {
        to.message(2, |to| write_scope(scope, to));
    }
}

fn write_scope(scope: &OfScope<'_>, to: &mut Message) {
    to.message(1, |to| {
        to.text(1, scope.name);
        to.text(2, scope.version);
    });
    for span in &scope.spans {
        to.message(2, |to| write_span(span, to));
    }
}

fn write_span(span: &SpanData, to: &mut Message) {
    to.bytes(1, &span.trace_id);
    to.bytes(2, &span.span_id);
    to.text(3, text(span, TRACE_STATE));
    if let Some(parent) = &span.parent_span_id {
        to.bytes(4, parent);
    }
    to.text(5, &span.name);
    to.varint(6, kind_number(span.kind) as u64);
    to.fixed64(7, span.start_ns.max(0) as u64);
    to.fixed64(8, span.end_ns().max(0) as u64);
    write_attributes(9, own_attributes(span), to);
    for event in &span.events {
        to.message(11, |to| write_event(event, to));
    }
    for link in &span.links {
        to.message(13, |to| write_link(link, to));
    }
    to.message(15, |to| {
        to.text(2, &span.status_message);
        to.varint(3, status_number(span.status) as u64);
    });
}

fn write_event(event: &SpanEvent, to: &mut Message) {
    to.fixed64(1, event.time_ns.max(0) as u64);
    to.text(2, &event.name);
    write_attributes(3, event.attributes.iter(), to);
}

fn write_link(link: &SpanLink, to: &mut Message) {
    to.bytes(1, &link.trace_id);
    to.bytes(2, &link.span_id);
    write_attributes(4, link.attributes.iter(), to);
}

fn write_attributes<'a>(
    number: u32,
    attributes: impl Iterator<Item = (&'a String, &'a Value)>,
    to: &mut Message,
) {
    for (key, value) in attributes.filter(|(_, value)| !value.is_null()) {
        to.message(number, |to| {
            to.bytes(1, key.as_bytes());
            to.message(2, |to| write_value(value, to));
        });
    }
}

/// Which of the fields is there says the kind, so that none is left out for being zero.
fn write_value(value: &Value, to: &mut Message) {
    match value {
        Value::Null => {}
        Value::Bool(b) => {
            to.key(2, 0);
            to.raw_varint(u64::from(*b));
        }
        Value::Number(n) => match n.as_i64() {
            Some(n) => {
                to.key(3, 0);
                to.raw_varint(n as u64);
            }
            None => {
                to.key(4, 1);
                to.0.extend_from_slice(&n.as_f64().unwrap_or(0.0).to_le_bytes());
            }
        },
        Value::String(text) => to.bytes(1, text.as_bytes()),
        Value::Array(all) => to.message(5, |to| {
            all.iter().for_each(|value| to.message(1, |to| write_value(value, to)));
        }),
        Value::Object(all) => to.message(6, |to| write_attributes(1, all.iter(), to)),
    }
}

#[cfg(test)]
mod tests {
    use ingest::otlp::Encoding;
    use ingest::records::Context;
    use query::traces::{SpanKind, SpanStatus};
    use serde_json::json;

    use super::super::otlp::{Flavour, resource_spans};
    use super::*;

    fn span() -> SpanData {
        let object = |json: Value| json.as_object().unwrap().clone();
        SpanData {
            trace_id: [1; 16],
            span_id: [2; 8],
            parent_span_id: Some([3; 8]),
            name: "get".into(),
            service: "api".into(),
            kind: SpanKind::Client,
            status: SpanStatus::Error,
            status_message: "broken".into(),
            start_ns: 1_700_000_000_000_000_000,
            duration_ns: 5,
            attributes: object(json!({
                "b": false, "f": 2.5, "i": -7, "l": [1, "x", {"k": true}], "otel.scope.name": "lib", "t": "",
                "trace_state": "a=1",
            })),
            resource: std::sync::Arc::new(object(json!({"n": 0, "service.name": "api"}))),
            events: vec![SpanEvent { time_ns: 11, name: "e".into(), attributes: object(json!({"k": 1})) }],
            links: vec![SpanLink { trace_id: [4; 16], span_id: [5; 8], attributes: object(json!({})) }],
        }
    }

    /// What we write, our own intake reads: the same rows from both encodings.
    #[test]
    fn both_encodings_say_the_same() {
        let span = span();
        let mut message = Message::default();
        write_traces([&span], &mut message);
        let json = json!({ "resourceSpans": resource_spans([&span], Flavour::Otlp) });
        let context = Context { received_at_ns: 0 };
        let decode = |body: Vec<u8>, encoding| {
            let decoded = ingest::otlp::traces::decode(body, encoding, &context).unwrap();
            assert!(decoded.refusals.is_empty(), "{:?}", decoded.refusals);
            query::StoredSpans::of_slices(vec![store::rows::Slice::of_records(&decoded.records)])
        };
        for source in [
            decode(message.finish(), Encoding::Protobuf),
            decode(serde_json::to_vec(&json).unwrap(), Encoding::Json),
        ] {
            let found = query::traces::load_traces(
                &source,
                &[span.trace_id],
                (0, i64::MAX),
                &query::traces::Want::everything(),
                &query::Control::default(),
            )
            .unwrap();
            assert_eq!(found[0].spans, std::slice::from_ref(&span));
        }
    }

    #[test]
    fn tempo_writes_ids_in_base_64_and_names_for_enums() {
        let json = resource_spans([&span()], Flavour::Tempo);
        let span = &json[0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["spanId"], "AgICAgICAgI=");
        assert_eq!(span["kind"], "SPAN_KIND_CLIENT");
        assert_eq!(span["status"]["code"], "STATUS_CODE_ERROR");
    }
}
