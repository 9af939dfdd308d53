use model::Records;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use super::*;
use crate::DecodedRecords;
use crate::otlp::{logs, traces};
use crate::records::Context;
use crate::testing::rows;

const CONTEXT: Context = Context { received_at_ns: 1_700_000_000_000_000_000 };

fn decode(signal: Signal, body: Vec<u8>, encoding: Encoding) -> DecodedRecords {
    let decoded = match signal {
        Signal::Traces => traces::decode(body, encoding, &CONTEXT),
        _ => logs::decode(body, encoding, &CONTEXT),
    };
    decoded.expect("what we encode decodes")
}

/// Rows in an order of their own, since encoding brings those of a scope together.
fn sorted(decoded: &DecodedRecords) -> Vec<String> {
    let mut rows: Vec<String> = rows(decoded).iter().map(Value::to_string).collect();
    rows.sort();
    rows
}

/// Both encodings must give the same rows again.
fn check_round_trip(signal: Signal, body: Vec<u8>) -> Result<(), TestCaseError> {
    let first = decode(signal, body, Encoding::Protobuf);
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let again = decode(signal, encode(&first.records, encoding), encoding);
        prop_assert!(again.refusals.is_empty());
        prop_assert_eq!(sorted(&again), sorted(&first));
    }
    Ok(())
}

proptest! {
    #[test]
    fn logs_come_back_as_they_were(request in logs::tests::request()) {
        check_round_trip(Signal::Logs, request.encode_to_vec())?;
    }

    #[test]
    fn spans_come_back_as_they_were(request in traces::tests::request()) {
        check_round_trip(Signal::Traces, request.encode_to_vec())?;
    }
}

/// Two resources and two scopes, interleaved.
fn spans() -> Records {
    let span = |name: &str| {
        let status = json!({"code": 2, "message": "no"});
        json!({"traceId": "01".repeat(16), "spanId": "02".repeat(8), "parentSpanId": "03".repeat(8), "name": name,
            "kind": 3, "startTimeUnixNano": "1000", "endTimeUnixNano": "3000", "status": status,
            "traceState": "a=b", "droppedLinksCount": 4,
            "attributes": [{"key": "n", "value": {"intValue": "0"}}, {"key": "e", "value": {"stringValue": ""}}],
            "events": [{"timeUnixNano": "1500", "name": "e"}],
            "links": [{"traceId": "04".repeat(16), "spanId": "05".repeat(8)}]})
    };
    let scope = |scope: &str, spans: &[&str]| {
        let spans: Vec<Value> = spans.iter().map(|name| span(name)).collect();
        json!({"scope": {"name": scope, "version": "1"}, "spans": spans})
    };
    let resource = |name: &str, scopes: Vec<Value>| {
        let attributes = json!([{"key": "service.name", "value": {"stringValue": name}}]);
        json!({"resource": {"attributes": attributes}, "scopeSpans": scopes})
    };
    let body = json!({"resourceSpans": [
        resource("r1", vec![scope("s1", &["a"]), scope("s2", &["b"]), scope("s1", &["c"])]),
        resource("r2", vec![scope("s1", &["d"])]),
    ]});
    decode(Signal::Traces, body.to_string().into_bytes(), Encoding::Json).records
}

#[test]
fn opentelemetry_reads_spans_by_resource_and_scope() {
    let bytes = encode(&spans(), Encoding::Protobuf);
    let request = ExportTraceServiceRequest::decode(bytes.as_slice()).expect("decodes");
    let mut seen = Vec::new();
    for group in &request.resource_spans {
        for scope in &group.scope_spans {
            let names: Vec<&str> = scope.spans.iter().map(|span| span.name.as_str()).collect();
            let of = scope.scope.as_ref().expect("a scope");
            seen.push(format!("{} {} {}", of.name, of.version, names.join(",")));
        }
    }
    assert_eq!(seen, ["s1 1 a,c", "s2 1 b", "s1 1 d"]);
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((&span.trace_id, &span.span_id), (&vec![1; 16], &vec![2; 8]));
    assert_eq!((&span.parent_span_id, span.kind), (&vec![3; 8], 3));
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (1000, 3000));
    assert_eq!((span.trace_state.as_str(), span.dropped_links_count), ("a=b", 4));
    let status = span.status.as_ref().expect("a status");
    assert_eq!((status.code, status.message.as_str()), (2, "no"));
    assert_eq!((span.events[0].time_unix_nano, span.events[0].name.as_str()), (1500, "e"));
    assert_eq!((&span.links[0].trace_id, &span.links[0].span_id), (&vec![4; 16], &vec![5; 8]));
    let value = |at: usize| span.attributes[at].value.clone().and_then(|value| value.value);
    assert_eq!(span.attributes.len(), 2);
    assert_eq!(value(0), Some(any_value::Value::IntValue(0)));
    assert_eq!(value(1), Some(any_value::Value::StringValue(String::new())));
}

#[test]
fn opentelemetry_reads_logs() {
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [
        {"timeUnixNano": "5", "observedTimeUnixNano": "6", "severityNumber": 17, "body": {"stringValue": ""},
         "traceId": "01".repeat(16), "spanId": "02".repeat(8), "flags": 1, "eventName": "login",
         "droppedAttributesCount": 3, "attributes": [{"key": "k", "value": {"arrayValue": {"values": [{}]}}}]},
    ]}]}]});
    let records = decode(Signal::Logs, body.to_string().into_bytes(), Encoding::Json).records;
    let bytes = encode(&records, Encoding::Protobuf);
    let request = ExportLogsServiceRequest::decode(bytes.as_slice()).expect("decodes");
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!((record.time_unix_nano, record.observed_time_unix_nano), (5, 6));
    assert_eq!((record.severity_number, record.severity_text.as_str()), (17, "ERROR"));
    assert_eq!((&record.trace_id, &record.span_id), (&vec![1; 16], &vec![2; 8]));
    assert_eq!((record.flags, record.event_name.as_str(), record.dropped_attributes_count), (1, "login", 3));
    let body = record.body.clone().and_then(|body| body.value);
    assert_eq!(body, Some(any_value::Value::StringValue(String::new())));
    assert_eq!(record.attributes.len(), 1);
}

#[test]
fn json_is_spelled_as_the_protocol_has_it() {
    let mut records = spans();
    records.retain(|_, row| row == 0);
    let json: Value = serde_json::from_slice(&encode(&records, Encoding::Json)).expect("JSON");
    let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "01".repeat(16));
    assert_eq!(span["startTimeUnixNano"], "1000");
    assert_eq!(span["kind"], 3);
    assert_eq!(span["status"], json!({"code": 2, "message": "no"}));
    assert_eq!(span["attributes"][0], json!({"key": "n", "value": {"intValue": "0"}}));
}

#[test]
fn rows_of_other_signals_are_an_empty_request() {
    assert!(encode(&Records::new(Signal::Events), Encoding::Protobuf).is_empty());
    assert_eq!(encode(&Records::new(Signal::Logs), Encoding::Json), br#"{"resourceLogs":[]}"#);
}
