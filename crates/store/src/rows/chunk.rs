//! Rows by column: what the log holds, what a head is made of, what a flush writes.

use std::cmp::Reverse;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int64Builder, StringViewBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, StringViewArray};
use arrow_buffer::BooleanBuffer;
use hashbrown::HashMap;
use model::record::columns;
use model::{FixedKind, Records, Signal};

use super::{build, overflow};
use crate::error::{Result, StoreError};

/// Attribute columns of a chunk; the values of rarer keys share the overflow column. More columns would cost
/// each flush and each file more than a look into the overflow costs a query.
pub const ATTR_COLUMNS_MAX: usize = 200;

/// Rows of a chunk in a head, and of a row group of a file.
pub const CHUNK_ROWS_MAX: usize = 65_536;

/// Longest text that is looked up among those before it, so that a column holds it once.
const SHARED_BYTES_MAX: u32 = 256;

/// Whose attribute it is. The discriminant is what is written on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Scope {
    /// The row's own.
    Record = 0,
    /// The resource's that the row came from.
    Resource = 1,
}

impl Scope {
    /// The scope of a code read from disk.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Record, Self::Resource].get(usize::from(code)).copied()
    }
}

/// What a column of values holds. The discriminant is what is written on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ValueKind {
    /// True or false: a `BooleanArray`.
    Bool = 0,
    /// Whole numbers: an `Int64Array`.
    Int = 1,
    /// Numbers: a `Float64Array`.
    Double = 2,
    /// UTF-8: a `StringViewArray`.
    Text = 3,
    /// JSON arrays and objects: a `StringViewArray`.
    Json = 4,
}

impl ValueKind {
    /// The kind that can show values of both: doubles for numbers, else texts.
    pub fn common(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Int, Self::Double) | (Self::Double, Self::Int) => Self::Double,
            _ => Self::Text,
        }
    }

    /// All kinds, in the order of their codes.
    pub const ALL: [Self; 5] = [Self::Bool, Self::Int, Self::Double, Self::Text, Self::Json];

    /// The kind of a code read from disk.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// The values that rows have under one key, of one kind; null where a row has none.
#[derive(Clone, Debug)]
pub struct AttrColumn {
    /// Whose attribute.
    pub scope: Scope,
    /// Its key.
    pub key: Arc<str>,
    /// What `values` holds.
    pub kind: ValueKind,
    /// One value a row.
    pub values: ArrayRef,
}

/// Rows of one signal, by column. A row has a key in one column at most: in that of its value's kind, or in the
/// overflow.
///
/// Timestamps and integers are `Int64Array`, doubles `Float64Array`, booleans `BooleanArray`, texts and JSON
/// `StringViewArray`, trace ids `FixedSizeBinaryArray` of 16 bytes, span ids of 8.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Which table.
    pub signal: Signal,
    /// Number of rows.
    pub rows: usize,
    /// The fixed columns in the order of [`model::record::columns`]; the first, the time, has no nulls.
    pub fixed: Vec<ArrayRef>,
    /// Attributes, the most frequent first; at most [`ATTR_COLUMNS_MAX`].
    pub attrs: Vec<AttrColumn>,
    /// Attributes of other keys: `{"attributes":{…},"resource":{…}}` a row, without what is empty; null where both
    /// are.
    pub overflow: Option<StringViewArray>,
    /// The earliest time, nanoseconds; `i64::MAX` without rows.
    pub min_t_ns: i64,
    /// The latest time, nanoseconds; `i64::MIN` without rows.
    pub max_t_ns: i64,
}

impl Chunk {
    /// The columns of decoded rows.
    pub fn from_records(records: &Records) -> Self {
        let rows: Vec<u32> = (0..records.len() as u32).collect();
        Self::of_rows(records, &rows)
    }

    /// The columns of some of the decoded rows, in this order.
    pub(crate) fn of_rows(records: &Records, rows: &[u32]) -> Self {
        build::columns_of(records, rows)
    }

    /// The rows of several chunks of one signal, one after the other. None of its buffers is shared with theirs.
    pub fn concat(signal: Signal, chunks: &[&Self]) -> Self {
        Concat::of(signal, chunks).chunk()
    }

    /// The rows whose bit is set.
    pub(crate) fn filtered(&self, rows: &BooleanBuffer) -> Result<Self> {
        let rows = BooleanArray::new(rows.clone(), None);
        let of = |values: &dyn Array| {
            let failed = |error| StoreError::Refused(format!("rows cannot be selected: {error}"));
            arrow_select::filter::filter(values, &rows).map_err(failed)
        };
        let fixed = self.fixed.iter().map(|values| of(values)).collect::<Result<_>>()?;
        let attrs =
            self.attrs.iter().map(|attr| Ok(AttrColumn { values: of(&attr.values)?, ..attr.clone() }));
        let attrs = attrs.collect::<Result<_>>()?;
        let overflow = match &self.overflow {
            Some(overflow) => Some(of(overflow)?.as_string_view().clone()),
            None => None,
        };
        Ok(Self::with_times(self.signal, rows.true_count(), fixed, attrs, overflow))
    }

    /// Completes a chunk with its range of time, which is read from its first column.
    pub(crate) fn with_times(
        signal: Signal,
        rows: usize,
        fixed: Vec<ArrayRef>,
        attrs: Vec<AttrColumn>,
        overflow: Option<StringViewArray>,
    ) -> Self {
        let times = fixed.first().and_then(|times| times.as_primitive_opt::<Int64Type>());
        let times = times.map_or(&[][..], |times| times.values());
        let (min, max) = (times.iter().min().copied(), times.iter().max().copied());
        let (min_t_ns, max_t_ns) = (min.unwrap_or(i64::MAX), max.unwrap_or(i64::MIN));
        Self { signal, rows, fixed, attrs, overflow, min_t_ns, max_t_ns }
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        let attrs = self.attrs.iter().map(|attr| attr.values.get_array_memory_size() + attr.key.len() + 64);
        size_of::<Self>()
            + self.fixed.iter().map(|column| column.get_array_memory_size()).sum::<usize>()
            + attrs.sum::<usize>()
            + self.overflow.as_ref().map_or(0, Array::get_array_memory_size)
    }
}

/// Several chunks on their way to one.
struct Concat<'a> {
    signal: Signal,
    chunks: &'a [&'a Chunk],
    rows: usize,
    /// Which column of each chunk it comes from, if any.
    attrs: Vec<(&'a AttrColumn, Vec<Option<usize>>)>,
    has_rest: bool,
}

impl<'a> Concat<'a> {
    fn of(signal: Signal, chunks: &'a [&'a Chunk]) -> Self {
        let mut places: HashMap<(Scope, &str, ValueKind), usize> = HashMap::new();
        let mut attrs: Vec<(&AttrColumn, Vec<Option<usize>>, usize)> = Vec::new();
        for (i, chunk) in chunks.iter().enumerate() {
            for (at, attr) in chunk.attrs.iter().enumerate() {
                let place = *places.entry((attr.scope, &attr.key, attr.kind)).or_insert_with(|| {
                    attrs.push((attr, vec![None; chunks.len()], 0));
                    attrs.len() - 1
                });
                attrs[place].1[i] = Some(at);
                attrs[place].2 += attr.values.len() - attr.values.null_count();
            }
        }
        attrs.sort_by_key(|(_, _, count)| Reverse(*count));
        let has_rest = attrs.len() > ATTR_COLUMNS_MAX || chunks.iter().any(|chunk| chunk.overflow.is_some());
        Self {
            signal,
            chunks,
            rows: chunks.iter().map(|chunk| chunk.rows).sum(),
            attrs: attrs.into_iter().map(|(attr, from, _)| (attr, from)).collect(),
            has_rest,
        }
    }

    fn chunk(&self) -> Chunk {
        let fixed = columns(self.signal).iter().enumerate().map(|(i, column)| {
            let parts: Vec<_> =
                self.chunks.iter().map(|chunk| (chunk.rows, chunk.fixed.get(i).map(|c| &**c))).collect();
            joined_fixed(column.kind, self.rows, &parts)
        });
        let attrs = self.attrs.iter().take(ATTR_COLUMNS_MAX).map(|(attr, from)| {
            let parts = self.chunks.iter().zip(from);
            let parts: Vec<_> =
                parts.map(|(chunk, at)| (chunk.rows, at.map(|at| &*chunk.attrs[at].values))).collect();
            let values = joined(attr.kind, self.rows, &parts);
            AttrColumn { scope: attr.scope, key: Arc::clone(&attr.key), kind: attr.kind, values }
        });
        let overflow = self.has_rest.then(|| self.overflow());
        Chunk::with_times(self.signal, self.rows, fixed.collect(), attrs.collect(), overflow)
    }

    /// What was overflow, together with the columns for which there is no place any more.
    fn overflow(&self) -> StringViewArray {
        let rest = self.attrs.get(ATTR_COLUMNS_MAX..).unwrap_or_default();
        let mut out = text_builder(self.rows, 1 << 16).with_deduplicate_strings();
        for (i, chunk) in self.chunks.iter().enumerate() {
            let columns = rest.iter().filter_map(|(_, from)| from[i]).map(|at| &chunk.attrs[at]);
            let columns: Vec<&AttrColumn> = columns.collect();
            for row in 0..chunk.rows {
                let text = chunk.overflow.as_ref().filter(|o| o.is_valid(row)).map(|o| o.value(row));
                let mut row_columns = columns.iter().filter(|column| column.values.is_valid(row)).peekable();
                if row_columns.peek().is_none() {
                    out.append_option(text);
                    continue;
                }
                let mut object = overflow::Overflow::from_json(text);
                for column in row_columns {
                    object.put(column.scope, &column.key, &json_value(column, row));
                }
                out.append_option(object.text());
            }
        }
        out.finish()
    }
}

/// A value as JSON.
fn json_value(column: &AttrColumn, row: usize) -> String {
    match column.kind {
        ValueKind::Bool => column.values.as_boolean().value(row).to_string(),
        ValueKind::Int => column.values.as_primitive::<Int64Type>().value(row).to_string(),
        ValueKind::Double => overflow::json_double(column.values.as_primitive::<Float64Type>().value(row)),
        ValueKind::Text => overflow::json_string(column.values.as_string_view().value(row)),
        ValueKind::Json => overflow::json_text(column.values.as_string_view().value(row)),
    }
}

/// Rows of one part and its array; without one they are null.
type Part<'a> = (usize, Option<&'a dyn Array>);

fn joined_fixed(kind: FixedKind, rows: usize, parts: &[Part<'_>]) -> ArrayRef {
    match kind {
        FixedKind::Timestamp | FixedKind::Int => joined(ValueKind::Int, rows, parts),
        FixedKind::Double => joined(ValueKind::Double, rows, parts),
        FixedKind::Text | FixedKind::Json => joined(ValueKind::Text, rows, parts),
        FixedKind::TraceId => joined_ids(16, rows, parts),
        FixedKind::SpanId => joined_ids(8, rows, parts),
    }
}

fn joined_ids(width: i32, rows: usize, parts: &[Part<'_>]) -> ArrayRef {
    let mut out = FixedSizeBinaryBuilder::with_capacity(rows, width);
    for (count, part) in parts {
        match part.and_then(|part| part.as_fixed_size_binary_opt()) {
            Some(ids) => {
                for row in 0..*count {
                    match ids.is_valid(row) {
                        true => out.append_value(ids.value(row)).expect("the column has this width"),
                        false => out.append_null(),
                    }
                }
            }
            None => (0..*count).for_each(|_| out.append_null()),
        }
    }
    Arc::new(out.finish())
}

fn joined(kind: ValueKind, rows: usize, parts: &[Part<'_>]) -> ArrayRef {
    match kind {
        ValueKind::Bool => {
            let mut out = BooleanBuilder::with_capacity(rows);
            for (count, part) in parts {
                match part.and_then(|part| part.as_boolean_opt()) {
                    Some(values) => out.append_array(values),
                    None => out.append_nulls(*count),
                }
            }
            Arc::new(out.finish())
        }
        ValueKind::Int => {
            let mut out = Int64Builder::with_capacity(rows);
            for (count, part) in parts {
                match part.and_then(|part| part.as_primitive_opt::<Int64Type>()) {
                    Some(values) => out.append_array(values),
                    None => out.append_nulls(*count),
                }
            }
            Arc::new(out.finish())
        }
        ValueKind::Double => {
            let mut out = Float64Builder::with_capacity(rows);
            for (count, part) in parts {
                match part.and_then(|part| part.as_primitive_opt::<Float64Type>()) {
                    Some(values) => out.append_array(values),
                    None => out.append_nulls(*count),
                }
            }
            Arc::new(out.finish())
        }
        ValueKind::Text | ValueKind::Json => {
            let texts =
                || parts.iter().filter_map(|(_, part)| part.and_then(|part| part.as_string_view_opt()));
            let bytes = texts().map(|texts| texts.total_buffer_bytes_used()).sum();
            let mut out = shared_text_builder(rows, bytes);
            for (count, part) in parts {
                match part.and_then(|part| part.as_string_view_opt()) {
                    Some(texts) => texts.iter().for_each(|text| out.append_option(text)),
                    None => (0..*count).for_each(|_| out.append_null()),
                }
            }
            Arc::new(out.finish())
        }
    }
}

/// A builder of a column of texts that come `bytes` together, about.
pub(super) fn text_builder(rows: usize, bytes: usize) -> StringViewBuilder {
    // The builder's own first block would be 8 KiB, which is much for a column with one short text.
    let block = bytes.clamp(16, 1 << 20) as u32;
    StringViewBuilder::with_capacity(rows).with_fixed_block_size(block)
}

/// A builder of a column in which equal texts are kept once.
pub(super) fn shared_text_builder(rows: usize, bytes: usize) -> StringViewBuilder {
    if rows < 2 {
        return text_builder(rows, bytes);
    }
    text_builder(rows, bytes).with_max_deduplication_len(SHARED_BYTES_MAX).with_deduplicate_strings()
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
