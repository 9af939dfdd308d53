//! Values of fields, by how many rows have them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::Array;
use datafusion::arrow::buffer::BooleanBuffer;
use hashbrown::HashMap;
use model::{FixedKind, Predicate, Test, TextMatch, record};
use store::rows::{Cost, Scope, Slice, ValueKind};

use super::view::View;
use super::{Ask, RowReader};
use crate::error::QueryFault;

/// Distinct values of a field that are counted; rows of further ones are counted together.
const DISTINCT_MAX: usize = 100_000;
/// Distinct values of all fields of one question that are counted, and the bytes of these. What is counted of
/// slices side by side comes on top, bounded likewise by their rows.
const VALUES_MAX: usize = 400_000;
const BYTES_MAX: usize = 32 << 20;
/// Fields of one question.
const FIELDS_MAX: usize = 50;

/// Values of one field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facet {
    /// The field, as it was named.
    pub name: String,
    /// How many values it has; at least so many where rows have others.
    pub distinct: u64,
    /// Rows without it.
    pub missing: u64,
    /// Rows with a value that is not counted on its own, because there are too many.
    pub other: u64,
    /// The most frequent values and how many rows have each, most first, then by value.
    pub values: Vec<(String, u64)>,
}

/// Values of several fields.
#[derive(Clone, Debug, Default)]
pub struct Facets {
    /// One for each field asked for, in that order.
    pub facets: Vec<Facet>,
    /// Rows that were counted.
    pub total: u64,
    /// What was looked at.
    pub cost: Cost,
}

/// A field that rows have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// Its name in SQL and search.
    pub name: String,
    /// `fixed`, `attribute` or `resource`.
    pub scope: &'static str,
    /// `timestamp`, `int`, `double`, `bool`, `text`, `json` or `id`.
    pub kind: &'static str,
    /// Rows that have it, before deletes; none for fixed columns.
    pub count: Option<u64>,
}

/// How much of one field is counted.
#[derive(Clone, Copy, Debug)]
struct Bound {
    values: usize,
    bytes: usize,
}

impl Bound {
    /// The share of each of so many fields.
    fn of_each(fields: usize) -> Self {
        let fields = fields.max(1);
        Self { values: DISTINCT_MAX.min(VALUES_MAX / fields), bytes: BYTES_MAX / fields }
    }
}

/// Counts of one field while slices are looked at.
struct Counts {
    values: HashMap<String, u64>,
    bytes: usize,
    missing: u64,
    other: u64,
    bound: Bound,
}

impl Counts {
    fn new(bound: Bound) -> Self {
        Self { values: HashMap::new(), bytes: 0, missing: 0, other: 0, bound }
    }

    fn add(&mut self, value: &str, count: u64) {
        if let Some(known) = self.values.get_mut(value) {
            *known += count;
        } else if self.values.len() < self.bound.values && self.bytes + value.len() <= self.bound.bytes {
            self.bytes += value.len();
            self.values.insert(value.to_owned(), count);
        } else {
            self.other += count;
        }
    }

    fn merge(&mut self, other: Self) {
        self.missing += other.missing;
        self.other += other.other;
        for (value, count) in other.values {
            self.add(&value, count);
        }
    }
}

impl RowReader {
    /// The most frequent values of each field, all fields in one pass.
    pub fn facets(&self, ask: &Ask, fields: &[String], limit: usize) -> Result<Facets, QueryFault> {
        if fields.len() > FIELDS_MAX {
            let problem = format!("{} fields are more than the {FIELDS_MAX} that are counted", fields.len());
            return Err(QueryFault::Limit(format!("{problem}: ask for fewer")));
        }
        let names: BTreeSet<&String> = fields.iter().collect();
        let views: Vec<View> = names.iter().map(|name| View::new(name, self.signal())).collect();
        let bound = Bound::of_each(views.len());
        let each = |slice: &Slice, rows: &BooleanBuffer, cost: &mut Cost| {
            let counts: Result<Vec<Counts>, QueryFault> =
                views.iter().map(|view| count(view, bound, slice, rows, cost)).collect();
            Ok((counts?, rows.count_set_bits() as u64))
        };
        let zero = || (views.iter().map(|_| Counts::new(bound)).collect::<Vec<_>>(), 0);
        let ((counts, total), cost) = self.over_slices(ask, zero, each, |sum, part| {
            sum.1 += part.1;
            sum.0.iter_mut().zip(part.0).for_each(|(sum, part)| sum.merge(part));
        })?;
        let facet = |(counts, name): (Counts, &String)| Facet {
            name: name.clone(),
            distinct: counts.values.len() as u64,
            missing: counts.missing,
            other: counts.other,
            values: top(counts.values, limit),
        };
        let found: Vec<Facet> = counts.into_iter().zip(names).map(facet).collect();
        // A field that was named twice is counted once and shown twice.
        let facets = fields.iter().filter_map(|name| found.iter().find(|facet| facet.name == *name).cloned());
        Ok(Facets { facets: facets.collect(), total, cost })
    }

    /// The most frequent values of a field that begin with a text, and how many rows have each.
    pub fn values(
        &self,
        ask: &Ask,
        field: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<(Vec<(String, u64)>, Cost), QueryFault> {
        let view = View::new(field, self.signal());
        let mut ask = ask.clone();
        if !prefix.is_empty() && !view.is_level() {
            let test = Test::Text { how: TextMatch::StartsWith, text: prefix.into(), ignore_case: false };
            ask.predicate = ask.predicate.and(Predicate::Test(view.field().clone(), test));
        }
        let bound = Bound::of_each(1);
        let each =
            |slice: &Slice, rows: &BooleanBuffer, cost: &mut Cost| count(&view, bound, slice, rows, cost);
        let (mut counts, cost) = self.over_slices(&ask, || Counts::new(bound), each, Counts::merge)?;
        counts.values.retain(|value, _| value.starts_with(prefix));
        Ok((top(counts.values, limit), cost))
    }

    /// The fields that rows in a range have: fixed columns, then attributes by name.
    pub fn fields(&self, start_ns: i64, end_ns: i64) -> Result<Vec<FieldInfo>, QueryFault> {
        let fixed = record::columns(self.signal()).iter().map(|column| FieldInfo {
            name: column.name.to_owned(),
            scope: "fixed",
            kind: fixed_name(column.kind),
            count: None,
        });
        let mut fields: Vec<FieldInfo> = fixed.collect();
        let mut keys: BTreeMap<(std::sync::Arc<str>, Scope), FieldInfo> = BTreeMap::new();
        for info in self.source.keys(start_ns, end_ns, &self.control)? {
            let (name, scope) = match info.scope {
                Scope::Record => (info.key.to_string(), "attribute"),
                Scope::Resource => (info.key.to_string(), "resource"),
            };
            let kind = kind_name(info.kind);
            keys.insert((info.key, info.scope), FieldInfo { name, scope, kind, count: Some(info.count) });
        }
        fields.extend(keys.into_values());
        Ok(fields)
    }
}

fn count(
    view: &View,
    bound: Bound,
    slice: &Slice,
    rows: &BooleanBuffer,
    cost: &mut Cost,
) -> Result<Counts, QueryFault> {
    let texts = view.read(slice, rows, cost)?;
    let mut counts = Counts::new(bound);
    // Runs of one value, as sorted slices have them, cost one look-up.
    let mut run: Option<(&str, u64)> = None;
    for text in texts.iter() {
        match (text, &mut run) {
            (None, _) => counts.missing += 1,
            (Some(text), Some((value, count))) if text == *value => *count += 1,
            (Some(text), _) => {
                if let Some((value, count)) = run.replace((text, 1)) {
                    counts.add(value, count);
                }
            }
        }
    }
    if let Some((value, count)) = run {
        counts.add(value, count);
    }
    debug_assert_eq!(texts.len(), rows.count_set_bits());
    Ok(counts)
}

/// The most frequent, most first, then by value.
pub(super) fn top(counts: HashMap<String, u64>, limit: usize) -> Vec<(String, u64)> {
    let mut values: Vec<_> = counts.into_iter().collect();
    values.sort_unstable_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
    values.truncate(limit);
    values
}

fn fixed_name(kind: FixedKind) -> &'static str {
    match kind {
        FixedKind::Timestamp => "timestamp",
        FixedKind::Int => "int",
        FixedKind::Double => "double",
        FixedKind::Text => "text",
        FixedKind::Json => "json",
        FixedKind::TraceId | FixedKind::SpanId => "id",
    }
}

fn kind_name(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Bool => "bool",
        ValueKind::Int => "int",
        ValueKind::Double => "double",
        ValueKind::Text => "text",
        ValueKind::Json => "json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_the_bound_are_counted_together() {
        let mut counts = Counts::new(Bound { values: 2, bytes: 6 });
        for (value, count) in [("ab", 5), ("long value", 3), ("cd", 1), ("ef", 4), ("ab", 1)] {
            counts.add(value, count);
        }
        let mut sum = Counts::new(Bound { values: 1, bytes: 6 });
        sum.add("ab", 1);
        sum.merge(counts);
        assert_eq!((sum.values.get("ab"), sum.values.len(), sum.other), (Some(&7), 1, 8));
        let shares = [1, 4, 50].map(|fields| Bound::of_each(fields).values);
        assert_eq!(shares, [100_000, 100_000, 8000]);
    }
}
