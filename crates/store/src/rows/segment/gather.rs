//! Gathers rows of several chunks into the sorted columns of a slice.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray, Float64Array, StringViewArray, new_null_array};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer};
use arrow_schema::ArrowError;
use arrow_select::interleave::interleave;
use hashbrown::HashMap;
use model::record::{columns, span};
use model::{FixedKind, Signal};

use super::layout::{Layout, LayoutAttr, attr_type};
use crate::rows::chunk::{AttrColumn, Chunk, Scope, ValueKind};
use crate::rows::eval::Values;
use crate::rows::json;

/// A row of one of several chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowRef {
    pub(crate) t_ns: i64,
    pub(crate) chunk: u32,
    pub(crate) row: u32,
}

/// The columns of a slice in the order of its layout, the overflow last. Types are those of chunks.
#[derive(Clone, Debug)]
pub(crate) struct Gathered {
    pub(crate) arrays: Vec<ArrayRef>,
    pub(crate) rows: usize,
    pub(crate) min_t_ns: i64,
    pub(crate) max_t_ns: i64,
}

/// References to all rows of chunks, by time.
pub(crate) fn rows_by_time(chunks: &[Arc<Chunk>]) -> Vec<RowRef> {
    let mut rows = Vec::with_capacity(chunks.iter().map(|chunk| chunk.rows).sum());
    for (at, chunk) in chunks.iter().enumerate() {
        let times = times_of(chunk).iter().enumerate();
        rows.extend(times.map(|(row, t_ns)| RowRef { t_ns: *t_ns, chunk: at as u32, row: row as u32 }));
    }
    rows.sort_unstable();
    rows
}

/// Times of a chunk's rows.
pub(crate) fn times_of(chunk: &Chunk) -> &[i64] {
    let times = chunk.fixed.first().and_then(|times| times.as_primitive_opt::<Int64Type>());
    times.map_or(&[], |times| times.values())
}

/// The columns of some rows, sorted as slices are. `rows` is not empty.
pub(crate) fn gather(
    layout: &Layout,
    chunks: &[Arc<Chunk>],
    rows: &[RowRef],
) -> Result<Gathered, ArrowError> {
    // Only the chunks that the rows come from take part.
    let mut local: HashMap<u32, usize> = HashMap::new();
    let mut used: Vec<&Chunk> = Vec::new();
    let mut picks: Vec<(usize, usize)> = Vec::with_capacity(rows.len());
    for row in rows {
        let at = *local.entry(row.chunk).or_insert_with(|| {
            used.push(&chunks[row.chunk as usize]);
            used.len() - 1
        });
        picks.push((at, row.row as usize));
    }
    match layout.signal {
        Signal::Traces => sort_by_trace(&used, rows, &mut picks),
        _ => sort_by_service(&used, rows, &mut picks),
    }
    let nulls = Nulls::new(&used);
    let mut arrays = Vec::with_capacity(layout.attrs.len() + 12);
    for (at, column) in columns(layout.signal).iter().enumerate() {
        let parts: Vec<&dyn Array> = used.iter().map(|chunk| &*chunk.fixed[at]).collect();
        arrays.push(match column.kind {
            FixedKind::TraceId => ids::<16>(&parts, &picks)?,
            FixedKind::SpanId => ids::<8>(&parts, &picks)?,
            _ => interleave(&parts, &picks)?,
        });
    }
    for attr in &layout.attrs {
        arrays.push(attribute(attr, &used, &picks, &nulls)?);
    }
    arrays.push(overflow(layout, &used, &picks));
    let times = rows.iter().map(|row| row.t_ns);
    let (min, max) = (times.clone().min(), times.max());
    Ok(Gathered { arrays, rows: rows.len(), min_t_ns: min.unwrap_or(0), max_t_ns: max.unwrap_or(0) })
}

fn sort_by_trace(used: &[&Chunk], rows: &[RowRef], picks: &mut Vec<(usize, usize)>) {
    let ids: Vec<Option<&FixedSizeBinaryArray>> =
        used.iter().map(|chunk| chunk.fixed[span::TRACE_ID].as_fixed_size_binary_opt()).collect();
    let id = |(chunk, row): (usize, usize)| {
        let ids = ids[chunk].filter(|ids| ids.is_valid(row))?;
        ids.value(row).try_into().ok().map(u128::from_be_bytes)
    };
    let mut keyed: Vec<_> =
        picks.iter().zip(rows).map(|(pick, row)| (id(*pick).unwrap_or(0), row.t_ns, *pick)).collect();
    keyed.sort_unstable();
    *picks = keyed.into_iter().map(|(_, _, pick)| pick).collect();
}

fn sort_by_service(used: &[&Chunk], rows: &[RowRef], picks: &mut Vec<(usize, usize)>) {
    let is_service = |attr: &&AttrColumn| {
        attr.scope == Scope::Resource && &*attr.key == "service.name" && attr.kind == ValueKind::Text
    };
    let names: Vec<Option<&StringViewArray>> = used
        .iter()
        .map(|chunk| chunk.attrs.iter().find(is_service).and_then(|attr| attr.values.as_string_view_opt()))
        .collect();
    let name = |(chunk, row): (usize, usize)| {
        names[chunk].filter(|names| names.is_valid(row)).map_or("", |names| names.value(row))
    };
    let mut ranks: HashMap<&str, u32> = HashMap::new();
    let numbers: Vec<u32> = picks
        .iter()
        .map(|pick| {
            let next = ranks.len() as u32;
            *ranks.entry(name(*pick)).or_insert(next)
        })
        .collect();
    let mut sorted: Vec<(&str, u32)> = ranks.into_iter().collect();
    sorted.sort_unstable();
    let mut rank_of = vec![0u32; sorted.len()];
    for (rank, (_, number)) in sorted.iter().enumerate() {
        rank_of[*number as usize] = rank as u32;
    }
    let mut keyed: Vec<_> = picks
        .iter()
        .zip(rows)
        .zip(numbers)
        .map(|((pick, row), number)| (rank_of[number as usize], row.t_ns, *pick))
        .collect();
    keyed.sort_unstable();
    *picks = keyed.into_iter().map(|(_, _, pick)| pick).collect();
}

/// Arrays that stand for a column that a chunk does not have.
struct Nulls {
    rows: usize,
}

impl Nulls {
    fn new(used: &[&Chunk]) -> Self {
        Self { rows: used.iter().map(|chunk| chunk.rows).max().unwrap_or(0) }
    }

    fn of(&self, kind: ValueKind) -> ArrayRef {
        new_null_array(&attr_type(kind), self.rows)
    }
}

/// The column of an attribute; integers are widened where its kind is double.
fn attribute(
    attr: &LayoutAttr,
    used: &[&Chunk],
    picks: &[(usize, usize)],
    nulls: &Nulls,
) -> Result<ArrayRef, ArrowError> {
    let own = |chunk: &&Chunk| -> Option<ArrayRef> {
        let of_kind = |kind: ValueKind| {
            let mut columns = chunk.attrs.iter();
            columns.find(|c| c.kind == kind && c.scope == attr.scope && c.key == attr.key).map(|c| &c.values)
        };
        let same = of_kind(attr.kind);
        let ints = of_kind(ValueKind::Int).filter(|_| attr.kind == ValueKind::Double);
        let Some(ints) = ints.and_then(|ints| ints.as_primitive_opt::<Int64Type>()) else {
            return same.cloned();
        };
        let ints: Float64Array = ints.unary(|int| int as f64);
        Some(match same.and_then(|same| same.as_primitive_opt::<Float64Type>()) {
            None => Arc::new(ints),
            Some(doubles) => {
                Arc::new(doubles.iter().zip(&ints).map(|(a, b)| a.or(b)).collect::<Float64Array>())
            }
        })
    };
    let found: Vec<Option<ArrayRef>> = used.iter().map(own).collect();
    if found.iter().all(Option::is_none) {
        return Ok(new_null_array(&attr_type(attr.kind), picks.len()));
    }
    let missing = if found.iter().any(Option::is_none) { Some(nulls.of(attr.kind)) } else { None };
    let parts: Vec<&dyn Array> =
        found.iter().filter_map(|part| part.as_ref().or(missing.as_ref()).map(|part| &**part)).collect();
    interleave(&parts, picks)
}

fn ids<const WIDTH: usize>(parts: &[&dyn Array], picks: &[(usize, usize)]) -> Result<ArrayRef, ArrowError> {
    let parts: Vec<Option<&FixedSizeBinaryArray>> =
        parts.iter().map(|part| part.as_fixed_size_binary_opt()).collect();
    let mut values = Vec::with_capacity(picks.len() * WIDTH);
    let mut valid = BooleanBufferBuilder::new(picks.len());
    for (part, row) in picks {
        let id = parts[*part].filter(|ids| ids.is_valid(*row)).map(|ids| ids.value(*row));
        let id = id.filter(|id| id.len() == WIDTH);
        values.extend_from_slice(id.unwrap_or(&[0; WIDTH]));
        valid.append(id.is_some());
    }
    let nulls = Some(NullBuffer::new(valid.finish())).filter(|nulls| nulls.null_count() > 0);
    Ok(Arc::new(FixedSizeBinaryArray::try_new(WIDTH as i32, Buffer::from_vec(values), nulls)?))
}

/// Attributes that have no column in the layout, together with the overflow that rows have already.
fn overflow(layout: &Layout, used: &[&Chunk], picks: &[(usize, usize)]) -> ArrayRef {
    let kinds: HashMap<(Scope, &str), ValueKind> =
        layout.attrs.iter().map(|attr| ((attr.scope, &*attr.key), attr.kind)).collect();
    let has_place = |column: &AttrColumn| match kinds.get(&(column.scope, &*column.key)) {
        Some(kind) => *kind == column.kind || (*kind == ValueKind::Double && column.kind == ValueKind::Int),
        None => false,
    };
    let rest: Vec<Vec<(&AttrColumn, Values<'_>)>> = used
        .iter()
        .map(|chunk| {
            let rest = chunk.attrs.iter().filter(|column| !has_place(column));
            rest.filter_map(|column| Some((column, Values::new(&*column.values, column.kind)?))).collect()
        })
        .collect();
    if rest.iter().all(Vec::is_empty) && used.iter().all(|chunk| chunk.overflow.is_none()) {
        return Arc::new(StringViewArray::new_null(picks.len()));
    }
    let mut out = StringViewBuilder::with_capacity(picks.len()).with_deduplicate_strings();
    let mut text = String::new();
    for (chunk, row) in picks {
        let known = used[*chunk].overflow.as_ref().filter(|o| o.is_valid(*row)).map(|o| o.value(*row));
        let more: Vec<_> = rest[*chunk]
            .iter()
            .filter_map(|(column, values)| values.get(*row).map(|value| (column.scope, &*column.key, value)))
            .collect();
        if more.is_empty() {
            out.append_option(known);
            continue;
        }
        text.clear();
        let mut separator = '{';
        for scope in [Scope::Record, Scope::Resource] {
            let own =
                json::overflow_members(known.unwrap_or(""), scope).map(|(key, raw)| (key, raw.to_owned()));
            let more = more.iter().filter(|(of, _, _)| *of == scope).map(|(_, key, value)| {
                let mut raw = String::new();
                value.push_json(&mut raw);
                (Cow::Borrowed(*key), raw)
            });
            let mut members: Vec<(Cow<'_, str>, String)> = own.chain(more).collect();
            members.sort();
            if members.is_empty() {
                continue;
            }
            write!(text, "{separator}\"{}\":", json::scope_name(scope)).expect("a string takes everything");
            separator = ',';
            let mut inner = '{';
            for (key, raw) in members {
                text.push(inner);
                inner = ',';
                json::push_string(&mut text, &key);
                text.push(':');
                text.push_str(&raw);
            }
            text.push('}');
        }
        text.push('}');
        out.append_value(&text);
    }
    Arc::new(out.finish())
}
