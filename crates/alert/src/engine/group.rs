//! Groups of Prometheus' rules: evaluated one after the other, at one time, with what the ones before wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use model::{MetricBatch, TenantId};
use parking_lot::{Mutex, RwLock};

use super::expand::Expander;
use super::one_rule::{RuleHealth, RuleView, Running};
use super::rule::Rule;
use super::{AskError, EngineError, desk};
use crate::Labels;
use crate::prom::{self, Answers, Lacking, Sample, Server, found, recorded};
use crate::rule::{Compiled, NoData};
use crate::severity::Severity;
use crate::state::Policy;
use crate::tables::{Event, EventFilter, EventState, PAGE_MAX, TableError, Tables};

/// Answers expressions over a tenant's metrics, and writes series.
#[async_trait]
pub trait Metrics: Send + Sync {
    /// The samples of an expression at a time, in milliseconds since the epoch.
    async fn vector(&self, tenant: &TenantId, expression: &str, at: i64) -> Result<Vec<Sample>, AskError>;

    /// Writes series so that the next expression sees them. `is_recorded` tells what rules record from what we say of
    /// alerts. The answer is how many samples were refused.
    async fn write(
        &self,
        tenant: &TenantId,
        batch: MetricBatch,
        is_recorded: bool,
    ) -> Result<usize, AskError>;
}

/// A group, ready to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What tells it apart: file and name.
    pub key: String,
    /// The file it came from, or the name of the object.
    pub file: String,
    /// Its name.
    pub name: String,
    /// How often, milliseconds.
    pub interval_ms: i64,
    /// How far back expressions look, milliseconds.
    pub query_offset_ms: i64,
    /// Most alerts or series of one rule; 0 for any number.
    pub limit: usize,
    /// In the order of evaluation.
    pub rules: Vec<GroupRule>,
}

/// A rule of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRule {
    /// Writes a series.
    Recording(Recording),
    /// Makes alerts.
    Alerting(Box<Rule>),
}

/// A rule that writes a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Name of the metric.
    pub name: String,
    /// What is asked.
    pub expr: String,
    /// Labels that are added.
    pub labels: Labels,
}

impl Group {
    /// A group of a file. `file` is where it came from; an interval that it does not state is `interval`.
    pub fn of(
        group: &prom::Group,
        file: &str,
        interval: Duration,
        server: &Server,
    ) -> Result<Self, super::RuleError> {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let key = format!("{file};{}", group.name);
        let mut nth: BTreeMap<&str, usize> = BTreeMap::new();
        let mut rules = Vec::with_capacity(group.rules.len());
        for rule in &group.rules {
            rules.push(match rule {
                prom::Rule::Recording(rule) => {
                    let mut labels = group.labels.clone();
                    labels.extend(rule.labels.clone());
                    let expr = rule.expr.value.clone();
                    GroupRule::Recording(Recording { name: rule.record.clone(), expr, labels })
                }
                prom::Rule::Alerting(rule) => {
                    let n = nth.entry(&rule.alert).or_default();
                    *n += 1;
                    let key = format!("prometheus/{key}/{}#{n}", rule.alert);
                    GroupRule::Alerting(Box::new(alerting(rule, key, &group.labels, server)?))
                }
            });
        }
        Ok(Self {
            key,
            file: file.to_owned(),
            name: group.name.clone(),
            interval_ms: millis(group.interval.unwrap_or(interval)).max(1),
            query_offset_ms: millis(group.query_offset.unwrap_or_default()),
            limit: group.limit,
            rules,
        })
    }

    /// The time of the evaluation that is due at `now`: all times of a group are its interval apart, and shifted
    /// against other groups by a hash of its key, so that they spread.
    pub fn slot(&self, now: i64) -> i64 {
        let hash = self.key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let shift = (hash % self.interval_ms.unsigned_abs()) as i64;
        (now - shift).div_euclid(self.interval_ms) * self.interval_ms + shift
    }
}

fn alerting(
    rule: &prom::AlertingRule,
    key: String,
    labels: &Labels,
    server: &Server,
) -> Result<Rule, super::RuleError> {
    let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let texts = |templates: &BTreeMap<String, prom::Templated>| -> Labels {
        templates.iter().map(|(name, one)| (name.clone(), one.text.clone())).collect()
    };
    let mut own = labels.clone();
    own.extend(texts(&rule.labels));
    let annotations = texts(&rule.annotations);
    let runbook = annotations.get("runbook_url").filter(|url| !url.contains("{{")).cloned();
    Ok(Rule {
        key,
        name: rule.alert.clone(),
        source: "prometheus",
        compiled: Compiled::present(rule.expr.value.clone()),
        policy: Policy {
            severity: Severity::of(&own).unwrap_or(Severity::Warning),
            hold_ms: millis(rule.hold),
            keep_firing_ms: millis(rule.keep_firing_for),
            cooldown_ms: 0,
            no_data: NoData::Ok,
            escalate: None,
        },
        // The group's counts.
        interval_ms: 0,
        expander: Expander::new(&own, &annotations, &server.external_url)?
            .with_external_labels(server.external_labels.clone()),
        runbook,
        channels: Vec::new(),
        priority: None,
        labels_severity: false,
    })
}

/// A group with its health and its rules.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupView {
    /// The group.
    pub group: Group,
    /// When it was last evaluated, milliseconds since the epoch; 0 before the first.
    pub evaluated_at: i64,
    /// How long it took, milliseconds.
    pub took_ms: f64,
    /// Its rules in order.
    pub rules: Vec<GroupRuleView>,
}

/// A rule of a group with its health.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRuleView {
    /// Writes a series.
    Recording(Recording, RuleHealth),
    /// Makes alerts.
    Alerting(Box<RuleView>),
}

/// A rule that runs.
#[derive(Debug)]
enum Part {
    Recording { rule: Recording, health: RwLock<RuleHealth>, series: Mutex<BTreeSet<Labels>> },
    Alerting(Arc<Running>),
}

/// A group that runs.
#[derive(Debug)]
pub(super) struct RunningGroup {
    pub(super) group: Group,
    parts: Vec<Part>,
    /// When, and how long it took in milliseconds.
    last: RwLock<(i64, f64)>,
    /// One evaluation at a time.
    turn: tokio::sync::Mutex<()>,
}

impl RunningGroup {
    /// Goes on from what the tables hold, and from the group of before, as far as it has the same rules.
    pub(super) async fn open(
        tables: &Tables,
        group: Group,
        before: Option<&Self>,
        now: i64,
    ) -> Result<Self, TableError> {
        let mut parts = Vec::with_capacity(group.rules.len());
        for rule in &group.rules {
            parts.push(match rule {
                GroupRule::Recording(rule) => {
                    let same = before.and_then(|before| before.recording(rule));
                    let (health, series) = same.unwrap_or_default();
                    let (health, series) = (RwLock::new(health), Mutex::new(series));
                    Part::Recording { rule: rule.clone(), health, series }
                }
                GroupRule::Alerting(rule) => {
                    Part::Alerting(Arc::new(match before.and_then(|before| before.alerting(&rule.key)) {
                        Some(known) => known.changed(Rule::clone(rule)).await,
                        None => Running::open(tables, Rule::clone(rule), now).await?,
                    }))
                }
            });
        }
        let last = RwLock::new(before.map_or((0, 0.0), |before| *before.last.read()));
        Ok(Self { group, parts, last, turn: tokio::sync::Mutex::default() })
    }

    fn recording(&self, wanted: &Recording) -> Option<(RuleHealth, BTreeSet<Labels>)> {
        self.parts.iter().find_map(|part| match part {
            Part::Recording { rule, health, series } if rule == wanted => {
                Some((health.read().clone(), series.lock().clone()))
            }
            _ => None,
        })
    }

    pub(super) fn alerting(&self, key: &str) -> Option<&Arc<Running>> {
        self.alertings().find(|running| running.rule.key == key)
    }

    pub(super) fn alertings(&self) -> impl Iterator<Item = &Arc<Running>> {
        self.parts.iter().filter_map(|part| match part {
            Part::Alerting(running) => Some(running),
            Part::Recording { .. } => None,
        })
    }

    pub(super) fn view(&self) -> GroupView {
        let (evaluated_at, took_ms) = *self.last.read();
        let rule = |part: &Part| match part {
            Part::Recording { rule, health, .. } => {
                GroupRuleView::Recording(rule.clone(), health.read().clone())
            }
            Part::Alerting(running) => GroupRuleView::Alerting(Box::new(running.view())),
        };
        let rules = self.parts.iter().map(rule).collect();
        GroupView { group: self.group.clone(), evaluated_at, took_ms, rules }
    }

    /// Ends of the series that this group wrote and its successor, if there is one, does not.
    pub(super) fn ends(&self, next: Option<&Self>, at: i64) -> Vec<MetricBatch> {
        let mut batches = Vec::new();
        for part in &self.parts {
            batches.push(match part {
                Part::Recording { rule, series, .. } => {
                    if next.is_some_and(|next| next.recording(rule).is_some()) {
                        continue;
                    }
                    prom::batch(&[], &mut series.lock(), at)
                }
                Part::Alerting(running) => {
                    if next.is_some_and(|next| next.alerting(&running.rule.key).is_some()) {
                        continue;
                    }
                    running.ends(at)
                }
            });
        }
        batches.retain(|batch| batch.samples() > 0);
        batches
    }

    /// Evaluates the rules in order. Answers the events that changed.
    pub(super) async fn evaluate(
        &self,
        tenant: &TenantId,
        tables: &Tables,
        metrics: &dyn Metrics,
        at: i64,
    ) -> Result<Vec<Event>, EngineError> {
        let _turn = self.turn.lock().await;
        let started = Instant::now();
        // What the group asks, and what it says, is of this time.
        let of = at.saturating_sub(self.group.query_offset_ms);
        let mut changed = Vec::new();
        for part in &self.parts {
            match part {
                Part::Recording { rule, health, series } => {
                    let begun = Instant::now();
                    let result = self.record(tenant, metrics, rule, series, of).await;
                    *health.write() = RuleHealth {
                        evaluated_at: at,
                        took_ms: begun.elapsed().as_secs_f64() * 1_000.0,
                        error: result.err(),
                        over: 0,
                    };
                }
                Part::Alerting(running) => {
                    changed.extend(self.alert(tenant, tables, metrics, running, (at, of)).await?);
                }
            }
        }
        *self.last.write() = (at, started.elapsed().as_secs_f64() * 1_000.0);
        Ok(changed)
    }

    async fn record(
        &self,
        tenant: &TenantId,
        metrics: &dyn Metrics,
        rule: &Recording,
        series: &Mutex<BTreeSet<Labels>>,
        of: i64,
    ) -> Result<(), String> {
        let samples = metrics.vector(tenant, &rule.expr, of).await.map_err(|error| error.0)?;
        let samples = recorded(&rule.name, &rule.labels, samples)?;
        let limit = self.group.limit;
        if limit > 0 && samples.len() > limit {
            return Err(format!("exceeded limit of {limit} with {} series", samples.len()));
        }
        let mut next = series.lock().clone();
        let batch = prom::batch(&samples, &mut next, of);
        if batch.samples() == 0 {
            return Ok(());
        }
        let refused = metrics.write(tenant, batch, true).await.map_err(|error| error.0)?;
        *series.lock() = next;
        match refused {
            0 => Ok(()),
            n => Err(format!("{n} of {} samples were refused: see the limits of the tenant", samples.len())),
        }
    }

    async fn alert(
        &self,
        tenant: &TenantId,
        tables: &Tables,
        metrics: &dyn Metrics,
        running: &Running,
        (at, of): (i64, i64),
    ) -> Result<Vec<Event>, EngineError> {
        let started = Instant::now();
        let found = find(tenant, metrics, &running.rule, at, of).await;
        let is_good = found.is_ok();
        let (events, is_within) =
            running.take(tables, found, self.group.limit, started.elapsed(), at).await?;
        if is_good && is_within {
            let batch = running.batch(of);
            if batch.samples() > 0
                && let Err(error) = metrics.write(tenant, batch, false).await
            {
                tracing::debug!(%tenant, rule = running.rule.key, %error, "its ALERTS were not written");
            }
        }
        Ok(events)
    }
}

/// Asks the expression and whatever the templates ask.
async fn find(
    tenant: &TenantId,
    metrics: &dyn Metrics,
    rule: &Rule,
    at: i64,
    of: i64,
) -> Result<Vec<prom::FoundAlert>, String> {
    let expression = rule.compiled.questions.first().map_or("", |asked| asked.question.text());
    let samples = metrics.vector(tenant, expression, of).await.map_err(|error| error.0)?;
    let mut answers = Answers::new();
    loop {
        match found(&rule.name, &rule.expander, &samples, at, &answers) {
            Ok(found) => return Ok(found),
            Err(Lacking::Fault(fault)) => return Err(fault),
            Err(Lacking::Answers(asked)) => {
                for expression in asked {
                    let answer = metrics.vector(tenant, &expression, at).await;
                    let answer = answer.map_err(|error| error.0);
                    let samples = answer.map(|all| all.iter().map(prom::template_sample).collect());
                    answers.insert(expression, samples);
                }
            }
        }
    }
}

impl super::Engine {
    /// Prometheus' groups from now on. Rules that stay keep their alerts; what fires of those that are gone is over, and
    /// their series end.
    pub async fn set_groups(&self, groups: Vec<Group>, metrics: &dyn Metrics) -> Result<(), EngineError> {
        let now = self.shared.clock.now_ms();
        let mut next = BTreeMap::new();
        for group in groups {
            let known = self.shared.groups.read().get(&group.key).cloned();
            let running = match known {
                Some(known) if known.group == group => known,
                known => {
                    Arc::new(RunningGroup::open(&self.shared.tables, group, known.as_deref(), now).await?)
                }
            };
            next.insert(running.group.key.clone(), running);
        }
        let old = std::mem::replace(&mut *self.shared.groups.write(), next.clone());
        if old.is_empty() {
            self.end_unknown().await?;
        }
        for (key, before) in old {
            let after = next.get(&key);
            if after.is_some_and(|after| Arc::ptr_eq(after, &before)) {
                continue;
            }
            for batch in before.ends(after.map(|after| &**after), now) {
                if let Err(error) = metrics.write(&self.shared.tenant, batch, false).await {
                    tracing::warn!(tenant = %self.shared.tenant, group = key, %error, "its series were not ended");
                }
            }
            for running in before.alertings() {
                if after.is_none_or(|after| after.alerting(&running.rule.key).is_none()) {
                    self.end_rule(&running.rule.key, "its rule was removed from its file").await?;
                }
            }
        }
        Ok(())
    }

    /// Ends what fires of rules that were removed while nobody looked.
    async fn end_unknown(&self) -> Result<(), EngineError> {
        let mut filter = EventFilter {
            states: vec![EventState::Firing, EventState::Acknowledged],
            ..EventFilter::default()
        };
        let mut gone = BTreeSet::new();
        loop {
            let page = self.shared.tables.events(&filter, PAGE_MAX).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some((last.fired_at, last.id.clone()));
            let unknown = page.into_iter().filter(|event| event.source == "prometheus");
            gone.extend(unknown.map(|event| event.rule).filter(|key| self.running(key).is_none()));
        }
        for key in gone {
            self.end_rule(&key, "its rule was removed from its file").await?;
        }
        Ok(())
    }

    /// Every group with its health, in order of file and name.
    pub fn groups(&self) -> Vec<GroupView> {
        let mut groups: Vec<GroupView> =
            self.shared.groups.read().values().map(|running| running.view()).collect();
        groups.sort_by(|a, b| (&a.group.file, &a.group.name).cmp(&(&b.group.file, &b.group.name)));
        groups
    }

    /// Keys, intervals in milliseconds, and for a time the time of the evaluation that is due.
    pub fn slots(&self, now: i64) -> Vec<(String, i64, i64)> {
        let groups = self.shared.groups.read();
        groups.values().map(|g| (g.group.key.clone(), g.group.interval_ms, g.group.slot(now))).collect()
    }

    /// Evaluates a group at a time. Answers the events that changed; `None` when there is no such group any more.
    pub async fn evaluate_group(
        &self,
        metrics: &dyn Metrics,
        key: &str,
        at: i64,
    ) -> Result<Option<Vec<Event>>, EngineError> {
        let Some(running) = self.shared.groups.read().get(key).cloned() else { return Ok(None) };
        let changed = running.evaluate(&self.shared.tenant, &self.shared.tables, metrics, at).await?;
        self.shared.desk.take(changed.iter().map(desk::alert_of).collect(), at).await?;
        Ok(Some(changed))
    }

    /// Writes `ALERTS` of a rule of ours as it is after its evaluation at a time.
    pub async fn publish_alerts(&self, metrics: &dyn Metrics, key: &str, at: i64) -> Result<(), AskError> {
        let Some(running) = self.shared.rules.read().get(key).cloned() else { return Ok(()) };
        let batch = running.batch(at);
        if batch.samples() > 0 {
            metrics.write(&self.shared.tenant, batch, false).await?;
        }
        Ok(())
    }
}
