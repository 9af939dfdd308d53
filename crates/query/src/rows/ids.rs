//! What identifies a row: its time, and a hash of all it says.
//!
//! A row has no number of its own, and its place changes as files are merged; what it says stays. Numbers are
//! hashed as doubles, since a merge may widen integers. Rows that say exactly the same at the same nanosecond
//! share an identifier; nobody can tell them apart.

use std::sync::Arc;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::{Float64Type, Int64Type};
use datafusion::arrow::array::{Array, ArrayRef, StringViewBuilder};
use datafusion::arrow::buffer::BooleanBuffer;
use model::{Field, Signal, record};
use serde_json::Value;
use store::rows::{Column, Cost, Slice};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::QueryFault;

/// Time and hash of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// Nanoseconds since the Unix epoch.
    pub(crate) time_ns: i64,
    pub(crate) hash: u64,
}

impl Key {
    /// Reads what [`Self::text`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
            return None;
        }
        let time = u64::from_str_radix(&text[..16], 16).ok()?;
        Some(Self { time_ns: time as i64, hash: u64::from_str_radix(&text[16..], 16).ok()? })
    }

    /// The identifier: 32 hexadecimal digits.
    pub(crate) fn text(self) -> String {
        format!("{:016x}{:016x}", self.time_ns as u64, self.hash)
    }
}

/// The columns that a row's key is made of: all fixed ones, then the attributes, then the resource's.
pub(crate) fn columns(signal: Signal) -> Vec<Column> {
    let fixed = (0..record::columns(signal).len()).map(|i| Column::Field(Field::Fixed(i as u8)));
    fixed.chain([Column::Attributes, Column::ResourceAttributes]).collect()
}

/// Keys of rows, from the arrays of [`columns`].
pub(crate) fn keys(arrays: &[ArrayRef]) -> Vec<Key> {
    let Some(times) = arrays.first().and_then(|array| array.as_primitive_opt::<Int64Type>()) else {
        return Vec::new();
    };
    let (fixed, json) = arrays.split_at(arrays.len().saturating_sub(2));
    let mut bytes = Vec::new();
    // Rows of one sender share their resource.
    let mut last: [(String, Vec<u8>); 2] = Default::default();
    (0..times.len())
        .map(|row| {
            bytes.clear();
            fixed.iter().skip(1).for_each(|array| push_fixed(&mut bytes, array, row));
            for (array, (text, hashed)) in json.iter().zip(&mut last) {
                let object = array.as_string_view_opt().map_or("", |array| array.value(row));
                if text != object {
                    object.clone_into(text);
                    hashed.clear();
                    push_object(hashed, object);
                }
                bytes.extend_from_slice(hashed);
            }
            Key { time_ns: times.value(row), hash: xxh3_64(&bytes) }
        })
        .collect()
}

fn push_fixed(bytes: &mut Vec<u8>, array: &ArrayRef, row: usize) {
    if array.is_null(row) {
        bytes.push(0);
    } else if let Some(texts) = array.as_string_view_opt() {
        push_text(bytes, texts.value(row));
    } else if let Some(ids) = array.as_fixed_size_binary_opt() {
        bytes.push(2);
        bytes.extend_from_slice(ids.value(row));
    } else if let Some(ints) = array.as_primitive_opt::<Int64Type>() {
        bytes.push(3);
        bytes.extend_from_slice(&ints.value(row).to_le_bytes());
    } else if let Some(doubles) = array.as_primitive_opt::<Float64Type>() {
        push_number(bytes, doubles.value(row));
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(1);
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn push_number(bytes: &mut Vec<u8>, number: f64) {
    bytes.push(4);
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn push_object(bytes: &mut Vec<u8>, object: &str) {
    bytes.push(5);
    if object == "{}" {
        return;
    }
    match serde_json::from_str(object) {
        Ok(Value::Object(map)) => {
            for (key, value) in &map {
                push_text(bytes, key);
                match value {
                    Value::Number(number) => push_number(bytes, number.as_f64().unwrap_or(0.0)),
                    Value::String(text) => push_text(bytes, text),
                    other => push_text(bytes, &other.to_string()),
                }
            }
        }
        _ => push_text(bytes, object),
    }
}

/// Identifiers of a slice's rows as texts.
pub(crate) fn of_slice(
    signal: Signal,
    slice: &Slice,
    rows: &BooleanBuffer,
    cost: &mut Cost,
) -> Result<ArrayRef, QueryFault> {
    let arrays = slice.read(&columns(signal), rows, cost)?;
    let mut out = StringViewBuilder::with_capacity(rows.count_set_bits());
    keys(&arrays).into_iter().for_each(|key| out.append_value(key.text()));
    Ok(Arc::new(out.finish()))
}
