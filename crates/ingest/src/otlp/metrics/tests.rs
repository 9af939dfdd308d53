mod encoding; // damage, depth, JSON
mod translation; // names, resources, scopes

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::*;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::*;
use crate::testing::{lines, refusals};

const RECEIVED: i64 = 1_700_000_000_000;
/// One millisecond.
const MS: u64 = 1_000_000;

fn text(value: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(any_value::Value::StringValue(value.into())) })
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let one = |(key, value): &(&str, &str)| KeyValue {
        key: key.to_string(),
        value: text(value),
        ..Default::default()
    };
    pairs.iter().map(one).collect()
}

fn metric(name: &str, unit: &str, data: metric::Data) -> Metric {
    Metric {
        name: name.into(),
        unit: unit.into(),
        description: "About it.".into(),
        data: Some(data),
        ..Metric::default()
    }
}

fn request_of(resource: &[(&str, &str)], metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope = InstrumentationScope {
        name: "lib".into(),
        version: "1.0".into(),
        attributes: attributes(&[("a.b", "c")]),
        ..Default::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes: attributes(resource), ..Default::default() }),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, schema_url: "url".into() }],
            schema_url: String::new(),
        }],
    }
}

fn run(request: &ExportMetricsServiceRequest, settings: Settings) -> Decoded {
    let context = Context { received_at_ms: RECEIVED, settings };
    decode(request.encode_to_vec(), Encoding::Protobuf, &context).expect("decodes")
}

/// Decodes one metric of a resource without attributes.
fn one(metric: Metric) -> Decoded {
    run(&request_of(&[], vec![metric]), Settings::default())
}

fn number(value: f64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(&[("http.method", "GET")]),
        start_time_unix_nano: 5 * MS,
        time_unix_nano: 10 * MS,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..Default::default()
    }
}

fn gauge(points: Vec<NumberDataPoint>) -> metric::Data {
    metric::Data::Gauge(Gauge { data_points: points })
}

fn sum(points: Vec<NumberDataPoint>, temporality: i32, is_monotonic: bool) -> metric::Data {
    metric::Data::Sum(Sum { data_points: points, aggregation_temporality: temporality, is_monotonic })
}

const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

#[test]
fn numbers_are_one_series_each() {
    let integer = NumberDataPoint { value: Some(number_data_point::Value::AsInt(-3)), ..number(0.0) };
    let decoded = one(metric("temp", "Cel", gauge(vec![number(1.5), integer])));
    let want = ["temp_celsius{http_method=\"GET\"} 1.5@10", "temp_celsius{http_method=\"GET\"} -3@10"];
    assert_eq!(lines(&decoded), want);
    assert!(decoded.deltas.is_empty());
    let decoded = one(metric("requests", "1", sum(vec![number(2.0)], CUMULATIVE, true)));
    assert_eq!(lines(&decoded), ["requests_total{http_method=\"GET\"} 2@10<5"]);
    assert!(decoded.deltas.is_empty());
}

#[test]
fn delta_points_are_marked() {
    let metrics = vec![
        metric("a", "", sum(vec![number(1.0)], CUMULATIVE, true)),
        metric("b", "", sum(vec![number(1.0), number(2.0)], DELTA, true)),
        metric("c", "", sum(vec![number(1.0)], DELTA, false)),
        metric("d", "", gauge(vec![number(1.0)])),
    ];
    let decoded = run(&request_of(&[], metrics), Settings::default());
    assert_eq!(decoded.deltas, [crate::DeltaRows { rows: 1..4, kind: crate::DeltaKind::Interval }]);
}

#[test]
fn a_point_without_time_has_the_servers() {
    let point = NumberDataPoint { time_unix_nano: 0, ..number(1.0) };
    let decoded = one(metric("a", "", gauge(vec![point])));
    assert_eq!(decoded.batch.points[0].t_ms, RECEIVED);
}

fn histogram() -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: attributes(&[("le", "mine"), ("k", "v")]),
        start_time_unix_nano: 5 * MS,
        time_unix_nano: 10 * MS,
        count: 6,
        sum: Some(1.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.1, 1.0],
        ..Default::default()
    }
}

fn histogram_metric(point: HistogramDataPoint, temporality: i32) -> Metric {
    let histogram = Histogram { data_points: vec![point], aggregation_temporality: temporality };
    metric("d", "s", metric::Data::Histogram(histogram))
}

fn exemplar(value: f64) -> Exemplar {
    Exemplar {
        filtered_attributes: attributes(&[("user", "x")]),
        time_unix_nano: 9 * MS,
        value: Some(exemplar::Value::AsDouble(value)),
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
    }
}

#[test]
fn histograms_become_classic_series() {
    let point = HistogramDataPoint { exemplars: vec![exemplar(7.0), exemplar(0.1)], ..histogram() };
    let ids = "span_id=\"0102030405060708\", trace_id=\"0102030405060708090a0b0c0d0e0f10\", user=\"x\"";
    let decoded = one(histogram_metric(point, CUMULATIVE));
    let want = [
        "d_seconds_sum{k=\"v\", le=\"mine\"} 1.5@10<5".to_owned(),
        "d_seconds_count{k=\"v\", le=\"mine\"} 6@10<5".into(),
        format!("d_seconds_bucket{{k=\"v\", le=\"0.1\"}} 1@10<5 # {{{ids}}} 0.1@9"),
        "d_seconds_bucket{k=\"v\", le=\"1\"} 3@10<5".into(),
        format!("d_seconds_bucket{{k=\"v\", le=\"+Inf\"}} 6@10<5 # {{{ids}}} 7@9"),
    ];
    assert_eq!(lines(&decoded), want);
    assert_eq!(one(histogram_metric(histogram(), DELTA)).deltas[0].rows, 0..5);
}

#[test]
fn a_histogram_without_sum_or_buckets_has_none() {
    let point =
        HistogramDataPoint { sum: None, bucket_counts: vec![], explicit_bounds: vec![], ..histogram() };
    let decoded = one(histogram_metric(point, CUMULATIVE));
    let names: Vec<_> = lines(&decoded).into_iter().map(|l| l.split('{').next().map(str::to_owned)).collect();
    assert_eq!(names, [Some("d_seconds_count".into()), Some("d_seconds_bucket".into())]);
}

#[test]
fn bad_histograms_are_refused_and_their_neighbours_kept() {
    let bad = HistogramDataPoint { bucket_counts: vec![1], ..histogram() };
    let unordered = HistogramDataPoint { explicit_bounds: vec![1.0, 0.1], ..histogram() };
    let nan = HistogramDataPoint { explicit_bounds: vec![0.1, f64::NAN], ..histogram() };
    let data_points = vec![bad, unordered, nan, histogram()];
    let data = metric::Data::Histogram(Histogram { data_points, aggregation_temporality: CUMULATIVE });
    let decoded = one(metric("d", "s", data));
    assert_eq!(decoded.batch.series.len(), 5);
    assert_eq!(decoded.batch.series[0].index, 3);
    let want = [
        "0 bucket_counts invalid_histogram 1",
        "1 explicit_bounds invalid_histogram 1",
        "2 explicit_bounds invalid_histogram 1",
    ];
    assert_eq!(refusals(&decoded), want);
}

#[test]
fn exponential_histograms_become_native_ones() {
    let buckets = |offset, counts: &[u64]| {
        Some(exponential_histogram_data_point::Buckets { offset, bucket_counts: counts.to_vec() })
    };
    let point = |scale| ExponentialHistogramDataPoint {
        time_unix_nano: 10 * MS,
        start_time_unix_nano: 5 * MS,
        count: 7,
        sum: Some(2.5),
        scale,
        zero_count: 1,
        positive: buckets(-1, &[1, 2]),
        negative: buckets(0, &[3]),
        exemplars: vec![exemplar(1.0)],
        ..Default::default()
    };
    let data_points = vec![point(3), point(-5)];
    let histogram = ExponentialHistogram { data_points, aggregation_temporality: DELTA };
    let decoded = one(metric("d", "s", metric::Data::ExponentialHistogram(histogram)));
    assert!(lines(&decoded)[0].starts_with("d_seconds h(7,2.5)@10<5 # {"));
    let h = &decoded.batch.histograms[0].1;
    assert_eq!((h.schema, h.zero_count, h.zero_threshold), (3, 1.0, 1e-128));
    assert_eq!((h.positive_buckets.as_slice(), h.negative_buckets.as_slice()), (&[1.0, 2.0][..], &[3.0][..]));
    assert_eq!((h.positive_spans[0].offset, h.negative_spans[0].offset), (0, 1));
    assert_eq!(refusals(&decoded), ["1 buckets unsupported 1"]);
    assert_eq!(decoded.deltas[0].rows, 0..1);
}

#[test]
fn summaries_become_quantiles_sum_and_count() {
    let value = |quantile, value| summary_data_point::ValueAtQuantile { quantile, value };
    let point = SummaryDataPoint {
        time_unix_nano: 10 * MS,
        count: 4,
        sum: 2.0,
        quantile_values: vec![value(0.5, 0.25), value(1.0, 1.5)],
        ..Default::default()
    };
    let decoded = one(metric("d", "s", metric::Data::Summary(Summary { data_points: vec![point] })));
    let want = [
        "d_seconds_sum 2@10",
        "d_seconds_count 4@10",
        "d_seconds{quantile=\"0.5\"} 0.25@10",
        "d_seconds{quantile=\"1\"} 1.5@10",
    ];
    assert_eq!(lines(&decoded), want);
}

#[test]
fn the_flag_for_no_recorded_value_is_a_stale_marker() {
    let flagged = NumberDataPoint { flags: 1, value: None, ..number(0.0) };
    let decoded = one(metric("a", "", sum(vec![flagged], DELTA, true)));
    assert_eq!(lines(&decoded), ["a_total{http_method=\"GET\"} stale@10<5"]);
    assert!(decoded.deltas.is_empty());
    let point = HistogramDataPoint { flags: 1, ..histogram() };
    assert!(lines(&one(histogram_metric(point, CUMULATIVE))).iter().all(|line| line.contains("stale@10")));
}

#[test]
fn what_has_no_value_temporality_or_name_is_refused() {
    let empty = NumberDataPoint { value: None, ..number(0.0) };
    assert_eq!(refusals(&one(metric("a", "", gauge(vec![empty])))), ["0 value invalid_value 1"]);
    let unspecified = one(metric("a", "", sum(vec![number(1.0), number(2.0)], 0, true)));
    let want = ["0 aggregation_temporality invalid_value 1", "1 aggregation_temporality invalid_value 1"];
    assert_eq!(refusals(&unspecified), want);
    for name in ["", "...", "ключ"] {
        assert_eq!(refusals(&one(metric(name, "", gauge(vec![number(1.0)])))), ["0 name invalid_labels 1"]);
    }
}

#[test]
fn an_exemplar_that_is_too_long_keeps_its_ids() {
    let long = Exemplar { filtered_attributes: attributes(&[("user", &"x".repeat(200))]), ..exemplar(1.0) };
    let nameless = Exemplar { trace_id: vec![], span_id: vec![0; 8], ..long.clone() };
    let point = NumberDataPoint { exemplars: vec![long, nameless], ..number(1.0) };
    let decoded = one(metric("a", "", gauge(vec![point])));
    assert_eq!(decoded.batch.exemplars.len(), 1);
    assert_eq!(decoded.batch.exemplars[0].labels.iter().count(), 2);
    assert_eq!(refusals(&decoded), ["0 exemplars invalid_labels 0"]);
}

#[test]
fn buckets_and_attributes_cannot_multiply_without_bound() {
    let keys: Vec<String> = (0..500).map(|i| format!("k{i}")).collect();
    let pairs: Vec<_> = keys.iter().map(|k| (k.as_str(), "v")).collect();
    let point = HistogramDataPoint {
        attributes: attributes(&pairs),
        bucket_counts: vec![0; 100_001],
        explicit_bounds: (0..100_000).map(f64::from).collect(),
        ..histogram()
    };
    let decoded = one(histogram_metric(point, CUMULATIVE));
    assert_eq!(refusals(&decoded), ["0 attributes too_many_labels 1"]);
}
