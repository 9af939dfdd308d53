//! The store's spans against spans in memory.

use model::record::span;
use model::{Records, Value};
use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::control::Control;
use crate::traceql::tests::oracle::{query, world};
use crate::traceql::{SearchSpec, parse, search};
use crate::traces::testing::Memory;
use crate::traces::{Attributes as Map, SpanEvent, SpanLink, TraceOrder, Want, hex};

/// Rows of spans, each with a resource of its own.
pub(crate) fn records(spans: &[SpanData]) -> Records {
    let mut records = Records::new(Signal::Traces);
    for (row, from) in spans.iter().enumerate() {
        let first = records.attrs.len() as u32;
        push_attrs(&mut records, &from.resource);
        let resource = records.end_resource(first);
        let first = records.attrs.len() as u32;
        push_attrs(&mut records, &from.attributes);
        let mut fields = [Value::Null; 11];
        let mut text = |text: &str| match text {
            "" => Value::Null,
            text => Value::Text(records.push_text(text)),
        };
        fields[span::NAME] = text(&from.name);
        fields[span::KIND] = text(from.kind.as_str());
        fields[span::STATUS_CODE] = text(from.status.as_str());
        fields[span::STATUS_MESSAGE] = text(&from.status_message);
        let events: Vec<Json> = from
            .events
            .iter()
            .map(|event| serde_json::json!({"time": event.time_ns, "name": event.name, "attributes": event.attributes}))
            .collect();
        let links: Vec<Json> = from
            .links
            .iter()
            .map(|link| {
                serde_json::json!({"trace_id": hex(&link.trace_id), "span_id": hex(&link.span_id), "attributes": link.attributes})
            })
            .collect();
        for (column, list) in [(span::EVENTS, events), (span::LINKS, links)] {
            if !list.is_empty() {
                fields[column] = Value::Json(records.push_text(Json::from(list).to_string()));
            }
        }
        fields[span::START] = Value::Int(from.start_ns);
        fields[span::DURATION] = Value::Int(from.duration_ns);
        fields[span::TRACE_ID] = Value::Bytes(records.push_text(from.trace_id));
        fields[span::SPAN_ID] = Value::Bytes(records.push_text(from.span_id));
        if let Some(parent) = from.parent_span_id {
            fields[span::PARENT_SPAN_ID] = Value::Bytes(records.push_text(parent));
        }
        records.push_row(row as u32, resource, first, &fields);
    }
    records
}

fn push_attrs(records: &mut Records, attributes: &Map) {
    for (key, value) in attributes {
        let value = match value {
            Json::Bool(b) => Value::Bool(*b),
            Json::Number(n) => n.as_i64().map_or_else(|| Value::Double(n.as_f64().unwrap()), Value::Int),
            Json::String(text) => Value::Text(records.push_text(text)),
            other => Value::Json(records.push_text(other.to_string())),
        };
        records.push_attr(key, value);
    }
}

fn stored(spans: &[SpanData], slice: usize) -> StoredSpans {
    StoredSpans::of_slices(spans.chunks(slice).map(|spans| Slice::of_records(&records(spans))).collect())
}

#[test]
fn a_span_comes_back_as_it_was() {
    let object = |json: Json| json.as_object().unwrap().clone();
    let span = SpanData {
        trace_id: [1; 16],
        span_id: [2; 8],
        parent_span_id: Some([3; 8]),
        name: "get".into(),
        service: "api".into(),
        kind: crate::traces::SpanKind::Server,
        status: crate::traces::SpanStatus::Error,
        status_message: "broken".into(),
        start_ns: 10,
        duration_ns: 5,
        attributes: object(serde_json::json!({"b": true, "f": 2.5, "i": 7, "l": [1, "x"], "t": "text"})),
        resource: Arc::new(object(serde_json::json!({"service.name": "api", "n": 1}))),
        events: vec![SpanEvent {
            time_ns: 11,
            name: "e".into(),
            attributes: object(serde_json::json!({"k": 1})),
        }],
        links: vec![SpanLink { trace_id: [4; 16], span_id: [5; 8], attributes: Map::new() }],
    };
    let read = |want: &Want| {
        let mut all = Vec::new();
        let (control, predicate) = (Control::default(), model::Predicate::TRUE);
        let scan = Scan { predicate: &predicate, start_ns: 0, end_ns: 100, want, control: &control };
        let source = stored(std::slice::from_ref(&span), 1);
        source
            .scan(&scan, &mut |batch| {
                all.extend(batch.spans);
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        assert_eq!(source.cost().slices, 1);
        all
    };
    assert_eq!(read(&Want::everything()), std::slice::from_ref(&span));
    let keys = |keys: &[&str]| Keys::Some(keys.iter().map(|key| (*key).into()).collect());
    let some = Want { attributes: keys(&["i", "t", "none"]), resource: keys(&["n"]), ..Want::default() };
    let got = &read(&some)[0];
    assert_eq!(Json::from(got.attributes.clone()), serde_json::json!({"i": 7, "t": "text"}));
    assert_eq!(Json::from((*got.resource).clone()), serde_json::json!({"n": 1}));
    assert!(got.events.is_empty() && &*got.service == "api");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The store finds what spans in memory find, whose search looks at every trace.
    #[test]
    fn search_over_the_store_is_search_in_memory(spans in world(), text in query(), slice in 1usize..30) {
        let query = parse(&text).unwrap();
        let spec = SearchSpec {
            query: &query,
            start_ns: i64::MIN,
            end_ns: i64::MAX,
            duration_ns: (0, i64::MAX),
            order: TraceOrder::Recent,
            limit: 100,
            spans: 3,
            control: &Control::default(),
        };
        let ids = |mut found: Vec<crate::traceql::FoundTrace>| {
            found.sort_by_key(|one| one.summary.trace_id);
            found
        };
        let got = ids(search(&stored(&spans, slice), &spec).unwrap());
        let want = ids(search(&Memory { spans, slice }, &spec).unwrap());
        prop_assert_eq!(got, want, "{}", text);
    }
}

#[test]
fn operations_of_slices_are_found_once_and_remembered() {
    let span = |n: u8, service: &str, name: &str| SpanData {
        trace_id: [n; 16],
        span_id: [n; 8],
        name: name.into(),
        service: service.into(),
        kind: crate::traces::SpanKind::Server,
        start_ns: i64::from(n),
        resource: Arc::new(serde_json::json!({ "service.name": service }).as_object().unwrap().clone()),
        parent_span_id: None,
        status: crate::traces::SpanStatus::Unset,
        status_message: "".into(),
        duration_ns: 1,
        attributes: Map::new(),
        events: Vec::new(),
        links: Vec::new(),
    };
    let long = "an operation whose name does not fit into a view";
    let spans = [
        span(1, "api", "get"),
        span(2, "api", long),
        span(3, "api", long),
        span(4, "pay", "get"),
        span(5, "", "x"),
    ];
    let source = stored(&spans, 2);
    let cache = OperationsCache::default();
    let control = Control::default();
    let mut looked_at = Vec::new();
    for _ in 0..2 {
        let before = source.cost().bytes;
        let services = source.services((0, 100), &cache, &control).unwrap();
        assert_eq!(services.into_iter().collect::<Vec<_>>(), ["api", "pay"]);
        for (service, names) in [("api", vec![long, "get"]), ("pay", vec!["get"]), ("none", vec![])] {
            let found = source.operations(service, (0, 100), &cache, &control).unwrap();
            assert_eq!(found.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), names, "{service}");
        }
        looked_at.push(source.cost().bytes > before);
    }
    assert_eq!(looked_at, [true, false], "the second time nothing is looked at");
}
