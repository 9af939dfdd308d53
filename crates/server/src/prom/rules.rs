//! `/api/v1/rules` and `/api/v1/alerts` as Prometheus 3 answers them (web/api/v1/api.go). Rules of our own stand in a
//! group of their own, so that clients such as Grafana's alert list show them.

use std::collections::{BTreeMap, HashSet};

use alert::Labels;
use alert::engine::{GroupRuleView, GroupView, RuleHealth, RuleView};
use alert::state::{Alert, Phase};
use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use model::Matcher;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::answers::Success;
use super::params::Params;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{Fault, PromFault};
use crate::openapi::{Op, Routes, choice, count, string};

/// File and group of our own rules.
const OWN: &str = "bellwether";
/// A time that never was, as Go writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) fn routes() -> Routes {
    let of_rules = Op::new("listRules", "Rules, each with its alerts")
        .params(&[
            choice("type", &["alert", "record"], "Only rules that make alerts, or that write series."),
            string("rule_name[]", "Only rules of these names.").repeated(),
            string("rule_group[]", "Only groups of these names.").repeated(),
            string("file[]", "Only groups of these files.").repeated(),
            string("match[]", "Only rules whose labels match one of these selectors, as they are written.")
                .repeated(),
            choice("exclude_alerts", &["true", "false"], "Leaves the alerts out."),
            count("group_limit", "Groups of one answer."),
            string("group_next_token", "Where the answer before ended: its `groupNextToken`."),
        ])
        .gives::<Success<Discovery>>();
    Routes::new("Prometheus").get("/api/v1/rules", rules, of_rules).get(
        "/api/v1/alerts",
        alerts,
        Op::new("listAlerts", "Alerts that pend or fire").gives::<Success<Alerts>>(),
    )
}

/// Groups of rules.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(super) struct Discovery {
    groups: Vec<Group>,
    /// What to give as `group_next_token` for the groups behind these.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_next_token: Option<String>,
}

/// A group of rules.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PrometheusRuleGroup")]
struct Group {
    name: String,
    file: String,
    rules: Vec<Rule>,
    /// Seconds.
    interval: f64,
    /// Most alerts or series of one rule; 0 for any number.
    limit: usize,
    /// Seconds.
    evaluation_time: f64,
    last_evaluation: String,
}

/// A rule.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schemars(rename = "PrometheusRule")]
enum Rule {
    /// Makes alerts.
    #[serde(rename_all = "camelCase")]
    Alerting {
        /// `unknown`, `inactive`, `pending` or `firing`.
        state: &'static str,
        name: String,
        query: String,
        /// How long an alert pends, seconds.
        duration: f64,
        /// How long it fires on, seconds.
        keep_firing_for: f64,
        labels: Labels,
        annotations: Labels,
        alerts: Vec<AlertJson>,
        /// `unknown`, `ok` or `err`.
        health: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_error: Option<String>,
        /// Seconds.
        evaluation_time: f64,
        last_evaluation: String,
    },
    /// Writes a series.
    #[serde(rename_all = "camelCase")]
    Recording {
        name: String,
        query: String,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        labels: Labels,
        health: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_error: Option<String>,
        /// Seconds.
        evaluation_time: f64,
        last_evaluation: String,
    },
}

/// Alerts.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Alerts {
    alerts: Vec<AlertJson>,
}

/// An alert.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PrometheusAlert")]
struct AlertJson {
    labels: Labels,
    annotations: Labels,
    /// `pending` or `firing`.
    state: &'static str,
    active_at: String,
    /// Since when it fires on though its series is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_since: Option<String>,
    /// A number as text, with an exponent.
    value: String,
}

/// A number as Go's `strconv.FormatFloat(v, 'e', -1, 64)` writes it.
fn exponent(value: f64) -> String {
    if !value.is_finite() {
        return alert::number::text(value);
    }
    let text = format!("{value:e}");
    let Some((digits, power)) = text.split_once('e') else { return text };
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    format!("{digits}e{sign}{power:0>2}")
}

fn time(ms: i64) -> String {
    if ms == 0 { NEVER.to_owned() } else { crate::realtime::timestamp(ms) }
}

fn health(health: &RuleHealth) -> &'static str {
    match (health.evaluated_at, &health.error) {
        (0, _) => "unknown",
        (_, Some(_)) => "err",
        (_, None) => "ok",
    }
}

fn alert_json(view: &RuleView, alert: &Alert) -> AlertJson {
    let mut labels = alert.labels.clone();
    if view.rule.labels_severity {
        labels.insert("severity".to_owned(), alert.severity.as_str().to_owned());
    }
    AlertJson {
        labels,
        annotations: view.annotations.get(&alert.labels).cloned().unwrap_or_default(),
        state: if alert.phase == Phase::Firing { "firing" } else { "pending" },
        active_at: crate::realtime::timestamp(alert.active_at),
        keep_firing_since: alert.keep_since.map(crate::realtime::timestamp),
        value: exponent(alert.value),
    }
}

fn alerts_of(view: &RuleView) -> Vec<AlertJson> {
    view.alerts.iter().map(|(alert, _)| alert_json(view, alert)).collect()
}

/// An expression as Prometheus prints it; one that is no PromQL stays as it is.
fn printed(expression: &str) -> String {
    promql::syntax::parse(expression).map_or_else(|_| expression.to_owned(), |expr| expr.to_string())
}

fn alerting(view: &RuleView, with_alerts: bool) -> Rule {
    let questions: Vec<&str> =
        view.rule.compiled.questions.iter().map(|asked| asked.question.text()).collect();
    let firing = view.alerts.iter().any(|(alert, _)| alert.phase == Phase::Firing);
    let state = match (view.health.evaluated_at, firing, view.alerts.is_empty()) {
        (_, true, _) => "firing",
        (_, _, false) => "pending",
        (0, ..) => "unknown",
        _ => "inactive",
    };
    let seconds = |ms: i64| ms as f64 / 1_000.0;
    let mut labels = view.rule.expander.label_texts();
    if view.rule.labels_severity {
        labels.entry("severity".to_owned()).or_insert_with(|| view.rule.policy.severity.as_str().to_owned());
    }
    Rule::Alerting {
        state,
        name: view.rule.name.clone(),
        query: printed(&questions.join("; ")),
        duration: seconds(view.rule.policy.hold_ms),
        keep_firing_for: seconds(view.rule.policy.keep_firing_ms),
        labels,
        annotations: view.rule.expander.annotation_texts(),
        alerts: if with_alerts { alerts_of(view) } else { Vec::new() },
        health: health(&view.health),
        last_error: view.health.error.clone(),
        evaluation_time: view.health.took_ms / 1_000.0,
        last_evaluation: time(view.health.evaluated_at),
    }
}

/// Which rules are asked for.
struct Wanted<'a> {
    kind: Option<&'a str>,
    names: HashSet<&'a str>,
    groups: HashSet<&'a str>,
    files: HashSet<&'a str>,
    matchers: Vec<Vec<Matcher>>,
    with_alerts: bool,
}

impl<'a> Wanted<'a> {
    fn read(params: &'a Params) -> Result<Self, Fault> {
        let kind = params.get("type");
        if let Some(other) = kind.filter(|kind| !matches!(*kind, "alert" | "record")) {
            return Err(Fault::invalid("type", format!("not supported value {other:?}")));
        }
        let with_alerts = match params.get("exclude_alerts") {
            None => true,
            Some(text) => !go_bool(text).ok_or_else(|| {
                Fault::invalid("exclude_alerts", format!("{text:?} is neither true nor false"))
            })?,
        };
        let mut matchers = Vec::new();
        for text in params.all("match[]") {
            let read = promql::syntax::parse_selector(text);
            matchers.push(read.map_err(|error| Fault::invalid("match[]", error.to_string()))?);
        }
        let set = |name: &'static str| params.all(name).collect();
        let (names, groups, files) = (set("rule_name[]"), set("rule_group[]"), set("file[]"));
        Ok(Self { kind, names, groups, files, matchers, with_alerts })
    }

    fn takes(&self, name: &str, labels: &Labels, templated: &HashSet<&str>) -> bool {
        // Only what is written is known before an evaluation: a label that is a template matches as if it were not there.
        let value =
            |name: &str| labels.get(name).filter(|_| !templated.contains(name)).map_or("", String::as_str);
        let matches = |set: &Vec<Matcher>| set.iter().all(|matcher| matcher.matches(value(&matcher.name)));
        (self.names.is_empty() || self.names.contains(name))
            && (self.matchers.is_empty() || self.matchers.iter().any(matches))
    }

    fn alerting(&self, view: &RuleView) -> Option<Rule> {
        let mut labels = view.rule.expander.label_texts();
        if view.rule.labels_severity {
            let own = view.rule.policy.severity.as_str().to_owned();
            labels.entry("severity".to_owned()).or_insert(own);
        }
        let templated: HashSet<&str> = view.rule.expander.templated_labels().collect();
        let taken = self.kind != Some("record") && self.takes(&view.rule.name, &labels, &templated);
        taken.then(|| alerting(view, self.with_alerts))
    }

    fn group(&self, view: &GroupView) -> Vec<Rule> {
        let rule = |rule: &GroupRuleView| match rule {
            GroupRuleView::Alerting(view) => self.alerting(view),
            GroupRuleView::Recording(rule, at) => {
                let taken =
                    self.kind != Some("alert") && self.takes(&rule.name, &rule.labels, &HashSet::new());
                taken.then(|| Rule::Recording {
                    name: rule.name.clone(),
                    query: printed(&rule.expr),
                    labels: rule.labels.clone(),
                    health: health(at),
                    last_error: at.error.clone(),
                    evaluation_time: at.took_ms / 1_000.0,
                    last_evaluation: time(at.evaluated_at),
                })
            }
        };
        view.rules.iter().filter_map(rule).collect()
    }

    fn has(&self, file: &str, group: &str) -> bool {
        (self.files.is_empty() || self.files.contains(file))
            && (self.groups.is_empty() || self.groups.contains(group))
    }
}

/// What Go's `strconv.ParseBool` takes.
pub(crate) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A name of a group that says nothing of it but that it is the same.
fn token(file: &str, group: &str) -> String {
    let hash = |seed: u64| {
        format!("{file};{group}")
            .bytes()
            .fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    format!("{:016x}{:016x}", hash(0xcbf2_9ce4_8422_2325), hash(0x9e37_79b9_7f4a_7c15))
}

/// Everything that is evaluated, our own rules last.
async fn views(app: &SharedApp, identity: &Identity) -> Result<Vec<GroupView>, Fault> {
    // Alerts hold labels of every series, so they are for whoever may read all of them.
    identity.reach().need_whole("rules and alerts")?;
    let engine = app.engine_of(&identity.tenant).await?;
    let mut groups = engine.groups();
    let own = engine.rules();
    if !own.is_empty() {
        let last = own.iter().map(|view| view.health.evaluated_at).max().unwrap_or(0);
        let took = own.iter().map(|view| view.health.took_ms).sum();
        let interval = own.iter().map(|view| view.rule.interval_ms).min().unwrap_or(30_000);
        let group = alert::engine::Group {
            key: OWN.to_owned(),
            file: OWN.to_owned(),
            name: OWN.to_owned(),
            interval_ms: interval,
            query_offset_ms: 0,
            limit: 0,
            rules: Vec::new(),
        };
        let rules = own.into_iter().map(|view| GroupRuleView::Alerting(Box::new(view))).collect();
        groups.push(GroupView { group, evaluated_at: last, took_ms: took, rules });
    }
    Ok(groups)
}

async fn rules(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, PromFault> {
    let wanted = Wanted::read(&params)?;
    let limit = match params.get("group_limit") {
        None => None,
        Some(text) => match text.parse::<i64>() {
            Err(_) => {
                return Err(Fault::invalid("group_limit", "group_limit needs to be a valid number").into());
            }
            Ok(..=0) => {
                return Err(Fault::invalid("group_limit", "group_limit needs to be greater than 0").into());
            }
            Ok(limit) => Some(usize::try_from(limit).unwrap_or(usize::MAX)),
        },
    };
    let after = params.get("group_next_token");
    if after.is_some() && limit.is_none() {
        let text = "group_limit needs to be set in order to paginate over the groups";
        return Err(Fault::invalid("group_next_token", text).into());
    }
    let views = views(&app, &identity).await?;
    let page = page(&views, &wanted, limit, after)?;
    Ok(Json(json!({ "status": "success", "data": page })).into_response())
}

fn page(
    views: &[GroupView],
    wanted: &Wanted<'_>,
    limit: Option<usize>,
    after: Option<&str>,
) -> Result<Discovery, Fault> {
    let mut found = Discovery { groups: Vec::new(), group_next_token: None };
    let mut begun = after.is_none();
    for view in views {
        let (file, name) = (view.group.file.as_str(), view.group.name.as_str());
        begun = begun || after == Some(token(file, name).as_str());
        if !begun || !wanted.has(file, name) {
            continue;
        }
        let rules = wanted.group(view);
        if rules.is_empty() {
            continue;
        }
        if limit == Some(found.groups.len()) {
            found.group_next_token = Some(token(file, name));
            break;
        }
        found.groups.push(Group {
            name: name.to_owned(),
            file: file.to_owned(),
            rules,
            interval: view.group.interval_ms as f64 / 1_000.0,
            limit: view.group.limit,
            evaluation_time: view.took_ms / 1_000.0,
            last_evaluation: time(view.evaluated_at),
        });
    }
    if !begun {
        let shown: String = after.unwrap_or_default().chars().take(80).collect();
        let text = format!("invalid group_next_token '{shown}'. were rule groups changed?");
        return Err(Fault::invalid("group_next_token", text));
    }
    Ok(found)
}

async fn alerts(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, PromFault> {
    let views = views(&app, &identity).await?;
    let rules = views.iter().flat_map(|view| &view.rules);
    let alerts = rules.flat_map(|rule| match rule {
        GroupRuleView::Alerting(view) => alerts_of(view),
        GroupRuleView::Recording(..) => Vec::new(),
    });
    let found = Alerts { alerts: alerts.collect() };
    Ok(Json(json!({ "status": "success", "data": found })).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_with_an_exponent() {
        let rows = [(1.0, "1e+00"), (0.0, "0e+00"), (95.5, "9.55e+01"), (-1e-7, "-1e-07"), (1e100, "1e+100")];
        for (value, want) in rows {
            assert_eq!(exponent(value), want);
        }
        assert_eq!(exponent(f64::NAN), "NaN");
        assert_eq!(exponent(f64::INFINITY), "+Inf");
    }

    #[test]
    fn groups_come_page_by_page_and_a_wrong_token_is_told() {
        let group = |name: &str| GroupView {
            group: alert::engine::Group {
                key: name.to_owned(),
                file: "f".to_owned(),
                name: name.to_owned(),
                interval_ms: 1_000,
                query_offset_ms: 0,
                limit: 0,
                rules: Vec::new(),
            },
            evaluated_at: 0,
            took_ms: 0.0,
            rules: vec![GroupRuleView::Recording(
                alert::engine::Recording {
                    name: format!("r_{name}"),
                    expr: "1".into(),
                    labels: Labels::new(),
                },
                RuleHealth::default(),
            )],
        };
        let views = [group("a"), group("b"), group("c")];
        let names = |page: &Discovery| -> String { page.groups.iter().map(|g| g.name.as_str()).collect() };
        let params = Params::default();
        let wanted = Wanted::read(&params).expect("reads");
        let first = page(&views, &wanted, Some(2), None).expect("a page");
        assert_eq!(names(&first), "ab");
        let second = page(&views, &wanted, Some(2), first.group_next_token.as_deref()).expect("a page");
        assert_eq!((names(&second).as_str(), second.group_next_token), ("c", None));
        assert!(page(&views, &wanted, Some(2), Some("nope")).is_err());
    }
}
