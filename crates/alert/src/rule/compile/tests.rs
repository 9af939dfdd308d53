use serde_json::{Value, json};

use super::super::{Compiled, RuleSpec};
use super::Invalid;

fn rule(kind: &str, condition: Value) -> RuleSpec {
    let spec = json!({"type": kind, "severity": "warning", "condition": condition});
    serde_json::from_value(spec).expect("the rule is written well")
}

fn compile(kind: &str, condition: Value) -> Result<Compiled, Invalid> {
    rule(kind, condition).compile().map(|(compiled, _)| compiled)
}

fn asks(kind: &str, condition: Value, want: &[&str]) {
    let compiled = compile(kind, condition.clone()).unwrap_or_else(|error| panic!("{condition}: {error}"));
    let texts: Vec<&str> = compiled.questions.iter().map(|asked| asked.question.text()).collect();
    assert_eq!(texts, want, "{kind} {condition}");
}

#[test]
fn each_type_asks_what_it_means() {
    let calls = r#"traces_spanmetrics_calls_total{service="api",span_kind="SPAN_KIND_SERVER"}"#;
    let failed = r#"traces_spanmetrics_calls_total{service="api",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR"}"#;
    asks("threshold", json!({"metric": "cpu", "operator": ">", "threshold": 80}), &["cpu"]);
    asks(
        "threshold",
        json!({"metric": "cpu", "aggregate": "avg", "window": "5m", "groupBy": ["host"], "threshold": 80}),
        &["avg by (host) (avg_over_time(cpu[5m]))"],
    );
    asks("threshold", json!({"query": "up == 0"}), &["up == 0"]);
    asks(
        "threshold",
        json!({"query": "level:error", "language": "search", "window": 60, "threshold": 10}),
        &["level:error"],
    );
    asks("anomaly", json!({"metric": "rps", "season": "daily"}), &["rps"]);
    asks(
        "error_rate",
        json!({"service": "api", "threshold": 5}),
        &[&format!(
            "100 * ((sum by (service) (rate({failed}[5m])) or 0 * sum by (service) (rate({calls}[5m]))) / \
             (sum by (service) (rate({calls}[5m])) > 0))"
        )],
    );
    asks(
        "performance",
        json!({"service": "api", "aggregate": "p99", "threshold": 0.5}),
        &["histogram_quantile(0.99, sum by (le, service) (rate(traces_spanmetrics_latency_bucket{\
           service=\"api\",span_kind=\"SPAN_KIND_SERVER\"}[5m])))"],
    );
    asks("downtime", json!({"check": "shop"}), &[r#"probe_success{check="shop"} == 0"#]);
    asks("downtime", json!({}), &["probe_success == 0"]);
    asks("absence", json!({"metric": "up", "window": "10m"}), &["absent_over_time(up[10m])"]);
    asks("absence", json!({"query": "sum(up)"}), &["absent(sum(up))"]);
    asks(
        "composite",
        json!({"all": [{"metric": "a", "threshold": 1}, {"not": {"rule": "quiet hours"}}, {"check": "shop"}]}),
        &[
            "a",
            r#"max without (alertname, alertstate, severity, rule) (ALERTS{alertname="quiet hours",alertstate="firing"})"#,
            r#"probe_success{check="shop"} == 0"#,
        ],
    );
    let slo = compile("slo", json!({"objective": 0.999, "service": "api"})).expect("a good SLO");
    assert_eq!(slo.questions.len(), 8, "four pairs of windows");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (kind, condition, field) in [
        ("threshold", json!({}), "condition.metric"),
        ("threshold", json!({"metric": "a"}), "condition.threshold"),
        ("threshold", json!({"metric": "a", "query": "b", "threshold": 1}), "condition.query"),
        ("threshold", json!({"metric": "a", "threshold": 1, "check": "x"}), "condition.check"),
        ("threshold", json!({"metric": "a{}", "filter": {"b": "c"}, "threshold": 1}), "condition.filter"),
        ("threshold", json!({"query": "a", "window": "5m", "threshold": 1}), "condition.window"),
        ("threshold", json!({"metric": "a", "window": "60d", "threshold": 1}), "condition.window"),
        ("threshold", json!({"metric": "a", "threshold": 1, "recover": 2}), "condition.recover"),
        (
            "threshold",
            json!({"metric": "a", "operator": "==", "threshold": 1, "recover": 1}),
            "condition.recover",
        ),
        (
            "threshold",
            json!({"metric": "a", "thresholds": [
                {"severity": "warning", "value": 90}, {"severity": "critical", "value": 80}]}),
            "condition.thresholds",
        ),
        (
            "threshold",
            json!({"metric": "a", "thresholds": [
                {"severity": "error", "value": 80}, {"severity": "error", "value": 90}]}),
            "condition.thresholds",
        ),
        (
            "threshold",
            json!({"query": "x", "language": "search", "aggregate": "p95", "threshold": 1}),
            "condition.field",
        ),
        (
            "threshold",
            json!({"query": "x", "language": "search", "signal": "metrics", "threshold": 1}),
            "condition.signal",
        ),
        ("anomaly", json!({"metric": "a", "sensitivity": 0.1}), "condition.sensitivity"),
        ("error_rate", json!({"threshold": 500}), "condition.threshold"),
        ("error_rate", json!({"errors": "a", "threshold": 5}), "condition.total"),
        ("performance", json!({"aggregate": "avg", "threshold": 1}), "condition.aggregate"),
        ("slo", json!({"objective": 99.9}), "condition.objective"),
        ("slo", json!({"objective": 0.999, "period": "1d"}), "condition.period"),
        ("composite", json!({"all": [{"metric": "a"}], "any": [{"metric": "b"}]}), "condition"),
        ("composite", json!({"all": [{"metric": "a", "not": {"metric": "b"}}]}), "condition.all[0].metric"),
        ("composite", json!({"any": [{"metric": "a", "operator": ">"}]}), "condition.any[0].operator"),
    ] {
        let error = compile(kind, condition.clone()).err();
        assert_eq!(error.map(|error| error.field).as_deref(), Some(field), "{kind} {condition}");
    }
}

#[test]
fn conditions_are_bounded_in_depth_and_number() {
    let mut deep = json!({"metric": "a", "threshold": 1});
    for _ in 0..20 {
        deep = json!({"not": deep});
    }
    assert!(compile("composite", deep).expect_err("too deep").message.contains("inside each other"));
    let part = json!({"metric": "a", "threshold": 1});
    let wide = json!({"all": vec![part; 33]});
    assert_eq!(compile("composite", wide).expect_err("too wide").field, "condition.all");
}

#[test]
fn a_rule_has_defaults_that_keep_people_calm() {
    let spec = rule("threshold", json!({"metric": "cpu", "threshold": 80}));
    let (_, policy) = spec.compile().expect("compiles");
    assert_eq!(policy.cooldown_ms, 300_000);
    assert_eq!(spec.interval().millis(), 30_000);
    assert!(spec.is_active);
    assert!(spec.warnings().is_empty());
}

#[test]
fn what_is_hardly_meant_is_warned_about() {
    let warned = |change: Value| -> Vec<String> {
        let mut spec = json!({"type": "error_rate", "severity": "warning", "condition": {"threshold": 5}});
        for (name, value) in change.as_object().expect("an object") {
            spec[name] = value.clone();
        }
        let spec: RuleSpec = serde_json::from_value(spec).expect("the rule is written well");
        spec.warnings().into_iter().map(|warning| warning.field).collect()
    };
    assert_eq!(warned(json!({})), Vec::<String>::new());
    assert_eq!(warned(json!({"cooldown": 0})), ["cooldown"]);
    assert_eq!(warned(json!({"for": "10s"})), ["for"]);
    assert_eq!(warned(json!({"severity": "Critical"})), ["runbook"]);
    assert_eq!(warned(json!({"condition": {"threshold": 250}})), ["condition.threshold"]);
}

#[test]
fn a_rule_of_the_first_service_is_a_rule() {
    // { metric: 'cpu', threshold: 80, priority: 'high' }
    let spec: RuleSpec = serde_json::from_value(json!({
        "type": "threshold", "priority": "high", "condition": {"metric": "cpu", "threshold": 80},
        "channels": ["email", {"type": "slack", "config": {"url": "https://hooks.example"}}]
    }))
    .expect("the rule is written well");
    assert_eq!(spec.severity(), crate::severity::Severity::Error);
    assert_eq!(spec.channels.len(), 2);
    let error = serde_json::from_value::<RuleSpec>(json!({
        "type": "threshold", "condition": {"metric": "cpu", "threshold": 80}, "channels": [{"typo": 1}]
    }));
    assert!(error.expect_err("no type").to_string().contains("typo"));
}
