//! Incidents of a tenant: opened and changed by people, ended with their alerts, and looked after while they last.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tokio::sync::Mutex;

use super::Engine;
use super::EngineError;
use crate::incident::{Incident, IncidentFilter, IncidentStatus, NewIncident, Operation};
use crate::runbook::{Run, RunRequest};
use crate::tables::{EventState, PAGE_MAX, TableError};

/// How often it is looked what another server or a stop left behind.
const LOOK_MS: i64 = 60_000;
/// How soon after something failed.
const AGAIN_MS: i64 = 1_000;
/// Escalations that go on at once.
const STEPS_MAX: u32 = 100;

/// When incidents are looked after next.
#[derive(Default)]
pub(super) struct Watch {
    /// Milliseconds since the epoch; at once after a start.
    at: AtomicI64,
    /// A webhook may wait to be sent.
    webhooks: AtomicBool,
    /// One at a time: what a person ends is not ended by itself meanwhile.
    one: Mutex<()>,
}

impl Engine {
    /// Incidents are looked after at the next tick.
    pub(super) fn look_soon(&self) {
        self.shared.watch.at.store(0, Ordering::Relaxed);
    }

    /// Whether a webhook may wait to be sent; so once after each change.
    pub fn webhooks_wait(&self) -> bool {
        self.shared.watch.webhooks.swap(false, Ordering::Relaxed)
    }

    /// The same for others: there is more to be done.
    pub fn look_again(&self) {
        self.look_soon();
    }

    /// Opens an incident by hand, with the runbooks that are to be worked through.
    pub async fn open_incident(
        &self,
        new: &NewIncident,
        runbooks: &[String],
    ) -> Result<Incident, EngineError> {
        let setup = self.shared.desk.setup().await;
        let now = self.shared.clock.now_ms();
        let opened = self.shared.desk.open_incident(&setup, new, runbooks, now).await?;
        self.look_soon();
        Ok(opened.incident)
    }

    /// Does something to an incident. Whoever ends it ends its alerts, whoever takes care of it does so of them, and one
    /// that is opened again is called for again.
    pub async fn change_incident(
        &self,
        id: &str,
        operation: &Operation,
        who: &str,
    ) -> Result<Incident, EngineError> {
        let _one = self.shared.watch.one.lock().await;
        let tables = &self.shared.tables;
        let now = self.shared.clock.now_ms();
        if matches!(operation, Operation::Resolve { .. }) {
            // Its alerts first: where this is cut short, the incident is still there to be ended again.
            for event in self.open_events(id).await? {
                let ended = self.resolve(&event, who).await;
                ignore_ended(ended.map(drop))?;
            }
        }
        let setup = self.shared.desk.setup().await;
        let mut tx = tables.begin().await?;
        let incident = tables.change_incident_in(&mut tx, id, operation, Some(who), now).await?;
        if matches!(operation, Operation::Reopen { .. })
            && incident.status != IncidentStatus::Resolved
            && let Some(policy) = &incident.escalation
            && let Some(spec) = setup.escalations.get(policy)
        {
            tables.start_escalation(&mut tx, id, (policy, spec), now).await?;
        }
        tx.commit().await.map_err(TableError::from)?;
        if matches!(operation, Operation::Acknowledge { .. }) {
            for event in self.open_events(id).await? {
                let event = tables.acknowledge(&event, who, None, now).await;
                match event {
                    Ok(event) => self.mark(&event).await,
                    Err(error) => ignore_ended(Err(error.into()))?,
                }
            }
        }
        self.look_soon();
        Ok(incident)
    }

    /// Asks for a run of remediation.
    pub async fn request_run(&self, request: &RunRequest<'_>) -> Result<Run, EngineError> {
        let run = self.shared.tables.request_run(request, self.shared.clock.now_ms()).await?;
        self.look_soon();
        Ok(run)
    }

    /// Lets a run begin, or says no to it.
    pub async fn decide_run(&self, id: &str, who: &str, yes: bool) -> Result<Run, EngineError> {
        let now = self.shared.clock.now_ms();
        let run = match yes {
            true => self.shared.tables.approve_run(id, who, now).await?,
            false => self.shared.tables.refuse_run(id, who, now).await?,
        };
        self.look_soon();
        Ok(run)
    }

    /// Whoever takes care of an alert does so of the incidents that it belongs to.
    pub(super) async fn acknowledge_incidents(&self, event: &str, who: &str) -> Result<(), EngineError> {
        let statuses = vec![IncidentStatus::Open];
        let filter = IncidentFilter { statuses, event: Some(event.to_owned()), ..IncidentFilter::default() };
        for incident in self.shared.tables.incidents(&filter, 100).await? {
            let operation = Operation::Acknowledge { note: None };
            let now = self.shared.clock.now_ms();
            let taken = self.shared.tables.change_incident(&incident.id, &operation, Some(who), now).await;
            ignore_ended(taken.map(drop).map_err(EngineError::from))?;
            self.look_soon();
        }
        Ok(())
    }

    /// Looks after incidents where it is time: those whose alerts are over end, runs that nobody took end, people are
    /// called. Answers when it is time again.
    pub(super) async fn respond(&self, now: i64) -> Result<i64, EngineError> {
        let watch = &self.shared.watch;
        let at = watch.at.load(Ordering::Relaxed);
        if now < at {
            return Ok(at);
        }
        // Noted before it is looked, so that what comes meanwhile is not missed.
        let again = now.saturating_add(AGAIN_MS);
        watch.at.store(again, Ordering::Relaxed);
        let _one = watch.one.lock().await;
        watch.webhooks.store(true, Ordering::Relaxed);
        let tables = &self.shared.tables;
        let ended = tables.ended_events().await?;
        if !ended.is_empty() {
            tables.events_over(&ended, now).await?;
        }
        tables.expire_runs(now).await?;
        let due = tables.due_escalations(now, STEPS_MAX).await?;
        let all = due.len() < STEPS_MAX as usize && ended.is_empty();
        let mut failed = false;
        for running in due {
            let id = running.id.clone();
            // One that fails keeps nobody of another incident waiting.
            if let Err(error) = self.call(running, now).await {
                tracing::warn!(tenant = %self.shared.tenant, escalation = id, %error, "nobody could be called");
                failed = true;
            }
        }
        let next = match (failed, all) {
            (true, _) => again,
            // There may be more.
            (false, false) => now,
            (false, true) => {
                let due = [tables.next_escalation().await?, tables.next_run().await?];
                due.into_iter().flatten().min().unwrap_or(i64::MAX).min(now.saturating_add(LOOK_MS))
            }
        };
        let set = watch.at.compare_exchange(again, next, Ordering::Relaxed, Ordering::Relaxed);
        Ok(set.map_or_else(|soon| soon, |_| next))
    }

    /// Events of an incident that go on.
    async fn open_events(&self, id: &str) -> Result<Vec<String>, EngineError> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.shared.tables.incident_events(id, true, &after, PAGE_MAX).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(last);
            all.extend(page);
        }
        Ok(all)
    }
}

/// What ended meanwhile, or is gone, needs no hand.
fn ignore_ended(result: Result<(), EngineError>) -> Result<(), EngineError> {
    let over = EventState::Resolved.as_str();
    match result {
        Err(
            EngineError::Table(TableError::State { state, .. })
            | EngineError::Incident(crate::incident::IncidentError::Table(TableError::State { state, .. })),
        ) if state == over => Ok(()),
        Err(
            EngineError::Table(TableError::Missing { .. })
            | EngineError::Incident(crate::incident::IncidentError::Table(TableError::Missing { .. })),
        ) => Ok(()),
        other => other,
    }
}
