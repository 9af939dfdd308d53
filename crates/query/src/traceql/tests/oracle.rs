//! Search against brute force: every query on every trace of a small world.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::control::Control;
use crate::traceql::{SearchSpec, evaluate, parse, search};
use crate::traces::testing::{Memory, fulfils, spans as rows};
use crate::traces::{SpanData, SpanEvent, SpanKind, SpanLink, SpanStatus, Trace, TraceOrder};

/// Spans of few traces, services and values, so that queries find something.
pub(crate) fn world() -> impl Strategy<Value = Vec<SpanData>> {
    let row = (1u8..8, 1u8..9, 0u8..9, 0i64..1000, 0i64..100, 0usize..6, 0usize..3, 0u8..5, 0u8..4);
    prop::collection::vec(row, 0..60).prop_map(|rows| {
        let mut seen = std::collections::BTreeSet::new();
        let rows = rows.into_iter().filter(|row| seen.insert((row.0, row.1)));
        rows.map(|(trace, id, parent, start, duration, kind, status, x, service)| {
            let service = ["api", "web", "db", ""][usize::from(service)];
            let resource = [("service.name".to_owned(), service.into())];
            let attributes = match x {
                0 => None,
                1 => Some(1.into()),
                2 => Some(2.5.into()),
                3 => Some("1".into()),
                _ => Some(true.into()),
            };
            SpanData {
                trace_id: [trace; 16],
                span_id: [id; 8],
                parent_span_id: (parent != 0).then_some([parent; 8]),
                start_ns: i64::from(trace) * 500 + start,
                duration_ns: duration,
                name: ["get", "put"][usize::from(id % 2)].into(),
                service: service.into(),
                kind: SpanKind::ALL[kind],
                status: SpanStatus::ALL[status],
                events: (x > 2).then(|| event(x)).into_iter().collect(),
                links: (x == 4).then(SpanLink::default).into_iter().collect(),
                attributes: attributes.into_iter().map(|value| ("x".to_owned(), value)).collect(),
                resource: std::sync::Arc::new(resource.into_iter().filter(|_| !service.is_empty()).collect()),
                ..SpanData::default()
            }
        })
        .collect()
    })
}

/// An event, with an attribute or without.
fn event(x: u8) -> SpanEvent {
    let attributes = (x == 3).then(|| ("y".to_owned(), 1.into()));
    SpanEvent { time_ns: 0, name: "e".to_owned(), attributes: attributes.into_iter().collect() }
}

const CONDITIONS: [&str; 32] = [
    "true",
    "false",
    ".x = 1",
    ".x != 1",
    ".x > 1",
    "2 > span.x",
    ".x = `1`",
    ".x != `1`",
    ".x < `2`",
    ".x =~ `[0-9]`",
    ".x !~ `1`",
    ".x",
    ".x = nil",
    ".x != nil",
    "resource.service.name = `api`",
    ".service.name != `api`",
    "status = error",
    "status != error",
    "kind = unspecified",
    "kind != server",
    "name =~ `g.*`",
    "duration > 50ns",
    "duration != 3",
    "statusMessage = ``",
    "nestedSetParent < 0",
    "nestedSetParent != -1",
    "span:id = `0101010101010101`",
    "rootName = `get`",
    "event.y = nil",
    "event.y = 1",
    "link.y = nil",
    "link.y != nil",
];

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(CONDITIONS.to_vec()).prop_map(str::to_owned);
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

pub(crate) fn query() -> impl Strategy<Value = String> {
    let ops = [
        "&&", "||", ">", ">>", "<", "<<", "~", "!>", "!>>", "!<", "!<<", "!~", "&>", "&>>", "&<", "&<<", "&~",
    ];
    let selector = condition().prop_map(|condition| format!("{{ {condition} }}"));
    selector.prop_recursive(2, 4, 2, move |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(ops.to_vec()), inner.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            inner.clone().prop_map(|a| format!("({a} | count() > 1)")),
            inner.prop_map(|a| format!("({a} | by(kind) | avg(duration) > 20)")),
        ]
    })
}

/// Newest first, those that began together by id.
fn in_order(mut found: Vec<(i64, [u8; 16])>) -> Vec<(i64, [u8; 16])> {
    found.sort_by_key(|(start_ns, id)| (std::cmp::Reverse(*start_ns), *id));
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever is found by predicate first and exactly then is what looking at every trace finds.
    #[test]
    fn search_finds_what_looking_at_every_trace_finds(
        spans in world(),
        text in query(),
        slice in 1usize..30,
        limit in 1usize..9,
        range in (0i64..4500, 0i64..4500),
    ) {
        let (start_ns, end_ns) = (range.0.min(range.1), range.0.max(range.1));
        let query = parse(&text).unwrap();
        let mut traces: BTreeMap<[u8; 16], Vec<SpanData>> = BTreeMap::new();
        spans.iter().for_each(|span| traces.entry(span.trace_id).or_default().push(span.clone()));
        let all = traces.into_values().map(Trace::assemble);
        let matching = all.filter(|trace| {
            let sets = evaluate(&query.stages, trace);
            let mut starts = sets.iter().flat_map(|set| &set.spans).map(|at| trace.spans[*at as usize].start_ns);
            starts.any(|at_ns| (start_ns..end_ns).contains(&at_ns))
        });
        let want = in_order(matching.map(|trace| (trace.start_ns(), trace.trace_id)).collect());
        let spec = SearchSpec {
            query: &query,
            start_ns,
            end_ns,
            duration_ns: (0, i64::MAX),
            order: TraceOrder::Recent,
            limit,
            spans: 3,
            control: &Control::default(),
        };
        let found = search(&Memory { spans, slice }, &spec).unwrap();
        let got: Vec<_> = found.iter().map(|one| (one.summary.start_ns, one.summary.trace_id)).collect();
        prop_assert_eq!(got.len(), want.len().min(limit), "{}", &text);
        for ((start_ns, _), (want_ns, _)) in got.iter().zip(&want) {
            prop_assert_eq!(start_ns, want_ns, "{}", &text);
        }
        prop_assert!(got.iter().all(|one| want.contains(one)), "{}", &text);
    }

    /// What a selector takes fulfils its predicate.
    #[test]
    fn candidates_leave_nothing_out(spans in world(), text in condition()) {
        let query = parse(&format!("{{ {text} }}")).unwrap();
        let predicate = crate::traceql::select::necessary(&query.stages);
        let mut traces: BTreeMap<[u8; 16], Vec<SpanData>> = BTreeMap::new();
        spans.into_iter().for_each(|span| traces.entry(span.trace_id).or_default().push(span));
        for trace in traces.into_values().map(Trace::assemble) {
            if !evaluate(&query.stages, &trace).is_empty() {
                prop_assert!(trace.spans.iter().any(|span| fulfils(span, &predicate)), "{text}: {predicate:?}");
            }
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[{}()|&!<>=~.\"`a-z0-9 -]{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(text in ".{0,60}") {
        let _ = parse(&text);
    }
}

#[test]
fn a_trace_is_found_by_a_span_outside_the_range() {
    for (text, is_found) in [
        ("{ name = `b` }", true),
        ("{ name = `a` }", false),
        ("{ rootName = `a` }", true),
        ("{ name = `a` } && { name = `b` }", true),
        ("{ name = `b` } && { name = `a` }", true),
        ("{ name = `b` } &< { name = `a` }", true),
        ("{ name = `b` } < { name = `a` }", false),
        ("{ name = `a` } > {}", true),
    ] {
        let source = Memory { spans: rows("a 1 0 0 100 web server, b 2 1 5000 100 api"), slice: 1 };
        let spec = SearchSpec {
            query: &parse(text).unwrap(),
            start_ns: 4000,
            end_ns: 6000,
            duration_ns: (0, i64::MAX),
            order: TraceOrder::Recent,
            limit: 5,
            spans: 3,
            control: &Control::default(),
        };
        assert_eq!(search(&source, &spec).unwrap().len(), usize::from(is_found), "{text}");
    }
}
