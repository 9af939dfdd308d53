use std::collections::BTreeMap;

use model::{Labels, Point, SampleColumns, TimeRange};
use proptest::prelude::*;

use super::*;
use crate::disk::memory::MemoryDisk;

pub(super) const NOW_MS: i64 = 1_700_000_000_000;

pub(super) fn settings() -> Settings {
    Settings { wal_file_bytes: 64 << 10, retention_ms: None, seed: 7, ..Settings::default() }
}

pub(super) fn open(disk: &MemoryDisk) -> Engine {
    let engine = Engine::open(Arc::new(disk.clone()), settings()).expect("open");
    engine.replay_all().expect("replay");
    engine
}

pub(super) fn tenant() -> TenantId {
    TenantId::default_tenant()
}

fn batch(samples: &[(u8, i64, f64)]) -> MetricBatch {
    let mut batch = MetricBatch::default();
    for (series, t_ms, value) in samples {
        let instance = series.to_string();
        let labels = [("__name__", "m"), ("instance", instance.as_str())];
        batch.push_float(labels, Point { t_ms: *t_ms, value: *value });
    }
    batch
}

/// Writes and commits; whether it was acknowledged.
fn write(engine: &Engine, samples: &[(u8, i64, f64)]) -> bool {
    let staged = engine.append(&tenant(), &batch(samples), &MetricLimits::default(), NOW_MS);
    let Ok(mut staged) = staged else { return false };
    assert!(staged.refusals.is_empty(), "{:?}", staged.refusals);
    engine.commit_once();
    staged.done.as_mut().is_none_or(|done| matches!(done.try_recv(), Ok(Ok(()))))
}

type Model = BTreeMap<(String, i64), f64>;

fn read_all(engine: &Engine) -> Model {
    let mut all = Model::new();
    let mut columns = SampleColumns::default();
    for series in engine.snapshot(&tenant()).select(&[], TimeRange::ALL).expect("select") {
        series.read(TimeRange::ALL, &mut columns).expect("read");
        for (t_ms, value) in columns.t_ms.iter().zip(&columns.values) {
            assert!(all.insert((instance(series.labels()), *t_ms), *value).is_none(), "a sample came twice");
        }
    }
    all
}

fn instance(labels: &Labels) -> String {
    labels.get("instance").expect("instance").into()
}

fn model(samples: &[(u8, i64, f64)]) -> Model {
    samples.iter().map(|(series, t_ms, value)| ((series.to_string(), *t_ms), *value)).collect()
}

#[test]
fn acknowledged_rows_survive_a_crash() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    let samples = [(1, NOW_MS, 1.0), (2, NOW_MS, 2.0), (1, NOW_MS + 1, 3.0)];
    assert!(write(&engine, &samples));
    assert_eq!(read_all(&engine), model(&samples));
    disk.crash(0);
    let engine = open(&disk);
    assert_eq!(read_all(&engine), model(&samples));
    engine.rotate_all();
    engine.flush_frozen(NOW_MS).expect("flush");
    assert_eq!(read_all(&engine), model(&samples));
    disk.crash(0);
    assert_eq!(read_all(&open(&disk)), model(&samples));
}

#[test]
fn a_failed_sync_acknowledges_nothing_and_writes_resume_after_a_flush() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    assert!(write(&engine, &[(1, NOW_MS, 1.0)]));
    disk.fail_syncs(1);
    assert!(!write(&engine, &[(2, NOW_MS, 2.0)]));
    assert_eq!(read_all(&engine), model(&[(1, NOW_MS, 1.0)]));
    let refused = engine.append(&tenant(), &batch(&[(3, 0, 0.0)]), &MetricLimits::default(), NOW_MS);
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })));
    engine.tick(NOW_MS).expect("recover");
    assert!(write(&engine, &[(2, NOW_MS, 4.0)]));
    disk.crash(0);
    assert_eq!(read_all(&open(&disk)), model(&[(1, NOW_MS, 1.0), (2, NOW_MS, 4.0)]));
}

#[test]
fn a_full_disk_refuses_writes_and_recovers_by_itself() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    engine.tick(NOW_MS).expect("spare");
    disk.set_bytes_max(Some(disk.used_bytes() + 20_000));
    let mut want = Vec::new();
    let mut t_ms = NOW_MS;
    loop {
        t_ms += 1;
        let samples: Vec<_> = (0..200).map(|series| (series, t_ms, 0.5)).collect();
        if !write(&engine, &samples) {
            break;
        }
        want.extend(samples);
        let _ = engine.tick(NOW_MS);
    }
    assert!(
        matches!(engine.queue.refused(), Some(StoreError::Unavailable { reason }) if reason == "disk full")
    );
    assert_eq!(read_all(&engine), model(&want));
    disk.set_bytes_max(None);
    engine.tick(NOW_MS).expect("recover");
    assert!(write(&engine, &[(1, t_ms + 1, 1.0)]));
    want.push((1, t_ms + 1, 1.0));
    disk.crash(0);
    assert_eq!(read_all(&open(&disk)), model(&want));
}

#[test]
fn the_log_goes_when_heads_are_flushed() {
    let disk = MemoryDisk::new();
    let engine = Engine::open(Arc::new(disk.clone()), Settings { wal_bytes_max: 256 << 10, ..settings() })
        .expect("open");
    engine.replay_all().expect("replay");
    for round in 0..500 {
        let samples: Vec<_> = (0..200).map(|series| (series, NOW_MS + round, 0.5)).collect();
        assert!(write(&engine, &samples));
        if round % 20 == 0 {
            engine.tick(NOW_MS).expect("tick");
            engine.flush_frozen(NOW_MS).expect("flush");
        }
    }
    assert!(engine.wal.lock().bytes() <= 320 << 10, "{}", engine.wal.lock().bytes());
    assert_eq!(read_all(&engine).len(), 500 * 200);
}

#[test]
fn samples_outside_the_window_are_refused_one_by_one() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    engine.set_retention(&tenant(), Some(1000));
    let samples = [(1, NOW_MS - 2000, 1.0), (2, NOW_MS, 2.0), (3, NOW_MS + 100_000_000, 3.0)];
    let staged =
        engine.append(&tenant(), &batch(&samples), &MetricLimits::default(), NOW_MS).expect("staged");
    assert_eq!((staged.accepted, staged.refusals.items()), (1, 2));
    engine.commit_once();
    assert_eq!(read_all(&engine), model(&samples[1..2]));
}

#[test]
fn the_series_limit_refuses_new_series_only() {
    let engine = open(&MemoryDisk::new());
    let limits = MetricLimits { series_max: 2, ..MetricLimits::default() };
    for (samples, accepted) in
        [([(1, 0, 1.0), (2, 0, 1.0), (3, 0, 1.0)], 2), ([(2, 1, 1.0), (4, 1, 1.0), (1, 1, 1.0)], 2)]
    {
        let staged = engine.append(&tenant(), &batch(&samples), &limits, NOW_MS).expect("staged");
        assert_eq!(staged.accepted, accepted);
        assert_eq!(staged.refusals.counts(), [(model::Reason::SeriesLimit, 1)]);
    }
}

#[test]
fn retention_drops_segments_whose_last_sample_is_too_old() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    for t_ms in [NOW_MS - 5000, NOW_MS] {
        assert!(write(&engine, &[(1, t_ms, 1.0)]));
        engine.rotate_all();
        engine.flush_frozen(NOW_MS).expect("flush");
    }
    engine.set_retention(&tenant(), Some(1000));
    let held = engine.snapshot(&tenant());
    assert_eq!(engine.retain_once(NOW_MS).expect("retain"), 1);
    assert_eq!(read_all(&engine), model(&[(1, NOW_MS, 1.0)]));
    let mut columns = SampleColumns::default();
    held.select(&[], TimeRange::ALL).expect("select")[0].read(TimeRange::ALL, &mut columns).expect("read");
    assert_eq!(columns.len(), 2, "a snapshot keeps its files");
}

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(u8, i64, u16)>),
    Stage(Vec<(u8, i64, u16)>),
    Commit,
    Rotate,
    Flush,
    Tick,
    FailSync,
    Compact,
    Crash(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let samples = || prop::collection::vec((0..5u8, 0..12i64, any::<u16>()), 1..12);
    let step = prop_oneof![
        6 => samples().prop_map(Step::Write),
        2 => samples().prop_map(Step::Stage),
        1 => Just(Step::Commit),
        2 => Just(Step::Rotate),
        2 => Just(Step::Flush),
        1 => Just(Step::Tick),
        1 => Just(Step::FailSync),
        1 => Just(Step::Compact),
        2 => any::<u64>().prop_map(Step::Crash),
    ];
    prop::collection::vec(step, 1..60)
}

/// What may be read: acknowledged rows, and rows of writes whose outcome is not known, in their order.
#[derive(Default)]
struct Expected {
    acknowledged: Model,
    /// By sample: values that may be there instead, because their write failed or was cut off by a crash.
    possible: BTreeMap<(String, i64), Vec<f64>>,
}

impl Expected {
    fn acknowledge(&mut self, samples: &[(u8, i64, f64)]) {
        for (key, value) in model(samples) {
            self.possible.remove(&key);
            self.acknowledged.insert(key, value);
        }
    }

    fn perhaps(&mut self, samples: &[(u8, i64, f64)]) {
        for (key, value) in model(samples) {
            self.possible.entry(key).or_default().push(value);
        }
    }

    fn check(&self, got: &Model) {
        for (key, want) in &self.acknowledged {
            let value = got.get(key).unwrap_or_else(|| panic!("{key:?} was acknowledged and is missing"));
            let possible = self.possible.get(key).is_some_and(|values| values.contains(value));
            assert!(value == want || possible, "{key:?} is {value}, not {want}");
        }
        for (key, value) in got {
            let possible = self.possible.get(key).is_some_and(|values| values.contains(value));
            assert!(possible || self.acknowledged.get(key) == Some(value), "{key:?} came from nowhere");
        }
    }
}

/// A staged write and its samples.
type Waiting = (Staged, Vec<(u8, i64, f64)>);

fn floats(samples: &[(u8, i64, u16)]) -> Vec<(u8, i64, f64)> {
    samples.iter().map(|(series, t, value)| (*series, NOW_MS + t, f64::from(*value))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_acknowledged_sample_is_there_once_and_the_last_write_wins(steps in steps()) {
        let disk = MemoryDisk::new();
        let mut engine = open(&disk);
        let mut expected = Expected::default();
        let mut staged: Vec<Waiting> = Vec::new();
        let settle = |staged: &mut Vec<Waiting>, expected: &mut Expected| {
            for (mut write, samples) in staged.drain(..) {
                let done = write.done.as_mut().expect("rows were accepted");
                if matches!(done.try_recv(), Ok(Ok(()))) {
                    expected.acknowledge(&samples);
                } else {
                    expected.perhaps(&samples);
                }
            }
        };
        for step in steps {
            match step {
                Step::Write(samples) | Step::Stage(samples) if engine.queue.refused().is_some() => {
                    let samples = floats(&samples);
                    let refused = engine.append(&tenant(), &batch(&samples), &MetricLimits::default(), NOW_MS);
                    prop_assert!(refused.is_err());
                }
                Step::Stage(samples) => {
                    let samples = floats(&samples);
                    let limits = MetricLimits::default();
                    let write = engine.append(&tenant(), &batch(&samples), &limits, NOW_MS).expect("staged");
                    staged.push((write, samples));
                }
                Step::Write(samples) => {
                    let samples = floats(&samples);
                    let limits = MetricLimits::default();
                    let write = engine.append(&tenant(), &batch(&samples), &limits, NOW_MS).expect("staged");
                    staged.push((write, samples));
                    engine.commit_once();
                    settle(&mut staged, &mut expected);
                }
                Step::Commit => {
                    engine.commit_once();
                    settle(&mut staged, &mut expected);
                }
                Step::Rotate => engine.rotate_all(),
                Step::Flush => {
                    let _ = engine.flush_once(NOW_MS);
                }
                Step::Tick => {
                    let _ = engine.tick(NOW_MS);
                    if engine.queue.refused().is_some() {
                        settle(&mut staged, &mut expected);
                    }
                }
                Step::FailSync => disk.fail_syncs(1),
                Step::Compact => {
                    let _ = engine.compact_once(NOW_MS + 100 * 24 * 3600 * 1000);
                }
                Step::Crash(seed) => {
                    disk.crash(seed);
                    drop(engine);
                    settle(&mut staged, &mut expected);
                    engine = open(&disk);
                }
            }
            expected.check(&read_all(&engine));
        }
    }
}

#[test]
fn a_delete_hides_samples_until_compaction_removes_them() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    let matcher = |value| [model::Matcher::new("instance", model::MatchOp::Equal, value).expect("matcher")];
    let range = TimeRange { start_ms: NOW_MS, end_ms: NOW_MS + 2 };
    let samples = [(1, NOW_MS, 1.0), (1, NOW_MS + 1, 1.0), (1, NOW_MS + 2, 1.0), (2, NOW_MS, 2.0)];
    assert!(write(&engine, &samples));
    engine.delete_series(&tenant(), &matcher("1"), range, NOW_MS).expect("delete");
    assert_eq!(read_all(&engine), model(&samples[2..]));
    assert!(write(&engine, &[(1, NOW_MS, 5.0)]), "the same time can be written again");
    let mut want = model(&samples[2..]);
    want.extend(model(&[(1, NOW_MS, 5.0)]));
    assert_eq!(read_all(&engine), want);
    engine.delete_series(&tenant(), &matcher("2"), TimeRange::ALL, NOW_MS).expect("delete");
    want.retain(|(instance, _), _| instance == "1");
    let values = engine.snapshot(&tenant()).label_values("instance", &[], TimeRange::ALL).expect("values");
    assert_eq!(values.into_iter().collect::<Vec<_>>(), ["1"]);
    disk.crash(0);
    let engine = open(&disk);
    assert_eq!(read_all(&engine), want);
    let later_ms = NOW_MS + 2 * 3600 * 1000;
    while engine.compact_once(later_ms).expect("compact") {}
    assert_eq!((engine.stats().tombstones, read_all(&engine)), (0, want));
    assert_eq!(engine.stats().segment_samples, 2);
}

#[test]
fn a_backup_can_be_restored_and_opened() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    assert!(write(&engine, &[(1, NOW_MS, 1.0), (2, NOW_MS, 2.0)]));
    let (copy, target) = (MemoryDisk::new(), MemoryDisk::new());
    let (to, restored): (Arc<dyn Disk>, Arc<dyn Disk>) = (Arc::new(copy.clone()), Arc::new(target.clone()));
    let copied = engine.backup(&to, NOW_MS).expect("backup");
    assert!(copied.segments == 1 && copied.bytes > 0);
    assert!(matches!(engine.backup(&to, NOW_MS), Err(StoreError::Refused(_))));
    assert!(write(&engine, &[(3, NOW_MS, 3.0)]));
    assert_eq!(crate::restore(&to, &restored).expect("restore"), copied);
    target.crash(0);
    let engine = open(&target);
    assert_eq!(read_all(&engine), model(&[(1, NOW_MS, 1.0), (2, NOW_MS, 2.0)]));
    assert!(write(&engine, &[(1, NOW_MS, 4.0)]));
    assert_eq!(read_all(&engine), model(&[(1, NOW_MS, 4.0), (2, NOW_MS, 2.0)]));
}

#[test]
fn a_damaged_log_is_reported_with_file_and_offset() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    for round in 0..400 {
        assert!(write(&engine, &(0..100).map(|series| (series, NOW_MS + round, 0.5)).collect::<Vec<_>>()));
    }
    drop(engine);
    disk.damage("wal/00000000000000000001.wal", 30_000);
    let engine = Engine::open(Arc::new(disk), settings()).expect("open");
    let error = engine.replay_all().expect_err("acknowledged rows are gone");
    assert!(matches!(&error, StoreError::Corrupt { path, .. } if path.ends_with("1.wal")), "{error}");
    assert!(engine.replay_failure().is_some());
}
