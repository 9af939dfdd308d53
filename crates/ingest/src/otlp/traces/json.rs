//! OTLP/JSON: the messages of `ExportTraceServiceRequest` as JSON names their fields.

use model::{Signal, Value};
use serde::{Deserialize, Deserializer};

use super::{Context, SpanIn, bad_id, push};
use crate::otlp::any_value::NoText;
use crate::otlp::json::{
    self, Alone, Item, KeyValue, Mode, Resource, Scalar, Scope, Text, U64, Whole, begin_resource,
    begin_scope, or_default,
};
use crate::otlp::sink::{BadItem, Sink, int};
use crate::records::{KINDS, STATUS_CODES, SpanLists, id_of_hex};
use crate::{DecodeError, DecodedRecords};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "M: Mode")]
struct Request<'a, M> {
    #[serde(borrow, deserialize_with = "or_default")]
    resource_spans: Vec<ResourceSpans<'a, M>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "M: Mode")]
struct ResourceSpans<'a, M> {
    #[serde(borrow, deserialize_with = "or_default")]
    resource: Resource<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    scope_spans: Vec<ScopeSpans<'a, M>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "M: Mode")]
struct ScopeSpans<'a, M> {
    #[serde(borrow, deserialize_with = "or_default")]
    scope: Scope<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    spans: Vec<Item<SpanJson<'a>, M>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SpanJson<'a> {
    #[serde(borrow, deserialize_with = "or_default")]
    trace_id: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    span_id: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    trace_state: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    parent_span_id: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    name: Text<'a>,
    kind: Kind,
    start_time_unix_nano: U64,
    end_time_unix_nano: U64,
    #[serde(borrow, deserialize_with = "or_default")]
    attributes: Vec<KeyValue<'a>>,
    dropped_attributes_count: U64,
    #[serde(borrow, deserialize_with = "or_default")]
    events: Vec<Event<'a>>,
    dropped_events_count: U64,
    #[serde(borrow, deserialize_with = "or_default")]
    links: Vec<Link<'a>>,
    dropped_links_count: U64,
    #[serde(borrow, deserialize_with = "or_default")]
    status: Status<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Event<'a> {
    time_unix_nano: U64,
    #[serde(borrow, deserialize_with = "or_default")]
    name: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    attributes: Vec<KeyValue<'a>>,
    dropped_attributes_count: U64,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Link<'a> {
    #[serde(borrow, deserialize_with = "or_default")]
    trace_id: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    span_id: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    trace_state: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    attributes: Vec<KeyValue<'a>>,
    dropped_attributes_count: U64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status<'a> {
    #[serde(borrow, deserialize_with = "or_default")]
    message: Text<'a>,
    code: StatusCode,
}

#[derive(Clone, Copy, Debug, Default)]
struct Kind(u64);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Scalar::deserialize(deserializer).map(|scalar| Self(code(&scalar, "SPAN_KIND_", &KINDS)))
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct StatusCode(u64);

impl<'de> Deserialize<'de> for StatusCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Scalar::deserialize(deserializer).map(|scalar| Self(code(&scalar, "STATUS_CODE_", &STATUS_CODES)))
    }
}

/// An enumeration by number or by name; 0 for what is neither.
fn code(scalar: &Scalar, prefix: &str, names: &[&str]) -> u64 {
    match scalar {
        Scalar::Unsigned(number) => *number,
        Scalar::Text(text) => {
            let name = text.strip_prefix(prefix).unwrap_or(text);
            let at = names.iter().position(|known| known.eq_ignore_ascii_case(name));
            at.map(|at| at as u64).or_else(|| text.parse().ok()).unwrap_or(0)
        }
        _ => 0,
    }
}

pub(super) fn decode(body: &[u8], context: &Context) -> Result<DecodedRecords, DecodeError> {
    let size = body.len();
    json::read(
        body,
        |whole: Request<'_, Whole>| rows(&whole, size, context),
        |alone: Request<'_, Alone>| rows(&alone, size, context),
    )
}

fn rows<M: Mode>(
    request: &Request<'_, M>,
    size: usize,
    context: &Context,
) -> Result<DecodedRecords, DecodeError> {
    let mut sink = Sink::new(Signal::Traces, &[], size, context);
    let mut lists = SpanLists::default();
    for resource in &request.resource_spans {
        begin_resource(&mut sink, &resource.resource);
        for scope in &resource.scope_spans {
            begin_scope(&mut sink, &scope.scope);
            for span in &scope.spans {
                let first = sink.begin_item()?;
                if let Err(bad) = span.get().and_then(|span| read(span, &mut sink, first, &mut lists)) {
                    sink.refuse(first, bad);
                }
            }
        }
    }
    Ok(sink.finish())
}

fn read(from: &SpanJson<'_>, sink: &mut Sink<'_>, first: u32, lists: &mut SpanLists) -> Result<(), BadItem> {
    let trace_id = sink.hex_id::<16>(&from.trace_id.0);
    if trace_id == Value::Null {
        return Err(bad_id("traceId", &crate::decoded::shown(from.trace_id.0.as_bytes()), 16));
    }
    let span_id = sink.hex_id::<8>(&from.span_id.0);
    if span_id == Value::Null {
        return Err(bad_id("spanId", &crate::decoded::shown(from.span_id.0.as_bytes()), 8));
    }
    json::item_attrs(sink, &from.attributes)?;
    lists.clear();
    for event in &from.events {
        let out = lists.begin_event(int(event.time_unix_nano.0), event.name.0.as_bytes());
        let written = json::write_attrs(out, &event.attributes);
        written.map_err(|error: NoText| BadItem::new("events", &error))?;
        SpanLists::end(out, int(event.dropped_attributes_count.0));
    }
    for link in &from.links {
        let ids = (id_of_hex(link.trace_id.0.as_bytes()), id_of_hex(link.span_id.0.as_bytes()));
        let (Some(trace_id), Some(span_id)) = ids else { continue };
        let out = lists.begin_link(&trace_id, &span_id, link.trace_state.0.as_bytes());
        let written = json::write_attrs(out, &link.attributes);
        written.map_err(|error: NoText| BadItem::new("links", &error))?;
        SpanLists::end(out, int(link.dropped_attributes_count.0));
    }
    let span = SpanIn {
        trace_id,
        span_id,
        parent_span_id: sink.hex_id::<8>(&from.parent_span_id.0),
        trace_state: json::text_of(sink, &from.trace_state),
        name: json::text_of(sink, &from.name),
        kind: from.kind.0,
        start_ns: from.start_time_unix_nano.0,
        end_ns: from.end_time_unix_nano.0,
        status_code: from.status.code.0,
        status_message: json::text_of(sink, &from.status.message),
        dropped_attributes: from.dropped_attributes_count.0,
        dropped_events: from.dropped_events_count.0,
        dropped_links: from.dropped_links_count.0,
    };
    push(sink, first, &span, lists);
    Ok(())
}
