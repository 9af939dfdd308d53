//! Decoded log records, spans and events, on their way from a decoder through the pipeline to the store.
//!
//! One shape for all three: a row has the fixed columns of its signal ([`columns`]), attributes of its own, and
//! the attributes of the resource it came from. Nothing here owns a text: `text` holds the request's
//! (decompressed) body followed by whatever texts a decoder or processor made itself, and [`Span`]s point into
//! it. All buffers are flat and can be reused.

use std::ops::Range;

use crate::{Signal, Span};

/// A fixed column of a signal's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedColumn {
    /// Its name in SQL, search and files.
    pub name: &'static str,
    /// What it holds.
    pub kind: FixedKind,
}

/// What a fixed column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixedKind {
    /// Nanoseconds since the Unix epoch, [`Value::Int`].
    Timestamp,
    /// A whole number, [`Value::Int`].
    Int,
    /// A number, [`Value::Double`].
    Double,
    /// UTF-8, [`Value::Text`].
    Text,
    /// A JSON array or object, [`Value::Json`].
    Json,
    /// 16 bytes, [`Value::Bytes`]; hexadecimal in SQL and search.
    TraceId,
    /// 8 bytes, [`Value::Bytes`]; hexadecimal in SQL and search.
    SpanId,
}

const fn column(name: &'static str, kind: FixedKind) -> FixedColumn {
    FixedColumn { name, kind }
}

/// Positions of the fixed columns of logs.
pub mod log {
    /// When it happened; the decoder sets the time of arrival where the sender gave none.
    pub const TIMESTAMP: usize = 0;
    /// When it was collected.
    pub const OBSERVED_TIMESTAMP: usize = 1;
    /// 1 to 24 as OpenTelemetry numbers severities; decoders derive it from the text where it is missing.
    pub const SEVERITY_NUMBER: usize = 2;
    /// The sender's word for it, such as `WARN`; decoders derive it from the number where it is missing.
    pub const SEVERITY_TEXT: usize = 3;
    /// The message.
    pub const BODY: usize = 4;
    /// The trace it belongs to.
    pub const TRACE_ID: usize = 5;
    /// The span it belongs to.
    pub const SPAN_ID: usize = 6;
}

/// Positions of the fixed columns of spans.
pub mod span {
    /// When it began.
    pub const START: usize = 0;
    /// Nanoseconds, never negative.
    pub const DURATION: usize = 1;
    /// The trace.
    pub const TRACE_ID: usize = 2;
    /// The span.
    pub const SPAN_ID: usize = 3;
    /// The span it is part of; null for a root.
    pub const PARENT_SPAN_ID: usize = 4;
    /// The operation.
    pub const NAME: usize = 5;
    /// `unspecified`, `internal`, `server`, `client`, `producer` or `consumer`.
    pub const KIND: usize = 6;
    /// `unset`, `ok` or `error`.
    pub const STATUS_CODE: usize = 7;
    /// Why, where the status is an error.
    pub const STATUS_MESSAGE: usize = 8;
    /// `[{"time":ns,"name":…,"attributes":{…}}]`
    pub const EVENTS: usize = 9;
    /// `[{"trace_id":hex,"span_id":hex,"attributes":{…}}]`
    pub const LINKS: usize = 10;
}

/// Positions of the fixed columns of events.
pub mod event {
    /// When it happened.
    pub const TIMESTAMP: usize = 0;
    /// What happened.
    pub const NAME: usize = 1;
    /// `deploy`, `business`, `user`, `command` or `config`.
    pub const KIND: usize = 2;
    /// Who did it.
    pub const USER_ID: usize = 3;
    /// For which team.
    pub const TEAM_ID: usize = 4;
    /// In which project.
    pub const PROJECT_ID: usize = 5;
    /// In which session.
    pub const SESSION_ID: usize = 6;
    /// A number that goes with it, such as an amount or a duration.
    pub const VALUE: usize = 7;
}

/// Positions of the fixed columns of the audit log.
pub mod audit {
    /// When the row was sealed; ascends with its number.
    pub const TIMESTAMP: usize = 0;
    /// When it happened, milliseconds since the Unix epoch.
    pub const AT: usize = 1;
    /// Its number in the chain of its node.
    pub const SEQ: usize = 2;
    /// Which node wrote it.
    pub const NODE: usize = 3;
    /// The hash that covers it and all before it, in hexadecimal.
    pub const HASH: usize = 4;
    /// `user`, `key`, `service_account` or `system`; null for nobody known.
    pub const ACTOR_KIND: usize = 5;
    /// Who did it.
    pub const ACTOR_ID: usize = 6;
    /// What people call them.
    pub const ACTOR_NAME: usize = 7;
    /// What was done, `area:verb`.
    pub const ACTION: usize = 8;
    /// The route's pattern.
    pub const ROUTE: usize = 9;
    /// `GET`, `POST`, …
    pub const METHOD: usize = 10;
    /// What it was done to.
    pub const TARGET: usize = 11;
    /// `ok`, `refused` or `failed`.
    pub const RESULT: usize = 12;
    /// The HTTP status, 0 outside requests.
    pub const STATUS: usize = 13;
    /// From where.
    pub const ADDRESS: usize = 14;
    /// How often within the minute.
    pub const COUNT: usize = 15;
    /// A JSON object as it was hashed, byte for byte.
    pub const DETAIL: usize = 16;
}

/// Positions of the columns of runs of health checks.
pub mod check {
    /// When the run began.
    pub const TIMESTAMP: usize = 0;
    /// The check's id, which stays when its name changes.
    pub const CHECK_ID: usize = 1;
    /// What the check was called.
    pub const NAME: usize = 2;
    /// What it looks at, such as `http`.
    pub const KIND: usize = 3;
    /// Where it was run: `server`, or an agent's name.
    pub const PLACE: usize = 4;
    /// `healthy`, `unhealthy` or `unknown`.
    pub const STATUS: usize = 5;
    /// What the last attempt took, milliseconds.
    pub const LATENCY_MS: usize = 6;
    /// Attempts made.
    pub const ATTEMPTS: usize = 7;
    /// Why it is not healthy.
    pub const MESSAGE: usize = 8;
    /// What was seen, a JSON object.
    pub const DETAILS: usize = 9;
}

const AUDIT: [FixedColumn; 17] = [
    column("timestamp", FixedKind::Timestamp),
    column("at", FixedKind::Int),
    column("seq", FixedKind::Int),
    column("node", FixedKind::Text),
    column("hash", FixedKind::Text),
    column("actor_kind", FixedKind::Text),
    column("actor_id", FixedKind::Text),
    column("actor_name", FixedKind::Text),
    column("action", FixedKind::Text),
    column("route", FixedKind::Text),
    column("method", FixedKind::Text),
    column("target", FixedKind::Text),
    column("result", FixedKind::Text),
    column("status", FixedKind::Int),
    column("address", FixedKind::Text),
    column("count", FixedKind::Int),
    column("detail", FixedKind::Text),
];

const LOGS: [FixedColumn; 7] = [
    column("timestamp", FixedKind::Timestamp),
    column("observed_timestamp", FixedKind::Timestamp),
    column("severity_number", FixedKind::Int),
    column("severity_text", FixedKind::Text),
    column("body", FixedKind::Text),
    column("trace_id", FixedKind::TraceId),
    column("span_id", FixedKind::SpanId),
];

const SPANS: [FixedColumn; 11] = [
    column("start", FixedKind::Timestamp),
    column("duration", FixedKind::Int),
    column("trace_id", FixedKind::TraceId),
    column("span_id", FixedKind::SpanId),
    column("parent_span_id", FixedKind::SpanId),
    column("name", FixedKind::Text),
    column("kind", FixedKind::Text),
    column("status_code", FixedKind::Text),
    column("status_message", FixedKind::Text),
    column("events", FixedKind::Json),
    column("links", FixedKind::Json),
];

const EVENTS: [FixedColumn; 8] = [
    column("timestamp", FixedKind::Timestamp),
    column("name", FixedKind::Text),
    column("kind", FixedKind::Text),
    column("user_id", FixedKind::Text),
    column("team_id", FixedKind::Text),
    column("project_id", FixedKind::Text),
    column("session_id", FixedKind::Text),
    column("value", FixedKind::Double),
];

const CHECKS: [FixedColumn; 10] = [
    column("timestamp", FixedKind::Timestamp),
    column("check_id", FixedKind::Text),
    column("name", FixedKind::Text),
    column("type", FixedKind::Text),
    column("place", FixedKind::Text),
    column("status", FixedKind::Text),
    column("latency_ms", FixedKind::Double),
    column("attempts", FixedKind::Int),
    column("message", FixedKind::Text),
    column("details", FixedKind::Json),
];

/// The fixed columns of a signal's rows. The first is always the time. Empty for signals that are not rows.
pub const fn columns(signal: Signal) -> &'static [FixedColumn] {
    match signal {
        Signal::Logs => &LOGS,
        Signal::Traces => &SPANS,
        Signal::Events => &EVENTS,
        Signal::Checks => &CHECKS,
        Signal::Audit => &AUDIT,
        Signal::Metrics => &[],
    }
}

/// One value of a row. Texts are UTF-8: decoders replace what is not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number, or nanoseconds.
    Int(i64),
    /// A number.
    Double(f64),
    /// UTF-8.
    Text(Span),
    /// A JSON array or object.
    Json(Span),
    /// Bytes: identifiers in fixed columns only. Attributes that are bytes come as text in Base64.
    Bytes(Span),
}

/// An attribute of a row or of a resource.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attr {
    /// Its key, UTF-8.
    pub key: Span,
    /// Its value; never [`Value::Bytes`]. A null is left out by decoders.
    pub value: Value,
}

/// What a row has beside its fixed columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordRow {
    /// Position in the request for refusals, as the protocol counts.
    pub index: u32,
    /// Its resource, into [`Records::resources`].
    pub resource: u32,
    /// Its attributes, into [`Records::attrs`]. Where a key comes twice, the first counts.
    pub attrs: Range<u32>,
}

/// Rows of one signal, by column where they are fixed.
#[derive(Clone, Debug)]
pub struct Records {
    /// Which table they are for.
    pub signal: Signal,
    /// What the spans point into.
    pub text: Vec<u8>,
    /// Attributes of rows and resources, each one's together.
    pub attrs: Vec<Attr>,
    /// Resources, into `attrs`.
    pub resources: Vec<Range<u32>>,
    /// Fixed columns, row after row, [`columns`]`(signal).len()` each.
    pub fields: Vec<Value>,
    /// The rows.
    pub rows: Vec<RecordRow>,
}

impl Records {
    /// No rows yet.
    pub fn new(signal: Signal) -> Self {
        Self {
            signal,
            text: Vec::new(),
            attrs: Vec::new(),
            resources: Vec::new(),
            fields: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Bytes in memory, about: texts, and what rows, columns and attributes take beside them.
    pub fn bytes(&self) -> usize {
        self.text.len()
            + self.attrs.len() * size_of::<Attr>()
            + self.resources.len() * size_of::<Range<u32>>()
            + self.fields.len() * size_of::<Value>()
            + self.rows.len() * size_of::<RecordRow>()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Copies a text to the end of `text` and returns where it is. `text` stays below 4 GiB because bodies are
    /// bounded far below that.
    pub fn push_text(&mut self, text: impl AsRef<[u8]>) -> Span {
        let text = text.as_ref();
        let start = self.text.len() as u32;
        self.text.extend_from_slice(text);
        Span { start, len: text.len() as u32 }
    }

    /// Adds an attribute to those that the next [`Self::end_resource`] or [`Self::push_row`] takes.
    pub fn push_attr(&mut self, key: impl AsRef<[u8]>, value: Value) {
        let key = self.push_text(key);
        self.attrs.push(Attr { key, value });
    }

    /// Makes a resource of the attributes from `first` on and returns its number.
    pub fn end_resource(&mut self, first: u32) -> u32 {
        self.resources.push(first..self.attrs.len() as u32);
        self.resources.len() as u32 - 1
    }

    /// Adds a row with the attributes from `first_attr` on. `fields` has one value for each fixed column.
    pub fn push_row(&mut self, index: u32, resource: u32, first_attr: u32, fields: &[Value]) {
        debug_assert_eq!(fields.len(), columns(self.signal).len());
        self.fields.extend_from_slice(fields);
        self.rows.push(RecordRow { index, resource, attrs: first_attr..self.attrs.len() as u32 });
    }

    /// Fixed columns of a row.
    pub fn fields_of(&self, row: usize) -> &[Value] {
        let width = columns(self.signal).len();
        &self.fields[row * width..(row + 1) * width]
    }

    /// Fixed columns of a row, to change.
    pub fn fields_of_mut(&mut self, row: usize) -> &mut [Value] {
        let width = columns(self.signal).len();
        &mut self.fields[row * width..(row + 1) * width]
    }

    /// Attributes of a row.
    pub fn attrs_of(&self, row: usize) -> &[Attr] {
        let attrs = &self.rows[row].attrs;
        &self.attrs[attrs.start as usize..attrs.end as usize]
    }

    /// Attributes of a row's resource; none where it has no resource.
    pub fn resource_of(&self, row: usize) -> &[Attr] {
        match self.resources.get(self.rows[row].resource as usize) {
            Some(attrs) => &self.attrs[attrs.start as usize..attrs.end as usize],
            None => &[],
        }
    }

    /// The value of an attribute; the first of several.
    pub fn find(&self, attrs: &[Attr], key: &str) -> Option<Value> {
        attrs.iter().find(|attr| attr.key.of(&self.text) == key.as_bytes()).map(|attr| attr.value)
    }

    /// The text of a value; `None` for what is not a text.
    pub fn text_of(&self, value: Value) -> Option<&str> {
        match value {
            Value::Text(span) | Value::Json(span) => std::str::from_utf8(span.of(&self.text)).ok(),
            _ => None,
        }
    }

    /// Time of a row, nanoseconds since the Unix epoch.
    pub fn time_ns(&self, row: usize) -> i64 {
        match self.fields_of(row).first() {
            Some(Value::Int(ns)) => *ns,
            _ => 0,
        }
    }

    /// Keeps the rows for which `keep` says so. Texts stay where they are.
    pub fn retain(&mut self, mut keep: impl FnMut(&Self, usize) -> bool) {
        let width = columns(self.signal).len();
        let kept: Vec<bool> = (0..self.rows.len()).map(|row| keep(self, row)).collect();
        let mut at = 0;
        for (row, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
            self.rows.swap(at, row);
            self.fields.copy_within(row * width..(row + 1) * width, at * width);
            at += 1;
        }
        self.rows.truncate(at);
        self.fields.truncate(at * width);
    }
}

/// Limits on rows. The defaults fit a team on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordLimits {
    /// Attributes of one row; its resource's are counted apart.
    pub attrs_max: usize,
    /// Bytes of one attribute key.
    pub key_bytes_max: usize,
    /// Bytes of one row, all its texts together.
    pub row_bytes_max: usize,
    /// How far ahead of the server's clock a time may be, milliseconds.
    pub future_ms_max: i64,
}

impl Default for RecordLimits {
    fn default() -> Self {
        Self { attrs_max: 1024, key_bytes_max: 1024, row_bytes_max: 4 << 20, future_ms_max: 24 * 3600 * 1000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retaining_keeps_fields_with_their_rows() {
        let mut records = Records::new(Signal::Events);
        for i in 0..5 {
            let mut fields = [Value::Null; 8];
            fields[event::TIMESTAMP] = Value::Int(i);
            let first = records.attrs.len() as u32;
            records.push_attr("i", Value::Int(i));
            records.push_row(i as u32, 0, first, &fields);
        }
        records.retain(|records, row| records.time_ns(row) % 2 == 1);
        let seen: Vec<_> = (0..records.len())
            .map(|row| (records.rows[row].index, records.time_ns(row), records.attrs_of(row)[0].value))
            .collect();
        assert_eq!(seen, [(1, 1, Value::Int(1)), (3, 3, Value::Int(3))]);
    }

    #[test]
    fn time_is_the_first_column_of_every_table() {
        for signal in [Signal::Logs, Signal::Traces, Signal::Events] {
            assert_eq!(columns(signal)[0].kind, FixedKind::Timestamp);
        }
    }
}
