//! Whole segments on a disk in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{
    Exemplar, FloatHistogram, HistogramSpan, Labels, MatchOp, Matcher, Metadata, MetricType, STALE_NAN,
    SampleColumns, Signal, TenantId, TimeRange,
};
use proptest::prelude::*;

use super::*;
use crate::disk::Disk;
use crate::disk::memory::MemoryDisk;
use crate::error::StoreError;

pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).expect("valid labels")
}

pub(super) fn spec(id: u64, level: u8) -> SegmentSpec {
    SegmentSpec {
        id: SegmentId(id),
        tenant: TenantId::default_tenant(),
        signal: Signal::Metrics,
        day: 20_000,
        level,
        min_seq: id * 10,
        max_seq: id * 10 + 9,
        created_ms: 1_700_000_000_000,
        tombstones_applied: 0,
    }
}

pub(super) fn floats(samples: &[(i64, f64)]) -> SampleColumns {
    SampleColumns {
        t_ms: samples.iter().map(|s| s.0).collect(),
        values: samples.iter().map(|s| s.1).collect(),
        ..SampleColumns::default()
    }
}

pub(super) fn series(pairs: &[(&str, &str)], columns: SampleColumns) -> SeriesInput {
    SeriesInput { labels: labels(pairs), columns, exemplars: Vec::new() }
}

/// Sorts, writes and opens.
pub(super) fn segment(disk: &MemoryDisk, spec: &SegmentSpec, mut all: Vec<SeriesInput>) -> Arc<Segment> {
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    let meta = write_segment(disk, spec, &mut all.into_iter().map(Ok), &[]).expect("written");
    open(disk, meta.expect("not empty"))
}

pub(super) fn open(disk: &MemoryDisk, meta: SegmentMeta) -> Arc<Segment> {
    Arc::new(Segment::open(Arc::new(disk.clone()), meta, Arc::new(TableCache::new(1 << 20))))
}

pub(super) fn read(segment: &Segment, row: u32, range: TimeRange) -> SampleColumns {
    let mut out = SampleColumns::default();
    segment.read(row, range, &mut out).expect("readable");
    out
}

fn histogram(i: u32) -> Arc<FloatHistogram> {
    Arc::new(FloatHistogram {
        schema: 2,
        count: f64::from(3 * i),
        sum: f64::from(i) * 0.5,
        positive_spans: vec![HistogramSpan { offset: 1, length: 2 }],
        positive_buckets: vec![f64::from(i), f64::from(2 * i)],
        ..FloatHistogram::default()
    })
}

/// A series that changes kind, has gaps, starts and exemplars; one that is constant; one that is a marker.
fn varied() -> Vec<SeriesInput> {
    let times: Vec<i64> = (0..2_000).map(|i| 1_700_000_000_000 + i * 15_000).collect();
    let mixed = SampleColumns {
        t_ms: times[..900].to_vec(),
        values: (0..900).map(|i| f64::from(i * 7) / 100.0).collect(),
        starts_ms: vec![1_600_000_000_000; 900],
        histogram_t_ms: times[900..1_200].to_vec(),
        histograms: (0..300).map(histogram).collect(),
        histogram_starts_ms: Vec::new(),
    };
    let exemplar = |t_ms: i64| Exemplar { t_ms, value: 0.5, labels: labels(&[("trace_id", "abc")]) };
    vec![
        SeriesInput {
            labels: labels(&[("__name__", "mixed"), ("job", "a")]),
            columns: mixed,
            exemplars: vec![exemplar(times[5]), exemplar(times[700])],
        },
        series(
            &[("__name__", "one"), ("job", "a")],
            floats(&times.iter().map(|t| (*t, 1.0)).collect::<Vec<_>>()),
        ),
        series(&[("__name__", "one"), ("job", "b")], floats(&[(times[3], STALE_NAN)])),
        series(
            &[("__name__", "wave"), ("job", "b")],
            floats(&times.iter().map(|t| (*t, (*t as f64).sin())).collect::<Vec<_>>()),
        ),
    ]
}

fn cut(columns: &SampleColumns, range: TimeRange) -> SampleColumns {
    let mut columns = columns.clone();
    retain_times(&mut columns, |t| range.contains(t));
    columns
}

/// Equal bit for bit; NaNs are not equal to themselves.
fn assert_same(got: &SampleColumns, want: &SampleColumns) {
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert!(bits(&got.values) == bits(&want.values), "values differ");
    let rest = |c: &SampleColumns| SampleColumns { values: Vec::new(), ..c.clone() };
    assert!(rest(got) == rest(want), "times, histograms or starts differ");
}

#[test]
fn what_is_written_is_read_at_both_levels() {
    for level in [0, 1] {
        let disk = MemoryDisk::new();
        let all = varied();
        let metadata = StoredMetadata {
            metadata: Metadata {
                metric: "one".into(),
                kind: MetricType::Gauge,
                unit: "s".into(),
                help: "h".into(),
            },
            seen_ms: 5,
        };
        let written = write_segment(
            &disk,
            &spec(1, level),
            &mut all.iter().cloned().map(Ok),
            std::slice::from_ref(&metadata),
        );
        let meta = written.expect("written").expect("not empty");
        assert_eq!((meta.series, meta.samples), (4, 1_200 + 2_000 + 1 + 2_000));
        assert_eq!((meta.min_t_ms, meta.max_t_ms), (1_700_000_000_000, 1_700_000_000_000 + 1_999 * 15_000));
        disk.crash(0);
        let segment = open(&disk, meta.clone());
        assert_eq!(segment.rows().expect("table"), 4);
        assert_eq!(segment.metadata().expect("metadata"), [metadata]);
        for (row, input) in all.iter().enumerate() {
            let row = row as u32;
            assert_eq!(segment.labels(row).expect("labels"), input.labels);
            let start = 1_700_000_000_000;
            for (from, to) in
                [(i64::MIN, i64::MAX), (start, start + 1), (start + 1_000_000, start + 20_000_000)]
            {
                let range = TimeRange { start_ms: from, end_ms: to };
                assert_same(&read(&segment, row, range), &cut(&input.columns, range));
            }
            let exemplars = segment.exemplars(row, TimeRange::ALL).expect("exemplars");
            assert_eq!(exemplars, input.exemplars);
        }
        let bytes: u64 =
            segment.paths().map(|p| disk.open(p).expect("file").len().expect("len")).iter().sum();
        assert_eq!(bytes, meta.bytes);
    }
}

#[test]
fn statistics_say_what_reading_would() {
    let disk = MemoryDisk::new();
    let segment = segment(&disk, &spec(1, 1), varied());
    for row in 0..4 {
        for chunk in segment.chunks(row).expect("chunks") {
            let range = TimeRange { start_ms: chunk.min_t_ms, end_ms: chunk.max_t_ms + 1 };
            if chunk.kind != ChunkKind::Float {
                assert_eq!(chunk.stats, None);
                continue;
            }
            let values = read(&segment, row, range).values;
            assert_eq!(values.len(), chunk.count as usize);
            let Some(stats) = chunk.stats else {
                assert!(values.iter().any(|v| v.is_nan()));
                continue;
            };
            assert_eq!((stats.first, stats.last), (values[0], values[values.len() - 1]));
            assert_eq!(stats.min, values.iter().copied().fold(f64::INFINITY, f64::min));
            assert_eq!(stats.max, values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            let sum: f64 = values.iter().sum();
            assert!((stats.sum - sum).abs() <= 1e-9 * sum.abs().max(1.0), "{} {sum}", stats.sum);
        }
    }
}

#[test]
fn nothing_to_write_leaves_nothing_behind() {
    let disk = MemoryDisk::new();
    let empty = series(&[("__name__", "none")], SampleColumns::default());
    let written = write_segment(&disk, &spec(1, 0), &mut [Ok(empty)].into_iter(), &[]);
    assert!(matches!(written, Ok(None)));
    assert!(!disk.exists("tenants").expect("exists"));
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let disk = MemoryDisk::new();
    let failing = varied().into_iter().map(Ok).chain([Err(StoreError::Closed)]);
    let written = write_segment(&disk, &spec(1, 0), &mut failing.into_iter(), &[]);
    assert!(matches!(written, Err(StoreError::Closed)));
    assert!(disk.list("tenants/default/metrics/2024-10-04").expect("folder").is_empty());
    disk.set_bytes_max(Some(3_000));
    let written = write_segment(&disk, &spec(2, 0), &mut varied().into_iter().map(Ok), &[]);
    assert!(written.is_err_and(|e| e.is_disk_full()));
    assert!(disk.list("tenants/default/metrics/2024-10-04").expect("folder").is_empty());
}

#[test]
fn a_flipped_bit_anywhere_is_an_error_or_harmless() {
    let disk = MemoryDisk::new();
    let all: Vec<SeriesInput> = varied()
        .into_iter()
        .map(|mut s| {
            retain_times(&mut s.columns, |t| t < 1_700_000_000_000 + 100 * 15_000);
            s
        })
        .collect();
    let whole = segment(&disk, &spec(1, 0), all.clone());
    for path in whole.paths() {
        let len = disk.open(path).expect("file").len().expect("len");
        for at in 0..len {
            let file = disk.open(path).expect("file");
            let mut byte = [0];
            file.read_at(at, &mut byte).expect("read");
            file.write_at(at, &[byte[0] ^ 0x10]).expect("write");
            let damaged = open(&disk, whole.meta().clone());
            for (row, input) in all.iter().enumerate() {
                let mut out = SampleColumns::default();
                match damaged.read(row as u32, TimeRange::ALL, &mut out) {
                    Ok(()) => assert_same(&out, &input.columns),
                    Err(StoreError::Corrupt { path: named, .. }) => {
                        assert!(whole.paths().contains(&named.as_str()))
                    }
                    Err(StoreError::TooNew { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            file.write_at(at, &byte).expect("write");
        }
    }
}

#[test]
fn segments_work_without_room_in_the_cache() {
    let disk = MemoryDisk::new();
    let first = segment(&disk, &spec(1, 0), varied());
    let cache = Arc::new(TableCache::new(0));
    let no_room = Segment::open(Arc::new(disk.clone()), first.meta().clone(), cache.clone());
    for (row, input) in varied().iter().enumerate() {
        assert_same(&read(&no_room, row as u32, TimeRange::ALL), &input.columns);
        assert_eq!(no_room.labels(row as u32).expect("labels"), input.labels);
    }
    drop(no_room);
    assert_eq!(cache.bytes(), 0);
}

#[test]
fn rare_label_names_share_a_column_and_still_select() {
    let disk = MemoryDisk::new();
    let names: Vec<String> = (0..300).map(|i| format!("label_{i:03}")).collect();
    let mut all = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let value = format!("v{}", i % 3);
        all.push(series(&[("__name__", "m"), (name, &value)], floats(&[(i as i64, 1.0)])));
    }
    let segment = segment(&disk, &spec(1, 0), all);
    assert_eq!(segment.label_names(None).expect("names").len(), 301);
    let mut found = 0;
    for (i, name) in names.iter().enumerate() {
        let value = format!("v{}", i % 3);
        let matcher = Matcher::new(name, MatchOp::Equal, &value).expect("matcher");
        let rows = segment.select(&[matcher], TimeRange::ALL).expect("rows");
        assert_eq!(rows.len(), 1, "{name}");
        assert_eq!(segment.labels(rows[0]).expect("labels").get(name), Some(value.as_str()));
        assert_eq!(segment.label_values(name, Some(&rows)).expect("values"), BTreeSet::from([value]));
        let absent = Matcher::new(name, MatchOp::Equal, "").expect("matcher");
        found += segment.select(&[absent], TimeRange::ALL).expect("rows").len();
    }
    assert_eq!(found, 300 * 299);
}

#[test]
fn series_share_timestamps_and_constants_cost_nothing() {
    let disk = MemoryDisk::new();
    let times: Vec<i64> = (0..120).map(|i| i * 15_000 + (i * i) % 7).collect();
    let all = (0..1_000).map(|i| {
        let value = f64::from(i);
        let samples: Vec<(i64, f64)> = times.iter().map(|t| (*t, value)).collect();
        series(&[("__name__", "m"), ("i", &i.to_string())], floats(&samples))
    });
    let segment = segment(&disk, &spec(1, 0), all.collect());
    let chunks = disk.open(segment.paths()[1]).expect("file").len().expect("len");
    assert!(chunks < 250, "{chunks}");
}

fn label_set() -> impl Strategy<Value = BTreeMap<&'static str, &'static str>> {
    let name = prop_oneof![Just("__name__"), Just("Zone"), Just("job"), Just("pod")];
    let value = prop_oneof![Just("a"), Just("b"), Just("ab"), Just("c"), Just("é")];
    prop::collection::btree_map(name, value, 1..4)
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let name = prop_oneof![Just("__name__"), Just("Zone"), Just("job"), Just("pod"), Just("none")];
    let op = prop_oneof![
        Just(MatchOp::Equal),
        Just(MatchOp::NotEqual),
        Just(MatchOp::Regex),
        Just(MatchOp::NotRegex)
    ];
    let value = prop_oneof![Just("a"), Just("b"), Just(""), Just("a.*"), Just(".+"), Just("a|c")];
    (name, op, value).prop_map(|(name, op, value)| Matcher::new(name, op, value).expect("compiles"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn selection_is_what_matching_each_series_gives(
        sets in prop::collection::btree_set(label_set(), 1..40),
        queries in prop::collection::vec(prop::collection::vec(matcher(), 0..4), 1..8),
        start in 0i64..40,
        len in 0i64..40,
    ) {
        let disk = MemoryDisk::new();
        let mut all: Vec<SeriesInput> = sets
            .iter()
            .enumerate()
            .map(|(i, set)| {
                let pairs: Vec<_> = set.iter().map(|(n, v)| (*n, *v)).collect();
                series(&pairs, floats(&[(i as i64, 1.0), (i as i64 + 5, 2.0)]))
            })
            .collect();
        all.sort_by(|a, b| a.labels.cmp(&b.labels));
        let segment = segment(&disk, &spec(1, 0), all.clone());
        let range = TimeRange { start_ms: start, end_ms: start + len };
        for matchers in queries {
            let passes = |s: &SeriesInput| {
                matchers.iter().all(|m| m.matches(s.labels.get(&m.name).unwrap_or("")))
                    && s.columns.t_ms[0] < range.end_ms
                    && s.columns.t_ms[1] >= range.start_ms
            };
            let want: Vec<u32> =
                all.iter().enumerate().filter(|(_, s)| passes(s)).map(|(row, _)| row as u32).collect();
            let rows = segment.select(&matchers, range).expect("rows");
            prop_assert_eq!(&rows, &want);
            let of_rows = || rows.iter().map(|&row| &all[row as usize].labels);
            let names: BTreeSet<String> = of_rows().flat_map(|l| l.iter()).map(|(n, _)| n.to_owned()).collect();
            prop_assert_eq!(segment.label_names(Some(&rows)).expect("names"), names);
            let values: BTreeSet<String> = of_rows().filter_map(|l| l.get("job")).map(str::to_owned).collect();
            prop_assert_eq!(segment.label_values("job", Some(&rows)).expect("values"), values);
        }
        for (row, s) in all.iter().enumerate() {
            prop_assert_eq!(segment.label_hash(row as u32).expect("hash"), label_hash(&s.labels));
            prop_assert_eq!(&read(&segment, row as u32, TimeRange::ALL), &s.columns);
        }
    }
}
