//! Tenants: what is known of each, and whether it may be used.
//!
//! A tenant is `creating` until everything it needs is there, then `active`; `suspended` keeps everything and
//! answers nobody; `deleting` is on its way out. `default` and `platform` always exist.

use std::sync::Arc;

use db::{Scope, Tx};
use model::TenantId;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::control::Control;
use crate::error::{ControlError, one_line};
use crate::lists::LIST_MAX;
use crate::sso::SSO_ONLY;
use crate::sso::only::end_other_ways;

/// Largest settings or limits, as JSON text.
const JSON_BYTES_MAX: usize = 64 << 10;

const COLUMNS: &str = "id, name, state, settings, limits, created_at, updated_at";

/// The tenant of whoever runs the installation; our own telemetry goes there.
pub const PLATFORM_TENANT: &str = "platform";

/// The fact that the server's own telemetry goes to tenant `platform`.
const MOVED: &str = "own_telemetry_moved_at";

/// The name of limits and of settings as objects, of which a tenant has one each.
pub(crate) const SELF: &str = "tenant";

/// Whether a tenant may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantState {
    /// Not yet: what it needs is being made.
    Creating,
    /// Yes.
    Active,
    /// Not now: everything is kept, nobody is answered.
    Suspended,
    /// Never again: everything is being removed.
    Deleting,
}

impl TenantState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Creating, Self::Active, Self::Suspended, Self::Deleting];

    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A tenant, which is an organisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenant {
    /// Identifier; also the subdomain.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// Whether it may be used.
    pub state: TenantState,
    /// An object; what is inside belongs to whoever uses it.
    pub settings: Value,
    /// An object; what is inside belongs to whoever enforces it.
    pub limits: Value,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub updated_at: i64,
}

impl Control {
    /// A tenant, as it was at most ten seconds ago; as it is now, if this process changed it last.
    pub async fn tenant(&self, id: &TenantId) -> Result<Arc<Tenant>, ControlError> {
        let now = self.shared.clock.monotonic();
        let found = match self.shared.tenants.get(id, now) {
            Some(found) => found,
            None => {
                let forgotten = self.shared.tenants.forgotten();
                let found = self.read_tenant(id).await?.map(Arc::new);
                self.shared.tenants.put(id, found.clone(), now, forgotten);
                found
            }
        };
        found.ok_or_else(|| missing(id))
    }

    /// The same, refusing a tenant that may not be used. For every request.
    pub async fn active_tenant(&self, id: &TenantId) -> Result<Arc<Tenant>, ControlError> {
        let tenant = self.tenant(id).await?;
        match tenant.state {
            TenantState::Active => Ok(tenant),
            state => Err(ControlError::TenantInactive { tenant: id.clone(), state }),
        }
    }

    /// Where the server's own telemetry goes: to `default` until there is a tenant beside those that always exist,
    /// from then on to `platform`, also after a restart and when that tenant is gone.
    pub async fn telemetry_tenant(&self) -> Result<TenantId, ControlError> {
        let platform = TenantId::new(PLATFORM_TENANT).expect("a valid name of ours");
        let (moved, others) = {
            let mut connection = self.read().await?;
            let fact = sqlx::query("SELECT name FROM control_facts WHERE name = $1").bind(MOVED);
            let moved = fact.fetch_optional(&mut *connection).await?.is_some();
            let others = sqlx::query(
                "SELECT id FROM tenants WHERE id NOT IN ('default', $1) AND state <> 'creating' LIMIT 1",
            );
            let others = others.bind(PLATFORM_TENANT).fetch_optional(&mut *connection).await?.is_some();
            (moved, others)
        };
        if !moved && others {
            let mut tx = self.begin().await?;
            let insert = sqlx::query(
                "INSERT INTO control_facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            );
            tx.execute(insert.bind(MOVED).bind(self.now().to_string())).await?;
            tx.commit().await?;
        }
        Ok(if moved || others { platform } else { TenantId::default_tenant() })
    }

    /// Tenants in order of id, after `after` if given, at most `limit` (and 1000).
    pub async fn tenants(&self, after: Option<&TenantId>, limit: u32) -> Result<Vec<Tenant>, ControlError> {
        let mut connection = self.read().await?;
        let statement = format!("SELECT {COLUMNS} FROM tenants WHERE id > $1 ORDER BY id LIMIT $2");
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(after.map_or("", TenantId::as_str))
            .bind(i64::from(limit.min(LIST_MAX)))
            .fetch_all(&mut *connection)
            .await?;
        rows.iter().map(tenant_of_row).collect()
    }

    /// Changes what people call a tenant, its settings, or both: all of it or, where one is wrong, nothing.
    /// With the setting `sso_only` whatever was begun by another way ends.
    pub async fn change_tenant(
        &self,
        id: &TenantId,
        name: Option<&str>,
        settings: Option<&Value>,
    ) -> Result<Tenant, ControlError> {
        let mut values = Vec::new();
        if let Some(name) = name {
            one_line("name", name, 100)?;
            values.push(("name", name.trim().to_owned()));
        }
        if let Some(settings) = settings {
            values.push(("settings", object_text("settings", settings)?));
        }
        let tenant = self.set(id, &values).await?;
        if settings.is_some() && tenant.settings[SSO_ONLY] == true {
            // Once the setting stands, so that nothing begins by another way in between.
            end_other_ways(self, id).await?;
        }
        Ok(tenant)
    }

    /// Changes what people call a tenant.
    pub async fn rename_tenant(&self, id: &TenantId, name: &str) -> Result<Tenant, ControlError> {
        self.change_tenant(id, Some(name), None).await
    }

    /// Replaces a tenant's settings, as [`Self::change_tenant`] does.
    pub async fn put_tenant_settings(&self, id: &TenantId, settings: &Value) -> Result<Tenant, ControlError> {
        self.change_tenant(id, None, Some(settings)).await
    }

    /// Replaces a tenant's limits.
    pub async fn put_tenant_limits(&self, id: &TenantId, limits: &Value) -> Result<Tenant, ControlError> {
        self.set(id, &[("limits", object_text("limits", limits)?)]).await
    }

    /// Stops answering a tenant's people and keys; nothing is removed. Twice changes nothing.
    pub async fn suspend_tenant(&self, id: &TenantId) -> Result<Tenant, ControlError> {
        refuse_built_in(id)?;
        self.set(id, &[("state", TenantState::Suspended.as_str().to_owned())]).await
    }

    /// Ends a suspension. Twice changes nothing.
    pub async fn activate_tenant(&self, id: &TenantId) -> Result<Tenant, ControlError> {
        self.set(id, &[("state", TenantState::Active.as_str().to_owned())]).await
    }

    /// Sets columns of a tenant that is neither being made nor being removed.
    async fn set(&self, id: &TenantId, values: &[(&'static str, String)]) -> Result<Tenant, ControlError> {
        let mut tx = self.begin().await?;
        for &(column, _) in values {
            if matches!(column, "settings" | "limits") {
                refuse_owned(&mut tx, id, column).await?;
            }
        }
        let columns: String =
            values.iter().enumerate().map(|(n, (column, _))| format!("{column} = ${}, ", n + 3)).collect();
        let statement = format!(
            "UPDATE tenants SET {columns}updated_at = $1 \
             WHERE id = $2 AND state IN ('active', 'suspended') RETURNING {COLUMNS}"
        );
        let update = sqlx::query(AssertSqlSafe(statement)).bind(self.now()).bind(id.as_str());
        let update = values.iter().fold(update, |update, (_, value)| update.bind(value.as_str()));
        let row = update.fetch_optional(&mut *tx).await?;
        let changed = row.as_ref().map(tenant_of_row).transpose()?;
        tx.commit().await?;
        self.shared.tenants.forget(id);
        match changed {
            Some(tenant) => Ok(tenant),
            None => {
                let state = self.tenant(id).await?.state;
                Err(ControlError::TenantInactive { tenant: id.clone(), state })
            }
        }
    }

    /// Makes this process ask the database again.
    pub(crate) fn forget_tenant(&self, id: &TenantId) {
        self.shared.tenants.forget(id);
        self.shared.keys.forget_tenant(id);
        self.shared.migrated.lock().remove(id);
    }

    /// What the database says now.
    pub(crate) async fn read_tenant(&self, id: &TenantId) -> Result<Option<Tenant>, ControlError> {
        let mut connection = self.read().await?;
        let statement = format!("SELECT {COLUMNS} FROM tenants WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(statement)).bind(id.as_str()).fetch_optional(&mut *connection);
        row.await?.as_ref().map(tenant_of_row).transpose()
    }

    /// Locks a tenant that exists until the transaction ends, so that changes of its members, roles and keys
    /// come one after the other, and none is made to a tenant that is going. To be the first statement.
    pub(crate) async fn lock_tenant(&self, tx: &mut Tx, id: &TenantId) -> Result<(), ControlError> {
        // An update locks the row on both databases; SQLite has no FOR UPDATE.
        let update =
            sqlx::query("UPDATE tenants SET id = id WHERE id = $1 RETURNING state").bind(id.as_str());
        let row = update.fetch_optional(&mut **tx).await?.ok_or_else(|| missing(id))?;
        match state_of_row(&row)? {
            TenantState::Active | TenantState::Suspended | TenantState::Creating => Ok(()),
            state => Err(ControlError::TenantInactive { tenant: id.clone(), state }),
        }
    }

    /// A tenant's part of the database, its tables up to date.
    pub async fn scope(&self, id: &TenantId) -> Result<Scope, ControlError> {
        let state = self.tenant(id).await?.state;
        if state == TenantState::Deleting {
            return Err(ControlError::TenantInactive { tenant: id.clone(), state });
        }
        let ready = self.shared.migrated.lock().contains(id);
        if ready && let Ok(scope) = self.shared.db.tenant(id).await {
            return Ok(scope);
        }
        // The cache may be stale, and a part that is made now would outlive a tenant that is gone.
        match self.read_tenant(id).await? {
            Some(tenant) if tenant.state != TenantState::Deleting => {}
            Some(tenant) => {
                return Err(ControlError::TenantInactive { tenant: id.clone(), state: tenant.state });
            }
            None => return Err(missing(id)),
        }
        let scope = self.shared.db.create_tenant(id, &self.shared.tenant_sets).await?;
        self.shared.migrated.lock().insert(id.clone());
        Ok(scope)
    }

    /// Makes sure that the tenants which always exist do.
    pub(crate) async fn insert_built_in(&self) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        for (id, name) in [("default", "Default"), (PLATFORM_TENANT, "Platform")] {
            let insert = sqlx::query(
                "INSERT INTO tenants (id, name, state, created_at, updated_at) VALUES ($1, $2, 'active', $3, $3) \
                 ON CONFLICT (id) DO NOTHING",
            );
            tx.execute(insert.bind(id).bind(name).bind(self.now())).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Refuses a tenant that may not be used, within a transaction: it must not wait for a second connection.
pub(crate) async fn need_active(tx: &mut Tx, id: &TenantId) -> Result<(), ControlError> {
    let row = sqlx::query("SELECT state FROM tenants WHERE id = $1").bind(id.as_str());
    let row = row.fetch_optional(&mut **tx).await?.ok_or_else(|| missing(id))?;
    match state_of_row(&row)? {
        TenantState::Active => Ok(()),
        state => Err(ControlError::TenantInactive { tenant: id.clone(), state }),
    }
}

/// Refuses a change of settings or limits that a file owns. The row stays locked until the transaction ends.
async fn refuse_owned(tx: &mut Tx, id: &TenantId, column: &'static str) -> Result<(), ControlError> {
    // An update locks the row on both databases.
    let statement = format!("UPDATE tenants SET id = id WHERE id = $1 RETURNING {column}_file AS file");
    let row = sqlx::query(AssertSqlSafe(statement)).bind(id.as_str()).fetch_optional(&mut **tx).await?;
    match row.map(|row| row.try_get::<Option<String>, _>("file")).transpose()?.flatten() {
        Some(file) => Err(ControlError::Owned { kind: column, name: SELF.to_owned(), file }),
        None => Ok(()),
    }
}

/// The two that always exist are neither suspended nor deleted.
pub(crate) fn refuse_built_in(id: &TenantId) -> Result<(), ControlError> {
    if *id == TenantId::default_tenant() || id.as_str() == PLATFORM_TENANT {
        let message = format!("{id:?} always exists and cannot be suspended or deleted");
        return Err(ControlError::Invalid { field: "tenant", message });
    }
    Ok(())
}

pub(crate) fn missing(id: &TenantId) -> ControlError {
    ControlError::NotFound { kind: "tenant", name: id.to_string() }
}

/// Checks a JSON object that is stored as text.
pub(crate) fn object_text(field: &'static str, value: &Value) -> Result<String, ControlError> {
    let text = value.to_string();
    let message = if !value.is_object() {
        "must be a JSON object".to_owned()
    } else if text.len() > JSON_BYTES_MAX {
        format!("has {} bytes; at most {JSON_BYTES_MAX} are allowed", text.len())
    } else if text.contains("\\u0000") {
        "must not hold the character U+0000".to_owned()
    } else {
        return Ok(text);
    };
    Err(ControlError::Invalid { field, message })
}

fn state_of_row(row: &AnyRow) -> Result<TenantState, ControlError> {
    let state: String = row.try_get("state")?;
    TenantState::parse(&state).ok_or_else(|| ControlError::Damaged {
        what: "tenants.state",
        message: format!("{state:?} is no state"),
    })
}

pub(crate) fn tenant_of_row(row: &AnyRow) -> Result<Tenant, ControlError> {
    let json = |what: &'static str, column: &str| {
        let text: String = row.try_get(column)?;
        serde_json::from_str(&text)
            .map_err(|error| ControlError::Damaged { what, message: error.to_string() })
    };
    let id: String = row.try_get("id")?;
    let id = TenantId::new(&id)
        .map_err(|error| ControlError::Damaged { what: "tenants.id", message: error.to_string() })?;
    Ok(Tenant {
        id,
        name: row.try_get("name")?,
        state: state_of_row(row)?,
        settings: json("tenants.settings", "settings")?,
        limits: json("tenants.limits", "limits")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
