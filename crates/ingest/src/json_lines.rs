//! Logs as JSON lines, or as a JSON array of objects. What becomes of an object's members is told in
//! `json_rows`.
//!
//! A refusal's index is the object's position, lines without text not counted.

use serde::de::IgnoredAny;

use crate::DecodeError;
use crate::json_rows::JsonRows;
use crate::records::{Context, DecodedRecords};

/// Decodes a body. A bad line costs that line; an array that breaks off ends there, and is refused as a whole
/// where it is no JSON at all.
pub fn decode(body: &[u8], context: &Context) -> Result<DecodedRecords, DecodeError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    let mut rows = JsonRows::new(body.len(), context);
    match body.strip_prefix(b"[") {
        Some(items) => array(items, |index, item| push(&mut rows, index, item))?,
        None if is_one_object(body) => push(&mut rows, 0, body),
        None => {
            let lines = body.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
            for (index, line) in lines.enumerate() {
                push(&mut rows, index as u32, line);
            }
        }
    }
    Ok(rows.decoded)
}

fn push(rows: &mut JsonRows<'_>, index: u32, object: &[u8]) {
    if let Err(fault) = rows.push_text(index, object, &[]) {
        rows.refuse(index, fault);
    }
}

/// Whether a body is one object over several lines, as people write it by hand.
fn is_one_object(body: &[u8]) -> bool {
    let first = body.split(|b| *b == b'\n').next().unwrap_or_default();
    let unfinished = |e: serde_json::Error| e.is_eof();
    first.len() < body.len()
        && serde_json::from_slice::<IgnoredAny>(first).is_err_and(unfinished)
        && serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// Hands on the text of every item of an array, behind its bracket.
pub(crate) fn array(mut rest: &[u8], mut each: impl FnMut(u32, &[u8])) -> Result<(), DecodeError> {
    let malformed = |what: String| DecodeError::Malformed(format!("not a JSON array: {what}"));
    rest = rest.trim_ascii_start();
    if rest == b"]" {
        return Ok(());
    }
    for index in 0.. {
        let mut items = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        match items.next() {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(malformed(format!("item {index}: {error}"))),
            None => return Err(malformed(format!("it ends before item {index}"))),
        }
        let (item, after) = rest.split_at(items.byte_offset());
        each(index, item.trim_ascii());
        match after.trim_ascii_start() {
            b"]" => return Ok(()),
            [b',', more @ ..] => rest = more.trim_ascii_start(),
            _ => return Err(malformed(format!("expected ',' or ']' behind item {index}"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing_rows::{refusals, rows};

    const CONTEXT: Context = Context { received_at_ns: 9 };

    fn decoded(body: &str) -> DecodedRecords {
        decode(body.as_bytes(), &CONTEXT).expect("JSON")
    }

    #[track_caller]
    fn accepts(object: &str, want: &str) {
        let decoded = decoded(object);
        assert_eq!(refusals(&decoded), [] as [&str; 0], "{object}: {:?}", decoded.refusals.detailed());
        assert_eq!(rows(&decoded), [want], "{object}");
    }

    #[test]
    fn known_members_fill_their_columns() {
        accepts(r#"{"message":"hi"}"#, r#"timestamp=9 body="hi""#);
        accepts(
            r#"{"ts":1.5,"level":"Warning","msg":"hi","service":"api","n":1,"x":2.5,"ok":true,"no":null,"big":18446744073709551615}"#,
            r#"timestamp=1500000000 severity_number=13 severity_text="Warning" body="hi" | big=1.8446744073709552e19 n=1 ok=true x=2.5 | service.name="api""#,
        );
        accepts(
            r#"{"level":30,"time":1700000000123,"pid":7,"hostname":"h","msg":"pino"}"#,
            r#"timestamp=1700000000123000000 severity_number=9 severity_text="INFO" body="pino" | hostname="h" pid=7"#,
        );
        accepts(
            r#"{"@timestamp":"1970-01-01T00:00:01Z","log":{"level":"error","logger":"l"},"trace":{"id":"0102030405060708090a0b0c0d0e0f10"},"span.id":"0102030405060708","service":{"name":"s","version":"1"},"message":"ecs"}"#,
            r#"timestamp=1000000000 severity_number=17 severity_text="error" body="ecs" trace_id=0102030405060708090a0b0c0d0e0f10 span_id=0102030405060708 | log.logger="l" service.version="1" | service.name="s""#,
        );
    }

    #[test]
    fn what_does_not_fit_a_column_is_an_attribute() {
        accepts(
            r#"{"time":"12ms","trace_id":"x","span_id":7,"level":99,"message":{"a":1},"msg":"m","service":["s"]}"#,
            r#"timestamp=9 body="m" | level=99 message.a=1 service=["s"] span_id=7 time="12ms" trace_id="x""#,
        );
        accepts(
            r#"{"a":{"b":{"c":1,"d":[{"e":2}]},"f":{}}}"#,
            r#"timestamp=9 | a.b.c=1 a.b.d=[{"e":2}] a.f={}"#,
        );
        accepts(r#"{"level":"loud"}"#, r#"timestamp=9 severity_text="loud""#);
    }

    #[test]
    fn our_own_form_of_a_record_comes_back_as_it_was() {
        accepts(
            r#"{"timestamp":"1970-01-01T00:00:00.000000005Z","severity_text":"WARN","severity_number":14,"body":"b","attributes":{"k":1,"o.p":"q"},"resource":{"service.name":"s","host.name":"h"}}"#,
            r#"timestamp=5 severity_number=14 severity_text="WARN" body="b" | k=1 o.p="q" | host.name="h" service.name="s""#,
        );
        accepts(
            r#"{"message":"m","level":"info","attributes":{"message":"own","level":7,"service":"x"},"service":"s"}"#,
            r#"timestamp=9 severity_number=9 severity_text="info" body="m" | level=7 message="own" service="x" | service.name="s""#,
        );
    }

    #[test]
    fn a_severity_number_is_opentelemetrys_and_wins_over_a_word() {
        for (object, want) in [
            (r#"{"severity_number":10}"#, r#"timestamp=9 severity_number=10 severity_text="INFO2""#),
            (r#"{"severity_number":"20"}"#, r#"timestamp=9 severity_number=20 severity_text="ERROR4""#),
            (
                r#"{"severity_number":18,"level":"info"}"#,
                r#"timestamp=9 severity_number=18 severity_text="info""#,
            ),
            (
                r#"{"severity_number":30,"level":30}"#,
                r#"timestamp=9 severity_number=9 severity_text="INFO" | severity_number=30"#,
            ),
            (r#"{"severity_number":0}"#, "timestamp=9 | severity_number=0"),
        ] {
            accepts(object, want);
        }
    }

    #[test]
    fn lines_arrays_and_single_objects_are_read() {
        for (body, want) in [
            ("{\"msg\":\"a\"}\n\n {\"msg\":\"b\"}\r\n", 2),
            ("[{\"msg\":\"a\"} , {\"msg\":\"b\"}]", 2),
            (" [ ] ", 0),
            ("", 0),
            ("{\n \"msg\": \"a\"\n}", 1),
            ("\u{feff}{\"msg\":\"a\"}", 1),
        ] {
            let decoded = decoded(body);
            assert_eq!((rows(&decoded).len(), decoded.refusals.items()), (want, 0), "{body}");
        }
    }

    #[test]
    fn a_bad_object_costs_itself_and_names_its_field() {
        for (bad, want) in [
            ("3", "1 record malformed 1"),
            ("\"text\"", "1 record malformed 1"),
            ("{\"timestamp\":\"soon\"}", "1 timestamp invalid_value 1"),
            ("{\"@timestamp\":[]}", "1 @timestamp invalid_value 1"),
        ] {
            for body in [format!("{{}}\n{bad}\n{{}}"), format!("[{{}},{bad},{{}}]")] {
                let decoded = decoded(&body);
                assert_eq!((refusals(&decoded), rows(&decoded).len()), (vec![want.to_owned()], 2), "{body}");
            }
        }
        let decoded = decoded("{}\n{\"open\n{}");
        assert_eq!((refusals(&decoded), rows(&decoded).len()), (vec!["1 record malformed 1".to_owned()], 2));
    }

    #[test]
    fn a_broken_array_is_an_error() {
        for body in ["[", "[{}", "[{},", "[{} {}]", "[{}] x", "[}"] {
            assert!(matches!(decode(body.as_bytes(), &CONTEXT), Err(DecodeError::Malformed(_))), "{body}");
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(refusals(&decoded(&deep)), ["0 record malformed 1"]);
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(crate::json_rows::ROW_BYTES_MAX));
        assert_eq!(refusals(&decoded(&long)), ["0 record record_too_large 1"]);
        // A long path over many leaves stays JSON instead of being repeated for each.
        let leaves: Vec<_> = (0..10_000).map(|i| format!("\"{i}\":1")).collect();
        let wide = format!("{{\"{}\":{{{}}}}}", "p".repeat(100_000), leaves.join(","));
        let decoded = decoded(&wide);
        assert_eq!(decoded.records.attrs.len(), 1);
        assert!(decoded.records.text.len() < 3 * wide.len());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            let _ = decode(&body, &CONTEXT);
        }

        #[test]
        fn every_object_is_a_row_or_a_refusal(lines in proptest::collection::vec(
            "\\{(\"(@timestamp|level|msg|trace_id|a|log)\":(1|\"x\"|null|\\{\"level\":2\\}|[0-9]{0,20}),?){0,4}\\}", 0..10
        )) {
            let decoded = decoded(&lines.join("\n"));
            prop_assert_eq!(decoded.records.len() + decoded.refusals.items(), lines.len());
        }
    }
}
