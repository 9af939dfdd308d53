//! Roles of a tenant's own: a name, permissions, and which telemetry is seen.

use std::sync::Arc;

use db::Tx;
use model::TenantId;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Executor, Row};

use crate::control::Control;
use crate::error::{ControlError, not_found, one_line};
use crate::permissions::{Actor, ActorKind, Permission, Permissions, Principal, Role};
use crate::users::User;

/// Roles of one tenant's own.
const ROLES_MAX: i64 = 100;

const NAME_BYTES_MAX: usize = 50;
const DESCRIPTION_BYTES_MAX: usize = 500;
const SELECTOR_BYTES_MAX: usize = 1_000;

pub(crate) const COLUMNS: &str = "name, description, permissions, selector, created_at, updated_at";

/// What a role permits and shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) permissions: Permissions,
    pub(crate) selector: Option<String>,
}

impl From<Role> for Grant {
    fn from(role: Role) -> Self {
        Self { permissions: role.permissions(), selector: None }
    }
}

/// A role of a tenant's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomRole {
    /// Unique within the tenant, and none of the built-in names.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it permits.
    pub permissions: Permissions,
    /// Which telemetry it shows, as a label selector such as `{namespace=~"team-a-.*"}`; `None` shows all.
    pub selector: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub updated_at: i64,
}

/// A role to be created or replaced.
#[derive(Clone, Copy, Debug)]
pub struct NewRole<'a> {
    /// Lower-case letters, digits, `-` and `_`, beginning with a letter, at most 50 bytes.
    pub name: &'a str,
    /// At most 500 bytes; may be empty.
    pub description: &'a str,
    /// What it permits; never `platform:manage`.
    pub permissions: Permissions,
    /// A label selector of at most 1,000 bytes. The caller has checked that it parses.
    pub selector: Option<&'a str>,
}

impl Control {
    /// Creates a role. Nobody gives a role more than they have.
    pub async fn create_role(
        &self,
        tenant: &TenantId,
        by: &Principal,
        new: NewRole<'_>,
    ) -> Result<CustomRole, ControlError> {
        check(&new)?;
        by.need_in(tenant, Permission::MembersManage)?;
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, tenant).await?;
        let role = self.insert_role(&mut tx, tenant, by, new).await?;
        tx.commit().await?;
        Ok(role)
    }

    /// The same within a transaction that has locked the tenant.
    pub(crate) async fn insert_role(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        by: &Principal,
        new: NewRole<'_>,
    ) -> Result<CustomRole, ControlError> {
        check(&new)?;
        by.need_in(tenant, Permission::MembersManage)?;
        by.need_cover(new.permissions, new.selector)?;
        let count = sqlx::query("SELECT COUNT(*) FROM roles WHERE tenant_id = $1").bind(tenant.as_str());
        if count.fetch_one(&mut **tx).await?.try_get::<i64, _>(0)? >= ROLES_MAX {
            let message = format!("the tenant has {ROLES_MAX} roles of its own already; remove one first");
            return Err(ControlError::Invalid { field: "name", message });
        }
        let now = self.now();
        let insert = sqlx::query(
            "INSERT INTO roles (tenant_id, name, description, permissions, selector, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (tenant_id, name) DO NOTHING",
        );
        let insert = insert.bind(tenant.as_str()).bind(new.name).bind(new.description.trim());
        let insert = insert.bind(new.permissions.to_json()).bind(new.selector).bind(now);
        let done = tx.execute(insert).await?;
        if done.rows_affected() == 0 {
            return Err(ControlError::Exists { kind: "role", name: new.name.to_owned() });
        }
        Ok(CustomRole {
            name: new.name.to_owned(),
            description: new.description.trim().to_owned(),
            permissions: new.permissions,
            selector: new.selector.map(str::to_owned),
            created_at: now,
            updated_at: now,
        })
    }

    /// Replaces what a role permits and shows, at once for everyone who carries it. Whoever does so has what
    /// it permits now and what it permitted before.
    pub async fn update_role(
        &self,
        tenant: &TenantId,
        by: &Principal,
        new: NewRole<'_>,
    ) -> Result<CustomRole, ControlError> {
        check(&new)?;
        by.need_in(tenant, Permission::MembersManage)?;
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, tenant).await?;
        refuse_owned_role(&mut tx, tenant, new.name).await?;
        let role = self.replace_role(&mut tx, tenant, by, new).await?;
        tx.commit().await?;
        self.shared.keys.forget_tenant(tenant);
        Ok(role)
    }

    /// The same within a transaction that has locked the tenant, whoever owns the role. The caller forgets the
    /// tenant's keys when it has committed.
    pub(crate) async fn replace_role(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        by: &Principal,
        new: NewRole<'_>,
    ) -> Result<CustomRole, ControlError> {
        check(&new)?;
        by.need_cover(new.permissions, new.selector)?;
        may_change(tx, tenant, by, new.name).await?;
        let statement = format!(
            "UPDATE roles SET description = $1, permissions = $2, selector = $3, updated_at = $4 \
             WHERE tenant_id = $5 AND name = $6 RETURNING {COLUMNS}"
        );
        let update = sqlx::query(AssertSqlSafe(statement)).bind(new.description.trim());
        let update = update.bind(new.permissions.to_json()).bind(new.selector).bind(self.now());
        let row = update.bind(tenant.as_str()).bind(new.name).fetch_one(&mut **tx).await?;
        role_of_row(&row)
    }

    /// Removes a role that nobody carries.
    pub async fn delete_role(
        &self,
        tenant: &TenantId,
        by: &Principal,
        name: &str,
    ) -> Result<(), ControlError> {
        by.need_in(tenant, Permission::MembersManage)?;
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, tenant).await?;
        refuse_owned_role(&mut tx, tenant, name).await?;
        remove_role(&mut tx, tenant, by, name).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The tenant's own roles, in order of name; there are at most 100.
    pub async fn roles(&self, tenant: &TenantId) -> Result<Vec<CustomRole>, ControlError> {
        let mut connection = self.read().await?;
        let statement = format!("SELECT {COLUMNS} FROM roles WHERE tenant_id = $1 ORDER BY name");
        let rows = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).fetch_all(&mut *connection);
        rows.await?.iter().map(role_of_row).collect()
    }

    /// Whoever proved to be this person. A role that is gone permits nothing.
    pub(crate) async fn principal_of(&self, user: &User) -> Result<Principal, ControlError> {
        let grant = match Role::parse(&user.role) {
            // A built-in role needs no query.
            Some(role) => Some(role.into()),
            None => find_grant(&mut *self.read().await?, &user.tenant, &user.role).await?,
        };
        let grant = grant.unwrap_or(Grant { permissions: Permissions::NONE, selector: None });
        Ok(Principal {
            tenant: user.tenant.clone(),
            who: Actor { kind: ActorKind::User, id: user.id.clone(), name: user.email.clone() },
            key_id: None,
            permissions: grant.permissions,
            selector: grant.selector,
        })
    }

    /// The principal of a person, for tokens that carry it.
    pub async fn principal(&self, user: &User) -> Result<Arc<Principal>, ControlError> {
        Ok(Arc::new(self.principal_of(user).await?))
    }
}

/// Removes a role that nobody carries, within a transaction that has locked the tenant, whoever owns it.
pub(crate) async fn remove_role(
    tx: &mut Tx,
    tenant: &TenantId,
    by: &Principal,
    name: &str,
) -> Result<(), ControlError> {
    may_change(tx, tenant, by, name).await?;
    for (what, table) in
        [("people", "users"), ("service accounts", "service_accounts"), ("invitations", "invitations")]
    {
        let statement = format!("SELECT COUNT(*) FROM {table} WHERE tenant_id = $1 AND role = $2");
        let count = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).bind(name);
        let count: i64 = count.fetch_one(&mut **tx).await?.try_get(0)?;
        if count > 0 {
            let message = format!("{name:?} is the role of {count} {what}; give them another one first");
            return Err(ControlError::Invalid { field: "name", message });
        }
    }
    let delete = sqlx::query("DELETE FROM roles WHERE tenant_id = $1 AND name = $2");
    tx.execute(delete.bind(tenant.as_str()).bind(name)).await?;
    Ok(())
}

/// Checks that `by` may change this role of the tenant's own.
async fn may_change(tx: &mut Tx, tenant: &TenantId, by: &Principal, name: &str) -> Result<(), ControlError> {
    by.need_in(tenant, Permission::MembersManage)?;
    if Role::parse(name).is_some() {
        let message = format!("{name:?} is built in and cannot be changed; create a role of your own");
        return Err(ControlError::Invalid { field: "name", message });
    }
    let before = find_grant(tx, tenant, name).await?.ok_or_else(|| not_found("role", name))?;
    by.need_cover(before.permissions, before.selector.as_deref())
}

async fn refuse_owned_role(tx: &mut Tx, tenant: &TenantId, name: &str) -> Result<(), ControlError> {
    let select =
        sqlx::query("SELECT file FROM roles WHERE tenant_id = $1 AND name = $2 AND file IS NOT NULL");
    match select.bind(tenant.as_str()).bind(name).fetch_optional(&mut **tx).await? {
        Some(row) => {
            Err(ControlError::Owned { kind: "role", name: name.to_owned(), file: row.try_get("file")? })
        }
        None => Ok(()),
    }
}

/// What a role of this name grants in the tenant; `None` without such a role.
pub(crate) async fn find_grant(
    connection: &mut AnyConnection,
    tenant: &TenantId,
    name: &str,
) -> Result<Option<Grant>, ControlError> {
    if let Some(role) = Role::parse(name) {
        return Ok(Some(role.into()));
    }
    let row = sqlx::query("SELECT permissions, selector FROM roles WHERE tenant_id = $1 AND name = $2")
        .bind(tenant.as_str())
        .bind(name)
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let permissions = Permissions::from_json("roles.permissions", &row.try_get::<String, _>("permissions")?)?;
    Ok(Some(Grant { permissions, selector: row.try_get("selector")? }))
}

/// Checks that the role exists and that `by` may hand it out.
pub(crate) async fn may_give(
    connection: &mut AnyConnection,
    tenant: &TenantId,
    by: &Principal,
    name: &str,
) -> Result<(), ControlError> {
    let Some(grant) = find_grant(connection, tenant, name).await? else {
        let name: String = name.chars().take(80).collect();
        let built_in = Role::ALL.map(Role::as_str).join(", ");
        let message = format!("{name:?} is no role of the tenant; use one of its own or {built_in}");
        return Err(ControlError::Invalid { field: "role", message });
    };
    by.need_cover(grant.permissions, grant.selector.as_deref())
}

/// Checks that `by` has all that the role grants, so that they may change whoever carries it.
pub(crate) async fn covers(
    connection: &mut AnyConnection,
    tenant: &TenantId,
    by: &Principal,
    name: &str,
) -> Result<(), ControlError> {
    match find_grant(connection, tenant, name).await? {
        Some(grant) => by.need_cover(grant.permissions, grant.selector.as_deref()),
        None => Ok(()),
    }
}

pub(crate) fn check(new: &NewRole<'_>) -> Result<(), ControlError> {
    one_line("name", new.name, NAME_BYTES_MAX)?;
    let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    let message = if !new.name.starts_with(|c: char| c.is_ascii_lowercase()) || !new.name.bytes().all(letters)
    {
        format!("{:?} must be lower-case letters, digits, '-' and '_', beginning with a letter", new.name)
    } else if Role::parse(new.name).is_some() {
        format!("{:?} is built in; choose another name", new.name)
    } else if new.permissions.has(Permission::PlatformManage) {
        let message =
            "platform:manage belongs to no tenant's own role; give platform_admin instead".to_owned();
        return Err(ControlError::Invalid { field: "permissions", message });
    } else {
        if !new.description.trim().is_empty() {
            one_line("description", new.description, DESCRIPTION_BYTES_MAX)?;
        }
        return new.selector.map_or(Ok(()), |selector| one_line("selector", selector, SELECTOR_BYTES_MAX));
    };
    Err(ControlError::Invalid { field: "name", message })
}

pub(crate) fn role_of_row(row: &AnyRow) -> Result<CustomRole, ControlError> {
    Ok(CustomRole {
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        permissions: Permissions::from_json("roles.permissions", &row.try_get::<String, _>("permissions")?)?,
        selector: row.try_get("selector")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
