//! A rule and its alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{MetricBatch, TenantId};
use parking_lot::RwLock;
use tokio::sync::Mutex;

use super::rule::Rule;
use super::{Ask, EngineError, is_open};
use crate::Labels;
use crate::prom::{self, FoundAlert, alert_series};
use crate::routing::fingerprint;
use crate::rule::{Found, Grade, has_data, judge};
use crate::state::{Alert, Change, Phase, Policy, RuleState, Transition};
use crate::tables::{Event, EventState, Outcome, TableError, Tables, new_id};

/// How a rule fared at its last evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleHealth {
    /// When, milliseconds since the epoch; 0 before the first.
    pub evaluated_at: i64,
    /// How long it took, milliseconds.
    pub took_ms: f64,
    /// Why it failed.
    pub error: Option<String>,
    /// Findings beyond what a rule may hold.
    pub over: usize,
}

/// A rule with its health and its alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleView {
    /// The rule.
    pub rule: Rule,
    /// How it fared.
    pub health: RuleHealth,
    /// Its alerts that pend or fire, each with the id of its event.
    pub alerts: WithEvents,
    /// What is said of these alerts now, by their labels.
    pub annotations: BTreeMap<Labels, Labels>,
}

/// Alerts, each with the id of its event.
type WithEvents = Vec<(Alert, Option<String>)>;

/// The state that an evaluation changes.
#[derive(Clone, Debug, Default)]
struct State {
    alerts: RuleState,
    /// Events of alerts that fire, by the alerts' labels.
    events: BTreeMap<Labels, Event>,
    /// Hashes of the alerts that the tables hold.
    kept: BTreeMap<Labels, String>,
    /// What was said of alerts at the last evaluation, where each evaluation says it anew.
    annotations: BTreeMap<Labels, Labels>,
}

/// Where a finding comes from, before the rule's labels were put on it.
struct Origin {
    /// Labels of the series.
    labels: Labels,
    /// What is said of it, where it was rendered with the finding.
    annotations: Option<Labels>,
}

/// By the labels of the alert.
type Origins = BTreeMap<Labels, Origin>;

/// What readers see.
#[derive(Clone, Debug, Default)]
struct Shown {
    health: RuleHealth,
    alerts: WithEvents,
    annotations: BTreeMap<Labels, Labels>,
}

/// A rule that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) rule: Rule,
    /// One evaluation at a time.
    state: Mutex<State>,
    /// What readers see, so that none waits for an evaluation.
    shown: RwLock<Shown>,
    /// Series of `ALERTS` that were written last.
    series: parking_lot::Mutex<BTreeSet<Labels>>,
}

impl Running {
    /// Goes on from what the tables hold of it.
    pub(super) async fn open(tables: &Tables, rule: Rule, now: i64) -> Result<Self, TableError> {
        let mut state = State::default();
        if let Some(kept) = tables.kept(&rule.key).await? {
            let mut alerts = Vec::with_capacity(kept.alerts.len());
            for (mut alert, event) in kept.alerts {
                state.kept.insert(alert.labels.clone(), hash(&alert.labels));
                if let Some(id) = event {
                    let event = tables.event(&id).await?;
                    // What people did while nobody evaluated counts.
                    alert.acknowledged = event.state == EventState::Acknowledged;
                    if !is_open(&event) && alert.phase == Phase::Firing {
                        (alert.phase, alert.resolved_at) = (Phase::Resolved, event.ends_at);
                    }
                    if is_open(&event) {
                        state.events.insert(alert.labels.clone(), event);
                    }
                }
                alerts.push(alert);
            }
            state.alerts = RuleState::restore(alerts, kept.evaluated_at, now);
        }
        let (alerts, annotations) = shown(&state);
        let shown = RwLock::new(Shown { health: RuleHealth::default(), alerts, annotations });
        Ok(Self { rule, state: Mutex::new(state), shown, series: parking_lot::Mutex::default() })
    }

    /// The same alerts under another rule.
    pub(super) async fn changed(&self, rule: Rule) -> Self {
        let state = self.state.lock().await.clone();
        let shown = RwLock::new(self.shown.read().clone());
        let series = parking_lot::Mutex::new(self.series.lock().clone());
        Self { rule, state: Mutex::new(state), shown, series }
    }

    pub(super) fn view(&self) -> RuleView {
        let Shown { health, alerts, annotations } = self.shown.read().clone();
        RuleView { rule: self.rule.clone(), health, alerts, annotations }
    }

    /// Key and time of the last evaluation of a rule whose alerts depend on it.
    pub(super) fn evaluated_with_alerts(&self) -> Option<(String, i64)> {
        let shown = self.shown.read();
        (!shown.alerts.is_empty() && shown.health.evaluated_at > 0)
            .then(|| (self.rule.key.clone(), shown.health.evaluated_at))
    }

    /// Asks, judges, and writes down what changed. An evaluation that cannot be written never was.
    pub(super) async fn evaluate(
        &self,
        tenant: &TenantId,
        tables: &Tables,
        ask: &dyn Ask,
        at: i64,
    ) -> Result<Vec<Event>, EngineError> {
        let mut state = self.state.lock().await;
        let started = std::time::Instant::now();
        let result = self.step(&mut state, tenant, tables, ask, at).await;
        let error = result.as_ref().err().map(ToString::to_string);
        self.show(&state, at, started.elapsed(), error);
        result
    }

    fn show(&self, state: &State, at: i64, took: Duration, error: Option<String>) {
        let took_ms = took.as_secs_f64() * 1_000.0;
        let health = RuleHealth { evaluated_at: at, took_ms, error, over: state.alerts.over() };
        let (alerts, annotations) = shown(state);
        *self.shown.write() = Shown { health, alerts, annotations };
    }

    /// Takes what an evaluation found by Prometheus' rules, at most `limit` alerts (0 for any number), and writes down
    /// what changed. With more, or where the evaluation failed, the rule has an error; with more, its alerts are over.
    pub(super) async fn take(
        &self,
        tables: &Tables,
        found: Result<Vec<FoundAlert>, String>,
        limit: usize,
        took: Duration,
        at: i64,
    ) -> Result<(Vec<Event>, bool), TableError> {
        let mut state = self.state.lock().await;
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.show(&state, at, took, Some(error));
                return Ok((Vec::new(), false));
            }
        };
        let mut origins = Origins::new();
        let mut findings = Vec::with_capacity(found.len());
        for FoundAlert { labels, annotations, value } in found {
            findings.push(Found { labels: labels.clone(), value, grade: Grade::Breach(None) });
            let origin = Origin { labels: labels.clone(), annotations: Some(annotations) };
            origins.insert(labels, origin);
        }
        let open = match limit {
            0 => 0,
            _ => {
                let mut trial = state.alerts.clone();
                trial.step(&self.rule.policy, findings.clone(), true, at);
                trial.alerts().filter(|alert| alert.phase != Phase::Resolved).count()
            }
        };
        let over = open > limit;
        let ending = Policy { keep_firing_ms: 0, ..self.rule.policy.clone() };
        let changed = match over {
            true => self.settle(&mut state, tables, &ending, Vec::new(), true, &Origins::new(), at).await?,
            false => self.settle(&mut state, tables, &self.rule.policy, findings, true, &origins, at).await?,
        };
        for (labels, origin) in origins {
            if let Some(annotations) = origin.annotations.filter(|_| !over) {
                state.annotations.insert(labels, annotations);
            }
        }
        let State { alerts, annotations, .. } = &mut *state;
        annotations.retain(|labels, _| alerts.get(labels).is_some());
        let error = over.then(|| format!("exceeded limit of {limit} with {open} alerts"));
        self.show(&state, at, took, error);
        Ok((changed, !over))
    }

    /// What is to be written of the alerts as `ALERTS` at a time, with the ends of series of before.
    pub(super) fn batch(&self, at: i64) -> MetricBatch {
        let shown = self.shown.read();
        let severity = |alert: &Alert| -> Labels {
            let own = alert.severity.as_str().to_owned();
            self.rule.labels_severity.then(|| ("severity".to_owned(), own)).into_iter().collect()
        };
        let samples = alert_series(shown.alerts.iter().map(|(alert, _)| (alert, severity(alert))));
        prom::batch(&samples, &mut self.series.lock(), at)
    }

    /// The ends of every series of `ALERTS`, of a rule that is gone.
    pub(super) fn ends(&self, at: i64) -> MetricBatch {
        prom::batch(&[], &mut self.series.lock(), at)
    }

    async fn step(
        &self,
        state: &mut State,
        tenant: &TenantId,
        tables: &Tables,
        ask: &dyn Ask,
        at: i64,
    ) -> Result<Vec<Event>, EngineError> {
        let mut answers = Vec::with_capacity(self.rule.compiled.questions.len());
        for asked in &self.rule.compiled.questions {
            let answer = ask.ask(tenant, asked, at).await;
            answers.push(answer.map_err(|error| EngineError::Ask { field: asked.field.clone(), error })?);
        }
        let mut origins = Origins::new();
        let mut found = Vec::new();
        for one in judge(&self.rule.compiled.test, &answers, at) {
            let labels = self.rule.labels(&one.labels, one.value);
            origins.insert(labels.clone(), Origin { labels: one.labels, annotations: None });
            found.push(Found { labels, value: one.value, grade: one.grade });
        }
        let had_data = has_data(&answers);
        Ok(self.settle(state, tables, &self.rule.policy, found, had_data, &origins, at).await?)
    }

    /// Makes transitions of findings and writes them down; after an error nothing changed.
    #[expect(clippy::too_many_arguments, reason = "each is a part of one evaluation")]
    async fn settle(
        &self,
        state: &mut State,
        tables: &Tables,
        policy: &Policy,
        found: Vec<Found>,
        had_data: bool,
        origins: &Origins,
        at: i64,
    ) -> Result<Vec<Event>, TableError> {
        let mut next = state.clone();
        let transitions = next.alerts.step(policy, found, had_data, at);
        let mut outcomes = Vec::with_capacity(transitions.len());
        for transition in transitions {
            let original = origins.get(&transition.alert.labels);
            outcomes.push(self.outcome(&mut next, transition, original, at)?);
        }
        tables.record(&self.rule.key, at, &outcomes).await?;
        for outcome in &outcomes {
            next.kept.insert(outcome.alert.labels.clone(), outcome.fingerprint.clone());
        }
        let cooled: Vec<(Labels, String)> = next
            .kept
            .iter()
            .filter(|(l, _)| next.alerts.get(l).is_none())
            .map(|(l, f)| (l.clone(), f.clone()))
            .collect();
        if !cooled.is_empty() {
            let hashes: Vec<String> = cooled.iter().map(|(_, hash)| hash.clone()).collect();
            tables.drop_cooled(&self.rule.key, &hashes).await?;
            cooled.iter().for_each(|(labels, _)| drop(next.kept.remove(labels)));
        }
        *state = next;
        Ok(outcomes.into_iter().filter_map(|outcome| outcome.event).collect())
    }

    fn outcome(
        &self,
        state: &mut State,
        transition: Transition,
        original: Option<&Origin>,
        at: i64,
    ) -> Result<Outcome, TableError> {
        let Transition { alert, change } = transition;
        let fingerprint = hash(&alert.labels);
        let event = match change {
            Change::Pending | Change::Dropped => None,
            Change::Fired => {
                let event = self.fired(&alert, original, &fingerprint, at)?;
                state.events.insert(alert.labels.clone(), event.clone());
                Some(event)
            }
            Change::Escalated { .. } | Change::Eased { .. } => {
                let event = state.events.get_mut(&alert.labels);
                event.map(|event| {
                    self.grade(event, &alert);
                    event.updated_at = at;
                    event.clone()
                })
            }
            Change::Resolved => state.events.remove(&alert.labels).map(|mut event| {
                (event.state, event.ends_at) = (EventState::Resolved, Some(at));
                (event.value, event.updated_at) = (alert.value, at);
                event
            }),
        };
        Ok(Outcome { alert, fingerprint, change, event })
    }

    fn fired(
        &self,
        alert: &Alert,
        original: Option<&Origin>,
        fingerprint: &str,
        at: i64,
    ) -> Result<Event, TableError> {
        let mut event = Event {
            id: new_id("evt_")?,
            rule: self.rule.key.clone(),
            name: self.rule.name.clone(),
            fingerprint: fingerprint.to_owned(),
            state: EventState::Firing,
            severity: alert.severity,
            priority: self.rule.priority(alert.severity),
            value: alert.value,
            labels: alert.labels.clone(),
            annotations: match original {
                Some(Origin { annotations: Some(annotations), .. }) => annotations.clone(),
                Some(origin) => self.rule.expander.annotations(&origin.labels, alert.value),
                None => self.rule.expander.annotations(&alert.labels, alert.value),
            },
            runbook: self.rule.runbook.clone(),
            channels: self.rule.channels.clone(),
            source: self.rule.source.to_owned(),
            starts_at: alert.active_at,
            fired_at: at,
            ends_at: None,
            acknowledged_at: None,
            acknowledged_by: None,
            resolved_by: None,
            updated_at: at,
        };
        self.grade(&mut event, alert);
        Ok(event)
    }

    /// Puts the alert's severity on its event.
    fn grade(&self, event: &mut Event, alert: &Alert) {
        // What a Prometheus rule says of itself is what its alerts are.
        let own = crate::severity::Severity::of(&event.labels);
        event.severity = match (self.rule.labels_severity, own) {
            (false, Some(own)) => own,
            _ => alert.severity,
        };
        if self.rule.labels_severity {
            event.labels.insert("severity".to_owned(), event.severity.as_str().to_owned());
        }
        event.priority = self.rule.priority(event.severity);
        event.value = alert.value;
    }

    fn show_alerts(&self, state: &State) {
        let (alerts, annotations) = shown(state);
        let mut shown = self.shown.write();
        (shown.alerts, shown.annotations) = (alerts, annotations);
    }

    /// Somebody took care of an event, or does no longer.
    pub(super) async fn acknowledged(&self, fingerprint: &str, event: &Event) {
        let mut state = self.state.lock().await;
        let labels =
            state.events.iter().find(|(_, known)| known.id == event.id).map(|(labels, _)| labels.clone());
        let Some(labels) = labels else { return };
        debug_assert_eq!(hash(&labels), fingerprint);
        state.alerts.acknowledge(&labels, event.state == EventState::Acknowledged);
        state.events.insert(labels, event.clone());
        self.show_alerts(&state);
    }

    /// Ends an event by hand; `None` when the rule does not hold it.
    pub(super) async fn resolve(
        &self,
        tables: &Tables,
        event: &Event,
        who: &str,
        now: i64,
    ) -> Result<Option<Event>, TableError> {
        let mut state = self.state.lock().await;
        let labels =
            state.events.iter().find(|(_, known)| known.id == event.id).map(|(labels, _)| labels.clone());
        let Some(labels) = labels else { return Ok(None) };
        let mut next = state.clone();
        let Some(transition) = next.alerts.resolve(&labels, now) else { return Ok(None) };
        let mut outcome = self.outcome(&mut next, transition, None, now)?;
        if let Some(event) = &mut outcome.event {
            event.resolved_by = Some(who.to_owned());
        }
        let ended = outcome.event.clone();
        tables.record(&self.rule.key, now, &[outcome]).await?;
        *state = next;
        self.show_alerts(&state);
        Ok(ended)
    }
}

/// The hash under which an alert's rows are found: of its labels without the severity, so that it stays the same when
/// the alert becomes worse.
pub(super) fn hash(labels: &Labels) -> String {
    format!("{:016x}", fingerprint(labels))
}

fn shown(state: &State) -> (WithEvents, BTreeMap<Labels, Labels>) {
    let (mut alerts, mut annotations) = (WithEvents::new(), BTreeMap::new());
    for alert in state.alerts.alerts().filter(|alert| alert.phase != Phase::Resolved) {
        let event = state.events.get(&alert.labels);
        let said = state.annotations.get(&alert.labels).or(event.map(|event| &event.annotations));
        if let Some(said) = said {
            annotations.insert(alert.labels.clone(), said.clone());
        }
        alerts.push((alert.clone(), event.map(|event| event.id.clone())));
    }
    (alerts, annotations)
}
