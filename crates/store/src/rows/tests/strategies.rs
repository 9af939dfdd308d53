//! Arbitrary rows and predicates that often meet: few keys, few words, all kinds.

use std::ops::Range;

use model::record::log;
use model::{Field, Order, Predicate, Scalar, Test, TextMatch};
use proptest::prelude::*;

use super::oracle::{Attr, Row};

const KEYS: [&str; 6] = ["service.name", "k", "http.status_code", "with \"quotes\"\n", "größe", "body"];
const WORDS: [&str; 12] = [
    "timed",
    "out",
    "Timed",
    "ERROR",
    "größe",
    "İx",
    "a_b",
    "503",
    "5.5",
    "true",
    "GET /api/v1",
    "\"q\"\\\u{1}",
];

fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![8 => prop::sample::select(&WORDS[..]).prop_map(String::from), 1 => "\\PC{0,4}"];
    let separator = prop::sample::select(&[" ", "", "=", "_", ", ", "é"][..]);
    prop_oneof![
        8 => prop::collection::vec((word, separator), 0..4).prop_map(|parts| {
            parts.into_iter().map(|(word, separator)| format!("{word}{separator}")).collect()
        }),
        1 => (0usize..40).prop_map(|n| "long text ".repeat(n)),
    ]
}

fn attr() -> impl Strategy<Value = Attr> {
    prop_oneof![
        4 => text().prop_map(Attr::Text),
        2 => prop::sample::select(&[0i64, 1, 500, 503, -7][..]).prop_map(Attr::Int),
        2 => prop::sample::select(&[0.5, 500.0, 5.5, -0.25][..]).prop_map(Attr::Double),
        1 => any::<bool>().prop_map(Attr::Bool),
        1 => prop::sample::select(&["[1,\"out\"]", "{\"a\":{\"b\":[]}}"][..]).prop_map(|t| Attr::Json(t.into())),
    ]
}

fn attrs() -> impl Strategy<Value = std::collections::BTreeMap<String, Attr>> {
    let key = prop::sample::select(&KEYS[..]).prop_map(String::from);
    prop::collection::btree_map(key, attr(), 0..4)
}

fn trace_id() -> impl Strategy<Value = [u8; 16]> {
    (0u8..4).prop_map(|n| [n; 16])
}

fn row() -> impl Strategy<Value = Row> {
    let severity = prop::option::of(prop::sample::select(&[1i64, 9, 13, 17][..]));
    let fixed = (0i64..1000, severity, prop::option::weighted(0.9, text()), prop::option::of(trace_id()));
    (fixed, attrs(), attrs()).prop_map(|((t_ns, severity, body, trace_id), attributes, resource)| Row {
        t_ns,
        severity,
        body,
        trace_id,
        attributes,
        resource,
    })
}

/// Rows, a few of which come many times.
pub(crate) fn rows(count: Range<usize>) -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec(row(), count)
}

/// A range of time that often cuts through the rows.
pub(crate) fn range() -> impl Strategy<Value = (i64, i64)> {
    prop_oneof![
        Just((i64::MIN, i64::MAX)),
        (0i64..1000, 0i64..1000),
        (0i64..1000).prop_map(|t| (t, i64::MAX))
    ]
}

/// A field that some rows have.
pub(crate) fn field() -> impl Strategy<Value = Field> {
    let key = prop::sample::select(&KEYS[..]);
    let fixed = [log::TIMESTAMP, log::SEVERITY_NUMBER, log::BODY, log::BODY, log::TRACE_ID, log::SPAN_ID];
    prop_oneof![
        prop::sample::select(fixed.to_vec()).prop_map(|at| Field::Fixed(at as u8)),
        key.clone().prop_map(|key| Field::Key(key.into())),
        key.clone().prop_map(|key| Field::Record(key.into())),
        key.prop_map(|key| Field::Resource(key.into())),
    ]
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        text().prop_map(|text| Scalar::Text(text.into())),
        prop::sample::select(&WORDS[..]).prop_map(|text| Scalar::Text(text.into())),
        prop::sample::select(&[0i64, 500, 503][..]).prop_map(Scalar::Int),
        prop::sample::select(&[0.5, 500.0, 5.5][..]).prop_map(Scalar::Double),
        any::<bool>().prop_map(Scalar::Bool),
        trace_id().prop_map(|id| Scalar::Bytes(id.into())),
        trace_id().prop_map(|id| Scalar::Text(crate::rows::value::hex(&id).into())),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let order = prop::sample::select(
        &[Order::Equal, Order::Less, Order::LessOrEqual, Order::Greater, Order::GreaterOrEqual][..],
    );
    let how = prop::sample::select(
        &[
            TextMatch::Equals,
            TextMatch::Contains,
            TextMatch::Phrase,
            TextMatch::PhrasePrefix,
            TextMatch::StartsWith,
            TextMatch::Regex,
        ][..],
    );
    let texts = (how, text(), any::<bool>()).prop_map(|(how, text, ignore_case)| {
        let text = if how == TextMatch::Regex { regex::escape(&text) } else { text };
        Test::Text { how, text: text.into(), ignore_case }
    });
    let regexes = prop::sample::select(&["^timed", "o+ut|err", "[0-9]+ (out|x)", " (a_b |503)"][..]);
    let regexes = (regexes, any::<bool>()).prop_map(|(text, ignore_case)| Test::Text {
        how: TextMatch::Regex,
        text: text.into(),
        ignore_case,
    });
    prop_oneof![
        1 => Just(Test::Exists),
        4 => (order, scalar()).prop_map(|(order, wanted)| Test::Compare(order, wanted)),
        1 => prop::collection::vec(scalar(), 0..4).prop_map(Test::OneOf),
        4 => texts,
        1 => regexes,
    ]
}

/// A predicate of a few tests.
pub(crate) fn predicate() -> impl Strategy<Value = Predicate> {
    let leaf = (field(), test()).prop_map(|(field, test)| Predicate::Test(field, test));
    leaf.prop_recursive(3, 8, 3, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 0..3).prop_map(Predicate::All),
            prop::collection::vec(part.clone(), 0..3).prop_map(Predicate::Any),
            part.prop_map(|part| Predicate::Not(Box::new(part))),
        ]
    })
}
