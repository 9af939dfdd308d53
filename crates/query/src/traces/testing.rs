//! Spans from text, and a source in memory.

use model::predicate::{Field, Order, Predicate, Scalar, Test, TextMatch};
use serde_json::Value as Json;

use super::source::{Batch, Scan, SpanSource, Visit};
use super::span::{SpanData, SpanId, hex};
use crate::error::QueryFault;

/// A span id of one number.
pub(crate) fn id(n: u8) -> SpanId {
    [0, 0, 0, 0, 0, 0, 0, n]
}

/// Spans of one trace from rows `name id parent start duration [service [kind [status]]]` between commas; parent
/// 0 is none.
pub(crate) fn spans(text: &str) -> Vec<SpanData> {
    let rows = text.split(',').map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| !row.is_empty()).map(|row| span(&row)).collect()
}

fn span(row: &[&str]) -> SpanData {
    let number = |at: usize| row[at].parse::<i64>().unwrap();
    let service = row.get(5).copied().unwrap_or("");
    let resource = [(super::SERVICE_NAME.to_owned(), service.into())];
    SpanData {
        trace_id: [7; 16],
        span_id: id(number(1) as u8),
        parent_span_id: (number(2) != 0).then(|| id(number(2) as u8)),
        name: row[0].into(),
        service: service.into(),
        kind: row.get(6).map_or(Default::default(), |kind| super::SpanKind::parse(kind).unwrap()),
        status: row.get(7).map_or(Default::default(), |status| super::SpanStatus::parse(status).unwrap()),
        start_ns: number(3),
        duration_ns: number(4),
        resource: std::sync::Arc::new(resource.into_iter().filter(|_| !service.is_empty()).collect()),
        ..SpanData::default()
    }
}

/// Spans in memory, cut into slices of some length as a store cuts them.
pub(crate) struct Memory {
    pub(crate) spans: Vec<SpanData>,
    pub(crate) slice: usize,
}

impl SpanSource for Memory {
    fn scan(&self, scan: &Scan<'_>, visit: &mut Visit<'_>) -> Result<(), QueryFault> {
        let mut slices: Vec<&[SpanData]> = self.spans.chunks(self.slice.max(1)).collect();
        let newest = |slice: &[SpanData]| slice.iter().map(|span| span.start_ns).max().unwrap_or(i64::MIN);
        slices.sort_by_key(|slice| std::cmp::Reverse(newest(slice)));
        for (at, slice) in slices.iter().enumerate() {
            let inside = |span: &&SpanData| (scan.start_ns..scan.end_ns).contains(&span.start_ns);
            let found = slice.iter().filter(inside).filter(|span| fulfils(span, scan.predicate));
            let older_ns = slices.get(at + 1).map_or(i64::MIN, |slice| newest(slice));
            if visit(Batch { spans: found.cloned().collect(), older_ns })?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// The meaning of predicates, written down a second time and as simply as can be.
pub(crate) fn fulfils(span: &SpanData, predicate: &Predicate) -> bool {
    match predicate {
        Predicate::All(all) => all.iter().all(|one| fulfils(span, one)),
        Predicate::Any(any) => any.iter().any(|one| fulfils(span, one)),
        Predicate::Not(one) => !fulfils(span, one),
        Predicate::Test(field, test) => value(span, field).is_some_and(|value| passes(&value, test)),
    }
}

fn value(span: &SpanData, field: &Field) -> Option<Json> {
    use model::record::span as columns;
    let text = |text: &str| (!text.is_empty()).then(|| Json::from(text));
    match field {
        Field::Fixed(column) => match usize::from(*column) {
            columns::START => Some(span.start_ns.into()),
            columns::DURATION => Some(span.duration_ns.into()),
            columns::TRACE_ID => Some(hex(&span.trace_id).into()),
            columns::SPAN_ID => Some(hex(&span.span_id).into()),
            columns::PARENT_SPAN_ID => span.parent_span_id.map(|id| hex(&id).into()),
            columns::NAME => text(&span.name),
            columns::KIND => Some(span.kind.as_str().into()),
            columns::STATUS_CODE => Some(span.status.as_str().into()),
            columns::STATUS_MESSAGE => text(&span.status_message),
            columns::EVENTS => (!span.events.is_empty()).then(|| "[…]".into()),
            columns::LINKS => (!span.links.is_empty()).then(|| "[…]".into()),
            _ => None,
        },
        Field::Key(key) => span.attributes.get(&**key).or_else(|| span.resource.get(&**key)).cloned(),
        Field::Record(key) => span.attributes.get(&**key).cloned(),
        Field::Resource(key) => span.resource.get(&**key).cloned(),
    }
}

fn passes(value: &Json, test: &Test) -> bool {
    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match test {
        Test::Exists => true,
        Test::OneOf(any) => any.iter().any(|one| passes(value, &Test::Compare(Order::Equal, one.clone()))),
        Test::Compare(order, scalar) => {
            let number = |n: f64| shown.parse::<f64>().ok().and_then(|shown| shown.partial_cmp(&n));
            let found = match scalar {
                Scalar::Bool(b) => Some(shown.as_str().cmp(if *b { "true" } else { "false" })),
                Scalar::Int(n) => number(*n as f64),
                Scalar::Double(n) => number(*n),
                Scalar::Text(text) => Some(shown.as_str().cmp(text)),
                Scalar::Bytes(bytes) => Some(shown.cmp(&hex(bytes))),
            };
            found.is_some_and(|found| match order {
                Order::Equal => found.is_eq(),
                Order::Less => found.is_lt(),
                Order::LessOrEqual => found.is_le(),
                Order::Greater => found.is_gt(),
                Order::GreaterOrEqual => found.is_ge(),
            })
        }
        Test::Text { how: TextMatch::Regex, text, .. } => regex::Regex::new(text).unwrap().is_match(&shown),
        Test::Text { .. } => unimplemented_here(),
    }
}

/// No query of traces compiles to these.
fn unimplemented_here() -> bool {
    panic!("only regular expressions are asked of spans in memory")
}
