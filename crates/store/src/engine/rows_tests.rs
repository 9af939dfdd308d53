use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use model::{Field, Predicate, Reason, RecordLimits, Records, Signal, Value, record};

use super::tests::{NOW_MS, open, tenant};
use super::*;
use crate::disk::memory::MemoryDisk;
use crate::rows::{Column, Cost, Filter, ValueKind};

/// Logs whose observed time is their number.
fn logs(numbers: std::ops::Range<i64>) -> Records {
    let mut records = Records::new(Signal::Logs);
    let name = records.push_text("api");
    records.push_attr("service.name", Value::Text(name));
    let resource = records.end_resource(0);
    for n in numbers {
        let mut fields = [Value::Null; 7];
        fields[record::log::TIMESTAMP] = Value::Int(NOW_MS * 1_000_000 + n);
        fields[record::log::OBSERVED_TIMESTAMP] = Value::Int(n);
        fields[record::log::BODY] = Value::Text(records.push_text(format!("message {n}")));
        let first = records.attrs.len() as u32;
        records.push_attr("n", Value::Int(n));
        records.push_row(n as u32, resource, first, &fields);
    }
    records
}

/// Writes and commits; whether it was acknowledged.
fn write(engine: &Engine, records: &Records) -> bool {
    let staged = engine.append_records(&tenant(), records, &RecordLimits::default(), NOW_MS);
    let Ok(mut staged) = staged else { return false };
    assert!(staged.refusals.is_empty(), "{:?}", staged.refusals);
    engine.commit_once();
    staged.done.as_mut().is_none_or(|done| matches!(done.try_recv(), Ok(Ok(()))))
}

/// The numbers of all logs, sorted; each comes as often as it is found.
fn numbers(engine: &Engine) -> Vec<i64> {
    let mut numbers = Vec::new();
    let mut cost = Cost::default();
    let all = Filter::new(Signal::Logs, &Predicate::TRUE, i64::MIN, i64::MAX).expect("filter");
    let number = Column::Field(Field::Fixed(record::log::OBSERVED_TIMESTAMP as u8));
    for slice in engine.rows(&tenant(), Signal::Logs).slices(i64::MIN, i64::MAX).expect("slices") {
        let rows = slice.select(&all, &mut cost).expect("select");
        let columns = slice.read(std::slice::from_ref(&number), &rows, &mut cost).expect("read");
        numbers.extend_from_slice(columns[0].as_primitive::<Int64Type>().values());
    }
    numbers.sort_unstable();
    numbers
}

#[test]
fn acknowledged_rows_are_visible_and_survive_a_crash() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    for n in 0..100 {
        assert!(write(&engine, &logs(n..n + 1)));
    }
    assert!(write(&engine, &logs(100..1000)));
    assert_eq!(numbers(&engine), (0..1000).collect::<Vec<_>>());
    assert_eq!(engine.stats().rows_total, 1000);
    disk.crash(0);
    let engine = open(&disk);
    assert_eq!(numbers(&engine), (0..1000).collect::<Vec<_>>());
    assert!(write(&engine, &logs(1000..1001)));
    assert_eq!(numbers(&engine), (0..1001).collect::<Vec<_>>());
    assert_eq!(engine.tenants(), [tenant()]);
}

#[test]
fn a_failed_sync_makes_no_row_visible() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    assert!(write(&engine, &logs(0..5)));
    disk.fail_syncs(1);
    assert!(!write(&engine, &logs(5..10)));
    assert_eq!(numbers(&engine), [0, 1, 2, 3, 4]);
}

#[test]
fn rows_that_break_a_rule_are_refused_one_by_one() {
    let engine = open(&MemoryDisk::new());
    let mut records = logs(0..6);
    let width = record::columns(Signal::Logs).len();
    records.fields[width + record::log::TIMESTAMP] = Value::Int(0);
    records.fields[2 * width + record::log::TIMESTAMP] = Value::Int((NOW_MS + 2 * 86_400_000) * 1_000_000);
    let long = records.push_text("x".repeat(5000));
    records.fields[3 * width + record::log::BODY] = Value::Text(long);
    let first = records.attrs.len() as u32;
    records.push_attr("k".repeat(200), Value::Bool(true));
    records.rows[4].attrs = first..first + 1;
    let first = records.attrs.len() as u32;
    (0..20).for_each(|i| records.push_attr(format!("k{i}"), Value::Bool(true)));
    records.rows[5].attrs = first..first + 20;
    let limits =
        RecordLimits { attrs_max: 10, key_bytes_max: 100, row_bytes_max: 4000, ..RecordLimits::default() };
    let staged = engine.append_records(&tenant(), &records, &limits, NOW_MS).expect("staged");
    let got: Vec<_> =
        staged.refusals.detailed().iter().map(|r| (r.index, r.field.as_str(), r.reason, r.items)).collect();
    let want = [
        (1, "timestamp", Reason::OutsideRetention, 1),
        (2, "timestamp", Reason::TooFarInFuture, 1),
        (3, "row", Reason::RecordTooLarge, 1),
        (4, "attributes", Reason::LabelTooLong, 1),
        (5, "attributes", Reason::RecordTooLarge, 1),
    ];
    assert_eq!((staged.accepted, got), (1, want.to_vec()));
    engine.commit_once();
    assert_eq!(numbers(&engine), [0]);
}

#[test]
fn a_large_write_becomes_several_chunks_and_one_record() {
    let engine = open(&MemoryDisk::new());
    assert!(write(&engine, &logs(0..70_000)));
    assert_eq!(engine.stats().commits_total, 1);
    assert_eq!(numbers(&engine).len(), 70_000);
}

#[test]
fn metrics_and_audit_are_not_rows() {
    let engine = open(&MemoryDisk::new());
    for signal in [Signal::Metrics, Signal::Audit] {
        let refused =
            engine.append_records(&tenant(), &Records::new(signal), &RecordLimits::default(), NOW_MS);
        assert!(matches!(refused, Err(StoreError::Refused(_))));
    }
}

#[test]
fn slices_come_newest_first_and_only_those_in_the_range() {
    let engine = open(&MemoryDisk::new());
    let t_ns = NOW_MS * 1_000_000;
    for n in [20_000, 0, 10_000] {
        assert!(write(&engine, &logs(n..n + 1000)));
    }
    let rows = engine.rows(&tenant(), Signal::Logs);
    let starts = |start_ns: i64, end_ns: i64| {
        let slices = rows.slices(start_ns, end_ns).expect("slices");
        slices.iter().map(|slice| slice.time_ns().0 - t_ns).collect::<Vec<_>>()
    };
    assert_eq!(starts(i64::MIN, i64::MAX), [20_000, 10_000, 0]);
    assert_eq!(starts(t_ns + 10_500, i64::MAX), [20_000, 10_000]);
    assert_eq!(starts(t_ns + 999, t_ns + 10_000), [0]);
    assert_eq!(starts(t_ns + 1000, t_ns + 10_000), [0; 0]);
    assert!(write(&engine, &logs(30_000..30_001)));
    assert_eq!(starts(i64::MIN, i64::MAX).len(), 3, "a snapshot stays as it is");
    let keys = rows.keys(i64::MIN, i64::MAX).expect("keys");
    let keys: Vec<_> = keys.iter().map(|key| (&*key.key, key.kind, key.count)).collect();
    assert_eq!(keys, [("n", ValueKind::Int, 3000), ("service.name", ValueKind::Text, 3000)]);
}
