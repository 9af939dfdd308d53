use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Map, Value, json};

use super::{Encoding, decode};
use crate::otlp::oracle::{self, RECEIVED_NS, attributes, deep, hex, id, key_value, ns, text, time};
use crate::records::{Context, severity_of_word, severity_text};
use crate::testing::{row_refusals, rows};
use crate::{DecodeError, DecodedRecords};

const CONTEXT: Context = Context { received_at_ns: RECEIVED_NS };

fn run(request: &ExportLogsServiceRequest) -> DecodedRecords {
    decode(request.encode_to_vec(), Encoding::Protobuf, &CONTEXT).expect("decodes")
}

fn json(body: &str) -> Result<DecodedRecords, DecodeError> {
    decode(body.as_bytes().to_vec(), Encoding::Json, &CONTEXT)
}

fn request_of(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { log_records, ..Default::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] }
}

fn string(text: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(any_value::Value::StringValue(text.into())) })
}

fn log_record() -> impl Strategy<Value = LogRecord> {
    let severity = prop_oneof![Just(String::new()), Just("WARN".into()), Just("err".into()), text()];
    let ids = (id(16), id(8), prop_oneof![Just(0), any::<u32>()], prop_oneof![Just(0), any::<u32>()]);
    let texts = (severity, -3..30, prop_oneof![Just(String::new()), text()]);
    (time(), time(), texts, oracle::any_value(), attributes(), ids).prop_map(
        |(time, observed, (severity_text, severity_number, event_name), body, attributes, ids)| LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: observed,
            severity_number,
            severity_text,
            body,
            attributes,
            trace_id: ids.0,
            span_id: ids.1,
            flags: ids.2,
            dropped_attributes_count: ids.3,
            event_name,
        },
    )
}

pub(in crate::otlp) fn request() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scope = (oracle::scope(), prop::collection::vec(log_record(), 0..4))
        .prop_map(|(scope, log_records)| ScopeLogs { scope, log_records, ..Default::default() });
    let resource = (oracle::resource(), prop::collection::vec(scope, 0..3))
        .prop_map(|(resource, scope_logs)| ResourceLogs { resource, scope_logs, ..Default::default() });
    prop::collection::vec(resource, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

/// The rows that a request must become.
fn expected(request: &ExportLogsServiceRequest) -> Vec<Value> {
    let mut rows = Vec::new();
    for group in &request.resource_logs {
        for scope in &group.scope_logs {
            for record in &scope.log_records {
                let mut row = expected_row(record);
                let mut attributes = expected_attributes(record);
                oracle::add_scope(&mut attributes, scope.scope.as_ref());
                row.insert("attributes".into(), attributes.into());
                row.insert("resource".into(), oracle::resource_map(group.resource.as_ref()).into());
                rows.push(row.into());
            }
        }
    }
    rows
}

fn expected_attributes(record: &LogRecord) -> Map<String, Value> {
    let mut attributes = Map::new();
    oracle::add(&mut attributes, &record.attributes);
    if !record.event_name.is_empty() {
        attributes.entry("event.name").or_insert_with(|| record.event_name.as_str().into());
    }
    for (key, value) in
        [("flags", record.flags), ("otel.dropped_attributes_count", record.dropped_attributes_count)]
    {
        if value != 0 {
            attributes.entry(key).or_insert_with(|| value.into());
        }
    }
    attributes
}

fn expected_row(record: &LogRecord) -> Map<String, Value> {
    let mut row = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            row.insert(name.into(), value);
        }
    };
    let observed = match record.observed_time_unix_nano {
        0 => RECEIVED_NS,
        observed => ns(observed),
    };
    let time = if record.time_unix_nano == 0 { observed } else { ns(record.time_unix_nano) };
    set("timestamp", Some(time.into()));
    set("observed_timestamp", Some(observed.into()));
    let number = Some(i64::from(record.severity_number)).filter(|n| (1..=24).contains(n));
    let word = &record.severity_text;
    set("severity_number", number.or_else(|| severity_of_word(word)).map(Into::into));
    let of_number = number.and_then(severity_text).map(Into::into);
    set("severity_text", if word.is_empty() { of_number } else { Some(word.as_str().into()) });
    let body = oracle::nested(record.body.as_ref()).map(|body| match (body, record.body.as_ref()) {
        (Value::String(text), _) if !is_double(record) => text,
        (Value::String(text), _) => text.replace("Infinity", "Inf").replace("Inf", "+Inf").replace("-+", "-"),
        (_, Some(AnyValue { value: Some(any_value::Value::DoubleValue(v)) })) => super::double(*v),
        (other, _) => other.to_string(),
    });
    set("body", body.map(Into::into));
    set("trace_id", hex(&record.trace_id, 16).map(Into::into));
    set("span_id", hex(&record.span_id, 8).map(Into::into));
    row
}

fn is_double(record: &LogRecord) -> bool {
    matches!(
        record.body.as_ref().and_then(|body| body.value.as_ref()),
        Some(any_value::Value::DoubleValue(_))
    )
}

/// The text of a body that is a map has the order of its entries; JSON has none.
fn reparsed(mut rows: Vec<Value>) -> Vec<Value> {
    for row in &mut rows {
        if let Some(Value::String(body)) = row.get_mut("body")
            && let Ok(parsed @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(body)
        {
            row["body"] = parsed;
        }
    }
    rows
}

proptest! {
    #[test]
    fn what_opentelemetry_encodes_is_read(request in request()) {
        let decoded = run(&request);
        prop_assert!(decoded.refusals.is_empty());
        prop_assert_eq!(reparsed(rows(&decoded)), reparsed(expected(&request)));
        let indexes: Vec<u32> = decoded.records.rows.iter().map(|row| row.index).collect();
        prop_assert_eq!(indexes, (0..decoded.records.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn damaged_bytes_never_panic(request in request(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = request.encode_to_vec();
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(decoded) = decode(body, Encoding::Protobuf, &CONTEXT) {
            rows(&decoded);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            if let Ok(decoded) = decode(body.clone(), encoding, &CONTEXT) {
                rows(&decoded);
            }
        }
    }
}

#[test]
fn json_reads_as_protobuf_does() {
    let body = r#"{"resourceLogs":[{
        "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeLogs":[{"scope":{"name":"lib","version":"1","attributes":[{"key":"n","value":{"intValue":1}}]},
         "logRecords":[
          {"timeUnixNano":"1700000000000000001","observedTimeUnixNano":1700000000000000002,"severityNumber":9,
           "severityText":null,"body":{"stringValue":"a \"b\""},"traceId":"5B8EFFF798038103D269B633813FC60C",
           "spanId":"eee19b7ec3c1b174","flags":1,"droppedAttributesCount":2,"eventName":"login","future":[{}],
           "attributes":[{"key":"n","value":{"intValue":"7"}},{"key":"b","value":{"boolValue":true}},
             {"key":"d","value":{"doubleValue":0.5}},{"key":"nan","value":{"doubleValue":"NaN"}},
             {"key":"none","value":{}},{"key":"bytes","value":{"bytesValue":"AQI="}},
             {"key":"l","value":{"arrayValue":{"values":[{"stringValue":"x"},{},{"doubleValue":"NaN"}]}}},
             {"key":"m","value":{"kvlistValue":{"values":[{"key":"k","value":{"arrayValue":{}}}]}}}]},
          {"severityNumber":"SEVERITY_NUMBER_ERROR2","body":{"kvlistValue":{"values":[
             {"key":"k","value":{"intValue":"1"}}]}},"spanId":"0000000000000000","traceId":"xyz"},
          {"severityText":"Warning","body":{"doubleValue":1}}
        ]}]}]}"#;
    let decoded = json(body).expect("decodes");
    let resource = json!({"service.name": "shop"});
    let of_scope = json!({"otel.scope.name": "lib", "otel.scope.version": "1", "n": 1});
    let want = [
        json!({"timestamp": 1_700_000_000_000_000_001_i64, "observed_timestamp": 1_700_000_000_000_000_002_i64,
            "severity_number": 9, "severity_text": "INFO", "body": "a \"b\"",
            "trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174",
            "attributes": {"n": 7, "b": true, "d": 0.5, "nan": "NaN", "bytes": "AQI=",
                "l": {"json": ["x", null, "NaN"]}, "m": {"json": {"k": []}}, "event.name": "login", "flags": 1,
                "otel.dropped_attributes_count": 2, "otel.scope.name": "lib", "otel.scope.version": "1"},
            "resource": resource}),
        json!({"timestamp": RECEIVED_NS, "observed_timestamp": RECEIVED_NS, "severity_number": 18,
            "severity_text": "ERROR2", "body": "{\"k\":1}", "attributes": of_scope, "resource": resource}),
        json!({"timestamp": RECEIVED_NS, "observed_timestamp": RECEIVED_NS, "severity_number": 13,
            "severity_text": "Warning", "body": "1", "attributes": of_scope, "resource": resource}),
    ];
    assert_eq!(rows(&decoded), want);
    assert_eq!(decoded.records.resources.len(), 1);
}

#[test]
fn json_that_is_not_otlp_is_refused_whole() {
    for body in
        ["", "[]", "{", r#"{"resourceLogs":3}"#, r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":1}]}]}"#]
    {
        assert!(matches!(json(body), Err(DecodeError::Malformed(_))), "{body}");
    }
    for body in ["{}", r#"{"resourceLogs":null}"#, r#"{"resourceLogs":[{"resource":null,"scopeLogs":null}]}"#]
    {
        assert!(json(body).expect("empty").records.is_empty(), "{body}");
    }
}

#[test]
fn an_odd_record_costs_itself_and_names_its_field() {
    for (odd, want) in [
        (r#"{"timeUnixNano":-1}"#, "1 timeUnixNano invalid_value 1"),
        (r#"{"severityText":5}"#, "1 severityText invalid_value 1"),
        (
            r#"{"attributes":[{"key":"a","value":{"intValue":"x"}}]}"#,
            "1 attributes[0].value.intValue invalid_value 1",
        ),
        ("7", "1 . invalid_value 1"),
    ] {
        let good = r#"{"body":{"stringValue":"b"}}"#;
        let body =
            format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{good},{odd},{good}]}}]}}]}}"#);
        let decoded = json(&body).expect("decodes");
        assert_eq!((row_refusals(&decoded), decoded.records.len()), (vec![want.to_owned()], 2), "{odd}");
    }
}

#[test]
fn nesting_too_deep_costs_its_record() {
    for (depth, want) in [(16, 2), (17, 1), (5_000, 1)] {
        let attribute = key_value("k", Some(deep(depth)));
        let bad =
            LogRecord { attributes: vec![key_value("a", string("b")), attribute], ..Default::default() };
        let good = LogRecord { body: string("good"), ..Default::default() };
        let request = request_of(vec![bad, good]);
        let decoded = run(&request);
        assert_eq!(decoded.records.len(), want, "{depth}");
        let refused = if want == 2 { vec![] } else { vec!["0 attributes[\"k\"] invalid_value 1"] };
        assert_eq!(row_refusals(&decoded), refused, "{depth}");
        assert_eq!(rows(&decoded)[want - 1]["attributes"], json!({}));
        // The value must not be dropped recursively at full depth on a small stack.
        std::mem::forget(request);
    }
    let (open, close) = (r#"{"arrayValue":{"values":["#.repeat(17), "]}}".repeat(17));
    let body = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{open}{{}}{close}}},{{}}]}}]}}]}}"#
    );
    let decoded = json(&body).expect("decodes");
    assert_eq!((decoded.records.len(), row_refusals(&decoded)), (1, vec!["0 body invalid_value 1".into()]));
}

#[test]
fn a_damaged_record_costs_itself_and_a_cut_request_everything() {
    let record = |text| LogRecord { severity_text: text, body: string("body"), ..Default::default() };
    let whole = request_of(vec![record("one".into()), record("two".into())]).encode_to_vec();
    for cut in 1..whole.len() {
        assert!(decode(whole[..cut].to_vec(), Encoding::Protobuf, &CONTEXT).is_err(), "cut at {cut}");
    }
    // The length of the second record's severity, made to reach behind the record.
    let at = whole.windows(3).position(|three| three == *b"two").expect("there");
    let mut damaged = whole;
    damaged[at - 1] = 100;
    let decoded = decode(damaged, Encoding::Protobuf, &CONTEXT).expect("the rest is whole");
    assert_eq!((decoded.records.len(), row_refusals(&decoded)), (1, vec!["1 the item malformed 1".into()]));
}

#[test]
fn what_is_not_utf8_is_replaced() {
    let mut body = request_of(vec![LogRecord { body: string("a?b"), ..Default::default() }]).encode_to_vec();
    let at = body.iter().position(|byte| *byte == b'?').expect("there");
    body[at] = 0xff;
    let decoded = decode(body, Encoding::Protobuf, &CONTEXT).expect("decodes");
    assert_eq!(rows(&decoded)[0]["body"], "a\u{fffd}b");
}

#[test]
fn requests_that_would_take_far_more_memory_than_their_body_are_refused() {
    let many = request_of(vec![LogRecord::default(); 200_000]);
    let result = decode(many.encode_to_vec(), Encoding::Protobuf, &CONTEXT);
    assert!(matches!(result, Err(DecodeError::TooLarge(_))));

    // 3,000 attributes of a scope for each of 200 records are more than the body has bytes.
    let mut wide = request_of(vec![LogRecord::default(); 200]);
    let scope = opentelemetry_proto::tonic::common::v1::InstrumentationScope {
        attributes: (0..3_000).map(|i| key_value(&i.to_string(), string("v"))).collect(),
        ..Default::default()
    };
    wide.resource_logs[0].scope_logs[0].scope = Some(scope);
    let decoded = run(&wide);
    assert!(decoded.records.attrs.len() < 100_000);
    assert_eq!(decoded.records.len() + decoded.refusals.items(), 200);
    assert!(!decoded.refusals.is_empty());
}
