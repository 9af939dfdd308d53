use model::MetricType;

use super::*;

const RESOURCE: &[(&str, &str)] = &[
    ("service.name", "shop"),
    ("service.namespace", "eu"),
    ("service.instance.id", "pod-1"),
    ("host.name", "h1"),
];

fn gauges(settings: Settings, resource: &[(&str, &str)], point: &[(&str, &str)]) -> Vec<String> {
    let point = NumberDataPoint { attributes: attributes(point), ..number(1.0) };
    lines(&run(&request_of(resource, vec![metric("my.gauge", "By", gauge(vec![point]))]), settings))
}

#[test]
fn resources_are_job_instance_and_target_info() {
    let want = [
        "my_gauge_bytes{instance=\"pod-1\", job=\"eu/shop\"} 1@10",
        "target_info{host_name=\"h1\", instance=\"pod-1\", job=\"eu/shop\"} 1@10",
    ];
    assert_eq!(gauges(Settings::default(), RESOURCE, &[]), want);
}

#[test]
fn target_info_needs_an_identity_and_something_to_say() {
    for (resource, want) in [
        (&[("service.name", "shop")][..], 1),
        (&[("host.name", "h1")][..], 1),
        (&[("service.name", "shop"), ("host.name", "h1")][..], 2),
        (&[][..], 1),
    ] {
        assert_eq!(gauges(Settings::default(), resource, &[]).len(), want, "{resource:?}");
    }
}

#[test]
fn promoted_attributes_are_labels_unless_the_point_has_them() {
    let settings = Settings { promoted_attributes: vec!["host.name".into()], ..Settings::default() };
    let got = gauges(settings.clone(), RESOURCE, &[]);
    assert_eq!(got[0], "my_gauge_bytes{host_name=\"h1\", instance=\"pod-1\", job=\"eu/shop\"} 1@10");
    let got = gauges(settings, RESOURCE, &[("host.name", "own")]);
    assert_eq!(got[0], "my_gauge_bytes{host_name=\"own\", instance=\"pod-1\", job=\"eu/shop\"} 1@10");
    let all = Settings { promote_all: true, ..Settings::default() };
    assert!(gauges(all, RESOURCE, &[])[0].contains("service_name=\"shop\""));
}

#[test]
fn scopes_are_labels_on_request() {
    let settings = Settings { promote_scope: true, ..Settings::default() };
    let labels = "otel_scope_a_b=\"c\", otel_scope_name=\"lib\", otel_scope_schema_url=\"url\", otel_scope_version=\"1.0\"";
    assert_eq!(gauges(settings, &[], &[]), [format!("my_gauge_bytes{{{labels}}} 1@10")]);
}

#[test]
fn keys_that_collide_are_joined_in_order() {
    let got = gauges(Settings::default(), &[], &[("a_b", "3"), ("a.b", "2"), ("a-b", "1")]);
    assert_eq!(got, ["my_gauge_bytes{a_b=\"1;2;3\"} 1@10"]);
}

#[test]
fn joining_many_values_copies_each_once() {
    let value = "x".repeat(1000);
    let pairs = vec![("a.b", value.as_str()); 500];
    let point = NumberDataPoint { attributes: attributes(&pairs), ..number(1.0) };
    let request = request_of(&[], vec![metric("a", "", gauge(vec![point]))]);
    let decoded = run(&request, Settings::default());
    assert!(decoded.batch.text.len() < 3 * request.encoded_len());
}

#[test]
fn the_resources_identity_and_the_metrics_name_win() {
    let got = gauges(Settings::default(), &[("service.name", "shop")], &[("job", "mine"), ("__name__", "x")]);
    assert_eq!(got, ["my_gauge_bytes{job=\"shop\"} 1@10"]);
}

#[test]
fn without_translation_names_stay() {
    let settings = Settings { translation: Translation::Off, ..Settings::default() };
    let got = gauges(settings, &[("service.name", "shop"), ("host.name", "h")], &[("http.method", "GET")]);
    assert_eq!(got[0], "{\"my.gauge\", \"http.method\"=\"GET\", job=\"shop\"} 1@10");
    assert_eq!(got[1], "target_info{\"host.name\"=\"h\", job=\"shop\"} 1@10");
}

#[test]
fn values_of_any_kind_are_text() {
    use any_value::Value::*;
    let any = |value| Some(AnyValue { value: Some(value) });
    let list = |values: Vec<any_value::Value>| {
        let values = values.into_iter().map(|v| AnyValue { value: Some(v) }).collect();
        ArrayValue(opentelemetry_proto::tonic::common::v1::ArrayValue { values })
    };
    let map = opentelemetry_proto::tonic::common::v1::KeyValueList {
        values: attributes(&[("z", "1"), ("a", "2")]),
    };
    for (value, want) in [
        (any(StringValue("x".into())), "x"),
        (any(BoolValue(true)), "true"),
        (any(IntValue(-5)), "-5"),
        (any(DoubleValue(1.0)), "1"),
        (any(DoubleValue(1e300)), "1e+300"),
        (any(DoubleValue(0.5)), "0.5"),
        (any(BytesValue(vec![1, 2, 255])), "AQL/"),
        (
            any(list(vec![IntValue(1), StringValue("a\"".into()), BoolValue(false)])),
            "[1,\\\"a\\\\\\\"\\\",false]",
        ),
        (any(KvlistValue(map)), "{\\\"a\\\":\\\"2\\\",\\\"z\\\":\\\"1\\\"}"),
    ] {
        let attribute = KeyValue { key: "k".into(), value, ..Default::default() };
        let point = NumberDataPoint { attributes: vec![attribute], ..number(1.0) };
        let got = lines(&one(metric("a", "", gauge(vec![point]))));
        assert_eq!(got, [format!("a{{k=\"{want}\"}} 1@10")]);
    }
}

#[test]
fn metadata_says_type_unit_and_help() {
    let metrics = vec![
        metric("a", "s", sum(vec![number(1.0)], CUMULATIVE, true)),
        metric("b", "By/s", gauge(vec![number(1.0)])),
        histogram_metric(histogram(), CUMULATIVE),
    ];
    let decoded = run(&request_of(&[], metrics), Settings::default());
    let got: Vec<_> =
        decoded.batch.metadata.iter().map(|m| (m.metric.as_str(), m.kind, m.unit.as_str())).collect();
    let want = [
        ("a_seconds_total", MetricType::Counter, "seconds"),
        ("b_bytes_per_second", MetricType::Gauge, "bytes_per_second"),
        ("d_seconds", MetricType::Histogram, "seconds"),
    ];
    assert_eq!(got, want);
    assert_eq!(decoded.batch.metadata[0].help, "About it.");
}
