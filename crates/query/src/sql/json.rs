//! Results as JSON rows.

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Value, json};

use crate::rows::time_text;

/// One JSON array a row.
pub(super) fn rows(batch: &RecordBatch) -> Vec<Value> {
    let columns: Vec<Vec<Value>> = batch.columns().iter().map(column).collect();
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    (0..batch.num_rows())
        .map(|_| {
            Value::Array(columns.iter_mut().map(|column| column.next().unwrap_or(Value::Null)).collect())
        })
        .collect()
}

/// The values of a column.
fn column(array: &ArrayRef) -> Vec<Value> {
    macro_rules! numbers {
        ($type:ty) => {
            array.as_primitive::<$type>().iter().map(|value| json!(value)).collect()
        };
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().iter().map(|value| json!(value)).collect(),
        DataType::Int8 => numbers!(Int8Type),
        DataType::Int16 => numbers!(Int16Type),
        DataType::Int32 => numbers!(Int32Type),
        DataType::Int64 => numbers!(Int64Type),
        DataType::UInt8 => numbers!(UInt8Type),
        DataType::UInt16 => numbers!(UInt16Type),
        DataType::UInt32 => numbers!(UInt32Type),
        DataType::UInt64 => numbers!(UInt64Type),
        DataType::Float32 => numbers!(Float32Type),
        // JSON has no NaN and no infinities; `json!` makes null of them.
        DataType::Float64 => numbers!(Float64Type),
        _ => texts(array).into_iter().map(|text| json!(text)).collect(),
    }
}

/// The texts that show the values of a column; times as RFC 3339.
pub(super) fn texts(array: &ArrayRef) -> Vec<Option<String>> {
    match array.data_type() {
        DataType::Timestamp(unit, _) => {
            let scale = match unit {
                TimeUnit::Second => 1_000_000_000,
                TimeUnit::Millisecond => 1_000_000,
                TimeUnit::Microsecond => 1000,
                TimeUnit::Nanosecond => 1,
            };
            let Ok(numbers) = cast(array, &DataType::Int64) else { return vec![None; array.len()] };
            let numbers = numbers.as_primitive::<Int64Type>();
            numbers.iter().map(|n| n.map(|n| time_text(n.saturating_mul(scale)))).collect()
        }
        DataType::Utf8View => array.as_string_view().iter().map(|text| text.map(str::to_owned)).collect(),
        DataType::Utf8 => array.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect(),
        DataType::Null => vec![None; array.len()],
        _ => {
            let options = FormatOptions::default();
            let Ok(formatter) = ArrayFormatter::try_new(array, &options) else {
                return vec![None; array.len()];
            };
            (0..array.len())
                .map(|row| array.is_valid(row).then(|| formatter.value(row).to_string()))
                .collect()
        }
    }
}
