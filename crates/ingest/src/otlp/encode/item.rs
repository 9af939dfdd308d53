//! Rows as the fields of `LogRecord` and `Span`.

use std::collections::HashSet;

use model::record::{log, span};
use model::{Attr, Records, Value};

use crate::records::{KINDS, STATUS_CODES, id_of_hex};

/// Attributes with different keys.
pub(super) type Attrs<'a> = Vec<(&'a str, Any<'a>)>;

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Any<'a> {
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
    /// An array or object.
    Json(serde_json::Value),
}

impl<'a> Any<'a> {
    fn new(records: &'a Records, value: Value) -> Option<Self> {
        Some(match value {
            Value::Null | Value::Bytes(_) => return None,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::Int(value),
            Value::Double(value) => Self::Double(value),
            Value::Text(_) => Self::Text(records.text_of(value)?),
            Value::Json(_) => {
                let text = records.text_of(value)?;
                serde_json::from_str(text).map_or(Self::Text(text), Self::Json)
            }
        })
    }
}

/// Attributes of a row or resource.
pub(super) fn attrs<'a>(records: &'a Records, from: &[Attr]) -> Attrs<'a> {
    let mut seen = HashSet::with_capacity(from.len());
    let one = |attr: &Attr| {
        let key = std::str::from_utf8(attr.key.of(&records.text)).ok()?;
        let value = Any::new(records, attr.value)?;
        seen.insert(key).then_some((key, value))
    };
    from.iter().filter_map(one).collect()
}

/// A row: what both messages have.
#[derive(Debug, Default)]
pub(super) struct Item<'a> {
    pub(super) scope_name: &'a str,
    pub(super) scope_version: &'a str,
    pub(super) attrs: Attrs<'a>,
    pub(super) dropped_attributes: u32,
    /// Empty where there is none.
    pub(super) trace_id: &'a [u8],
    /// Empty where there is none.
    pub(super) span_id: &'a [u8],
    pub(super) fields: Fields<'a>,
}

/// What is different.
#[derive(Debug)]
pub(super) enum Fields<'a> {
    Log(LogFields<'a>),
    Span(Box<SpanFields<'a>>),
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self::Log(LogFields::default())
    }
}

/// Fields of `LogRecord`.
#[derive(Debug, Default)]
pub(super) struct LogFields<'a> {
    pub(super) time_ns: u64,
    pub(super) observed_ns: u64,
    pub(super) severity_number: u8,
    pub(super) severity_text: &'a str,
    pub(super) body: Option<&'a str>,
    pub(super) flags: u32,
    pub(super) event_name: &'a str,
}

/// Fields of `Span`.
#[derive(Debug, Default)]
pub(super) struct SpanFields<'a> {
    pub(super) trace_state: &'a str,
    /// Empty for a root.
    pub(super) parent_span_id: &'a [u8],
    pub(super) name: &'a str,
    pub(super) kind: u8,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) dropped_events: u32,
    pub(super) dropped_links: u32,
    pub(super) status_code: u8,
    pub(super) status_message: &'a str,
    pub(super) events: Vec<Event>,
    pub(super) links: Vec<Link>,
}

/// `Span.Event`.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) time_ns: u64,
    pub(super) name: String,
    pub(super) attrs: serde_json::Map<String, serde_json::Value>,
    pub(super) dropped_attributes: u32,
}

/// `Span.Link`.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    pub(super) trace_state: String,
    pub(super) attrs: serde_json::Map<String, serde_json::Value>,
    pub(super) dropped_attributes: u32,
}

impl<'a> Item<'a> {
    /// Of a row of logs or spans.
    pub(super) fn new(records: &'a Records, row: usize) -> Self {
        let fields = records.fields_of(row);
        let mut item = Self { attrs: attrs(records, records.attrs_of(row)), ..Self::default() };
        item.scope_name = item.take_text("otel.scope.name");
        item.scope_version = item.take_text("otel.scope.version");
        item.dropped_attributes = item.take_count("otel.dropped_attributes_count");
        let (trace_id, span_id, fields) = match records.signal {
            model::Signal::Traces => {
                let of = Fields::Span(Box::new(SpanFields::new(records, fields, &mut item)));
                (fields[span::TRACE_ID], fields[span::SPAN_ID], of)
            }
            _ => {
                let of = Fields::Log(LogFields::new(records, fields, &mut item));
                (fields[log::TRACE_ID], fields[log::SPAN_ID], of)
            }
        };
        Self { trace_id: bytes(records, trace_id), span_id: bytes(records, span_id), fields, ..item }
    }

    /// Takes out a text that has a field of its own.
    fn take_text(&mut self, key: &str) -> &'a str {
        self.take(key, |value| match value {
            Any::Text(text) => Some(*text),
            _ => None,
        })
    }

    /// Takes out a count, or flags.
    fn take_count(&mut self, key: &str) -> u32 {
        self.take(key, |value| match value {
            Any::Int(count) => u32::try_from(*count).ok(),
            _ => None,
        })
    }

    fn take<T: Default>(&mut self, key: &str, read: impl Fn(&Any<'a>) -> Option<T>) -> T {
        let Some(at) = self.attrs.iter().position(|(known, _)| *known == key) else { return T::default() };
        let value = read(&self.attrs[at].1);
        if value.is_some() {
            self.attrs.remove(at);
        }
        value.unwrap_or_default()
    }
}

impl<'a> LogFields<'a> {
    fn new(records: &'a Records, fields: &[Value], item: &mut Item<'a>) -> Self {
        Self {
            time_ns: time(fields[log::TIMESTAMP]),
            observed_ns: time(fields[log::OBSERVED_TIMESTAMP]),
            severity_number: match fields[log::SEVERITY_NUMBER] {
                Value::Int(number @ 1..=24) => number as u8,
                _ => 0,
            },
            severity_text: records.text_of(fields[log::SEVERITY_TEXT]).unwrap_or_default(),
            body: records.text_of(fields[log::BODY]),
            flags: item.take_count("flags"),
            event_name: item.take_text("event.name"),
        }
    }
}

impl<'a> SpanFields<'a> {
    fn new(records: &'a Records, fields: &[Value], item: &mut Item<'a>) -> Self {
        let text = |column: usize| records.text_of(fields[column]).unwrap_or_default();
        let position = |names: &[&str], column: usize| {
            names.iter().position(|name| *name == text(column)).unwrap_or_default() as u8
        };
        let start_ns = time(fields[span::START]);
        Self {
            trace_state: item.take_text("trace_state"),
            parent_span_id: bytes(records, fields[span::PARENT_SPAN_ID]),
            name: text(span::NAME),
            kind: position(&KINDS, span::KIND),
            start_ns,
            end_ns: start_ns.saturating_add(time(fields[span::DURATION])),
            dropped_events: item.take_count("otel.dropped_events_count"),
            dropped_links: item.take_count("otel.dropped_links_count"),
            status_code: position(&STATUS_CODES, span::STATUS_CODE),
            status_message: text(span::STATUS_MESSAGE),
            events: list(text(span::EVENTS)).into_iter().map(event).collect(),
            links: list(text(span::LINKS)).into_iter().filter_map(link).collect(),
        }
    }
}

fn bytes(records: &Records, value: Value) -> &[u8] {
    match value {
        Value::Bytes(span) => span.of(&records.text),
        _ => &[],
    }
}

/// A time or duration; what is before the epoch has no number in OTLP.
fn time(value: Value) -> u64 {
    match value {
        Value::Int(ns) => u64::try_from(ns).unwrap_or(0),
        _ => 0,
    }
}

/// The objects of a JSON array; none where it is not one.
fn list(text: &str) -> Vec<serde_json::Map<String, serde_json::Value>> {
    serde_json::from_str(text).unwrap_or_default()
}

fn event(mut from: serde_json::Map<String, serde_json::Value>) -> Event {
    Event {
        time_ns: from.get("time").and_then(serde_json::Value::as_u64).unwrap_or(0),
        name: string(&mut from, "name"),
        attrs: object(&mut from),
        dropped_attributes: dropped(&from),
    }
}

fn link(mut from: serde_json::Map<String, serde_json::Value>) -> Option<Link> {
    Some(Link {
        trace_id: id_of_hex(from.get("trace_id")?.as_str()?.as_bytes())?,
        span_id: id_of_hex(from.get("span_id")?.as_str()?.as_bytes())?,
        trace_state: string(&mut from, "trace_state"),
        attrs: object(&mut from),
        dropped_attributes: dropped(&from),
    })
}

fn string(from: &mut serde_json::Map<String, serde_json::Value>, key: &str) -> String {
    match from.remove(key) {
        Some(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

fn object(
    from: &mut serde_json::Map<String, serde_json::Value>,
) -> serde_json::Map<String, serde_json::Value> {
    match from.remove("attributes") {
        Some(serde_json::Value::Object(object)) => object,
        _ => serde_json::Map::new(),
    }
}

fn dropped(from: &serde_json::Map<String, serde_json::Value>) -> u32 {
    let count = from.get("dropped_attributes_count").and_then(serde_json::Value::as_u64);
    count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
}
