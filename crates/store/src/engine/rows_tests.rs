use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use model::{Field, Order, Predicate, Reason, RecordLimits, Records, Scalar, Signal, Test, Value, record};

use super::tests::{NOW_MS, open, tenant};
use super::*;
use crate::disk::memory::MemoryDisk;
use crate::rows::{Column, Cost, Filter, Slice, ValueKind};

/// Logs whose observed time is their number.
pub(super) fn logs(numbers: std::ops::Range<i64>) -> Records {
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
pub(super) fn write(engine: &Engine, records: &Records) -> bool {
    let staged = engine.append_records(&tenant(), records, &RecordLimits::default(), NOW_MS);
    let Ok(mut staged) = staged else { return false };
    assert!(staged.refusals.is_empty(), "{:?}", staged.refusals);
    engine.commit_once();
    staged.done.as_mut().is_none_or(|done| matches!(done.try_recv(), Ok(Ok(()))))
}

/// The numbers of all logs, sorted; each comes as often as it is found.
pub(super) fn numbers(engine: &Engine) -> Vec<i64> {
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
fn metrics_are_not_rows() {
    let engine = open(&MemoryDisk::new());
    let metrics = Records::new(Signal::Metrics);
    let refused = engine.append_records(&tenant(), &metrics, &RecordLimits::default(), NOW_MS);
    assert!(matches!(refused, Err(StoreError::Refused(_))));
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
    let keys = rows.keys::<StoreError>(i64::MIN, i64::MAX, || Ok(())).expect("keys");
    let keys: Vec<_> = keys.iter().map(|key| (&*key.key, key.kind, key.count)).collect();
    assert_eq!(keys, [("n", ValueKind::Int, 3000), ("service.name", ValueKind::Text, 3000)]);
}

pub(super) fn flush(engine: &Engine) {
    engine.rotate_all();
    engine.flush_frozen(NOW_MS).expect("flush");
}

#[test]
fn rows_are_there_once_before_and_after_a_flush() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    for n in 0..10 {
        assert!(write(&engine, &logs(n * 100..(n + 1) * 100)));
        if n % 3 == 0 {
            flush(&engine);
        }
        assert_eq!(numbers(&engine), (0..(n + 1) * 100).collect::<Vec<_>>());
    }
    let stats = engine.stats();
    assert_eq!((stats.signals[&Signal::Logs].segments, stats.signals[&Signal::Logs].head_rows), (4, 0));
    assert_eq!(stats.signals[&Signal::Logs].segment_rows, 1000);
    disk.crash(0);
    assert_eq!(numbers(&open(&disk)), (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_crash_between_the_flush_and_the_end_of_the_log_repeats_no_row() {
    for calls in 0..6 {
        let disk = MemoryDisk::new();
        let engine = open(&disk);
        assert!(write(&engine, &logs(0..500)));
        engine.rotate_all();
        // The file that takes writes stays, whatever is flushed, so the rows are in it and in the segment.
        disk.fail_syncs(calls);
        let _ = engine.flush_once(NOW_MS);
        disk.crash(calls.into());
        drop(engine);
        let engine = open(&disk);
        assert_eq!(numbers(&engine), (0..500).collect::<Vec<_>>());
        flush(&engine);
        disk.crash(1);
        assert_eq!(numbers(&open(&disk)), (0..500).collect::<Vec<_>>());
    }
}

pub(super) fn numbered_below(n: i64) -> Predicate {
    Predicate::Test(Field::Key("n".into()), Test::Compare(Order::Less, Scalar::Int(n)))
}

#[test]
fn a_delete_hides_rows_at_once_and_not_those_that_come_later() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    assert!(write(&engine, &logs(0..100)));
    flush(&engine);
    assert!(write(&engine, &logs(100..200)));
    let t_ns = NOW_MS * 1_000_000;
    let id = engine
        .delete_rows(&tenant(), Signal::Logs, &numbered_below(150), t_ns + 50, i64::MAX, NOW_MS)
        .expect("delete");
    let want: Vec<i64> = (0..50).chain(150..200).collect();
    assert_eq!(numbers(&engine), want);
    let pending = engine.pending_deletes(&tenant(), Signal::Logs);
    assert_eq!(pending.iter().map(|t| (t.id, t.created_ms)).collect::<Vec<_>>(), [(id, NOW_MS)]);
    assert!(write(&engine, &logs(60..61)), "the same row can be written again");
    let mut want: Vec<i64> = want.into_iter().chain([60]).collect();
    want.sort_unstable();
    assert_eq!(numbers(&engine), want);
    disk.crash(0);
    assert_eq!(numbers(&open(&disk)), want);
}

#[test]
fn retention_drops_whole_segments_of_rows() {
    let engine = open(&MemoryDisk::new());
    assert!(write(&engine, &logs(0..10)));
    flush(&engine);
    let before = engine.rows(&tenant(), Signal::Logs);
    let slices = before.slices(i64::MIN, i64::MAX).expect("slices");
    drop(before);
    let keep = |keep_ms| RowRetention { keep_ms, rules: vec![(numbered_below(5), 2000)] };
    engine.set_row_retention(&tenant(), Signal::Logs, keep(Some(1000)));
    assert_eq!(engine.retain_once(NOW_MS + 1500).expect("retain"), 0, "a rule keeps some rows longer");
    assert_eq!(engine.retain_once(NOW_MS + 2500).expect("retain"), 1);
    assert_eq!(numbers(&engine), [0; 0]);
    let all = Filter::new(Signal::Logs, &Predicate::TRUE, i64::MIN, i64::MAX).expect("filter");
    let rows = slices[0].select(&all, &mut Cost::default()).expect("a slice keeps its files");
    let body = Column::Field(Field::Fixed(record::log::BODY as u8));
    assert_eq!(slices[0].read(&[body], &rows, &mut Cost::default()).expect("read")[0].len(), 10);
}

#[test]
fn above_the_size_cap_the_oldest_segments_of_any_signal_go() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    for n in 0..5 {
        assert!(write(&engine, &logs(n * 100_000_000..n * 100_000_000 + 100)));
        flush(&engine);
    }
    let bytes = engine.stats().segment_bytes;
    drop(engine);
    let settings = Settings { storage_bytes_max: Some(bytes * 7 / 10), ..tests::settings() };
    let engine = Engine::open(Arc::new(disk), settings).expect("open");
    engine.replay_all().expect("replay");
    assert_eq!(engine.retain_once(NOW_MS).expect("retain"), 2);
    assert_eq!(numbers(&engine)[0], 200_000_000);
    assert_eq!(engine.retain_once(NOW_MS).expect("retain"), 0);
}

#[test]
fn a_backup_has_rows_and_deletes() {
    let engine = open(&MemoryDisk::new());
    assert!(write(&engine, &logs(0..10)));
    engine
        .delete_rows(&tenant(), Signal::Logs, &numbered_below(3), i64::MIN, i64::MAX, NOW_MS)
        .expect("delete");
    let (copy, target) = (MemoryDisk::new(), MemoryDisk::new());
    let (to, restored): (Arc<dyn Disk>, Arc<dyn Disk>) = (Arc::new(copy), Arc::new(target.clone()));
    assert_eq!(engine.backup(&to, NOW_MS).expect("backup").segments, 1);
    crate::restore(&to, &restored).expect("restore");
    assert_eq!(numbers(&open(&target)), (3..10).collect::<Vec<_>>());
}

pub(super) fn compact(engine: &Engine, now_ms: i64) {
    while engine.compact_once(now_ms).expect("compact") {}
}

#[test]
fn compaction_keeps_every_row_and_makes_fewer_files() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    for n in 0..9 {
        assert!(write(&engine, &logs(n * 100..(n + 1) * 100)));
        flush(&engine);
    }
    let held = engine.rows(&tenant(), Signal::Logs).slices(i64::MIN, i64::MAX).expect("slices");
    compact(&engine, NOW_MS + 2 * 86_400_000);
    assert_eq!(engine.stats().segments, 1);
    assert_eq!(numbers(&engine), (0..900).collect::<Vec<_>>());
    assert_eq!(held.iter().map(Slice::rows).sum::<usize>(), 900, "slices keep their files");
    drop(held);
    disk.crash(0);
    assert_eq!(numbers(&open(&disk)), (0..900).collect::<Vec<_>>());
}

#[test]
fn the_bytes_of_deleted_rows_are_gone_after_compaction() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    for n in 0..3 {
        assert!(write(&engine, &logs(n * 100..(n + 1) * 100)));
        flush(&engine);
    }
    engine
        .delete_rows(&tenant(), Signal::Logs, &numbered_below(150), i64::MIN, i64::MAX, NOW_MS)
        .expect("delete");
    compact(&engine, NOW_MS);
    assert_eq!(engine.pending_deletes(&tenant(), Signal::Logs).len(), 1, "a delete waits for others");
    let later_ms = NOW_MS + 2 * 3600 * 1000;
    compact(&engine, later_ms);
    assert!(engine.pending_deletes(&tenant(), Signal::Logs).is_empty());
    assert_eq!(numbers(&engine), (150..300).collect::<Vec<_>>());
    let stats = engine.stats().signals[&Signal::Logs];
    assert_eq!((stats.segment_rows, stats.segments), (150, 2));
    assert!(write(&engine, &logs(0..10)));
    flush(&engine);
    assert_eq!(numbers(&engine).len(), 160, "what comes later stays");
}

#[test]
fn a_retention_rule_drops_its_rows_from_segments_that_stay() {
    let engine = open(&MemoryDisk::new());
    assert!(write(&engine, &logs(0..100)));
    flush(&engine);
    let rules = vec![(numbered_below(30), 1000), (numbered_below(60), 50_000)];
    let retention = RowRetention { keep_ms: Some(10_000), rules };
    engine.set_row_retention(&tenant(), Signal::Logs, retention);
    for (age_ms, want) in [(500, 0..100), (2000, 30..100), (20_000, 30..60)] {
        assert_eq!(engine.retain_once(NOW_MS + age_ms).expect("retain"), 0);
        compact(&engine, NOW_MS + age_ms);
        assert_eq!(numbers(&engine), want.collect::<Vec<_>>());
    }
    assert_eq!(engine.retain_once(NOW_MS + 60_000).expect("retain"), 1);
}

#[test]
fn a_full_head_is_frozen_at_once_and_the_next_one_waits_for_its_flush() {
    let disk = MemoryDisk::new();
    let settings = Settings { head_bytes_max: 1, ..Settings::default() };
    let engine = Engine::open(Arc::new(disk), settings).expect("open");
    engine.replay_all().expect("replay");
    let key = ShardKey { tenant: tenant(), signal: Signal::Logs };
    assert_eq!(engine.make_room(&key, NOW_MS), Room::Enough, "no head is not full");
    assert!(write(&engine, &logs(0..10)));
    assert_eq!(engine.make_room(&key, NOW_MS), Room::Made);
    assert_eq!(engine.make_room(&key, NOW_MS), Room::Enough);
    assert!(write(&engine, &logs(10..20)));
    assert_eq!(engine.make_room(&key, NOW_MS), Room::Full);
    assert!(engine.flush_once(NOW_MS).expect("flush"));
    assert_eq!(engine.make_room(&key, NOW_MS), Room::Made);
    assert_eq!(numbers(&engine), (0..20).collect::<Vec<_>>());
}

#[test]
fn a_removed_tenant_leaves_nothing_and_others_keep_all() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    let other = TenantId::new("other").expect("id");
    for n in 0..3 {
        assert!(write(&engine, &logs(n * 10..n * 10 + 10)));
        let staged =
            engine.append_records(&other, &logs(0..5), &RecordLimits::default(), NOW_MS).expect("stage");
        engine.commit_once();
        drop(staged);
        if n == 1 {
            engine.flush_all(NOW_MS).expect("flush");
        }
    }
    engine.remove_tenant(&other, NOW_MS).expect("remove");
    engine.remove_tenant(&other, NOW_MS).expect("removing twice does nothing");
    let count = |engine: &Engine, tenant: &TenantId| {
        let slices = engine.rows(tenant, Signal::Logs).slices(i64::MIN, i64::MAX).expect("slices");
        slices.iter().map(Slice::rows).sum::<usize>()
    };
    assert_eq!((count(&engine, &tenant()), count(&engine, &other)), (30, 0));
    assert!(engine.manifest_state().segments.values().all(|meta| meta.tenant != other));
    drop(engine);
    let engine = open(&disk);
    assert_eq!((count(&engine, &tenant()), count(&engine, &other)), (30, 0));
    assert!(!engine.tenants().contains(&other));
}
