//! Rows under construction: what logs and spans of both encodings have in common.

use model::{Attr, Reason, Records, Refusal, Refusals, Signal, Span, Value};

use super::any_value::{NoText, row};
use crate::records::{self, Context, Words};
use crate::rows::Texts;
use crate::wire::{Reader, WireError};
use crate::{DecodeError, DecodedRecords};

/// A row takes over a hundred bytes in memory but may be two in the body. Real ones are far above this.
const BYTES_PER_ROW_MIN: usize = 8;
const ROWS_FREE: usize = 1 << 16;
/// Attributes that scopes give to rows, beside one for each byte of the body. Real rows are far below.
const SCOPE_ATTRS_FREE: usize = 1 << 10;
/// What is made of a body: JSON of events, arrays and maps, which may be several times what it was in
/// protobuf when it is all empty objects.
const MADE_PER_BYTE_MAX: usize = 8;
const MADE_FREE: usize = 1 << 20;

/// Why an item cannot be a row, and which field says so.
#[derive(Debug)]
pub(super) struct BadItem {
    pub(super) field: String,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl BadItem {
    /// What is wrong with a field of an item.
    pub(super) fn new(field: &str, error: &NoText) -> Self {
        let reason = match error {
            NoText::Wire(_) => Reason::Malformed,
            NoText::TooDeep => Reason::InvalidValue,
        };
        Self { field: field.into(), reason, message: error.to_string() }
    }
}

impl From<WireError> for BadItem {
    fn from(error: WireError) -> Self {
        Self::new("the item", &error.into())
    }
}

/// Rows of one request.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    /// The body and what is made.
    pub(super) texts: Texts<'a>,
    /// Without its texts until the end.
    records: Records,
    refusals: Refusals,
    words: Words,
    context: Context,
    /// Items met so far.
    items: u32,
    items_max: usize,
    made_max: usize,
    /// The resource of the rows to come.
    resource: u32,
    /// Attributes that the scope gives each of its rows.
    scope: Vec<Attr>,
    /// How many of those the request may still give, so that a large scope of many rows cannot be blown up.
    scope_attrs_left: usize,
}

impl<'a> Sink<'a> {
    /// For a body; `texts` is where spans of it may point, empty where the encoding has no spans.
    pub(super) fn new(signal: Signal, texts: &'a [u8], body_len: usize, context: &Context) -> Self {
        let mut records = Records::new(signal);
        let rows = body_len / 512;
        records.rows.reserve(rows);
        records.fields.reserve(rows * model::record::columns(signal).len());
        Self {
            texts: Texts::new(texts),
            records,
            refusals: Refusals::default(),
            words: Words::default(),
            context: *context,
            items: 0,
            items_max: ROWS_FREE + body_len / BYTES_PER_ROW_MIN,
            made_max: MADE_FREE + MADE_PER_BYTE_MAX * body_len,
            resource: 0,
            scope: Vec::new(),
            scope_attrs_left: SCOPE_ATTRS_FREE + body_len,
        }
    }

    /// The server's clock when the request came.
    pub(super) fn received_at_ns(&self) -> i64 {
        self.context.received_at_ns
    }

    /// One of our own texts.
    #[inline]
    pub(super) fn word(&mut self, word: &'static str) -> Span {
        let texts = &mut self.texts;
        self.words.of(word, |word| texts.push(word.as_bytes()))
    }

    /// Where the attributes of an item, resource or scope begin.
    #[inline]
    pub(super) fn mark(&self) -> u32 {
        self.records.attrs.len() as u32
    }

    /// Adds an attribute, unless it has no value.
    #[inline]
    pub(super) fn attr(&mut self, attr: Attr) {
        if attr.value != Value::Null {
            self.records.attrs.push(attr);
        }
    }

    /// Adds an attribute of ours.
    pub(super) fn own_attr(&mut self, key: &'static str, value: Value) {
        let key = self.word(key);
        self.records.attrs.push(Attr { key, value });
    }

    /// Adds an attribute that counts what the sender left out, where it left out something.
    pub(super) fn dropped(&mut self, key: &'static str, count: u64) {
        if count != 0 {
            self.own_attr(key, Value::Int(int(count)));
        }
    }

    /// Reads and adds a `KeyValue` of an item.
    #[inline]
    pub(super) fn item_attr(&mut self, message: Reader<'_>) -> Result<(), BadItem> {
        match row::attribute(message, &mut self.texts) {
            Ok(attr) => {
                self.attr(attr);
                Ok(())
            }
            Err((key, error)) => {
                let field = format!("attributes[{}]", crate::decoded::shown(self.texts.of(key)));
                Err(BadItem::new(&field, &error))
            }
        }
    }

    /// Reads and adds the `KeyValue`s of a resource or scope, which are fields `wanted` of a message. One
    /// whose value is nested too deep is left out with a remark.
    pub(super) fn shared_attrs(&mut self, mut message: Reader<'_>, wanted: u32) -> Result<(), DecodeError> {
        while let Some(key) = message.key()? {
            if key != wanted {
                message.skip(key)?;
                continue;
            }
            match self.item_attr(message.message()?) {
                Err(bad) if bad.reason == Reason::Malformed => {
                    return Err(DecodeError::Malformed(format!("{}: {}", bad.field, bad.message)));
                }
                Err(bad) => self.remark(bad),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Says that a part of a resource or scope was left out.
    pub(super) fn remark(&mut self, bad: BadItem) {
        let BadItem { field, reason, message } = bad;
        self.refusals.push(Refusal { index: self.items as usize, field, reason, message, items: 0 });
    }

    /// Ends a resource: the attributes since the mark are its own.
    pub(super) fn end_resource(&mut self, first: u32) {
        self.resource = self.records.end_resource(first);
        self.scope.clear();
    }

    /// Ends a scope: the attributes since the mark are given to each of its rows, behind name and version.
    pub(super) fn end_scope(&mut self, first: u32, name: Span, version: Span) {
        self.scope.clear();
        for (key, value) in [("otel.scope.name", name), ("otel.scope.version", version)] {
            if value.len > 0 {
                let (key, value) = (self.word(key), Value::Text(self.texts.utf8(value)));
                self.scope.push(Attr { key, value });
            }
        }
        self.scope.extend(self.records.attrs.drain(first as usize..));
    }

    /// Begins an item and says where its attributes begin. More items than a real body of this size has are an
    /// error.
    pub(super) fn begin_item(&mut self) -> Result<u32, DecodeError> {
        self.items += 1;
        if self.items as usize > self.items_max {
            let text = format!("over {} items of fewer than {BYTES_PER_ROW_MIN} bytes each", self.items_max);
            return Err(DecodeError::TooLarge(text));
        }
        if self.texts.made() > self.made_max {
            let text = "its arrays, maps and events are many times as large as text; leave empty ones out";
            return Err(DecodeError::TooLarge(text.into()));
        }
        Ok(self.mark())
    }

    /// Adds the row of an item, with the attributes since its beginning and those of its scope. Where a key
    /// comes twice the first counts, so that the item's own win.
    #[inline]
    pub(super) fn push(&mut self, first: u32, fields: &[Value]) {
        if self.scope.len() > self.scope_attrs_left {
            let message = format!(
                "a scope of {} attributes has too many rows for all to carry them; make them attributes of \
                 the resource",
                self.scope.len()
            );
            let bad = BadItem { field: "scope".into(), reason: Reason::RecordTooLarge, message };
            return self.refuse(first, bad);
        }
        self.scope_attrs_left -= self.scope.len();
        self.records.attrs.extend_from_slice(&self.scope);
        self.records.push_row(self.items - 1, self.resource, first, fields);
    }

    /// Refuses an item, taking back the attributes since its beginning.
    pub(super) fn refuse(&mut self, first: u32, bad: BadItem) {
        self.records.attrs.truncate(first as usize);
        let BadItem { field, reason, message } = bad;
        self.refusals.push(Refusal { index: self.items as usize - 1, field, reason, message, items: 1 });
    }

    /// An identifier that is a piece of the body; null where it has another length or is all zeros.
    #[inline]
    pub(super) fn id<const N: usize>(&self, span: Span) -> Value {
        match records::id_of_bytes::<N>(self.texts.of(span)) {
            Some(_) => Value::Bytes(span),
            None => Value::Null,
        }
    }

    /// An identifier in hexadecimal.
    pub(super) fn hex_id<const N: usize>(&mut self, text: &str) -> Value {
        match records::id_of_hex::<N>(text.as_bytes()) {
            Some(id) => Value::Bytes(self.texts.push(&id)),
            None => Value::Null,
        }
    }

    /// A text, or null for the empty one.
    pub(super) fn text_or_null(&mut self, span: Span) -> Value {
        if span.len == 0 { Value::Null } else { Value::Text(self.texts.utf8(span)) }
    }

    /// The rows; their texts are those made, and belong behind the body that spans point into.
    pub(super) fn finish(mut self) -> DecodedRecords {
        self.records.text = self.texts.finish();
        DecodedRecords { records: self.records, refusals: self.refusals }
    }
}

/// Puts a body in front of the texts that were made for it.
pub(super) fn with_body(mut decoded: DecodedRecords, body: Vec<u8>) -> DecodedRecords {
    let made = std::mem::replace(&mut decoded.records.text, body);
    decoded.records.text.extend(made);
    decoded
}

/// A 64-bit count or time as a signed one. Times end in 2262.
#[inline]
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
