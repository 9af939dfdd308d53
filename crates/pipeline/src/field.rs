//! Fields by name: how a configuration says what it reads and writes.
//!
//! The name of a fixed column is that column, `service` is `service.name`, and `message` and `msg` are the `body`
//! of a log that has no such attribute. `attributes.k` is the row's own attribute, `resource.k` the resource's. Any other name
//! reads the row's attribute, else the resource's, and writes the row's.

use std::borrow::Cow;
use std::fmt::Write;

use model::{Attr, FixedKind, Records, Signal, Value, record};

/// Where a field is, in rows of one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Fixed(usize),
    Record(Box<str>),
    Resource(Box<str>),
    Either(Box<str>),
    /// The row's own attribute where it has one, else a fixed column.
    Alias(Box<str>, usize),
}

/// A field by name, resolved for every signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    logs: Place,
    spans: Place,
    events: Place,
}

impl Field {
    pub(crate) fn new(name: &str) -> Self {
        let place = |signal| place(signal, name);
        Self { logs: place(Signal::Logs), spans: place(Signal::Traces), events: place(Signal::Events) }
    }

    fn place(&self, signal: Signal) -> &Place {
        match signal {
            Signal::Traces => &self.spans,
            Signal::Events => &self.events,
            Signal::Logs | Signal::Metrics | Signal::Audit | Signal::Checks => &self.logs,
        }
    }

    /// Where it is in one row.
    fn place_in(&self, records: &Records, row: usize) -> Place {
        match self.place(records.signal) {
            Place::Alias(key, column) => match records.find(records.attrs_of(row), key) {
                Some(_) => Place::Record(key.clone()),
                None => Place::Fixed(*column),
            },
            place => place.clone(),
        }
    }

    /// Whether it is an attribute of the resource in every signal.
    pub(crate) fn is_resource(&self) -> bool {
        matches!(self.logs, Place::Resource(_))
    }

    /// Its value in a row; null where the row has none.
    pub(crate) fn get(&self, records: &Records, row: usize) -> Value {
        let found = match self.place(records.signal) {
            Place::Fixed(column) => Some(records.fields_of(row)[*column]),
            Place::Record(key) => records.find(records.attrs_of(row), key),
            Place::Resource(key) => records.find(records.resource_of(row), key),
            Place::Either(key) => records
                .find(records.attrs_of(row), key)
                .or_else(|| records.find(records.resource_of(row), key)),
            Place::Alias(key, column) => records
                .find(records.attrs_of(row), key)
                .or_else(|| records.fields_of(row).get(*column).copied()),
        };
        found.unwrap_or_default()
    }

    /// Its value as text.
    pub(crate) fn text<'r>(&self, records: &'r Records, row: usize) -> Option<Cow<'r, str>> {
        text_of(records, self.get(records, row))
    }

    /// Sets it in a row. False, and nothing changes, where the value does not fit a fixed column, or the field
    /// is the resource's, which many rows share.
    pub(crate) fn set(&self, records: &mut Records, row: usize, value: Value) -> bool {
        match self.place_in(records, row) {
            Place::Fixed(column) => {
                let kind = record::columns(records.signal)[column].kind;
                let Some(value) = fit(records, kind, value) else { return false };
                records.fields_of_mut(row)[column] = value;
                true
            }
            Place::Resource(_) => false,
            Place::Record(key) | Place::Either(key) | Place::Alias(key, _) => {
                set_attr(records, row, &key, value);
                true
            }
        }
    }

    /// Takes it out of a row. Times and what makes a row of its signal stay.
    pub(crate) fn remove(&self, records: &mut Records, row: usize) -> bool {
        match self.place_in(records, row) {
            Place::Fixed(column) => {
                if record::columns(records.signal)[column].kind == FixedKind::Timestamp {
                    return false;
                }
                records.fields_of_mut(row)[column] = Value::Null;
                true
            }
            Place::Resource(_) => false,
            Place::Record(key) | Place::Either(key) | Place::Alias(key, _) => {
                remove_attrs(records, row, |name| name == key.as_bytes())
            }
        }
    }

    /// Changes it in a resource's attributes: `Some` sets, `None` removes. Returns whether anything changed.
    pub(crate) fn change_resource(
        &self,
        records: &Records,
        attrs: &mut Vec<Attr>,
        change: Option<Attr>,
    ) -> bool {
        let Place::Resource(key) = &self.logs else { return false };
        let before = attrs.len();
        attrs.retain(|attr| attr.key.of(&records.text) != key.as_bytes());
        let removed = attrs.len() < before;
        attrs.extend(change);
        removed || change.is_some()
    }

    /// The key of a resource's attribute.
    pub(crate) fn resource_key(&self) -> Option<&str> {
        match &self.logs {
            Place::Resource(key) => Some(key),
            _ => None,
        }
    }
}

fn place(signal: Signal, name: &str) -> Place {
    if let Some(key) = name.strip_prefix("attributes.") {
        return Place::Record(key.into());
    }
    if let Some(key) = name.strip_prefix("resource.") {
        return Place::Resource(key.into());
    }
    if matches!(name, "message" | "msg") && signal == Signal::Logs {
        return Place::Alias(name.into(), record::log::BODY);
    }
    let name = if name == "service" { "service.name" } else { name };
    match record::columns(signal).iter().position(|column| column.name == name) {
        Some(column) => Place::Fixed(column),
        None => Place::Either(name.into()),
    }
}

/// Sets a row's attribute, or adds it. A row's attributes lie together, so those of a row that grows move to
/// the end.
pub(crate) fn set_attr(records: &mut Records, row: usize, key: &str, value: Value) {
    let range = records.rows[row].attrs.clone();
    let (start, end) = (range.start as usize, range.end as usize);
    let known = records.attrs[start..end].iter().position(|a| a.key.of(&records.text) == key.as_bytes());
    if let Some(known) = known {
        records.attrs[start + known].value = value;
        return;
    }
    if end < records.attrs.len() {
        let moved = records.attrs.len() as u32;
        records.attrs.extend_from_within(start..end);
        records.rows[row].attrs.start = moved;
    }
    records.push_attr(key, value);
    records.rows[row].attrs.end = records.attrs.len() as u32;
}

/// Removes those of a row's attributes that are meant; true when there were any.
pub(crate) fn remove_attrs(records: &mut Records, row: usize, meant: impl Fn(&[u8]) -> bool) -> bool {
    let range = records.rows[row].attrs.clone();
    let (start, end) = (range.start as usize, range.end as usize);
    let mut kept = start;
    for at in start..end {
        let attr = records.attrs[at];
        if !meant(attr.key.of(&records.text)) {
            records.attrs[kept] = attr;
            kept += 1;
        }
    }
    records.rows[row].attrs.end = kept as u32;
    kept < end
}

/// A value as a fixed column takes it.
fn fit(records: &mut Records, kind: FixedKind, value: Value) -> Option<Value> {
    match kind {
        FixedKind::Text => {
            let text = match value {
                Value::Text(span) | Value::Json(span) => return Some(Value::Text(span)),
                other => text_of(records, other)?.into_owned(),
            };
            Some(Value::Text(records.push_text(text)))
        }
        FixedKind::Int | FixedKind::Timestamp => match value {
            Value::Int(_) => Some(value),
            Value::Text(_) => records.text_of(value)?.trim().parse().ok().map(Value::Int),
            _ => None,
        },
        FixedKind::Double => number_of(records, value).map(Value::Double),
        FixedKind::Json => match value {
            Value::Json(_) => Some(value),
            _ => None,
        },
        FixedKind::TraceId => id::<16>(records, value),
        FixedKind::SpanId => id::<8>(records, value),
    }
}

fn id<const N: usize>(records: &mut Records, value: Value) -> Option<Value> {
    if let Value::Bytes(span) = value {
        return (span.len as usize == N).then_some(value);
    }
    let text = records.text_of(value)?.trim().as_bytes();
    let mut id = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in id.iter_mut().zip(text.chunks(2)) {
        let digit = |b: u8| char::from(b).to_digit(16);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    (id != [0; N]).then(|| Value::Bytes(records.push_text(id)))
}

/// The text that shows a value; `None` for null.
pub(crate) fn text_of(records: &Records, value: Value) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => Cow::Borrowed(if flag { "true" } else { "false" }),
        Value::Int(number) => Cow::Owned(number.to_string()),
        Value::Double(number) => Cow::Owned(number.to_string()),
        Value::Text(_) | Value::Json(_) => Cow::Borrowed(records.text_of(value)?),
        Value::Bytes(span) => {
            let bytes = span.of(&records.text);
            Cow::Owned(bytes.iter().fold(String::new(), |mut hex, byte| {
                // Writing to a text cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            }))
        }
    })
}

/// A value as a number, also where it is stored as text.
pub(crate) fn number_of(records: &Records, value: Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(number as f64),
        Value::Double(number) => Some(number),
        Value::Text(_) => records.text_of(value)?.trim().parse().ok().filter(|n: &f64| n.is_finite()),
        _ => None,
    }
}
