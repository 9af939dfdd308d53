//! Decoded rows for tests, drawn at random or written as they read.

use model::{Attr, Records, Signal, Value, record};
use proptest::prelude::*;

use super::Chunk;

/// A value as a test writes it.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Json(String),
}

pub(crate) type Attrs = Vec<(String, Cell)>;

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) t_ns: i64,
    pub(crate) body: Option<String>,
    pub(crate) trace_id: Option<[u8; 16]>,
    pub(crate) attrs: Attrs,
    pub(crate) resource: usize,
}

fn value(records: &mut Records, cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(value) => Value::Bool(*value),
        Cell::Int(value) => Value::Int(*value),
        Cell::Double(value) => Value::Double(*value),
        Cell::Text(text) => Value::Text(records.push_text(text)),
        Cell::Json(text) => Value::Json(records.push_text(text)),
    }
}

pub(crate) fn records(resources: &[Attrs], rows: &[Row]) -> Records {
    let mut records = Records::new(Signal::Logs);
    let push = |records: &mut Records, attrs: &Attrs| {
        let first = records.attrs.len() as u32;
        for (key, cell) in attrs {
            let value = value(records, cell);
            let key = records.push_text(key);
            records.attrs.push(Attr { key, value });
        }
        first
    };
    for attrs in resources {
        let first = push(&mut records, attrs);
        records.end_resource(first);
    }
    for (i, row) in rows.iter().enumerate() {
        let mut fields = [Value::Null; 7];
        fields[record::log::TIMESTAMP] = Value::Int(row.t_ns);
        if let Some(body) = &row.body {
            fields[record::log::BODY] = Value::Text(records.push_text(body));
        }
        if let Some(id) = &row.trace_id {
            fields[record::log::TRACE_ID] = Value::Bytes(records.push_text(id));
        }
        let first = push(&mut records, &row.attrs);
        records.push_row(i as u32, row.resource as u32, first, &fields);
    }
    records
}

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        1 => Just(Cell::Null),
        1 => any::<bool>().prop_map(Cell::Bool),
        2 => any::<i64>().prop_map(Cell::Int),
        2 => any::<f64>().prop_map(Cell::Double),
        4 => "[a-cäß日\"{}\\\\]{0,20}".prop_map(Cell::Text),
        1 => Just(Cell::Json(r#"{"a":[1,"x"]}"#.into())),
        1 => Just(Cell::Json("[not json".into())),
    ]
}

pub(crate) fn attrs(keys: usize, most: usize) -> impl Strategy<Value = Attrs> {
    prop::collection::vec(((0..keys).prop_map(|key| format!("k\"é{{y.{key}")), cell()), 0..most)
}

pub(crate) fn rows(keys: usize, most: usize) -> impl Strategy<Value = Vec<Row>> {
    let row = (any::<i64>(), prop::option::of("\\PC{0,40}"), prop::option::of(any::<[u8; 16]>()));
    let row = (row, attrs(keys, most), 0..4usize);
    let row = row.prop_map(|((t_ns, body, trace_id), attrs, resource)| Row {
        t_ns,
        body,
        trace_id,
        attrs,
        resource,
    });
    prop::collection::vec(row, 0..20)
}

/// Decoded rows of logs with up to `most` of `keys` attributes.
pub(crate) fn decoded(keys: usize, most: usize) -> impl Strategy<Value = Records> {
    let resources = prop::collection::vec(attrs(keys, most), 0..3);
    (resources, rows(keys, most)).prop_map(|(resources, rows)| records(&resources, &rows))
}

/// Compares chunks column by column.
pub(crate) fn assert_equal(got: &Chunk, want: &Chunk) {
    assert_eq!((got.signal, got.rows), (want.signal, want.rows));
    assert_eq!((got.min_t_ns, got.max_t_ns), (want.min_t_ns, want.max_t_ns));
    assert_eq!(got.fixed.len(), want.fixed.len());
    for (got, want) in got.fixed.iter().zip(&want.fixed) {
        assert_eq!(got, want);
    }
    assert_eq!(got.attrs.len(), want.attrs.len());
    for (got, want) in got.attrs.iter().zip(&want.attrs) {
        assert_eq!((got.scope, &got.key, got.kind), (want.scope, &want.key, want.kind));
        assert_eq!(&got.values, &want.values);
    }
    assert_eq!(got.overflow, want.overflow);
}
