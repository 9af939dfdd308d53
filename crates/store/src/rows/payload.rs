//! The bytes of accepted rows in the log.
//!
//! Column by column, and compressed as a whole: whether rows have a value (bits), then the values of those that
//! have one. Integers are differences from the one before; texts are their lengths and bytes, or, where they
//! repeat, a list of the different ones and numbers into it. Replay needs nothing else.

mod column; // one column

use std::sync::Arc;

use model::Signal;
use model::record::columns;

use super::chunk::{ATTR_COLUMNS_MAX, AttrColumn, CHUNK_ROWS_MAX, Chunk, Scope, ValueKind};
use crate::codec::{Reader, put_bytes, put_varint, put_zigzag};
use column::Kind;

const VERSION: u8 = 1;

/// Rows of one record, uncompressed.
const RAW_BYTES_MAX: usize = 1 << 30;

/// Appends chunks of one signal. False when they are too large for one record.
#[must_use]
pub(crate) fn encode(chunks: &[Arc<Chunk>], received_ms: i64, out: &mut Vec<u8>) -> bool {
    let mut raw = Vec::new();
    put_zigzag(&mut raw, received_ms);
    put_varint(&mut raw, chunks.len() as u64);
    for chunk in chunks {
        put_chunk(&mut raw, chunk);
        if raw.len() > RAW_BYTES_MAX {
            return false;
        }
    }
    out.push(VERSION);
    put_varint(out, raw.len() as u64);
    out.extend_from_slice(&lz4_flex::block::compress(&raw));
    true
}

/// Reads when the rows of a record came in, milliseconds, and the rows.
pub(crate) fn decode(signal: Signal, bytes: &[u8]) -> Option<(i64, Vec<Arc<Chunk>>)> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? != VERSION {
        return None;
    }
    let len = usize::try_from(reader.varint()?).ok().filter(|len| *len <= RAW_BYTES_MAX)?;
    let compressed = reader.rest();
    // LZ4 makes at most 255 bytes of one.
    if len / 255 > compressed.len() {
        return None;
    }
    let raw = lz4_flex::block::decompress(compressed, len).ok().filter(|raw| raw.len() == len)?;
    let mut reader = Reader::new(&raw);
    let r = &mut reader;
    let received_ms = r.zigzag()?;
    let chunks = (0..r.count()?).map(|_| chunk(signal, r).map(Arc::new)).collect::<Option<Vec<_>>>()?;
    r.is_empty().then_some((received_ms, chunks))
}

fn put_chunk(out: &mut Vec<u8>, chunk: &Chunk) {
    put_varint(out, chunk.rows as u64);
    for (fixed, values) in columns(chunk.signal).iter().zip(&chunk.fixed) {
        column::put(out, Kind::of_fixed(fixed.kind), values);
    }
    put_varint(out, chunk.attrs.len() as u64);
    for AttrColumn { scope, key, kind, values } in &chunk.attrs {
        out.extend_from_slice(&[*scope as u8, *kind as u8]);
        put_bytes(out, key.as_bytes());
        column::put(out, Kind::of_attr(*kind), values);
    }
    out.push(u8::from(chunk.overflow.is_some()));
    if let Some(overflow) = &chunk.overflow {
        column::put(out, Kind::Text, overflow);
    }
}

fn chunk(signal: Signal, r: &mut Reader<'_>) -> Option<Chunk> {
    let of_signal = columns(signal);
    // Each row has a time, which takes a byte at least.
    let rows = r.count().filter(|rows| *rows <= CHUNK_ROWS_MAX && !of_signal.is_empty())?;
    let mut fixed = Vec::with_capacity(of_signal.len());
    for (i, column) in of_signal.iter().enumerate() {
        let values = column::get(r, Kind::of_fixed(column.kind), rows)?;
        if i == 0 && values.null_count() > 0 {
            return None;
        }
        fixed.push(values);
    }
    let count = r.count().filter(|count| *count <= ATTR_COLUMNS_MAX)?;
    let mut attrs = Vec::with_capacity(count);
    for _ in 0..count {
        let (scope, kind) = (Scope::from_code(r.u8()?)?, ValueKind::from_code(r.u8()?)?);
        let key = r.text()?.into();
        let values = column::get(r, Kind::of_attr(kind), rows)?;
        // A column without values would make memory out of nothing.
        if values.null_count() == rows {
            return None;
        }
        attrs.push(AttrColumn { scope, key, kind, values });
    }
    let overflow = match r.u8()? {
        0 => None,
        1 => Some(column::text(r, rows)?),
        _ => return None,
    };
    Some(Chunk::with_times(signal, rows, fixed, attrs, overflow))
}

#[cfg(test)]
mod tests;
