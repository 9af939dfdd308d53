//! Rule files and test files.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// An expression is what has no unclosed parenthesis; the line is that of the parenthesis.
fn expr(text: &str) -> Result<(), ExprError> {
    match text.lines().position(|line| line.contains('(') && !line.contains(')')) {
        Some(line) => {
            Err(ExprError { message: "unclosed left parenthesis".to_owned(), line: line as u32 + 1 })
        }
        None => Ok(()),
    }
}

fn read(text: &str) -> Result<Parsed, Vec<String>> {
    parse("rules.yml", text, Names::Legacy, &expr)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

const WHOLE: &str = r#"
groups:
  - name: api
    interval: 30s
    query_offset: 1m
    limit: 10
    labels: {team: web}
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
        labels:
          level: 5
      - alert: Down
        expr: |
          up
            == 0
        for: 1h30m
        keep_firing_for: 5m
        labels:
          severity: '{{ if gt $value 1.0 }}critical{{ else }}warning{{ end }}'
        annotations:
          summary: "{{ $labels.instance }} is down"
  - name: empty
    rules:
"#;

#[test]
fn a_rule_file_is_read_whole() {
    let parsed = read(WHOLE).expect("valid");
    let [api, empty] = parsed.rules.groups.as_slice() else { panic!("two groups") };
    assert_eq!(
        (api.name.as_str(), api.interval, api.query_offset),
        ("api", Some(Duration::from_secs(30)), Some(Duration::from_secs(60)))
    );
    assert_eq!((api.limit, api.at.line, api.labels.get("team").map(String::as_str)), (10, 3, Some("web")));
    assert!(empty.rules.is_empty());
    let [Rule::Recording(record), Rule::Alerting(alert)] = api.rules.as_slice() else { panic!("two rules") };
    assert_eq!(
        (record.record.as_str(), record.expr.value.as_str(), record.at.line),
        ("job:up:sum", "sum by (job) (up)", 9)
    );
    assert_eq!(
        record.labels.get("level").map(String::as_str),
        Some("5"),
        "a number is a text where one is wanted"
    );
    assert_eq!(
        (alert.alert.as_str(), alert.expr.value.as_str(), alert.expr.line_of(2)),
        ("Down", "up\n  == 0\n", 16)
    );
    assert_eq!((alert.hold, alert.keep_firing_for), (Duration::from_secs(5400), Duration::from_secs(300)));
    assert_eq!(alert.annotations["summary"].text, "{{ $labels.instance }} is down");
    assert_eq!(parsed.warnings, []);
}

#[test]
fn each_error_has_its_place() {
    let rule = |text: &str| format!("groups:\n- name: g\n  rules:\n  - {}\n", text.replace('\n', "\n    "));
    for (text, expected) in [
        (
            rule("alert: A\nexpr: up\nfoo: 1"),
            "rules.yml:6:5: field foo not found in a rule; known are record, alert, expr, for, keep_firing_for, labels, annotations",
        ),
        (
            rule("alert: A\nrecord: b\nexpr: up"),
            "rules.yml:5:13: group \"g\", rule 1, \"A\": only one of 'record' and 'alert' must be set",
        ),
        (
            rule("expr: up"),
            "rules.yml:4:5: group \"g\", rule 1, \"\": one of 'record' or 'alert' must be set",
        ),
        (rule("alert: A"), "rules.yml:4:5: group \"g\", rule 1, \"A\": field 'expr' must be set in rule"),
        (
            rule("alert: A\nexpr: |\n  up\n  sum("),
            "rules.yml:7:1: group \"g\", rule 1, \"A\": could not parse expression: unclosed left parenthesis",
        ),
        (
            rule("record: a\nexpr: up\nfor: 5m"),
            "rules.yml:4:13: group \"g\", rule 1, \"a\": invalid field 'for' in recording rule",
        ),
        (
            rule("record: a\nexpr: up\nkeep_firing_for: 5m"),
            "rules.yml:4:13: group \"g\", rule 1, \"a\": invalid field 'keep_firing_for' in recording rule",
        ),
        (
            rule("record: a\nexpr: up\nannotations: {a: b}"),
            "rules.yml:4:13: group \"g\", rule 1, \"a\": invalid field 'annotations' in recording rule",
        ),
        (
            rule("record: a-b\nexpr: up"),
            "rules.yml:4:13: group \"g\", rule 1, \"a-b\": invalid recording rule name: a-b",
        ),
        (
            rule("alert: A\nexpr: up\nlabels: {a-b: c}"),
            "rules.yml:6:14: group \"g\", rule 1, \"A\": invalid label name: a-b",
        ),
        (
            rule("alert: A\nexpr: up\nlabels: {__name__: c}"),
            "rules.yml:6:14: group \"g\", rule 1, \"A\": invalid label name: __name__",
        ),
        (
            rule("alert: A\nexpr: up\nannotations: {a-b: c}"),
            "rules.yml:6:19: group \"g\", rule 1, \"A\": invalid annotation name: a-b",
        ),
        (
            rule("alert: A\nexpr: up\nfor: 5x"),
            "rules.yml:6:10: for: not a valid duration string: \"5x\"; write for example 1h30m",
        ),
        (
            rule("alert: A\nexpr: up\nannotations:\n  a: |\n    x\n    {{ nope }}"),
            "rules.yml:9:9: group \"g\", rule 1, \"A\": annotation \"a\": template \"__alert_A\":2:4: function \"nope\" not defined; Prometheus templates have no such function",
        ),
        (
            rule("alert: A\nexpr: up\nlabels: {a: '{{ $x }}'}"),
            "rules.yml:6:17: group \"g\", rule 1, \"A\": label \"a\": template \"__alert_A\":1:4: undefined variable \"$x\"",
        ),
        (rule("alert: [A]\nexpr: up"), "rules.yml:4:12: cannot unmarshal a list into a text for alert"),
        (
            rule("alert: A\nexpr: up\nexpr: down"),
            "rules.yml:6:5: mapping key \"expr\" already defined at line 5",
        ),
        (
            "groups:\n- name: a\n- name: a\n".to_owned(),
            "rules.yml:3:3: groupname: \"a\" is repeated in the same file",
        ),
        ("groups:\n- rules: []\n".to_owned(), "rules.yml:2:3: Groupname must not be empty"),
        (
            "group:\n- name: a\n".to_owned(),
            "rules.yml:1:1: field group not found in a rule file; known are groups",
        ),
        ("groups: 5\n".to_owned(), "rules.yml:1:9: cannot unmarshal a text into a list for groups"),
        (
            "groups:\n- name: a\n  limit: x\n".to_owned(),
            "rules.yml:3:10: cannot unmarshal a text into a whole number for limit",
        ),
        ("groups:\n- name: a\n  labels: {1a: b}\n".to_owned(), "rules.yml:3:12: invalid label name: 1a"),
    ] {
        let errors = read(&text).expect_err(&text);
        assert_eq!(errors.first().map(String::as_str), Some(expected), "{errors:?}");
    }
}

#[test]
fn names_of_any_text_are_allowed_since_prometheus_3() {
    let text = "groups:\n- name: g\n  rules:\n  - {record: a-b, expr: up, labels: {c-d: e}}\n";
    assert!(parse("f", text, Names::Utf8, &expr).is_ok());
    assert!(parse("f", text, Names::Legacy, &expr).is_err());
    let braces = "groups:\n- name: g\n  rules:\n  - {record: 'a{b=\"c\"}', expr: up}\n";
    assert!(parse("f", braces, Names::Utf8, &expr).is_err());
}

#[test]
fn a_rule_twice_is_a_warning() {
    let text = "groups:\n- name: g\n  rules:\n  - {record: a, expr: up}\n  - {record: a, expr: down}\n  - {record: a, expr: up, labels: {b: c}}\n---\nx: 1\n";
    let parsed = parse("f", text, Names::Utf8, &expr).expect("valid");
    let [Warning::DuplicateRule { at, name, .. }, Warning::FurtherDocuments] = parsed.warnings.as_slice()
    else {
        panic!("{:?}", parsed.warnings)
    };
    assert_eq!((at.line, name.as_str()), (5, "a"));
}

#[test]
fn anchors_and_merges_are_followed() {
    let text = "groups:\n- name: g\n  rules:\n  - &a {alert: A, expr: up, for: 5m, labels: {s: w}}\n  - <<: *a\n    alert: B\n";
    let parsed = parse("f", text, Names::Utf8, &expr).expect("valid");
    let Rule::Alerting(second) = &parsed.rules.groups[0].rules[1] else { panic!("an alert") };
    assert_eq!(
        (second.alert.as_str(), second.hold, second.labels["s"].text.as_str()),
        ("B", Duration::from_secs(300), "w")
    );
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &(1..12)
            .map(|i| {
                let (a, b) = (char::from(b'a' + i - 1), char::from(b'a' + i));
                format!("{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n")
            })
            .collect::<String>();
    let errors = parse("f", &bomb, Names::Utf8, &expr).expect_err("too much");
    assert!(errors[0].to_string().contains("more than 1000000 values"), "{}", errors[0]);
    let deep = "[".repeat(100) + &"]".repeat(100);
    let errors = parse("f", &deep, Names::Utf8, &expr).expect_err("too deep");
    assert!(errors[0].to_string().contains("within each other"), "{}", errors[0]);
    assert!(parse("f", &"[".repeat(100_000), Names::Utf8, &expr).is_err());
}

#[test]
fn an_empty_file_has_no_rules() {
    for text in ["", "# nothing\n", "groups:\n", "---\n"] {
        assert_eq!(parse("f", text, Names::Utf8, &expr).expect(text).rules, RuleFile::default());
    }
}

#[test]
fn durations_read_and_print() {
    for (text, ms, shown) in [
        ("0", 0, "0s"),
        ("0s", 0, "0s"),
        ("5m", 300_000, "5m"),
        ("1h30m", 5_400_000, "1h30m"),
        ("90m", 5_400_000, "1h30m"),
        ("1y2w3d", 365 * 86_400_000 + 17 * 86_400_000, "382d"),
        ("7d", 604_800_000, "1w"),
        ("8d", 691_200_000, "8d"),
        ("36h", 129_600_000, "36h"),
        ("1s500ms", 1_500, "1s500ms"),
        ("365d", 365 * 86_400_000, "1y"),
        ("1d1ms", 86_400_001, "24h1ms"),
    ] {
        let duration = parse_duration(text).expect(text);
        assert_eq!((duration.as_millis(), format_duration(duration).as_str()), (ms, shown), "{text}");
    }
    for text in [
        "",
        "1",
        "5",
        "m",
        "5x",
        "1m1h",
        "1m1m",
        "-1m",
        "1.5h",
        " 5m",
        "5m ",
        "300y",
        "99999999999999999999s",
        "1h5",
    ] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}

const TESTS: &str = r#"
rule_files: [alerts.yml, "more/*.yml"]
evaluation_interval: 30s
fuzzy_compare: true
group_eval_order: [b, a]
tests:
  - interval: 1m
    name: down
    external_labels: {region: eu}
    external_url: https://x.example.com
    input_series:
      - series: 'up{job="a"}'
        values: '0x5 _ stale'
    alert_rule_test:
      - eval_time: 10m
        alertname: Down
        exp_alerts:
          - exp_labels: {severity: page}
            exp_annotations:
              summary: a is down
    promql_expr_test:
      - expr: sum(up)
        eval_time: 4m
        exp_samples:
          - {labels: '{}', value: 1.5e+2}
          - labels: x
            value: -.inf
          - histogram: '{{count:1}}'
  - input_series: []
"#;

#[test]
fn a_test_file_is_read_whole() {
    let tests = parse_tests("t.yml", TESTS).expect("valid");
    assert_eq!(
        tests.rule_files.iter().map(|f| f.value.as_str()).collect::<Vec<_>>(),
        ["alerts.yml", "more/*.yml"]
    );
    assert_eq!((tests.evaluation_interval, tests.fuzzy_compare), (Duration::from_secs(30), true));
    let [down, other] = tests.tests.as_slice() else { panic!("two tests") };
    assert_eq!((down.at.line, down.name.as_str(), down.interval), (7, "down", Duration::from_secs(60)));
    assert_eq!(other.interval, Duration::from_secs(30), "the interval of evaluations");
    assert_eq!(down.input_series[0].values.value, "0x5 _ stale");
    let alert = &down.alert_rule_test[0];
    assert_eq!(
        (alert.eval_time, alert.alertname.as_str(), alert.at.line),
        (Duration::from_secs(600), "Down", 15)
    );
    assert_eq!(alert.exp_alerts[0].annotations["summary"], "a is down");
    let samples = &down.promql_expr_test[0].exp_samples;
    assert_eq!(
        (samples[0].value, samples[1].value, samples[2].histogram.as_str()),
        (150.0, f64::NEG_INFINITY, "{{count:1}}")
    );
}

#[test]
fn errors_of_test_files_have_their_places() {
    for (text, expected) in [
        (
            "tests:\n- alert_rule_test:\n  - eval_time: 1m\n",
            "t.yml:3:5: an item under alert_rule_test misses required attribute alertname",
        ),
        ("group_eval_order: [a, b, a]\n", "t.yml:1:26: group name repeated in evaluation order: a"),
        (
            "rule_file: x\n",
            "t.yml:1:1: field rule_file not found in a test file; known are rule_files, evaluation_interval, fuzzy_compare, group_eval_order, tests",
        ),
        (
            "tests:\n- promql_expr_test:\n  - exp_samples:\n    - value: x\n",
            "t.yml:4:14: cannot unmarshal a text into a number for value",
        ),
        ("tests: [5]\n", "t.yml:1:9: cannot unmarshal a text into a map for a test"),
    ] {
        let errors = parse_tests("t.yml", text).expect_err(text);
        assert_eq!(errors[0].to_string(), expected);
    }
    assert!(parse_tests("t.yml", "[]").is_err());
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\PC\n]{0,300}") {
        let _ = parse("f", &text, Names::Utf8, &expr);
        let _ = parse_tests("f", &text);
    }

    #[test]
    fn no_change_of_a_file_makes_the_reader_panic(at in 0..900usize, bytes in "[\\PC\n]{0,4}", cut in 0..20usize) {
        for whole in [WHOLE, TESTS] {
            let mut text: Vec<char> = whole.chars().collect();
            let from = at.min(text.len());
            text.splice(from..(from + cut).min(text.len()), bytes.chars());
            let text: String = text.into_iter().collect();
            let _ = parse("f", &text, Names::Legacy, &expr);
            let _ = parse_tests("f", &text);
        }
    }

    #[test]
    fn durations_come_back(ms in 0..9_000_000_000_000u64) {
        let duration = Duration::from_millis(ms);
        prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }
}
