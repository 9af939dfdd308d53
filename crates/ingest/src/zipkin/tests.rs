use proptest::prelude::*;

use super::*;
use crate::testing_rows::{refusals, rows};

const CONTEXT: Context = Context { received_at_ns: 7 };

fn run(body: &str) -> DecodedRecords {
    decode(body.as_bytes(), &CONTEXT).expect("decodes")
}

/// Decodes a span with ids `1` and `2` and these other fields.
fn one(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    let decoded = run(&format!(r#"[{{"traceId":"1","id":"2"{comma}{fields}}}]"#));
    rows(&decoded).remove(0)
}

#[test]
fn every_field_has_its_place() {
    let decoded = run(r#"[{
        "traceId":"5982fe77008310cc80f1da5e10147517","name":"get /api","id":"bd7a977555f6b982","parentId":"ebf33e1a81dc6f71",
        "kind":"CLIENT","timestamp":1458702548467000,"duration":386000,
        "localEndpoint":{"serviceName":"zipkin-query","ipv4":"192.168.1.2","port":9411},
        "remoteEndpoint":{"serviceName":"spanstore","ipv6":"2001:db8::1","port":5432},
        "annotations":[{"timestamp":1458702548468000,"value":"wire \"send\""},{"value":"no time"}],
        "tags":{"http.path":"/api","error":"timed out"},"debug":true,"shared":false,"unknown":[1]}]"#);
    let want = "start=1458702548467000000 duration=386000000 trace_id=5982fe77008310cc80f1da5e10147517 \
                span_id=bd7a977555f6b982 parent_span_id=ebf33e1a81dc6f71 name=\"get /api\" kind=\"client\" \
                status_code=\"error\" status_message=\"timed out\" \
                events=[{\"time\":1458702548468000000,\"name\":\"wire \\\"send\\\"\",\"attributes\":{}}] | \
                http.path=\"/api\" peer.service=\"spanstore\" network.peer.address=\"2001:db8::1\" \
                network.peer.port=5432 zipkin.debug=true | service.name=\"zipkin-query\" \
                network.local.address=\"192.168.1.2\" network.local.port=9411";
    assert_eq!(rows(&decoded), [want]);
}

#[test]
fn little_is_needed() {
    let ids = "trace_id=00000000000000000000000000000001 span_id=0000000000000002";
    for (fields, want) in [
        ("", format!("start=7 duration=0 {ids} name=\"\" kind=\"internal\" status_code=\"unset\"")),
        (
            r#""kind":null,"tags":null,"timestamp":0"#,
            format!("start=7 duration=0 {ids} name=\"\" kind=\"internal\" status_code=\"unset\""),
        ),
        (
            r#""kind":"SERVER","shared":true,"timestamp":1.5"#,
            format!(
                "start=1500 duration=0 {ids} name=\"\" kind=\"server\" status_code=\"unset\" | zipkin.shared=true"
            ),
        ),
        (
            r#""tags":{"error":"","span.kind":"producer"}"#,
            format!("start=7 duration=0 {ids} name=\"\" kind=\"producer\" status_code=\"error\""),
        ),
        (
            r#""tags":{"error":"false","n":1}"#,
            format!(
                "start=7 duration=0 {ids} name=\"\" kind=\"internal\" status_code=\"unset\" | error=\"false\" n=1"
            ),
        ),
        (
            r#""tags":{"error":"no","otel.status_code":"OK","otel.status_description":"other"}"#,
            format!(
                "start=7 duration=0 {ids} name=\"\" kind=\"internal\" status_code=\"error\" status_message=\"no\""
            ),
        ),
        (
            r#""tags":{"otel.status_code":"OK"}"#,
            format!("start=7 duration=0 {ids} name=\"\" kind=\"internal\" status_code=\"ok\""),
        ),
    ] {
        assert_eq!(one(fields), want, "{fields}");
    }
    let by_annotation = one(r#""annotations":[{"timestamp":9,"value":"b"},{"timestamp":4,"value":"a"}]"#);
    assert!(by_annotation.starts_with("start=4000 "), "{by_annotation}");
}

#[test]
fn each_endpoint_is_a_resource_of_its_own() {
    let span = |endpoint: &str| format!(r#"{{"traceId":"1","id":"2","localEndpoint":{endpoint}}}"#);
    let (a, b) = (span(r#"{"serviceName":"a"}"#), span(r#"{"serviceName":"b"}"#));
    let decoded = run(&format!("[{a},{b},{a},{}]", span("null")));
    let resources: Vec<u32> = decoded.records.rows.iter().map(|row| row.resource).collect();
    assert_eq!((resources, decoded.records.resources.len()), (vec![0, 1, 0, 2], 3));
}

#[test]
fn a_bad_span_costs_itself() {
    let decoded = run(r#"[1,{"id":"2"},{"traceId":"1"},{"traceId":"x","id":"2"},{"traceId":"0","id":"2"},
        {"traceId":"1","id":2},{"traceId":"1","id":"2","parentId":"long long long long"},
        {"traceId":"1","id":"2","tags":{"a":"b"}}]"#);
    let want = [
        "0 span invalid_value 1",
        "1 traceId invalid_value 1",
        "2 id invalid_value 1",
        "3 traceId invalid_value 1",
        "4 traceId invalid_value 1",
        "5 id invalid_value 1",
        "6 parentId invalid_value 1",
    ];
    assert_eq!(refusals(&decoded), want);
    assert_eq!((decoded.records.len(), decoded.records.rows[0].index), (1, 7));
    let message = &decoded.refusals.detailed()[3].message;
    assert_eq!(message, "\"x\" is no id; send up to 32 hexadecimal digits, not all zero");
}

#[test]
fn what_is_no_list_is_refused_whole() {
    for body in ["", "{}", "[", "[{]", "[] []", "null"] {
        assert!(matches!(decode(body.as_bytes(), &CONTEXT), Err(DecodeError::Malformed(_))), "{body}");
    }
    assert!(run("[]").records.is_empty());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(decode(&body, &CONTEXT));
    }

    #[test]
    fn fields_of_any_kind_never_panic(
        field in "traceId|id|parentId|kind|timestamp|duration|localEndpoint|remoteEndpoint|annotations|tags|shared",
        value in r#"null|-1|1e300|0\.5|"x"|\[\]|\[1\]|\[\{"timestamp":1e300\}\]|\{\}|\{"error":1\}|\{"port":"x"\}"#,
    ) {
        let decoded = run(&format!(r#"[{{"traceId":"1","id":"2","{field}":{value}}}]"#));
        rows(&decoded);
        prop_assert_eq!(decoded.records.len() + decoded.refusals.items(), 1);
    }
}
