//! Reads columns of selected rows: fields in one type, and attributes as JSON objects.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringViewBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, StringViewArray};
use arrow_buffer::BooleanBuffer;
use arrow_select::filter::FilterBuilder;
use model::record::columns;
use model::{Field, FixedKind};

use super::chunk::{Scope, ValueKind};
use super::eval::Values;
use super::json;
use super::object::Objects;
use super::slice::{Column, Cost, Source, StoredColumn};
use super::value::{Number, Val};
use crate::error::{Result, StoreError};

/// Values of the rows whose bit is set, one array a column.
pub(crate) fn read(
    source: &Source,
    wanted: &[Column],
    rows: &BooleanBuffer,
    cost: &mut Cost,
) -> Result<Vec<ArrayRef>> {
    let plans: Vec<Plan> = wanted.iter().map(|column| Plan::new(source, column)).collect();
    let mut stored = Vec::new();
    for column in plans.iter().flat_map(|plan| plan.stored(source)) {
        if !stored.contains(&column) {
            stored.push(column);
        }
    }
    let (arrays, rows) = self::stored(source, &stored, rows, cost)?;
    let selected = Selected { stored, arrays, rows };
    plans.iter().map(|plan| plan.array(source, &selected)).collect()
}

/// Stored columns of the rows whose bit is set, and how many rows that are.
pub(crate) fn stored(
    source: &Source,
    columns: &[StoredColumn],
    rows: &BooleanBuffer,
    cost: &mut Cost,
) -> Result<(Vec<ArrayRef>, usize)> {
    let loaded = source.to_load(rows);
    let bits = loaded.gather(rows);
    let count = bits.count_set_bits();
    let arrays = if columns.is_empty() { Vec::new() } else { source.load(columns, &loaded, cost)? };
    if count == bits.len() {
        return Ok((arrays, count));
    }
    let filter = FilterBuilder::new(&BooleanArray::new(bits, None)).optimize().build();
    let arrays = arrays.iter().map(|array| {
        let array = filter.filter(array).map_err(|e| StoreError::Refused(e.to_string()))?;
        Ok(compacted(array))
    });
    Ok((arrays.collect::<Result<_>>()?, count))
}

/// Texts of a few rows shall not keep the blocks alive that they come from.
fn compacted(array: ArrayRef) -> ArrayRef {
    match array.as_string_view_opt() {
        Some(texts) => {
            let held: usize = texts.data_buffers().iter().map(|buffer| buffer.len()).sum();
            if texts.total_buffer_bytes_used() < held / 4 { Arc::new(texts.gc()) } else { array }
        }
        None => array,
    }
}

/// Stored columns with the selected rows.
pub(crate) struct Selected {
    stored: Vec<StoredColumn>,
    arrays: Vec<ArrayRef>,
    pub(crate) rows: usize,
}

impl Selected {
    pub(crate) fn of(&self, column: StoredColumn) -> Result<&ArrayRef> {
        let at = self.stored.iter().position(|stored| *stored == column);
        at.and_then(|at| self.arrays.get(at)).ok_or_else(|| unexpected(column))
    }

    pub(crate) fn values(&self, column: StoredColumn, kind: ValueKind) -> Result<Values<'_>> {
        Values::new(self.of(column)?, kind).ok_or_else(|| unexpected(column))
    }

    pub(crate) fn overflow(&self) -> Result<&StringViewArray> {
        let overflow = self.of(StoredColumn::Overflow)?.as_string_view_opt();
        overflow.ok_or_else(|| unexpected(StoredColumn::Overflow))
    }
}

fn unexpected(column: StoredColumn) -> StoreError {
    StoreError::Refused(format!("{column:?} of rows is not of its type"))
}

/// Where a row's attribute may be, in the order in which places count.
enum Place {
    Column(StoredColumn, ValueKind),
    Overflow(Scope),
}

enum Plan {
    Fixed(usize),
    FixedAs(usize, ValueKind),
    /// `None` for the kind that the rows have.
    Attr(Arc<str>, Vec<Place>, Option<ValueKind>),
    /// Whether the overflow has some of the attributes, too.
    Object(Scope, bool),
}

impl Plan {
    fn new(source: &Source, column: &Column) -> Self {
        let (field, kind) = match column {
            Column::Field(field) => (field, None),
            Column::FieldAs(field, kind) => (field, Some(*kind)),
            Column::Attributes => return Self::object(source, Scope::Record),
            Column::ResourceAttributes => return Self::object(source, Scope::Resource),
        };
        let (key, scopes): (_, &[Scope]) = match (field, kind) {
            (Field::Fixed(at), None) => return Self::Fixed(usize::from(*at)),
            (Field::Fixed(at), Some(kind)) => return Self::FixedAs(usize::from(*at), kind),
            (Field::Key(key), _) => (key, &[Scope::Record, Scope::Resource]),
            (Field::Record(key), _) => (key, &[Scope::Record]),
            (Field::Resource(key), _) => (key, &[Scope::Resource]),
        };
        let mut places = Vec::new();
        for scope in scopes {
            let own = source.attrs_of(*scope, key).into_iter();
            places.extend(own.map(|(at, kind)| Place::Column(StoredColumn::Attr(at), kind)));
            if source.overflow_may_have(Some((*scope, key))) {
                places.push(Place::Overflow(*scope));
            }
        }
        Self::Attr(key.clone(), places, kind)
    }

    fn object(source: &Source, scope: Scope) -> Self {
        Self::Object(scope, source.overflow_may_have(None))
    }

    fn stored(&self, source: &Source) -> Vec<StoredColumn> {
        match self {
            Self::Fixed(at) | Self::FixedAs(at, _) => vec![StoredColumn::Fixed(*at)],
            Self::Attr(_, places, _) => {
                let stored = places.iter().map(|place| match place {
                    Place::Column(column, _) => *column,
                    Place::Overflow(_) => StoredColumn::Overflow,
                });
                stored.collect()
            }
            Self::Object(scope, has_overflow) => {
                let own = source.attrs().into_iter().filter(|(_, own, _, _)| own == scope);
                let own = own.map(|(at, _, _, _)| StoredColumn::Attr(at));
                own.chain(has_overflow.then_some(StoredColumn::Overflow)).collect()
            }
        }
    }

    fn array(&self, source: &Source, selected: &Selected) -> Result<ArrayRef> {
        match self {
            Self::Fixed(at) => selected.of(StoredColumn::Fixed(*at)).cloned(),
            Self::FixedAs(at, kind) => {
                let (column, stored) = (StoredColumn::Fixed(*at), fixed_kind(source, *at));
                if stored == Some(*kind) {
                    return selected.of(column).cloned();
                }
                let values = selected.values(column, stored.unwrap_or(ValueKind::Text))?;
                Ok(converted(*kind, (0..selected.rows).map(|row| values.get(row))))
            }
            Self::Attr(_, places, kind)
                if let [Place::Column(column, own)] = places.as_slice()
                    && kind.is_none_or(|kind| kind == *own) =>
            {
                selected.of(*column).cloned()
            }
            Self::Attr(key, places, kind) => coalesced(selected, key, places, *kind),
            Self::Object(scope, has_overflow) => {
                Ok(Objects::new(source, *scope, *has_overflow, selected)?.array())
            }
        }
    }
}

/// The kind of a fixed column; `None` for identifiers, which have a type of their own.
fn fixed_kind(source: &Source, at: usize) -> Option<ValueKind> {
    match columns(source.signal()).get(at)?.kind {
        FixedKind::Timestamp | FixedKind::Int => Some(ValueKind::Int),
        FixedKind::Double => Some(ValueKind::Double),
        FixedKind::Text => Some(ValueKind::Text),
        FixedKind::Json => Some(ValueKind::Json),
        FixedKind::TraceId | FixedKind::SpanId => None,
    }
}

/// The first value that a row has in several places.
fn coalesced(selected: &Selected, key: &str, places: &[Place], kind: Option<ValueKind>) -> Result<ArrayRef> {
    enum Open<'a> {
        Values(Values<'a>),
        Overflow(Scope, &'a StringViewArray),
    }
    let open = places.iter().map(|place| match place {
        Place::Column(column, kind) => selected.values(*column, *kind).map(Open::Values),
        Place::Overflow(scope) => selected.overflow().map(|overflow| Open::Overflow(*scope, overflow)),
    });
    let open: Vec<Open<'_>> = open.collect::<Result<_>>()?;
    let value = |row: usize| {
        open.iter().find_map(|place| match place {
            Open::Values(values) => values.get(row),
            Open::Overflow(scope, texts) => {
                let text = texts.is_valid(row).then(|| texts.value(row))?;
                json::overflow_value(text, *scope, key)
            }
        })
    };
    let values: Vec<Option<Val<'_>>> = (0..selected.rows).map(value).collect();
    let kind = kind.unwrap_or_else(|| {
        let of_columns = places.iter().filter_map(|place| match place {
            Place::Column(_, kind) => Some(*kind),
            Place::Overflow(_) => None,
        });
        let of_values = values.iter().flatten().map(Val::kind);
        of_columns.chain(of_values).reduce(ValueKind::common).unwrap_or(ValueKind::Text)
    });
    Ok(converted(kind, values.into_iter()))
}

/// Values as an array of a kind; null where they cannot be converted.
pub(crate) fn converted<'a>(
    kind: ValueKind,
    values: impl ExactSizeIterator<Item = Option<Val<'a>>>,
) -> ArrayRef {
    let len = values.len();
    match kind {
        ValueKind::Bool => {
            let mut out = BooleanBuilder::with_capacity(len);
            values.for_each(|value| out.append_option(value.and_then(|value| value.truth())));
            Arc::new(out.finish())
        }
        ValueKind::Int => {
            let mut out = Int64Builder::with_capacity(len);
            values.for_each(|value| out.append_option(value.and_then(|v| v.number()).and_then(Number::int)));
            Arc::new(out.finish())
        }
        ValueKind::Double => {
            let mut out = Float64Builder::with_capacity(len);
            values.for_each(|value| out.append_option(value.and_then(|v| v.number()).map(Number::double)));
            Arc::new(out.finish())
        }
        ValueKind::Text => {
            let mut out = StringViewBuilder::with_capacity(len);
            values.for_each(|value| out.append_option(value.as_ref().map(Val::shown)));
            Arc::new(out.finish())
        }
        ValueKind::Json => {
            let mut out = StringViewBuilder::with_capacity(len);
            let mut text = String::new();
            for value in values {
                text.clear();
                match value {
                    Some(value) => {
                        value.push_json(&mut text);
                        out.append_value(&text);
                    }
                    None => out.append_null(),
                }
            }
            Arc::new(out.finish())
        }
    }
}
