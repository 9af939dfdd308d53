//! Tests whole arrays.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, BooleanArray, FixedSizeBinaryArray, Float64Array, Int64Array, StringViewArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use arrow_schema::DataType;
use memchr::memmem::Finder;
use model::{Order, Scalar};

use super::chunk::{Scope, ValueKind};
use super::json;
use super::test::Tester;
use super::value::Val;

/// A column's values by what they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values<'a> {
    Bool(&'a BooleanArray),
    Int(&'a Int64Array),
    Double(&'a Float64Array),
    Text(&'a StringViewArray),
    Json(&'a StringViewArray),
    Id(&'a FixedSizeBinaryArray),
}

impl<'a> Values<'a> {
    /// The values of an array as columns have them; `kind` tells JSON from other texts. `None` for an array of
    /// another type.
    pub(crate) fn new(array: &'a dyn Array, kind: ValueKind) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean_opt()?),
            DataType::Int64 => Self::Int(array.as_primitive_opt::<Int64Type>()?),
            DataType::Float64 => Self::Double(array.as_primitive_opt::<Float64Type>()?),
            DataType::Utf8View if kind == ValueKind::Json => Self::Json(array.as_string_view_opt()?),
            DataType::Utf8View => Self::Text(array.as_string_view_opt()?),
            DataType::FixedSizeBinary(_) => Self::Id(array.as_fixed_size_binary_opt()?),
            _ => return None,
        })
    }

    pub(crate) fn array(&self) -> &'a dyn Array {
        match self {
            Self::Bool(array) => *array,
            Self::Int(array) => *array,
            Self::Double(array) => *array,
            Self::Text(array) | Self::Json(array) => *array,
            Self::Id(array) => *array,
        }
    }

    /// The value of a row; `None` where it is null.
    pub(crate) fn get(&self, row: usize) -> Option<Val<'a>> {
        if self.array().is_null(row) {
            return None;
        }
        Some(match self {
            Self::Bool(array) => Val::Bool(array.value(row)),
            Self::Int(array) => Val::Int(array.value(row)),
            Self::Double(array) => Val::Double(array.value(row)),
            Self::Text(array) => Val::Text(array.value(row).into()),
            Self::Json(array) => Val::Json(array.value(row).into()),
            Self::Id(array) => Val::Id(array.value(row)),
        })
    }

    /// The rows that have a value.
    pub(crate) fn present(&self) -> BooleanBuffer {
        match self.array().nulls() {
            Some(nulls) => nulls.inner().clone(),
            None => BooleanBuffer::new_set(self.array().len()),
        }
    }
}

/// The candidates whose value passes.
pub(crate) fn test(tester: &Tester, values: Values<'_>, candidates: &BooleanBuffer) -> BooleanBuffer {
    let candidates = &match values.array().nulls() {
        Some(nulls) => candidates & nulls.inner(),
        None => candidates.clone(),
    };
    match (tester, values) {
        (Tester::Exists, _) => candidates.clone(),
        (Tester::Compare(order, Scalar::Int(wanted)), Values::Int(array)) => {
            let (wanted, found) = (*wanted, array.values());
            candidates & &compare_all(*order, found.len(), |row| found[row], wanted)
        }
        (Tester::Compare(order, Scalar::Double(wanted)), Values::Double(array)) => {
            let (wanted, found) = (*wanted, array.values());
            candidates & &compare_all(*order, found.len(), |row| found[row], wanted)
        }
        (Tester::Compare(Order::Equal, Scalar::Bytes(wanted)), Values::Id(array)) => {
            equal_ids(array, wanted, candidates)
        }
        (Tester::OneOf(one_of), Values::Id(array)) if one_of.has_ids_only() => {
            let one = if one_of.ids.len() == 1 { one_of.ids.iter().next() } else { None };
            match one {
                Some(wanted) => equal_ids(array, wanted, candidates),
                None => where_true(candidates, |row| one_of.ids.contains(array.value(row))),
            }
        }
        (Tester::Compare(Order::Equal, Scalar::Text(wanted)), Values::Text(array)) => {
            equal_texts(array, wanted, candidates)
        }
        (
            Tester::Text(_) | Tester::OneOf(_) | Tester::Compare(..),
            Values::Text(array) | Values::Json(array),
        ) => {
            let is_json = matches!(values, Values::Json(_));
            each_text(array, candidates, |text, scratch| {
                let value = if is_json { Val::Json(text.into()) } else { Val::Text(text.into()) };
                tester.accepts(&value, scratch)
            })
        }
        _ => {
            let mut scratch = String::new();
            where_true(candidates, |row| {
                values.get(row).is_some_and(|value| tester.accepts(&value, &mut scratch))
            })
        }
    }
}

/// Ids of traces and spans are compared as numbers.
fn equal_ids(array: &FixedSizeBinaryArray, wanted: &[u8], candidates: &BooleanBuffer) -> BooleanBuffer {
    let ids = array.value_data();
    if let (Ok(wanted), (ids, [])) = (<[u8; 16]>::try_from(wanted), ids.as_chunks::<16>())
        && ids.len() == array.len()
    {
        let wanted = u128::from_ne_bytes(wanted);
        return candidates
            & &BooleanBuffer::collect_bool(ids.len(), |row| u128::from_ne_bytes(ids[row]) == wanted);
    }
    where_true(candidates, |row| array.value(row) == wanted)
}

fn compare_all<T: PartialOrd + Copy>(
    order: Order,
    len: usize,
    found: impl Fn(usize) -> T,
    wanted: T,
) -> BooleanBuffer {
    match order {
        Order::Equal => BooleanBuffer::collect_bool(len, |row| found(row) == wanted),
        Order::Less => BooleanBuffer::collect_bool(len, |row| found(row) < wanted),
        Order::LessOrEqual => BooleanBuffer::collect_bool(len, |row| found(row) <= wanted),
        Order::Greater => BooleanBuffer::collect_bool(len, |row| found(row) > wanted),
        Order::GreaterOrEqual => BooleanBuffer::collect_bool(len, |row| found(row) >= wanted),
    }
}

/// The candidates for which a condition holds, which is asked of them only.
pub(crate) fn where_true(candidates: &BooleanBuffer, mut holds: impl FnMut(usize) -> bool) -> BooleanBuffer {
    let mut hits = BooleanBufferBuilder::new(candidates.len());
    hits.append_n(candidates.len(), false);
    for row in candidates.set_indices() {
        if holds(row) {
            hits.set_bit(row, true);
        }
    }
    hits.finish()
}

/// Texts of up to this many bytes lie in the view itself.
const INLINE_BYTES: usize = 12;

fn equal_texts(array: &StringViewArray, wanted: &str, candidates: &BooleanBuffer) -> BooleanBuffer {
    let views = array.views();
    // A view begins with the length and the first four bytes.
    let mut start = [0; 16];
    start[..4].copy_from_slice(&(wanted.len() as u32).to_le_bytes());
    let inline = wanted.len().min(if wanted.len() <= INLINE_BYTES { INLINE_BYTES } else { 4 });
    start[4..4 + inline].copy_from_slice(&wanted.as_bytes()[..inline]);
    let start = u128::from_le_bytes(start);
    if wanted.len() <= INLINE_BYTES {
        return candidates & &BooleanBuffer::collect_bool(views.len(), |row| views[row] == start);
    }
    where_true(candidates, |row| views[row] as u64 == start as u64 && array.value(row) == wanted)
}

/// Asks once for texts that come several times in a row, which texts from a dictionary mostly do.
fn each_text(
    array: &StringViewArray,
    candidates: &BooleanBuffer,
    mut holds: impl FnMut(&str, &mut String) -> bool,
) -> BooleanBuffer {
    let views = array.views();
    let mut scratch = String::new();
    let mut last = None;
    where_true(candidates, |row| match last {
        Some((view, held)) if view == views[row] => held,
        _ => {
            let held = holds(array.value(row), &mut scratch);
            last = Some((views[row], held));
            held
        }
    })
}

/// Among the candidates: the rows that have an attribute in the overflow, and those whose value passes.
pub(crate) fn test_overflow(
    tester: &Tester,
    overflow: &StringViewArray,
    scope: Scope,
    key: &str,
    candidates: &BooleanBuffer,
) -> (BooleanBuffer, BooleanBuffer) {
    let candidates = &match overflow.nulls() {
        Some(nulls) => candidates & nulls.inner(),
        None => candidates.clone(),
    };
    // A key of these characters stands in JSON as it is, so that most rows need not be parsed.
    let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/: ".contains(&byte));
    let quoted = format!("\"{key}\"");
    let finder = is_plain.then(|| Finder::new(&quoted));
    let present = each_text(overflow, candidates, |text, _| {
        finder.as_ref().is_none_or(|finder| finder.find(text.as_bytes()).is_some())
            && json::overflow_value(text, scope, key).is_some()
    });
    let hits = each_text(overflow, &present, |text, scratch| {
        json::overflow_value(text, scope, key).is_some_and(|value| tester.accepts(&value, scratch))
    });
    (present, hits)
}
