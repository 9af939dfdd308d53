//! Bytes of our own formats: little-endian numbers, varints, and a reader that cannot run past the end.

use std::fmt;

/// Bytes that are not what a writer of this format writes. The text says what was being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged(pub(crate) &'static str);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed {}", self.0)
    }
}

/// What decoders return.
pub(crate) type Decoded<T> = Result<T, Damaged>;

/// Reads from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes not yet read.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn take(&mut self, len: usize) -> Decoded<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Damaged("length"))?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Decoded<u8> {
        let (&byte, rest) = self.0.split_first().ok_or(Damaged("byte"))?;
        self.0 = rest;
        Ok(byte)
    }

    pub(crate) fn u32(&mut self) -> Decoded<u32> {
        let (&head, rest) = self.0.split_first_chunk().ok_or(Damaged("u32"))?;
        self.0 = rest;
        Ok(u32::from_le_bytes(head))
    }

    pub(crate) fn u64(&mut self) -> Decoded<u64> {
        let (&head, rest) = self.0.split_first_chunk().ok_or(Damaged("u64"))?;
        self.0 = rest;
        Ok(u64::from_le_bytes(head))
    }

    pub(crate) fn varint(&mut self) -> Decoded<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Damaged("varint"))
    }

    pub(crate) fn zigzag(&mut self) -> Decoded<i64> {
        self.varint().map(unzigzag)
    }

    /// A count that the caller bounds.
    pub(crate) fn count(&mut self, max: usize, what: &'static str) -> Decoded<usize> {
        let count = self.varint()?;
        if count > max as u64 { Err(Damaged(what)) } else { Ok(count as usize) }
    }

    /// A text with its length in front.
    pub(crate) fn text(&mut self) -> Decoded<&'a str> {
        let len = self.count(self.len(), "text")?;
        std::str::from_utf8(self.take(len)?).map_err(|_| Damaged("text"))
    }
}

/// Small magnitudes of either sign as small numbers.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Bytes that [`put_varint`] writes.
pub(crate) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_round_trip(value: u64, signed: i64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            put_zigzag(&mut out, signed);
            put_text(&mut out, "é");
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert_eq!(reader.zigzag(), Ok(signed));
            prop_assert_eq!(reader.text(), Ok("é"));
            prop_assert!(reader.is_empty());
        }
    }

    #[test]
    fn varints_beyond_64_bits_and_cut_ones_are_damaged() {
        for bytes in
            [&[0xff; 11][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], &[0x80], &[]]
        {
            assert!(Reader::new(bytes).varint().is_err(), "{bytes:?}");
        }
    }
}
