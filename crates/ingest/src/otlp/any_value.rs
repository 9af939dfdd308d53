//! Values of attributes as label text: strings as they are, numbers in decimal, bytes in base 64, arrays and
//! maps as JSON with sorted keys. Rows, which keep kinds, have [`row`].

pub(in crate::otlp) mod row; // values of attributes as values of rows

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::wire::{self, Reader, WireError};

/// Arrays and maps may be nested this deep. Attributes are flat by convention; two levels are rare.
pub(in crate::otlp) const DEPTH_MAX: usize = 16;

/// Why a value has no text.
#[derive(Debug)]
pub(in crate::otlp) enum NoText {
    Wire(WireError),
    TooDeep,
}

impl From<WireError> for NoText {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl std::fmt::Display for NoText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wire(error) => write!(f, "not valid protobuf: {error}"),
            Self::TooDeep => {
                write!(f, "arrays and maps may be nested {DEPTH_MAX} deep; flatten the attribute")
            }
        }
    }
}

/// A value other than a plain string.
pub(in crate::otlp) enum Text {
    /// A piece of the body.
    InBody(model::Span),
    /// Made.
    Made(String),
}

const STRING: u32 = wire::bytes(1);
const BOOL: u32 = wire::varint(2);
const INT: u32 = wire::varint(3);
const DOUBLE: u32 = wire::fixed64(4);
const ARRAY: u32 = wire::bytes(5);
const MAP: u32 = wire::bytes(6);
const BYTES: u32 = wire::bytes(7);

/// Reads an `AnyValue`.
pub(in crate::otlp) fn text(mut message: Reader<'_>) -> Result<Text, NoText> {
    let mut text = Text::Made(String::new());
    while let Some(key) = message.key()? {
        text = match key {
            STRING => Text::InBody(message.span()?),
            BOOL => Text::Made(if message.varint()? != 0 { "true".into() } else { "false".into() }),
            INT => Text::Made((message.varint()? as i64).to_string()),
            DOUBLE => Text::Made(double(message.double()?)),
            ARRAY => Text::Made(array(message.message()?, DEPTH_MAX)?.to_string()),
            MAP => Text::Made(map(message.message()?, DEPTH_MAX)?.to_string()),
            BYTES => Text::Made(BASE64.encode(message.bytes()?)),
            other => {
                message.skip(other)?;
                continue;
            }
        };
    }
    Ok(text)
}

fn nested(mut message: Reader<'_>, depth: usize) -> Result<Value, NoText> {
    let depth = depth.checked_sub(1).ok_or(NoText::TooDeep)?;
    let mut value = Value::Null;
    while let Some(key) = message.key()? {
        value = match key {
            STRING => String::from_utf8_lossy(message.bytes()?).into(),
            BOOL => (message.varint()? != 0).into(),
            INT => (message.varint()? as i64).into(),
            DOUBLE => message.double()?.into(),
            ARRAY => array(message.message()?, depth)?,
            MAP => map(message.message()?, depth)?,
            BYTES => BASE64.encode(message.bytes()?).into(),
            other => {
                message.skip(other)?;
                continue;
            }
        };
    }
    Ok(value)
}

fn array(mut message: Reader<'_>, depth: usize) -> Result<Value, NoText> {
    const VALUES: u32 = wire::bytes(1);
    let mut values = Vec::new();
    while let Some(key) = message.key()? {
        match key {
            VALUES => values.push(nested(message.message()?, depth)?),
            other => message.skip(other)?,
        }
    }
    Ok(Value::Array(values))
}

fn map(mut message: Reader<'_>, depth: usize) -> Result<Value, NoText> {
    const VALUES: u32 = wire::bytes(1);
    let mut entries = serde_json::Map::new();
    while let Some(key) = message.key()? {
        match key {
            VALUES => {
                let (key, value) = entry(message.message()?, depth)?;
                entries.insert(key, value);
            }
            other => message.skip(other)?,
        }
    }
    Ok(Value::Object(entries))
}

fn entry(mut message: Reader<'_>, depth: usize) -> Result<(String, Value), NoText> {
    const KEY: u32 = wire::bytes(1);
    const VALUE: u32 = wire::bytes(2);
    let (mut name, mut value) = (String::new(), Value::Null);
    while let Some(key) = message.key()? {
        match key {
            KEY => name = String::from_utf8_lossy(message.bytes()?).into_owned(),
            VALUE => value = nested(message.message()?, depth)?,
            other => message.skip(other)?,
        }
    }
    Ok((name, value))
}

/// A double as JSON writes it: an exponent only for the very large and very small.
pub(in crate::otlp) fn double(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && size.is_finite() && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        return if size < 1.0 { text } else { text.replace('e', "e+") };
    }
    crate::float::plain(value)
}
