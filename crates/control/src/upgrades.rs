//! Tables of tenants, up and down: one tenant, or all of them.

use model::TenantId;

use db::MigrationStatus;

use crate::control::Control;
use crate::error::ControlError;
use crate::tenants::TenantState;

/// Tenants read at once while all are gone through.
const PAGE: u32 = 200;

/// One set of tables and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetStatus {
    /// Whose tables.
    pub set: &'static str,
    /// Each step and when it ran.
    pub steps: Vec<MigrationStatus>,
}

impl SetStatus {
    /// The version of the last step that ran; 0 before the first.
    pub fn version(&self) -> i64 {
        let applied = self.steps.iter().filter(|step| step.applied_at.is_some());
        applied.map(|step| step.version).max().unwrap_or(0)
    }
}

/// How one tenant fared.
#[derive(Debug)]
pub struct TenantMigration {
    /// Which.
    pub tenant: TenantId,
    /// What it is at now, or why it stayed where it was. One tenant's failure is no other's.
    pub result: Result<Vec<SetStatus>, ControlError>,
}

impl Control {
    /// Brings every tenant up to date. One that fails is reported and the others go on.
    pub async fn migrate_all(&self) -> Result<Vec<TenantMigration>, ControlError> {
        let mut reports = Vec::new();
        let mut after: Option<TenantId> = None;
        loop {
            let page = self.tenants(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(reports) };
            after = Some(last.id.clone());
            // Those on their way in or out are not ours to touch.
            let settled = |state| matches!(state, TenantState::Active | TenantState::Suspended);
            for tenant in page.into_iter().filter(|tenant| settled(tenant.state)) {
                let result = self.migrate_tenant(&tenant.id).await;
                reports.push(TenantMigration { tenant: tenant.id, result });
            }
        }
    }

    /// Brings one tenant up to date. A step that fails leaves its tables and rows as they were.
    pub async fn migrate_tenant(&self, id: &TenantId) -> Result<Vec<SetStatus>, ControlError> {
        self.shared.migrated.lock().remove(id);
        self.scope(id).await?;
        self.migration_status(id).await
    }

    /// Undoes every step of one set above `version`, to go back to an older program: stop this one first,
    /// because it brings the tenant up to date again when it is next used.
    pub async fn rollback_tenant(
        &self,
        id: &TenantId,
        set: &str,
        version: i64,
    ) -> Result<Vec<i64>, ControlError> {
        let known = self.shared.tenant_sets.iter().find(|known| known.name == set);
        let known = known.ok_or_else(|| {
            let names: Vec<_> = self.shared.tenant_sets.iter().map(|set| set.name).collect();
            let message = format!("{:?} is no set of tables; use {}", set, names.join(", "));
            ControlError::Invalid { field: "set", message }
        })?;
        if version < 0 {
            let message = format!("{version} is below 0, which undoes every step");
            return Err(ControlError::Invalid { field: "version", message });
        }
        self.tenant(id).await?;
        let undone = self.shared.db.tenant(id).await?.rollback(known, version).await;
        self.shared.migrated.lock().remove(id);
        Ok(undone?)
    }

    /// How far one tenant's tables are. Changes nothing.
    pub async fn migration_status(&self, id: &TenantId) -> Result<Vec<SetStatus>, ControlError> {
        self.tenant(id).await?;
        let scope = self.shared.db.tenant(id).await?;
        let mut sets = Vec::with_capacity(self.shared.tenant_sets.len());
        for set in &self.shared.tenant_sets {
            sets.push(SetStatus { set: set.name, steps: scope.migrations(set).await? });
        }
        Ok(sets)
    }
}
