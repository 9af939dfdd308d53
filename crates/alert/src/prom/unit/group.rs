//! The rules of a test: the same steps as the server's, with the state in memory only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::{
    Answers, Group, Lacking, Sample, Server, alert_series, batch, found, recorded, template_sample,
};
use super::Run;
use crate::Labels;
use crate::engine::{Group as Spec, GroupRule, Rule};
use crate::rule::{Found, Grade};
use crate::state::{Alert, Phase, RuleState};

/// A group in a test.
pub(super) struct TestedGroup {
    spec: Spec,
    /// In the order of the rules.
    states: Vec<State>,
}

#[derive(Default)]
struct State {
    alerts: RuleState,
    annotations: BTreeMap<Labels, Labels>,
    series: BTreeSet<Labels>,
}

impl TestedGroup {
    pub(super) fn new(group: &Group, interval_ms: i64, server: &Server) -> Result<Self, String> {
        let interval = Duration::from_millis(interval_ms.unsigned_abs());
        let spec = Spec::of(group, "", interval, server).map_err(|error| error.to_string())?;
        let states = spec.rules.iter().map(|_| State::default()).collect();
        Ok(Self { spec, states })
    }

    /// Evaluates it at a time: promtool's tests know no intervals of groups. Answers what is wrong.
    pub(super) fn evaluate(&mut self, run: &mut Run<'_>, at: i64) -> Vec<String> {
        let mut failures = Vec::new();
        for (rule, state) in self.spec.rules.iter().zip(&mut self.states) {
            let result = match rule {
                GroupRule::Recording(rule) => run
                    .query(&rule.expr, at)
                    .and_then(|samples| recorded(&rule.name, &rule.labels, samples))
                    .and_then(|samples| within(self.spec.limit, samples)),
                GroupRule::Alerting(rule) => alert(rule, state, run, self.spec.limit, at),
            };
            match result {
                Ok(samples) => run.write(&batch(&samples, &mut state.series, at)),
                Err(error) => {
                    let name = match rule {
                        GroupRule::Recording(rule) => &rule.name,
                        GroupRule::Alerting(rule) => &rule.name,
                    };
                    let at = go_duration(at);
                    failures.push(format!("    rule: {name}, time: {at}, err: {error}"));
                }
            }
        }
        failures
    }

    /// Labels and annotations of the alerts of a name that fire.
    pub(super) fn firing(&self, name: &str) -> Vec<(Labels, Labels)> {
        let mut firing = Vec::new();
        for (rule, state) in self.spec.rules.iter().zip(&self.states) {
            let GroupRule::Alerting(rule) = rule else { continue };
            if rule.name != name {
                continue;
            }
            for alert in state.alerts.alerts().filter(|alert| alert.phase == Phase::Firing) {
                let annotations = state.annotations.get(&alert.labels).cloned().unwrap_or_default();
                firing.push((alert.labels.clone(), annotations));
            }
        }
        firing
    }
}

/// As Go's `time.Duration` is written: `1h5m0s`, `1.5s`, `0s`.
fn go_duration(ms: i64) -> String {
    let (minutes, rest) = (ms / 60_000, ms % 60_000);
    let seconds = format!("{}s", rest as f64 / 1_000.0);
    match (minutes / 60, minutes % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

fn within(limit: usize, samples: Vec<Sample>) -> Result<Vec<Sample>, String> {
    match samples.len() {
        n if limit > 0 && n > limit => Err(format!("exceeded limit {limit} with {n} series")),
        _ => Ok(samples),
    }
}

/// Evaluates an alerting rule; answers the series of its alerts.
fn alert(
    rule: &Rule,
    state: &mut State,
    run: &Run<'_>,
    limit: usize,
    at: i64,
) -> Result<Vec<Sample>, String> {
    let expression = rule.compiled.questions.first().map_or("", |asked| asked.question.text());
    let samples = run.query(expression, at)?;
    let mut answers = Answers::new();
    let alerts = loop {
        match found(&rule.name, &rule.expander, &samples, at, &answers) {
            Ok(alerts) => break alerts,
            Err(Lacking::Fault(fault)) => return Err(fault),
            Err(Lacking::Answers(asked)) => {
                for expression in asked {
                    let samples = run.query(&expression, at);
                    let answer = samples.map(|all| all.iter().map(template_sample).collect());
                    answers.insert(expression, answer);
                }
            }
        }
    };
    let mut findings = Vec::with_capacity(alerts.len());
    for alert in alerts {
        findings.push(Found { labels: alert.labels.clone(), value: alert.value, grade: Grade::Breach(None) });
        state.annotations.insert(alert.labels, alert.annotations);
    }
    state.alerts.step(&rule.policy, findings, true, at);
    state.annotations.retain(|labels, _| state.alerts.get(labels).is_some());
    let open: Vec<&Alert> = state.alerts.alerts().filter(|alert| alert.phase != Phase::Resolved).collect();
    if limit > 0 && open.len() > limit {
        let text = format!("exceeded limit of {limit} with {} alerts", open.len());
        state.alerts = RuleState::default();
        return Err(text);
    }
    Ok(alert_series(open.into_iter().map(|alert| (alert, Labels::new()))))
}
