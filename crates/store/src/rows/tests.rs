//! Slices against a naive evaluation of the rows they were made of.

pub(super) mod oracle; // rows and predicates evaluated the plain way
pub(super) mod strategies; // arbitrary rows and predicates

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::BooleanBuffer;
use model::record::log;
use model::{Field, Order, Predicate, Scalar, Signal, Test, TextMatch};
use proptest::prelude::*;

use super::*;
use oracle::{Row, rows_of};

/// What a slice says of its rows, in its order: time, and the attributes as JSON.
pub(super) fn shown(slice: &Slice, rows: &BooleanBuffer) -> Vec<(i64, String, String, String)> {
    let columns = [
        Column::Field(Field::Fixed(0)),
        Column::FieldAs(Field::Fixed(log::BODY as u8), ValueKind::Text),
        Column::Attributes,
        Column::ResourceAttributes,
    ];
    let arrays = slice.read(&columns, rows, &mut Cost::default()).expect("read");
    let text = |array: &ArrayRef, row: usize| {
        let array = array.as_string_view();
        if array.is_null(row) { "null".to_owned() } else { array.value(row).to_owned() }
    };
    let times = arrays[0].as_primitive::<arrow_array::types::Int64Type>();
    let row = |row| (times.value(row), text(&arrays[1], row), text(&arrays[2], row), text(&arrays[3], row));
    (0..times.len()).map(row).collect()
}

fn select(slice: &Slice, predicate: &Predicate, range: (i64, i64)) -> Vec<usize> {
    let filter = Filter::new(slice.signal(), predicate, range.0, range.1).expect("valid");
    slice.select(&filter, &mut Cost::default()).expect("selected").set_indices().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_slice_selects_the_rows_that_the_predicate_names(
        rows in strategies::rows(0..40),
        predicate in strategies::predicate(),
        range in strategies::range(),
    ) {
        let slice = Slice::of_records(&oracle::records_of(&rows));
        let want: Vec<usize> = (0..rows.len())
            .filter(|at| oracle::accepts(&predicate, &rows[*at]) && oracle::is_inside(range, &rows[*at]))
            .collect();
        prop_assert_eq!(select(&slice, &predicate, range), want);
    }

    #[test]
    fn deleted_rows_are_never_selected(
        rows in strategies::rows(0..40),
        deleted in strategies::predicate(),
        range in strategies::range(),
    ) {
        let records = oracle::records_of(&rows);
        let hidden = Arc::new(Filter::new(Signal::Logs, &deleted, range.0, range.1).expect("valid"));
        let slice = Slice::of_chunk(Arc::new(Chunk::from_records(&records)), Arc::from([hidden]));
        let want: Vec<usize> = (0..rows.len())
            .filter(|at| !(oracle::accepts(&deleted, &rows[*at]) && oracle::is_inside(range, &rows[*at])))
            .collect();
        prop_assert_eq!(select(&slice, &Predicate::TRUE, (i64::MIN, i64::MAX)), want);
    }

    #[test]
    fn selected_rows_are_read_as_they_were_written(
        rows in strategies::rows(0..40),
        picks in prop::collection::vec(any::<bool>(), 40),
    ) {
        let slice = Slice::of_records(&oracle::records_of(&rows));
        let bits = BooleanBuffer::from(&picks[..rows.len()]);
        let want: Vec<_> = rows.iter().zip(&picks).filter(|(_, pick)| **pick).map(|(row, _)| row.shown()).collect();
        prop_assert_eq!(shown(&slice, &bits), want);
    }

    #[test]
    fn fields_are_read_in_the_kind_that_is_asked_for(
        rows in strategies::rows(0..30),
        field in strategies::field(),
        kind in prop::sample::select(&ValueKind::ALL[..]),
    ) {
        let slice = Slice::of_records(&oracle::records_of(&rows));
        let all = BooleanBuffer::new_set(rows.len());
        let columns = [Column::FieldAs(field.clone(), kind)];
        let arrays = slice.read(&columns, &all, &mut Cost::default()).expect("read");
        let values = eval::Values::new(&arrays[0], kind).expect("a column's type");
        for (at, row) in rows.iter().enumerate() {
            let want = row.get(&field).and_then(|value| oracle::as_kind(&value, kind));
            prop_assert_eq!(values.get(at), want, "row {}", at);
        }
    }
}

fn check(rows: &[Row], field: &Field, test: Test, want: &[usize]) {
    let slice = Slice::of_records(&oracle::records_of(rows));
    assert_eq!(
        select(&slice, &Predicate::Test(field.clone(), test.clone()), (0, i64::MAX)),
        want,
        "{test:?}"
    );
}

#[test]
fn a_key_in_the_row_hides_that_of_its_resource() {
    let rows = rows_of(&[
        r#"{"t":1,"attributes":{"k":"a"},"resource":{"k":"b"}}"#,
        r#"{"t":2,"attributes":{},"resource":{"k":"b"}}"#,
        r#"{"t":3,"attributes":{"k":7}}"#,
    ]);
    let equal = |text: &str| Test::Compare(Order::Equal, Scalar::Text(text.into()));
    check(&rows, &Field::Key("k".into()), equal("b"), &[1]);
    check(&rows, &Field::Resource("k".into()), equal("b"), &[0, 1]);
    check(&rows, &Field::Record("k".into()), equal("b"), &[]);
    check(&rows, &Field::Key("k".into()), equal("7"), &[2]);
    check(&rows, &Field::Key("k".into()), Test::Compare(Order::GreaterOrEqual, Scalar::Double(6.5)), &[2]);
    check(&rows, &Field::Key("k".into()), Test::Exists, &[0, 1, 2]);
}

#[test]
fn a_test_of_a_missing_field_is_false_and_its_negation_true() {
    let rows = rows_of(&[r#"{"t":1,"attributes":{"a":"x"}}"#, r#"{"t":2}"#]);
    let test = |text: &str| {
        let text = Test::Text { how: TextMatch::Contains, text: text.into(), ignore_case: true };
        Predicate::Test(Field::Key("a".into()), text)
    };
    let slice = Slice::of_records(&oracle::records_of(&rows));
    assert_eq!(select(&slice, &test("y"), (0, 10)), [0usize; 0]);
    assert_eq!(select(&slice, &Predicate::Not(Box::new(test("y"))), (0, 10)), [0, 1]);
    assert_eq!(select(&slice, &Predicate::Not(Box::new(test("X"))), (0, 10)), [1]);
}

#[test]
fn predicates_beyond_the_limits_are_refused() {
    let mut deep = Predicate::TRUE;
    for _ in 0..100 {
        deep = Predicate::Not(Box::new(deep));
    }
    let wide = Predicate::Any(vec![Predicate::Test(Field::Fixed(0), Test::Exists); 5000]);
    let unknown = Predicate::Test(Field::Fixed(7), Test::Exists);
    for (predicate, word) in [(deep, "nested"), (wide, "tests"), (unknown, "column 7")] {
        let error = Filter::new(Signal::Logs, &predicate, 0, 1).expect_err("refused");
        assert!(error.to_string().contains(word), "{error}");
    }
}
