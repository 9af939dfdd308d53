//! The file beside the rows: filters of blocks, and what the slices hold.
//!
//! ```text
//! magic | filters of slice 0 | filters of slice 1 | … | header | footer
//! footer: header offset u64 | header length u32 | header CRC32C u32 | length of the Parquet file u64
//!         | format u32 | CRC32C of the footer u32 | magic
//! ```
//! Checksums of the Parquet file's pages are in the header. Filters are as [`bloom`] lays them out, with a checksum for each piece that is read at once.

use std::sync::Arc;

use model::Signal;

use super::layout::{Layout, LayoutAttr};
use super::pages::Checksums;
use crate::codec::{Reader, put_bytes, put_varint, put_zigzag};
use crate::rows::bloom;
use crate::rows::chunk::{ATTR_COLUMNS_MAX, CHUNK_ROWS_MAX, Scope, ValueKind};
use crate::rows::keys::OVERFLOW_KEYS_MAX;
use crate::rows::slice::{BLOCK_ROWS, KeyInfo};

/// First and last bytes of the file.
pub(crate) const MAGIC: &[u8; 8] = b"BWFILT01";
/// Format that this version writes, and the latest it reads.
pub(crate) const FORMAT: u32 = 1;
/// Bytes of the footer.
pub(crate) const FOOTER_BYTES: u64 = 40;

const _: () = assert!(CHUNK_ROWS_MAX == BLOCK_ROWS * bloom::BLOCKS_MAX);

/// A slice of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SliceInfo {
    pub(crate) rows: u32,
    /// Time of the first row, nanoseconds.
    pub(crate) min_t_ns: i64,
    /// Time of the last row, nanoseconds; inclusive.
    pub(crate) max_t_ns: i64,
    /// Where its filters begin.
    pub(crate) filter_offset: u64,
    /// Lanes of its filters.
    pub(crate) lanes: u32,
    /// Rows that have each attribute column, then rows with an overflow.
    pub(crate) counts: Vec<u32>,
}

impl SliceInfo {
    /// Blocks of the slice.
    pub(crate) fn blocks(&self) -> usize {
        (self.rows as usize).div_ceil(BLOCK_ROWS)
    }

    /// Where the row of a token's lane is, and its length.
    pub(crate) fn lane_at(&self, token: u64) -> (u64, usize) {
        let width = bloom::row_bytes(self.blocks());
        (self.filter_offset + u64::from(bloom::lane_of(token, self.lanes)) * width as u64, width)
    }
}

/// What is known of the rows without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) layout: Layout,
    pub(crate) slices: Vec<SliceInfo>,
    /// Keys of the overflow.
    pub(crate) overflow: Vec<KeyInfo>,
    /// True when the overflow has more keys than are listed.
    pub(crate) overflow_is_cut: bool,
    /// Of the Parquet file.
    pub(crate) checksums: Checksums,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.layout.signal.code()];
        put_varint(&mut out, self.layout.attrs.len() as u64);
        for attr in &self.layout.attrs {
            put_key(&mut out, attr.scope, attr.kind, &attr.key);
            put_bytes(&mut out, attr.column.as_bytes());
        }
        out.push(u8::from(self.overflow_is_cut));
        put_varint(&mut out, self.overflow.len() as u64);
        for key in &self.overflow {
            put_key(&mut out, key.scope, key.kind, &key.key);
            put_varint(&mut out, key.count);
        }
        let Checksums { pages, tail_offset, tail } = &self.checksums;
        put_varint(&mut out, *tail_offset);
        out.extend_from_slice(&tail.to_le_bytes());
        put_varint(&mut out, pages.len() as u64);
        pages.iter().for_each(|crc| out.extend_from_slice(&crc.to_le_bytes()));
        put_varint(&mut out, self.slices.len() as u64);
        for slice in &self.slices {
            put_varint(&mut out, slice.rows.into());
            put_zigzag(&mut out, slice.min_t_ns);
            put_varint(&mut out, slice.max_t_ns.wrapping_sub(slice.min_t_ns) as u64);
            put_varint(&mut out, slice.filter_offset);
            put_varint(&mut out, slice.lanes.into());
            slice.counts.iter().for_each(|count| put_varint(&mut out, (*count).into()));
        }
        out
    }

    /// Reads a header; `filters_end` is where the file's filters end. `None` for what no writer writes.
    pub(crate) fn decode(bytes: &[u8], filters_end: u64) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let r = &mut reader;
        let signal = Signal::from_code(r.u8()?)?;
        let count = r.count()?;
        let mut attrs = Vec::new();
        for _ in 0..count {
            let (scope, kind, key) = key(r)?;
            attrs.push(LayoutAttr { scope, key, kind, column: r.text()?.to_owned() });
        }
        let overflow_is_cut = r.u8()? != 0;
        let count = r.count()?;
        let mut overflow = Vec::new();
        for _ in 0..count {
            let (scope, kind, key) = key(r)?;
            overflow.push(KeyInfo { scope, key, kind, count: r.varint()? });
        }
        if attrs.len() > ATTR_COLUMNS_MAX || overflow.len() > OVERFLOW_KEYS_MAX {
            return None;
        }
        let (tail_offset, tail) = (r.varint()?, r.u32()?);
        let count = r.count()?;
        let pages = (0..count).map(|_| r.u32()).collect::<Option<_>>()?;
        let checksums = Checksums { pages, tail_offset, tail };
        let count = r.count()?;
        let mut slices = Vec::new();
        for _ in 0..count {
            slices.push(slice(r, attrs.len() + 1, filters_end)?);
        }
        let layout = Layout { signal, attrs };
        r.is_empty().then_some(Self { layout, slices, overflow, overflow_is_cut, checksums })
    }
}

fn put_key(out: &mut Vec<u8>, scope: Scope, kind: ValueKind, key: &str) {
    out.push(scope as u8);
    out.push(kind as u8);
    put_bytes(out, key.as_bytes());
}

fn key(r: &mut Reader<'_>) -> Option<(Scope, ValueKind, Arc<str>)> {
    Some((Scope::from_code(r.u8()?)?, ValueKind::from_code(r.u8()?)?, r.text()?.into()))
}

fn slice(r: &mut Reader<'_>, counts: usize, filters_end: u64) -> Option<SliceInfo> {
    let rows = r.varint_u32().filter(|rows| (1..=CHUNK_ROWS_MAX as u32).contains(rows))?;
    let min_t_ns = r.zigzag()?;
    let max_t_ns = min_t_ns.checked_add_unsigned(r.varint()?)?;
    let (filter_offset, lanes) = (r.varint()?, r.varint_u32().filter(|lanes| *lanes > 0)?);
    let counts = (0..counts).map(|_| r.varint_u32().filter(|count| *count <= rows)).collect::<Option<_>>()?;
    let slice = SliceInfo { rows, min_t_ns, max_t_ns, filter_offset, lanes, counts };
    let bytes = u64::from(lanes) * bloom::row_bytes(slice.blocks()) as u64;
    (filter_offset.checked_add(bytes)? <= filters_end).then_some(slice)
}

/// The end of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) header_offset: u64,
    pub(crate) header_len: u32,
    pub(crate) header_crc: u32,
    /// Bytes of the Parquet file.
    pub(crate) parquet_len: u64,
}

impl Footer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER_BYTES as usize);
        out.extend_from_slice(&self.header_offset.to_le_bytes());
        out.extend_from_slice(&self.header_len.to_le_bytes());
        out.extend_from_slice(&self.header_crc.to_le_bytes());
        out.extend_from_slice(&self.parquet_len.to_le_bytes());
        out.extend_from_slice(&FORMAT.to_le_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(MAGIC);
        out
    }

    /// The footer and its format; `None` for bytes that are none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, u32)> {
        let rest = bytes.strip_suffix(MAGIC)?;
        let (rest, crc) = rest.split_last_chunk::<4>()?;
        if crc32c::crc32c(rest) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut r = Reader::new(rest);
        let footer = Self {
            header_offset: r.u64()?,
            header_len: r.u32()?,
            header_crc: r.u32()?,
            parquet_len: r.u64()?,
        };
        let format = r.u32()?;
        r.is_empty().then_some((footer, format))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        let attr = |scope, key: &str, kind| LayoutAttr { scope, key: key.into(), kind, column: key.into() };
        Header {
            layout: Layout {
                signal: Signal::Logs,
                attrs: vec![
                    attr(Scope::Record, "k", ValueKind::Int),
                    attr(Scope::Resource, "s", ValueKind::Text),
                ],
            },
            slices: vec![SliceInfo {
                rows: 5000,
                min_t_ns: -5,
                max_t_ns: 1 << 60,
                filter_offset: 8,
                lanes: 3,
                counts: vec![1, 5000, 0],
            }],
            overflow: vec![KeyInfo {
                scope: Scope::Record,
                key: "é".into(),
                kind: ValueKind::Json,
                count: 7,
            }],
            overflow_is_cut: false,
            checksums: Checksums { pages: vec![1, 2], tail_offset: 3, tail: 4 },
        }
    }

    #[test]
    fn headers_and_footers_round_trip() {
        let bytes = header().encode();
        assert_eq!(Header::decode(&bytes, 8 + 3 * 68), Some(header()));
        assert_eq!(Header::decode(&bytes, 8 + 3 * 68 - 1), None, "filters that end beyond the file's");
        let footer = Footer { header_offset: 1, header_len: 2, header_crc: 3, parquet_len: 4 };
        let bytes = footer.encode();
        assert_eq!(bytes.len() as u64, FOOTER_BYTES);
        assert_eq!(Footer::decode(&bytes), Some((footer, FORMAT)));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, end: u64) {
            let _ = Header::decode(&bytes, end);
            let _ = Footer::decode(&bytes);
        }

        #[test]
        fn damaged_headers_never_panic(at in 0usize..80, to: u8) {
            let mut bytes = header().encode();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
            let _ = Header::decode(&bytes, 1 << 40);
        }
    }
}
