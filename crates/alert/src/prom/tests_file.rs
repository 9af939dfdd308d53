//! The files of `promtool test rules`: what series there are, and what rules and expressions make of them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::error::{FileError, Problem};
use super::fields::{Errors, Fields};
use crate::Labels;
use crate::yaml::{Node, Place, Text, read};

const FILE_KEYS: &[&str] =
    &["rule_files", "evaluation_interval", "fuzzy_compare", "group_eval_order", "tests"];
const GROUP_KEYS: &[&str] = &[
    "interval",
    "input_series",
    "name",
    "alert_rule_test",
    "promql_expr_test",
    "external_labels",
    "external_url",
];
const SERIES_KEYS: &[&str] = &["series", "values"];
const ALERT_TEST_KEYS: &[&str] = &["eval_time", "alertname", "exp_alerts"];
const ALERT_KEYS: &[&str] = &["exp_labels", "exp_annotations"];
const EXPR_TEST_KEYS: &[&str] = &["expr", "eval_time", "exp_samples"];
const SAMPLE_KEYS: &[&str] = &["labels", "value", "histogram"];

/// How often rules are evaluated where a file does not say.
const INTERVAL: Duration = Duration::from_secs(60);

/// A file of unit tests.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitTests {
    /// Names of rule files, relative to this one; may be patterns.
    pub rule_files: Vec<Text>,
    /// How often rules are evaluated; a minute where nothing is written.
    pub evaluation_interval: Duration,
    /// Whether the last bit of a float may differ.
    pub fuzzy_compare: bool,
    /// Groups that are evaluated in this order; names do not repeat.
    pub group_eval_order: Vec<String>,
    /// The tests.
    pub tests: Vec<TestGroup>,
}

/// Series with what is expected of them.
#[derive(Clone, Debug, PartialEq)]
pub struct TestGroup {
    /// Where it begins.
    pub at: Place,
    /// Its name; may be empty.
    pub name: String,
    /// Time between two values of a series; that of evaluations where nothing is written.
    pub interval: Duration,
    /// The series.
    pub input_series: Vec<InputSeries>,
    /// Expected alerts.
    pub alert_rule_test: Vec<AlertTest>,
    /// Expected results of expressions.
    pub promql_expr_test: Vec<ExprTest>,
    /// Labels of the server, for templates.
    pub external_labels: Labels,
    /// Where the server is found, for templates.
    pub external_url: String,
}

/// A series in PromQL's notation, as written.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSeries {
    /// `name{label="value"}`.
    pub series: Text,
    /// `1+2x3 _ stale`.
    pub values: Text,
}

/// Alerts expected at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertTest {
    /// Where it begins.
    pub at: Place,
    /// Since the beginning of the series.
    pub eval_time: Duration,
    /// Name of the alerts, not empty.
    pub alertname: String,
    /// All that fire; may be none.
    pub exp_alerts: Vec<ExpectedAlert>,
}

/// An expected alert.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedAlert {
    /// Where it begins.
    pub at: Place,
    /// Its labels without its name.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
}

/// The result of an expression expected at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct ExprTest {
    /// Where it begins.
    pub at: Place,
    /// The expression.
    pub expr: Text,
    /// Since the beginning of the series.
    pub eval_time: Duration,
    /// The result's samples.
    pub exp_samples: Vec<ExpectedSample>,
}

/// An expected sample.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedSample {
    /// Where it begins.
    pub at: Place,
    /// Name and labels in PromQL's notation.
    pub labels: String,
    /// Its value; 0 where nothing is written.
    pub value: f64,
    /// A native histogram in PromQL's notation; empty for a float.
    pub histogram: String,
}

/// Reads a file of unit tests. `file` is its name in errors.
pub fn parse_tests(file: &str, text: &str) -> Result<UnitTests, Vec<FileError>> {
    let (root, _) = read(text).map_err(|e| {
        let problem = Problem::Yaml(e.message);
        vec![FileError { file: file.to_owned(), at: e.at, rule: None, problem }]
    })?;
    let mut errors = Errors::new(file);
    let tests = whole(&root, &mut errors);
    debug_assert!(tests.is_some() || !errors.is_empty(), "a file that is not read has an error");
    match tests {
        Some(tests) => errors.finish(tests),
        None => errors.finish(()).and(Err(Vec::new())),
    }
}

fn whole(root: &Node, errors: &mut Errors<'_>) -> Option<UnitTests> {
    let mut fields = Fields::of(root, "a test file", FILE_KEYS, errors)?;
    let rule_files = fields.texts("rule_files").into_iter().cloned().collect();
    let evaluation_interval =
        fields.duration("evaluation_interval").filter(|i| !i.is_zero()).unwrap_or(INTERVAL);
    let fuzzy_compare = fields.boolean("fuzzy_compare").unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut group_eval_order = Vec::new();
    for name in fields.texts("group_eval_order") {
        if !seen.insert(name.value.clone()) {
            fields.errors.add(name.at, None, Problem::RepeatedInOrder(name.value.clone()));
        }
        group_eval_order.push(name.value.clone());
    }
    let groups = fields.list("tests");
    let tests = groups.iter().filter_map(|node| group(node, evaluation_interval, errors)).collect();
    Some(UnitTests { rule_files, evaluation_interval, fuzzy_compare, group_eval_order, tests })
}

fn group(node: &Node, evaluation_interval: Duration, errors: &mut Errors<'_>) -> Option<TestGroup> {
    let mut fields = Fields::of(node, "a test", GROUP_KEYS, errors)?;
    let interval = fields.duration("interval").filter(|i| !i.is_zero()).unwrap_or(evaluation_interval);
    let name = fields.string("name");
    let external_labels = fields.labels("external_labels");
    let external_url = fields.string("external_url");
    let (series, alerts) = (fields.list("input_series"), fields.list("alert_rule_test"));
    let expressions = fields.list("promql_expr_test");
    Some(TestGroup {
        at: node.at,
        name,
        interval,
        input_series: series.iter().filter_map(|node| input(node, errors)).collect(),
        alert_rule_test: alerts.iter().filter_map(|node| alert_test(node, errors)).collect(),
        promql_expr_test: expressions.iter().filter_map(|node| expr_test(node, errors)).collect(),
        external_labels,
        external_url,
    })
}

fn input(node: &Node, errors: &mut Errors<'_>) -> Option<InputSeries> {
    let mut fields = Fields::of(node, "a series", SERIES_KEYS, errors)?;
    let nothing = || Text::none(node.at);
    let series = fields.text("series").cloned().unwrap_or_else(nothing);
    let values = fields.text("values").cloned().unwrap_or_else(nothing);
    Some(InputSeries { series, values })
}

fn alert_test(node: &Node, errors: &mut Errors<'_>) -> Option<AlertTest> {
    let mut fields = Fields::of(node, "an alert test", ALERT_TEST_KEYS, errors)?;
    let eval_time = fields.duration("eval_time").unwrap_or_default();
    let alertname = fields.string("alertname");
    if alertname.is_empty() {
        fields.errors.add(node.at, None, Problem::NoAlertName);
    }
    let alerts = fields.list("exp_alerts");
    let exp_alerts = alerts.iter().filter_map(|node| {
        let mut fields = Fields::of(node, "an expected alert", ALERT_KEYS, errors)?;
        let (labels, annotations) = (fields.labels("exp_labels"), fields.labels("exp_annotations"));
        Some(ExpectedAlert { at: node.at, labels, annotations })
    });
    Some(AlertTest { at: node.at, eval_time, alertname, exp_alerts: exp_alerts.collect() })
}

fn expr_test(node: &Node, errors: &mut Errors<'_>) -> Option<ExprTest> {
    let mut fields = Fields::of(node, "an expression test", EXPR_TEST_KEYS, errors)?;
    let expr = fields.text("expr").cloned().unwrap_or_else(|| Text::none(node.at));
    let eval_time = fields.duration("eval_time").unwrap_or_default();
    let samples = fields.list("exp_samples");
    let exp_samples = samples.iter().filter_map(|node| {
        let mut fields = Fields::of(node, "an expected sample", SAMPLE_KEYS, errors)?;
        let labels = fields.string("labels");
        let value = fields.number("value").unwrap_or_default();
        Some(ExpectedSample { at: node.at, labels, value, histogram: fields.string("histogram") })
    });
    Some(ExprTest { at: node.at, expr, eval_time, exp_samples: exp_samples.collect() })
}
