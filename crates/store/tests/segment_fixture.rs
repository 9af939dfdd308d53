//! Reads segments that earlier versions wrote. There is one folder under `fixtures` per version of the
//! format; what it holds is computed here, so that every value is compared.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Exemplar, FloatHistogram, HistogramSpan, Labels, MatchOp,
    Matcher, Metadata, MetricType, STALE_NAN, SampleColumns, Signal, TenantId, TimeRange,
};
use store::disk::{Disk, RealDisk};
use store::segment::{
    Segment, SegmentId, SegmentMeta, SegmentSpec, SeriesInput, StoredMetadata, TableCache, write_segment,
};

const START_MS: i64 = 1_700_000_000_000;
const LEVELS: [u8; 2] = [0, 1];

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).expect("valid labels")
}

fn times(count: i64) -> Vec<i64> {
    (0..count).map(|i| START_MS + i * 15_000 + (i * i) % 5).collect()
}

fn floats(value: impl Fn(i64) -> f64) -> SampleColumns {
    SampleColumns { t_ms: times(400), values: (0..400).map(value).collect(), ..SampleColumns::default() }
}

/// Every tenth to fourteenth of forty values is one that needs its bits kept.
fn odd(i: i64) -> f64 {
    match i % 40 {
        10 => -0.0,
        11 => f64::INFINITY,
        12 => f64::NAN,
        13 => STALE_NAN,
        _ => 0.25,
    }
}

fn exponential(i: i64) -> Arc<FloatHistogram> {
    Arc::new(FloatHistogram {
        counter_reset_hint: CounterResetHint::NotReset,
        schema: 3,
        zero_threshold: 0.001,
        zero_count: 2.0,
        count: (3 * i + 9) as f64,
        sum: i as f64 / 4.0,
        positive_spans: vec![HistogramSpan { offset: -2, length: 2 }, HistogramSpan { offset: 3, length: 1 }],
        positive_buckets: vec![i as f64, (2 * i) as f64, 5.0],
        negative_spans: vec![HistogramSpan { offset: 0, length: 1 }],
        negative_buckets: vec![2.0],
        ..FloatHistogram::default()
    })
}

fn custom(i: i64) -> Arc<FloatHistogram> {
    Arc::new(FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: (i + 1) as f64,
        sum: i as f64 * 0.1,
        positive_spans: vec![HistogramSpan { offset: 0, length: 3 }],
        positive_buckets: vec![1.0, i as f64, 0.0],
        custom_bounds: Arc::from([0.5, 2.5]),
        ..FloatHistogram::default()
    })
}

fn exemplar(i: i64) -> Exemplar {
    let trace_id = format!("{i:032x}");
    let labels = labels(&[("trace_id", &trace_id)]);
    Exemplar { t_ms: START_MS + i * 60_000, value: i as f64 / 8.0, labels }
}

/// At least one series for every code.
fn series() -> Vec<SeriesInput> {
    let plain = |name: &str, columns| SeriesInput {
        labels: labels(&[("__name__", name), ("instance", "host-1")]),
        columns,
        exemplars: Vec::new(),
    };
    let noise = |i: i64| ((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / 1e17;
    let exponential = SampleColumns {
        histogram_t_ms: times(30),
        histograms: (0..30).map(exponential).collect(),
        histogram_starts_ms: vec![START_MS; 30],
        ..SampleColumns::default()
    };
    let mixed = SampleColumns {
        t_ms: times(60)[..30].to_vec(),
        values: (0..30).map(f64::from).collect(),
        histogram_t_ms: times(60)[30..].to_vec(),
        histograms: (0..30).map(custom).collect(),
        ..SampleColumns::default()
    };
    let started = SampleColumns { starts_ms: vec![START_MS - 5; 400], ..floats(|i| (2 * i) as f64) };
    let mut all = vec![
        plain("constant", floats(|_| 1.5)),
        plain("counter", floats(|i| (i * i * 7) as f64)),
        plain("decimals", floats(|i| (5_000 + (i * 37) % 1_000) as f64 / 100.0)),
        plain("mixed", mixed),
        plain("noise", floats(noise)),
        plain("odd", floats(odd)),
        plain("slow", floats(|i| (i / 50) as f64)),
        plain("started", started),
        SeriesInput {
            labels: labels(&[("__name__", "exponential"), ("ключ", "значение")]),
            columns: exponential,
            exemplars: (0..5).map(exemplar).collect(),
        },
    ];
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all
}

fn metadata() -> StoredMetadata {
    let metadata = Metadata {
        metric: "counter".into(),
        kind: MetricType::Counter,
        unit: "bytes".into(),
        help: "Bytes sent.".into(),
    };
    StoredMetadata { metadata, seen_ms: START_MS }
}

fn spec(level: u8) -> SegmentSpec {
    SegmentSpec {
        id: SegmentId(1 + u64::from(level)),
        tenant: TenantId::default_tenant(),
        signal: Signal::Metrics,
        day: (START_MS / 86_400_000) as i32,
        level,
        min_seq: 1,
        max_seq: 9,
        created_ms: START_MS,
        tombstones_applied: 0,
    }
}

/// What the manifest would say.
fn meta(level: u8) -> SegmentMeta {
    let spec = spec(level);
    SegmentMeta {
        id: spec.id,
        tenant: spec.tenant,
        signal: spec.signal,
        day: spec.day,
        level,
        min_t_ms: START_MS,
        max_t_ms: times(400)[399],
        min_seq: spec.min_seq,
        max_seq: spec.max_seq,
        series: series().len() as u64,
        samples: series().iter().map(|s| s.columns.len() as u64).sum(),
        bytes: 0,
        created_ms: spec.created_ms,
        tombstones_applied: 0,
    }
}

fn fixture(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/metrics-v{version}"))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("fixture") {
        let entry = entry.expect("entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

fn assert_same(got: SampleColumns, want: SampleColumns, series: &Labels) {
    let split = |mut columns: SampleColumns| {
        let values = std::mem::take(&mut columns.values);
        (values.into_iter().map(f64::to_bits).collect::<Vec<_>>(), columns)
    };
    assert_eq!(split(got), split(want), "{series}");
}

#[test]
fn version_1_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    copy(&fixture(1), folder.path());
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).expect("lock"));
    for level in LEVELS {
        let segment = Segment::open(disk.clone(), meta(level), Arc::new(TableCache::new(1 << 20)));
        assert_eq!(segment.metadata().expect("metadata"), [metadata()]);
        assert_eq!(segment.rows().expect("rows") as usize, series().len());
        for (row, want) in series().into_iter().enumerate() {
            let row = row as u32;
            assert_eq!(segment.labels(row).expect("labels"), want.labels);
            let mut got = SampleColumns::default();
            segment.read(row, TimeRange::ALL, &mut got).expect("samples");
            assert_same(got, want.columns, &want.labels);
            assert_eq!(segment.exemplars(row, TimeRange::ALL).expect("exemplars"), want.exemplars);
        }
        let matcher = Matcher::new("__name__", MatchOp::Regex, "c.*|odd").expect("compiles");
        let rows = segment.select(&[matcher], TimeRange::ALL).expect("rows");
        let labels = rows.iter().map(|&row| segment.labels(row).expect("labels"));
        let names: Vec<String> = labels.map(|l| l.metric_name().unwrap_or("").to_owned()).collect();
        assert_eq!(names, ["constant", "counter", "odd"]);
    }
}

/// `WRITE_FIXTURES=1` keeps what is written here: run so once when the format gets a new version.
#[test]
fn the_fixture_of_this_version_stays_small() {
    let folder = tempfile::tempdir().expect("folder");
    let disk = RealDisk::open(folder.path()).expect("lock");
    for level in LEVELS {
        let meta = write_segment(&disk, &spec(level), &mut series().into_iter().map(Ok), &[metadata()]);
        let bytes = meta.expect("written").expect("not empty").bytes;
        assert!(bytes < 64 << 10, "{bytes}");
    }
    if std::env::var_os("WRITE_FIXTURES").is_some() {
        copy(&folder.path().join("tenants"), &fixture(1).join("tenants"));
    }
}
