use proptest::prelude::*;

use super::*;

fn json(body: &str) -> Result<Decoded, DecodeError> {
    let context = Context { received_at_ms: RECEIVED, settings: Settings::default() };
    decode(body.as_bytes().to_vec(), Encoding::Json, &context)
}

#[test]
fn a_content_type_names_the_encoding() {
    for (content_type, want) in [
        ("application/x-protobuf", Some(Encoding::Protobuf)),
        ("application/json; charset=utf-8", Some(Encoding::Json)),
        ("text/plain", None),
        ("", None),
    ] {
        assert_eq!(Encoding::of_content_type(content_type), want, "{content_type}");
    }
}

#[test]
fn json_reads_as_protobuf_does() {
    let body = r#"{"resourceMetrics":[{
        "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeMetrics":[{"scope":{"name":"lib"},"metrics":[
          {"name":"a","unit":"1","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
            {"asInt":"12","timeUnixNano":"10000000","startTimeUnixNano":5000000,
             "attributes":[{"key":"n","value":{"intValue":"7"}},{"key":"b","value":{"boolValue":true}}],
             "exemplars":[{"asDouble":1.5,"timeUnixNano":"9000000","traceId":"5B8EFFF798038103D269B633813FC60C",
                           "spanId":"EEE19B7EC3C1B174","filteredAttributes":[]}]}]}},
          {"name":"g","gauge":{"dataPoints":[{"asDouble":"NaN","timeUnixNano":"10000000","future":[{}]},
                                             {"asDouble":2,"timeUnixNano":"10000000","attributes":null}]}},
          {"name":"h","unit":"s","histogram":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA","dataPoints":[
            {"timeUnixNano":"10000000","count":"3","sum":4.5,"bucketCounts":["1","2"],"explicitBounds":[0.5]}]}},
          {"name":"e","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[
            {"timeUnixNano":"10000000","count":3,"scale":1,"zeroCount":"1",
             "positive":{"offset":-1,"bucketCounts":["2"]}}]}},
          {"name":"s","summary":{"dataPoints":[{"timeUnixNano":"10000000","count":"1","sum":2,
            "quantileValues":[{"quantile":0.5,"value":1}]}]}}
        ]}]}]}"#;
    let decoded = json(body).expect("decodes");
    let ids = "span_id=\"eee19b7ec3c1b174\", trace_id=\"5b8efff798038103d269b633813fc60c\"";
    let want = [
        format!("a_total{{b=\"true\", job=\"shop\", n=\"7\"}} 12@10<5 # {{{ids}}} 1.5@9"),
        "g{job=\"shop\"} NaN@10".into(),
        "g{job=\"shop\"} 2@10".into(),
        "h_seconds_sum{job=\"shop\"} 4.5@10".into(),
        "h_seconds_count{job=\"shop\"} 3@10".into(),
        "h_seconds_bucket{job=\"shop\", le=\"0.5\"} 1@10".into(),
        "h_seconds_bucket{job=\"shop\", le=\"+Inf\"} 3@10".into(),
        "e{job=\"shop\"} h(3,0)@10".into(),
        "s_sum{job=\"shop\"} 2@10".into(),
        "s_count{job=\"shop\"} 1@10".into(),
        "s{job=\"shop\", quantile=\"0.5\"} 1@10".into(),
    ];
    assert_eq!(lines(&decoded), want);
    assert_eq!(decoded.deltas[0].rows, 3..7);
}

#[test]
fn json_that_is_not_otlp_is_refused_whole() {
    for body in ["", "[]", "{", r#"{"resourceMetrics":3}"#, r#"{"resourceMetrics":[3]}"#] {
        assert!(matches!(json(body), Err(DecodeError::Malformed(_))), "{body}");
    }
    assert_eq!(json("{}").expect("empty").batch.series.len(), 0);
    assert_eq!(json(r#"{"resourceMetrics":null}"#).expect("empty").batch.series.len(), 0);
}

#[test]
fn an_odd_point_costs_itself_and_names_its_field() {
    let points = r#"{"timeUnixNano":"10000000","asInt":2},{"timeUnixNano":-1,"asInt":3}"#;
    let gauge = format!(r#"{{"name":"g","gauge":{{"dataPoints":[{points}]}}}}"#);
    let body = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{gauge}]}}]}}]}}"#);
    let decoded = json(&body).expect("decodes");
    assert_eq!(lines(&decoded), ["g 2@10"]);
    let refused = &decoded.refusals.detailed()[0];
    assert_eq!((refused.index, refused.field.as_str()), (1, "timeUnixNano"));
}

#[test]
fn json_of_empty_objects_is_refused_before_it_is_read() {
    let body = format!(r#"{{"resourceMetrics":[{}{{}}]}}"#, "{},".repeat(100_000));
    assert!(matches!(json(&body), Err(DecodeError::TooLarge(_))));
}

/// An array in an array, and so on.
fn nested(depth: usize) -> AnyValue {
    let mut value = AnyValue { value: Some(any_value::Value::IntValue(1)) };
    for _ in 0..depth {
        let values = vec![value];
        let array = opentelemetry_proto::tonic::common::v1::ArrayValue { values };
        value = AnyValue { value: Some(any_value::Value::ArrayValue(array)) };
    }
    value
}

#[test]
fn nesting_is_bounded_and_costs_its_point() {
    for (depth, want) in [(16, 1), (17, 0), (5_000, 0)] {
        let attribute = KeyValue { key: "k".into(), value: Some(nested(depth)), ..Default::default() };
        let point = NumberDataPoint { attributes: vec![attribute], ..number(1.0) };
        let request = request_of(&[], vec![metric("a", "", gauge(vec![point]))]);
        let decoded = run(&request, Settings::default());
        assert_eq!(decoded.batch.series.len(), want, "{depth}");
        assert_eq!(decoded.refusals.items(), 1 - want, "{depth}");
        // The value must not be dropped recursively at full depth on a small stack.
        std::mem::forget(request);
    }
}

#[test]
fn a_damaged_point_costs_itself_and_a_cut_request_everything() {
    let request = request_of(&[], vec![metric("a", "", gauge(vec![number(1.0), number(2.0)]))]);
    let whole = request.encode_to_vec();
    let context = Context::default();
    for cut in 1..whole.len() {
        let result = decode(whole[..cut].to_vec(), Encoding::Protobuf, &context);
        assert!(result.is_err(), "cut at {cut}");
    }
    // The length of the second point's attribute, made to reach behind the point.
    let at = whole.windows(2).rposition(|two| two == [0x3a, 20]).expect("an attribute");
    let mut damaged = whole;
    damaged[at + 1] = 200;
    let decoded = decode(damaged, Encoding::Protobuf, &context).expect("the rest is whole");
    assert_eq!(
        (lines(&decoded).len(), refusals(&decoded)),
        (1, vec!["1 data_points malformed 1".to_owned()])
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body: Vec<u8>) {
        let context = Context::default();
        let _ = decode(body.clone(), Encoding::Protobuf, &context);
        let _ = decode(body, Encoding::Json, &context);
    }

    #[test]
    fn no_damage_makes_it_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let point = HistogramDataPoint { exemplars: vec![exemplar(0.5)], ..histogram() };
        let metrics = vec![histogram_metric(point, DELTA), metric("a", "", gauge(vec![number(1.0)]))];
        let mut body = request_of(&[("service.name", "s"), ("k", "v")], metrics).encode_to_vec();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let _ = decode(body, Encoding::Protobuf, &Context::default());
    }

    #[test]
    fn values_and_times_come_out_as_they_went_in(values in proptest::collection::vec((any::<f64>(), 1u64..1 << 62), 1..20)) {
        let point = |(value, t): &(f64, u64)| NumberDataPoint { time_unix_nano: *t, ..number(*value) };
        let decoded = one(metric("a", "", gauge(values.iter().map(point).collect())));
        let got: Vec<_> = decoded.batch.points.iter().map(|p| (p.value.to_bits(), p.t_ms)).collect();
        let want: Vec<_> = values.iter().map(|(v, t)| (v.to_bits(), (t / MS) as i64)).collect();
        prop_assert_eq!(got, want);
    }
}
