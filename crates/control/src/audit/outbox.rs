//! What commands did beside the server: left in the database, sealed into the trail by the next server that looks.

use model::TenantId;
use sqlx::any::AnyRow;
use sqlx::{Executor, Row};

use crate::audit::AuditRow;
use crate::control::Control;
use crate::error::ControlError;
use crate::permissions::{Actor, ActorKind};
use crate::secret::new_id;

/// Rows taken at once.
const TAKEN_MAX: i64 = 1000;

/// A server that took rows and did not come back within this long is gone.
const STALE_MS: i64 = 60_000;

impl Control {
    /// Leaves a row for the trail of a tenant, in the name of the command line. What a command does to a tenant
    /// that is going belongs in the trail of another.
    pub async fn leave_audit(
        &self,
        tenant: &TenantId,
        action: &str,
        target: &str,
        detail: &serde_json::Value,
    ) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        let insert = sqlx::query(
            "INSERT INTO audit_outbox (id, tenant_id, at, action, target, detail, taken_at) \
             VALUES ($1, $2, $3, $4, $5, $6, 0)",
        );
        let detail = if detail.is_null() { String::new() } else { detail.to_string() };
        let insert = insert.bind(new_id("left")?).bind(tenant.as_str()).bind(self.now()).bind(action);
        tx.execute(insert.bind(target.replace('\0', "")).bind(detail.replace('\0', ""))).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes what commands left, the oldest first, with the number of each for [`Self::clear_audit_left`].
    pub async fn take_audit_left(&self) -> Result<Vec<(String, AuditRow)>, ControlError> {
        let now = self.now();
        let is_there = {
            let mut connection = self.read().await?;
            let any = sqlx::query("SELECT 1 FROM audit_outbox WHERE taken_at <= $1 LIMIT 1");
            any.bind(now - STALE_MS).fetch_optional(&mut *connection).await?.is_some()
        };
        if !is_there {
            return Ok(Vec::new());
        }
        let mut tx = self.begin().await?;
        let take = sqlx::query(
            "UPDATE audit_outbox SET taken_at = $1 WHERE taken_at <= $2 AND id IN \
             (SELECT id FROM audit_outbox WHERE taken_at <= $2 ORDER BY at, id LIMIT $3) \
             RETURNING id, tenant_id, at, action, target, detail",
        );
        let rows = take.bind(now).bind(now - STALE_MS).bind(TAKEN_MAX).fetch_all(&mut *tx).await?;
        tx.commit().await?;
        let mut left = rows.iter().map(left_of_row).collect::<Result<Vec<_>, _>>()?;
        left.sort_by(|a, b| (a.1.at, &a.0).cmp(&(b.1.at, &b.0)));
        Ok(left)
    }

    /// Forgets rows that are in the trail.
    pub async fn clear_audit_left(&self, ids: &[String]) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        for id in ids {
            tx.execute(sqlx::query("DELETE FROM audit_outbox WHERE id = $1").bind(id.as_str())).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

fn left_of_row(row: &AnyRow) -> Result<(String, AuditRow), ControlError> {
    let tenant: String = row.try_get("tenant_id")?;
    let tenant = TenantId::new(&tenant).map_err(|error| ControlError::Damaged {
        what: "audit_outbox.tenant_id",
        message: error.to_string(),
    })?;
    let action: String = row.try_get("action")?;
    let actor = Actor { kind: ActorKind::System, id: "command".to_owned(), name: "command line".to_owned() };
    let audit = AuditRow {
        actor: Some(actor),
        target: row.try_get("target")?,
        detail: row.try_get("detail")?,
        ..AuditRow::new(tenant, row.try_get("at")?, &action)
    };
    Ok((row.try_get("id")?, audit))
}
