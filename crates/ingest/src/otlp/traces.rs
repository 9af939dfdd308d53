//! `ExportTraceServiceRequest` to rows of spans.
//!
//! Attributes keep their kinds; bytes become Base64, arrays and maps JSON. Events and links are JSON columns.
//! A span without a valid trace or span id is refused; a refusal's index is the position of the span among
//! all spans of the request, as partial success counts them. A link without valid ids leads nowhere and is
//! left out.

mod json; // OTLP/JSON
mod protobuf; // OTLP/protobuf

#[cfg(test)]
pub(super) mod tests; // their generated requests serve the encoder too

use model::record::span;
use model::{Reason, Span, Value};

use super::Encoding;
use super::sink::{BadItem, Sink, int};
use crate::records::{Context, KINDS, STATUS_CODES, SpanLists};
use crate::{DecodeError, DecodedRecords};

/// Decodes a decompressed body. A span that breaks a rule is refused alone.
pub fn decode(body: Vec<u8>, encoding: Encoding, context: &Context) -> Result<DecodedRecords, DecodeError> {
    match encoding {
        Encoding::Protobuf => protobuf::decode(body, context),
        Encoding::Json => json::decode(&body, context),
    }
}

/// A span as both encodings read it, beside its attributes.
#[derive(Debug, Default)]
struct SpanIn {
    trace_id: Value,
    span_id: Value,
    parent_span_id: Value,
    trace_state: Span,
    name: Span,
    kind: u64,
    start_ns: u64,
    end_ns: u64,
    status_code: u64,
    status_message: Span,
    dropped_attributes: u64,
    dropped_events: u64,
    dropped_links: u64,
}

/// The name of a code; that of the first for one that is not known.
fn name(names: &'static [&'static str], code: u64) -> &'static str {
    let at = usize::try_from(code).unwrap_or(0);
    names.get(at).copied().unwrap_or(names[0])
}

/// Adds the row of a span whose attributes were added since `first`.
fn push(sink: &mut Sink<'_>, first: u32, from: &SpanIn, lists: &SpanLists) {
    sink.dropped("otel.dropped_attributes_count", from.dropped_attributes);
    sink.dropped("otel.dropped_events_count", from.dropped_events);
    sink.dropped("otel.dropped_links_count", from.dropped_links);
    if from.trace_state.len > 0 {
        let state = Value::Text(sink.texts.utf8(from.trace_state));
        sink.own_attr("trace_state", state);
    }
    let (start_ns, duration_ns) = match from.start_ns {
        0 => (sink.received_at_ns(), 0),
        start => (int(start), int(from.end_ns.saturating_sub(start))),
    };
    let mut fields = [Value::Null; 11];
    fields[span::START] = Value::Int(start_ns);
    fields[span::DURATION] = Value::Int(duration_ns);
    fields[span::TRACE_ID] = from.trace_id;
    fields[span::SPAN_ID] = from.span_id;
    fields[span::PARENT_SPAN_ID] = from.parent_span_id;
    fields[span::NAME] = Value::Text(sink.texts.utf8(from.name));
    fields[span::KIND] = Value::Text(sink.word(name(&KINDS, from.kind)));
    fields[span::STATUS_CODE] = Value::Text(sink.word(name(&STATUS_CODES, from.status_code)));
    fields[span::STATUS_MESSAGE] = sink.text_or_null(from.status_message);
    fields[span::EVENTS] = list(sink, &lists.events);
    fields[span::LINKS] = list(sink, &lists.links);
    sink.push(first, &fields);
}

fn list(sink: &mut Sink<'_>, items: &[u8]) -> Value {
    if items.is_empty() { Value::Null } else { Value::Json(sink.texts.join(&[b"[", items, b"]"])) }
}

/// Why a span without an id cannot be kept. `shown` is the id as it was sent.
fn bad_id(field: &str, shown: &str, bytes: usize) -> BadItem {
    let message = format!("{shown} is no id; a span needs one of {bytes} bytes that are not all zero");
    BadItem { field: field.into(), reason: Reason::InvalidValue, message }
}
