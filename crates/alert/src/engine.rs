//! The alerting of one tenant: rules are evaluated, what they find goes through routing, who is to be told is written
//! down, and the queue has it.
//!
//! ```text
//! Ask --answers--> rule state --transitions--> events (tables) --alerts--> dispatcher --flush--> notifications (tables)
//!                                                                                                        |
//!                                                                            db::jobs "notifications" <--+ id as key
//! ```
//!
//! Nothing is lost on a kill: each arrow ends in a transaction, and a start goes on from what the last one wrote. An
//! alert that fires and never reached the dispatcher is given to it again; a notification that never reached the
//! queue is published again under the same key.

mod calls; // who is called for an incident
mod desk; // who is told
mod expand; // labels and annotations
mod group; // groups of Prometheus' rules
mod incidents; // what people mend together
mod message; // from a group to what people read
mod one_rule; // a rule and its alerts
mod public; // what the public is told
mod rule; // what is evaluated
mod setup; // channels and routes
mod silences; // asked for quiet

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use db::jobs::Jobs;
use kit::SharedClock;
use model::{MetricBatch, TenantId};
use parking_lot::RwLock;

pub use desk::{Desk, RESOLVE_MS, Reached, ShownAlert, ShownGroup, Suppression};
pub use expand::Expander;
pub use group::{Group, GroupRule, GroupRuleView, GroupView, Metrics, Recording};
pub use one_rule::{RuleHealth, RuleView};
pub use rule::{Rule, RuleError};
pub use setup::{HOOK, QUEUE, Setup};
pub use silences::SilenceFault;

use crate::Labels;
use crate::incident::IncidentError;
use crate::rule::{Answer, Asked, Point};
use crate::runbook::RunError;
use crate::status::SubscriptionError;
use crate::tables::{Event, EventState, TableError, Tables};
use incidents::Watch;
use one_rule::Running;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AskError(pub String);

/// Instants of a question over the past, both ends included, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The first.
    pub start: i64,
    /// The last.
    pub end: i64,
    /// Their distance; above 0.
    pub step: i64,
}

/// Answers questions over a tenant's telemetry.
#[async_trait]
pub trait Ask: Send + Sync {
    /// The answer at a time, with the past where the question wants it.
    async fn ask(&self, tenant: &TenantId, asked: &Asked, at: i64) -> Result<Vec<Answer>, AskError>;

    /// The answers over a grid, for running a rule over the past.
    async fn ask_range(
        &self,
        tenant: &TenantId,
        asked: &Asked,
        grid: Grid,
    ) -> Result<Vec<(Labels, Vec<Point>)>, AskError>;
}

/// What goes wrong in the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The tables.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The queue.
    #[error(transparent)]
    Jobs(#[from] db::jobs::JobError),
    /// A question has no answer.
    #[error("{field}: {error}")]
    Ask {
        /// Which part of the rule asks.
        field: String,
        /// Why.
        error: AskError,
    },
    /// There is no such rule.
    #[error("there is no rule {0:?}")]
    NoRule(String),
    /// An incident.
    #[error(transparent)]
    Incident(#[from] IncidentError),
    /// A run of remediation.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Whoever asked to be told of a status page.
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
}

/// The alerting of one tenant. Clones share it.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    tenant: TenantId,
    tables: Tables,
    clock: SharedClock,
    rules: RwLock<BTreeMap<String, Arc<Running>>>,
    groups: RwLock<BTreeMap<String, Arc<group::RunningGroup>>>,
    desk: Desk,
    watch: Watch,
}

impl Engine {
    /// Goes on from what the tables hold.
    pub async fn open(
        tenant: TenantId,
        tables: Tables,
        jobs: Jobs,
        clock: SharedClock,
        setup: Setup,
    ) -> Result<Self, EngineError> {
        let desk = Desk::open(tenant.clone(), tables.clone(), jobs, clock.now_ms(), setup).await?;
        let (rules, groups, watch) = (RwLock::default(), RwLock::default(), Watch::default());
        let shared = Shared { tenant, tables, clock, rules, groups, desk, watch };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whose alerting it is.
    pub fn tenant(&self) -> &TenantId {
        &self.shared.tenant
    }

    /// The tables behind.
    pub fn tables(&self) -> &Tables {
        &self.shared.tables
    }

    /// Channels and routes from now on. Groups whose route is gone go to the routes that now take their alerts.
    pub async fn set_up(&self, setup: Setup) -> Result<(), EngineError> {
        self.shared.desk.set_up(setup, self.shared.clock.now_ms()).await
    }

    /// The rules from now on. A rule whose text did not change goes on with its alerts; what fires of one that is gone
    /// is over. Answers the ends of the series `ALERTS` of those that are gone, to be written.
    pub async fn set_rules(&self, rules: Vec<Rule>) -> Result<Vec<MetricBatch>, EngineError> {
        let now = self.shared.clock.now_ms();
        let mut next = BTreeMap::new();
        for rule in rules {
            let known = self.shared.rules.read().get(&rule.key).cloned();
            let running = match known {
                Some(known) if known.rule == rule => known,
                // A changed rule keeps its alerts: those that it no longer finds end at its next evaluation.
                Some(known) => Arc::new(known.changed(rule).await),
                None => Arc::new(Running::open(&self.shared.tables, rule, now).await?),
            };
            next.insert(running.rule.key.clone(), running);
        }
        let gone: Vec<Arc<Running>> = {
            let mut rules = self.shared.rules.write();
            let old = std::mem::replace(&mut *rules, next);
            old.into_iter().filter(|(key, _)| !rules.contains_key(key)).map(|(_, running)| running).collect()
        };
        let mut ends = Vec::new();
        for running in gone {
            self.end_rule(&running.rule.key, "its rule was deleted or turned off").await?;
            ends.push(running.ends(now));
        }
        ends.retain(|batch| batch.samples() > 0);
        Ok(ends)
    }

    /// What fires of a rule that no longer exists is over.
    pub async fn end_rule(&self, key: &str, why: &str) -> Result<(), EngineError> {
        let now = self.shared.clock.now_ms();
        let ended = self.shared.tables.forget_rule(key, why, now).await?;
        self.take(&ended, now).await
    }

    /// Gives events that changed to whoever tells people.
    async fn take(&self, events: &[Event], now: i64) -> Result<(), EngineError> {
        if events.iter().any(|event| !is_open(event)) {
            self.look_soon();
        }
        self.shared.desk.take(events.iter().map(desk::alert_of).collect(), now).await
    }

    /// Keys and intervals (milliseconds) of the rules.
    pub fn intervals(&self) -> Vec<(String, i64)> {
        let rules = self.shared.rules.read();
        rules.values().map(|running| (running.rule.key.clone(), running.rule.interval_ms)).collect()
    }

    /// Every rule with its health and its alerts.
    pub fn rules(&self) -> Vec<RuleView> {
        self.shared.rules.read().values().map(|running| running.view()).collect()
    }

    /// One rule.
    pub fn rule(&self, key: &str) -> Option<RuleView> {
        self.shared.rules.read().get(key).map(|running| running.view())
    }

    /// Evaluates a rule at a time. Answers the events that changed.
    pub async fn evaluate(&self, ask: &dyn Ask, key: &str, at: i64) -> Result<Vec<Event>, EngineError> {
        let running = self.shared.rules.read().get(key).cloned();
        let running = running.ok_or_else(|| EngineError::NoRule(key.to_owned()))?;
        let changed = running.evaluate(&self.shared.tenant, &self.shared.tables, ask, at).await?;
        self.take(&changed, at).await?;
        Ok(changed)
    }

    /// Somebody takes care of an event.
    pub async fn acknowledge(&self, id: &str, who: &str, note: Option<&str>) -> Result<Event, EngineError> {
        let event = self.shared.tables.acknowledge(id, who, note, self.shared.clock.now_ms()).await?;
        self.mark(&event).await;
        self.acknowledge_incidents(id, who).await?;
        Ok(event)
    }

    /// Nobody takes care of it any more.
    pub async fn unacknowledge(&self, id: &str, who: &str) -> Result<Event, EngineError> {
        let event = self.shared.tables.unacknowledge(id, who, self.shared.clock.now_ms()).await?;
        self.mark(&event).await;
        Ok(event)
    }

    /// Ends an event by hand. Its rule fires again only after its cooldown.
    pub async fn resolve(&self, id: &str, who: &str) -> Result<Event, EngineError> {
        let now = self.shared.clock.now_ms();
        let event = self.shared.tables.event(id).await?;
        let running = self.running(&event.rule);
        let ended = match running {
            Some(running) => running.resolve(&self.shared.tables, &event, who, now).await?,
            None => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => self.shared.tables.resolve_event(id, Some(who), now).await?,
        };
        self.take(std::slice::from_ref(&ended), now).await?;
        Ok(ended)
    }

    /// Takes alerts that others raise. Answers the events that changed.
    pub async fn receive(
        &self,
        alerts: Vec<crate::routing::Alert>,
        source: &str,
    ) -> Result<Vec<Event>, EngineError> {
        let changed = self.shared.desk.receive(alerts, source, self.shared.clock.now_ms()).await?;
        if changed.iter().any(|event| !is_open(event)) {
            self.look_soon();
        }
        Ok(changed)
    }

    /// Lets groups speak that are due, ends alerts of others that were not heard of again, calls people for incidents,
    /// publishes what was left behind. Answers when it next has something to do, and events that ended.
    pub async fn tick(&self) -> Result<(Option<i64>, Vec<Event>), EngineError> {
        let now = self.shared.clock.now_ms();
        let (next, ended) = self.shared.desk.tick(now).await?;
        if self.shared.desk.has_opened() || !ended.is_empty() {
            self.look_soon();
        }
        let look = self.respond(now).await?;
        Ok((Some(next.map_or(look, |next| next.min(look))), ended))
    }

    /// Writes down that the rules were evaluated, so that a restart knows how long it was away.
    pub async fn record_evaluated(&self) -> Result<(), EngineError> {
        let mut rows: Vec<(String, i64)> = {
            let rules = self.shared.rules.read();
            let pending = rules.values().filter_map(|running| running.evaluated_with_alerts());
            pending.collect()
        };
        for group in self.shared.groups.read().values() {
            rows.extend(group.alertings().filter_map(|running| running.evaluated_with_alerts()));
        }
        if !rows.is_empty() {
            self.shared.tables.record_evaluated(&rows).await?;
        }
        Ok(())
    }

    /// Whether nothing is evaluated and no alert is held, so that it need not stay in memory.
    pub fn is_idle(&self) -> bool {
        self.shared.rules.read().is_empty()
            && self.shared.groups.read().is_empty()
            && self.shared.desk.is_idle()
    }

    /// Who is told, and what is silent.
    pub fn desk(&self) -> &Desk {
        &self.shared.desk
    }

    /// A rule of ours, or one of a group.
    fn running(&self, key: &str) -> Option<Arc<Running>> {
        let own = self.shared.rules.read().get(key).cloned();
        own.or_else(|| self.shared.groups.read().values().find_map(|group| group.alerting(key).cloned()))
    }

    async fn mark(&self, event: &Event) {
        let running = self.running(&event.rule);
        if let Some(running) = running {
            running.acknowledged(&event.fingerprint, event).await;
        }
    }
}

/// Whether an event goes on.
pub(crate) fn is_open(event: &Event) -> bool {
    event.state != EventState::Resolved
}

#[cfg(test)]
mod tests;
