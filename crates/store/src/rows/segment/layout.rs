//! Which columns a file of rows has, and where its files are.

use std::cmp::Reverse;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use hashbrown::{HashMap, HashSet};
use model::record::columns;
use model::{FixedKind, Signal, TenantId};

use crate::rows::chunk::{ATTR_COLUMNS_MAX, Scope, ValueKind};
use crate::rows::slice::KeyInfo;
use crate::segment::SegmentId;

/// Name of the column for attributes without a column of their own.
const OVERFLOW: &str = "overflow";

/// An attribute with a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayoutAttr {
    pub(crate) scope: Scope,
    pub(crate) key: Arc<str>,
    pub(crate) kind: ValueKind,
    /// The column's name.
    pub(crate) column: String,
}

/// The columns of a file: fixed ones, attributes, and the overflow last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) signal: Signal,
    pub(crate) attrs: Vec<LayoutAttr>,
}

/// Paths of the rows and of their filters.
pub(crate) fn paths(tenant: &TenantId, signal: Signal, day: i32, id: SegmentId) -> [String; 2] {
    let [parquet, _] = crate::segment::paths(tenant, signal, day, id);
    let filter = format!("{}.filter", parquet.strip_suffix(".parquet").unwrap_or(&parquet));
    [parquet, filter]
}

impl Layout {
    /// The columns for attributes that come in these kinds. A key gets the kind that most of its values have,
    /// where integers and doubles count together; the most frequent keys get columns.
    pub(crate) fn new(signal: Signal, found: impl IntoIterator<Item = KeyInfo>) -> Self {
        let mut counts: HashMap<(Scope, Arc<str>), [u64; ValueKind::ALL.len()]> = HashMap::new();
        for info in found {
            counts.entry((info.scope, info.key)).or_default()[info.kind as usize] += info.count;
        }
        let mut keys: Vec<(u64, Scope, Arc<str>, ValueKind)> = counts
            .into_iter()
            .map(|((scope, key), counts)| {
                let (kind, count) = main_kind(&counts);
                (count, scope, key, kind)
            })
            .filter(|(count, ..)| *count > 0)
            .collect();
        keys.sort_by(|a, b| (Reverse(a.0), a.1, &a.2).cmp(&(Reverse(b.0), b.1, &b.2)));
        keys.truncate(ATTR_COLUMNS_MAX);
        let both: HashSet<Arc<str>> = {
            let of = |scope| keys.iter().filter(move |k| k.1 == scope).map(|k| k.2.clone());
            let record: HashSet<Arc<str>> = of(Scope::Record).collect();
            of(Scope::Resource).filter(|key| record.contains(key)).collect()
        };
        let mut taken: HashSet<String> = columns(signal).iter().map(|c| c.name.to_owned()).collect();
        taken.insert(OVERFLOW.to_owned());
        let attrs = keys.into_iter().map(|(_, scope, key, kind)| {
            let mut column = match scope {
                Scope::Resource if both.contains(&key) => format!("resource.{key}"),
                _ if key.is_empty() || taken.contains(&*key) => format!("attributes.{key}"),
                _ => key.to_string(),
            };
            while !taken.insert(column.clone()) {
                column.push('_');
            }
            LayoutAttr { scope, key, kind, column }
        });
        Self { signal, attrs: attrs.collect() }
    }

    /// The schema as arrays of the file have it.
    pub(crate) fn schema(&self) -> Schema {
        let fixed = columns(self.signal).iter().enumerate();
        let fixed = fixed.map(|(at, column)| Field::new(column.name, fixed_type(column.kind), at > 0));
        let attrs = self.attrs.iter().map(|attr| Field::new(&attr.column, attr_type(attr.kind), true));
        let overflow = Field::new(OVERFLOW, DataType::Utf8View, true);
        Schema::new(fixed.chain(attrs).chain([overflow]).collect::<Vec<_>>())
    }
}

fn main_kind(counts: &[u64; ValueKind::ALL.len()]) -> (ValueKind, u64) {
    let count = |kind: ValueKind| counts[kind as usize];
    let numbers = count(ValueKind::Int) + count(ValueKind::Double);
    let number = if count(ValueKind::Double) > 0 { ValueKind::Double } else { ValueKind::Int };
    let others = [ValueKind::Text, ValueKind::Bool, ValueKind::Json].map(|kind| (kind, count(kind)));
    others.into_iter().fold((number, numbers), |most, other| if other.1 > most.1 { other } else { most })
}

/// The type of a fixed column in files.
pub(crate) fn fixed_type(kind: FixedKind) -> DataType {
    match kind {
        FixedKind::Timestamp => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        FixedKind::Int => DataType::Int64,
        FixedKind::Double => DataType::Float64,
        FixedKind::Text | FixedKind::Json => DataType::Utf8View,
        FixedKind::TraceId => DataType::FixedSizeBinary(16),
        FixedKind::SpanId => DataType::FixedSizeBinary(8),
    }
}

/// The type of an attribute's column.
pub(crate) fn attr_type(kind: ValueKind) -> DataType {
    match kind {
        ValueKind::Bool => DataType::Boolean,
        ValueKind::Int => DataType::Int64,
        ValueKind::Double => DataType::Float64,
        ValueKind::Text | ValueKind::Json => DataType::Utf8View,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_by_key_and_told_apart_where_names_meet() {
        let key = |scope, key: &str, kind, count| KeyInfo { scope, key: key.into(), kind, count };
        let layout = Layout::new(
            Signal::Logs,
            [
                key(Scope::Record, "both", ValueKind::Text, 9),
                key(Scope::Resource, "both", ValueKind::Text, 8),
                key(Scope::Record, "resource.both", ValueKind::Text, 7),
                key(Scope::Record, "body", ValueKind::Text, 6),
                key(Scope::Record, "n", ValueKind::Int, 3),
                key(Scope::Record, "n", ValueKind::Double, 1),
                key(Scope::Record, "n", ValueKind::Text, 3),
                key(Scope::Resource, "service.name", ValueKind::Text, 3),
            ],
        );
        let found: Vec<_> = layout.attrs.iter().map(|a| (a.column.as_str(), a.kind)).collect();
        let want = [
            ("both", ValueKind::Text),
            ("resource.both", ValueKind::Text),
            ("resource.both_", ValueKind::Text),
            ("attributes.body", ValueKind::Text),
            ("n", ValueKind::Double),
            ("service.name", ValueKind::Text),
        ];
        assert_eq!(
            found,
            [want[0], want[1], ("attributes.resource.both", ValueKind::Text), want[3], want[4], want[5]]
        );
    }
}
