//! What becomes of what a rule finds: the alerts of one rule, one for each set of labels.
//!
//! ```text
//!            breach            holds for `for`, no cooldown          fine for `keepFiringFor`
//! (nothing) -------> pending --------------------------> firing ----------------------------> resolved
//!              fine |  ^                                  |  ^ breach                             |
//!            <------+  +----------------------------------|--+----------------------------- breach
//!                                                 worse severity: told at once
//! ```
//!
//! The order of `for`, `keep_firing_for` and resolution is Prometheus' (its documentation of alerting rules). Cooldown,
//! severities, hysteresis and what to do without data are ours and off in its rules. Time comes in with each step, so a
//! run over the past and a run of the present are the same code.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Labels;
use crate::rule::{Escalate, Found, Grade, NoData};
use crate::severity::Severity;

/// Alerts of one rule. What is found beyond is counted and told, not kept.
pub const ALERTS_MAX: usize = 10_000;

/// After an outage of ours longer than this, what was pending starts anew (Prometheus' `for-outage-tolerance`).
const OUTAGE_MS: i64 = 3_600_000;

/// How a rule treats what it finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Of breaches whose threshold has none of its own.
    pub severity: Severity,
    /// How long a breach must last before it fires.
    pub hold_ms: i64,
    /// How long it fires on after the breach.
    pub keep_firing_ms: i64,
    /// How long after firing the same labels do not fire again.
    pub cooldown_ms: i64,
    /// What missing data means.
    pub no_data: NoData,
    /// What happens when nobody acknowledges.
    pub escalate: Option<Escalate>,
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// A breach that does not last long enough yet.
    Pending,
    /// A breach that people are told of.
    Firing,
    /// Over; kept while its cooldown lasts.
    Resolved,
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What tells it apart, with the rule's own labels.
    pub labels: Labels,
    /// Where it stands.
    pub phase: Phase,
    /// How bad it is now.
    pub severity: Severity,
    /// The last value.
    #[serde(with = "crate::number")]
    pub value: f64,
    /// When the breach was first seen, milliseconds.
    pub active_at: i64,
    /// When it fired.
    pub fired_at: Option<i64>,
    /// When the breach was over while it fires on.
    pub keep_since: Option<i64>,
    /// When it was over.
    pub resolved_at: Option<i64>,
    /// Steps that it was made worse since nobody acknowledged it.
    pub raised: u8,
    /// Whether somebody takes care of it.
    pub acknowledged: bool,
    /// How bad it was when people were last told.
    pub told: Severity,
}

/// What changed with an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A breach began.
    Pending,
    /// A breach ended before it fired.
    Dropped,
    /// It fires.
    Fired,
    /// It is worse than before.
    Escalated {
        /// What it was.
        from: Severity,
        /// Since nobody acknowledged it, and not since its value is worse.
        unacknowledged: bool,
    },
    /// It is less bad than before. Nobody is told.
    Eased {
        /// What it was.
        from: Severity,
    },
    /// It is over.
    Resolved,
}

/// An alert and what changed with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The alert as it is now.
    pub alert: Alert,
    /// What changed.
    pub change: Change,
}

/// The alerts of one rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleState {
    alerts: BTreeMap<Labels, Alert>,
    /// Findings beyond the bound, in the last step.
    over: usize,
}

impl RuleState {
    /// What was kept before a restart. What was pending goes on from where it stood: time that nobody looked does
    /// not count, and after a long outage it starts anew.
    pub fn restore(alerts: impl IntoIterator<Item = Alert>, evaluated_at: i64, now: i64) -> Self {
        let away = (now - evaluated_at).max(0);
        let mut state = Self::default();
        for mut alert in alerts {
            if alert.phase == Phase::Pending {
                if away > OUTAGE_MS {
                    continue;
                }
                alert.active_at += away;
            }
            if let Some(since) = &mut alert.keep_since {
                *since += away;
            }
            state.alerts.insert(alert.labels.clone(), alert);
        }
        state
    }

    /// The alerts in order of their labels.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// The alert with these labels.
    pub fn get(&self, labels: &Labels) -> Option<&Alert> {
        self.alerts.get(labels)
    }

    /// Findings that the last step could not keep, since the rule has [`ALERTS_MAX`] alerts.
    pub fn over(&self) -> usize {
        self.over
    }

    /// Somebody takes care of an alert, or no longer does. False when it does not fire.
    pub fn acknowledge(&mut self, labels: &Labels, yes: bool) -> bool {
        match self.alerts.get_mut(labels) {
            Some(alert) if alert.phase == Phase::Firing => {
                alert.acknowledged = yes;
                true
            }
            _ => false,
        }
    }

    /// Ends an alert by hand. It fires again only after its breach was over, or after its cooldown.
    pub fn resolve(&mut self, labels: &Labels, at: i64) -> Option<Transition> {
        let alert = self.alerts.get_mut(labels).filter(|alert| alert.phase == Phase::Firing)?;
        Some(end(alert, at))
    }

    /// Takes in what an evaluation at `at` found. `had_data` is false when no question had any answer.
    pub fn step(&mut self, policy: &Policy, found: Vec<Found>, had_data: bool, at: i64) -> Vec<Transition> {
        let mut transitions = Vec::new();
        let mut seen = BTreeMap::new();
        for found in found {
            seen.insert(found.labels.clone(), (found.value, found.grade));
        }
        if !had_data && policy.no_data == NoData::Alert {
            let labels = Labels::from([("reason".to_owned(), "no data".to_owned())]);
            seen.entry(labels).or_insert((f64::NAN, Grade::Breach(None)));
        }
        let kept = policy.no_data == NoData::Keep;
        for (labels, alert) in &mut self.alerts {
            match seen.remove(labels) {
                Some((value, grade)) => advance(alert, policy, value, grade, at, &mut transitions),
                None if kept && alert.phase == Phase::Firing => raise(alert, policy, at, &mut transitions),
                None => advance(alert, policy, alert.value, Grade::Fine, at, &mut transitions),
            }
        }
        self.over = 0;
        for (labels, (value, grade)) in seen {
            let Grade::Breach(severity) = grade else { continue };
            if self.alerts.len() >= ALERTS_MAX {
                self.over += 1;
                continue;
            }
            let severity = severity.unwrap_or(policy.severity);
            let mut alert = begun(labels.clone(), severity, value, at);
            transitions.push(Transition { alert: alert.clone(), change: Change::Pending });
            fire_if_due(&mut alert, policy, at, &mut transitions);
            self.alerts.insert(labels, alert);
        }
        self.alerts.retain(|_, alert| match alert.phase {
            Phase::Pending | Phase::Firing => true,
            Phase::Resolved => alert.fired_at.is_some_and(|fired| at < fired + policy.cooldown_ms),
        });
        let mut dropped: Vec<Labels> = Vec::new();
        for transition in &transitions {
            if transition.change == Change::Dropped {
                dropped.push(transition.alert.labels.clone());
            }
        }
        for labels in dropped {
            if self.alerts.get(&labels).is_some_and(|alert| alert.phase == Phase::Pending) {
                self.alerts.remove(&labels);
            }
        }
        transitions
    }
}

fn begun(labels: Labels, severity: Severity, value: f64, at: i64) -> Alert {
    Alert {
        labels,
        phase: Phase::Pending,
        severity,
        value,
        active_at: at,
        fired_at: None,
        keep_since: None,
        resolved_at: None,
        raised: 0,
        acknowledged: false,
        told: Severity::Info,
    }
}

fn advance(alert: &mut Alert, policy: &Policy, value: f64, grade: Grade, at: i64, out: &mut Vec<Transition>) {
    alert.value = value;
    let breach = match (grade, alert.phase) {
        (Grade::Breach(severity), _) => Some(severity.unwrap_or(policy.severity)),
        // What fires goes on as bad as it was before it was made worse by hand of time.
        (Grade::Held, Phase::Firing) => Some(alert.severity),
        _ => None,
    };
    match (alert.phase, breach) {
        (Phase::Pending, Some(severity)) => {
            alert.severity = severity;
            fire_if_due(alert, policy, at, out);
        }
        (Phase::Pending, None) => drop_pending(alert, out),
        (Phase::Firing, Some(severity)) => {
            alert.keep_since = None;
            change_severity(alert, severity, matches!(grade, Grade::Held), out);
            raise(alert, policy, at, out);
        }
        (Phase::Firing, None) => {
            let since = *alert.keep_since.get_or_insert(at);
            if policy.keep_firing_ms > 0 && at - since < policy.keep_firing_ms {
                raise(alert, policy, at, out);
            } else {
                out.push(end(alert, at));
            }
        }
        (Phase::Resolved, Some(severity)) => {
            let (fired_at, told) = (alert.fired_at, alert.told);
            *alert = begun(std::mem::take(&mut alert.labels), severity, value, at);
            (alert.fired_at, alert.told) = (fired_at, told);
            out.push(Transition { alert: alert.clone(), change: Change::Pending });
            fire_if_due(alert, policy, at, out);
        }
        (Phase::Resolved, None) => {}
    }
}

/// A breach that is over before it fired. One that waits for its cooldown goes back to waiting.
fn drop_pending(alert: &mut Alert, out: &mut Vec<Transition>) {
    let change = Transition { alert: alert.clone(), change: Change::Dropped };
    if alert.fired_at.is_some() {
        alert.phase = Phase::Resolved;
    }
    out.push(change);
}

fn fire_if_due(alert: &mut Alert, policy: &Policy, at: i64, out: &mut Vec<Transition>) {
    if at - alert.active_at < policy.hold_ms {
        return;
    }
    let cooling = alert.fired_at.is_some_and(|fired| at < fired + policy.cooldown_ms);
    // A step up is never held.
    if cooling && alert.severity <= alert.told {
        return;
    }
    alert.phase = Phase::Firing;
    alert.fired_at = Some(at);
    alert.told = alert.severity;
    out.push(Transition { alert: alert.clone(), change: Change::Fired });
}

/// The severity of the value, which does not take back what was raised for want of an acknowledgement.
fn change_severity(alert: &mut Alert, severity: Severity, held: bool, out: &mut Vec<Transition>) {
    if held {
        return;
    }
    let raised = (0..alert.raised).fold(severity, |severity, _| severity.worse());
    let from = alert.severity;
    alert.severity = raised;
    if raised > from {
        alert.told = alert.told.max(raised);
        let change = Change::Escalated { from, unacknowledged: false };
        out.push(Transition { alert: alert.clone(), change });
    } else if raised < from {
        out.push(Transition { alert: alert.clone(), change: Change::Eased { from } });
    }
}

/// Makes an alert worse that nobody acknowledges.
fn raise(alert: &mut Alert, policy: &Policy, at: i64, out: &mut Vec<Transition>) {
    let (Some(escalate), Some(fired)) = (policy.escalate, alert.fired_at) else { return };
    let due = fired + escalate.after.millis().saturating_mul(i64::from(alert.raised) + 1);
    if alert.acknowledged || at < due || alert.severity == Severity::Critical {
        return;
    }
    let from = alert.severity;
    let to = escalate.to.unwrap_or_else(|| from.worse());
    while alert.severity < to {
        alert.severity = alert.severity.worse();
        alert.raised += 1;
    }
    if alert.severity > from {
        alert.told = alert.told.max(alert.severity);
        let change = Change::Escalated { from, unacknowledged: true };
        out.push(Transition { alert: alert.clone(), change });
    }
}

fn end(alert: &mut Alert, at: i64) -> Transition {
    alert.phase = Phase::Resolved;
    alert.resolved_at = Some(at);
    alert.keep_since = None;
    alert.acknowledged = false;
    alert.raised = 0;
    Transition { alert: alert.clone(), change: Change::Resolved }
}

#[cfg(test)]
mod tests;
