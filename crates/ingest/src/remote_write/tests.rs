mod proto; // the published messages, as an independent encoder

use model::{CounterResetHint, HistogramSpan, MetricType, Reason, is_stale};
use proptest::prelude::*;
use prost::Message;

use super::*;
use proto::*;

const CONTEXT: Context = Context { received_at_ms: 1_700_000_000_000 };

fn series(labels: &[(&str, &str)]) -> TimeSeries {
    let labels = labels.iter().map(|(n, v)| Label { name: n.to_string(), value: v.to_string() }).collect();
    TimeSeries { labels, ..TimeSeries::default() }
}

fn v1(request: &WriteRequest) -> Decoded {
    v1::decode(request.encode_to_vec(), &CONTEXT).expect("decodes")
}

fn v2(request: &Request) -> Decoded {
    v2::decode(request.encode_to_vec(), &CONTEXT).expect("decodes")
}

/// Every series as one line: labels, then its samples.
fn lines(decoded: &Decoded) -> Vec<String> {
    let batch = &decoded.batch;
    let text = |span: model::Span| String::from_utf8_lossy(span.of(&batch.text)).into_owned();
    let line = |row: &model::SeriesRow| {
        let mut line = format!("{}:", row.index);
        for label in &batch.labels[row.labels.start as usize..row.labels.end as usize] {
            line += &format!(" {}={}", text(label.name), text(label.value));
        }
        for i in row.points.clone() {
            let point = batch.points[i as usize];
            line += &format!(" {}@{}", point.value, point.t_ms);
            if let Some(start) = batch.starts_ms.get(i as usize) {
                line += &format!("<{start}");
            }
        }
        for i in row.histograms.clone() {
            let (t_ms, histogram) = &batch.histograms[i as usize];
            line += &format!(" h{}@{t_ms}", histogram.count);
            if let Some(start) = batch.histogram_starts_ms.get(i as usize) {
                line += &format!("<{start}");
            }
        }
        for exemplar in &batch.exemplars[row.exemplars.start as usize..row.exemplars.end as usize] {
            line += &format!(" # {} {}@{}", exemplar.labels, exemplar.value, exemplar.t_ms);
        }
        line
    };
    batch.series.iter().map(line).collect()
}

#[test]
fn a_content_type_names_the_version() {
    for (content_type, want) in [
        ("application/x-protobuf", Some(Version::V1)),
        ("application/x-protobuf;proto=prometheus.WriteRequest", Some(Version::V1)),
        ("application/x-protobuf; proto=io.prometheus.write.v2.Request", Some(Version::V2)),
        ("Application/X-Protobuf;charset=utf-8", Some(Version::V1)),
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", None),
        ("application/json", None),
        ("", None),
    ] {
        assert_eq!(Version::of_content_type(content_type), want, "{content_type:?}");
    }
}

#[test]
fn v1_series_come_out_as_they_went_in() {
    let mut up = series(&[("__name__", "up"), ("job", "node")]);
    up.samples = vec![Sample { value: 1.0, timestamp: 10 }, Sample { value: 0.0, timestamp: -5 }];
    let trace = Label { name: "trace_id".into(), value: "abc".into() };
    up.exemplars = vec![Exemplar { labels: vec![trace], value: 0.5, timestamp: 9 }];
    let metadata = MetricMetadata { kind: 1, family: "up".into(), help: "Is it?".into(), unit: "s".into() };
    let request = WriteRequest { timeseries: vec![up, series(&[("empty", "x")])], metadata: vec![metadata] };
    let decoded = v1(&request);
    assert_eq!(lines(&decoded), ["0: __name__=up job=node 1@10 0@-5 # {trace_id=\"abc\"} 0.5@9"]);
    let metadata = &decoded.batch.metadata[0];
    assert_eq!((metadata.kind, metadata.metric.as_str()), (MetricType::Counter, "up"));
    assert_eq!((metadata.help.as_str(), metadata.unit.as_str()), ("Is it?", "s"));
    assert!(decoded.refusals.is_empty());
}

#[test]
fn stale_markers_and_other_nans_keep_their_bits() {
    let mut s = series(&[("__name__", "up")]);
    s.samples = vec![
        Sample { value: model::STALE_NAN, timestamp: 1 },
        Sample { value: f64::from_bits(0x7ff8_0000_0000_0001), timestamp: 2 },
    ];
    let decoded = v1(&WriteRequest { timeseries: vec![s], metadata: vec![] });
    assert!(is_stale(decoded.batch.points[0].value));
    assert_eq!(decoded.batch.points[1].value.to_bits(), 0x7ff8_0000_0000_0001);
}

fn integer_histogram() -> Histogram {
    Histogram {
        count_int: Some(10),
        sum: 12.5,
        schema: 1,
        zero_threshold: 0.001,
        zero_count_int: Some(1),
        positive_spans: vec![BucketSpan { offset: -2, length: 2 }, BucketSpan { offset: 3, length: 1 }],
        positive_deltas: vec![3, -1, 2],
        reset_hint: 2,
        timestamp: 77,
        start_timestamp: 7,
        ..Histogram::default()
    }
}

#[test]
fn integer_histograms_become_absolute_floats() {
    let mut s = series(&[("__name__", "h")]);
    s.histograms = vec![integer_histogram()];
    let decoded = v1(&WriteRequest { timeseries: vec![s], metadata: vec![] });
    let (t_ms, h) = &decoded.batch.histograms[0];
    assert_eq!((*t_ms, h.count, h.sum, h.zero_count, h.schema), (77, 10.0, 12.5, 1.0, 1));
    assert_eq!(h.positive_buckets, [3.0, 2.0, 4.0]);
    assert_eq!(h.positive_spans[1], HistogramSpan { offset: 3, length: 1 });
    assert_eq!(h.counter_reset_hint, CounterResetHint::NotReset);
    assert_eq!(decoded.batch.histogram_starts_ms, [7]);
}

#[test]
fn float_and_custom_histograms_are_kept() {
    let custom = Histogram {
        count_float: Some(6.0),
        schema: -53,
        positive_spans: vec![BucketSpan { offset: 0, length: 3 }],
        positive_counts: vec![1.0, 2.0, 3.0],
        custom_values: vec![0.5, 1.0],
        ..Histogram::default()
    };
    let mut s = series(&[("__name__", "h")]);
    s.histograms = vec![custom];
    let decoded = v1(&WriteRequest { timeseries: vec![s], metadata: vec![] });
    let h = &decoded.batch.histograms[0].1;
    assert_eq!((h.positive_buckets.as_slice(), &*h.custom_bounds), (&[1.0, 2.0, 3.0][..], &[0.5, 1.0][..]));
}

#[test]
fn a_stale_histogram_is_the_marker_whatever_else_it_says() {
    let mut s = series(&[("__name__", "h")]);
    s.histograms =
        vec![Histogram { sum: model::STALE_NAN, positive_deltas: vec![1], ..Histogram::default() }];
    let decoded = v1(&WriteRequest { timeseries: vec![s], metadata: vec![] });
    assert!(decoded.batch.histograms[0].1.is_stale());
}

#[test]
fn a_bad_histogram_costs_its_series_and_no_other() {
    for (name, bad) in [
        ("schema", Histogram { schema: 9, ..integer_histogram() }),
        ("spans", Histogram { positive_deltas: vec![1], ..integer_histogram() }),
        ("negative", Histogram { positive_deltas: vec![-1, 0, 0], ..integer_histogram() }),
        ("custom", Histogram { custom_values: vec![1.0], ..integer_histogram() }),
    ] {
        let mut s = series(&[("__name__", "h")]);
        s.histograms = vec![bad.clone(), bad];
        let mut good = series(&[("__name__", "up")]);
        good.samples = vec![Sample { value: 1.0, timestamp: 10 }];
        let decoded = v1(&WriteRequest { timeseries: vec![s, good], metadata: vec![] });
        assert_eq!(lines(&decoded), ["1: __name__=up 1@10"], "{name}");
        let refusal = &decoded.refusals.detailed()[0];
        assert_eq!(
            (refusal.index, refusal.items, refusal.reason),
            (0, 2, Reason::InvalidHistogram),
            "{name}"
        );
    }
}

#[test]
fn an_exemplar_that_cannot_be_kept_costs_no_sample() {
    for (name, value) in [("trace_id", "x".repeat(200)), ("", "x".into())] {
        let mut s = series(&[("__name__", "up")]);
        s.samples = vec![Sample { value: 1.0, timestamp: 10 }];
        let label = Label { name: name.into(), value };
        s.exemplars = vec![Exemplar { labels: vec![label], value: 0.5, timestamp: 9 }];
        let decoded = v1(&WriteRequest { timeseries: vec![s], metadata: vec![] });
        assert_eq!(lines(&decoded), ["0: __name__=up 1@10"]);
        let refusal = &decoded.refusals.detailed()[0];
        assert_eq!((refusal.items, refusal.field.as_str()), (0, "exemplars"));
    }
}

#[test]
fn what_is_cut_short_is_refused_whole_and_what_is_bad_inside_alone() {
    let mut s = series(&[("__name__", "up")]);
    s.samples = vec![Sample { value: 1.0, timestamp: 10 }];
    let body = WriteRequest { timeseries: vec![s], metadata: vec![] }.encode_to_vec();
    let cut = v1::decode(body[..body.len() - 1].to_vec(), &CONTEXT);
    assert!(matches!(cut, Err(DecodeError::Malformed(_))), "{cut:?}");
    // A series of two bytes that end inside a label, then the good one.
    let mut mixed = vec![0x0a, 2, 0x0a, 9];
    mixed.extend_from_slice(&body);
    let decoded = v1::decode(mixed, &CONTEXT).expect("the outer message is whole");
    assert_eq!(lines(&decoded), ["1: __name__=up 1@10"]);
    assert_eq!(decoded.refusals.detailed()[0].reason, Reason::Malformed);
}

fn symbols() -> Vec<String> {
    ["", "__name__", "up", "job", "node", "Is it?", "s", "trace_id", "abc"].map(String::from).to_vec()
}

fn series2(refs: &[u32], samples: Vec<Sample2>) -> TimeSeries2 {
    TimeSeries2 { labels_refs: refs.to_vec(), samples, ..TimeSeries2::default() }
}

#[test]
fn v2_series_come_out_as_they_went_in() {
    let mut up = series2(&[1, 2, 3, 4], vec![Sample2 { value: 1.0, timestamp: 10, start_timestamp: 3 }]);
    up.exemplars = vec![Exemplar2 { labels_refs: vec![7, 8], value: 0.5, timestamp: 9 }];
    up.metadata = Some(Metadata2 { kind: 1, help_ref: 5, unit_ref: 6 });
    let mut histogram = series2(&[1, 2], vec![]);
    histogram.metadata = up.metadata;
    histogram.histograms = vec![integer_histogram()];
    let decoded = v2(&Request { symbols: symbols(), timeseries: vec![up, histogram] });
    let want = ["0: __name__=up job=node 1@10<3 # {trace_id=\"abc\"} 0.5@9", "1: __name__=up h10@77<7"];
    assert_eq!(lines(&decoded), want);
    assert_eq!(decoded.batch.metadata.len(), 1, "one name, described once");
    assert_eq!(decoded.batch.metadata[0].help, "Is it?");
}

#[test]
fn created_timestamps_of_the_drafts_fill_what_the_samples_leave_open() {
    let samples = vec![
        Sample2 { value: 1.0, timestamp: 10, start_timestamp: 3 },
        Sample2 { value: 2.0, timestamp: 11, start_timestamp: 0 },
    ];
    let plain = series2(&[1, 2], vec![Sample2 { value: 1.0, timestamp: 1, start_timestamp: 0 }]);
    let created = TimeSeries2 { created_timestamp: 5, ..series2(&[1, 2], samples) };
    let decoded = v2(&Request { symbols: symbols(), timeseries: vec![plain, created] });
    assert_eq!(decoded.batch.starts_ms, [0, 3, 5]);
}

#[test]
fn bad_references_cost_their_series_alone() {
    let sample = || vec![Sample2 { value: 1.0, timestamp: 10, start_timestamp: 0 }];
    let timeseries = vec![series2(&[1], sample()), series2(&[1, 99], sample()), series2(&[1, 2], sample())];
    let decoded = v2(&Request { symbols: symbols(), timeseries });
    assert_eq!(lines(&decoded), ["2: __name__=up 1@10"]);
    let refusals: Vec<_> = decoded.refusals.detailed().iter().map(|r| (r.index, r.field.as_str())).collect();
    assert_eq!(refusals, [(0, "labels_refs"), (1, "labels_refs")]);
}

#[test]
fn symbols_may_come_behind_the_series() {
    let good = series2(&[1, 2], vec![Sample2 { value: 1.0, timestamp: 10, start_timestamp: 0 }]);
    let mut body = Request { symbols: vec![], timeseries: vec![good] }.encode_to_vec();
    body.extend(Request { symbols: symbols(), timeseries: vec![] }.encode_to_vec());
    assert_eq!(lines(&v2::decode(body, &CONTEXT).expect("decodes")), ["0: __name__=up 1@10"]);
}

#[test]
fn a_table_of_symbols_cannot_be_blown_up_by_references() {
    let symbols = vec![String::new(), "x".repeat(1 << 20)];
    let one = TimeSeries2 {
        exemplars: vec![Exemplar2 { labels_refs: vec![1, 1], value: 0.0, timestamp: 0 }],
        metadata: Some(Metadata2 { kind: 1, help_ref: 1, unit_ref: 1 }),
        ..series2(&[1; 40], vec![Sample2::default()])
    };
    let request = Request { symbols, timeseries: vec![one; 10_000] };
    let result = v2::decode(request.encode_to_vec(), &CONTEXT);
    assert!(matches!(result, Err(DecodeError::TooLarge(_))));
}

fn any_series() -> impl Strategy<Value = TimeSeries> {
    let labels = proptest::collection::vec((".{0,8}", ".{0,8}"), 0..5);
    let samples = proptest::collection::vec((any::<f64>(), any::<i64>()), 1..4);
    (labels, samples).prop_map(|(labels, samples)| TimeSeries {
        labels: labels.into_iter().map(|(name, value)| Label { name, value }).collect(),
        samples: samples.into_iter().map(|(value, timestamp)| Sample { value, timestamp }).collect(),
        ..TimeSeries::default()
    })
}

proptest! {
    #[test]
    fn v1_round_trips(timeseries in proptest::collection::vec(any_series(), 0..8)) {
        let decoded = v1(&WriteRequest { timeseries: timeseries.clone(), metadata: vec![] });
        prop_assert_eq!(decoded.batch.series.len(), timeseries.len());
        for (row, want) in decoded.batch.series.iter().zip(&timeseries) {
            let labels = &decoded.batch.labels[row.labels.start as usize..row.labels.end as usize];
            let pairs: Vec<_> = labels
                .iter()
                .map(|l| (l.name.of(&decoded.batch.text), l.value.of(&decoded.batch.text)))
                .collect();
            let wanted: Vec<_> = want.labels.iter().map(|l| (l.name.as_bytes(), l.value.as_bytes())).collect();
            prop_assert_eq!(pairs, wanted);
            let points = &decoded.batch.points[row.points.start as usize..row.points.end as usize];
            prop_assert_eq!(points.len(), want.samples.len());
            for (point, sample) in points.iter().zip(&want.samples) {
                // The other encoder leaves -0 out, as it does every default.
                prop_assert_eq!((point.value + 0.0).to_bits(), (sample.value + 0.0).to_bits());
                prop_assert_eq!(point.t_ms, sample.timestamp);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(body: Vec<u8>) {
        let _ = v1::decode(body.clone(), &CONTEXT);
        let _ = v2::decode(body, &CONTEXT);
    }

    #[test]
    fn no_damage_makes_it_panic(at: prop::sample::Index, byte: u8) {
        let mut up = series(&[("__name__", "up"), ("job", "node")]);
        up.samples = vec![Sample { value: 1.0, timestamp: 10 }];
        up.histograms = vec![integer_histogram()];
        let mut body = WriteRequest { timeseries: vec![up], metadata: vec![] }.encode_to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        let _ = v1::decode(body, &CONTEXT);
        let mut two = series2(&[1, 2], vec![Sample2 { value: 1.0, timestamp: 10, start_timestamp: 3 }]);
        two.histograms = vec![integer_histogram()];
        let mut body = Request { symbols: symbols(), timeseries: vec![two] }.encode_to_vec();
        let at = at.min(body.len() - 1);
        body[at] = byte;
        let _ = v2::decode(body, &CONTEXT);
    }
}
