//! Tenants that go: nothing of them stays in memory, and nothing more is stored for them.

use control::{PLATFORM_TENANT, TenantState};
use model::{Signal, TenantId};

use super::App;
use crate::error::Fault;

impl App {
    /// Lets go of everything that is known of a tenant, so that nothing of it comes back, and none of it reaches
    /// a tenant of the same id that comes later.
    pub(crate) fn forget_tenant(&self, tenant: &TenantId) {
        self.tenant_limits.forget(tenant);
        self.span_metrics.lock().remove(tenant);
        self.increments.lock().remove(tenant);
        self.deletes.lock().remove(tenant);
        self.pipelines.forget(tenant);
        self.hub.close(tenant);
        self.audit.forget(tenant);
        self.telemetry.forget(tenant);
        self.response.forget(tenant);
        self.checks.forget(tenant);
    }

    /// Refuses to store for a tenant that is not in use. Asked when rows are ready to be stored: a body may have
    /// taken its time since the request was let in. What was done to a suspended tenant is still written down.
    pub(crate) async fn may_store(&self, tenant: &TenantId, signal: Signal) -> Result<(), Fault> {
        // These are never suspended or deleted, and the server writes to them before the database is open.
        if *tenant == TenantId::default_tenant() || tenant.as_str() == PLATFORM_TENANT {
            return Ok(());
        }
        let control = self.control()?;
        if signal == Signal::Audit && control.tenant(tenant).await?.state == TenantState::Suspended {
            return Ok(());
        }
        control.active_tenant(tenant).await?;
        Ok(())
    }
}
