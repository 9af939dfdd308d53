use model::record::{event, log, span};
use model::{Field, Order, Predicate, Scalar, Signal, Test, TextMatch};
use proptest::prelude::*;

use super::ast::{At, Expr, FieldTest, Name, Scope, Value};
use super::{Search, duration_ns, parser, term, time_ns};

fn logs(text: &str) -> Predicate {
    Search::parse(text, Signal::Logs).unwrap_or_else(|error| panic!("{text}: {error}")).into_predicate()
}

fn spans(text: &str) -> Predicate {
    Search::parse(text, Signal::Traces).unwrap_or_else(|error| panic!("{text}: {error}")).into_predicate()
}

fn key(name: &str) -> Field {
    Field::Key(name.into())
}

fn fixed(position: usize) -> Field {
    Field::Fixed(position as u8)
}

fn is(field: Field, order: Order, value: Scalar) -> Predicate {
    Predicate::Test(field, Test::Compare(order, value))
}

fn equal(field: Field, value: &str) -> Predicate {
    is(field, Order::Equal, Scalar::Text(value.into()))
}

fn like(field: Field, how: TextMatch, text: &str) -> Predicate {
    let ignore_case = field == fixed(log::BODY);
    Predicate::Test(field, Test::Text { how, text: text.into(), ignore_case })
}

fn not(predicate: Predicate) -> Predicate {
    Predicate::Not(Box::new(predicate))
}

fn numbers(field: Field, first: i64, last: i64) -> Predicate {
    Predicate::All(vec![
        is(field.clone(), Order::GreaterOrEqual, Scalar::Int(first)),
        is(field, Order::LessOrEqual, Scalar::Int(last)),
    ])
}

#[test]
fn searches_of_logs_ask_what_they_say() {
    let body = || fixed(log::BODY);
    let severity = || fixed(log::SEVERITY_NUMBER);
    for (text, want) in [
        ("", Predicate::TRUE),
        ("  * ", Predicate::TRUE),
        ("timeout", like(body(), TextMatch::Phrase, "timeout")),
        ("\"timed out\"", like(body(), TextMatch::Phrase, "timed out")),
        ("time*", like(body(), TextMatch::PhrasePrefix, "time")),
        ("\"timed ou\"*", like(body(), TextMatch::PhrasePrefix, "timed ou")),
        ("*meou*", like(body(), TextMatch::Contains, "meou")),
        ("t*out", like(body(), TextMatch::Regex, r"\bt\S*out\b")),
        ("*out", like(body(), TextMatch::Regex, r"\S*out\b")),
        (
            "日本語 \"naïve café\"",
            Predicate::All(vec![
                like(body(), TextMatch::Phrase, "日本語"),
                like(body(), TextMatch::Phrase, "naïve café"),
            ]),
        ),
        ("message:\"timed out\"", like(body(), TextMatch::Phrase, "timed out")),
        ("msg:=\"timed out\"", equal(body(), "timed out")),
        ("path:/time(d)?out/", like(key("path"), TextMatch::Regex, "time(d)?out")),
        ("service:api", equal(key("service.name"), "api")),
        ("level:error", numbers(severity(), 17, 20)),
        ("level:WARNING", numbers(severity(), 13, 16)),
        ("level:>=warn", is(severity(), Order::GreaterOrEqual, Scalar::Int(13))),
        ("level:>warn", is(severity(), Order::Greater, Scalar::Int(16))),
        ("level:<=warn", is(severity(), Order::LessOrEqual, Scalar::Int(16))),
        ("level:<warn", is(severity(), Order::Less, Scalar::Int(13))),
        (
            "level:[info TO error}",
            Predicate::All(vec![
                is(severity(), Order::GreaterOrEqual, Scalar::Int(9)),
                is(severity(), Order::Less, Scalar::Int(17)),
            ]),
        ),
        ("severity_number:17", is(severity(), Order::Equal, Scalar::Int(17))),
        ("-level:*", not(Predicate::Test(severity(), Test::Exists))),
        ("status:500", is(key("status"), Order::Equal, Scalar::Int(500))),
        ("status:\"500\"", equal(key("status"), "500")),
        ("zip:007", equal(key("zip"), "007")),
        ("version:1.10", equal(key("version"), "1.10")),
        ("ratio:0.5", is(key("ratio"), Order::Equal, Scalar::Double(0.5))),
        ("t:-5", is(key("t"), Order::Equal, Scalar::Int(-5))),
        ("status:>=500", is(key("status"), Order::GreaterOrEqual, Scalar::Int(500))),
        ("status:!=500", not(is(key("status"), Order::Equal, Scalar::Int(500)))),
        ("ok:true", equal(key("ok"), "true")),
        ("path:/health", equal(key("path"), "/health")),
        ("path:/api/v1/", equal(key("path"), "/api/v1/")),
        ("path:/api/", like(key("path"), TextMatch::Regex, "api")),
        (r"path:/a\/b\d/", like(key("path"), TextMatch::Regex, r"a/b\d")),
        ("path:~\"a b\"", like(key("path"), TextMatch::Regex, "a b")),
        ("path:/ap*", like(key("path"), TextMatch::StartsWith, "/ap")),
        ("path:*api*", like(key("path"), TextMatch::Contains, "api")),
        ("path:*.js", like(key("path"), TextMatch::Regex, r"(?s)^.*\.js$")),
        ("path:\"a b\"*", like(key("path"), TextMatch::StartsWith, "a b")),
        ("path:*", Predicate::Test(key("path"), Test::Exists)),
        ("url:http://a:80/", equal(key("url"), "http://a:80/")),
        ("attributes.level:x", equal(Field::Record("level".into()), "x")),
        ("attr.level:x", equal(Field::Record("level".into()), "x")),
        ("resource.host.name:x", equal(Field::Resource("host.name".into()), "x")),
        ("resource.\"a b\":x", equal(Field::Resource("a b".into()), "x")),
        ("\"level\":x", equal(key("level"), "x")),
        ("\"weird key\":x", equal(key("weird key"), "x")),
        (r"we\:ird\ key:x\ y", equal(key("we:ird key"), "x y")),
        ("k:\"\"", equal(key("k"), "")),
        (r#"k:"a\"b\\c\nd""#, equal(key("k"), "a\"b\\c\nd")),
        ("k:[1 TO 5]", numbers(key("k"), 1, 5)),
        ("k:{1 TO *]", is(key("k"), Order::Greater, Scalar::Int(1))),
        ("k:[* TO *]", Predicate::Test(key("k"), Test::Exists)),
        (
            "k:(a OR b OR 3)",
            Predicate::Test(
                key("k"),
                Test::OneOf(vec![Scalar::Text("a".into()), Scalar::Text("b".into()), Scalar::Int(3)]),
            ),
        ),
        (
            "k:(>=1 <5)",
            Predicate::All(vec![
                is(key("k"), Order::GreaterOrEqual, Scalar::Int(1)),
                is(key("k"), Order::Less, Scalar::Int(5)),
            ]),
        ),
        ("k:a|k:b*", Predicate::Any(vec![equal(key("k"), "a"), like(key("k"), TextMatch::StartsWith, "b")])),
        (
            "a:1 b:2 OR c:3",
            Predicate::Any(vec![
                Predicate::All(vec![
                    is(key("a"), Order::Equal, Scalar::Int(1)),
                    is(key("b"), Order::Equal, Scalar::Int(2)),
                ]),
                is(key("c"), Order::Equal, Scalar::Int(3)),
            ]),
        ),
        (
            "NOT (a:1 && !b:2)",
            not(Predicate::All(vec![
                is(key("a"), Order::Equal, Scalar::Int(1)),
                not(is(key("b"), Order::Equal, Scalar::Int(2))),
            ])),
        ),
        (
            "trace:00000000000000000000000000000Aff",
            is(
                fixed(log::TRACE_ID),
                Order::Equal,
                Scalar::Bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0xff].as_slice().into()),
            ),
        ),
        (
            "trace_id:0000000000000aff",
            is(
                fixed(log::TRACE_ID),
                Order::Equal,
                Scalar::Bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0xff].as_slice().into()),
            ),
        ),
        (
            "timestamp:>1970-01-01T00:00:01.5Z",
            is(fixed(log::TIMESTAMP), Order::Greater, Scalar::Int(1_500_000_000)),
        ),
        (
            "or and not",
            Predicate::All(vec![
                like(body(), TextMatch::Phrase, "or"),
                like(body(), TextMatch::Phrase, "and"),
                like(body(), TextMatch::Phrase, "not"),
            ]),
        ),
    ] {
        assert_eq!(logs(text), want, "{text}");
        // What is printed says the same.
        let printed = Search::parse(text, Signal::Logs).expect("parsed above").to_string();
        assert_eq!(logs(&printed), want, "{text} printed as {printed}");
    }
}

#[test]
fn searches_of_spans_and_events_ask_what_they_say() {
    for (text, want) in [
        ("duration:>300ms", is(fixed(span::DURATION), Order::Greater, Scalar::Int(300_000_000))),
        ("duration:[1.5s TO 1m30s]", numbers(fixed(span::DURATION), 1_500_000_000, 90_000_000_000)),
        ("status:ERROR", equal(fixed(span::STATUS_CODE), "error")),
        (
            "status_code:(ok OR unset)",
            Predicate::Test(
                fixed(span::STATUS_CODE),
                Test::OneOf(vec![Scalar::Text("ok".into()), Scalar::Text("unset".into())]),
            ),
        ),
        ("kind:server", equal(fixed(span::KIND), "server")),
        ("operation:\"GET /\"", equal(fixed(span::NAME), "GET /")),
        (
            "parent_span_id:00000000000000ff",
            is(
                fixed(span::PARENT_SPAN_ID),
                Order::Equal,
                Scalar::Bytes([0, 0, 0, 0, 0, 0, 0, 0xff].as_slice().into()),
            ),
        ),
        ("level:x", equal(key("level"), "x")),
    ] {
        assert_eq!(spans(text), want, "{text}");
    }
    let of_events = |text| Search::parse(text, Signal::Events).expect(text).into_predicate();
    assert_eq!(of_events("user:7"), equal(fixed(event::USER_ID), "7"));
    assert_eq!(of_events("value:>1e3"), is(fixed(event::VALUE), Order::Greater, Scalar::Double(1000.0)));
}

#[test]
fn errors_name_the_place_and_the_remedy() {
    for (text, position, remedy) in [
        ("a (b", 2, "write `)`"),
        ("a)", 1, "remove"),
        ("()", 1, "quote"),
        ("a OR", 4, "write a word"),
        ("OR a", 0, "quote the word"),
        ("a AND OR b", 6, "both sides"),
        ("ä level: error", 9, "behind the colon"),
        ("level:loud", 0, "trace, debug"),
        ("level:err*", 0, "trace, debug"),
        ("trace_id:xyz", 0, "32 hexadecimal"),
        ("x timestamp:>soon", 2, "2026-01-31"),
        ("k:/(/", 0, "correct it"),
        ("k:~\"(\"", 0, "correct it"),
        ("\"open", 0, "where it ends"),
        ("\"", 0, "where it ends"),
        ("\"\"", 0, "between the quotes"),
        (r#"k:"C:\dir""#, 5, r"write \\"),
        ("k:[1 2]", 5, "[low TO high]"),
        ("k:[1 TO 2", 9, "behind its upper end"),
        ("http://x/y", 0, "quotes"),
        (":x", 0, "a name before"),
        ("a*b:x", 0, "quotes"),
        ("a - b", 3, "directly behind"),
        ("a\\", 1, "backslash"),
        ("trace_id:>00000000000000000000000000000001", 0, "32 hexadecimal"),
    ] {
        let error = Search::parse(text, Signal::Logs).expect_err(text);
        assert_eq!(error.position, position, "{text}: {error}");
        assert!(error.remedy.contains(remedy), "{text}: {error}");
    }
    let error = Search::parse("status:500", Signal::Traces).expect_err("a code");
    assert!(error.to_string().contains("http.response.status_code:500"), "{error}");
}

#[test]
fn what_is_too_long_or_too_deep_is_refused() {
    assert!(Search::parse(&"a".repeat(super::BYTES_MAX + 1), Signal::Logs).is_err());
    for open in ["(", "-", "k:(", "NOT "] {
        assert!(Search::parse(&open.repeat(2000), Signal::Logs).is_err(), "{open}");
    }
    let deep = format!("{}a{}", "(".repeat(60), ")".repeat(60));
    assert!(Search::parse(&deep, Signal::Logs).is_ok());
}

#[test]
fn a_term_of_any_value_means_that_value() {
    for value in ["", "a b", "x*", "\"", "\\", "OR", "2026", "ü\n"] {
        assert_eq!(logs(&term("k k", value)), equal(key("k k"), value), "{value:?}");
    }
    assert_eq!(logs(&term("level", "error")), logs("level:error"));
}

#[test]
fn durations_and_times_are_read_as_written() {
    for (text, want) in [
        ("250", Some(250)),
        ("1.5s", Some(1_500_000_000)),
        ("1h30m", Some(5_400_000_000_000)),
        ("2µs", Some(2_000)),
        ("1x", None),
        ("s", None),
        ("", None),
        ("-1s", None),
    ] {
        assert_eq!(duration_ns(text), want, "{text}");
    }
    for (text, want) in [
        ("1", Some(1_000_000_000)),
        ("1700000000", Some(1_700_000_000_000_000_000)),
        ("1700000000000", Some(1_700_000_000_000_000_000)),
        ("1700000000000000", Some(1_700_000_000_000_000_000)),
        ("1700000000000000001", Some(1_700_000_000_000_000_001)),
        ("1.25", Some(1_250_000_000)),
        ("1970-01-02", Some(86_400_000_000_000)),
        ("1970-01-01T01:00:00+01:00", Some(0)),
        ("1970-01-01T00:00:01", Some(1_000_000_000)),
        ("9999-01-01T00:00:00Z", None),
        ("noon", None),
    ] {
        assert_eq!(time_ns(text), want, "{text}");
    }
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,6}", "[ -~äß\t\n]{1,8}", Just("OR".to_owned()), Just("TO".to_owned())]
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        (texts(), any::<bool>()).prop_map(|(text, prefix)| Value::Quoted { text, prefix }),
        texts().prop_map(|text| Value::Word(vec![text])),
        proptest::collection::vec(texts(), 2..4).prop_map(Value::Word),
        texts().prop_map(|text| Value::Word(vec![String::new(), text, String::new()])),
    ]
}

fn tests() -> impl Strategy<Value = FieldTest> {
    let order = prop_oneof![Just(Order::Less), Just(Order::GreaterOrEqual), Just(Order::Greater)];
    let end = || proptest::option::of(values());
    prop_oneof![
        values().prop_map(FieldTest::Is),
        Just(FieldTest::Is(Value::Word(vec![String::new(), String::new()]))),
        values().prop_map(FieldTest::Exactly),
        (order, values()).prop_map(|(order, value)| FieldTest::Order(order, value)),
        texts().prop_map(FieldTest::Regex),
        (end(), any::<bool>(), end(), any::<bool>()).prop_map(|(low, low_inside, high, high_inside)| {
            FieldTest::Range { low, low_inside, high, high_inside }
        }),
    ]
}

fn exprs() -> impl Strategy<Value = Expr> {
    let scope = prop_oneof![Just(Scope::Word), Just(Scope::Key), Just(Scope::Record), Just(Scope::Resource)];
    let leaf = prop_oneof![
        Just(Expr::Everything),
        values().prop_map(|value| Expr::Words(value, At(0))),
        (scope, texts(), tests())
            .prop_map(|(scope, key, test)| Expr::Field(Name { scope, key, at: 0 }, test)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Expr::all),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Expr::any),
            inner.prop_map(Expr::negated),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(expr in exprs()) {
        let printed = expr.to_string();
        let again = parser::parse(&printed);
        prop_assert_eq!(again.as_ref(), Ok(&expr), "printed as {}", printed);
    }

    #[test]
    fn no_text_causes_a_panic(text in "[-a-c :()\"|!*/\\\\<>=~\\[\\]{}TORNAD.ä\t]{0,40}") {
        for signal in [Signal::Logs, Signal::Traces, Signal::Events] {
            if let Ok(search) = Search::parse(&text, signal) {
                let printed = search.to_string();
                let again = Search::parse(&printed, signal);
                prop_assert_eq!(again.as_ref(), Ok(&search), "{} printed as {}", text, printed);
            }
        }
    }
}
