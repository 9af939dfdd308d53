use arrow_buffer::BooleanBuffer;
use model::record::{event, log};
use model::{Records, Value};
use proptest::prelude::*;
use store::rows::{Cost, Slice};

use super::*;

/// A row: attributes of the record, attributes of its resource.
type Row = (Vec<(&'static str, String)>, Vec<(&'static str, String)>);

fn slice(rows: &[Row]) -> Slice {
    let mut records = Records::new(Signal::Logs);
    for (n, (own, shared)) in rows.iter().enumerate() {
        let push = |records: &mut Records, attrs: &[(&str, String)]| {
            let first = records.attrs.len() as u32;
            for (key, value) in attrs {
                let value = records.push_text(value);
                records.push_attr(key, Value::Text(value));
            }
            first
        };
        let first = push(&mut records, shared);
        let resource = records.end_resource(first);
        let mut fields = [Value::Null; 7];
        fields[log::TIMESTAMP] = Value::Int(n as i64);
        fields[log::BODY] = Value::Text(records.push_text("text"));
        let first = push(&mut records, own);
        records.push_row(n as u32, resource, first, &fields);
    }
    Slice::of_records(&records)
}

fn shown(rows: &BooleanBuffer) -> Vec<usize> {
    rows.set_indices().collect()
}

fn everything() -> Filter {
    Filter::new(Signal::Logs, &Predicate::TRUE, i64::MIN, i64::MAX).expect("a filter")
}

fn select(slice: &Slice, filter: &Filter) -> Vec<usize> {
    shown(&slice.select(filter, &mut Cost::default()).expect("rows"))
}

#[test]
fn a_label_is_the_attribute_of_its_name_or_of_one_with_full_stops() {
    let row = |own: &[(&'static str, &str)], shared: &[(&'static str, &str)]| -> Row {
        let owned =
            |pairs: &[(&'static str, &str)]| pairs.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        (owned(own), owned(shared))
    };
    let rows = [
        row(&[], &[("service.name", "a")]),
        row(&[("service_name", "a")], &[("service.name", "b")]),
        row(&[("service.name", "b")], &[("service.name", "a")]),
        row(&[("k8s.pod_name", "a-1")], &[]),
        row(&[], &[]),
        row(&[("service.name", "")], &[("team", "a\nb")]),
    ];
    let slice = slice(&rows);
    for (selector, want) in [
        (r#"{service_name="a"}"#, &[0, 1][..]),
        (r#"{service="a"}"#, &[0]),
        (r#"{"service.name"="a"}"#, &[0]),
        (r#"{service_name!="a",service_name!=""}"#, &[2]),
        (r#"{k8s_pod_name=~"a-.*"}"#, &[3]),
        (r#"{body="text",service_name=~"a|",team=""}"#, &[0, 1, 3, 4]),
        (r#"{team=~"a.b"}"#, &[5]),
        (r#"{team=~"a"}"#, &[]),
        (r#"{team!~"a.*",service_name=~".+"}"#, &[0, 1, 2]),
        (r#"up{service_name="a"}"#, &[]),
        (r#"{body="text",service="b"}"#, &[1, 2]),
    ] {
        let filter = Selector::parse(selector).expect(selector).filter(Signal::Logs).expect(selector);
        assert_eq!(select(&slice.clone().within(Arc::new(filter)), &everything()), want, "{selector}");
    }
}

#[test]
fn what_cannot_bound_is_refused_with_a_remedy() {
    for (text, part) in [
        ("{", "write one such as"),
        ("{}", "write one such as"),
        ("sum(up)", "write one such as"),
        (r#"{a=~"("}"#, "write one such as"),
        (r#"{level="error"}"#, "label \"level\" is a time, a level"),
        (r#"{a_b_c_d_e_f="x"}"#, "more than 4 underscores"),
    ] {
        let error = Selector::parse(text).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    // Fixed columns of one signal are attributes of the others.
    let team = Selector::parse(r#"{team_id="a"}"#).expect("a selector");
    let of_events = format!("{:?}", team.predicate(Signal::Events).expect("a predicate"));
    assert!(of_events.contains(&format!("Fixed({})", event::TEAM_ID)), "{of_events}");
    assert!(!format!("{:?}", team.predicate(Signal::Logs).expect("a predicate")).contains("Fixed"));
}

#[test]
fn keys_of_rows_that_are_not_seen_are_not_named() {
    let rows: [Row; 2] = [
        (vec![("team", "a".into()), ("mine", "1".into())], vec![]),
        (vec![("team", "b".into()), ("theirs", "1".into())], vec![]),
    ];
    let slice = slice(&rows);
    let keys = |selector: &str| -> Vec<String> {
        let filter = Selector::parse(selector).expect(selector).filter(Signal::Logs).expect(selector);
        let keys = slice.clone().within(Arc::new(filter)).keys().expect("keys");
        keys.iter().map(|key| format!("{} {}", key.key, key.count)).collect()
    };
    assert_eq!(keys(r#"{team="a"}"#), ["mine 1", "team 1"]);
    assert_eq!(keys(r#"{team=~"a|b"}"#), ["mine 1", "team 2", "theirs 1"]);
    assert!(keys(r#"{team="c"}"#).is_empty());
    assert!(slice.clone().id().is_some(), "what is remembered of a slice is of all its rows");
    let filter = Selector::parse(r#"{team="a"}"#).expect("a selector").filter(Signal::Logs);
    assert!(slice.within(Arc::new(filter.expect("a filter"))).id().is_none());
}

/// Keys that one label reads, and one of another.
const KEYS: [&str; 4] = ["team_id", "team.id", "team", "other"];

/// The label of a row, by the rule of the module.
fn label_of<'a>(row: &'a Row, name: &str) -> &'a str {
    let of =
        |key: &str| row.0.iter().chain(&row.1).find(|(own, _)| *own == key).map(|(_, value)| value.as_str());
    of(name).or_else(|| of(&name.replace('_', "."))).unwrap_or("")
}

fn attrs() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    proptest::collection::hash_map(0..KEYS.len(), "[ab]{0,2}", 0..3)
        .prop_map(|all| all.into_iter().map(|(key, value)| (KEYS[key], value)).collect())
}

fn matchers() -> impl Strategy<Value = Matcher> {
    let op = prop_oneof![
        Just(MatchOp::Equal),
        Just(MatchOp::NotEqual),
        Just(MatchOp::Regex),
        Just(MatchOp::NotRegex)
    ];
    let value = prop_oneof![Just(""), Just("a"), Just("ab"), Just("a.*"), Just("b|"), Just(".+")];
    (0..2_usize, op, value)
        .prop_map(|(key, op, value)| Matcher::new(["team_id", "team"][key], op, value).expect("a matcher"))
}

proptest! {
    /// A selector with a question shows what the question shows, less the rows that the selector does not accept.
    #[test]
    fn a_selector_and_a_question_show_the_rows_that_fulfil_both(
        rows in proptest::collection::vec((attrs(), attrs()), 1..12),
        matchers in proptest::collection::vec(matchers(), 1..3),
        asked in "[ab]",
    ) {
        let slice = slice(&rows);
        let test = Test::Text { how: TextMatch::Contains, text: asked.as_str().into(), ignore_case: false };
        let question = Predicate::Test(Field::Key("other".into()), test);
        let filter = |predicate: &Predicate| {
            Filter::new(Signal::Logs, predicate, i64::MIN, i64::MAX).expect("a filter")
        };
        let selector = Selector { matchers: matchers.clone() };
        let bounded = slice.clone().within(Arc::new(selector.filter(Signal::Logs).expect("a filter")));
        let found = select(&bounded, &filter(&question));
        let accepts = |row: &Row| matchers.iter().all(|m| m.matches(label_of(row, &m.name)));
        let want: Vec<usize> = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| accepts(row) && label_of(row, "other").contains(&asked))
            .map(|(n, _)| n)
            .collect();
        prop_assert_eq!(&found, &want);
        let both = question.and(selector.predicate(Signal::Logs).expect("a predicate"));
        prop_assert_eq!(select(&slice, &filter(&both)), want);
    }
}
