use std::collections::BTreeMap;

use model::{Value, record};
use proptest::prelude::*;
use serde_json::Value as Json;

use super::testing::{Attrs, Cell, Row, attrs, records, rows};
use super::*;

/// What a row has under each key.
type Flat = BTreeMap<(Scope, String), Json>;

/// Read by the reader that reads the overflow, so that both lose the same digits.
fn read(json: &str) -> Json {
    serde_json::from_str(json).expect("JSON")
}

fn flat_model(scope: Scope, attrs: &Attrs, flat: &mut Flat) {
    for (key, cell) in attrs {
        let json = match cell {
            Cell::Null => continue,
            Cell::Bool(value) => (*value).into(),
            Cell::Int(value) => (*value).into(),
            Cell::Double(value) => read(&overflow::json_double(*value)),
            Cell::Text(text) => text.as_str().into(),
            Cell::Json(text) => serde_json::from_str(text).unwrap_or(text.as_str().into()),
        };
        flat.entry((scope, key.clone())).or_insert(json);
    }
}

fn flat_chunk(chunk: &Chunk, row: usize) -> Flat {
    let mut flat = Flat::new();
    for column in chunk.attrs.iter().filter(|column| column.values.is_valid(row)) {
        let before = flat.insert((column.scope, column.key.to_string()), read(&json_value(column, row)));
        assert!(before.is_none(), "{:?} has two values", column.key);
    }
    let overflow = chunk.overflow.as_ref().filter(|o| o.is_valid(row)).map(|o| o.value(row));
    let overflow = overflow.map_or(Json::Null, read);
    for (name, scope) in [("attributes", Scope::Record), ("resource", Scope::Resource)] {
        for (key, value) in overflow[name].as_object().into_iter().flatten() {
            assert!(flat.insert((scope, key.clone()), value.clone()).is_none(), "{key:?} has two values");
        }
    }
    flat
}

fn check(chunk: &Chunk, resources: &[Attrs], rows: &[Row]) {
    assert_eq!(chunk.rows, rows.len());
    assert!(chunk.attrs.len() <= ATTR_COLUMNS_MAX);
    assert_eq!(chunk.fixed.len(), 7);
    let times = chunk.fixed[0].as_primitive::<Int64Type>();
    let bodies = chunk.fixed[record::log::BODY].as_string_view();
    let ids = chunk.fixed[record::log::TRACE_ID].as_fixed_size_binary();
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(times.value(i), row.t_ns);
        assert_eq!(bodies.is_valid(i).then(|| bodies.value(i)), row.body.as_deref());
        assert_eq!(ids.is_valid(i).then(|| ids.value(i)), row.trace_id.as_ref().map(|id| &id[..]));
        let mut want = Flat::new();
        flat_model(Scope::Record, &row.attrs, &mut want);
        if let Some(resource) = resources.get(row.resource) {
            flat_model(Scope::Resource, resource, &mut want);
        }
        assert_eq!(flat_chunk(chunk, i), want, "row {i}");
    }
    let times = || rows.iter().map(|row| row.t_ns);
    assert_eq!(chunk.min_t_ns, times().min().unwrap_or(i64::MAX));
    assert_eq!(chunk.max_t_ns, times().max().unwrap_or(i64::MIN));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn columns_hold_what_the_rows_have(
        resources in prop::collection::vec(attrs(6, 8), 0..4),
        rows in rows(8, 12),
    ) {
        check(&Chunk::from_records(&records(&resources, &rows)), &resources, &rows);
    }

    #[test]
    fn rare_keys_overflow(
        resources in prop::collection::vec(attrs(400, 80), 1..3),
        rows in rows(400, 80),
    ) {
        check(&Chunk::from_records(&records(&resources, &rows)), &resources, &rows);
    }

    #[test]
    fn joined_chunks_hold_the_rows_of_all(
        resources in prop::collection::vec(attrs(150, 60), 1..3),
        parts in prop::collection::vec(rows(150, 60), 0..4),
    ) {
        let chunks: Vec<Chunk> =
            parts.iter().map(|rows| Chunk::from_records(&records(&resources, rows))).collect();
        let chunks: Vec<&Chunk> = chunks.iter().collect();
        let joined = Chunk::concat(Signal::Logs, &chunks);
        check(&joined, &resources, &parts.concat());
    }
}

#[test]
fn a_small_chunk_is_small() {
    let resources = [vec![("service.name".to_owned(), Cell::Text("checkout-service".into()))]];
    let attrs = (0..10).map(|i| (format!("key{i}"), Cell::Text(format!("a value of key {i}")))).collect();
    let row = Row { t_ns: 1, body: Some("one message".into()), trace_id: None, attrs, resource: 0 };
    let bytes = Chunk::from_records(&records(&resources, &[row])).bytes();
    assert!(bytes < 10_000, "{bytes}");
}

#[test]
fn equal_texts_are_kept_once() {
    let text = "a text that is longer than a view";
    let row = |i: i64| Row {
        t_ns: i,
        body: None,
        trace_id: None,
        attrs: vec![("k".into(), Cell::Text(text.into()))],
        resource: 0,
    };
    let rows: Vec<Row> = (0..1000).map(row).collect();
    let chunk = Chunk::from_records(&records(&[Vec::new()], &rows));
    let texts = chunk.attrs[0].values.as_string_view();
    assert_eq!(texts.data_buffers().iter().map(|buffer| buffer.len()).sum::<usize>(), text.len());
}

#[test]
fn ids_of_another_length_are_none() {
    let mut records = records(&[], &[]);
    let mut fields = [Value::Null; 7];
    fields[record::log::TRACE_ID] = Value::Bytes(records.push_text([1; 15]));
    fields[record::log::SPAN_ID] = Value::Bytes(records.push_text([1; 8]));
    records.push_row(0, 9, 0, &fields);
    let chunk = Chunk::from_records(&records);
    assert!(chunk.fixed[record::log::TRACE_ID].is_null(0) && chunk.fixed[record::log::SPAN_ID].is_valid(0));
    assert_eq!(chunk.fixed[0].as_primitive::<Int64Type>().values(), &[0]);
}
