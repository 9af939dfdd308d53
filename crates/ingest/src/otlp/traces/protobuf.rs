//! OTLP/protobuf: walks the messages of `ExportTraceServiceRequest`. Texts stay where they are in the body.

use model::{Signal, Span, Value};

use super::{Context, SpanIn, bad_id, push};
use crate::otlp::any_value::row::{INNER_DEPTH_MAX, write_map};
use crate::otlp::groups;
use crate::otlp::sink::{BadItem, Sink, int, with_body};
use crate::records::{SpanLists, id_of_bytes, write_hex};
use crate::wire::{self, Reader, WireError};
use crate::{DecodeError, DecodedRecords};

pub(super) fn decode(body: Vec<u8>, context: &Context) -> Result<DecodedRecords, DecodeError> {
    let mut sink = Sink::new(Signal::Traces, &body, body.len(), context);
    let mut lists = SpanLists::default();
    groups::walk(Reader::new(&body)?, &mut sink, |sink, first, message| {
        let mut span = SpanIn::default();
        lists.clear();
        read(message, sink, &mut span, &mut lists)?;
        push(sink, first, &span, &lists);
        Ok(())
    })?;
    let decoded = sink.finish();
    Ok(with_body(decoded, body))
}

fn read(
    mut message: Reader<'_>,
    sink: &mut Sink<'_>,
    span: &mut SpanIn,
    lists: &mut SpanLists,
) -> Result<(), BadItem> {
    const TRACE_ID: u32 = wire::bytes(1);
    const SPAN_ID: u32 = wire::bytes(2);
    const TRACE_STATE: u32 = wire::bytes(3);
    const PARENT_SPAN_ID: u32 = wire::bytes(4);
    const NAME: u32 = wire::bytes(5);
    const KIND: u32 = wire::varint(6);
    const START: u32 = wire::fixed64(7);
    const END: u32 = wire::fixed64(8);
    const ATTRIBUTES: u32 = wire::bytes(9);
    const DROPPED_ATTRIBUTES: u32 = wire::varint(10);
    const EVENTS: u32 = wire::bytes(11);
    const DROPPED_EVENTS: u32 = wire::varint(12);
    const LINKS: u32 = wire::bytes(13);
    const DROPPED_LINKS: u32 = wire::varint(14);
    const STATUS: u32 = wire::bytes(15);
    let (mut trace_id, mut span_id) = (Span::default(), Span::default());
    while let Some(key) = message.key()? {
        match key {
            TRACE_ID => trace_id = message.span()?,
            SPAN_ID => span_id = message.span()?,
            TRACE_STATE => span.trace_state = message.span()?,
            PARENT_SPAN_ID => span.parent_span_id = sink.id::<8>(message.span()?),
            NAME => span.name = message.span()?,
            KIND => span.kind = message.varint()?,
            START => span.start_ns = message.fixed64()?,
            END => span.end_ns = message.fixed64()?,
            ATTRIBUTES => sink.item_attr(message.message()?)?,
            DROPPED_ATTRIBUTES => span.dropped_attributes = message.varint()?,
            EVENTS => event(message.message()?, lists)?,
            DROPPED_EVENTS => span.dropped_events = message.varint()?,
            LINKS => link(message.message()?, lists)?,
            DROPPED_LINKS => span.dropped_links = message.varint()?,
            STATUS => status(message.message()?, span)?,
            other => message.skip(other)?,
        }
    }
    span.trace_id = sink.id::<16>(trace_id);
    span.span_id = sink.id::<8>(span_id);
    if span.trace_id == Value::Null {
        return Err(bad_id("trace_id", &hex(sink.texts.of(trace_id)), 16));
    }
    if span.span_id == Value::Null {
        return Err(bad_id("span_id", &hex(sink.texts.of(span_id)), 8));
    }
    Ok(())
}

fn hex(id: &[u8]) -> String {
    let mut text = Vec::new();
    write_hex(&mut text, &id[..id.len().min(32)]);
    crate::decoded::shown(&text)
}

fn status(mut message: Reader<'_>, span: &mut SpanIn) -> Result<(), WireError> {
    const MESSAGE: u32 = wire::bytes(2);
    const CODE: u32 = wire::varint(3);
    while let Some(key) = message.key()? {
        match key {
            MESSAGE => span.status_message = message.span()?,
            CODE => span.status_code = message.varint()?,
            other => message.skip(other)?,
        }
    }
    Ok(())
}

fn event(message: Reader<'_>, lists: &mut SpanLists) -> Result<(), BadItem> {
    const TIME: u32 = wire::fixed64(1);
    const NAME: u32 = wire::bytes(2);
    const ATTRIBUTES: u32 = wire::bytes(3);
    const DROPPED_ATTRIBUTES: u32 = wire::varint(4);
    let (mut time_ns, mut name, mut dropped) = (0, &b""[..], 0);
    let mut fields = message;
    while let Some(key) = fields.key()? {
        match key {
            TIME => time_ns = fields.fixed64()?,
            NAME => name = fields.bytes()?,
            DROPPED_ATTRIBUTES => dropped = fields.varint()?,
            other => fields.skip(other)?,
        }
    }
    let out = lists.begin_event(int(time_ns), name);
    write_map(out, message, ATTRIBUTES, INNER_DEPTH_MAX).map_err(|error| BadItem::new("events", &error))?;
    SpanLists::end(out, int(dropped));
    Ok(())
}

fn link(message: Reader<'_>, lists: &mut SpanLists) -> Result<(), BadItem> {
    const TRACE_ID: u32 = wire::bytes(1);
    const SPAN_ID: u32 = wire::bytes(2);
    const TRACE_STATE: u32 = wire::bytes(3);
    const ATTRIBUTES: u32 = wire::bytes(4);
    const DROPPED_ATTRIBUTES: u32 = wire::varint(5);
    let (mut trace_id, mut span_id, mut trace_state, mut dropped) = (&b""[..], &b""[..], &b""[..], 0);
    let mut fields = message;
    while let Some(key) = fields.key()? {
        match key {
            TRACE_ID => trace_id = fields.bytes()?,
            SPAN_ID => span_id = fields.bytes()?,
            TRACE_STATE => trace_state = fields.bytes()?,
            DROPPED_ATTRIBUTES => dropped = fields.varint()?,
            other => fields.skip(other)?,
        }
    }
    let (Some(trace_id), Some(span_id)) = (id_of_bytes(trace_id), id_of_bytes(span_id)) else {
        return Ok(());
    };
    let out = lists.begin_link(&trace_id, &span_id, trace_state);
    write_map(out, message, ATTRIBUTES, INNER_DEPTH_MAX).map_err(|error| BadItem::new("links", &error))?;
    SpanLists::end(out, int(dropped));
    Ok(())
}
