//! OTLP/protobuf: walks the messages of `ExportLogsServiceRequest`. Texts stay where they are in the body.

use model::Signal;

use super::{Context, LogIn, push};
use crate::otlp::any_value::{NoText, row};
use crate::otlp::groups;
use crate::otlp::sink::{BadItem, Sink, with_body};
use crate::wire::{self, Reader};
use crate::{DecodeError, DecodedRecords};

pub(super) fn decode(body: Vec<u8>, context: &Context) -> Result<DecodedRecords, DecodeError> {
    let mut sink = Sink::new(Signal::Logs, &body, body.len(), context);
    groups::walk(Reader::new(&body)?, &mut sink, |sink, first, message| {
        let mut log = LogIn::default();
        read(message, sink, &mut log)?;
        push(sink, first, log);
        Ok(())
    })?;
    let decoded = sink.finish();
    Ok(with_body(decoded, body))
}

fn read(mut message: Reader<'_>, sink: &mut Sink<'_>, log: &mut LogIn) -> Result<(), BadItem> {
    const TIME: u32 = wire::fixed64(1);
    const SEVERITY_NUMBER: u32 = wire::varint(2);
    const SEVERITY_TEXT: u32 = wire::bytes(3);
    const BODY: u32 = wire::bytes(5);
    const ATTRIBUTES: u32 = wire::bytes(6);
    const DROPPED_ATTRIBUTES: u32 = wire::varint(7);
    const FLAGS: u32 = wire::fixed32(8);
    const TRACE_ID: u32 = wire::bytes(9);
    const SPAN_ID: u32 = wire::bytes(10);
    const OBSERVED_TIME: u32 = wire::fixed64(11);
    const EVENT_NAME: u32 = wire::bytes(12);
    while let Some(key) = message.key()? {
        match key {
            TIME => log.time_ns = message.fixed64()?,
            SEVERITY_NUMBER => log.severity_number = message.varint()?,
            SEVERITY_TEXT => log.severity_text = message.span()?,
            BODY => {
                let value = row::value(message.message()?, &mut sink.texts);
                log.body = value.map_err(|error: NoText| BadItem::new("body", &error))?;
            }
            ATTRIBUTES => sink.item_attr(message.message()?)?,
            DROPPED_ATTRIBUTES => log.dropped_attributes = message.varint()?,
            FLAGS => log.flags = message.fixed32()?,
            TRACE_ID => log.trace_id = sink.id::<16>(message.span()?),
            SPAN_ID => log.span_id = sink.id::<8>(message.span()?),
            OBSERVED_TIME => log.observed_ns = message.fixed64()?,
            EVENT_NAME => log.event_name = message.span()?,
            other => message.skip(other)?,
        }
    }
    Ok(())
}
