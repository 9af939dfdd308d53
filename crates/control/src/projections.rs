//! Tables whose columns are given from outside, kept beside the objects that they show: `MonitoringAlert` of rules and
//! `HealthCheck` of checks. A row is written in the transaction of its object and never by itself.

use db::Tx;
use model::TenantId;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::control::Control;
use crate::error::{ControlError, not_found};
use crate::lists::LIST_MAX;
use crate::objects::{Object, ObjectKind};
use crate::secret::new_id;

/// An object with the id under which its row is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Projected {
    /// Stays the same while the object does, whatever it is called.
    pub id: String,
    /// The object.
    pub object: Object,
    /// When a rule last fired, milliseconds since the epoch.
    pub last_triggered: Option<i64>,
}

fn table_of(kind: ObjectKind) -> Option<&'static str> {
    match kind {
        ObjectKind::Rule => Some("MonitoringAlert"),
        ObjectKind::Check => Some("HealthCheck"),
        _ => None,
    }
}

/// Writes the row of an object that was written.
pub(crate) async fn project(tx: &mut Tx, object: &Object) -> Result<(), ControlError> {
    let Some(table) = table_of(object.kind) else { return Ok(()) };
    let find = format!(r#"SELECT "id" FROM "{table}" WHERE "name" = $1"#);
    let known = sqlx::query(AssertSqlSafe(find)).bind(&object.name).fetch_optional(&mut **tx).await?;
    let id = match known {
        Some(row) => row.try_get("id")?,
        None => new_id(if object.kind == ObjectKind::Rule { "alr" } else { "chk" })?,
    };
    match object.kind {
        ObjectKind::Rule => write_alert(tx, &id, object).await,
        _ => write_check(tx, &id, object).await,
    }
}

/// Removes the row of an object that was removed.
pub(crate) async fn unproject(tx: &mut Tx, kind: ObjectKind, name: &str) -> Result<(), ControlError> {
    if let Some(table) = table_of(kind) {
        let delete = format!(r#"DELETE FROM "{table}" WHERE "name" = $1"#);
        sqlx::query(AssertSqlSafe(delete)).bind(name).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn write_alert(tx: &mut Tx, id: &str, object: &Object) -> Result<(), ControlError> {
    let spec = &object.spec;
    sqlx::query(
        r#"INSERT INTO "MonitoringAlert" ("id", "name", "type", "severity", "condition", "channels", "cooldown",
           "isActive", "createdAt", "updatedAt") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           ON CONFLICT ("id") DO UPDATE SET "name" = excluded."name", "type" = excluded."type",
           "severity" = excluded."severity", "condition" = excluded."condition", "channels" = excluded."channels",
           "cooldown" = excluded."cooldown", "isActive" = excluded."isActive", "updatedAt" = excluded."updatedAt""#,
    )
    .bind(id)
    .bind(&object.name)
    .bind(text(spec, "type", "custom"))
    .bind(text(spec, "severity", "warning"))
    .bind(spec.get("condition").unwrap_or(&Value::Null).to_string())
    .bind(spec.get("channels").cloned().unwrap_or_else(|| Value::Array(Vec::new())).to_string())
    .bind(number(spec, "cooldown", 300))
    .bind(i64::from(is_active(spec)))
    .bind(object.created_at)
    .bind(object.updated_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn write_check(tx: &mut Tx, id: &str, object: &Object) -> Result<(), ControlError> {
    let spec = &object.spec;
    sqlx::query(
        r#"INSERT INTO "HealthCheck" ("id", "name", "type", "target", "interval", "timeout", "retries", "config",
           "isActive", "createdAt") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           ON CONFLICT ("id") DO UPDATE SET "name" = excluded."name", "type" = excluded."type",
           "target" = excluded."target", "interval" = excluded."interval", "timeout" = excluded."timeout",
           "retries" = excluded."retries", "config" = excluded."config", "isActive" = excluded."isActive""#,
    )
    .bind(id)
    .bind(&object.name)
    .bind(text(spec, "type", "custom"))
    .bind(text(spec, "target", ""))
    .bind(number(spec, "interval", 60))
    .bind(number(spec, "timeout", 10))
    .bind(number(spec, "retries", 1))
    .bind(spec.get("config").filter(|config| !config.is_null()).map(Value::to_string))
    .bind(i64::from(is_active(spec)))
    .bind(object.created_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn text(spec: &Value, name: &str, otherwise: &str) -> String {
    spec.get(name).and_then(Value::as_str).unwrap_or(otherwise).to_owned()
}

fn number(spec: &Value, name: &str, otherwise: i64) -> i64 {
    spec.get(name).and_then(Value::as_i64).unwrap_or(otherwise)
}

fn is_active(spec: &Value) -> bool {
    spec.get("isActive").and_then(Value::as_bool).unwrap_or(true)
}

impl Control {
    /// Rules or checks with their ids in order of name, after `after` if given, at most `limit` (and 1000).
    pub async fn projected(
        &self,
        tenant: &TenantId,
        kind: ObjectKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Projected>, ControlError> {
        let Some(table) = table_of(kind) else { return Ok(Vec::new()) };
        let statement = format!(
            r#"SELECT "{table}"."id" AS id, {} AS last_triggered, objects.name AS name, spec, version, created_at,
               updated_at, file FROM "{table}" JOIN objects ON objects.kind = $1 AND objects.name = "{table}"."name"
               WHERE objects.name > $2 ORDER BY objects.name LIMIT $3"#,
            last_triggered(kind)
        );
        let mut connection = self.scope(tenant).await?.read().await?;
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(kind.as_str())
            .bind(after.unwrap_or_default())
            .bind(i64::from(limit.min(LIST_MAX)))
            .fetch_all(&mut *connection)
            .await?;
        rows.iter().map(|row| projected_of_row(self, kind, row)).collect()
    }

    /// The rule or check with this id.
    pub async fn projected_by_id(
        &self,
        tenant: &TenantId,
        kind: ObjectKind,
        id: &str,
    ) -> Result<Projected, ControlError> {
        let missing = || not_found(kind.as_str(), id);
        let table = table_of(kind).ok_or_else(missing)?;
        let statement = format!(
            r#"SELECT "{table}"."id" AS id, {} AS last_triggered, objects.name AS name, spec, version, created_at,
               updated_at, file FROM "{table}" JOIN objects ON objects.kind = $1 AND objects.name = "{table}"."name"
               WHERE "{table}"."id" = $2"#,
            last_triggered(kind)
        );
        let mut connection = self.scope(tenant).await?.read().await?;
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(kind.as_str())
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
        projected_of_row(self, kind, &row.ok_or_else(missing)?)
    }

    /// The id of the rule or check of this name.
    pub async fn projected_id(
        &self,
        tenant: &TenantId,
        kind: ObjectKind,
        name: &str,
    ) -> Result<String, ControlError> {
        let missing = || not_found(kind.as_str(), name);
        let statement =
            format!(r#"SELECT "id" FROM "{}" WHERE "name" = $1"#, table_of(kind).ok_or_else(missing)?);
        let mut connection = self.scope(tenant).await?.read().await?;
        let row = sqlx::query(AssertSqlSafe(statement)).bind(name).fetch_optional(&mut *connection).await?;
        Ok(row.ok_or_else(missing)?.try_get("id")?)
    }

    /// Writes down when rules fired, by name.
    pub async fn record_triggered(
        &self,
        tenant: &TenantId,
        fired: &[(String, i64)],
    ) -> Result<(), ControlError> {
        let mut tx = self.scope(tenant).await?.begin().await?;
        for (name, at) in fired {
            sqlx::query(r#"UPDATE "MonitoringAlert" SET "lastTriggered" = $2 WHERE "name" = $1"#)
                .bind(name)
                .bind(*at)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Gives a rule or check another name. Its id stays.
    pub async fn rename_object(
        &self,
        tenant: &TenantId,
        kind: ObjectKind,
        name: &str,
        to: &str,
    ) -> Result<(), ControlError> {
        crate::objects::check(to, &Value::Object(serde_json::Map::new()))?;
        let mut tx = self.scope(tenant).await?.begin().await?;
        let taken = sqlx::query("SELECT 1 FROM objects WHERE kind = $1 AND name = $2")
            .bind(kind.as_str())
            .bind(to)
            .fetch_optional(&mut *tx)
            .await?;
        if taken.is_some() {
            return Err(ControlError::Exists { kind: kind.as_str(), name: to.to_owned() });
        }
        // Taken by writing, so that no other writer comes in between.
        let taken = sqlx::query(
            "UPDATE objects SET name = name WHERE kind = $1 AND name = $2 \
             RETURNING name, spec, version, created_at, updated_at, file",
        );
        let taken = taken.bind(kind.as_str()).bind(name).fetch_optional(&mut *tx).await?;
        let object = self.object_of_row(kind, &taken.ok_or_else(|| not_found(kind.as_str(), name))?)?;
        if let Some(file) = object.file {
            return Err(crate::objects::owned(kind, name, file));
        }
        // A sealed specification is bound to the name.
        let spec = self.stored(kind, to, object.spec.to_string())?;
        sqlx::query("UPDATE objects SET name = $3, spec = $4 WHERE kind = $1 AND name = $2")
            .bind(kind.as_str())
            .bind(name)
            .bind(to)
            .bind(spec)
            .execute(&mut *tx)
            .await?;
        if let Some(table) = table_of(kind) {
            let rename = format!(r#"UPDATE "{table}" SET "name" = $2 WHERE "name" = $1"#);
            sqlx::query(AssertSqlSafe(rename)).bind(name).bind(to).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

fn last_triggered(kind: ObjectKind) -> &'static str {
    if kind == ObjectKind::Rule { r#""MonitoringAlert"."lastTriggered""# } else { "CAST(NULL AS BIGINT)" }
}

fn projected_of_row(control: &Control, kind: ObjectKind, row: &AnyRow) -> Result<Projected, ControlError> {
    Ok(Projected {
        id: row.try_get("id")?,
        object: control.object_of_row(kind, row)?,
        last_triggered: row.try_get("last_triggered")?,
    })
}
