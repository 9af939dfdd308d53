//! A field of rows as texts to count and group by.

use std::sync::Arc;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::Int64Type;
use datafusion::arrow::array::{Array, ArrayRef, StringViewArray, StringViewBuilder};
use datafusion::arrow::buffer::BooleanBuffer;
use model::{Field, Signal};
use store::rows::{Column, Cost, Slice, ValueKind};

use crate::error::QueryFault;
use crate::search::{self, LEVELS};

/// What is shown of each row.
pub(super) struct View {
    field: Field,
    is_level: bool,
}

impl View {
    /// The view of a field, named as in a search.
    pub(super) fn new(name: &str, signal: Signal) -> Self {
        let (field, is_level) = search::field_of(name, signal);
        Self { field, is_level }
    }

    /// What is tested to find rows by a value of this field.
    pub(super) fn field(&self) -> &Field {
        &self.field
    }

    pub(super) fn is_level(&self) -> bool {
        self.is_level
    }

    pub(super) fn column(&self) -> Column {
        let kind = if self.is_level { ValueKind::Int } else { ValueKind::Text };
        Column::FieldAs(self.field.clone(), kind)
    }

    /// One text a row; null where it has none.
    pub(super) fn read(
        &self,
        slice: &Slice,
        rows: &BooleanBuffer,
        cost: &mut Cost,
    ) -> Result<Arc<StringViewArray>, QueryFault> {
        let arrays = slice.read(&[self.column()], rows, cost)?;
        Ok(arrays.first().map_or_else(|| Arc::new(StringViewArray::new_null(0)), |array| self.texts(array)))
    }

    /// The texts of what [`Self::column`] read.
    pub(super) fn texts(&self, array: &ArrayRef) -> Arc<StringViewArray> {
        if self.is_level {
            let numbers = array.as_primitive_opt::<Int64Type>();
            let mut out = StringViewBuilder::with_capacity(array.len());
            for row in 0..array.len() {
                out.append_option(numbers.filter(|n| n.is_valid(row)).and_then(|n| level_name(n.value(row))));
            }
            return Arc::new(out.finish());
        }
        Arc::new(
            array.as_string_view_opt().cloned().unwrap_or_else(|| StringViewArray::new_null(array.len())),
        )
    }
}

/// The name of a severity number's level; none outside 1 to 24.
pub(crate) fn level_name(number: i64) -> Option<&'static str> {
    if !(1..=24).contains(&number) {
        return None;
    }
    LEVELS.get(((number - 1) / 4) as usize).map(|level| level.0)
}
