use proptest::prelude::*;

use super::*;
use crate::testing_rows::{refusals, rows};

const CONTEXT: Context = Context { received_at_ns: 7 };

/// Writes Thrift's binary protocol by hand.
#[derive(Clone, Default)]
struct Struct(Vec<u8>);

impl Struct {
    fn field(mut self, kind: u8, number: i16, value: &[u8]) -> Self {
        self.0.push(kind);
        self.0.extend(number.to_be_bytes());
        self.0.extend(value);
        self
    }

    fn i32(self, number: i16, value: i32) -> Self {
        self.field(thrift::I32, number, &value.to_be_bytes())
    }

    fn i64(self, number: i16, value: i64) -> Self {
        self.field(thrift::I64, number, &value.to_be_bytes())
    }

    fn text(self, number: i16, value: &[u8]) -> Self {
        let value = [&(value.len() as i32).to_be_bytes()[..], value].concat();
        self.field(thrift::BINARY, number, &value)
    }

    fn list(self, number: i16, items: &[Self]) -> Self {
        let mut value = vec![thrift::STRUCT];
        value.extend((items.len() as i32).to_be_bytes());
        for item in items {
            value.extend(item.clone().end());
        }
        self.field(thrift::LIST, number, &value)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(0);
        self.0
    }
}

fn tag(key: &str, kind: i32) -> Struct {
    Struct::default().text(1, key.as_bytes()).i32(2, kind)
}

fn string(key: &str, value: &str) -> Struct {
    tag(key, 0).text(3, value.as_bytes())
}

fn boolean(key: &str, value: bool) -> Struct {
    tag(key, 2).field(thrift::BOOL, 5, &[value.into()])
}

fn reference(kind: i32, low: i64, span_id: i64) -> Struct {
    Struct::default().i32(1, kind).i64(2, low).i64(3, 0).i64(4, span_id)
}

/// A span of trace 1 with id 2.
fn span() -> Struct {
    Struct::default().i64(1, 1).i64(2, 0).i64(3, 2)
}

fn batch(spans: &[Struct]) -> Vec<u8> {
    let process = Struct::default().text(1, b"shop").list(2, &[string("host", "h1")]);
    Struct::default().field(thrift::STRUCT, 1, &process.end()).list(2, spans).end()
}

fn run(body: &[u8]) -> DecodedRecords {
    decode(body, &CONTEXT).expect("decodes")
}

#[test]
fn every_field_has_its_place() {
    let log = Struct::default()
        .i64(1, 1_500_000)
        .list(2, &[string("event", "retry"), boolean("last", true), tag("n", 3).i64(6, -4)]);
    let tags = [
        string("a", "b"),
        tag("d", 1).field(thrift::DOUBLE, 4, &0.5_f64.to_be_bytes()),
        boolean("yes", true),
        tag("n", 3).i64(6, 42),
        tag("bin", 4).text(7, &[1, 2]),
        tag("none", 3).text(3, b"of another type"),
        string("span.kind", "server"),
        boolean("error", true),
        string("otel.status_description", "no"),
        string("w3c.tracestate", "x=y"),
    ];
    let refs = [reference(0, 1, 3), reference(1, 1, 4), reference(0, 9, 5), reference(0, 0, 0)];
    let span = Struct::default()
        .i64(1, 0x1234)
        .i64(2, 0x5678)
        .i64(3, -1)
        .i64(4, 3)
        .text(5, b"GET /")
        .list(6, &refs)
        .i32(7, 1)
        .i64(8, 1_000_000)
        .i64(9, 2_500)
        .list(10, &tags)
        .list(11, &[log])
        .field(13, 99, &[thrift::I32, thrift::BINARY, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, b'x']);
    let link = |trace: &str, span: &str, kind: &str| {
        format!(
            "{{\"trace_id\":\"{trace:0>32}\",\"span_id\":\"{span:0>16}\",\
             \"attributes\":{{\"opentracing.ref_type\":\"{kind}\"}}}}"
        )
    };
    let links = [link("1", "3", "child_of"), link("1", "4", "follows_from"), link("9", "5", "child_of")];
    let want = format!(
        "start=1000000000 duration=2500000 trace_id=00000000000056780000000000001234 \
         span_id=ffffffffffffffff parent_span_id=0000000000000003 name=\"GET /\" kind=\"server\" status_code=\"error\" \
         status_message=\"no\" events=[{{\"time\":1500000000,\"name\":\"retry\",\
         \"attributes\":{{\"last\":true,\"n\":-4}}}}] links=[{}] | \
         a=\"b\" d=0.5 yes=true n=42 bin=\"AQI=\" trace_state=\"x=y\" | service.name=\"shop\" host=\"h1\"",
        links.join(",")
    );
    assert_eq!(rows(&run(&batch(&[span]))), [want]);
}

/// A batch as Apache Thrift's own `TBinaryProtocol` writes it.
const WRITTEN_BY_THRIFT: &str = "\
    0c00010b000100000004636172740f00020c000000010b000100000008686f73746e616d65080002000000000b0003000000\
    02683100000f00020c000000010a000111223344556677880a0002ffffffffffffffff0a000300000000000000070a000400\
    000000000000000b000500000009474554202f636172740f00060c00000001080001000000000a000211223344556677880a\
    0003ffffffffffffffff0a0004000000000000000600080007000000010a000800060a24181e41f40a000900000000000004\
    e20f000a0c000000040b0001000000097370616e2e6b696e64080002000000000b000300000006736572766572000b000100\
    000010687474702e7374617475735f636f6465080002000000030a000600000000000001f4000b000100000005726174696f\
    080002000000010400043fd0000000000000000b0001000000056572726f720800020000000202000501000f000b0c000000\
    010a000100060a24181e42580f00020c000000020b0001000000056576656e74080002000000000b00030000000a63616368\
    65206d697373000b0001000000036b6579080002000000000b000300000003753a370000000a0003000000000000000900\
    ";

#[test]
fn what_apache_thrift_writes_is_read() {
    let byte = |at: usize| u8::from_str_radix(&WRITTEN_BY_THRIFT[at..at + 2], 16).expect("hexadecimal");
    let body: Vec<u8> = (0..WRITTEN_BY_THRIFT.len()).step_by(2).map(byte).collect();
    let want = "start=1700000000000500000 duration=1250000 trace_id=ffffffffffffffff1122334455667788 \
                span_id=0000000000000007 parent_span_id=0000000000000006 name=\"GET /cart\" kind=\"server\" \
                status_code=\"error\" events=[{\"time\":1700000000000600000,\"name\":\"cache miss\",\
                \"attributes\":{\"key\":\"u:7\"}}] | http.status_code=500 ratio=0.25 | \
                service.name=\"cart\" hostname=\"h1\"";
    assert_eq!(rows(&run(&body)), [want]);
}

#[test]
fn the_parent_is_stated_or_referred_to() {
    for (span, parent, links) in [
        (span(), None, 0),
        (span().i64(4, 5), Some("0000000000000005"), 0),
        (span().list(6, &[reference(0, 1, 5)]), Some("0000000000000005"), 0),
        (span().i64(4, 5).list(6, &[reference(0, 1, 5)]), Some("0000000000000005"), 0),
        (span().list(6, &[reference(0, 1, 5), reference(0, 1, 6)]), Some("0000000000000005"), 1),
        (span().list(6, &[reference(1, 1, 5)]), None, 1),
        (span().list(6, &[reference(0, 2, 5)]), None, 1),
    ] {
        let decoded = run(&batch(&[span]));
        let row = &rows(&decoded)[0];
        let want = parent.map(|parent| format!("parent_span_id={parent} "));
        assert_eq!(row.contains("parent_span_id"), want.is_some(), "{row}");
        assert!(want.is_none_or(|want| row.contains(&want)), "{row}");
        assert_eq!(row.matches("opentracing.ref_type").count(), links, "{row}");
    }
}

#[test]
fn status_comes_from_its_tags() {
    for (tags, want) in [
        (vec![], "status_code=\"unset\""),
        (vec![boolean("error", true)], "status_code=\"error\""),
        (vec![string("error", "true")], "status_code=\"error\""),
        (vec![boolean("error", false)], "status_code=\"unset\" | error=false"),
        (vec![string("otel.status_code", "OK")], "status_code=\"ok\""),
        (vec![string("otel.status_code", "ERROR"), boolean("error", true)], "status_code=\"error\""),
        (vec![string("span.kind", "other")], "status_code=\"unset\" | span.kind=\"other\""),
    ] {
        let row = rows(&run(&batch(&[span().list(10, &tags)]))).remove(0);
        assert!(row.contains(&format!("{want} |")), "{row}: {want}");
    }
}

#[test]
fn a_span_without_ids_costs_itself() {
    let untimed = span().list(11, &[Struct::default()]);
    let decoded = run(&batch(&[Struct::default(), Struct::default().i64(1, 1), untimed, span()]));
    let want = ["0 traceIdLow invalid_value 1", "1 spanId invalid_value 1", "2 logs invalid_value 1"];
    assert_eq!(refusals(&decoded), want);
    assert_eq!((decoded.records.len(), decoded.records.rows[0].index), (1, 3));
}

#[test]
fn the_process_may_come_behind_its_spans() {
    let process = Struct::default().text(1, b"shop").end();
    let body = Struct::default().list(2, &[span()]).field(thrift::STRUCT, 1, &process).end();
    assert!(rows(&run(&body))[0].ends_with("service.name=\"shop\""));
}

#[test]
fn what_is_cut_nested_or_too_long_is_refused_whole() {
    let whole = batch(&[span().text(5, b"name").list(10, &[string("a", "b")])]);
    for cut in 0..whole.len() {
        assert!(decode(&whole[..cut], &CONTEXT).is_err(), "cut at {cut}");
    }
    let deep = [[thrift::STRUCT, 0, 9]; 1_000].concat();
    assert!(decode(&deep, &CONTEXT).is_err());
    for length in [i32::MAX, -1] {
        let list = [&[thrift::STRUCT][..], &length.to_be_bytes()].concat();
        assert!(decode(&Struct::default().field(thrift::LIST, 2, &list).end(), &CONTEXT).is_err());
    }
}

#[test]
fn content_types_of_jaegers_clients_are_known() {
    for (content_type, want) in [
        ("application/x-thrift", true),
        ("application/vnd.apache.thrift.binary; charset=x", true),
        ("application/json", false),
        ("", false),
    ] {
        assert_eq!(is_content_type(content_type), want, "{content_type}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(decode(&body, &CONTEXT));
    }

    #[test]
    fn damaged_batches_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let log = Struct::default().i64(1, 1).list(2, &[string("event", "retry")]);
        let span = span().list(6, &[reference(1, 1, 5)]).list(10, &[boolean("error", true)]).list(11, &[log]);
        let mut body = batch(&[span.clone(), span]);
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(decoded) = decode(&body, &CONTEXT) {
            rows(&decoded);
        }
    }
}
