//! Protobuf's bytes: a cursor over one body. Nothing is copied and nothing recurses; a message is another
//! cursor over the same bytes, so that every text is a [`Span`] of the body.
//!
//! A known field with an unexpected wire type is skipped like an unknown one. Groups, which no protocol of
//! ours uses, are an error.

use model::Span;

use crate::DecodeError;

/// Largest body whose offsets fit a [`Span`].
const BODY_BYTES_MAX: usize = u32::MAX as usize / 2;

/// Wire type of integers.
const VARINT: u32 = 0;
/// Wire type of eight-byte values.
const FIXED64: u32 = 1;
/// Wire type of texts, messages and packed lists.
const BYTES: u32 = 2;
/// Wire type of four-byte values.
const FIXED32: u32 = 5;

/// The key of an integer field.
pub(crate) const fn varint(number: u32) -> u32 {
    number << 3 | VARINT
}

/// The key of an eight-byte field.
pub(crate) const fn fixed64(number: u32) -> u32 {
    number << 3 | FIXED64
}

/// The key of a four-byte field.
pub(crate) const fn fixed32(number: u32) -> u32 {
    number << 3 | FIXED32
}

/// The key of a text, message or packed field.
pub(crate) const fn bytes(number: u32) -> u32 {
    number << 3 | BYTES
}

/// Bytes that are not protobuf, at an offset of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub(crate) struct WireError {
    what: &'static str,
    at: usize,
}

impl From<WireError> for DecodeError {
    fn from(error: WireError) -> Self {
        Self::Malformed(format!("not valid protobuf: {error}"))
    }
}

/// A cursor over one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    /// The body up to the end of this message.
    body: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at a body's first byte.
    pub(crate) fn new(body: &'a [u8]) -> Result<Self, DecodeError> {
        if body.len() > BODY_BYTES_MAX {
            return Err(DecodeError::TooLarge(format!("{} bytes; the most is {BODY_BYTES_MAX}", body.len())));
        }
        Ok(Self { body, at: 0 })
    }

    /// True at the end of the message.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.body.len()
    }

    /// Bytes left in the message.
    pub(crate) fn left(&self) -> usize {
        self.body.len() - self.at
    }

    /// The next field's key (compare with [`varint`], [`bytes`], …), or `None` at the end.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Option<u32>, WireError> {
        if self.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        match u32::try_from(key) {
            Ok(key) if key >= 8 => Ok(Some(key)),
            _ => Err(self.error("a field number is out of range")),
        }
    }

    /// An unsigned integer.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        match self.body.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0u64;
        let rest = &self.body[self.at.min(self.body.len())..];
        for (i, byte) in rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if *byte < 0x80 {
                self.at += i + 1;
                return Ok(value);
            }
        }
        Err(self.error("an integer is cut short or too long"))
    }

    /// A signed integer in zigzag form.
    #[inline]
    pub(crate) fn zigzag(&mut self) -> Result<i64, WireError> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Eight bytes.
    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, WireError> {
        let bytes = self.body.get(self.at..self.at + 8).and_then(|b| b.try_into().ok());
        let value = bytes.map(u64::from_le_bytes).ok_or_else(|| self.error("a number is cut short"))?;
        self.at += 8;
        Ok(value)
    }

    /// A double.
    #[inline]
    pub(crate) fn double(&mut self) -> Result<f64, WireError> {
        self.fixed64().map(f64::from_bits)
    }

    /// Four bytes.
    pub(crate) fn fixed32(&mut self) -> Result<u32, WireError> {
        let bytes = self.body.get(self.at..self.at + 4).and_then(|b| b.try_into().ok());
        let value = bytes.map(u32::from_le_bytes).ok_or_else(|| self.error("a number is cut short"))?;
        self.at += 4;
        Ok(value)
    }

    /// A text or byte string, as a piece of the body.
    #[inline]
    pub(crate) fn span(&mut self) -> Result<Span, WireError> {
        let len = self.varint()?;
        if len > self.left() as u64 {
            return Err(self.error("a length points behind the end"));
        }
        let start = self.at;
        self.at += len as usize;
        Ok(Span { start: start as u32, len: len as u32 })
    }

    /// A text or byte string.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let body = self.body;
        Ok(self.span()?.of(body))
    }

    /// A message (or packed list) inside this one.
    #[inline]
    pub(crate) fn message(&mut self) -> Result<Reader<'a>, WireError> {
        let span = self.span()?;
        let start = span.start as usize;
        Ok(Self { body: &self.body[..start + span.len as usize], at: start })
    }

    /// Reads a field 1 that is a name and value pair in its usual form: exactly the texts 1 and 2 in this
    /// order, below 128 bytes together. Anything else is left in place and must be read field by field.
    #[inline]
    pub(crate) fn short_pair(&mut self) -> Option<(Span, Span)> {
        const FIRST: u8 = bytes(1) as u8;
        const SECOND: u8 = bytes(2) as u8;
        let [FIRST, len @ 0..0x80, pair @ ..] = self.body.get(self.at..)? else { return None };
        let len = usize::from(*len);
        let [FIRST, name_len, rest @ ..] = pair.get(..len)? else { return None };
        let name_len = usize::from(*name_len);
        let [SECOND, value_len, value @ ..] = rest.get(name_len..)? else { return None };
        if value.len() != usize::from(*value_len) {
            return None;
        }
        let name = Span { start: self.at as u32 + 4, len: name_len as u32 };
        let value = Span { start: name.start + name.len + 2, len: u32::from(*value_len) };
        self.at += 2 + len;
        Some((name, value))
    }

    /// Passes over the value of a field that is of no interest.
    pub(crate) fn skip(&mut self, key: u32) -> Result<(), WireError> {
        match key & 7 {
            VARINT => self.varint().map(drop),
            FIXED64 => self.fixed64().map(drop),
            BYTES => self.span().map(drop),
            FIXED32 => self.fixed32().map(drop),
            _ => Err(self.error("groups are not supported")),
        }
    }

    fn error(&self, what: &'static str) -> WireError {
        WireError { what, at: self.at }
    }
}

/// Protobuf's bytes, the other way: just enough for answers.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// An integer field; zero, the default, is left out.
    pub(crate) fn varint(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.raw(u64::from(varint(number)));
            self.raw(value);
        }
    }

    /// A text or message field; the empty one is left out.
    pub(crate) fn bytes(&mut self, number: u32, value: &[u8]) {
        if !value.is_empty() {
            self.raw(u64::from(bytes(number)));
            self.raw(value.len() as u64);
            self.0.extend_from_slice(value);
        }
    }

    /// A message field, also when it is empty: a repeated one counts all the same.
    pub(crate) fn message(&mut self, number: u32, message: &Self) {
        self.raw(u64::from(bytes(number)));
        self.raw(message.0.len() as u64);
        self.0.extend_from_slice(&message.0);
    }

    /// A signed integer in zigzag form; zero is left out.
    pub(crate) fn zigzag(&mut self, number: u32, value: i64) {
        self.varint(number, ((value << 1) ^ (value >> 63)) as u64);
    }

    /// A double; positive zero is left out.
    pub(crate) fn double(&mut self, number: u32, value: f64) {
        if value.to_bits() != 0 {
            self.raw(u64::from(fixed64(number)));
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// An integer that is one of several fields, so that zero says something.
    pub(crate) fn some_varint(&mut self, number: u32, value: u64) {
        self.raw(u64::from(varint(number)));
        self.raw(value);
    }

    /// A double that is one of several fields.
    pub(crate) fn some_double(&mut self, number: u32, value: f64) {
        self.raw(u64::from(fixed64(number)));
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A text that is one of several fields.
    pub(crate) fn some_bytes(&mut self, number: u32, value: &[u8]) {
        self.raw(u64::from(bytes(number)));
        self.raw(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// Eight bytes; zero is left out.
    pub(crate) fn fixed64(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.raw(u64::from(fixed64(number)));
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Four bytes; zero is left out.
    pub(crate) fn fixed32(&mut self, number: u32, value: u32) {
        if value != 0 {
            self.raw(u64::from(fixed32(number)));
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Packed doubles; none is left out.
    pub(crate) fn doubles(&mut self, number: u32, values: &[f64]) {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.bytes(number, &raw);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(body: &[u8]) -> Reader<'_> {
        Reader::new(body).expect("small")
    }

    #[test]
    fn integers_are_read_as_written() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut writer = Writer::default();
            writer.raw(value);
            assert_eq!(reader(&writer.0).varint(), Ok(value));
        }
        for (raw, value) in [(0u8, 0i64), (1, -1), (2, 1), (3, -2)] {
            assert_eq!(reader(&[raw]).zigzag(), Ok(value));
        }
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        assert!(reader(&[0x80]).varint().is_err());
        assert!(reader(&[0xff; 11]).varint().is_err());
        assert!(reader(&[]).varint().is_err());
        assert!(reader(&[1, 2, 3]).double().is_err());
        assert!(reader(&[5, 1]).span().is_err());
        assert!(reader(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).span().is_err());
        assert!(reader(&[0]).key().is_err(), "field number 0");
        assert!(reader(&[]).skip(3).is_err(), "group");
    }

    #[test]
    fn short_pairs_are_read_at_once_and_others_left_alone() {
        let mut good = reader(&[0x0a, 7, 0x0a, 1, b'a', 0x12, 2, b'b', b'c', 9]);
        let (name, value) = good.short_pair().expect("usual form");
        assert_eq!((name, value), (Span { start: 4, len: 1 }, Span { start: 7, len: 2 }));
        assert_eq!(good.left(), 1);
        for other in [
            &[0x0a, 0][..],
            &[0x0a, 7, 0x0a, 1, b'a', 0x12, 2, b'b'],
            &[0x0a, 6, 0x0a, 1, b'a', 0x12, 2, b'b', b'c'],
            &[0x0a, 8, 0x0a, 1, b'a', 0x12, 2, b'b', b'c', 0],
            &[0x0a, 6, 0x12, 1, b'a', 0x0a, 1, b'b'],
            &[0x12, 6, 0x0a, 1, b'a', 0x12, 1, b'b'],
        ] {
            let mut reader = reader(other);
            assert_eq!((reader.short_pair(), reader.left()), (None, other.len()));
        }
    }

    #[test]
    fn spans_of_inner_messages_point_into_the_body() {
        // field 1 { field 2: "ab" }
        let body = [0x0a, 4, 0x12, 2, b'a', b'b'];
        let mut outer = reader(&body);
        assert_eq!(outer.key(), Ok(Some(bytes(1))));
        let mut inner = outer.message().expect("message");
        assert_eq!(inner.key(), Ok(Some(bytes(2))));
        assert_eq!(inner.span().expect("span").of(&body), b"ab");
        assert!(inner.is_empty() && outer.is_empty());
    }
}
