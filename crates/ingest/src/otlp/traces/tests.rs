use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Map, Value, json};

use super::{Encoding, decode};
use crate::otlp::oracle::{self, RECEIVED_NS, attributes, deep, hex, id, key_value, ns, text, time};
use crate::records::{Context, KINDS, STATUS_CODES};
use crate::testing::{row_refusals, rows};
use crate::{DecodeError, DecodedRecords};

const CONTEXT: Context = Context { received_at_ns: RECEIVED_NS };

fn run(request: &ExportTraceServiceRequest) -> DecodedRecords {
    decode(request.encode_to_vec(), Encoding::Protobuf, &CONTEXT).expect("decodes")
}

fn json(body: &str) -> Result<DecodedRecords, DecodeError> {
    decode(body.as_bytes().to_vec(), Encoding::Json, &CONTEXT)
}

fn request_of(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] }
}

/// A span with nothing but its ids.
fn bare() -> Span {
    Span { trace_id: vec![1; 16], span_id: vec![2; 8], ..Default::default() }
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(0), 1 => any::<u32>()]
}

fn event() -> impl Strategy<Value = Event> {
    (time(), text(), attributes(), count()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = Link> {
    (id(16), id(8), text(), attributes(), count()).prop_map(
        |(trace_id, span_id, trace_state, attributes, dropped_attributes_count)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags: 0,
        },
    )
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (id(16), id(8), id(8), text(), text());
    let lists = (prop::collection::vec(event(), 0..3), prop::collection::vec(link(), 0..3));
    let status = prop::option::of((text(), -1..4).prop_map(|(message, code)| Status { message, code }));
    let counts = (count(), count(), count());
    (ids, -1..8, time(), time(), attributes(), lists, status, counts).prop_map(
        |(ids, kind, start, end, attributes, (events, links), status, counts)| Span {
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            trace_state: ids.3,
            name: ids.4,
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes,
            dropped_attributes_count: counts.0,
            events,
            dropped_events_count: counts.1,
            links,
            dropped_links_count: counts.2,
            status,
            flags: 257,
        },
    )
}

pub(in crate::otlp) fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = (oracle::scope(), prop::collection::vec(span(), 0..4))
        .prop_map(|(scope, spans)| ScopeSpans { scope, spans, ..Default::default() });
    let resource = (oracle::resource(), prop::collection::vec(scope, 0..3))
        .prop_map(|(resource, scope_spans)| ResourceSpans { resource, scope_spans, ..Default::default() });
    prop::collection::vec(resource, 0..3)
        .prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

/// The rows that a request must become, and the positions of the spans that must be refused.
fn expected(request: &ExportTraceServiceRequest) -> (Vec<Value>, Vec<usize>) {
    let (mut rows, mut refused, mut index) = (Vec::new(), Vec::new(), 0);
    for group in &request.resource_spans {
        for scope in &group.scope_spans {
            for span in &scope.spans {
                match expected_row(span) {
                    None => refused.push(index),
                    Some(mut row) => {
                        let mut attributes = expected_attributes(span);
                        oracle::add_scope(&mut attributes, scope.scope.as_ref());
                        row.insert("attributes".into(), attributes.into());
                        row.insert("resource".into(), oracle::resource_map(group.resource.as_ref()).into());
                        rows.push(row.into());
                    }
                }
                index += 1;
            }
        }
    }
    (rows, refused)
}

fn expected_attributes(span: &Span) -> Map<String, Value> {
    let mut attributes = Map::new();
    oracle::add(&mut attributes, &span.attributes);
    for (key, count) in [
        ("otel.dropped_attributes_count", span.dropped_attributes_count),
        ("otel.dropped_events_count", span.dropped_events_count),
        ("otel.dropped_links_count", span.dropped_links_count),
    ] {
        if count != 0 {
            attributes.entry(key).or_insert_with(|| count.into());
        }
    }
    if !span.trace_state.is_empty() {
        attributes.entry("trace_state").or_insert_with(|| span.trace_state.as_str().into());
    }
    attributes
}

fn expected_row(span: &Span) -> Option<Map<String, Value>> {
    let mut row = Map::new();
    let mut set = |name: &str, value: Value| {
        row.insert(name.into(), value);
    };
    set("trace_id", hex(&span.trace_id, 16)?.into());
    set("span_id", hex(&span.span_id, 8)?.into());
    if let Some(parent) = hex(&span.parent_span_id, 8) {
        set("parent_span_id", parent.into());
    }
    let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
    set("start", if start == 0 { RECEIVED_NS } else { ns(start) }.into());
    set("duration", if start == 0 { 0 } else { ns(end.saturating_sub(start)) }.into());
    set("name", span.name.as_str().into());
    let name = |names: &[&str], code: i32| {
        let known = usize::try_from(code).ok().and_then(|code| names.get(code).copied());
        Value::from(known.unwrap_or(names[0]))
    };
    set("kind", name(&KINDS, span.kind));
    set("status_code", name(&STATUS_CODES, span.status.as_ref().map_or(0, |status| status.code)));
    if let Some(status) = span.status.as_ref().filter(|status| !status.message.is_empty()) {
        set("status_message", status.message.as_str().into());
    }
    let with_dropped = |mut object: Value, dropped: u32| {
        if dropped != 0 {
            object["dropped_attributes_count"] = dropped.into();
        }
        object
    };
    let events = span.events.iter().map(|event| {
        let attributes = oracle::map(&event.attributes);
        let object = json!({"time": ns(event.time_unix_nano), "name": event.name, "attributes": attributes});
        with_dropped(object, event.dropped_attributes_count)
    });
    let links = span.links.iter().filter_map(|link| {
        let mut object = json!({
            "trace_id": hex(&link.trace_id, 16)?,
            "span_id": hex(&link.span_id, 8)?,
            "attributes": oracle::map(&link.attributes),
        });
        if !link.trace_state.is_empty() {
            object["trace_state"] = link.trace_state.as_str().into();
        }
        Some(with_dropped(object, link.dropped_attributes_count))
    });
    for (name, list) in [("events", events.collect::<Vec<_>>()), ("links", links.collect())] {
        if !list.is_empty() {
            set(name, json!({ "json": list }));
        }
    }
    Some(row)
}

proptest! {
    #[test]
    fn what_opentelemetry_encodes_is_read(request in request()) {
        let decoded = run(&request);
        let (want, refused) = expected(&request);
        prop_assert_eq!(rows(&decoded), want);
        let positions: Vec<usize> = decoded.refusals.detailed().iter().map(|refusal| refusal.index).collect();
        prop_assert_eq!(positions, refused);
    }

    #[test]
    fn damaged_bytes_never_panic(request in request(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = request.encode_to_vec();
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(decoded) = decode(body, Encoding::Protobuf, &CONTEXT) {
            rows(&decoded);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            if let Ok(decoded) = decode(body.clone(), encoding, &CONTEXT) {
                rows(&decoded);
            }
        }
    }
}

#[test]
fn json_reads_as_protobuf_does() {
    let body = r#"{"resourceSpans":[{
        "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeSpans":[{"scope":{"name":"lib"},"spans":[
          {"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","parentSpanId":"EEE19B7EC3C1B173",
           "name":"GET /","kind":2,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":1700000000000001500,
           "traceState":"a=b","attributes":[{"key":"http.status","value":{"intValue":"200"}}],
           "events":[{"timeUnixNano":"1700000000000000001","name":"e","attributes":[
             {"key":"k","value":{"stringValue":"v"}},{"key":"none","value":null}]}],
           "links":[{"traceId":"5B8EFFF798038103D269B633813FC60D","spanId":"eee19b7ec3c1b175","flags":1}],
           "status":{"code":"STATUS_CODE_ERROR","message":"no"},"flags":256,"droppedEventsCount":3},
          {"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B175","kind":"SPAN_KIND_CLIENT",
           "startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1699999999999999999","status":{}},
          {"traceId":"short","spanId":"EEE19B7EC3C1B175"},
          {"traceId":"5B8EFFF798038103D269B633813FC60C"}
        ]}]}]}"#;
    let decoded = json(body).expect("decodes");
    let (trace_id, resource) = ("5b8efff798038103d269b633813fc60c", json!({"service.name": "shop"}));
    let want = [
        json!({"start": 1_700_000_000_000_000_000_i64, "duration": 1500, "trace_id": trace_id,
            "span_id": "eee19b7ec3c1b174", "parent_span_id": "eee19b7ec3c1b173", "name": "GET /",
            "kind": "server", "status_code": "error", "status_message": "no",
            "events": {"json": [{"time": 1_700_000_000_000_000_001_i64, "name": "e", "attributes": {"k": "v"}}]},
            "links": {"json": [{"trace_id": "5b8efff798038103d269b633813fc60d", "span_id": "eee19b7ec3c1b175",
                "attributes": {}}]},
            "attributes": {"http.status": 200, "otel.dropped_events_count": 3, "trace_state": "a=b",
                "otel.scope.name": "lib"}, "resource": resource}),
        json!({"start": 1_700_000_000_000_000_000_i64, "duration": 0, "trace_id": trace_id,
            "span_id": "eee19b7ec3c1b175", "name": "", "kind": "client", "status_code": "unset",
            "attributes": {"otel.scope.name": "lib"}, "resource": resource}),
    ];
    assert_eq!(rows(&decoded), want);
    assert_eq!(row_refusals(&decoded), ["2 traceId invalid_value 1", "3 spanId invalid_value 1"]);
}

#[test]
fn json_that_is_not_otlp_is_refused_whole() {
    for body in ["", "[]", "{", r#"{"resourceSpans":3}"#, r#"{"resourceSpans":[{"scopeSpans":[1]}]}"#] {
        assert!(json(body).is_err(), "{body}");
    }
    for body in ["{}", r#"{"resourceSpans":null}"#] {
        assert!(json(body).expect("empty").records.is_empty(), "{body}");
    }
}

#[test]
fn a_span_without_ids_is_refused_with_what_it_had() {
    let of = |trace_id: &[u8], span_id: &[u8]| Span {
        trace_id: trace_id.into(),
        span_id: span_id.into(),
        ..Default::default()
    };
    let request = request_of(vec![of(&[0xab; 8], &[1; 8]), of(&[1; 16], &[]), of(&[0; 16], &[1; 8]), bare()]);
    let decoded = run(&request);
    let messages: Vec<String> =
        decoded.refusals.detailed().iter().map(|r| r.field.clone() + ": " + &r.message).collect();
    let want = [
        "trace_id: \"abababababababab\" is no id; a span needs one of 16 bytes that are not all zero".into(),
        "span_id: \"\" is no id; a span needs one of 8 bytes that are not all zero".into(),
        format!(
            "trace_id: \"{}\" is no id; a span needs one of 16 bytes that are not all zero",
            "0".repeat(32)
        ),
    ];
    assert_eq!(messages, want);
    assert_eq!((decoded.records.len(), decoded.records.rows[0].index), (1, 3));
}

#[test]
fn nesting_too_deep_costs_its_span() {
    for (depth, want) in [(16, 2), (17, 1), (5_000, 1)] {
        let events =
            vec![Event { attributes: vec![key_value("k", Some(deep(depth)))], ..Default::default() }];
        let request = request_of(vec![Span { events, ..bare() }, bare()]);
        let decoded = run(&request);
        assert_eq!((decoded.records.len(), decoded.refusals.items()), (want, 2 - want), "{depth}");
        // The value must not be dropped recursively at full depth on a small stack.
        std::mem::forget(request);
    }
}

#[test]
fn a_damaged_span_costs_itself_and_a_cut_request_everything() {
    let named = |name: &str| Span { name: name.into(), ..bare() };
    let whole = request_of(vec![named("one"), named("two")]).encode_to_vec();
    for cut in 1..whole.len() {
        assert!(decode(whole[..cut].to_vec(), Encoding::Protobuf, &CONTEXT).is_err(), "cut at {cut}");
    }
    let at = whole.windows(3).position(|three| three == *b"two").expect("there");
    let mut damaged = whole;
    damaged[at - 1] = 100;
    let decoded = decode(damaged, Encoding::Protobuf, &CONTEXT).expect("the rest is whole");
    assert_eq!((decoded.records.len(), row_refusals(&decoded)), (1, vec!["1 the item malformed 1".into()]));
}

#[test]
fn an_odd_span_costs_itself_and_names_its_field() {
    let good = r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"n"}"#;
    let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"name":5}},{good}]}}]}}]}}"#);
    let decoded = json(&body).expect("decodes");
    assert_eq!((row_refusals(&decoded), decoded.records.len()), (vec!["0 name invalid_value 1".into()], 1));
}
