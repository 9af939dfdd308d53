//! Loki's push API: JSON and protobuf (decompressed before it comes here), with structured metadata.
//!
//! The labels of a stream become the attributes of a resource, structured metadata those of a row.
//! `service_name`, `service`, `app` or `job`, whichever comes first here, is also `service.name`. A `level`,
//! `detected_level` or `severity` of metadata, else of the labels, is the severity; `trace_id` and `span_id` of
//! metadata (also spelled `traceID`, `traceId`, …) fill their columns.
//!
//! A refusal's index counts entries over all streams. A stream whose labels cannot be read is refused with all
//! its entries, which the refusal stands for.

mod json; // {"streams":[…]}, both generations
mod labels; // {name="value",…}
mod protobuf; // logproto.PushRequest

#[cfg(test)]
mod tests;

use model::record::log;
use model::{Attr, Reason, Records, Refusal, Refusals, Signal, Span, Value};

use crate::DecodeError;
use crate::records::{Context, DecodedRecords, id_of_hex, push_id, severity_of_word, trace_id_of_text};

/// The two forms of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`
    Json,
    /// `application/x-protobuf`, which is snappy in addition.
    Protobuf,
}

impl Format {
    /// The form that a content type announces; protobuf where there is none, as in Loki.
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            name if name.eq_ignore_ascii_case("application/json") => Some(Self::Json),
            name if name.is_empty() || name.eq_ignore_ascii_case("application/x-protobuf") => {
                Some(Self::Protobuf)
            }
            _ => None,
        }
    }

    /// Decodes a decompressed body.
    pub fn decode(self, body: Vec<u8>, context: &Context) -> Result<DecodedRecords, DecodeError> {
        match self {
            Self::Json => json::decode(&body, context),
            Self::Protobuf => protobuf::decode(body, context),
        }
    }
}

/// Labels that name a service, most telling first.
const SERVICE_LABELS: [&str; 5] = ["service.name", "service_name", "service", "app", "job"];
const LEVEL_KEYS: [&str; 3] = ["level", "detected_level", "severity"];

/// Fills rows of one stream after the other. Labels may come after their entries, so rows get their resource
/// when the stream ends.
struct Push<'c> {
    decoded: DecodedRecords,
    context: &'c Context,
    /// Entries so far, refused ones included.
    entries: u32,
    /// The stream at hand: its position, first entry, and first row.
    stream: usize,
    first_entry: u32,
    first_row: usize,
}

impl<'c> Push<'c> {
    fn new(context: &'c Context) -> Self {
        Self {
            decoded: DecodedRecords { records: Records::new(Signal::Logs), refusals: Refusals::default() },
            context,
            entries: 0,
            stream: 0,
            first_entry: 0,
            first_row: 0,
        }
    }

    fn records(&mut self) -> &mut Records {
        &mut self.decoded.records
    }

    /// Adds an entry with the attributes from `first_attr` on.
    fn entry(&mut self, time_ns: i64, line: Span, first_attr: u32) {
        let received_at_ns = self.context.received_at_ns;
        let index = self.entries;
        self.entries += 1;
        let mut fields = [Value::Null; 7];
        fields[log::TIMESTAMP] = Value::Int(if time_ns == 0 { received_at_ns } else { time_ns });
        fields[log::OBSERVED_TIMESTAMP] = Value::Int(received_at_ns);
        fields[log::BODY] = Value::Text(line);
        let records = &mut self.decoded.records;
        take_metadata(records, first_attr, &mut fields);
        records.push_row(index, u32::MAX, first_attr, &fields);
    }

    /// Refuses an entry, and forgets the attributes from `first_attr` on.
    fn refuse_entry(&mut self, field: &str, message: String, first_attr: u32) {
        self.decoded.records.attrs.truncate(first_attr as usize);
        let index = self.entries as usize;
        self.entries += 1;
        let field = format!("streams[{}].{field}", self.stream);
        self.decoded.refusals.push(Refusal { index, field, reason: Reason::InvalidValue, message, items: 1 });
    }

    /// Ends a stream whose labels are the attributes from `first_attr` on.
    fn end_stream(&mut self, first_attr: u32) {
        let records = &mut self.decoded.records;
        add_service(records, first_attr);
        let labels = &records.attrs[first_attr as usize..];
        let level = LEVEL_KEYS.iter().find_map(|key| records.find(labels, key));
        let number = level.and_then(|level| records.text_of(level)).and_then(severity_of_word);
        let resource = records.end_resource(first_attr);
        for row in self.first_row..records.len() {
            records.rows[row].resource = resource;
            let fields = records.fields_of_mut(row);
            if fields[log::SEVERITY_TEXT] == Value::Null {
                fields[log::SEVERITY_TEXT] = level.unwrap_or_default();
                fields[log::SEVERITY_NUMBER] = number.map_or(Value::Null, Value::Int);
            }
        }
        self.next_stream();
    }

    /// Ends a stream whose labels cannot be read.
    fn refuse_stream(&mut self, field: &str, message: String) {
        let records = &mut self.decoded.records;
        let items = records.len() - self.first_row;
        let width = model::record::columns(Signal::Logs).len();
        records.rows.truncate(self.first_row);
        records.fields.truncate(self.first_row * width);
        let (index, reason) = (self.first_entry as usize, Reason::InvalidLabels);
        let field = format!("streams[{}].{field}", self.stream);
        self.decoded.refusals.push(Refusal { index, field, reason, message, items });
        self.next_stream();
    }

    fn next_stream(&mut self) {
        self.stream += 1;
        self.first_entry = self.entries;
        self.first_row = self.decoded.records.len();
    }
}

/// Moves what has a column of its own from a row's attributes to it.
fn take_metadata(records: &mut Records, first_attr: u32, fields: &mut [Value; 7]) {
    let first = first_attr as usize;
    let mut kept = first;
    for at in first..records.attrs.len() {
        let attr = records.attrs[at];
        if !take_one(records, attr, fields) {
            records.attrs[kept] = attr;
            kept += 1;
        }
    }
    records.attrs.truncate(kept);
}

/// True when an attribute went into a column.
fn take_one(records: &mut Records, attr: Attr, fields: &mut [Value; 7]) -> bool {
    let Some(text) = records.text_of(attr.value) else { return false };
    match attr.key.of(&records.text) {
        b"trace_id" | b"traceID" | b"traceId" | b"traceid" if fields[log::TRACE_ID] == Value::Null => {
            let Some(id) = trace_id_of_text(text) else { return false };
            fields[log::TRACE_ID] = push_id(records, Some(id));
        }
        b"span_id" | b"spanID" | b"spanId" | b"spanid" if fields[log::SPAN_ID] == Value::Null => {
            let Some(id) = id_of_hex::<8>(text.as_bytes()) else { return false };
            fields[log::SPAN_ID] = push_id(records, Some(id));
        }
        b"level" | b"detected_level" | b"severity" if fields[log::SEVERITY_TEXT] == Value::Null => {
            fields[log::SEVERITY_NUMBER] = severity_of_word(text).map_or(Value::Null, Value::Int);
            fields[log::SEVERITY_TEXT] = attr.value;
        }
        _ => return false,
    }
    true
}

/// Adds `service.name` to labels that name a service otherwise.
fn add_service(records: &mut Records, first_attr: u32) {
    let labels = &records.attrs[first_attr as usize..];
    let found = SERVICE_LABELS.iter().enumerate().find_map(|(i, key)| Some((i, records.find(labels, key)?)));
    if let Some((1.., service)) = found {
        records.push_attr("service.name", service);
    }
}
