//! Tags: typed attributes, some of which say what OpenTelemetry has fields for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use model::{Records, Span, Value};

use super::thrift::{self, Reader};
use crate::DecodeError;
use crate::records::{KINDS, STATUS_CODES, write_f64, write_str};

/// A key and its value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tag<'a> {
    pub(super) key: &'a [u8],
    value: TagValue<'a>,
}

#[derive(Clone, Copy, Debug, Default)]
enum TagValue<'a> {
    #[default]
    None,
    Text(&'a [u8]),
    Double(f64),
    Bool(bool),
    Long(i64),
    Binary(&'a [u8]),
}

/// Reads a list of tags.
pub(super) fn read_list<'a>(reader: &mut Reader<'a>, out: &mut Vec<Tag<'a>>) -> Result<(), DecodeError> {
    for _ in 0..reader.structs()? {
        let tag = read(reader)?;
        if !matches!(tag.value, TagValue::None) {
            out.push(tag);
        }
    }
    Ok(())
}

/// The value is that of the stated type, which is a text by default.
fn read<'a>(reader: &mut Reader<'a>) -> Result<Tag<'a>, DecodeError> {
    let (mut key, mut stated, mut values) = (&b""[..], 0, [TagValue::None; 5]);
    while let Some(field) = reader.field()? {
        match field {
            (thrift::BINARY, 1) => key = reader.binary()?,
            (thrift::I32, 2) => stated = reader.i32()?,
            (thrift::BINARY, 3) => values[0] = TagValue::Text(reader.binary()?),
            (thrift::DOUBLE, 4) => values[1] = TagValue::Double(reader.double()?),
            (thrift::BOOL, 5) => values[2] = TagValue::Bool(reader.bool()?),
            (thrift::I64, 6) => values[3] = TagValue::Long(reader.i64()?),
            (thrift::BINARY, 7) => values[4] = TagValue::Binary(reader.binary()?),
            (kind, _) => reader.skip(kind)?,
        }
    }
    let value = usize::try_from(stated).ok().and_then(|at| values.get(at).copied());
    Ok(Tag { key, value: value.unwrap_or_default() })
}

impl<'a> Tag<'a> {
    /// Its text, if it is one.
    pub(super) fn text(&self) -> Option<&'a [u8]> {
        match self.value {
            TagValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it means yes: `true` as a boolean or text.
    fn is_true(&self) -> bool {
        match self.value {
            TagValue::Bool(value) => value,
            TagValue::Text(text) => text.eq_ignore_ascii_case(b"true"),
            _ => false,
        }
    }

    /// Adds it as an attribute.
    pub(super) fn push(&self, records: &mut Records) {
        let value = match self.value {
            TagValue::None => return,
            TagValue::Text(text) => Value::Text(push_text(records, text)),
            TagValue::Double(value) => Value::Double(value),
            TagValue::Bool(value) => Value::Bool(value),
            TagValue::Long(value) => Value::Int(value),
            TagValue::Binary(bytes) => Value::Text(records.push_text(BASE64.encode(bytes))),
        };
        let key = push_text(records, self.key);
        records.attrs.push(model::Attr { key, value });
    }
}

/// Copies a text; what is not UTF-8 is replaced.
pub(super) fn push_text(records: &mut Records, text: &[u8]) -> Span {
    records.push_text(&*String::from_utf8_lossy(text))
}

/// Appends tags as a JSON object.
pub(super) fn write_object(out: &mut Vec<u8>, tags: &[Tag<'_>]) {
    out.push(b'{');
    for (i, tag) in tags.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_str(out, tag.key);
        out.push(b':');
        match tag.value {
            TagValue::None => out.extend(b"null"),
            TagValue::Text(text) => write_str(out, text),
            TagValue::Double(value) => write_f64(out, value),
            TagValue::Bool(value) => out.extend(value.to_string().bytes()),
            TagValue::Long(value) => out.extend(value.to_string().bytes()),
            TagValue::Binary(bytes) => write_str(out, BASE64.encode(bytes).as_bytes()),
        }
    }
    out.push(b'}');
}

/// What tags say of their span.
#[derive(Debug, Default)]
pub(super) struct SpanTags<'a> {
    /// Into [`KINDS`].
    pub(super) kind: usize,
    /// Into [`STATUS_CODES`].
    pub(super) status_code: usize,
    pub(super) status_message: Option<&'a [u8]>,
}

impl<'a> SpanTags<'a> {
    /// Adds the tags of a span as attributes, except those that say what a column holds.
    pub(super) fn push(records: &mut Records, tags: &[Tag<'a>]) -> Self {
        const UNSET: usize = 0;
        const ERROR: usize = 2;
        let mut said = Self::default();
        let mut failed = false;
        for tag in tags {
            let named = |names: &[&str]| {
                let text = tag.text()?;
                names.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(text))
            };
            match tag.key {
                b"span.kind" if named(&KINDS).is_some() => said.kind = named(&KINDS).unwrap_or_default(),
                b"otel.status_code" if named(&STATUS_CODES).is_some() => {
                    said.status_code = named(&STATUS_CODES).unwrap_or_default();
                }
                b"otel.status_description" if tag.text().is_some() => said.status_message = tag.text(),
                b"error" if tag.is_true() => failed = true,
                b"w3c.tracestate" => Tag { key: b"trace_state", ..*tag }.push(records),
                _ => tag.push(records),
            }
        }
        if failed && said.status_code == UNSET {
            said.status_code = ERROR;
        }
        said
    }
}
