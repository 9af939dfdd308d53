//! Decoded rows become columns.
//!
//! Two passes over the attributes: the first finds the key of each and counts, the second fills the columns of
//! the most frequent keys and writes the rest as JSON. Rows of one sender mostly have the same keys in the same
//! order, so an attribute is first compared with the one at its position in the row before; only where that
//! fails its key is hashed.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int64Builder, StringViewBuilder,
};
use arrow_array::{ArrayRef, StringViewArray};
use hashbrown::HashMap;
use model::record::columns;
use model::{Attr, FixedKind, Records, Span, Value};

use super::chunk::{
    ATTR_COLUMNS_MAX, AttrColumn, Chunk, Scope, ValueKind, shared_text_builder, text_builder,
};
use super::overflow::{Overflow, json_double, json_string, json_text};

/// Texts of fixed columns longer than this on average are rarely the same twice.
const SHARED_AVERAGE_MAX: usize = 64;

/// Stands for an attribute that does not count: a null, or a key that came before in the row.
const NONE: u32 = u32::MAX;

/// Builds the columns of some rows, in this order.
pub(super) fn columns_of(records: &Records, rows: &[u32]) -> Chunk {
    let width = columns(records.signal).len();
    let fixed = (0..width).map(|column| fixed_column(records, rows, column)).collect();
    let mut plan = Plan::new(records, rows);
    plan.survey();
    let places = plan.places();
    let mut attrs: Vec<Building> = places.iter().map(|at| plan.building(*at, rows.len())).collect();
    for (place, at) in places.iter().enumerate() {
        plan.candidates[*at as usize].place = Some(place);
    }
    plan.fill(&mut attrs);
    let overflow = (plan.candidates.len() > places.len()).then(|| plan.overflow());
    let attrs = attrs.into_iter().map(|column| column.finish(rows.len())).collect();
    Chunk::with_times(records.signal, rows.len(), fixed, attrs, overflow)
}

fn text(records: &Records, span: Span) -> Cow<'_, str> {
    String::from_utf8_lossy(span.of(&records.text))
}

fn fixed_column(records: &Records, rows: &[u32], column: usize) -> ArrayRef {
    let values = rows.iter().map(|row| records.fields_of(*row as usize)[column]);
    match columns(records.signal)[column].kind {
        FixedKind::Timestamp | FixedKind::Int => {
            let mut out = Int64Builder::with_capacity(rows.len());
            for value in values {
                match value {
                    Value::Int(n) => out.append_value(n),
                    // Every row has a time; only a decoder's mistake could leave it out.
                    _ if column == 0 => out.append_value(0),
                    _ => out.append_null(),
                }
            }
            Arc::new(out.finish())
        }
        FixedKind::Double => {
            let mut out = Float64Builder::with_capacity(rows.len());
            for value in values {
                match value {
                    Value::Double(n) => out.append_value(n),
                    Value::Int(n) => out.append_value(n as f64),
                    _ => out.append_null(),
                }
            }
            Arc::new(out.finish())
        }
        FixedKind::Text | FixedKind::Json => {
            let long = |value: Value| match value {
                Value::Text(span) | Value::Json(span) if span.len > 12 => span.len as usize,
                _ => 0,
            };
            let bytes: usize = values.clone().map(long).sum();
            let is_shared = bytes <= SHARED_AVERAGE_MAX * rows.len();
            let builder = if is_shared { shared_text_builder } else { text_builder };
            let mut out = builder(rows.len(), bytes);
            for value in values {
                match value {
                    Value::Text(span) | Value::Json(span) => out.append_value(text(records, span)),
                    _ => out.append_null(),
                }
            }
            Arc::new(out.finish())
        }
        FixedKind::TraceId => ids(records, values, rows.len(), 16),
        FixedKind::SpanId => ids(records, values, rows.len(), 8),
    }
}

fn ids(records: &Records, values: impl Iterator<Item = Value>, rows: usize, width: i32) -> ArrayRef {
    let mut out = FixedSizeBinaryBuilder::with_capacity(rows, width);
    for value in values {
        let id = match value {
            Value::Bytes(span) => span.of(&records.text),
            _ => &[],
        };
        // An identifier of another length is none.
        if out.append_value(id).is_err() {
            out.append_null();
        }
    }
    Arc::new(out.finish())
}

/// A key of one scope.
struct Key {
    scope: Scope,
    name: Span,
    /// The last row or resource that had it, plus one.
    seen: usize,
    /// Its candidates by kind.
    candidates: [u32; ValueKind::ALL.len()],
}

/// What may become a column.
struct Candidate {
    key: u32,
    kind: ValueKind,
    /// Rows that have it.
    count: usize,
    /// Bytes of its texts.
    bytes: usize,
    place: Option<usize>,
}

struct Plan<'a> {
    records: &'a Records,
    rows: &'a [u32],
    by_name: HashMap<(Scope, &'a [u8]), u32>,
    keys: Vec<Key>,
    candidates: Vec<Candidate>,
    /// The candidates of the rows' attributes, one row after the other.
    of_rows: Vec<u32>,
    /// The candidates of each resource that a row has: those that count, with their values.
    of_resources: HashMap<u32, Vec<(u32, Value)>>,
}

impl<'a> Plan<'a> {
    fn new(records: &'a Records, rows: &'a [u32]) -> Self {
        Self {
            records,
            rows,
            by_name: HashMap::new(),
            keys: Vec::new(),
            candidates: Vec::new(),
            of_rows: Vec::new(),
            of_resources: HashMap::new(),
        }
    }

    /// Finds the candidate of every attribute, and counts.
    fn survey(&mut self) {
        let records = self.records;
        let mut memo: Vec<u32> = Vec::new();
        for (at, row) in self.rows.iter().enumerate() {
            for (position, attr) in records.attrs_of(*row as usize).iter().enumerate() {
                let candidate = self.meet(Scope::Record, attr, position, at + 1, &mut memo);
                self.count(candidate, attr.value, 1);
                self.of_rows.push(candidate);
            }
        }
        let mut memo: Vec<u32> = Vec::new();
        for run in self.runs() {
            let row = self.rows[run.start] as usize;
            let resource = records.rows[row].resource;
            if !self.of_resources.contains_key(&resource) {
                let seen = self.of_resources.len() + 1;
                let mut found = Vec::new();
                for (position, attr) in records.resource_of(row).iter().enumerate() {
                    let candidate = self.meet(Scope::Resource, attr, position, seen, &mut memo);
                    if candidate != NONE {
                        found.push((candidate, attr.value));
                    }
                }
                self.of_resources.insert(resource, found);
            }
            let found = std::mem::take(self.of_resources.entry(resource).or_default());
            found.iter().for_each(|(candidate, value)| self.count(*candidate, *value, run.len()));
            self.of_resources.insert(resource, found);
        }
    }

    /// Positions after each other whose rows have the same resource.
    fn runs(&self) -> impl Iterator<Item = Range<usize>> + use<'a> {
        let (records, rows, mut at) = (self.records, self.rows, 0);
        let resource = |row: &u32| records.rows[*row as usize].resource;
        std::iter::from_fn(move || {
            let start = at;
            let first = resource(rows.get(start)?);
            at += rows[start..].iter().take_while(|row| resource(row) == first).count();
            Some(start..at)
        })
    }

    /// The candidate of an attribute of the row or resource with the number `seen`.
    fn meet(&mut self, scope: Scope, attr: &Attr, position: usize, seen: usize, memo: &mut Vec<u32>) -> u32 {
        let Some(kind) = kind_of(attr.value) else { return NONE };
        let text = &self.records.text;
        let name = attr.key.of(text);
        let remembered = memo.get(position).copied().filter(|key| *key != NONE);
        let key = match remembered.filter(|key| self.keys[*key as usize].name.of(text) == name) {
            Some(key) => key,
            None => {
                let key = *self.by_name.entry((scope, name)).or_insert_with(|| {
                    self.keys.push(Key { scope, name: attr.key, seen: 0, candidates: [NONE; 5] });
                    self.keys.len() as u32 - 1
                });
                if memo.len() <= position {
                    memo.resize(position + 1, NONE);
                }
                memo[position] = key;
                key
            }
        };
        let entry = &mut self.keys[key as usize];
        if std::mem::replace(&mut entry.seen, seen) == seen {
            return NONE;
        }
        let candidate = &mut entry.candidates[kind as usize];
        if *candidate == NONE {
            *candidate = self.candidates.len() as u32;
            self.candidates.push(Candidate { key, kind, count: 0, bytes: 0, place: None });
        }
        *candidate
    }

    fn count(&mut self, candidate: u32, value: Value, rows: usize) {
        if let Some(candidate) = self.candidates.get_mut(candidate as usize) {
            candidate.count += rows;
            if let Value::Text(span) | Value::Json(span) | Value::Bytes(span) = value
                && span.len > 12
            {
                candidate.bytes += span.len as usize;
            }
        }
    }

    /// The candidates that become columns, the most frequent first.
    fn places(&self) -> Vec<u32> {
        let mut places: Vec<u32> = (0..self.candidates.len() as u32).collect();
        places.sort_by_key(|at| Reverse(self.candidates[*at as usize].count));
        places.truncate(ATTR_COLUMNS_MAX);
        places
    }

    fn building(&self, candidate: u32, rows: usize) -> Building {
        let Candidate { key, kind, bytes, .. } = self.candidates[candidate as usize];
        let Key { scope, name, .. } = self.keys[key as usize];
        let values = match kind {
            ValueKind::Bool => Values::Bool(BooleanBuilder::with_capacity(rows)),
            ValueKind::Int => Values::Int(Int64Builder::with_capacity(rows)),
            ValueKind::Double => Values::Double(Float64Builder::with_capacity(rows)),
            ValueKind::Text | ValueKind::Json => Values::Text(shared_text_builder(rows, bytes)),
        };
        Building { scope, key: text(self.records, name).into(), kind, len: 0, values }
    }

    /// The rows' attributes with their candidates.
    fn row_attrs(&self) -> impl Iterator<Item = (usize, &[Attr], &[u32])> {
        let mut rest = self.of_rows.as_slice();
        self.rows.iter().enumerate().map(move |(at, row)| {
            let attrs = self.records.attrs_of(*row as usize);
            let (candidates, after) = rest.split_at(attrs.len());
            rest = after;
            (at, attrs, candidates)
        })
    }

    fn fill(&self, columns: &mut [Building]) {
        let place = |candidate: u32| self.candidates.get(candidate as usize)?.place;
        for (at, attrs, candidates) in self.row_attrs() {
            for (attr, candidate) in attrs.iter().zip(candidates) {
                if let Some(place) = place(*candidate) {
                    columns[place].push(self.records, at, attr.value, 1);
                }
            }
        }
        for run in self.runs() {
            let row = self.rows[run.start] as usize;
            for (candidate, value) in &self.of_resources[&self.records.rows[row].resource] {
                if let Some(place) = place(*candidate) {
                    columns[place].push(self.records, run.start, *value, run.len());
                }
            }
        }
    }

    /// What did not get a column, as JSON.
    fn overflow(&self) -> StringViewArray {
        let is_rest =
            |candidate: u32| self.candidates.get(candidate as usize).is_some_and(|c| c.place.is_none());
        let name = |candidate: u32| {
            let key = self.candidates[candidate as usize].key;
            text(self.records, self.keys[key as usize].name)
        };
        let mut of_resource: Option<(u32, Overflow)> = None;
        let mut out = text_builder(self.rows.len(), 1 << 16).with_deduplicate_strings();
        for (at, attrs, candidates) in self.row_attrs() {
            let resource = self.records.rows[self.rows[at] as usize].resource;
            let (_, of_resource) = match &of_resource {
                Some(known) if known.0 == resource => known,
                _ => {
                    let mut object = Overflow::default();
                    for (candidate, value) in &self.of_resources[&resource] {
                        if is_rest(*candidate) {
                            object.put(Scope::Resource, &name(*candidate), &json(self.records, *value));
                        }
                    }
                    of_resource.insert((resource, object))
                }
            };
            let mut rest =
                attrs.iter().zip(candidates).filter(|(_, candidate)| is_rest(**candidate)).peekable();
            if rest.peek().is_none() {
                out.append_option(of_resource.text());
                continue;
            }
            let mut object = of_resource.clone();
            for (attr, candidate) in rest {
                object.put(Scope::Record, &name(*candidate), &json(self.records, attr.value));
            }
            out.append_option(object.text());
        }
        out.finish()
    }
}

fn kind_of(value: Value) -> Option<ValueKind> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(ValueKind::Bool),
        Value::Int(_) => Some(ValueKind::Int),
        Value::Double(_) => Some(ValueKind::Double),
        Value::Text(_) | Value::Bytes(_) => Some(ValueKind::Text),
        Value::Json(_) => Some(ValueKind::Json),
    }
}

enum Values {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
    Text(StringViewBuilder),
}

/// A column that grows.
struct Building {
    scope: Scope,
    key: Arc<str>,
    kind: ValueKind,
    len: usize,
    values: Values,
}

impl Building {
    /// Adds a value for `count` rows from row `at` on. Rows ascend.
    fn push(&mut self, records: &Records, at: usize, value: Value, count: usize) {
        self.pad(at);
        match (&mut self.values, value) {
            (Values::Bool(out), Value::Bool(value)) => out.append_n(count, value),
            (Values::Int(out), Value::Int(value)) => out.append_value_n(value, count),
            (Values::Double(out), Value::Double(value)) => out.append_value_n(value, count),
            (Values::Text(out), Value::Text(span) | Value::Json(span) | Value::Bytes(span)) => {
                let text = text(records, span);
                out.try_append_value_n(text, count).expect("a request's text is far below 4 GiB");
            }
            _ => return,
        }
        self.len += count;
    }

    fn pad(&mut self, len: usize) {
        let missing = len.saturating_sub(self.len);
        match &mut self.values {
            Values::Bool(out) => out.append_nulls(missing),
            Values::Int(out) => out.append_nulls(missing),
            Values::Double(out) => out.append_nulls(missing),
            Values::Text(out) => (0..missing).for_each(|_| out.append_null()),
        }
        self.len += missing;
    }

    fn finish(mut self, rows: usize) -> AttrColumn {
        self.pad(rows);
        let values: ArrayRef = match &mut self.values {
            Values::Bool(out) => Arc::new(out.finish()),
            Values::Int(out) => Arc::new(out.finish()),
            Values::Double(out) => Arc::new(out.finish()),
            Values::Text(out) => Arc::new(out.finish()),
        };
        AttrColumn { scope: self.scope, key: self.key, kind: self.kind, values }
    }
}

fn json(records: &Records, value: Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Double(value) => json_double(value),
        Value::Text(span) | Value::Bytes(span) => json_string(&text(records, span)),
        Value::Json(span) => json_text(&text(records, span)),
    }
}
