use proptest::prelude::*;

use super::*;
use crate::testing::{lines, refusals};
use crate::{DeltaKind, DeltaRows};

fn context() -> Context {
    Context { received_at_ms: 1_000_000, future_ms_max: 1_000, default_tags: vec![] }
}

/// Decodes one item in a list.
fn one(item: &str) -> Decoded {
    decode(format!("[{item}]").as_bytes(), &context()).expect("JSON").decoded
}

#[track_caller]
fn accepts(item: &str, want: &[&str]) {
    let decoded = one(item);
    assert_eq!(refusals(&decoded), [] as [&str; 0], "{item}: {:?}", decoded.refusals.detailed());
    assert_eq!(lines(&decoded), want, "{item}");
}

#[test]
fn gauges_with_tags_and_times() {
    accepts(r#"{"name":"a","value":1.5}"#, &["a 1.5@1000000"]);
    accepts(r#"{"name":"http.req-rate","value":2,"timestamp":5}"#, &["http_req_rate 2@5"]);
    accepts(r#"{"name":"a","value":2,"timestamp":5.6}"#, &["a 2@6"]);
    accepts(r#"{"name":"a","value":2,"timestamp":"1970-01-01T00:00:01.5Z"}"#, &["a 2@1500"]);
    accepts(r#"{"name":"a","value":2,"timestamp":"1970-01-01T01:00:00+01:00","unit":"s"}"#, &["a 2@0"]);
    accepts(
        r#"{"name":"a","type":"gauge","value":-2,"tags":{"b":"c","n":1,"t":true,"no":null,"x.y":"z"}}"#,
        &["a{b=\"c\", n=\"1\", t=\"true\", x_y=\"z\"} -2@1000000"],
    );
    accepts(r#"{"name":"a","value":2,"timestamp":-86400000,"future":1}"#, &["a 2@-86400000"]);
}

#[test]
fn increments_and_observations_are_marked() {
    let body = r#"{"metrics":[
        {"name":"g","value":1},
        {"name":"c","type":"counter","value":2},
        {"name":"c","type":"counter","value":0},
        {"name":"h","type":"histogram","value":0.5},
        {"name":"s","type":"summary","value":3},
        {"name":"g","value":1}
    ]}"#;
    let decoded = decode(body.as_bytes(), &context()).expect("decodes").decoded;
    let want = [
        "g 1@1000000",
        "c 2@1000000",
        "c 0@1000000",
        "h h(1,0.5)@1000000",
        "s_sum 3@1000000",
        "s_count 1@1000000",
        "g 1@1000000",
    ];
    assert_eq!(lines(&decoded), want);
    assert_eq!(decoded.deltas, [DeltaRows { rows: 1..6, kind: DeltaKind::Event }]);
    assert_eq!(decoded.batch.series[6].index, 5);
}

#[test]
fn three_increments_make_three() {
    let body = r#"[{"name":"c","type":"counter","value":1},{"name":"c","type":"counter","value":1},
                   {"name":"c","type":"counter","value":1}]"#;
    let mut decoded = decode(body.as_bytes(), &context()).expect("decodes").decoded;
    let _ = crate::otlp::delta::DeltaState::default().accumulate(&mut decoded, 0, |_| None);
    assert_eq!(lines(&decoded).last().map(String::as_str), Some("c 3@1000000"));
}

#[test]
fn totals_are_classic_series() {
    accepts(
        r#"{"name":"h","type":"histogram","value":{"count":6,"sum":4.5,"buckets":{"1":3,"0.1":1}},"tags":{"a":"b"}}"#,
        &[
            "h_bucket{a=\"b\", le=\"0.1\"} 1@1000000",
            "h_bucket{a=\"b\", le=\"1\"} 3@1000000",
            "h_bucket{a=\"b\", le=\"+Inf\"} 6@1000000",
            "h_sum{a=\"b\"} 4.5@1000000",
            "h_count{a=\"b\"} 6@1000000",
        ],
    );
    accepts(
        r#"{"name":"h","type":"histogram","value":{"buckets":[{"le":"+Inf","count":2},{"le":1,"count":1}]}}"#,
        &["h_bucket{le=\"1\"} 1@1000000", "h_bucket{le=\"+Inf\"} 2@1000000", "h_count 2@1000000"],
    );
    accepts(
        r#"{"name":"s","type":"summary","value":{"count":4,"sum":2,"quantiles":{"0.5":0.25}}}"#,
        &["s{quantile=\"0.5\"} 0.25@1000000", "s_sum 2@1000000", "s_count 4@1000000"],
    );
}

#[test]
fn a_bad_item_costs_itself_and_names_its_field() {
    for (bad, want) in [
        (r#"3"#, "metrics malformed"),
        (r#"{"value":1}"#, "name invalid_labels"),
        (r#"{"name":"","value":1}"#, "name invalid_labels"),
        (r#"{"name":"1a","value":1}"#, "name invalid_labels"),
        (r#"{"name":"a b","value":1}"#, "name invalid_labels"),
        (r#"{"name":"é","value":1}"#, "name invalid_labels"),
        (r#"{"name":"a"}"#, "value invalid_value"),
        (r#"{"name":"a","value":null}"#, "value invalid_value"),
        (r#"{"name":"a","value":"NaN"}"#, "value invalid_value"),
        (r#"{"name":"a","value":{"count":1}}"#, "value invalid_value"),
        (r#"{"name":"a","type":"counter","value":-1}"#, "value invalid_value"),
        (r#"{"name":"a","type":"rate","value":1}"#, "type invalid_value"),
        (r#"{"name":"a","value":1,"timestamp":1002000}"#, "timestamp too_far_in_future"),
        (r#"{"name":"a","value":1,"timestamp":"9999-06-01T00:00:00Z"}"#, "timestamp too_far_in_future"),
        (r#"{"name":"a","value":1,"timestamp":"yesterday"}"#, "timestamp invalid_value"),
        (r#"{"name":"a","value":1,"timestamp":1e300}"#, "timestamp invalid_value"),
        (r#"{"name":"a","value":1,"timestamp":[]}"#, "timestamp invalid_value"),
        (r#"{"name":"a","value":1,"unit":1}"#, "unit invalid_value"),
        (r#"{"name":"a","value":1,"tags":[]}"#, "tags invalid_labels"),
        (r#"{"name":"a","value":1,"tags":{"a":{}}}"#, "tags invalid_labels"),
        (r#"{"name":"a","value":1,"tags":{"__name__":"b"}}"#, "tags invalid_labels"),
        (r#"{"name":"a","value":1,"tags":{"a.b":"1","a-b":"2"}}"#, "tags invalid_labels"),
        (r#"{"name":"a","type":"histogram","value":{"buckets":{"1":1}}}"#, "value invalid_histogram"),
        (
            r#"{"name":"a","type":"histogram","value":{"count":1,"buckets":{"1":2}}}"#,
            "value invalid_histogram",
        ),
        (
            r#"{"name":"a","type":"histogram","value":{"count":3,"buckets":{"1":2,"2":1}}}"#,
            "value invalid_histogram",
        ),
        (
            r#"{"name":"a","type":"histogram","value":{"count":3,"buckets":{"x":2}}}"#,
            "value invalid_histogram",
        ),
        (
            r#"{"name":"a","type":"histogram","value":{"count":3,"buckets":{"1":2,"1.0":2}}}"#,
            "value invalid_histogram",
        ),
        (r#"{"name":"a","type":"summary","value":{}}"#, "value invalid_histogram"),
        (r#"{"name":"a","type":"summary","value":{"quantiles":{"2":1}}}"#, "value invalid_histogram"),
    ] {
        let body = format!(r#"[{{"name":"good","value":1}},{bad}]"#);
        let request = decode(body.as_bytes(), &context()).expect("JSON");
        assert_eq!(lines(&request.decoded), ["good 1@1000000"], "{bad}");
        assert_eq!(refusals(&request.decoded), [format!("1 {want} 1")], "{bad}");
        assert_eq!(request.items, 2);
        let message = &request.decoded.refusals.detailed()[0].message;
        assert!(!message.is_empty() && message.len() < 400, "{message}");
    }
}

#[test]
fn both_forms_of_a_batch_and_the_flag() {
    let item = r#"{"name":"a","value":1}"#;
    for (body, transaction, items) in [
        (format!("[{item},{item}]"), false, 2),
        (format!(r#"{{"metrics":[{item}],"transaction":true}}"#), true, 1),
        (format!(r#"{{"transaction":false,"other":[1,{{}}],"metrics":[{item}]}}"#), false, 1),
        ("[]".into(), false, 0),
    ] {
        let request = decode(body.as_bytes(), &context()).expect("decodes");
        assert_eq!((request.transaction, request.items), (transaction, items), "{body}");
    }
    assert_eq!(lines(&decode_one(item.as_bytes(), &context()).expect("decodes")), ["a 1@1000000"]);
}

#[test]
fn what_is_not_a_batch_is_refused_whole() {
    let deep = "[".repeat(100_000);
    for body in [
        "",
        "3",
        "{}",
        r#"{"metrics":{}}"#,
        r#"{"metrics":[]"#,
        "[] x",
        r#"[{"name":"a","value":NaN}]"#,
        &deep,
    ] {
        assert!(matches!(decode(body.as_bytes(), &context()), Err(DecodeError::Malformed(_))));
    }
}

#[test]
fn default_tags_yield_to_own_ones() {
    let default_tags = vec![("env".to_owned(), "prod".to_owned()), ("service".to_owned(), "s".to_owned())];
    let context = Context { default_tags, ..context() };
    let body = br#"{"name":"a","value":1,"tags":{"env":"dev"}}"#;
    let decoded = decode_one(body, &context).expect("decodes");
    assert_eq!(lines(&decoded), ["a{env=\"dev\", service=\"s\"} 1@1000000"]);
}

#[test]
fn metadata_says_type_and_unit() {
    let metadata = one(r#"{"name":"a.b","type":"counter","value":1,"unit":"bytes"}"#).batch.metadata;
    let got: Vec<_> =
        metadata.iter().map(|m| (m.metric.as_str(), m.kind.as_str(), m.unit.as_str())).collect();
    assert_eq!(got, [("a_b", "counter", "bytes")]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body: Vec<u8>) {
        let _ = decode(&body, &context());
        let _ = decode_one(&body, &context());
    }

    #[test]
    fn values_come_out_as_they_went_in(value in -1e300f64..1e300, t in -1_000_000_000i64..1_000_000) {
        let item = serde_json::json!({ "name": "a", "value": value, "timestamp": t });
        let decoded = decode_one(item.to_string().as_bytes(), &context()).expect("decodes");
        let point = decoded.batch.points[0];
        prop_assert_eq!((point.value, point.t_ms), (value, t));
    }
}
