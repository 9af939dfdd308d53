//! The columns that logs, spans and events have in one statement.
//!
//! The fixed columns, all attributes of record and resource as one JSON column each, a column for every key that
//! is known in the range (the record's value, else the resource's), and one for every key that the statement
//! names itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::Int64Type;
use datafusion::arrow::array::{Array, ArrayRef, StringViewBuilder, TimestampNanosecondArray};
use datafusion::arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef, TimeUnit};
use model::{Field, FixedKind, Signal, record};
use store::rows::{Column, KeyInfo, Scope, ValueKind};

/// Keys that become columns without being named; the rest are still found by name.
pub(super) const KEYS_MAX: usize = 1000;

/// Names of the two columns that hold all attributes as JSON.
pub(super) const ATTRIBUTES: &str = "attributes";
pub(super) const RESOURCE_ATTRIBUTES: &str = "resource_attributes";
/// Name of the column with the row's identifier; only views have it.
pub(super) const ROW_ID: &str = "_id";

const RECORD_PREFIX: &str = "attr.";
const RESOURCE_PREFIX: &str = "resource.";

/// Names in a statement.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// All; those that are keys of a table are columns of it.
    pub(super) used: BTreeSet<String>,
    /// Those that are columns of every table, with and without rows.
    pub(super) added: BTreeSet<String>,
}

/// Where the values of a column come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    /// A fixed column.
    Fixed(usize),
    /// An attribute, as this kind.
    Key(Field, ValueKind),
    /// All attributes of the record.
    Attributes,
    /// All attributes of the resource.
    ResourceAttributes,
    /// The row's identifier.
    RowId,
}

/// The columns of a table in one statement.
#[derive(Debug)]
pub(super) struct RowColumns {
    pub(super) signal: Signal,
    pub(super) origins: Vec<Origin>,
    pub(super) schema: SchemaRef,
}

impl RowColumns {
    /// The columns of a signal's table, given the keys in its range and the names that the statement uses.
    pub(super) fn new(signal: Signal, keys: &[KeyInfo], named: &Named, row_id: bool) -> Self {
        let mut columns = Columns::default();
        for (position, fixed) in record::columns(signal).iter().enumerate() {
            columns.push(fixed.name, Origin::Fixed(position), data_type(fixed.kind));
        }
        columns.push(ATTRIBUTES, Origin::Attributes, DataType::Utf8View);
        columns.push(RESOURCE_ATTRIBUTES, Origin::ResourceAttributes, DataType::Utf8View);
        if row_id {
            columns.push(ROW_ID, Origin::RowId, DataType::Utf8View);
        }
        let known = Known::new(keys);
        let mut by_count: Vec<_> = known.either.iter().map(|(key, info)| (info.1, *key)).collect();
        by_count.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        by_count.truncate(KEYS_MAX);
        let mut names: BTreeSet<&str> = by_count.into_iter().map(|(_, key)| key).collect();
        names.extend(named.used.iter().map(String::as_str).filter(|name| known.either.contains_key(name)));
        names.extend(named.added.iter().map(String::as_str));
        for name in names {
            // A key that itself begins like a scope is meant before what stands behind the scope.
            let is_key = known.either.contains_key(name);
            let field = if is_key { Field::Key(name.into()) } else { field_of(name) };
            let kind = known.kind(&field);
            columns.push(name, Origin::Key(field, kind), kind_type(kind));
        }
        let schema = Arc::new(Schema::new(columns.fields));
        Self { signal, origins: columns.origins, schema }
    }

    /// The origin of a column.
    pub(super) fn origin(&self, name: &str) -> Option<&Origin> {
        self.schema.index_of(name).ok().map(|index| &self.origins[index])
    }
}

#[derive(Default)]
struct Columns {
    taken: BTreeSet<String>,
    fields: Vec<ArrowField>,
    origins: Vec<Origin>,
}

impl Columns {
    fn push(&mut self, name: &str, origin: Origin, data_type: DataType) {
        if self.taken.insert(name.to_owned()) {
            let nullable = !matches!(
                origin,
                Origin::Fixed(0) | Origin::Attributes | Origin::ResourceAttributes | Origin::RowId
            );
            self.fields.push(ArrowField::new(name, data_type, nullable));
            self.origins.push(origin);
        }
    }
}

/// Kinds of keys, and how many rows have them.
struct Known<'a> {
    record: BTreeMap<&'a str, ValueKind>,
    resource: BTreeMap<&'a str, ValueKind>,
    either: BTreeMap<&'a str, (ValueKind, u64)>,
}

impl<'a> Known<'a> {
    fn new(keys: &'a [KeyInfo]) -> Self {
        let mut known = Self { record: BTreeMap::new(), resource: BTreeMap::new(), either: BTreeMap::new() };
        for info in keys {
            let of_scope = match info.scope {
                Scope::Record => &mut known.record,
                Scope::Resource => &mut known.resource,
            };
            let own = of_scope.entry(&info.key).or_insert(info.kind);
            *own = own.common(info.kind);
            let either = known.either.entry(&info.key).or_insert((info.kind, 0));
            either.0 = either.0.common(info.kind);
            either.1 += info.count;
        }
        known
    }

    fn kind(&self, field: &Field) -> ValueKind {
        let found = match field {
            Field::Fixed(_) => None,
            Field::Key(key) => self.either.get(&**key).map(|info| info.0),
            Field::Record(key) => self.record.get(&**key).copied(),
            Field::Resource(key) => self.resource.get(&**key).copied(),
        };
        found.unwrap_or(ValueKind::Text)
    }
}

/// What a name that is no fixed column's stands for.
fn field_of(name: &str) -> Field {
    if let Some(key) = name.strip_prefix(RECORD_PREFIX) {
        Field::Record(key.into())
    } else if let Some(key) = name.strip_prefix(RESOURCE_PREFIX) {
        Field::Resource(key.into())
    } else {
        Field::Key(name.into())
    }
}

fn data_type(kind: FixedKind) -> DataType {
    match kind {
        FixedKind::Timestamp => time_type(),
        FixedKind::Int => DataType::Int64,
        FixedKind::Double => DataType::Float64,
        FixedKind::Text | FixedKind::Json | FixedKind::TraceId | FixedKind::SpanId => DataType::Utf8View,
    }
}

/// The type of all times.
pub(super) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

fn kind_type(kind: ValueKind) -> DataType {
    match kind {
        ValueKind::Bool => DataType::Boolean,
        ValueKind::Int => DataType::Int64,
        ValueKind::Double => DataType::Float64,
        ValueKind::Text | ValueKind::Json => DataType::Utf8View,
    }
}

/// What to ask a slice for.
pub(super) fn column_of(origin: &Origin) -> Option<Column> {
    Some(match origin {
        Origin::Fixed(position) => Column::Field(Field::Fixed(*position as u8)),
        Origin::Key(field, kind) => Column::FieldAs(field.clone(), *kind),
        Origin::Attributes => Column::Attributes,
        Origin::ResourceAttributes => Column::ResourceAttributes,
        Origin::RowId => return None,
    })
}

/// The array of a column as SQL sees it: times as times, identifiers as hexadecimal text.
pub(super) fn to_sql(signal: Signal, origin: &Origin, array: ArrayRef) -> ArrayRef {
    let Origin::Fixed(position) = origin else { return array };
    match record::columns(signal).get(*position).map(|column| column.kind) {
        Some(FixedKind::Timestamp) => match array.as_primitive_opt::<Int64Type>() {
            Some(times) => {
                let times = TimestampNanosecondArray::new(times.values().clone(), times.nulls().cloned());
                Arc::new(times.with_timezone("UTC"))
            }
            None => array,
        },
        Some(FixedKind::TraceId | FixedKind::SpanId) => hex_array(&array),
        _ => array,
    }
}

fn hex_array(array: &ArrayRef) -> ArrayRef {
    let Some(ids) = array.as_fixed_size_binary_opt() else { return Arc::clone(array) };
    let mut out = StringViewBuilder::with_capacity(ids.len());
    for row in 0..ids.len() {
        if ids.is_null(row) {
            out.append_null();
        } else {
            out.append_value(hex(ids.value(row)));
        }
    }
    Arc::new(out.finish())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
