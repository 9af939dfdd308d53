//! Segments against a naive evaluation of the rows that were written.

use arrow_buffer::BooleanBuffer;
use model::record::log;
use model::{Field, Order, Predicate, Scalar, Signal, TenantId, Test, TextMatch};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use proptest::prelude::*;

use super::*;
use crate::disk::Disk;
use crate::disk::memory::MemoryDisk;
use crate::rows::tests::oracle::{self, Attr, Row};
use crate::rows::tests::{shown, strategies};
use crate::rows::{Chunk, Column, Cost, Filter, ValueKind};
use crate::segment::{SegmentId, SegmentMeta, SegmentSpec, TableCache};
use std::sync::Arc;

pub(super) fn spec(id: u64, level: u8) -> SegmentSpec {
    SegmentSpec {
        id: SegmentId(id),
        tenant: TenantId::new("t").expect("tenant"),
        signal: Signal::Logs,
        day: 20_000,
        level,
        min_seq: id * 10,
        max_seq: id * 10 + 9,
        created_ms: 1,
        tombstones_applied: 0,
    }
}

pub(super) fn open(disk: &MemoryDisk, meta: SegmentMeta) -> Arc<RowSegment> {
    let cache = Arc::new(TableCache::new(1 << 20));
    Arc::new(RowSegment::open(Arc::new(disk.clone()), meta, cache))
}

/// Rows as a segment, in chunks of `chunk_rows`.
pub(super) fn written(
    disk: &MemoryDisk,
    spec: &SegmentSpec,
    rows: &[Row],
    chunk_rows: usize,
) -> Arc<RowSegment> {
    let chunks = rows.chunks(chunk_rows).map(|rows| Arc::new(Chunk::from_records(&oracle::records_of(rows))));
    let meta = write_rows(disk, spec, &chunks.collect::<Vec<_>>()).expect("written").expect("has rows");
    assert_eq!(meta.samples, rows.len() as u64);
    open(disk, meta)
}

pub(super) type Shown = (i64, String, String, String);

/// All rows that a predicate accepts, sorted.
pub(super) fn found(
    segment: &Arc<RowSegment>,
    predicate: &Predicate,
    range: (i64, i64),
    cost: &mut Cost,
) -> Vec<Shown> {
    let filter = Filter::new(Signal::Logs, predicate, range.0, range.1).expect("valid");
    let mut all = Vec::new();
    for slice in segment.slices(range.0, range.1, &Arc::default()).expect("slices") {
        let rows = slice.select(&filter, cost).expect("selected");
        all.extend(shown(&slice, &rows));
    }
    all.sort();
    all
}

pub(super) fn wanted(rows: &[Row], predicate: &Predicate, range: (i64, i64)) -> Vec<Shown> {
    let hits = rows.iter().filter(|row| oracle::is_inside(range, row) && oracle::accepts(predicate, row));
    let mut all: Vec<Shown> = hits.map(Row::shown).collect();
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_segment_selects_the_rows_that_the_predicate_names(
        rows in strategies::rows(1..50),
        chunk_rows in 1usize..50,
        predicates in prop::collection::vec((strategies::predicate(), strategies::range()), 6),
    ) {
        let disk = MemoryDisk::new();
        let segment = written(&disk, &spec(1, 0), &rows, chunk_rows);
        for (predicate, range) in predicates {
            let found = found(&segment, &predicate, range, &mut Cost::default());
            prop_assert_eq!(found, wanted(&rows, &predicate, range), "{:?} in {:?}", predicate, range);
        }
    }

    #[test]
    fn fields_of_a_segment_are_read_in_the_kind_that_is_asked_for(
        rows in strategies::rows(1..30),
        field in strategies::field(),
        kind in prop::sample::select(&ValueKind::ALL[..]),
    ) {
        let disk = MemoryDisk::new();
        // Without a service name, rows are in the order of time.
        let mut rows = rows;
        for (at, row) in rows.iter_mut().enumerate() {
            row.resource.remove("service.name");
            row.t_ns = at as i64;
        }
        let segment = written(&disk, &spec(1, 0), &rows, 7);
        let slices = segment.slices(i64::MIN, i64::MAX, &Arc::default()).expect("slices");
        let columns = [Column::FieldAs(field.clone(), kind)];
        let all = BooleanBuffer::new_set(rows.len());
        let arrays = slices[0].read(&columns, &all, &mut Cost::default()).expect("read");
        let values = crate::rows::eval::Values::new(&arrays[0], kind).expect("a column's type");
        for (at, row) in rows.iter().enumerate() {
            let want = row.get(&field).and_then(|value| oracle::as_kind(&value, kind));
            // Where integers and doubles meet in a column, all are doubles; texts and numbers stay the same.
            prop_assert_eq!(values.get(at), want, "row {}", at);
        }
    }
}

/// Rows of 30 services over 20 slices of time, each with a trace of its own, one of them special.
pub(super) fn many(count: usize, special: usize) -> Vec<Row> {
    let row = |at: usize| Row {
        t_ns: at as i64 * 1000,
        severity: Some(if at.is_multiple_of(50) { 17 } else { 9 }),
        body: Some(match at == special {
            true => "the quick brown fox jumped".into(),
            false => format!("request {} served in {} ms", at % 97, at % 13),
        }),
        trace_id: Some(trace_id(at)),
        attributes: [
            ("http.status_code".to_owned(), Attr::Int(200 + (at % 3) as i64)),
            ("user".to_owned(), Attr::Text(format!("user-{}", at % 5000))),
        ]
        .into(),
        resource: [("service.name".to_owned(), Attr::Text(format!("service-{}", at % 30)))].into(),
    };
    (0..count).map(row).collect()
}

fn trace_id(at: usize) -> [u8; 16] {
    xxhash_rust::xxh3::xxh3_128(&at.to_le_bytes()).to_le_bytes()
}

#[test]
fn rare_words_and_trace_ids_touch_few_blocks() {
    let (count, special) = (150_000, 77_777);
    let rows = many(count, special);
    let disk = MemoryDisk::new();
    let segment = written(&disk, &spec(1, 0), &rows, 10_000);
    let all = (i64::MIN, i64::MAX);
    assert_eq!(segment.slices(all.0, all.1, &Arc::default()).expect("slices").len(), 3);
    let phrase = Test::Text { how: TextMatch::Phrase, text: "Brown Fox".into(), ignore_case: true };
    let tests = [
        (Field::Fixed(log::BODY as u8), phrase),
        (
            Field::Fixed(log::TRACE_ID as u8),
            Test::Compare(Order::Equal, Scalar::Bytes(Arc::from(trace_id(special).as_slice()))),
        ),
    ];
    for (field, test) in tests {
        let mut cost = Cost::default();
        let found = found(&segment, &Predicate::Test(field, test), all, &mut cost);
        assert_eq!(found, [rows[special].shown()]);
        assert_eq!((cost.slices, cost.blocks), (3, 1), "{cost:?}");
    }
    let absent = Predicate::Test(Field::Key("no.such.key".into()), Test::Exists);
    let mut cost = Cost::default();
    assert_eq!(found(&segment, &absent, all, &mut cost), []);
    assert_eq!((cost.blocks, cost.rows), (0, 0));
}

#[test]
fn numbers_outside_a_slices_range_touch_no_block() {
    let disk = MemoryDisk::new();
    let rows = many(5000, 3);
    let segment = written(&disk, &spec(1, 0), &rows, 1000);
    let status = Field::Key("http.status_code".into());
    for (field, order, wanted, is_touched) in [
        (status.clone(), Order::GreaterOrEqual, Scalar::Int(500), false),
        (status.clone(), Order::Greater, Scalar::Double(201.5), true),
        (status.clone(), Order::Equal, Scalar::Double(199.5), false),
        (status.clone(), Order::Less, Scalar::Int(200), false),
        (status.clone(), Order::LessOrEqual, Scalar::Int(200), true),
        (status, Order::GreaterOrEqual, Scalar::Text("500".into()), true),
        (Field::Fixed(log::SEVERITY_NUMBER as u8), Order::Greater, Scalar::Int(17), false),
        (Field::Key("user".into()), Order::Greater, Scalar::Int(1), true),
    ] {
        let predicate = Predicate::Test(field, Test::Compare(order, wanted));
        let (mut cost, all) = (Cost::default(), (i64::MIN, i64::MAX));
        assert_eq!(found(&segment, &predicate, all, &mut cost), wanted_rows(&rows, &predicate));
        assert_eq!(cost.blocks > 0, is_touched, "{predicate:?}");
    }
}

fn wanted_rows(rows: &[Row], predicate: &Predicate) -> Vec<Shown> {
    wanted(rows, predicate, (i64::MIN, i64::MAX))
}

#[test]
fn keys_of_slices_add_up_to_those_of_the_file() {
    let mut rows = many(70_000, 3);
    for (at, row) in rows.iter_mut().enumerate() {
        row.attributes = [(format!("key-{}", at % 300), Attr::Int(1))].into();
    }
    let segment = written(&MemoryDisk::new(), &spec(1, 0), &rows, 10_000);
    let slices = segment.slices(i64::MIN, i64::MAX, &Arc::default()).expect("slices");
    assert_eq!(slices.len(), 2);
    for key in 0..300 {
        let key = format!("key-{key}");
        let of_slices = slices.iter().flat_map(|slice| slice.keys().expect("keys"));
        let sum: u64 = of_slices.filter(|info| *info.key == *key).map(|info| info.count).sum();
        assert_eq!(sum, rows.iter().filter(|row| row.attributes.contains_key(&key)).count() as u64, "{key}");
    }
}

#[test]
fn pages_of_every_column_end_at_the_same_4096_rows() {
    let mut rows = many(70_000, 0);
    // A column whose texts come again at first and never later, and huge texts.
    for (at, row) in rows.iter_mut().enumerate() {
        let text = if at < 10_000 { "x".to_owned() } else { format!("{at:0300}") };
        row.attributes.insert("changes".into(), Attr::Text(text));
        if at == 60_001 {
            row.body = Some("y".repeat(3 << 20));
        }
    }
    let disk = MemoryDisk::new();
    let segment = written(&disk, &spec(1, 0), &rows, 8192);
    let file = disk.open(segment.paths()[0]).expect("file");
    let mut bytes = vec![0; file.len().expect("length") as usize];
    file.read_at(0, &mut bytes).expect("read");
    let metadata = ParquetMetaDataReader::new()
        .with_offset_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&bytes::Bytes::from(bytes))
        .expect("metadata");
    let index = metadata.offset_index().expect("offset index");
    for (group, columns) in metadata.row_groups().iter().zip(index.iter()) {
        for column in columns {
            let starts: Vec<i64> = column.page_locations().iter().map(|page| page.first_row_index).collect();
            let want: Vec<i64> = (0..group.num_rows()).step_by(4096).collect();
            assert_eq!(starts, want);
        }
    }
}

#[test]
fn a_thousand_keys_are_all_there() {
    let mut rows = many(300, 3);
    for (at, row) in rows.iter_mut().enumerate() {
        for key in 0..20 {
            row.attributes.insert(format!("key-{}", (at * 7 + key * 50) % 1000), Attr::Int(at as i64));
        }
    }
    let disk = MemoryDisk::new();
    let segment = written(&disk, &spec(1, 0), &rows, 40);
    let all = (i64::MIN, i64::MAX);
    assert_eq!(
        found(&segment, &Predicate::TRUE, all, &mut Cost::default()),
        wanted(&rows, &Predicate::TRUE, all)
    );
    for key in ["key-0", "key-999", "key-500"] {
        let predicate = Predicate::Test(Field::Key(key.into()), Test::Compare(Order::Less, Scalar::Int(150)));
        let found = found(&segment, &predicate, all, &mut Cost::default());
        assert!(!found.is_empty());
        assert_eq!(found, wanted(&rows, &predicate, all));
    }
    let keys = segment.keys().expect("keys");
    let count = |key: &str| keys.iter().filter(|info| &*info.key == key).map(|info| info.count).sum::<u64>();
    assert_eq!(count("key-0"), rows.iter().filter(|row| row.attributes.contains_key("key-0")).count() as u64);
}

/// Everything that a segment can be asked for.
fn read_all(segment: &Arc<RowSegment>) -> crate::Result<usize> {
    let words = Test::Text { how: TextMatch::Phrase, text: "quick".into(), ignore_case: true };
    let filter = Predicate::Test(Field::Fixed(log::BODY as u8), words);
    let filter = Filter::new(Signal::Logs, &filter, i64::MIN, i64::MAX).expect("valid");
    let mut rows = 0;
    for slice in segment.slices(i64::MIN, i64::MAX, &Arc::default())? {
        slice.select(&filter, &mut Cost::default())?;
        rows += slice.chunk(&BooleanBuffer::new_set(slice.rows()))?.rows;
    }
    Ok(rows)
}

#[test]
fn a_damaged_byte_is_an_error_that_names_the_file() {
    let rows = many(5000, 1);
    let disk = MemoryDisk::new();
    let segment = written(&disk, &spec(1, 0), &rows, 5000);
    let meta = segment.meta().clone();
    for path in segment.paths() {
        let len = disk.open(path).expect("file").len().expect("length") as usize;
        // All of the head and the tail, and places between. Parquet's first four bytes say nothing.
        let places = (4..100).chain((100..len).step_by(997)).chain(len - 200..len);
        for at in places {
            disk.damage(path, at);
            match read_all(&open(&disk, meta.clone())) {
                Err(error) => assert!(error.to_string().contains(path), "{error}"),
                // Lanes that the question does not look at.
                Ok(count) => {
                    assert!(path.ends_with(".filter") && at < len - 200 && count == 5000, "{path} {at}")
                }
            }
            disk.damage(path, at);
        }
    }
    assert_eq!(read_all(&segment).expect("whole again"), 5000);
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let disk = MemoryDisk::new();
    let chunk = Arc::new(Chunk::from_records(&oracle::records_of(&many(100, 1))));
    disk.fail_syncs(1);
    write_rows(&disk, &spec(1, 0), &[chunk]).expect_err("the disk fails");
    assert_eq!(disk.list("tenants/t/logs/2024-10-04").expect("folder"), [""; 0]);
    assert_eq!(write_rows(&disk, &spec(2, 0), &[]).expect("nothing"), None);
}
