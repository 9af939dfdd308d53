//! Whole rows out of slices.

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::{Float64Type, Int64Type};
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::buffer::BooleanBuffer;
use model::{Field, Records, Signal};
use store::rows::{Column, Cost, Slice, ValueKind};

use super::ids::{self, Key};
use crate::error::QueryFault;
use crate::sql::hex;

/// A log record, span or event as explorers show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which table it is of.
    pub signal: Signal,
    /// What identifies it: 32 hexadecimal digits.
    pub id: String,
    /// Its time, nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// The fixed columns in the order of [`model::record::columns`].
    pub fixed: Vec<RowValue>,
    /// The service it came from: its attribute `service.name`, else its resource's.
    pub service: Option<String>,
    /// The record's attributes, a JSON object.
    pub attributes: String,
    /// The resource's attributes, a JSON object.
    pub resource: String,
}

impl Row {
    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        let texts = self.fixed.iter().map(|value| match value {
            RowValue::Text(text) | RowValue::Id(text) => text.len(),
            RowValue::Null | RowValue::Int(_) | RowValue::Double(_) => 0,
        });
        let fixed = self.fixed.len() * size_of::<RowValue>() + texts.sum::<usize>();
        let service = self.service.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.id.len() + fixed + service + self.attributes.len() + self.resource.len()
    }
}

/// A value of a fixed column.
#[derive(Clone, Debug, PartialEq)]
pub enum RowValue {
    /// None.
    Null,
    /// A whole number, or nanoseconds.
    Int(i64),
    /// A number.
    Double(f64),
    /// A text, or JSON.
    Text(String),
    /// An identifier in hexadecimal.
    Id(String),
}

impl RowValue {
    /// The number, where it is a whole one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The text or identifier, where it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Id(text) => Some(text),
            _ => None,
        }
    }
}

impl Row {
    pub(super) fn key(&self) -> Option<Key> {
        Key::parse(&self.id)
    }
}

/// Rows just decoded, in the order in which they came.
pub fn decoded(records: &Records) -> Result<Vec<Row>, QueryFault> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let all = BooleanBuffer::new_set(records.len());
    rows(records.signal, &Slice::of_records(records), &all, &mut Cost::default())
}

/// Reads the selected rows of a slice.
pub(super) fn rows(
    signal: Signal,
    slice: &Slice,
    selected: &BooleanBuffer,
    cost: &mut Cost,
) -> Result<Vec<Row>, QueryFault> {
    let mut columns = ids::columns(signal);
    let own = columns.len();
    columns.push(Column::FieldAs(Field::Key("service.name".into()), ValueKind::Text));
    let arrays = slice.read(&columns, selected, cost)?;
    let keys = ids::keys(&arrays[..own]);
    let fixed = &arrays[..own - 2];
    let text = |array: &ArrayRef, row: usize| {
        array
            .as_string_view_opt()
            .filter(|array| array.is_valid(row))
            .map(|array| array.value(row).to_owned())
    };
    Ok(keys
        .into_iter()
        .enumerate()
        .map(|(row, key)| Row {
            signal,
            id: key.text(),
            time_ns: key.time_ns,
            fixed: fixed.iter().map(|array| value(array, row)).collect(),
            service: text(&arrays[own], row),
            attributes: text(&arrays[own - 2], row).unwrap_or_else(|| "{}".into()),
            resource: text(&arrays[own - 1], row).unwrap_or_else(|| "{}".into()),
        })
        .collect())
}

fn value(array: &ArrayRef, row: usize) -> RowValue {
    if array.is_null(row) {
        RowValue::Null
    } else if let Some(texts) = array.as_string_view_opt() {
        RowValue::Text(texts.value(row).to_owned())
    } else if let Some(ints) = array.as_primitive_opt::<Int64Type>() {
        RowValue::Int(ints.value(row))
    } else if let Some(ids) = array.as_fixed_size_binary_opt() {
        RowValue::Id(hex(ids.value(row)))
    } else if let Some(doubles) = array.as_primitive_opt::<Float64Type>() {
        RowValue::Double(doubles.value(row))
    } else {
        RowValue::Null
    }
}
