//! Programs with a role of their own. Their keys do what the role permits.

use model::TenantId;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Executor, Row};

use db::Tx;

use crate::control::Control;
use crate::error::{ControlError, not_found, one_line};
use crate::keys::tenant_of_row;
use crate::permissions::{Actor, ActorKind, Permission, Permissions, Principal};
use crate::roles::{Grant, covers, find_grant, may_give};
use crate::secret::new_id;
use crate::users::UserState;

const COLUMNS: &str = "id, tenant_id, name, role, state, created_at";

/// A program that has a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Identifier.
    pub id: String,
    /// Where it belongs.
    pub tenant: TenantId,
    /// Unique within the tenant.
    pub name: String,
    /// The name of a built-in role or of one of the tenant's.
    pub role: String,
    /// Whether its keys work.
    pub state: UserState,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// What is to change about a service account; `None` leaves it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceAccountChange<'a> {
    /// What people call it.
    pub name: Option<&'a str>,
    /// Its role.
    pub role: Option<&'a str>,
    /// Whether its keys work.
    pub state: Option<UserState>,
}

impl Control {
    /// Creates a service account. Nobody gives it more than they have.
    pub async fn create_service_account(
        &self,
        tenant: &TenantId,
        by: &Principal,
        name: &str,
        role: &str,
    ) -> Result<ServiceAccount, ControlError> {
        one_line("name", name, 100)?;
        by.need_in(tenant, Permission::KeysManage)?;
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, tenant).await?;
        may_give(&mut tx, tenant, by, role).await?;
        let account = ServiceAccount {
            id: new_id("sa")?,
            tenant: tenant.clone(),
            name: name.trim().to_owned(),
            role: role.to_owned(),
            state: UserState::Active,
            created_at: self.now(),
        };
        let insert = sqlx::query(
            "INSERT INTO service_accounts (id, tenant_id, name, role, state, created_at) \
             VALUES ($1, $2, $3, $4, 'active', $5) ON CONFLICT (tenant_id, name) DO NOTHING",
        );
        let insert = insert.bind(account.id.as_str()).bind(tenant.as_str()).bind(account.name.as_str());
        let done = tx.execute(insert.bind(role).bind(account.created_at)).await?;
        if done.rows_affected() == 0 {
            return Err(ControlError::Exists { kind: "service account", name: account.name });
        }
        tx.commit().await?;
        Ok(account)
    }

    /// The tenant's service accounts in order of name, after `after` if given, at most `limit` (and 1000).
    pub async fn service_accounts(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ServiceAccount>, ControlError> {
        let rows = self.list(COLUMNS, "service_accounts", "name", tenant, after, limit).await?;
        rows.iter().map(account_of_row).collect()
    }

    /// One service account, by identifier.
    pub async fn service_account(&self, tenant: &TenantId, id: &str) -> Result<ServiceAccount, ControlError> {
        read_account(&mut *self.read().await?, tenant, id).await
    }

    /// Changes a service account, at once for its keys here and within ten seconds elsewhere. Whoever does so
    /// has what its role permits, before and after.
    pub async fn change_service_account(
        &self,
        tenant: &TenantId,
        by: &Principal,
        id: &str,
        change: ServiceAccountChange<'_>,
    ) -> Result<ServiceAccount, ControlError> {
        if let Some(name) = change.name {
            one_line("name", name, 100)?;
        }
        let mut tx = self.begin().await?;
        let before = self.managed_account(&mut tx, tenant, by, id).await?;
        if let Some(role) = change.role {
            may_give(&mut tx, tenant, by, role).await?;
        }
        let statement = format!(
            "UPDATE service_accounts SET name = $1, role = $2, state = $3 WHERE tenant_id = $4 AND id = $5 \
             RETURNING {COLUMNS}"
        );
        let name = change.name.unwrap_or(&before.name).trim();
        let update = sqlx::query(AssertSqlSafe(statement)).bind(name);
        let update = update.bind(change.role.unwrap_or(&before.role));
        let update = update.bind(change.state.unwrap_or(before.state).as_str());
        let changed = update.bind(tenant.as_str()).bind(id).fetch_one(&mut *tx).await;
        let account = match changed {
            Ok(row) => account_of_row(&row)?,
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                return Err(ControlError::Exists { kind: "service account", name: name.to_owned() });
            }
            Err(error) => return Err(error.into()),
        };
        tx.commit().await?;
        self.shared.keys.forget_tenant(tenant);
        Ok(account)
    }

    /// Removes a service account and its keys.
    pub async fn delete_service_account(
        &self,
        tenant: &TenantId,
        by: &Principal,
        id: &str,
    ) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        self.managed_account(&mut tx, tenant, by, id).await?;
        let keys = sqlx::query("DELETE FROM api_keys WHERE tenant_id = $1 AND service_account_id = $2");
        tx.execute(keys.bind(tenant.as_str()).bind(id)).await?;
        let delete = sqlx::query("DELETE FROM service_accounts WHERE tenant_id = $1 AND id = $2");
        tx.execute(delete.bind(tenant.as_str()).bind(id)).await?;
        tx.commit().await?;
        self.shared.keys.forget_tenant(tenant);
        Ok(())
    }

    async fn managed_account(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        by: &Principal,
        id: &str,
    ) -> Result<ServiceAccount, ControlError> {
        by.need_in(tenant, Permission::KeysManage)?;
        self.lock_tenant(tx, tenant).await?;
        let account = read_account(tx, tenant, id).await?;
        covers(tx, tenant, by, &account.role).await?;
        Ok(account)
    }
}

/// Who an account is and what its role grants; `None` when it is gone or disabled.
pub(crate) async fn grant(
    connection: &mut AnyConnection,
    tenant: &TenantId,
    id: &str,
) -> Result<Option<(Actor, Grant)>, ControlError> {
    let account = match read_account(connection, tenant, id).await {
        Ok(account) if account.state == UserState::Active => account,
        Ok(_) | Err(ControlError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let grant = find_grant(connection, tenant, &account.role).await?;
    // A role that is gone permits nothing.
    let grant = grant.unwrap_or(Grant { permissions: Permissions::NONE, selector: None });
    Ok(Some((Actor { kind: ActorKind::ServiceAccount, id: account.id, name: account.name }, grant)))
}

async fn read_account(
    connection: &mut AnyConnection,
    tenant: &TenantId,
    id: &str,
) -> Result<ServiceAccount, ControlError> {
    let statement = format!("SELECT {COLUMNS} FROM service_accounts WHERE tenant_id = $1 AND id = $2");
    let row = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).bind(id).fetch_optional(connection);
    account_of_row(&row.await?.ok_or_else(|| not_found("service account", id))?)
}

fn account_of_row(row: &AnyRow) -> Result<ServiceAccount, ControlError> {
    let state: String = row.try_get("state")?;
    let state = UserState::parse(&state).ok_or_else(|| ControlError::Damaged {
        what: "service_accounts.state",
        message: format!("{state:?} is no state"),
    })?;
    Ok(ServiceAccount {
        id: row.try_get("id")?,
        tenant: tenant_of_row(row)?,
        name: row.try_get("name")?,
        role: row.try_get("role")?,
        state,
        created_at: row.try_get("created_at")?,
    })
}
