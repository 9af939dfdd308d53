//! Columns to spans. Texts that repeat are shared.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use hashbrown::HashMap;
use model::record::span;
use serde_json::Value as Json;

use super::Attributes;
use crate::traces::{
    Attributes as Map, SpanData, SpanEvent, SpanKind, SpanLink, SpanStatus, Want, parse_span_id,
    parse_trace_id,
};

/// Columns that are always read, in the order in which [`spans`] takes them.
pub(super) const FIXED: [usize; 9] = [
    span::START,
    span::DURATION,
    span::TRACE_ID,
    span::SPAN_ID,
    span::PARENT_SPAN_ID,
    span::NAME,
    span::KIND,
    span::STATUS_CODE,
    span::STATUS_MESSAGE,
];

/// Makes spans of the columns: those of [`FIXED`], the service, events and links where wanted, attributes, then
/// the resource's. Rows without ids are no spans.
pub(super) fn spans(
    arrays: &[ArrayRef],
    want: &Want,
    attributes: &Attributes,
    resource: &Attributes,
) -> Vec<SpanData> {
    let mut columns = arrays.iter();
    let mut next = || columns.next();
    let [start, duration, trace_id, span_id, parent, name, kind, status, message] = FIXED.map(|_| next());
    let service = next();
    let events = want.events.then(&mut next).flatten();
    let links = want.links.then(&mut next).flatten();
    let mut of = |attributes: &Attributes| match attributes {
        Attributes::None => Vec::new(),
        Attributes::Objects => next().into_iter().collect(),
        Attributes::Columns(keys) => keys.iter().filter_map(|_| next()).collect(),
    };
    let (own, shared) = (of(attributes), of(resource));
    let (mut texts, mut resources) = (Texts::default(), HashMap::new());
    let rows = arrays.first().map_or(0, |array| array.len());
    let span = |row: usize| {
        Some(SpanData {
            trace_id: bytes(trace_id, row)?,
            span_id: bytes(span_id, row)?,
            parent_span_id: bytes(parent, row).filter(|id| *id != [0; 8]),
            name: texts.share(text(name, row)),
            service: texts.share(text(service, row)),
            kind: SpanKind::parse(text(kind, row)).unwrap_or_default(),
            status: SpanStatus::parse(text(status, row)).unwrap_or_default(),
            status_message: texts.share(text(message, row)),
            start_ns: int(start, row),
            duration_ns: int(duration, row).max(0),
            attributes: map(attributes, &own, row),
            resource: share_resource(&mut resources, resource, &shared, row),
            events: list(text(events, row), event),
            links: list(text(links, row), link),
        })
    };
    (0..rows).filter_map(span).collect()
}

#[derive(Default)]
struct Texts(HashMap<Box<str>, Arc<str>>);

impl Texts {
    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.into();
        self.0.insert(text.into(), Arc::clone(&shared));
        shared
    }
}

fn share_resource(
    known: &mut HashMap<String, Arc<Map>>,
    attributes: &Attributes,
    columns: &[&ArrayRef],
    row: usize,
) -> Arc<Map> {
    let key = match attributes {
        Attributes::None => String::new(),
        Attributes::Objects => text(columns.first().copied(), row).to_owned(),
        Attributes::Columns(_) => columns.iter().map(|column| format!("{}\0", json(column, row))).collect(),
    };
    if let Some(found) = known.get(&key) {
        return Arc::clone(found);
    }
    let shared = Arc::new(map(attributes, columns, row));
    known.insert(key, Arc::clone(&shared));
    shared
}

fn map(attributes: &Attributes, columns: &[&ArrayRef], row: usize) -> Map {
    match attributes {
        Attributes::None => Map::new(),
        Attributes::Objects => serde_json::from_str(text(columns.first().copied(), row)).unwrap_or_default(),
        Attributes::Columns(keys) => {
            let values = keys.iter().zip(columns).map(|(key, column)| (key.to_string(), json(column, row)));
            values.filter(|(_, value)| !value.is_null()).collect()
        }
    }
}

fn json(column: &ArrayRef, row: usize) -> Json {
    if column.is_null(row) {
        return Json::Null;
    }
    if let Some(ints) = column.as_primitive_opt::<Int64Type>() {
        return ints.value(row).into();
    }
    if let Some(doubles) = column.as_primitive_opt::<Float64Type>() {
        return doubles.value(row).into();
    }
    if let Some(bools) = column.as_boolean_opt() {
        return bools.value(row).into();
    }
    column.as_string_view_opt().map_or(Json::Null, |texts| texts.value(row).into())
}

fn text(column: Option<&ArrayRef>, row: usize) -> &str {
    let column = column.filter(|column| column.is_valid(row));
    column.and_then(|column| column.as_string_view_opt()).map_or("", |texts| texts.value(row))
}

fn int(column: Option<&ArrayRef>, row: usize) -> i64 {
    let column = column.filter(|column| column.is_valid(row));
    column.and_then(|column| column.as_primitive_opt::<Int64Type>()).map_or(0, |ints| ints.value(row))
}

fn bytes<const N: usize>(column: Option<&ArrayRef>, row: usize) -> Option<[u8; N]> {
    let ids = column.filter(|column| column.is_valid(row))?.as_fixed_size_binary_opt()?;
    ids.value(row).try_into().ok()
}

/// Elements of a JSON array; what is none has none.
fn list<T>(text: &str, of: fn(&Map) -> Option<T>) -> Vec<T> {
    if text.is_empty() {
        return Vec::new();
    }
    let all: Vec<Map> = serde_json::from_str(text).unwrap_or_default();
    all.iter().filter_map(of).collect()
}

fn event(from: &Map) -> Option<SpanEvent> {
    Some(SpanEvent {
        time_ns: from.get("time").and_then(Json::as_i64).unwrap_or(0),
        name: from.get("name")?.as_str()?.to_owned(),
        attributes: attributes_of(from),
    })
}

fn link(from: &Map) -> Option<SpanLink> {
    let id = |key: &str| from.get(key).and_then(Json::as_str);
    Some(SpanLink {
        trace_id: parse_trace_id(id("trace_id")?)?,
        span_id: parse_span_id(id("span_id")?)?,
        attributes: attributes_of(from),
    })
}

fn attributes_of(from: &Map) -> Map {
    from.get("attributes").and_then(Json::as_object).cloned().unwrap_or_default()
}
