//! Spans from text, and a source in memory.

use super::span::{SpanData, SpanId};

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
