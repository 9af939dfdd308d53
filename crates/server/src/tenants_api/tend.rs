//! What creations and deletions of tenants leave to be done, at the start and every twenty seconds.

use std::collections::HashSet;
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
    let mut forgotten = HashSet::new();
    for round in 0u32.. {
        if let Err(fault) = look(&app, &mut forgotten).await {
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

/// Does what is to be done now. One tenant that fails does not keep the others. `forgotten` are the removed ones
/// that this process has let go of.
pub(crate) async fn look(app: &SharedApp, forgotten: &mut HashSet<TenantId>) -> Result<(), Fault> {
    let control = app.control()?;
    if let Err(fault) = app.find_own_tenant().await {
        tracing::warn!(
            reason = fault.message(),
            "where the server's own telemetry goes could not be found out"
        );
    }
    let resumed = control.resume_sagas().await?;
    for tenant in &resumed.undone {
        tracing::warn!(%tenant, "the creation of a tenant had stopped half-way and was undone");
    }
    for tenant in resumed.deleting {
        let is_due = control
            .tenant(&tenant)
            .await
            .map_or(true, |known| app.now_ms().saturating_sub(known.updated_at) >= GRACE_MS);
        if is_due && let Err(fault) = remove(app, &tenant).await {
            tracing::warn!(%tenant, reason = fault.message(), "a tenant could not be removed and will be later");
        }
    }
    // Removed by another node, or rows that came in at the last moment.
    let stored: HashSet<TenantId> = app.store()?.engine().tenants().into_iter().collect();
    let removed = control.removed_tenants().await?;
    forgotten.retain(|tenant| removed.contains(tenant));
    for tenant in removed {
        if forgotten.insert(tenant.clone()) {
            app.forget_tenant(&tenant);
        }
        if stored.contains(&tenant)
            && let Err(fault) = remove_data(app, &tenant).await
        {
            tracing::warn!(%tenant, reason = fault.message(), "what is left of a tenant could not be removed");
        }
    }
    Ok(())
}

/// Removes telemetry first: while the row is there, a crash in between is noticed.
async fn remove(app: &SharedApp, tenant: &TenantId) -> Result<(), Fault> {
    app.forget_tenant(tenant);
    remove_data(app, tenant).await?;
    if app.control()?.finish_delete(tenant).await? {
        tracing::info!(%tenant, "a tenant was removed");
    }
    Ok(())
}

/// Removes what this node has of a tenant on disk.
async fn remove_data(app: &SharedApp, tenant: &TenantId) -> Result<(), Fault> {
    let store = app.store()?;
    store.await_replayed().await.map_err(|error| crate::app::writes::store_fault(&error))?;
    let (id, now_ms) = (tenant.clone(), app.now_ms());
    kit::spawn::spawn_blocking("remove tenant", move || store.engine().remove_tenant(&id, now_ms))
        .await
        .map_err(|_| Fault::Internal("the removal ended abnormally; the log has the reason".into()))?
        .map_err(|error| crate::app::writes::store_fault(&error))?;
    let Some(folder) = app.exports().folder_of(tenant) else { return Ok(()) };
    kit::spawn::spawn_blocking("remove exports", move || match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    })
    .await
    .map_err(|_| Fault::Internal("the removal ended abnormally; the log has the reason".into()))?
    .map_err(|error| Fault::Internal(format!("the folder of exports could not be removed: {error}")))
}
