use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::testing_rows::{refusals, rows};

const CONTEXT: Context = Context { received_at_ns: 9 };

#[derive(Clone, PartialEq, Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<Stream>,
}

#[derive(Clone, PartialEq, Message)]
struct Stream {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Entry>,
    #[prost(uint64, tag = "3")]
    hash: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Timestamp>,
    #[prost(string, tag = "2")]
    line: String,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

fn entry(time_ns: i64, line: &str, metadata: &[(&str, &str)]) -> Entry {
    let pair = |(name, value): &(&str, &str)| Pair { name: (*name).into(), value: (*value).into() };
    Entry {
        timestamp: Some(Timestamp {
            seconds: time_ns.div_euclid(1_000_000_000),
            nanos: time_ns.rem_euclid(1_000_000_000) as i32,
        }),
        line: line.into(),
        metadata: metadata.iter().map(pair).collect(),
    }
}

fn protobuf(streams: &[(&str, Vec<Entry>)]) -> DecodedRecords {
    let stream = |(labels, entries): &(&str, Vec<Entry>)| Stream {
        labels: (*labels).into(),
        entries: entries.clone(),
        hash: 7,
    };
    let request = PushRequest { streams: streams.iter().map(stream).collect() };
    Format::Protobuf.decode(request.encode_to_vec(), &CONTEXT).expect("protobuf")
}

fn json(body: &str) -> DecodedRecords {
    Format::Json.decode(body.as_bytes().to_vec(), &CONTEXT).expect("JSON")
}

#[test]
fn json_and_protobuf_of_the_same_push_make_the_same_rows() {
    let body = r#"{"streams":[
        {"stream":{"app":"shop","level":"warn"},"values":[
            ["1","one"],
            ["1700000000123456789","two \"q\"",{"trace_id":"0102030405060708090a0b0c0d0e0f10","user":"u1","level":"ERROR"}]]},
        {"values":[["0","three",{"span_id":"0102030405060708","trace_id":"nonsense"}]],"stream":{"service_name":"pay","job":"x"}}
    ]}"#;
    let trace = "0102030405060708090a0b0c0d0e0f10";
    let from_protobuf = protobuf(&[
        (
            r#"{app="shop", level="warn"}"#,
            vec![
                entry(1, "one", &[]),
                entry(
                    1700000000123456789,
                    "two \"q\"",
                    &[("level", "ERROR"), ("trace_id", trace), ("user", "u1")],
                ),
            ],
        ),
        (
            r#"{job="x",service_name="pay"}"#,
            vec![entry(0, "three", &[("span_id", "0102030405060708"), ("trace_id", "nonsense")])],
        ),
    ]);
    let want = [
        r#"timestamp=1 severity_number=13 severity_text="warn" body="one" |  | app="shop" level="warn" service.name="shop""#,
        r#"timestamp=1700000000123456789 severity_number=17 severity_text="ERROR" body="two \"q\"" trace_id=0102030405060708090a0b0c0d0e0f10 | user="u1" | app="shop" level="warn" service.name="shop""#,
        r#"timestamp=9 body="three" span_id=0102030405060708 | trace_id="nonsense" | job="x" service_name="pay" service.name="pay""#,
    ];
    assert_eq!(rows(&json(body)), want);
    assert_eq!(rows(&from_protobuf), want);
}

#[test]
fn the_first_generation_of_json_is_read() {
    let body =
        r#"{"streams":[{"labels":"{a=\"b\"}","entries":[{"ts":"1970-01-01T00:00:01.5+00:00","line":"x"}]}]}"#;
    assert_eq!(rows(&json(body)), [r#"timestamp=1500000000 body="x" |  | a="b""#]);
}

#[test]
fn labels_are_read_with_their_escapes() {
    for (labels, want) in [
        ("{}", Ok("")),
        (r#" { a = "b" , } "#, Ok(r#"a="b""#)),
        (r#"{a="q\"b\\c\n",b="\u00fc\x41"}"#, Ok(r#"a="q\"b\\c\n" b="üA""#)),
        ("{a=`raw\\n`}", Ok(r#"a="raw\\n""#)),
        (r#"{a=",}{="}"#, Ok(r#"a=",}{=""#)),
        (r#"{ü="é"}"#, Ok(r#"ü="é""#)),
        ("", Err(0)),
        ("a", Err(0)),
        ("{", Err(1)),
        ("{a}", Err(1)),
        (r#"{a="b"#, Err(3)),
        (r#"{a="\q"}"#, Err(3)),
        (r#"{a="\u00g0"}"#, Err(3)),
        (r#"{a="b" c="d"}"#, Err(7)),
        (r#"{a="b"} x"#, Err(7)),
        (r#"{="b"}"#, Err(1)),
    ] {
        let decoded = protobuf(&[(labels, vec![entry(1, "x", &[])])]);
        match want {
            Ok(want) => assert_eq!(
                rows(&decoded)[0],
                format!("timestamp=1 body=\"x\" |  | {want}").trim_end_matches([' ', '|'])
            ),
            Err(at) => {
                assert_eq!(refusals(&decoded), ["0 streams[0].labels invalid_labels 1"], "{labels}");
                let message = &decoded.refusals.detailed()[0].message;
                assert!(message.ends_with(&format!("at byte {at}")), "{labels}: {message}");
            }
        }
    }
}

#[test]
fn a_bad_stream_or_entry_costs_itself() {
    let good = r#"{"stream":{"a":"b"},"values":[["1","x"]]}"#;
    for (bad, want) in [
        (r#"{"stream":{"a":["b"]},"values":[["1","x"],["2","y"]]}"#, "1 streams[1].stream invalid_labels 2"),
        (r#"{"values":[["1","x"]]}"#, "1 streams[1].stream invalid_labels 1"),
        (r#"{"labels":"a","entries":[{"ts":"1","line":"x"}]}"#, "1 streams[1].labels invalid_labels 1"),
        (r#"{"stream":{},"values":[["soon","x"]]}"#, "1 streams[1].values invalid_value 1"),
        (r#"{"stream":{},"values":[["1",2]]}"#, "1 streams[1].values invalid_value 1"),
        (r#"{"stream":{},"values":[["1"]]}"#, "1 streams[1].values invalid_value 1"),
        (r#"{"stream":{},"values":[7]}"#, "1 streams[1].values invalid_value 1"),
        (r#"{"stream":{},"values":[["1","x",{"a":{}}]]}"#, "1 streams[1].values invalid_value 1"),
        (r#"{"stream":{},"values":[["1","x","m"]]}"#, "1 streams[1].values invalid_value 1"),
    ] {
        let decoded = json(&format!("{{\"streams\":[{good},{bad},{good}]}}"));
        assert_eq!(refusals(&decoded), [want], "{bad}");
        assert_eq!(rows(&decoded), [r#"timestamp=1 body="x" |  | a="b""#; 2], "{bad}");
        let accepted = decoded.records.rows.iter().map(|row| row.index).collect::<Vec<_>>();
        assert_eq!(accepted[0], 0);
        assert_eq!(accepted[1] as usize, 1 + decoded.refusals.items());
    }
}

#[test]
fn what_is_no_push_is_an_error() {
    for body in ["", "[]", "{}", r#"{"streams":3}"#, r#"{"streams":[3]}"#, r#"{"streams":[]} x"#] {
        assert!(matches!(json::decode(body.as_bytes(), &CONTEXT), Err(DecodeError::Malformed(_))), "{body}");
    }
    assert!(Format::Protobuf.decode(vec![10, 200], &CONTEXT).is_err());
    let deep = format!("{{\"streams\":[{{\"stream\":{{\"a\":{}", "[".repeat(100_000));
    assert!(json::decode(deep.as_bytes(), &CONTEXT).is_err());
}

#[test]
fn content_types_name_the_form() {
    for (name, want) in [
        ("application/json; charset=utf-8", Some(Format::Json)),
        ("application/x-protobuf", Some(Format::Protobuf)),
        ("", Some(Format::Protobuf)),
        ("text/plain", None),
    ] {
        assert_eq!(Format::of_content_type(name), want, "{name}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body: Vec<u8>) {
        let _ = Format::Json.decode(body.clone(), &CONTEXT);
        let _ = Format::Protobuf.decode(body, &CONTEXT);
    }

    #[test]
    fn quoted_labels_round_trip(values in proptest::collection::vec(".*", 0..5)) {
        let labels: Vec<String> =
            values.iter().enumerate().map(|(i, v)| format!("l{i}=\"{}\"", v.replace('\\', "\\\\").replace('"', "\\\""))).collect();
        let mut records = Records::new(Signal::Logs);
        labels::push(&mut records, &format!("{{{}}}", labels.join(", "))).expect("labels");
        let read: Vec<_> = records.attrs.iter().map(|a| records.text_of(a.value).expect("text").to_owned()).collect();
        prop_assert_eq!(read, values);
    }
}
