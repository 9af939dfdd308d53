//! What a write may hold beside floats, from staging to segments.

use model::{
    Exemplar, FloatHistogram, HistogramSpan, Labels, Metadata, MetricType, Point, Reason, SampleColumns,
    TimeRange,
};

use super::*;
use crate::disk::memory::MemoryDisk;

const NOW_MS: i64 = 1_700_000_000_000;

fn open(disk: &MemoryDisk) -> Engine {
    let settings = Settings { wal_file_bytes: 64 << 10, retention_ms: None, ..Settings::default() };
    let engine = Engine::open(Arc::new(disk.clone()), settings).expect("open");
    engine.replay_all().expect("replay");
    engine
}

fn append(engine: &Engine, batch: &MetricBatch) -> Staged {
    let tenant = TenantId::default_tenant();
    let staged = engine.append(&tenant, batch, &MetricLimits::default(), NOW_MS).expect("staged");
    engine.commit_once();
    staged
}

fn one(labels: &[(&str, &str)], value: f64) -> MetricBatch {
    let mut batch = MetricBatch::default();
    batch.push_float(labels.iter().copied(), Point { t_ms: NOW_MS, value });
    batch
}

#[test]
fn labels_in_another_order_or_with_empty_values_are_the_same_series() {
    let engine = open(&MemoryDisk::new());
    for (value, labels) in [
        &[("__name__", "up"), ("job", "a"), ("zone", "z")][..],
        &[("zone", "z"), ("job", "a"), ("__name__", "up")],
        &[("job", "a"), ("empty", ""), ("__name__", "up"), ("zone", "z")],
    ]
    .into_iter()
    .enumerate()
    {
        assert!(append(&engine, &one(labels, value as f64)).refusals.is_empty());
    }
    let series = engine.snapshot(&TenantId::default_tenant()).select(&[], TimeRange::ALL).expect("select");
    let mut columns = SampleColumns::default();
    series[0].read(TimeRange::ALL, &mut columns).expect("read");
    assert_eq!((series.len(), columns.values), (1, vec![2.0]));
    assert_eq!(engine.stats().active_series, 1);
}

#[test]
fn a_bad_series_is_refused_and_its_neighbours_are_stored() {
    let long = "x".repeat(20_000);
    for (labels, reason) in [
        (&[("job", "a")][..], Reason::InvalidLabels),
        (&[("__name__", "")], Reason::InvalidLabels),
        (&[("__name__", "a"), ("b", "1"), ("b", "2")], Reason::InvalidLabels),
        (&[("__name__", "a"), ("", "2")], Reason::InvalidLabels),
        (&[("__name__", long.as_str())], Reason::LabelTooLong),
        (&[("__name__", "a"), (long.as_str(), "v")], Reason::LabelTooLong),
        (&[("l", "v"); 129], Reason::TooManyLabels),
    ] {
        let engine = open(&MemoryDisk::new());
        let mut batch = one(labels, 1.0);
        batch.push_float([("__name__", "good")], Point { t_ms: NOW_MS, value: 1.0 });
        let staged = append(&engine, &batch);
        assert_eq!((staged.accepted, staged.refusals.counts()), (1, &[(reason, 1)][..]), "{labels:?}");
        let refusal = &staged.refusals.detailed()[0];
        assert!(refusal.index == 0 && refusal.message.len() < 500, "{refusal:?}");
    }
}

#[test]
fn histograms_starts_exemplars_and_metadata_survive_crash_flush_and_compaction() {
    let disk = MemoryDisk::new();
    let engine = open(&disk);
    let histogram = FloatHistogram {
        count: 3.0,
        sum: 4.5,
        positive_spans: vec![HistogramSpan { offset: 1, length: 2 }],
        positive_buckets: vec![1.0, 2.0],
        ..FloatHistogram::default()
    };
    let exemplar = Exemplar {
        t_ms: NOW_MS,
        value: 0.5,
        labels: Labels::from_pairs([("trace_id", "abc")]).expect("labels"),
    };
    let metadata = Metadata {
        metric: "h".into(),
        kind: MetricType::Histogram,
        unit: "seconds".into(),
        help: "Time.".into(),
    };
    let mut batch = MetricBatch::default();
    let row = batch.begin_series([("__name__", "h")]);
    batch.histograms.push((NOW_MS, Arc::new(histogram.clone())));
    batch.histogram_starts_ms.push(NOW_MS - 1000);
    let invalid = FloatHistogram { count: -1.0, ..histogram.clone() };
    batch.histograms.push((NOW_MS + 1, Arc::new(invalid)));
    batch.histogram_starts_ms.push(0);
    batch.points.push(Point { t_ms: NOW_MS + 2, value: 7.0 });
    batch.starts_ms.push(NOW_MS - 2000);
    batch.exemplars.push(exemplar.clone());
    batch.end_series(row);
    batch.metadata.push(metadata.clone());
    let staged = append(&engine, &batch);
    assert_eq!((staged.accepted, staged.refusals.counts()), (2, &[(Reason::InvalidHistogram, 1)][..]));
    let want = SampleColumns {
        t_ms: vec![NOW_MS + 2],
        values: vec![7.0],
        starts_ms: vec![NOW_MS - 2000],
        histogram_t_ms: vec![NOW_MS],
        histograms: vec![Arc::new(histogram)],
        histogram_starts_ms: vec![NOW_MS - 1000],
    };
    let check = |engine: &Engine| {
        let snapshot = engine.snapshot(&TenantId::default_tenant());
        let mut columns = SampleColumns::default();
        snapshot.select(&[], TimeRange::ALL).expect("select")[0]
            .read(TimeRange::ALL, &mut columns)
            .expect("read");
        assert_eq!(columns, want);
        let exemplars = snapshot.exemplars(&[], TimeRange::ALL).expect("exemplars");
        assert!(exemplars[0].1.iter().eq([&exemplar]));
        let stored = snapshot.metadata(Some("h")).expect("metadata");
        assert_eq!((&stored[0].metadata, stored[0].seen_ms), (&metadata, NOW_MS));
    };
    check(&engine);
    disk.crash(0);
    let engine = open(&disk);
    check(&engine);
    for round in 0..8 {
        engine.flush_all(NOW_MS).expect("flush");
        check(&engine);
        append(&engine, &one(&[("__name__", "other")], f64::from(round)));
    }
    engine.flush_all(NOW_MS).expect("flush");
    assert!(engine.compact_once(NOW_MS).expect("compact"));
    check(&engine);
    disk.crash(0);
    check(&open(&disk));
}

#[test]
fn series_that_nobody_sends_are_forgotten_when_no_head_has_them() {
    let engine = open(&MemoryDisk::new());
    append(&engine, &one(&[("__name__", "old")], 1.0));
    let later_ms = NOW_MS + 2 * 3600 * 1000;
    engine.tick(later_ms).expect("tick");
    assert_eq!(engine.stats().active_series, 1, "a head has it");
    engine.flush_all(later_ms).expect("flush");
    engine.tick(later_ms + 61_000).expect("tick");
    assert_eq!(engine.stats().active_series, 0);
    append(&engine, &one(&[("__name__", "old")], 2.0));
    let tenant = TenantId::default_tenant();
    assert_eq!(engine.snapshot(&tenant).select(&[], TimeRange::ALL).expect("select").len(), 1);
    assert_eq!(engine.cardinality(&tenant, 5).metrics, [("old".to_owned(), 1)]);
}
