//! The tables against amtool and promtool: what they hold is what the programs do.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::rows::{Row, data, rows};
use crate::run;

/// Renders each row with amtool.
fn check(file: &str, kind: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.tmpl");
    std::fs::write(&empty, "").expect("a file");
    let glob = format!("--template.glob={}", empty.display());
    let given = format!("--template.data={}", data("notification.json").display());
    let mut wrong = String::new();
    for Row { name, input, expected } in rows(file) {
        let text = format!("--template.text={input}");
        let kind = format!("--template.type={kind}");
        let output =
            run("amtool", "prometheus-alertmanager", &["template", "render", &glob, &given, &kind, &text]);
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let same = match &expected {
            Ok(expected) => output.status.success() && *expected == stdout,
            Err(line) => !output.status.success() && stderr.contains(&format!("template: :{line}:")),
        };
        if !same {
            writeln!(wrong, "{name}: {input}\n  expected {expected:?}\n  amtool says {stdout:?} {stderr:?}")
                .expect("a text");
        }
    }
    assert!(wrong.is_empty(), "{file}:\n{wrong}");
}

#[test]
fn amtool_agrees_with_the_alertmanager_rows() {
    check("alertmanager.txt", "text");
}

#[test]
fn amtool_agrees_with_the_html_rows() {
    check("html.txt", "html");
}

/// Each row is an annotation of an alert of its own, and `promtool test rules` compares what it becomes.
#[test]
fn promtool_agrees_with_the_prometheus_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rules = Vec::new();
    let mut tests = Vec::new();
    for (i, Row { name, input, expected }) in rows("prometheus.txt").into_iter().enumerate() {
        let alert = format!("Row{i}");
        let rule = json!({"alert": alert, "expr": "m * 1", "annotations": {"row": name, "out": input}});
        let Ok(out) = expected else {
            // What fails in reading fails the whole file, and what fails in rendering leaves a remark: each alone.
            let file = folder.path().join(format!("{alert}.yml"));
            let groups = json!({"groups": [{"name": "g", "rules": [rule]}]});
            std::fs::write(&file, groups.to_string()).expect("a file");
            let test = folder.path().join(format!("{alert}-test.yml"));
            std::fs::write(&test, suite(&format!("{alert}.yml"), &json!([]), &alert).to_string())
                .expect("a file");
            let output = run("promtool", "prometheus", &["test", "rules", &test.display().to_string()]);
            let shown = String::from_utf8_lossy(&output.stderr).into_owned()
                + &String::from_utf8_lossy(&output.stdout);
            let fails = shown.contains("error expanding template") || shown.contains("annotation \"out\"");
            assert!(fails, "{name}: {input} does not fail: {shown}");
            continue;
        };
        rules.push(rule);
        tests.push((alert, name, out));
    }
    let file = json!({"groups": [{"name": "g", "rules": rules}]});
    std::fs::write(folder.path().join("rules.yml"), file.to_string()).expect("a file");
    let mut whole = suite("rules.yml", &json!([]), "");
    let expectations = tests.iter().map(|(alert, name, out)| {
        let labels = json!({"instance": "web-1.example.org:9100", "job": "api"});
        let annotations = json!({"row": name, "out": out});
        json!({"eval_time": "0s", "alertname": alert, "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations}]})
    });
    whole["tests"][0]["alert_rule_test"] = expectations.collect();
    let test = folder.path().join("test.yml");
    std::fs::write(&test, whole.to_string()).expect("a file");
    let output = run("promtool", "prometheus", &["test", "rules", &test.display().to_string()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn suite(rules: &str, alerts: &Value, alert: &str) -> Value {
    let expected = json!([{"eval_time": "0s", "alertname": alert, "exp_alerts": alerts}]);
    json!({"rule_files": [rules], "tests": [{
        "interval": "1m",
        "external_labels": {"region": "eu"},
        "external_url": "https://prom.example.com/p",
        "input_series": [
            {"series": "m{instance=\"web-1.example.org:9100\",job=\"api\"}", "values": "1234.5678"},
            {"series": "q{instance=\"b\"}", "values": "1"},
            {"series": "q{instance=\"a\"}", "values": "2.5"},
        ],
        "alert_rule_test": expected,
    }]})
}
