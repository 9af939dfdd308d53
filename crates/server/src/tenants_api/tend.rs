//! What creations and deletions of tenants leave to be done, at the start and every twenty seconds.

use std::time::Duration;

use kit::{BoxError, Shutdown};
use model::TenantId;

use crate::app::SharedApp;
use crate::error::Fault;

const LOOK: Duration = Duration::from_secs(20);

/// Old anchors of the audit log are looked for every so many looks: each hour.
const LOOKS_PER_SWEEP: u32 = 180;

/// A tenant's telemetry goes only when no process can still take it for active: keys, sessions and states are
/// remembered for ten seconds.
const GRACE_MS: i64 = 15_000;

/// Looks until the end is asked for.
pub(crate) async fn run(app: SharedApp, stop: Shutdown) -> Result<(), BoxError> {
    for round in 0u32.. {
        if let Err(fault) = look(&app).await {
            tracing::warn!(reason = fault.message(), "tenants could not be tended and will be again");
        }
        if round.is_multiple_of(LOOKS_PER_SWEEP)
            && let Err(fault) = sweep(&app).await
        {
            tracing::warn!(reason = fault.message(), "old anchors of the audit log could not be removed yet");
        }
        let clock = app.clock();
        tokio::select! {
            () = stop.requested() => return Ok(()),
            () = clock.sleep(LOOK) => {}
        }
    }
    Ok(())
}

/// Removes anchors of audit rows that retention has removed.
async fn sweep(app: &SharedApp) -> Result<(), Fault> {
    if let Some(keep) = app.settings().retention.audit {
        let before = app.now_ms().saturating_sub(crate::app::millis(keep));
        app.control()?.remove_audit_heads(before).await?;
    }
    Ok(())
}

async fn look(app: &SharedApp) -> Result<(), Fault> {
    let control = app.control()?;
    app.find_own_tenant().await?;
    let resumed = control.resume_sagas().await?;
    for tenant in &resumed.undone {
        tracing::warn!(%tenant, "the creation of a tenant had stopped half-way and was undone");
    }
    for tenant in resumed.deleting {
        let is_due = control
            .tenant(&tenant)
            .await
            .map_or(true, |known| app.now_ms().saturating_sub(known.updated_at) >= GRACE_MS);
        if is_due {
            remove(app, &tenant).await?;
        }
    }
    Ok(())
}

/// Removes telemetry first: while the row is there, a crash in between is noticed.
async fn remove(app: &SharedApp, tenant: &TenantId) -> Result<(), Fault> {
    let store = app.store()?;
    store.await_replayed().await.map_err(|error| crate::app::writes::store_fault(&error))?;
    let (id, now_ms) = (tenant.clone(), app.now_ms());
    kit::spawn::spawn_blocking("remove tenant", move || store.engine().remove_tenant(&id, now_ms))
        .await
        .map_err(|_| Fault::Internal("the removal ended abnormally; the log has the reason".into()))?
        .map_err(|error| crate::app::writes::store_fault(&error))?;
    app.control()?.finish_delete(tenant).await?;
    app.tenant_limits().forget(tenant);
    tracing::info!(%tenant, "a tenant was removed");
    Ok(())
}
