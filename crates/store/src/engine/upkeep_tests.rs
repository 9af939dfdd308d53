//! What happens beside writes: deletes in the log, failures of one shard, sampling of spans.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_buffer::BooleanBuffer;
use model::{Field, RecordLimits, Records, Signal, Value, record};

use super::rows_tests::{compact, flush, logs, numbered_below, numbers, write};
use super::tests::{NOW_MS, open, tenant};
use super::*;
use crate::disk::memory::MemoryDisk;
use crate::rows::{Column, Cost, Slice};

const HOUR_MS: i64 = 3600 * 1000;

#[test]
fn a_rotation_tells_the_last_sequence_even_where_another_has_ended_the_head() {
    let engine = open(&MemoryDisk::new());
    let stage = |numbers| {
        let records = logs(numbers);
        engine.append_records(&tenant(), &records, &RecordLimits::default(), NOW_MS).expect("staged")
    };
    let writes = [stage(0..5), stage(5..10)];
    assert_eq!(engine.rotate(&tenant(), Signal::Logs), Some(2));
    assert_eq!(engine.rotate(&tenant(), Signal::Logs), Some(2), "nothing new, and two are staged");
    engine.commit_once();
    let all = numbered_below(100);
    engine.delete_rows(&tenant(), Signal::Logs, &all, i64::MIN, i64::MAX, NOW_MS).expect("delete");
    assert_eq!((numbers(&engine), writes.len()), (vec![], 2));
}

/// Files of the log in which a text is found.
fn logged(disk: &MemoryDisk, text: &str) -> Vec<String> {
    let mut files = disk.list("wal").expect("list");
    files.retain(|name| {
        let file = disk.open(&format!("wal/{name}")).expect("open");
        let mut bytes = vec![0; file.len().expect("length") as usize];
        file.read_at(0, &mut bytes).expect("read");
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    });
    files
}

#[test]
fn deleted_rows_are_gone_from_the_log_too() {
    let disk = MemoryDisk::new();
    let mut engine = open(&disk);
    let text = "message 0";
    for is_reopened in [false, true] {
        assert!(write(&engine, &logs(0..10)));
        flush(&engine);
        engine.tick(NOW_MS).expect("tick");
        assert!(!logged(&disk, text).is_empty());
        let all = numbered_below(10);
        engine.delete_rows(&tenant(), Signal::Logs, &all, i64::MIN, i64::MAX, NOW_MS).expect("delete");
        assert!(write(&engine, &logs(100..110)), "a head that keeps the file");
        if is_reopened {
            disk.crash(0);
            engine = open(&disk);
        }
        compact(&engine, NOW_MS + 2 * HOUR_MS);
        engine.tick(NOW_MS).expect("tick");
        assert_eq!(engine.pending_deletes(&tenant(), Signal::Logs).len(), 1, "the log has them still");
        flush(&engine);
        compact(&engine, NOW_MS + 2 * HOUR_MS);
        engine.tick(NOW_MS).expect("tick");
        assert!(engine.pending_deletes(&tenant(), Signal::Logs).is_empty());
        assert_eq!(logged(&disk, text), [""; 0]);
    }
    assert!(write(&engine, &logs(200..210)));
    disk.crash(0);
    assert_eq!(numbers(&open(&disk)).len(), 30);
}

#[test]
fn the_spare_of_a_log_with_deleted_rows_is_a_new_file() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    let has_spare = || logged(&disk, "message 0").contains(&"spare".to_owned());
    // The first file is full and becomes the spare, the second takes writes.
    let is_full = (0..100).any(|n| {
        assert!(write(&engine, &logs(n * 2000..(n + 1) * 2000)));
        flush(&engine);
        has_spare()
    });
    assert!(is_full);
    let all = numbered_below(1_000_000);
    engine.delete_rows(&tenant(), Signal::Logs, &all, i64::MIN, i64::MAX, NOW_MS).expect("delete");
    engine.tick(NOW_MS).expect("tick");
    assert!(disk.list("wal").expect("list").contains(&"spare".to_owned()));
    assert!(!has_spare());
}

fn write_as(engine: &Engine, of: &TenantId, records: &Records) {
    let mut staged = engine.append_records(of, records, &RecordLimits::default(), NOW_MS).expect("staged");
    engine.commit_once();
    assert!(matches!(staged.done.as_mut().map(|done| done.try_recv()), Some(Ok(Ok(())))));
}

#[test]
fn a_damaged_segment_stops_neither_its_shard_nor_others() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    let tenants = [TenantId::new("acme").expect("valid"), TenantId::new("zoo").expect("valid")];
    for n in 0..5 {
        for of in &tenants {
            write_as(&engine, of, &logs(n * 10..(n + 1) * 10));
        }
        flush(&engine);
    }
    let day = disk.list("tenants/acme/logs").expect("days").remove(0);
    let folder = format!("tenants/acme/logs/{day}");
    let file = disk.list(&folder).expect("files").into_iter().find(|name| name.ends_with(".parquet"));
    let path = format!("{folder}/{}", file.expect("a segment"));
    drop(engine);
    let len = disk.open(&path).and_then(|file| file.len()).expect("length");
    for at in 0..len {
        disk.damage(&path, at as usize);
    }
    let engine = open(&disk);
    let mut now_ms = NOW_MS;
    for _ in 0..10 {
        while matches!(engine.compact_once(now_ms), Ok(true)) {}
        now_ms += 1000;
    }
    let (state, _) = engine.pinned();
    let of = |tenant: &TenantId| state.segments.values().filter(|meta| meta.tenant == *tenant).count();
    assert_eq!((of(&tenants[0]), of(&tenants[1])), (2, 1));
    assert_eq!(engine.stats().compaction_failures_total, 1, "it is left alone for a while");
}

/// Keeps the traces in which a span has an error, and notes what went.
#[derive(Default)]
struct Errors(AtomicU64);

impl HeadSampler for Errors {
    fn window_ms(&self, tenant: &TenantId) -> Option<i64> {
        (*tenant == TenantId::default_tenant()).then_some(1000)
    }

    fn keep(&self, _: &TenantId, spans: &[Slice], later: &[Slice]) -> Option<BooleanBuffer> {
        let ids = |slices: &[Slice], columns: [usize; 2]| {
            let columns = columns.map(|at| Column::Field(Field::Fixed(at as u8)));
            let read = slices.iter().map(|slice| {
                let all = BooleanBuffer::new_set(slice.rows());
                slice.read(&columns, &all, &mut Cost::default()).expect("read")
            });
            read.flat_map(|arrays| {
                let ids = arrays[0].as_fixed_size_binary().clone();
                (0..ids.len()).map(move |at| (ids.value(at)[15], arrays[1].is_valid(at))).collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
        };
        let columns = [record::span::TRACE_ID, record::span::STATUS_CODE];
        let (mut all, rows) = (ids(spans, columns), spans.iter().map(Slice::rows).sum());
        all.extend(ids(later, columns));
        let failed: Vec<u8> = all.iter().filter(|(_, error)| *error).map(|(id, _)| *id).collect();
        Some(all[..rows].iter().map(|(id, _)| failed.contains(id)).collect())
    }

    fn dropped(&self, _: &TenantId, spans: u64) {
        self.0.fetch_add(spans, Ordering::Relaxed);
    }
}

/// Spans: the trace, and whether there was an error.
fn spans(of: &[(u8, bool)]) -> Records {
    let mut records = Records::new(Signal::Traces);
    for (trace, is_error) in of {
        let mut id = [0; 16];
        id[15] = *trace;
        let mut fields = [Value::Null; 11];
        fields[record::span::START] = Value::Int(NOW_MS * 1_000_000);
        fields[record::span::TRACE_ID] = Value::Bytes(records.push_text(id));
        if *is_error {
            fields[record::span::STATUS_CODE] = Value::Text(records.push_text("error"));
        }
        records.push_row(0, 0, 0, &fields);
    }
    records
}

fn span_count(engine: &Engine, of: &TenantId) -> usize {
    let slices = engine.rows(of, Signal::Traces).slices(i64::MIN, i64::MAX).expect("slices");
    slices.iter().map(Slice::rows).sum()
}

#[test]
fn a_trace_is_sampled_by_all_its_spans_whichever_heads_they_are_in() {
    let engine = open(&MemoryDisk::new());
    let sampler = Arc::new(Errors::default());
    engine.set_sampler(Arc::clone(&sampler) as Arc<dyn HeadSampler>);
    assert!(write(&engine, &spans(&[(1, false), (2, false), (3, false)])));
    assert!(write(&engine, &spans(&[(4, true), (4, false)])) && write(&engine, &logs(0..10)));
    engine.rotate_all();
    engine.flush_frozen(NOW_MS + 500).expect("flush");
    assert_eq!(span_count(&engine, &tenant()), 5, "the rest of the traces may come");
    assert_eq!(engine.stats().signals[&Signal::Logs].segments, 1, "logs wait for nothing");
    assert!(write(&engine, &spans(&[(1, true)])));
    engine.flush_frozen(NOW_MS + 1000).expect("flush");
    assert_eq!(span_count(&engine, &tenant()), 4, "trace 1 went on and failed");
    assert_eq!((sampler.0.load(Ordering::Relaxed), engine.stats().rows_sampled_total), (2, 2));
    engine.flush_all(NOW_MS + 1000).expect("flush");
    assert_eq!(span_count(&engine, &tenant()), 4);
}

#[test]
fn dropped_spans_count_once_however_often_their_flush_is_tried() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    let sampler = Arc::new(Errors::default());
    engine.set_sampler(Arc::clone(&sampler) as Arc<dyn HeadSampler>);
    assert!(write(&engine, &spans(&[(1, false), (2, true)])));
    disk.fail_syncs(1);
    engine.flush_all(NOW_MS).expect_err("the disk fails");
    assert_eq!(engine.stats().rows_sampled_total, 0);
    engine.flush_all(NOW_MS).expect("flush");
    assert_eq!((sampler.0.load(Ordering::Relaxed), engine.stats().rows_sampled_total), (1, 1));
}

#[test]
fn a_tenant_whose_spans_are_all_kept_is_not_asked() {
    let engine = open(&MemoryDisk::new());
    engine.set_sampler(Arc::new(Errors::default()));
    let other = TenantId::new("acme").expect("valid");
    write_as(&engine, &other, &spans(&[(1, false)]));
    flush(&engine);
    assert_eq!((span_count(&engine, &other), engine.stats().flushes_total), (1, 1));
}
