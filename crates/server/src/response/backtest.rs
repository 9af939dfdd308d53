//! A rule over the past: when it would have fired, before it is saved.

use std::collections::BTreeMap;

use alert::Labels;
use alert::engine::{Ask, Grid, Rule};
use alert::rule::{Answer, Found, Point, RuleSpec, has_data, judge};
use alert::severity::Severity;
use alert::state::{Change, RuleState};
use axum::Json;
use axum::extract::{Extension, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ask::Asker;
use super::setup::{check_rule, parse};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::moment::Moment;
use crate::openapi::{Op, Routes};

/// Evaluations of one run; a longer past has a coarser step.
const STEPS_MAX: i64 = 3_000;
/// Longest past, hours: a month.
const HOURS_MAX: u32 = 744;
/// Times that are told.
const FIRINGS_MAX: usize = 1_000;

pub(super) fn routes() -> Routes {
    Routes::new("Alerts").post(
        "/api/v1/monitoring/alerts/backtest",
        run,
        Op::new("backtestAlertRule", "When a rule would have fired over the last days")
            .takes::<Tried>()
            .gives::<Outcome>()
            .refuses(&[422]),
    )
}

/// Which rule, over how long.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Backtest")]
struct Tried {
    /// A rule as it is saved, with or without its name.
    #[schemars(with = "RuleSpec")]
    rule: Value,
    /// How far back: 24 unless given, at most 744.
    hours: Option<u32>,
}

/// When it would have fired.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "BacktestOutcome")]
struct Outcome {
    start: Moment,
    end: Moment,
    /// Distance of the evaluations, seconds.
    step_seconds: i64,
    /// How often it would have fired.
    total: usize,
    /// The first thousand times, in order.
    firings: Vec<Firing>,
}

/// Once.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "BacktestFiring")]
struct Firing {
    labels: BTreeMap<String, String>,
    severity: Severity,
    value: Option<f64>,
    fired_at: Moment,
    /// `null` when it would still fire.
    resolved_at: Option<Moment>,
}

async fn run(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<Tried>,
) -> Result<Json<Outcome>, ApiFault> {
    let hours = body.0.hours.unwrap_or(24);
    if hours == 0 || hours > HOURS_MAX {
        return Err(Fault::invalid("hours", format!("{hours} is not between 1 and {HOURS_MAX}")).into());
    }
    let mut rule = body.0.rule;
    let name = rule.as_object_mut().and_then(|members| members.remove("name"));
    let name = name.as_ref().and_then(Value::as_str).unwrap_or("backtest").to_owned();
    let spec: RuleSpec = parse(&rule).map_err(|fault| inside("rule", fault))?;
    check_rule(&app, &identity.tenant, &name, &spec).map_err(|fault| inside("rule", fault))?;
    let rule = Rule::of(&name, &spec, "").map_err(|wrong| Fault::invalid(&wrong.field, wrong.message))?;
    let end = app.now_ms();
    let start = end - i64::from(hours) * 3_600_000;
    let step = ((end - start) / STEPS_MAX).max(rule.interval_ms).max(1_000);
    let asker = Asker(app.clone());
    let mut series = Vec::with_capacity(rule.compiled.questions.len());
    for asked in &rule.compiled.questions {
        let back = asked.history.map_or(0, |history| history.span.millis());
        let grid = Grid { start: start - back, end, step };
        let found = asker.ask_range(&identity.tenant, asked, grid).await;
        series.push(found.map_err(|error| Fault::Execution(format!("{}: {error}", asked.field)))?);
    }
    let firings = simulate(&rule, &series, (start, end, step));
    let total = firings.len();
    let firings = firings.into_iter().take(FIRINGS_MAX).collect();
    Ok(Json(Outcome { start: Moment(start), end: Moment(end), step_seconds: step / 1_000, total, firings }))
}

fn inside(at: &str, fault: Fault) -> Fault {
    match fault {
        Fault::Invalid { field, message } => Fault::invalid(&format!("{at}.{field}"), message),
        other => other,
    }
}

/// Runs the rule over the answers, instant by instant.
fn simulate(
    rule: &Rule,
    series: &[Vec<(Labels, Vec<Point>)>],
    (start, end, step): (i64, i64, i64),
) -> Vec<Firing> {
    let mut state = RuleState::default();
    let (mut firings, mut open): (Vec<Firing>, BTreeMap<Labels, usize>) = (Vec::new(), BTreeMap::new());
    let mut at = start;
    while at <= end {
        let answers: Vec<Vec<Answer>> =
            series.iter().map(|all| all.iter().filter_map(|one| answer(one, at)).collect()).collect();
        let found: Vec<Found> = judge(&rule.compiled.test, &answers, at);
        for transition in state.step(&rule.policy, found, has_data(&answers), at) {
            let alert = transition.alert;
            match transition.change {
                Change::Fired => {
                    open.insert(alert.labels.clone(), firings.len());
                    firings.push(Firing {
                        labels: alert.labels,
                        severity: alert.severity,
                        value: alert.value.is_finite().then_some(alert.value),
                        fired_at: Moment(at),
                        resolved_at: None,
                    });
                }
                Change::Resolved => {
                    if let Some(n) = open.remove(&alert.labels) {
                        firings[n].resolved_at = Some(Moment(at));
                    }
                }
                Change::Escalated { .. } => {
                    if let Some(n) = open.get(&alert.labels) {
                        firings[*n].severity = firings[*n].severity.max(alert.severity);
                    }
                }
                Change::Pending | Change::Dropped | Change::Eased { .. } => {}
            }
        }
        at += step;
    }
    firings
}

/// A series' answer at an instant: its point there, and what came before.
fn answer((labels, points): &(Labels, Vec<Point>), at: i64) -> Option<Answer> {
    let n = points.partition_point(|point| point.at < at);
    let now = points.get(n).filter(|point| point.at == at)?;
    Some(Answer { labels: labels.clone(), value: now.value, history: points[..n].to_vec() })
}
