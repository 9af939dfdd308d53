//! Jaeger's Thrift `Batch` in the binary protocol, as its clients post it to `/api/traces`, to rows of spans.
//!
//! The process is the resource. Tags keep their kinds, bytes become Base64; those that state kind, status
//! and trace state (`span.kind`, `error`, `otel.status_code`, `otel.status_description`, `w3c.tracestate`)
//! fill their columns instead. Logs become events named by their field `event`. The parent is `parentSpanId`,
//! else the first `CHILD_OF` reference within the trace; other references are links with OpenTelemetry's
//! attribute `opentracing.ref_type`.
//!
//! A refusal's index is the position of the span in the batch. Thrift has no lengths of structs, so bytes
//! that cannot be read cost the whole batch.

mod tag; // tags to attributes, and what some of them say of the span
mod thrift; // Thrift's bytes

#[cfg(test)]
mod tests;

use model::record::span;
use model::{Reason, Records, Refusal, Refusals, Signal, Value};

use self::tag::{SpanTags, Tag};
use self::thrift::Reader;
use crate::records::{Context, KINDS, STATUS_CODES, SpanLists, push_id};
use crate::{DecodeError, DecodedRecords};

/// True for the content types that Jaeger's clients send.
pub fn is_content_type(content_type: &str) -> bool {
    let base = content_type.split(';').next().unwrap_or("").trim();
    let known = ["application/x-thrift", "application/vnd.apache.thrift.binary"];
    known.iter().any(|known| base.eq_ignore_ascii_case(known))
}

/// Decodes a decompressed body. A span that breaks a rule is refused alone.
pub fn decode(body: &[u8], context: &Context) -> Result<DecodedRecords, DecodeError> {
    let mut batch = Batch {
        decoded: DecodedRecords { records: Records::new(Signal::Traces), refusals: Refusals::default() },
        context,
        resource: None,
        lists: SpanLists::default(),
        tags: Vec::new(),
        refs: Vec::new(),
    };
    let mut reader = Reader::new(body)?;
    while let Some(field) = reader.field()? {
        match field {
            (thrift::STRUCT, 1) => batch.process(&mut reader)?,
            (thrift::LIST, 2) => {
                for index in 0..reader.structs()? {
                    batch.span(index as u32, &mut reader)?;
                }
            }
            (kind, _) => reader.skip(kind)?,
        }
    }
    Ok(batch.finish())
}

struct Batch<'a, 'c> {
    decoded: DecodedRecords,
    context: &'c Context,
    resource: Option<u32>,
    lists: SpanLists,
    /// Tags of the span at hand.
    tags: Vec<Tag<'a>>,
    /// References of the span at hand.
    refs: Vec<Reference>,
}

/// What a span was caused by.
#[derive(Clone, Copy, Debug, Default)]
struct Reference {
    follows_from: bool,
    trace_id: [u8; 16],
    span_id: [u8; 8],
}

/// The fixed part of a span.
#[derive(Debug, Default)]
struct SpanIn<'a> {
    trace_id_low: i64,
    trace_id_high: i64,
    span_id: i64,
    parent_span_id: i64,
    name: &'a [u8],
    start_us: i64,
    duration_us: i64,
    /// A log without a time.
    untimed_log: bool,
}

impl<'a> Batch<'a, '_> {
    fn process(&mut self, reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        let (mut service, mut tags) = (&b""[..], Vec::new());
        while let Some(field) = reader.field()? {
            match field {
                (thrift::BINARY, 1) => service = reader.binary()?,
                (thrift::LIST, 2) => tag::read_list(reader, &mut tags)?,
                (kind, _) => reader.skip(kind)?,
            }
        }
        let records = &mut self.decoded.records;
        let first = records.attrs.len() as u32;
        if !service.is_empty() {
            let name = Value::Text(tag::push_text(records, service));
            records.push_attr("service.name", name);
        }
        for tag in &tags {
            tag.push(records);
        }
        self.resource = Some(records.end_resource(first));
        Ok(())
    }

    fn span(&mut self, index: u32, reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        let mut span = SpanIn::default();
        self.tags.clear();
        self.refs.clear();
        self.lists.clear();
        while let Some(field) = reader.field()? {
            match field {
                (thrift::I64, 1) => span.trace_id_low = reader.i64()?,
                (thrift::I64, 2) => span.trace_id_high = reader.i64()?,
                (thrift::I64, 3) => span.span_id = reader.i64()?,
                (thrift::I64, 4) => span.parent_span_id = reader.i64()?,
                (thrift::BINARY, 5) => span.name = reader.binary()?,
                (thrift::LIST, 6) => {
                    for _ in 0..reader.structs()? {
                        self.reference(reader)?;
                    }
                }
                (thrift::I64, 8) => span.start_us = reader.i64()?,
                (thrift::I64, 9) => span.duration_us = reader.i64()?,
                (thrift::LIST, 10) => tag::read_list(reader, &mut self.tags)?,
                (thrift::LIST, 11) => {
                    for _ in 0..reader.structs()? {
                        span.untimed_log |= !self.log(reader)?;
                    }
                }
                (kind, _) => reader.skip(kind)?,
            }
        }
        if let Err((field, message)) = self.push(index, &span) {
            let (index, field, reason) = (index as usize, field.into(), Reason::InvalidValue);
            self.decoded.refusals.push(Refusal { index, field, reason, message, items: 1 });
        }
        Ok(())
    }

    /// Reads a reference; one without ids leads nowhere and is left out.
    fn reference(&mut self, reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        const FOLLOWS_FROM: i32 = 1;
        let (mut kind, mut low, mut high, mut span_id) = (0, 0, 0, 0);
        while let Some(field) = reader.field()? {
            match field {
                (thrift::I32, 1) => kind = reader.i32()?,
                (thrift::I64, 2) => low = reader.i64()?,
                (thrift::I64, 3) => high = reader.i64()?,
                (thrift::I64, 4) => span_id = reader.i64()?,
                (kind, _) => reader.skip(kind)?,
            }
        }
        if (low, high) != (0, 0) && span_id != 0 {
            let follows_from = kind == FOLLOWS_FROM;
            let (trace_id, span_id) = (trace_id(high, low), span_id.to_be_bytes());
            self.refs.push(Reference { follows_from, trace_id, span_id });
        }
        Ok(())
    }

    /// Reads a log into an event; false when it has no time.
    fn log(&mut self, reader: &mut Reader<'a>) -> Result<bool, DecodeError> {
        let (mut time_us, mut tags) = (None, Vec::new());
        while let Some(field) = reader.field()? {
            match field {
                (thrift::I64, 1) => time_us = Some(reader.i64()?),
                (thrift::LIST, 2) => tag::read_list(reader, &mut tags)?,
                (kind, _) => reader.skip(kind)?,
            }
        }
        let Some(time_us) = time_us else { return Ok(false) };
        let named = tags.iter().position(|tag: &Tag<'_>| tag.key == b"event" && tag.text().is_some());
        let name = named.and_then(|at| tags.remove(at).text()).unwrap_or(b"");
        let out = self.lists.begin_event(ns(time_us), name);
        tag::write_object(out, &tags);
        SpanLists::end(out, 0);
        Ok(true)
    }

    /// Adds the row of the span at hand, or says which field keeps it from being one.
    fn push(&mut self, index: u32, from: &SpanIn<'_>) -> Result<(), (&'static str, String)> {
        let trace_id = trace_id(from.trace_id_high, from.trace_id_low);
        for (field, missing) in [("traceIdLow", trace_id == [0; 16]), ("spanId", from.span_id == 0)] {
            if missing {
                return Err((field, "zero or missing; a span needs both ids".into()));
            }
        }
        if from.untimed_log {
            return Err(("logs", "a log has no timestamp; send microseconds since the Unix epoch".into()));
        }
        let parent = self.parent(trace_id, from.parent_span_id);
        self.links(trace_id, parent);
        let resource = match self.resource {
            Some(resource) => resource,
            // Spans before their process, which no writer sends, have none.
            None => {
                let first = self.decoded.records.attrs.len() as u32;
                *self.resource.insert(self.decoded.records.end_resource(first))
            }
        };
        let records = &mut self.decoded.records;
        let first_attr = records.attrs.len() as u32;
        let said = SpanTags::push(records, &self.tags);
        let mut fields = [Value::Null; 11];
        let start_ns = if from.start_us == 0 { self.context.received_at_ns } else { ns(from.start_us) };
        fields[span::START] = Value::Int(start_ns);
        fields[span::DURATION] = Value::Int(ns(from.duration_us.max(0)));
        fields[span::TRACE_ID] = push_id(records, Some(trace_id));
        fields[span::SPAN_ID] = push_id(records, Some(from.span_id.to_be_bytes()));
        fields[span::PARENT_SPAN_ID] = push_id(records, parent);
        fields[span::NAME] = Value::Text(tag::push_text(records, from.name));
        fields[span::KIND] = Value::Text(records.push_text(KINDS[said.kind]));
        fields[span::STATUS_CODE] = Value::Text(records.push_text(STATUS_CODES[said.status_code]));
        if let Some(message) = said.status_message {
            fields[span::STATUS_MESSAGE] = Value::Text(tag::push_text(records, message));
        }
        for (column, list) in [(span::EVENTS, &self.lists.events), (span::LINKS, &self.lists.links)] {
            if !list.is_empty() {
                let mut json = Vec::with_capacity(list.len() + 2);
                json.push(b'[');
                json.extend(list);
                json.push(b']');
                fields[column] = Value::Json(records.push_text(json));
            }
        }
        records.push_row(index, resource, first_attr, &fields);
        Ok(())
    }

    /// The parent that is stated, else the first reference that means one.
    fn parent(&self, trace_id: [u8; 16], stated: i64) -> Option<[u8; 8]> {
        let child_of = |reference: &&Reference| !reference.follows_from && reference.trace_id == trace_id;
        let referred = || self.refs.iter().find(child_of).map(|reference| reference.span_id);
        (stated != 0).then(|| stated.to_be_bytes()).or_else(referred)
    }

    /// The references that are not the parent.
    fn links(&mut self, trace_id: [u8; 16], parent: Option<[u8; 8]>) {
        for reference in &self.refs {
            if !reference.follows_from && reference.trace_id == trace_id && Some(reference.span_id) == parent
            {
                continue;
            }
            let out = self.lists.begin_link(&reference.trace_id, &reference.span_id, b"");
            let kind = if reference.follows_from { "follows_from" } else { "child_of" };
            out.extend(format!("{{\"opentracing.ref_type\":\"{kind}\"}}").bytes());
            SpanLists::end(out, 0);
        }
    }

    /// The rows. The process usually comes first, but nothing says it must.
    fn finish(mut self) -> DecodedRecords {
        if let Some(resource) = self.resource {
            for row in &mut self.decoded.records.rows {
                row.resource = resource;
            }
        }
        self.decoded
    }
}

fn trace_id(high: i64, low: i64) -> [u8; 16] {
    ((u128::from(high as u64) << 64) | u128::from(low as u64)).to_be_bytes()
}

/// Microseconds as nanoseconds.
fn ns(us: i64) -> i64 {
    us.saturating_mul(1000)
}
