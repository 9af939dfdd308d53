//! The loop: rules are evaluated when they are due, groups speak when they are due, what changed is seen at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alert::engine::QUEUE;
use alert::tables::Event;
use async_trait::async_trait;
use control::{ObjectKind, TenantState};
use db::jobs::{Jobs, Worker, WorkerSettings};
use kit::{BoxError, HealthStatus, Service, Shutdown};
use tokio::sync::Semaphore;

use super::ask::Asker;
use super::send::Sender;
use super::{Seat, views};
use crate::app::SharedApp;
use crate::error::Fault;

/// How often it is looked what is due.
const BEAT: Duration = Duration::from_millis(250);
/// How often tenants are looked for whose rules are not evaluated yet, and times of evaluation are written down.
const LOOK_MS: i64 = 30_000;
/// How often what is old is removed.
const SWEEP_MS: i64 = 3_600_000;
/// Evaluations at the same time.
const EVALUATIONS_MAX: usize = 4;
/// Tenants read at once.
const PAGE: u32 = 500;
/// Messages sent at the same time.
const SENDERS: usize = 8;

/// Kinds of objects for which a tenant is looked after.
pub(super) const KEPT_BUSY_BY: [ObjectKind; 4] =
    [ObjectKind::Rule, ObjectKind::RuleFile, ObjectKind::Escalation, ObjectKind::Runbook];

/// When each rule of a tenant is due.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// Next time, interval and whether it runs now, by key.
    rules: BTreeMap<String, Due>,
    /// When the desk next has something to do.
    desk_at: i64,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: i64,
    interval_ms: i64,
    running: bool,
}

impl Schedule {
    pub(super) fn new(intervals: Vec<(String, i64)>, now: i64) -> Self {
        let mut schedule = Self { rules: BTreeMap::new(), desk_at: now };
        schedule.keep(intervals, now);
        schedule
    }

    /// Takes the rules as they are now; those that stay keep their time.
    pub(super) fn keep(&mut self, intervals: Vec<(String, i64)>, now: i64) {
        let old = std::mem::take(&mut self.rules);
        for (key, interval_ms) in intervals {
            let interval_ms = interval_ms.max(1_000);
            let due = match old.get(&key) {
                Some(known) if known.interval_ms == interval_ms => *known,
                // A new rule is evaluated soon, so that whoever made it sees something; then by the clock.
                _ => Due { at: now, interval_ms, running: false },
            };
            self.rules.insert(key, due);
        }
        self.desk_at = now;
    }

    /// Rules that are due and do not run. Their next time is by the clock, spread by their keys; missed ones are not
    /// made up.
    fn due(&mut self, now: i64) -> Vec<(String, i64)> {
        let mut due = Vec::new();
        for (key, rule) in self.rules.iter_mut().filter(|(_, rule)| rule.at <= now && !rule.running) {
            let phase = (hash(key) % rule.interval_ms.unsigned_abs()) as i64;
            rule.running = true;
            rule.at =
                (now - phase).div_euclid(rule.interval_ms) * rule.interval_ms + phase + rule.interval_ms;
            due.push((key.clone(), now));
        }
        due
    }

    /// The desk has something to do at a time.
    pub(super) fn wake(&mut self, at: i64) {
        self.desk_at = self.desk_at.min(at);
    }

    /// Whether there is no rule to be evaluated.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    fn done(&mut self, key: &str) {
        if let Some(rule) = self.rules.get_mut(key) {
            rule.running = false;
        }
    }
}

fn hash(key: &str) -> u64 {
    key.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The queue and those who send what it hands out.
pub(crate) struct AlertingPart {
    app: SharedApp,
}

impl AlertingPart {
    pub(crate) fn new(app: SharedApp) -> Self {
        Self { app }
    }

    fn worker(&self) -> Result<Worker<Sender>, BoxError> {
        let jobs = self.app.response().jobs().map_err(|fault| fault.message())?;
        let settings =
            WorkerSettings { concurrency: SENDERS, ..WorkerSettings::new(QUEUE, &self.app.hostname()) };
        Ok(Worker::new(Jobs::clone(&jobs), settings, Sender::new(self.app.clone())))
    }
}

#[async_trait]
impl Service for AlertingPart {
    async fn run(&self, shutdown: Shutdown) -> Result<(), BoxError> {
        let jobs = self.app.response().jobs().map_err(|fault| fault.message())?;
        let worker = self.worker()?;
        let keeper = self.app.response().keeper().map_err(|fault| fault.message())?;
        let keeping = Service::run(&*keeper, shutdown.clone());
        tokio::try_join!(worker.run(shutdown.clone()), jobs.run(shutdown), keeping).map(drop)
    }

    async fn health(&self) -> Result<HealthStatus, BoxError> {
        self.app.response().jobs().map_err(|fault| fault.message())?;
        let keeper = self.app.response().keeper().map_err(|fault| fault.message())?;
        match self.app.response().files_problem() {
            Some(problem) => Ok(HealthStatus::degraded(problem)),
            None => keeper.health().await,
        }
    }
}

/// Evaluates rules until it is told to stop.
pub(crate) async fn alerting(app: SharedApp, stop: Shutdown) -> Result<(), BoxError> {
    let clock = app.clock();
    let slots = Arc::new(Semaphore::new(EVALUATIONS_MAX));
    let (mut looked_at, mut swept_at) = (i64::MIN, app.now_ms());
    while !stop.is_requested() {
        let now = app.now_ms();
        if now.saturating_sub(looked_at) >= LOOK_MS {
            looked_at = now;
            if app.alerting_files_are_others()
                && let Err(fault) = app.load_alerting_files().await
            {
                tracing::error!(reason = fault.message(), "files of alerting are not read: mend them");
            }
            if let Err(fault) = look(&app, now).await {
                tracing::warn!(reason = fault.message(), "tenants with rules could not be looked for");
            }
        }
        for seat in app.response().seats() {
            if let Err(fault) = beat(&app, &seat, &slots).await {
                tracing::warn!(tenant = %seat.tenant, reason = fault.message(), "alerting of a tenant is held up");
            }
        }
        if now.saturating_sub(swept_at) >= SWEEP_MS {
            swept_at = now;
            app.response().look_again();
            sweep(&app, now).await;
        }
        tokio::select! {
            () = clock.sleep(BEAT) => {}
            () = stop.requested() => {}
        }
    }
    Ok(())
}

/// Opens tenants that have rules, and writes down when rules were evaluated.
async fn look(app: &SharedApp, now: i64) -> Result<(), Fault> {
    let control = app.control()?;
    for seat in app.response().seats() {
        seat.engine.record_evaluated().await?;
        if seat.is_done(now) {
            app.response().forget(&seat.tenant);
        }
    }
    let mut after = None;
    loop {
        let page = control.tenants(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id.clone());
        for tenant in page {
            if tenant.state != TenantState::Active {
                app.response().forget(&tenant.id);
                continue;
            }
            if app.response().seats.lock().contains_key(&tenant.id) {
                continue;
            }
            // Noted before it is looked at, so that a rule which comes meanwhile is not missed.
            if !app.response().quiet.lock().insert(tenant.id.clone()) {
                continue;
            }
            let opened = match super::files::has_work(app, &tenant.id).await {
                Ok(false) => continue,
                Ok(true) => app.seat_of(&tenant.id).await.map(drop),
                Err(fault) => Err(fault),
            };
            app.response().quiet.lock().remove(&tenant.id);
            if let Err(fault) = opened {
                tracing::warn!(tenant = %tenant.id, reason = fault.message(), "the rules of a tenant are not evaluated");
            }
        }
    }
}

async fn beat(app: &SharedApp, seat: &Arc<Seat>, slots: &Arc<Semaphore>) -> Result<(), Fault> {
    let now = app.now_ms();
    if !super::owner::is_ours(app, seat, now).await? {
        return Ok(());
    }
    app.refresh(seat).await?;
    super::groups::beat(app, seat, slots, now);
    let (due, desk) = {
        let mut schedule = seat.schedule.lock();
        (schedule.due(now), schedule.desk_at <= now)
    };
    for (key, at) in due {
        let (app, seat, slots) = (app.clone(), Arc::clone(seat), Arc::clone(slots));
        kit::spawn::spawn("rule", async move {
            let _slot = slots.acquire_owned().await.expect("the semaphore is never closed");
            let asker = Asker(app.clone());
            let result = seat.engine.evaluate(&asker, &key, at).await;
            {
                let mut schedule = seat.schedule.lock();
                schedule.done(&key);
                if result.as_ref().is_ok_and(|events| !events.is_empty()) {
                    schedule.desk_at = at;
                }
            }
            match result {
                Ok(events) => {
                    if let Err(error) = seat.engine.publish_alerts(&asker, &key, at).await {
                        tracing::debug!(tenant = %seat.tenant, rule = key, %error, "its ALERTS were not written");
                    }
                    announce(&app, &seat, &events).await;
                }
                Err(error) => {
                    tracing::debug!(tenant = %seat.tenant, rule = key, %error, "a rule has no answer")
                }
            }
        });
    }
    if desk {
        let (next, ended) = seat.engine.tick().await?;
        // Something may have come in meanwhile, so it is looked at least every second.
        seat.schedule.lock().desk_at = next.unwrap_or(now + 1_000).min(now + 1_000);
        announce(app, seat, &ended).await;
    }
    if seat.engine.webhooks_wait() {
        let (app, seat) = (app.clone(), Arc::clone(seat));
        kit::spawn::spawn("webhooks of runbooks", async move {
            if let Err(fault) = super::remediation::send_webhooks(&app, &seat).await {
                tracing::warn!(tenant = %seat.tenant, reason = fault.message(), "webhooks of runbooks wait");
            }
        });
    }
    Ok(())
}

/// Tells open pages what changed, and writes down when rules fired.
pub(super) async fn announce(app: &SharedApp, seat: &Seat, events: &[Event]) {
    let mut fired = Vec::new();
    for event in events {
        app.hub().broadcast(&seat.tenant, "alert", &views::event_json(event), app.now_ms());
        if let Some(name) = event.rule.strip_prefix("rule/").filter(|_| event.fired_at == event.updated_at) {
            fired.push((name.to_owned(), event.fired_at));
        }
    }
    if fired.is_empty() {
        return;
    }
    let result = match app.control() {
        Ok(control) => control.record_triggered(&seat.tenant, &fired).await.map_err(Fault::from),
        Err(fault) => Err(fault),
    };
    if let Err(fault) = result {
        tracing::warn!(tenant = %seat.tenant, reason = fault.message(), "when a rule fired was not written down");
    }
}

/// Removes events, notifications and silences that are older than they are kept.
async fn sweep(app: &SharedApp, now: i64) {
    let Some(keep) = app.settings().retention.alerts else { return };
    let before = now.saturating_sub(crate::app::millis(keep));
    for seat in app.response().seats() {
        let tables = seat.engine.tables();
        let result = async {
            tables.sweep_events(before).await?;
            tables.sweep_notifications(before).await?;
            tables.sweep_incidents(before).await?;
            tables.sweep_runs(before).await?;
            seat.engine.sweep_silences(before).await
        };
        if let Err(error) = result.await {
            tracing::warn!(tenant = %seat.tenant, %error, "old alerts were not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_due_at_once_and_then_by_the_clock() {
        let mut schedule = Schedule::new(vec![("a".into(), 30_000)], 1_000_000);
        assert_eq!(schedule.due(1_000_000).len(), 1);
        assert!(schedule.due(1_100_000).is_empty(), "it runs");
        schedule.done("a");
        let next = schedule.rules["a"].at;
        assert!(next > 1_000_000 && next <= 1_030_000, "{next}");
        assert!(schedule.due(next - 1).is_empty());
        assert_eq!(schedule.due(next + 95_000).len(), 1, "what was missed is not made up");
        schedule.done("a");
        assert_eq!((schedule.rules["a"].at - next) % 30_000, 0, "by the clock");
        schedule.keep(vec![("a".into(), 30_000), ("b".into(), 60_000)], next + 96_000);
        let due: Vec<String> = schedule.due(next + 96_000).into_iter().map(|(key, _)| key).collect();
        assert_eq!(due, ["b"], "a keeps its time");
    }
}
