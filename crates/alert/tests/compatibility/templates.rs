//! Our templates against the tables.

use std::collections::BTreeMap;

use alert::template::{
    Dialect, Env, Escape, NoQueries, Notification, NotifiedAlert, Queries, RuleData, Sample, SampleValue,
    TemplateError, Templates, Value,
};
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::rows::{Row, data, rows};

/// 2026-03-04T06:00:00Z.
const NOW_MS: i64 = 1_772_604_000_000;

fn text(json: &Json) -> String {
    json.as_str().expect("a text").to_owned()
}

fn labels(json: &Json) -> BTreeMap<String, String> {
    json.as_object().expect("a map").iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn time(json: &Json) -> i64 {
    text(json).parse::<Timestamp>().expect("a time").as_millisecond()
}

/// The notification that amtool reads from the same file.
pub(crate) fn notification() -> Notification {
    let json = std::fs::read(data("notification.json")).expect("test data");
    let json: Json = serde_json::from_slice(&json).expect("JSON");
    let alert = |json: &Json| NotifiedAlert {
        status: text(&json["status"]),
        labels: labels(&json["labels"]),
        annotations: labels(&json["annotations"]),
        starts_at_ms: time(&json["startsAt"]),
        ends_at_ms: Some(time(&json["endsAt"])).filter(|at| *at > 0),
        generator_url: text(&json["generatorURL"]),
        fingerprint: text(&json["fingerprint"]),
    };
    let alerts = json["alerts"].as_array().expect("a list").iter().map(alert).collect();
    let made =
        Notification::new("team", "https://bellwether.example.com", labels(&json["groupLabels"]), alerts);
    assert_eq!(made.common_labels, labels(&json["commonLabels"]), "what the alerts have in common");
    assert_eq!(made.common_annotations, labels(&json["commonAnnotations"]));
    assert_eq!(made.status, text(&json["status"]));
    made
}

struct Metrics;

fn sample(labels: &[(&str, &str)], value: f64) -> Sample {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sample { labels, value: SampleValue::Float(value) }
}

impl Queries for Metrics {
    fn query(&self, expression: &str) -> Result<Vec<Sample>, String> {
        match expression {
            "q" => Ok(vec![
                sample(&[("__name__", "q"), ("instance", "b")], 1.0),
                sample(&[("__name__", "q"), ("instance", "a")], 2.5),
            ]),
            "q{instance='a'}" => Ok(vec![sample(&[("__name__", "q"), ("instance", "a")], 2.5)]),
            "nothing" => Ok(Vec::new()),
            other => Err(format!("no series for {other}")),
        }
    }
}

/// The alert of `prometheus.txt`.
fn rule_data() -> RuleData {
    let labels = [("instance", "web-1.example.org:9100"), ("job", "api")];
    RuleData {
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        external_labels: [("region".to_owned(), "eu".to_owned())].into(),
        external_url: "https://prom.example.com/p".to_owned(),
        value: SampleValue::Float(1234.5678),
    }
}

fn render(dialect: Dialect, template: &str, escape: Escape) -> Result<String, TemplateError> {
    let (data, queries): (Value, &dyn Queries) = match dialect {
        Dialect::Prometheus => ((&rule_data()).into(), &Metrics),
        Dialect::Alertmanager => ((&notification()).into(), &NoQueries),
    };
    let env = Env { now_ms: NOW_MS, external_url: "https://prom.example.com/p", queries };
    Templates::new(dialect).parse("", template)?.render(&data, &env, escape)
}

fn check(file: &str, dialect: Dialect, escape: Escape) {
    let mut wrong = Vec::new();
    let rows = rows(file);
    for Row { name, input, expected } in &rows {
        let got = render(dialect, input, escape);
        let same = match (&got, expected) {
            (Ok(got), Ok(expected)) => got == expected,
            (Err(error), Err(line)) => line.starts_with(&error.at.line.to_string()),
            _ => false,
        };
        if !same {
            let got = got.map_err(|e| e.to_string());
            wrong.push(format!("{name}: {input}\n  expected {expected:?}\n  got      {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows of {file}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn alertmanager_rows_hold() {
    check("alertmanager.txt", Dialect::Alertmanager, Escape::Text);
}

#[test]
fn rows_of_newer_alertmanagers_hold() {
    check("alertmanager-newer.txt", Dialect::Alertmanager, Escape::Text);
}

#[test]
fn html_rows_hold() {
    check("html.txt", Dialect::Alertmanager, Escape::Html);
}

#[test]
fn prometheus_rows_hold() {
    check("prometheus.txt", Dialect::Prometheus, Escape::Text);
}

#[test]
fn rows_of_newer_prometheuses_hold() {
    check("prometheus-newer.txt", Dialect::Prometheus, Escape::Text);
}

#[test]
fn a_function_that_is_lacking_is_refused_where_it_stands() {
    for (dialect, text, line, column, name) in [
        (Dialect::Alertmanager, "a\nb {{ humanize 1 }}", 2, 6, "humanize"),
        (Dialect::Prometheus, "{{ join \",\" .x }}", 1, 4, "join"),
        (Dialect::Prometheus, "{{ if true }}\n\n{{ $x := call .F }}{{ end }}", 3, 10, "call"),
    ] {
        let error = Templates::new(dialect).parse("team.tmpl", text).expect_err(text);
        assert_eq!((error.at.line, error.at.column), (line, column), "{error}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("template \"team.tmpl\":{line}:{column}: function {name:?}")),
            "{error}"
        );
    }
}
