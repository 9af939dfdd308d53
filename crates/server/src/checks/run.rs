//! The loop: checks run as they fall due, their results are stored, what changed is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use control::{ObjectKind, TenantState};
use kit::{BoxError, Shutdown};
use model::{MetricBatch, TenantId};
use probe::check::{Carry, Check, CheckKey, CheckResult, State};

use super::seat::{Done, Entry, Seat};
use super::{Waiting, series, views};
use crate::app::SharedApp;
use crate::error::Fault;

/// How often results are stored and changed checks are read.
const BEAT: Duration = Duration::from_secs(1);
/// How often tenants are looked for whose checks do not run yet.
const LOOK_MS: i64 = 30_000;
/// How often every tenant is looked at again, since another node may have given it checks.
const LOOK_AGAIN_MS: i64 = 3_600_000;
/// Tenants read at once.
const PAGE: u32 = 500;

/// Runs what is due.
struct Runs(SharedApp);

#[async_trait]
impl Carry for Runs {
    async fn carry(&self, key: CheckKey, check: Arc<Check>, _due_ms: i64) {
        let Some((seat, entry)) = self.0.checks().entry(&key) else { return };
        let result = seat.attempt(&check).await;
        conclude(&self.0, &seat, &entry, result);
    }
}

/// Takes a result: it will be stored, and open pages hear of what changed.
pub(super) fn conclude(app: &SharedApp, seat: &Seat, entry: &Arc<Entry>, result: CheckResult) {
    let done = seat.conclude(entry, result);
    if done.state.is_some() {
        let (name, status, message) = (entry.check.name(), done.status, &done.result.message);
        tracing::info!(tenant = %seat.tenant, check = name, %status, message, "a check changed");
        app.hub().broadcast(&seat.tenant, "check", &views::changed_json(&done), app.now_ms());
    }
    app.checks().push(done);
}

/// Runs checks until it is told to stop.
pub(crate) async fn run(app: SharedApp, stop: Shutdown) -> Result<(), BoxError> {
    let runner = Arc::clone(&app.checks().runner);
    let running = kit::spawn::spawn("checks", runner.run(Arc::new(Runs(app.clone())), stop.clone()));
    let clock = app.clock();
    let (mut looked_at, mut again_at) = (i64::MIN, app.now_ms());
    while !stop.is_requested() {
        let now = app.now_ms();
        if now.saturating_sub(again_at) >= LOOK_AGAIN_MS {
            again_at = now;
            app.checks().quiet.lock().clear();
        }
        if now.saturating_sub(looked_at) >= LOOK_MS {
            looked_at = now;
            if let Err(fault) = look(&app).await {
                tracing::warn!(reason = fault.message(), "tenants with checks could not be looked for");
            }
        }
        read_changed(&app).await;
        store(&app).await;
        tokio::select! {
            () = clock.sleep(BEAT) => {}
            () = stop.requested() => {}
        }
    }
    running.await.map_err(|error| error.to_string())?;
    store(&app).await;
    app.checks().unplug();
    Ok(())
}

/// Reads the checks of tenants that have any.
async fn look(app: &SharedApp) -> Result<(), Fault> {
    let control = app.control()?;
    let mut after = None;
    loop {
        let page = control.tenants(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id.clone());
        for tenant in page {
            if tenant.state != TenantState::Active {
                app.checks().forget(&tenant.id);
                continue;
            }
            if let Some(seat) = app.checks().seat(&tenant.id) {
                if seat.is_empty() {
                    app.checks().forget(&tenant.id);
                }
                continue;
            }
            // Noted before it is looked at, so that a check which comes meanwhile is not missed.
            if !app.checks().quiet.lock().insert(tenant.id.clone()) {
                continue;
            }
            let read = match control.objects(&tenant.id, ObjectKind::Check, None, 1).await {
                Ok(checks) if checks.items.is_empty() => continue,
                Ok(_) => app.checks_of(&tenant.id).await.map(drop),
                Err(error) => Err(error.into()),
            };
            app.checks().quiet.lock().remove(&tenant.id);
            if let Err(fault) = read {
                tracing::warn!(tenant = %tenant.id, reason = fault.message(), "the checks of a tenant do not run");
            }
        }
    }
}

/// Reads the checks of tenants that changed.
async fn read_changed(app: &SharedApp) {
    let stale: Vec<TenantId> = app.checks().stale.lock().iter().cloned().collect();
    for tenant in stale {
        if let Err(fault) = app.checks_of(&tenant).await {
            tracing::warn!(%tenant, reason = fault.message(), "the changed checks of a tenant are not read");
            // One that is suspended or gone is looked at when it is there again.
            if !matches!(fault, Fault::Unavailable(_)) {
                app.checks().forget(&tenant);
            }
        }
    }
}

/// What one tenant has to store.
#[derive(Default)]
struct Load {
    done: Vec<Done>,
    ended: Vec<Arc<Entry>>,
}

/// Stores what waits.
pub(super) async fn store(app: &SharedApp) {
    let Waiting { done, ended, lost } = app.checks().take();
    if lost > 0 {
        tracing::warn!(lost, "results of checks were lost: the store did not take them for too long");
    }
    let mut loads: BTreeMap<TenantId, Load> = BTreeMap::new();
    for one in done {
        loads.entry(one.tenant.clone()).or_default().done.push(one);
    }
    for (tenant, entry) in ended {
        loads.entry(tenant).or_default().ended.push(entry);
    }
    for (tenant, mut load) in loads {
        if let Err(fault) = store_one(app, &tenant, &mut load).await {
            // A tenant that went takes its results along.
            if matches!(fault, Fault::Unavailable(_) | Fault::TooMany(_)) {
                tracing::debug!(%tenant, reason = fault.message(), "results of checks wait");
                app.checks().put_back(load.done);
                app.checks().waiting.lock().ended.extend(load.ended.into_iter().map(|e| (tenant.clone(), e)));
            } else {
                tracing::warn!(%tenant, reason = fault.message(), "results of checks were not stored");
            }
        }
    }
}

async fn store_one(app: &SharedApp, tenant: &TenantId, load: &mut Load) -> Result<(), Fault> {
    let rows = series::rows(load.done.iter().filter(|done| !done.is_row_stored));
    if !rows.is_empty() {
        app.store_records(tenant, &rows).await?;
        load.done.iter_mut().for_each(|done| done.is_row_stored = true);
    }
    let mut batch = MetricBatch::default();
    series::samples(&load.done, &mut batch);
    series::ends(&load.ended, app.now_ms(), &mut batch);
    app.store_metrics(tenant, &batch).await?;
    // The last one of a check counts.
    let changed: BTreeMap<&str, State> =
        load.done.iter().filter_map(|done| Some((done.entry.id.as_str(), done.state?))).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let Some(seat) = app.checks().seat(tenant) else { return Ok(()) };
    let known = changed.into_iter().filter(|(id, _)| seat.by_id(id).is_some());
    let states: Vec<(String, State)> = known.map(|(id, state)| (id.to_owned(), state)).collect();
    let put = seat.tables.put_states(&states).await;
    Ok(put.map_err(control::ControlError::from)?)
}
