//! The bytes of one column.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int64Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, StringViewArray};
use arrow_buffer::{BooleanBuffer, Buffer};
use hashbrown::HashMap;
use model::FixedKind;

use super::super::chunk::{ValueKind, text_builder};
use crate::codec::{Reader, put_f64, put_varint, put_zigzag};

/// How a column is written.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Bool,
    Int,
    Double,
    Text,
    Id(i32),
}

impl Kind {
    pub(super) fn of_fixed(kind: FixedKind) -> Self {
        match kind {
            FixedKind::Timestamp | FixedKind::Int => Self::Int,
            FixedKind::Double => Self::Double,
            FixedKind::Text | FixedKind::Json => Self::Text,
            FixedKind::TraceId => Self::Id(16),
            FixedKind::SpanId => Self::Id(8),
        }
    }

    pub(super) fn of_attr(kind: ValueKind) -> Self {
        match kind {
            ValueKind::Bool => Self::Bool,
            ValueKind::Int => Self::Int,
            ValueKind::Double => Self::Double,
            ValueKind::Text | ValueKind::Json => Self::Text,
        }
    }
}

/// Which rows have a value.
const ALL: u8 = 0;
const SOME: u8 = 1;
const NO_ROW: u8 = 2;

/// How texts are written.
const PLAIN: u8 = 0;
const SHARED: u8 = 1;

/// Texts that are looked at before the question is asked whether they repeat.
const SHARED_TRIAL: usize = 32;

/// Appends a column; its array is of the kind.
pub(super) fn put(out: &mut Vec<u8>, kind: Kind, values: &dyn Array) {
    if values.is_empty() {
        out.push(NO_ROW);
        return;
    }
    let nulls = values.nulls().filter(|nulls| nulls.null_count() > 0);
    match nulls {
        None => out.push(ALL),
        Some(nulls) if nulls.null_count() == values.len() => {
            out.push(NO_ROW);
            return;
        }
        Some(nulls) => {
            out.push(SOME);
            put_bits(out, nulls.inner());
        }
    }
    let valid = (0..values.len()).filter(|row| values.is_valid(*row));
    match kind {
        Kind::Bool => {
            let column = values.as_boolean();
            let bits: BooleanBuffer = valid.map(|row| column.value(row)).collect();
            put_bits(out, &bits);
        }
        Kind::Int => {
            let column = values.as_primitive::<Int64Type>().values();
            let mut last = 0i64;
            for value in valid.map(|row| column[row]) {
                put_zigzag(out, value.wrapping_sub(last));
                last = value;
            }
        }
        Kind::Double => {
            let column = values.as_primitive::<Float64Type>().values();
            valid.for_each(|row| put_f64(out, column[row]));
        }
        Kind::Text => put_texts(out, values.as_string_view()),
        Kind::Id(_) => {
            let column = values.as_fixed_size_binary();
            valid.for_each(|row| out.extend_from_slice(column.value(row)));
        }
    }
}

/// Reads a column of so many rows.
pub(super) fn get(r: &mut Reader<'_>, kind: Kind, rows: usize) -> Option<ArrayRef> {
    if let Kind::Text = kind {
        return Some(Arc::new(text(r, rows)?));
    }
    let has_value = has_value(r, rows)?;
    let count = has_value.count_set_bits();
    Some(match kind {
        Kind::Bool => {
            let bits = bits(r, count)?;
            let mut bits = bits.iter();
            let mut out = BooleanBuilder::with_capacity(rows);
            for has_value in has_value.iter() {
                out.append_option(if has_value { Some(bits.next()?) } else { None });
            }
            Arc::new(out.finish())
        }
        Kind::Int => {
            let mut out = Int64Builder::with_capacity(rows);
            let mut last = 0i64;
            for has_value in has_value.iter() {
                if has_value {
                    last = last.wrapping_add(r.zigzag()?);
                }
                out.append_option(has_value.then_some(last));
            }
            Arc::new(out.finish())
        }
        Kind::Double => {
            let mut out = Float64Builder::with_capacity(rows);
            for has_value in has_value.iter() {
                out.append_option(if has_value { Some(r.f64()?) } else { None });
            }
            Arc::new(out.finish())
        }
        Kind::Text => return None,
        Kind::Id(width) => {
            let mut out = FixedSizeBinaryBuilder::with_capacity(rows, width);
            for has_value in has_value.iter() {
                match has_value {
                    true => out.append_value(r.take(width as usize)?).ok()?,
                    false => out.append_null(),
                }
            }
            Arc::new(out.finish())
        }
    })
}

fn has_value(r: &mut Reader<'_>, rows: usize) -> Option<BooleanBuffer> {
    match r.u8()? {
        ALL => Some(BooleanBuffer::new_set(rows)),
        SOME => bits(r, rows),
        NO_ROW => Some(BooleanBuffer::new_unset(rows)),
        _ => None,
    }
}

fn put_bits(out: &mut Vec<u8>, bits: &BooleanBuffer) {
    out.extend_from_slice(bits.sliced().get(..bits.len().div_ceil(8)).unwrap_or_default());
}

fn bits(r: &mut Reader<'_>, len: usize) -> Option<BooleanBuffer> {
    Some(BooleanBuffer::new(Buffer::from(r.take(len.div_ceil(8))?), 0, len))
}

fn put_texts(out: &mut Vec<u8>, texts: &StringViewArray) {
    let rows = (0..texts.len()).filter(|row| texts.is_valid(*row));
    match shared(texts) {
        None => {
            out.push(PLAIN);
            rows.clone().for_each(|row| put_varint(out, u64::from(texts.views()[row] as u32)));
            rows.for_each(|row| out.extend_from_slice(texts.value(row).as_bytes()));
        }
        Some((firsts, numbers)) => {
            out.push(SHARED);
            put_varint(out, firsts.len() as u64);
            firsts.iter().for_each(|row| put_varint(out, u64::from(texts.views()[*row] as u32)));
            firsts.iter().for_each(|row| out.extend_from_slice(texts.value(*row).as_bytes()));
            numbers.into_iter().for_each(|number| put_varint(out, number.into()));
        }
    }
}

/// Where each different text comes first, and the number of the text of each row that has one; `None` where
/// they hardly repeat. Texts count as equal where they lie at the same place, which is how the column was built.
fn shared(texts: &StringViewArray) -> Option<(Vec<usize>, Vec<u32>)> {
    let mut known: HashMap<u128, u32> = HashMap::new();
    let (mut firsts, mut numbers) = (Vec::new(), Vec::new());
    for (row, view) in texts.views().iter().enumerate() {
        if texts.is_null(row) {
            continue;
        }
        let number = *known.entry(*view).or_insert_with(|| {
            firsts.push(row);
            firsts.len() as u32 - 1
        });
        numbers.push(number);
        if numbers.len() >= SHARED_TRIAL && firsts.len() > numbers.len() / 2 {
            return None;
        }
    }
    (firsts.len() <= numbers.len() / 2).then_some((firsts, numbers))
}

/// Reads a column of texts.
pub(super) fn text(r: &mut Reader<'_>, rows: usize) -> Option<StringViewArray> {
    let has_value = has_value(r, rows)?;
    let count = has_value.count_set_bits();
    if count == 0 {
        return Some(StringViewArray::new_null(rows));
    }
    let is_shared = match r.u8()? {
        PLAIN => false,
        SHARED => true,
        _ => return None,
    };
    let different = if is_shared { r.count()? } else { count };
    // Each has a length, which takes a byte at least.
    if different > r.rest().len() {
        return None;
    }
    let mut places = Vec::with_capacity(different);
    let mut end = 0u32;
    for _ in 0..different {
        let len = r.varint_u32()?;
        places.push((end, len));
        end = end.checked_add(len)?;
    }
    let bytes = std::str::from_utf8(r.take(end as usize)?).ok()?;
    let mut out = text_builder(rows, 0);
    let block = out.append_block(Buffer::from(bytes.as_bytes()));
    let mut next = 0;
    for has_value in has_value.iter() {
        if !has_value {
            out.append_null();
            continue;
        }
        let at = if is_shared { r.varint_u32()? as usize } else { next };
        next += 1;
        let (offset, len) = *places.get(at)?;
        out.try_append_view(block, offset, len).ok()?;
    }
    Some(out.finish())
}
