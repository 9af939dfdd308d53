//! Roles, limits and settings: what files may declare in the shared part.

use db::Tx;
use model::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Executor, Row};

use super::{Declared, DeclaredKind, Write, overtaken};
use crate::control::Control;
use crate::error::ControlError;
use crate::permissions::{Permissions, Principal};
use crate::roles::{self, NewRole, remove_role, role_of_row};
use crate::tenants::{SELF, object_text};

/// A role as files spell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSpec {
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Spellings of permissions, in the order of [`crate::Permission::ALL`].
    pub permissions: Vec<String>,
    /// Which telemetry it shows; all without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

impl RoleSpec {
    /// In its one spelling, so that equal roles are equal specifications.
    pub fn new(description: &str, permissions: Permissions, selector: Option<&str>) -> Self {
        Self {
            description: description.trim().to_owned(),
            permissions: permissions.names().into_iter().map(str::to_owned).collect(),
            selector: selector.map(str::to_owned),
        }
    }

    /// As JSON.
    pub fn to_value(&self) -> Value {
        serde_json::json!(self)
    }
}

pub(super) async fn read(
    connection: &mut AnyConnection,
    tenant: &TenantId,
) -> Result<Vec<Declared>, ControlError> {
    let mut found = Vec::new();
    let statement = format!("SELECT {}, file FROM roles WHERE tenant_id = $1 ORDER BY name", roles::COLUMNS);
    let rows = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str());
    for row in rows.fetch_all(&mut *connection).await? {
        let role = role_of_row(&row)?;
        let spec = RoleSpec::new(&role.description, role.permissions, role.selector.as_deref());
        found.push(Declared {
            kind: DeclaredKind::Role,
            name: role.name,
            spec: spec.to_value(),
            file: row.try_get("file")?,
            version: 0,
        });
    }
    let row = sqlx::query("SELECT limits, limits_file, settings, settings_file FROM tenants WHERE id = $1");
    let row = row.bind(tenant.as_str()).fetch_optional(&mut *connection).await?;
    let row = row.ok_or_else(|| crate::tenants::missing(tenant))?;
    for (kind, file) in [(DeclaredKind::Limits, "limits_file"), (DeclaredKind::Settings, "settings_file")] {
        let (what, column) = match kind {
            DeclaredKind::Limits => ("tenants.limits", "limits"),
            _ => ("tenants.settings", "settings"),
        };
        let text: String = row.try_get(column)?;
        let spec: Value = serde_json::from_str(&text)
            .map_err(|error| ControlError::Damaged { what, message: error.to_string() })?;
        let file: Option<String> = row.try_get(file)?;
        // Without any there is nothing to declare.
        if file.is_some() || spec.as_object().is_none_or(|spec| !spec.is_empty()) {
            found.push(Declared { kind, name: SELF.to_owned(), spec, file, version: 0 });
        }
    }
    Ok(found)
}

impl Control {
    /// One change, within a transaction that has locked the tenant, so that what is read stays as it is.
    pub(super) async fn write_shared(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        by: &Principal,
        write: &Write,
    ) -> Result<(), ControlError> {
        let now = read(tx, tenant).await?;
        let found = now.into_iter().find(|found| found.kind == write.kind && found.name == write.name);
        if found != write.before {
            return Err(overtaken(write));
        }
        match write.kind {
            DeclaredKind::Role => self.write_role(tx, tenant, by, write).await,
            DeclaredKind::Limits => self.write_column(tx, tenant, "limits", write).await,
            _ => self.write_column(tx, tenant, "settings", write).await,
        }
    }

    async fn write_role(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        by: &Principal,
        write: &Write,
    ) -> Result<(), ControlError> {
        let Some(spec) = &write.after else {
            return remove_role(tx, tenant, by, &write.name).await;
        };
        if write.changes_content() {
            let spec = role_spec(spec)?;
            let new = new_role(&write.name, &spec)?;
            match write.before {
                Some(_) => self.replace_role(tx, tenant, by, new).await?,
                None => self.insert_role(tx, tenant, by, new).await?,
            };
        }
        let update = sqlx::query("UPDATE roles SET file = $1 WHERE tenant_id = $2 AND name = $3");
        tx.execute(update.bind(write.file.as_deref()).bind(tenant.as_str()).bind(&write.name)).await?;
        Ok(())
    }

    async fn write_column(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        column: &'static str,
        write: &Write,
    ) -> Result<(), ControlError> {
        let text = match &write.after {
            Some(spec) => object_text(column, spec)?,
            None => "{}".to_owned(),
        };
        let file = write.after.as_ref().and(write.file.as_deref());
        let statement =
            format!("UPDATE tenants SET {column} = $1, {column}_file = $2, updated_at = $3 WHERE id = $4");
        let update = sqlx::query(AssertSqlSafe(statement)).bind(text).bind(file);
        tx.execute(update.bind(self.now()).bind(tenant.as_str())).await?;
        Ok(())
    }
}

fn role_spec(spec: &Value) -> Result<RoleSpec, ControlError> {
    RoleSpec::deserialize(spec)
        .map_err(|error| ControlError::Invalid { field: "spec", message: error.to_string() })
}

fn new_role<'a>(name: &'a str, spec: &'a RoleSpec) -> Result<NewRole<'a>, ControlError> {
    Ok(NewRole {
        name,
        description: &spec.description,
        permissions: Permissions::parse(spec.permissions.iter().map(String::as_str))?,
        selector: spec.selector.as_deref(),
    })
}

pub(super) fn check_role(name: &str, spec: &Value) -> Result<(), ControlError> {
    roles::check(&new_role(name, &role_spec(spec)?)?)
}
