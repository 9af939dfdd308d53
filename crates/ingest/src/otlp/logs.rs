//! `ExportLogsServiceRequest` to rows of logs.
//!
//! Attributes keep their kinds; bytes become Base64, arrays and maps JSON. A body that is not a string is the
//! text that shows it. A record without a time has that of its collection, else that of its arrival; severity
//! number and text are each derived from the other where one is missing. A refusal's index is the position of
//! the record among all records of the request, as partial success counts them.

mod json; // OTLP/JSON
mod protobuf; // OTLP/protobuf

#[cfg(test)]
pub(super) mod tests; // their generated requests serve the encoder too

use model::record::log;
use model::{Span, Value};

use super::Encoding;
use super::any_value::double;
use super::sink::{Sink, int};
use crate::records::{Context, severity_of_word, severity_text};
use crate::{DecodeError, DecodedRecords};

/// Decodes a decompressed body. A record that breaks a rule is refused alone.
pub fn decode(body: Vec<u8>, encoding: Encoding, context: &Context) -> Result<DecodedRecords, DecodeError> {
    match encoding {
        Encoding::Protobuf => protobuf::decode(body, context),
        Encoding::Json => json::decode(&body, context),
    }
}

/// A record as both encodings read it, beside its attributes.
#[derive(Debug, Default)]
struct LogIn {
    time_ns: u64,
    observed_ns: u64,
    severity_number: u64,
    severity_text: Span,
    body: Value,
    trace_id: Value,
    span_id: Value,
    flags: u32,
    dropped_attributes: u64,
    event_name: Span,
}

/// Adds the row of a record whose attributes were added since `first`.
fn push(sink: &mut Sink<'_>, first: u32, from: LogIn) {
    let observed_ns = if from.observed_ns == 0 { sink.received_at_ns() } else { int(from.observed_ns) };
    let time_ns = if from.time_ns == 0 { observed_ns } else { int(from.time_ns) };
    let (severity_number, severity_text) = severity(sink, from.severity_number, from.severity_text);
    let body = shown(sink, from.body);
    if from.event_name.len > 0 {
        let name = Value::Text(sink.texts.utf8(from.event_name));
        sink.own_attr("event.name", name);
    }
    sink.dropped("flags", from.flags.into());
    sink.dropped("otel.dropped_attributes_count", from.dropped_attributes);
    let mut fields = [Value::Null; 7];
    fields[log::TIMESTAMP] = Value::Int(time_ns);
    fields[log::OBSERVED_TIMESTAMP] = Value::Int(observed_ns);
    fields[log::SEVERITY_NUMBER] = severity_number;
    fields[log::SEVERITY_TEXT] = severity_text;
    fields[log::BODY] = body;
    fields[log::TRACE_ID] = from.trace_id;
    fields[log::SPAN_ID] = from.span_id;
    sink.push(first, &fields);
}

/// Number and text, each from the other where one is missing. A number outside 1 to 24 is none.
fn severity(sink: &mut Sink<'_>, number: u64, text: Span) -> (Value, Value) {
    let number = Some(int(number)).filter(|number| (1..=24).contains(number));
    if text.len == 0 {
        let text = number.and_then(severity_text).map(|text| Value::Text(sink.word(text)));
        return (number.map_or(Value::Null, Value::Int), text.unwrap_or_default());
    }
    let text = sink.texts.utf8(text);
    let of_text = || severity_of_word(std::str::from_utf8(sink.texts.of(text)).ok()?);
    let number = number.or_else(of_text);
    (number.map_or(Value::Null, Value::Int), Value::Text(text))
}

/// A body as text.
fn shown(sink: &mut Sink<'_>, value: Value) -> Value {
    let span = match value {
        Value::Null => return Value::Null,
        Value::Text(span) | Value::Json(span) | Value::Bytes(span) => span,
        Value::Bool(true) => sink.word("true"),
        Value::Bool(false) => sink.word("false"),
        Value::Int(value) => sink.texts.push(value.to_string().as_bytes()),
        Value::Double(value) => sink.texts.push(double(value).as_bytes()),
    };
    Value::Text(span)
}
