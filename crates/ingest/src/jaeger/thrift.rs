//! Thrift's binary protocol: a cursor over one body. Nothing is copied; what is skipped may nest to a bound.

use crate::DecodeError;

/// Largest body we take positions in.
const BODY_BYTES_MAX: usize = u32::MAX as usize / 2;
/// How deep a field of no interest may nest.
const DEPTH_MAX: u32 = 16;

/// Wire types.
pub(super) const BOOL: u8 = 2;
const BYTE: u8 = 3;
pub(super) const DOUBLE: u8 = 4;
const I16: u8 = 6;
pub(super) const I32: u8 = 8;
pub(super) const I64: u8 = 10;
pub(super) const BINARY: u8 = 11;
pub(super) const STRUCT: u8 = 12;
const MAP: u8 = 13;
const SET: u8 = 14;
pub(super) const LIST: u8 = 15;

/// A cursor.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Result<Self, DecodeError> {
        if body.len() > BODY_BYTES_MAX {
            return Err(DecodeError::TooLarge(format!("{} bytes; the most is {BODY_BYTES_MAX}", body.len())));
        }
        Ok(Self { body, at: 0 })
    }

    /// The next field of a struct: wire type and number, or `None` at its end.
    pub(super) fn field(&mut self) -> Result<Option<(u8, i16)>, DecodeError> {
        match self.byte()? {
            0 => Ok(None),
            kind => Ok(Some((kind, i16::from_be_bytes(self.array()?)))),
        }
    }

    pub(super) fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.byte()? != 0)
    }

    pub(super) fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    pub(super) fn double(&mut self) -> Result<f64, DecodeError> {
        self.array().map(f64::from_be_bytes)
    }

    /// A text or byte string.
    pub(super) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.count(1)?;
        let bytes = &self.body[self.at..self.at + len];
        self.at += len;
        Ok(bytes)
    }

    /// The length of a list of structs.
    pub(super) fn structs(&mut self) -> Result<usize, DecodeError> {
        match self.byte()? {
            STRUCT => self.count(1),
            // Some writers leave the type of an empty list open.
            _ => match self.count(1)? {
                0 => Ok(0),
                _ => Err(self.error("a list of structs has other elements")),
            },
        }
    }

    /// Passes over a value of no interest.
    pub(super) fn skip(&mut self, kind: u8) -> Result<(), DecodeError> {
        self.skip_at(kind, DEPTH_MAX)
    }

    fn skip_at(&mut self, kind: u8, depth: u32) -> Result<(), DecodeError> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.error("a field nests too deep"))?;
        match kind {
            BOOL | BYTE => self.byte().map(drop),
            I16 => self.array::<2>().map(drop),
            I32 => self.array::<4>().map(drop),
            I64 | DOUBLE => self.array::<8>().map(drop),
            BINARY => self.binary().map(drop),
            STRUCT => {
                while let Some((kind, _)) = self.field()? {
                    self.skip_at(kind, depth)?;
                }
                Ok(())
            }
            LIST | SET => {
                let kind = self.byte()?;
                for _ in 0..self.count(1)? {
                    self.skip_at(kind, depth)?;
                }
                Ok(())
            }
            MAP => {
                let (key, value) = (self.byte()?, self.byte()?);
                for _ in 0..self.count(2)? {
                    self.skip_at(key, depth)?;
                    self.skip_at(value, depth)?;
                }
                Ok(())
            }
            _ => Err(self.error("a field has an unknown type")),
        }
    }

    /// A number of elements, each of which takes at least so many bytes of what is left.
    fn count(&mut self, bytes_min: usize) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.i32()?).map_err(|_| self.error("a length is negative"))?;
        if count > (self.body.len() - self.at) / bytes_min {
            return Err(self.error("a length points behind the end"));
        }
        Ok(count)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.body.get(self.at..self.at + N).and_then(|bytes| bytes.try_into().ok());
        let bytes = bytes.ok_or_else(|| self.error("the body is cut short"))?;
        self.at += N;
        Ok(bytes)
    }

    pub(super) fn error(&self, what: &str) -> DecodeError {
        let at = self.at;
        DecodeError::Malformed(format!("not a Jaeger batch in Thrift's binary protocol: {what} at byte {at}"))
    }
}
