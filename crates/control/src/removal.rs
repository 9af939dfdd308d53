//! Deletion of tenants: nobody is answered, then telemetry goes, which is the caller's, then everything here. A
//! record of it stays, so that a node which was away knows that what it has of the tenant must go, too.

use model::TenantId;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::control::Control;
use crate::error::ControlError;
use crate::provision::STALE_MS;
use crate::schema;
use crate::secret::new_id;
use crate::tenants::{TenantState, refuse_built_in};

/// An id is free again this long after its tenant was removed: by then every node has looked and let go of it.
const REST_MS: i64 = 60_000;

impl Control {
    /// First half of a deletion: from now on nobody is answered, and nothing leads back. Then the caller
    /// removes the tenant's telemetry and calls [`Control::finish_delete`]. Twice changes nothing.
    pub async fn begin_delete(&self, id: &TenantId) -> Result<(), ControlError> {
        refuse_built_in(id)?;
        let mut tx = self.begin().await?;
        let update = sqlx::query(
            "UPDATE tenants SET state = 'deleting', updated_at = $1 \
             WHERE id = $2 AND state IN ('active', 'suspended', 'deleting')",
        );
        let done = tx.execute(update.bind(self.now()).bind(id.as_str())).await?;
        tx.commit().await?;
        self.forget_tenant(id);
        if done.rows_affected() == 0 {
            let state = self.tenant(id).await?.state;
            return Err(ControlError::TenantInactive { tenant: id.clone(), state });
        }
        Ok(())
    }

    /// Second half: drops the tenant's schema or file and every row that belongs to it. True when this call
    /// did; false where the tenant is gone already, or another process is at it.
    pub async fn finish_delete(&self, id: &TenantId) -> Result<bool, ControlError> {
        // Another process may have removed it, or be about to.
        self.forget_tenant(id);
        match self.read_tenant(id).await? {
            None => return Ok(false),
            Some(tenant) if tenant.state == TenantState::Deleting => {}
            Some(tenant) => {
                let message = format!("the tenant is {}; begin its deletion first", tenant.state.as_str());
                return Err(ControlError::Invalid { field: "tenant", message });
            }
        }
        // Of several processes one does it: another might drop what was created under the id since.
        let (attempt, now) = (new_id("attempt")?, self.now());
        let mut tx = self.begin().await?;
        let claim = sqlx::query(
            "UPDATE tenants SET attempt = $1, updated_at = $2 \
             WHERE id = $3 AND state = 'deleting' AND (attempt = '' OR updated_at <= $4)",
        );
        let claim = claim.bind(attempt.as_str()).bind(now).bind(id.as_str()).bind(now - STALE_MS);
        let claimed = tx.execute(claim).await?.rows_affected();
        tx.commit().await?;
        if claimed == 0 {
            return Ok(false);
        }
        let removed = self.remove_claimed(id, &attempt).await;
        if removed.is_err() {
            let mut tx = self.begin().await?;
            let release = sqlx::query("UPDATE tenants SET attempt = '' WHERE id = $1 AND attempt = $2");
            tx.execute(release.bind(id.as_str()).bind(attempt.as_str())).await?;
            tx.commit().await?;
        }
        self.forget_tenant(id);
        removed
    }

    async fn remove_claimed(&self, id: &TenantId, attempt: &str) -> Result<bool, ControlError> {
        self.shared.db.drop_tenant(id).await?;
        let mut tx = self.begin().await?;
        // Locks the row, and finds out whether it is still ours.
        let lock =
            sqlx::query("UPDATE tenants SET id = id WHERE id = $1 AND state = 'deleting' AND attempt = $2");
        if tx.execute(lock.bind(id.as_str()).bind(attempt)).await?.rows_affected() == 0 {
            return Ok(false);
        }
        self.delete_rows(&mut tx, id).await?;
        tx.execute(sqlx::query("DELETE FROM tenants WHERE id = $1").bind(id.as_str())).await?;
        let note = sqlx::query(
            "INSERT INTO removed_tenants (id, removed_at) VALUES ($1, $2) \
             ON CONFLICT (id) DO UPDATE SET removed_at = excluded.removed_at",
        );
        tx.execute(note.bind(id.as_str()).bind(self.now())).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Tenants that were removed and are not there again: whatever a node still has of them must go.
    pub async fn removed_tenants(&self) -> Result<Vec<TenantId>, ControlError> {
        let mut connection = self.read().await?;
        let rows = sqlx::query(
            "SELECT id FROM removed_tenants AS removed \
             WHERE NOT EXISTS (SELECT 1 FROM tenants WHERE tenants.id = removed.id) ORDER BY id",
        );
        let rows = rows.fetch_all(&mut *connection).await?;
        let id = |row: &sqlx::any::AnyRow| {
            TenantId::new(&row.try_get::<String, _>("id")?).map_err(|error| ControlError::Damaged {
                what: "removed_tenants.id",
                message: error.to_string(),
            })
        };
        rows.iter().map(id).collect()
    }

    /// Refuses an id whose tenant was removed a moment ago.
    pub(crate) async fn refuse_just_removed(&self, id: &TenantId) -> Result<(), ControlError> {
        let mut connection = self.read().await?;
        let row = sqlx::query("SELECT removed_at FROM removed_tenants WHERE id = $1").bind(id.as_str());
        let Some(row) = row.fetch_optional(&mut *connection).await? else { return Ok(()) };
        let free_at = row.try_get::<i64, _>("removed_at")?.saturating_add(REST_MS);
        let wait_ms = free_at.saturating_sub(self.now());
        // A clock that was set back must not keep the id for ever.
        if !(1..=REST_MS).contains(&wait_ms) {
            return Ok(());
        }
        let message = format!(
            "a tenant {id} was removed a moment ago, and other nodes may not know; try again in {} s",
            (wait_ms + 999) / 1000
        );
        Err(ControlError::Stopped { what: "tenant creation", message })
    }

    /// Removes every shared row of a tenant but its own.
    pub(crate) async fn delete_rows(&self, tx: &mut db::Tx, id: &TenantId) -> Result<(), ControlError> {
        for table in schema::OF_TENANT {
            let statement = format!("DELETE FROM {table} WHERE tenant_id = $1");
            tx.execute(sqlx::query(AssertSqlSafe(statement)).bind(id.as_str())).await?;
        }
        Ok(())
    }
}
