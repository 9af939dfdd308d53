//! Sets of files that change both parts: what a crash between the two commits left is done later.

use db::Tx;
use model::TenantId;
use serde_json::{Value, json};
use sqlx::{Executor, Row};

use super::{Declared, DeclaredKind, Write};
use crate::control::Control;
use crate::error::ControlError;
use crate::permissions::Principal;
use crate::secret::new_id;

/// A set that has not ended for this long belongs to a process that is gone: statements end before.
const STALE_MS: i64 = 60_000;

/// Marks are kept for as long as somebody may look for them.
const MARKS_MS: i64 = 7 * 86_400_000;

/// Removes the row that says what is to be done in the shared part.
pub(super) async fn forget(tx: &mut Tx, intent: &str) -> Result<(), ControlError> {
    tx.execute(sqlx::query("DELETE FROM applies WHERE id = $1").bind(intent)).await?;
    Ok(())
}

/// Notes in a tenant's part that all of the set is in it.
pub(super) async fn mark(tx: &mut Tx, intent: &str, now: i64) -> Result<(), ControlError> {
    let old = sqlx::query("DELETE FROM applied WHERE applied_at < $1").bind(now.saturating_sub(MARKS_MS));
    tx.execute(old).await?;
    let insert = sqlx::query("INSERT INTO applied (id, applied_at) VALUES ($1, $2)");
    tx.execute(insert.bind(intent).bind(now)).await?;
    Ok(())
}

impl Control {
    /// Writes down what is to be done in the shared part.
    pub(super) async fn intend(&self, tenant: &TenantId, writes: &[Write]) -> Result<String, ControlError> {
        let changes: Vec<Value> = writes.iter().filter(|write| write.kind.is_shared()).map(to_json).collect();
        let intent = new_id("apply")?;
        let mut tx = self.begin().await?;
        let insert =
            sqlx::query("INSERT INTO applies (id, tenant_id, changes, created_at) VALUES ($1, $2, $3, $4)");
        let insert =
            insert.bind(intent.as_str()).bind(tenant.as_str()).bind(Value::from(changes).to_string());
        tx.execute(insert.bind(self.now())).await?;
        tx.commit().await?;
        Ok(intent)
    }

    /// Ends sets that a process which is gone left behind.
    pub(crate) async fn resume_applies(&self) -> Result<(), ControlError> {
        let rows = {
            let mut connection = self.read().await?;
            let select =
                sqlx::query("SELECT id, tenant_id, changes FROM applies WHERE created_at <= $1 ORDER BY id");
            select.bind(self.now().saturating_sub(STALE_MS)).fetch_all(&mut *connection).await?
        };
        for row in rows {
            let tenant = crate::keys::tenant_of_row(&row)?;
            let (id, changes): (String, String) = (row.try_get("id")?, row.try_get("changes")?);
            let changes: Vec<Value> = serde_json::from_str(&changes).map_err(|error| {
                ControlError::Damaged { what: "applies.changes", message: error.to_string() }
            })?;
            // One that cannot be ended, as of a tenant that is on its way out, holds up nothing else.
            if let Err(error) = self.resume_apply(&tenant, &id, &changes).await {
                tracing::warn!(%tenant, %error, "a set of files that a stop cut short could not be ended yet");
            }
        }
        Ok(())
    }

    async fn resume_apply(&self, tenant: &TenantId, id: &str, changes: &[Value]) -> Result<(), ControlError> {
        let _one = self.shared.applying.lock().await;
        let is_begun = {
            let mut connection = self.scope(tenant).await?.read().await?;
            let found = sqlx::query("SELECT id FROM applied WHERE id = $1").bind(id);
            found.fetch_optional(&mut *connection).await?.is_some()
        };
        for change in changes.iter().filter(|_| is_begun) {
            // Each for itself: what somebody changed since stays as they made it.
            let mut tx = self.begin().await?;
            self.lock_tenant(&mut tx, tenant).await?;
            let write = of_json(change)?;
            match self.write_shared(&mut tx, tenant, &Principal::system(), &write).await {
                Ok(()) => tx.commit().await?,
                Err(error) => {
                    tracing::warn!(%tenant, %error, "a change of a set of files was cut short by a stop and is not made");
                }
            }
        }
        let mut tx = self.begin().await?;
        forget(&mut tx, id).await?;
        tx.commit().await?;
        self.forget_what_changed(tenant);
        Ok(())
    }

    /// For tests: ends an application as a crash between its two commits does.
    #[cfg(test)]
    pub(super) fn crash_between_parts(&self) -> Result<(), ControlError> {
        use crate::provision::{Fault, Step};
        if *self.shared.creations.fault.lock() == Some(Fault::Crashes(Step::ApplyMigrations)) {
            return Err(ControlError::Stopped { what: "test", message: "crash".to_owned() });
        }
        Ok(())
    }

    #[cfg(not(test))]
    pub(super) fn crash_between_parts(&self) -> Result<(), ControlError> {
        Ok(())
    }
}

fn to_json(write: &Write) -> Value {
    let before = write.before.as_ref().map(|before| json!({ "spec": before.spec, "file": before.file }));
    json!({
        "kind": write.kind.as_str(),
        "name": write.name,
        "before": before,
        "after": write.after,
        "file": write.file,
    })
}

fn of_json(change: &Value) -> Result<Write, ControlError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let some = |value: &Value| (!value.is_null()).then(|| value.clone());
    let kind = change["kind"].as_str().and_then(DeclaredKind::parse);
    let (Some(kind), Some(name)) = (kind, text(&change["name"])) else {
        let message = "has no kind or no name".to_owned();
        return Err(ControlError::Damaged { what: "applies.changes", message });
    };
    let before = some(&change["before"]).map(|before| Declared {
        kind,
        name: name.clone(),
        spec: before["spec"].clone(),
        file: text(&before["file"]),
        version: 0,
    });
    Ok(Write { kind, name, before, after: some(&change["after"]), file: text(&change["file"]) })
}
