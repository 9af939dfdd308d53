//! `logproto.PushRequest`. The body becomes the text of the rows, so that lines and metadata are not copied.

use model::{Attr, Span, Value};

use super::{Push, labels};
use crate::DecodeError;
use crate::records::{Context, DecodedRecords};
use crate::wire::{self, Reader, WireError};

/// Decodes a decompressed body.
pub(super) fn decode(body: Vec<u8>, context: &Context) -> Result<DecodedRecords, DecodeError> {
    const STREAMS: u32 = wire::bytes(1);
    let mut push = Push::new(context);
    // The cursor reads the body while the rows' text grows behind a copy of it.
    push.records().text = body.clone();
    let mut request = Reader::new(&body)?;
    while let Some(key) = request.key()? {
        match key {
            STREAMS => stream(&mut push, &body, request.message()?)?,
            other => request.skip(other)?,
        }
    }
    Ok(push.decoded)
}

fn stream(push: &mut Push<'_>, body: &[u8], mut message: Reader<'_>) -> Result<(), WireError> {
    const LABELS: u32 = wire::bytes(1);
    const ENTRIES: u32 = wire::bytes(2);
    let mut text = Span::default();
    while let Some(key) = message.key()? {
        match key {
            LABELS => text = message.span()?,
            ENTRIES => entry(push, body, message.message()?)?,
            other => message.skip(other)?,
        }
    }
    let first_attr = push.records().attrs.len() as u32;
    let read = match std::str::from_utf8(text.of(body)) {
        Ok(text) => labels::push(push.records(), text),
        Err(_) => Err(format!("labels {} are not UTF-8", crate::decoded::shown(text.of(body)))),
    };
    match read {
        Ok(()) => push.end_stream(first_attr),
        Err(message) => {
            push.records().attrs.truncate(first_attr as usize);
            push.refuse_stream("labels", message);
        }
    }
    Ok(())
}

fn entry(push: &mut Push<'_>, body: &[u8], mut message: Reader<'_>) -> Result<(), WireError> {
    const TIMESTAMP: u32 = wire::bytes(1);
    const LINE: u32 = wire::bytes(2);
    const METADATA: u32 = wire::bytes(3);
    let (mut time_ns, mut line) = (0, Span::default());
    let first_attr = push.records().attrs.len() as u32;
    while let Some(key) = message.key()? {
        match key {
            TIMESTAMP => time_ns = timestamp_ns(message.message()?)?,
            LINE => line = message.span()?,
            METADATA => {
                let (name, value) = pair(message.message()?)?;
                let (key, value) = (utf8(push, body, name), utf8(push, body, value));
                push.records().attrs.push(Attr { key, value: Value::Text(value) });
            }
            other => message.skip(other)?,
        }
    }
    let line = utf8(push, body, line);
    push.entry(time_ns, line, first_attr);
    Ok(())
}

/// `google.protobuf.Timestamp`; what an i64 of nanoseconds cannot hold becomes its nearest end.
fn timestamp_ns(mut message: Reader<'_>) -> Result<i64, WireError> {
    const SECONDS: u32 = wire::varint(1);
    const NANOS: u32 = wire::varint(2);
    let (mut seconds, mut nanos) = (0i64, 0i32);
    while let Some(key) = message.key()? {
        match key {
            SECONDS => seconds = message.varint()? as i64,
            NANOS => nanos = message.varint()? as i32,
            other => message.skip(other)?,
        }
    }
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanos)))
}

fn pair(mut message: Reader<'_>) -> Result<(Span, Span), WireError> {
    const NAME: u32 = wire::bytes(1);
    const VALUE: u32 = wire::bytes(2);
    let (mut name, mut value) = (Span::default(), Span::default());
    while let Some(key) = message.key()? {
        match key {
            NAME => name = message.span()?,
            VALUE => value = message.span()?,
            other => message.skip(other)?,
        }
    }
    Ok((name, value))
}

/// The span itself where it is UTF-8, else a corrected copy.
fn utf8(push: &mut Push<'_>, body: &[u8], span: Span) -> Span {
    match String::from_utf8_lossy(span.of(body)) {
        std::borrow::Cow::Borrowed(_) => span,
        std::borrow::Cow::Owned(corrected) => push.records().push_text(corrected),
    }
}
