//! Values of attributes as values of rows: kinds are kept, bytes become Base64, arrays and maps JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use model::{Attr, Span, Value};

use super::{ARRAY, BOOL, BYTES, DEPTH_MAX, DOUBLE, INT, MAP, NoText, STRING};
use crate::records::{write_f64, write_str};
use crate::rows::Texts;
use crate::wire::{self, Reader};

const KEY: u32 = wire::bytes(1);
const VALUE: u32 = wire::bytes(2);
const VALUES: u32 = wire::bytes(1);

/// Reads an `AnyValue`.
pub(in crate::otlp) fn value(mut message: Reader<'_>, texts: &mut Texts<'_>) -> Result<Value, NoText> {
    let mut value = Value::Null;
    while let Some(key) = message.key()? {
        value = match key {
            STRING => Value::Text(texts.utf8(message.span()?)),
            BOOL => Value::Bool(message.varint()? != 0),
            INT => Value::Int(message.varint()? as i64),
            DOUBLE => Value::Double(message.double()?),
            ARRAY => {
                let list = message.message()?;
                Value::Json(texts.make(|out| write_array(out, list, DEPTH_MAX))?)
            }
            MAP => {
                let map = message.message()?;
                Value::Json(texts.make(|out| write_map(out, map, VALUES, DEPTH_MAX))?)
            }
            BYTES => Value::Text(texts.push(BASE64.encode(message.bytes()?).as_bytes())),
            other => {
                message.skip(other)?;
                continue;
            }
        };
    }
    Ok(value)
}

/// Reads a `KeyValue`. Where its value cannot be read the key comes with the reason.
pub(in crate::otlp) fn attribute(
    mut message: Reader<'_>,
    texts: &mut Texts<'_>,
) -> Result<Attr, (Span, NoText)> {
    let mut attr = Attr { key: Span::default(), value: Value::Null };
    let mut read = || -> Result<(), NoText> {
        while let Some(key) = message.key()? {
            match key {
                KEY => attr.key = texts.utf8(message.span()?),
                VALUE => attr.value = value(message.message()?, texts)?,
                other => message.skip(other)?,
            }
        }
        Ok(())
    };
    match read() {
        Ok(()) => Ok(attr),
        Err(error) => Err((attr.key, error)),
    }
}

/// Appends a JSON object of the `KeyValue`s that are fields `wanted` of a message, without those that have no
/// value.
pub(in crate::otlp) fn write_map(
    out: &mut Vec<u8>,
    mut message: Reader<'_>,
    wanted: u32,
    depth: usize,
) -> Result<(), NoText> {
    out.push(b'{');
    let first = out.len();
    while let Some(key) = message.key()? {
        if key == wanted {
            let before = out.len();
            if before > first {
                out.push(b',');
            }
            if !write_entry(out, message.message()?, depth)? {
                out.truncate(before);
            }
        } else {
            message.skip(key)?;
        }
    }
    out.push(b'}');
    Ok(())
}

/// False when it has no value.
fn write_entry(out: &mut Vec<u8>, message: Reader<'_>, depth: usize) -> Result<bool, NoText> {
    // The key is usually first, but nothing says it must be.
    let (mut name, mut value) = (&b""[..], None);
    let mut fields = message;
    while let Some(key) = fields.key()? {
        match key {
            KEY => name = fields.bytes()?,
            VALUE => value = Some(fields.message()?),
            other => fields.skip(other)?,
        }
    }
    let Some(value) = value else { return Ok(false) };
    write_str(out, name);
    out.push(b':');
    write_value(out, value, depth)
}

fn write_array(out: &mut Vec<u8>, mut message: Reader<'_>, depth: usize) -> Result<(), NoText> {
    out.push(b'[');
    let first = out.len();
    while let Some(key) = message.key()? {
        if key == VALUES {
            if out.len() > first {
                out.push(b',');
            }
            if !write_value(out, message.message()?, depth)? {
                out.extend(b"null");
            }
        } else {
            message.skip(key)?;
        }
    }
    out.push(b']');
    Ok(())
}

/// False when there is no value, and nothing was written.
fn write_value(out: &mut Vec<u8>, mut message: Reader<'_>, depth: usize) -> Result<bool, NoText> {
    let depth = depth.checked_sub(1).ok_or(NoText::TooDeep)?;
    let start = out.len();
    while let Some(key) = message.key()? {
        // Of several kinds the last counts.
        if matches!(key, STRING | BOOL | INT | DOUBLE | ARRAY | MAP | BYTES) {
            out.truncate(start);
        }
        match key {
            STRING => write_str(out, message.bytes()?),
            BOOL => out.extend(if message.varint()? != 0 { &b"true"[..] } else { b"false" }),
            INT => out.extend((message.varint()? as i64).to_string().bytes()),
            DOUBLE => write_f64(out, message.double()?),
            ARRAY => write_array(out, message.message()?, depth)?,
            MAP => write_map(out, message.message()?, VALUES, depth)?,
            BYTES => write_str(out, BASE64.encode(message.bytes()?).as_bytes()),
            other => message.skip(other)?,
        }
    }
    Ok(out.len() > start)
}

/// Nesting of a value inside an object of our own making, whose values may be as deep as those of attributes.
pub(in crate::otlp) const INNER_DEPTH_MAX: usize = DEPTH_MAX + 1;
