//! The protobuf exposition, encoded by another implementation than ours.

use model::CounterResetHint;
use prost::Message;

use super::*;

#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
    #[prost(string, tag = "5")]
    unit: String,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Number>,
    #[prost(message, optional, tag = "4")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
    #[prost(int64, tag = "6")]
    timestamp_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Number {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(message, optional, tag = "2")]
    exemplar: Option<Exemplar>,
    #[prost(message, optional, tag = "3")]
    created: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(message, optional, tag = "3")]
    timestamp: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "2")]
    sum: f64,
    #[prost(message, repeated, tag = "3")]
    quantile: Vec<Quantile>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Quantile {
    #[prost(double, tag = "1")]
    quantile: f64,
    #[prost(double, tag = "2")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "2")]
    sum: f64,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, tag = "5")]
    schema: i32,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
    #[prost(message, optional, tag = "15")]
    created: Option<Timestamp>,
    #[prost(message, repeated, tag = "16")]
    exemplars: Vec<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "2")]
    bound: f64,
    #[prost(message, optional, tag = "3")]
    exemplar: Option<Exemplar>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct BucketSpan {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

fn label(name: &str, value: &str) -> LabelPair {
    LabelPair { name: name.into(), value: value.into() }
}

fn at_ms(ms: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: ms / 1000, nanos: (ms % 1000) as i32 * 1_000_000 })
}

fn exemplar(value: f64) -> Exemplar {
    Exemplar { label: vec![label("trace_id", "x")], value, timestamp: at_ms(900) }
}

fn family(kind: i32, metric: Vec<Metric>) -> MetricFamily {
    MetricFamily { name: "m".into(), help: "About m.".into(), kind, metric, unit: "s".into() }
}

fn run(keep_classic: bool, families: &[MetricFamily]) -> Decoded {
    let body: Vec<u8> = families.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
    let context = Context { keep_classic, ..Context::import(Format::Protobuf, NOW) };
    decode(body, &context).expect("decodes")
}

#[test]
fn numbers_and_summaries() {
    let number = Number { value: 2.0, exemplar: Some(exemplar(1.0)), created: at_ms(500) };
    let counter =
        Metric { label: vec![label("a", "b")], counter: Some(number), timestamp_ms: 7, ..Metric::default() };
    let gauge = Metric { gauge: Some(Number { value: -1.0, ..Number::default() }), ..Metric::default() };
    let quantile = vec![Quantile { quantile: 1.0, value: 9.0 }];
    let summary = Metric { summary: Some(Summary { count: 3, sum: 4.0, quantile }), ..Metric::default() };
    let decoded = run(false, &[family(0, vec![counter]), family(1, vec![gauge]), family(2, vec![summary])]);
    let want = [
        "m{a=\"b\"} 2@7<500 # {trace_id=\"x\"} 1@900",
        "m -1@1000",
        "m_count 3@1000",
        "m_sum 4@1000",
        "m{quantile=\"1.0\"} 9@1000",
    ];
    assert_eq!(lines(&decoded), want);
    let kinds: Vec<_> = decoded.batch.metadata.iter().map(|m| (m.kind, m.unit.as_str())).collect();
    assert_eq!(kinds, [(MetricType::Counter, "s"), (MetricType::Gauge, "s"), (MetricType::Summary, "s")]);
}

fn histogram() -> Histogram {
    let buckets = vec![Bucket { count: 2, bound: 1.0, exemplar: Some(exemplar(0.5)) }];
    Histogram { count: 3, sum: 4.0, bucket: buckets, created: at_ms(500), ..Histogram::default() }
}

fn metric(histogram: Histogram) -> Metric {
    Metric { histogram: Some(histogram), ..Metric::default() }
}

#[test]
fn classic_histograms_get_the_bucket_they_leave_out() {
    let want = [
        "m_count 3@1000<500",
        "m_sum 4@1000<500",
        "m_bucket{le=\"1.0\"} 2@1000<500 # {trace_id=\"x\"} 0.5@900",
        "m_bucket{le=\"+Inf\"} 3@1000<500",
    ];
    assert_eq!(lines(&run(false, &[family(4, vec![metric(histogram())])])), want);
}

#[test]
fn native_histograms_come_alone_or_with_their_classic_form() {
    let native = Histogram {
        schema: 3,
        zero_threshold: 0.001,
        zero_count: 1,
        positive_span: vec![BucketSpan { offset: 2, length: 2 }],
        positive_delta: vec![1, 0],
        exemplars: vec![exemplar(0.25)],
        ..histogram()
    };
    let decoded = run(false, &[family(5, vec![metric(native.clone())])]);
    assert_eq!(lines(&decoded), ["m h(3,4)@1000<500 # {trace_id=\"x\"} 0.25@900"]);
    let h = &decoded.batch.histograms[0].1;
    assert_eq!(
        (h.positive_buckets.as_slice(), h.counter_reset_hint),
        (&[1.0, 1.0][..], CounterResetHint::Gauge)
    );
    assert_eq!(lines(&run(true, &[family(4, vec![metric(native)])])).len(), 5);
}

#[test]
fn an_empty_native_histogram_is_told_from_a_classic_one_by_its_span() {
    let span = vec![BucketSpan { offset: 0, length: 0 }];
    let empty = Histogram { count: 0, bucket: vec![], positive_span: span, ..histogram() };
    assert_eq!(lines(&run(false, &[family(4, vec![metric(empty)])])), ["m h(0,4)@1000<500"]);
}

#[test]
fn a_bad_histogram_costs_its_metric() {
    let bad = Histogram { schema: 20, zero_count: 1, ..histogram() };
    let decoded = run(true, &[family(4, vec![metric(bad), metric(histogram())])]);
    assert_eq!(
        (lines(&decoded).len(), refusals(&decoded)),
        (4, vec!["0 metric invalid_histogram 1".to_owned()])
    );
}

#[test]
fn a_body_that_is_cut_short_is_refused() {
    let body = family(4, vec![metric(histogram())]).encode_length_delimited_to_vec();
    for cut in 1..body.len() {
        let result = decode(body[..cut].to_vec(), &Context::import(Format::Protobuf, NOW));
        assert!(result.is_err(), "cut at {cut}");
    }
}
