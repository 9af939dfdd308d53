//! People.

use db::Tx;
use model::TenantId;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::control::Control;
use crate::error::{ControlError, not_found, one_line};
use crate::keys::tenant_of_row;
use crate::permissions::{ActorKind, Permission, Principal, Role};
use crate::roles::{covers, may_give};
use crate::secret::new_id;
use crate::tokens::end_families;

/// Whether a person may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserState {
    /// Yes.
    Active,
    /// No; what they did keeps their name.
    Disabled,
}

impl UserState {
    /// Both states.
    pub const ALL: [Self; 2] = [Self::Active, Self::Disabled];

    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Identifier.
    pub id: String,
    /// Where this person belongs.
    pub tenant: TenantId,
    /// Unique within the tenant, lower case.
    pub email: String,
    /// What people call them.
    pub name: String,
    /// What they may do: the name of a built-in role or of one of the tenant's.
    pub role: String,
    /// Whether they may sign in.
    pub state: UserState,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch; `None` before the first time.
    pub last_sign_in_at: Option<i64>,
}

/// A person to be added.
#[derive(Clone, Debug)]
pub struct NewUser<'a> {
    /// With an `@`, at most 254 bytes.
    pub email: &'a str,
    /// At most 100 bytes.
    pub name: &'a str,
    /// The name of a built-in role or of one of the tenant's.
    pub role: &'a str,
}

pub(crate) const COLUMNS: &str = "users.id, users.tenant_id, users.email, users.name, users.role, users.state, \
     users.created_at, users.last_sign_in_at";

impl Control {
    /// Adds a person. Nobody gives a role that permits more than they may do themselves.
    pub async fn create_user(
        &self,
        tenant: &TenantId,
        by: &Principal,
        new: NewUser<'_>,
    ) -> Result<User, ControlError> {
        by.need_in(tenant, Permission::MembersManage)?;
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, tenant).await?;
        may_give(&mut tx, tenant, by, new.role).await?;
        let user = self.insert_user(&mut tx, tenant, new).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// The tenant's people in order of email, after `after` if given, at most `limit` (and 1000).
    pub async fn users(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<User>, ControlError> {
        let rows = self.list(COLUMNS, "users", "email", tenant, after, limit).await?;
        rows.iter().map(user_of_row).collect()
    }

    /// One person, by identifier or email.
    pub async fn user(&self, tenant: &TenantId, id_or_email: &str) -> Result<User, ControlError> {
        let mut connection = self.read().await?;
        let statement =
            format!("SELECT {COLUMNS} FROM users WHERE tenant_id = $1 AND (id = $2 OR email = $3)");
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(tenant.as_str())
            .bind(id_or_email)
            .bind(id_or_email.to_lowercase())
            .fetch_optional(&mut *connection)
            .await?;
        user_of_row(&row.ok_or_else(|| not_found("user", id_or_email))?)
    }

    /// Changes what people call someone: themselves, or whoever manages members.
    pub async fn rename_user(
        &self,
        tenant: &TenantId,
        by: &Principal,
        id: &str,
        name: &str,
    ) -> Result<User, ControlError> {
        one_line("name", name, 100)?;
        let mut tx = self.begin().await?;
        if by.who.kind == ActorKind::User && by.who.id == id && by.tenant == *tenant {
            self.lock_tenant(&mut tx, tenant).await?;
        } else {
            self.managed(&mut tx, tenant, by, id).await?;
        }
        let user = set(&mut tx, tenant, id, "name", name.trim()).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// Gives someone another role and ends every way in that they hold. Whoever does so has what both roles permit.
    pub async fn set_role(
        &self,
        tenant: &TenantId,
        by: &Principal,
        id: &str,
        role: &str,
    ) -> Result<User, ControlError> {
        let mut tx = self.begin().await?;
        let before = self.managed(&mut tx, tenant, by, id).await?;
        may_give(&mut tx, tenant, by, role).await?;
        if before.role == role {
            return Ok(before);
        }
        self.refuse_last_admin(&mut tx, &before, Role::parse(role)).await?;
        let user = set(&mut tx, tenant, id, "role", role).await?;
        end_access(&mut tx, self.now(), id).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// Lets someone sign in, or ends their sessions and lets them in no more.
    pub async fn set_user_state(
        &self,
        tenant: &TenantId,
        by: &Principal,
        id: &str,
        state: UserState,
    ) -> Result<User, ControlError> {
        let mut tx = self.begin().await?;
        let before = self.managed(&mut tx, tenant, by, id).await?;
        if state == UserState::Disabled {
            self.refuse_last_admin(&mut tx, &before, None).await?;
            end_access(&mut tx, self.now(), id).await?;
        }
        let user = set(&mut tx, tenant, id, "state", state.as_str()).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// Removes someone with their sessions, password and memberships.
    pub async fn delete_user(&self, tenant: &TenantId, by: &Principal, id: &str) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        let before = self.managed(&mut tx, tenant, by, id).await?;
        self.refuse_last_admin(&mut tx, &before, None).await?;
        end_access(&mut tx, self.now(), id).await?;
        tx.execute(sqlx::query("DELETE FROM users WHERE id = $1").bind(id)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Locks the tenant and reads the person, whom `by` must be allowed to change: nobody changes those who
    /// may do more than they may themselves.
    pub(crate) async fn managed(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        by: &Principal,
        id: &str,
    ) -> Result<User, ControlError> {
        by.need_in(tenant, Permission::MembersManage)?;
        self.lock_tenant(tx, tenant).await?;
        let user = read_user(tx, tenant, id).await?;
        covers(tx, tenant, by, &user.role).await?;
        Ok(user)
    }

    /// Refuses to leave the tenant without an active administrator, or the platform without one of its own.
    /// `becomes` is the built-in role the person is to have, if it is one.
    pub(crate) async fn refuse_last_admin(
        &self,
        tx: &mut Tx,
        user: &User,
        becomes: Option<Role>,
    ) -> Result<(), ControlError> {
        if user.state != UserState::Active {
            return Ok(());
        }
        let (admin, platform) = (Role::Admin.as_str(), Role::PlatformAdmin.as_str());
        let last = || ControlError::LastAdmin { email: user.email.clone() };
        let stays_admin = matches!(becomes, Some(Role::Admin | Role::PlatformAdmin));
        if (user.role == admin || user.role == platform) && !stays_admin {
            let others = sqlx::query(
                "SELECT COUNT(*) FROM users WHERE tenant_id = $1 AND id <> $2 AND state = 'active' \
                 AND role IN ($3, $4)",
            );
            let others = others.bind(user.tenant.as_str()).bind(user.id.as_str()).bind(admin).bind(platform);
            if others.fetch_one(&mut **tx).await?.try_get::<i64, _>(0)? == 0 {
                return Err(last());
            }
        }
        if user.role == platform && becomes != Some(Role::PlatformAdmin) {
            // They may belong to several tenants; the lock on one of those orders all such changes.
            self.lock_tenant(tx, &TenantId::default_tenant()).await?;
            let others =
                sqlx::query("SELECT COUNT(*) FROM users WHERE id <> $1 AND state = 'active' AND role = $2");
            let others = others.bind(user.id.as_str()).bind(platform);
            if others.fetch_one(&mut **tx).await?.try_get::<i64, _>(0)? == 0 {
                return Err(last());
            }
        }
        Ok(())
    }

    pub(crate) async fn insert_user(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        new: NewUser<'_>,
    ) -> Result<User, ControlError> {
        check_person(new.email, new.name)?;
        let user = User {
            id: new_id("user")?,
            tenant: tenant.clone(),
            email: new.email.trim().to_lowercase(),
            name: new.name.trim().to_owned(),
            role: new.role.to_owned(),
            state: UserState::Active,
            created_at: self.now(),
            last_sign_in_at: None,
        };
        let insert = sqlx::query(
            "INSERT INTO users (id, tenant_id, email, name, role, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (tenant_id, email) DO NOTHING",
        )
        .bind(user.id.as_str())
        .bind(tenant.as_str())
        .bind(user.email.as_str())
        .bind(user.name.as_str())
        .bind(user.role.as_str())
        .bind(user.created_at);
        match tx.execute(insert).await?.rows_affected() {
            0 => Err(ControlError::Exists { kind: "user", name: user.email }),
            _ => Ok(user),
        }
    }
}

/// Checks an address and a name.
pub(crate) fn check_person(email: &str, name: &str) -> Result<(), ControlError> {
    one_line("email", email, 254)?;
    one_line("name", name, 100)?;
    let email = email.trim();
    let whole = email.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
    if !whole || email.contains(char::is_whitespace) {
        let message = "must be an address such as ada@example.com".to_owned();
        return Err(ControlError::Invalid { field: "email", message });
    }
    Ok(())
}

/// One person, by identifier.
pub(crate) async fn read_user(tx: &mut Tx, tenant: &TenantId, id: &str) -> Result<User, ControlError> {
    let statement = format!("SELECT {COLUMNS} FROM users WHERE tenant_id = $1 AND id = $2");
    let row = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).bind(id).fetch_optional(&mut **tx);
    user_of_row(&row.await?.ok_or_else(|| not_found("user", id))?)
}

/// Sets one column of a person.
async fn set(
    tx: &mut Tx,
    tenant: &TenantId,
    id: &str,
    column: &'static str,
    value: &str,
) -> Result<User, ControlError> {
    let statement =
        format!("UPDATE users SET {column} = $1 WHERE tenant_id = $2 AND id = $3 RETURNING {COLUMNS}");
    let update = sqlx::query(AssertSqlSafe(statement)).bind(value).bind(tenant.as_str()).bind(id);
    user_of_row(&update.fetch_optional(&mut **tx).await?.ok_or_else(|| not_found("user", id))?)
}

/// Locks an active person until the transaction ends, so that no way in is begun while theirs are taken away. To come
/// before whatever else of theirs is locked. `None` for one who is gone or disabled.
pub(crate) async fn lock_active(tx: &mut Tx, id: &str) -> Result<Option<User>, ControlError> {
    let statement =
        format!("UPDATE users SET state = state WHERE id = $1 AND state = 'active' RETURNING {COLUMNS}");
    let row = sqlx::query(AssertSqlSafe(statement)).bind(id).fetch_optional(&mut **tx).await?;
    row.as_ref().map(user_of_row).transpose()
}

/// Ends a person's sessions, all but the one to keep, and all of their tokens.
pub(crate) async fn delete_sessions(
    tx: &mut Tx,
    now: i64,
    user: &str,
    keep: Option<&str>,
) -> Result<u64, ControlError> {
    lock_active(tx, user).await?;
    end_families(tx, now, user, "sessions were ended").await?;
    let delete = sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND id <> $2");
    Ok(tx.execute(delete.bind(user).bind(keep.unwrap_or_default())).await?.rows_affected())
}

/// Takes away every way in that a person holds now, or has handed out.
pub(crate) async fn end_access(tx: &mut Tx, now: i64, user: &str) -> Result<(), ControlError> {
    delete_sessions(tx, now, user, None).await?;
    for table in ["sign_in_links", "password_resets"] {
        let statement = format!("DELETE FROM {table} WHERE user_id = $1");
        tx.execute(sqlx::query(AssertSqlSafe(statement)).bind(user)).await?;
    }
    for statement in [
        "DELETE FROM invitations WHERE invited_by_id = $1",
        "DELETE FROM sign_in_links WHERE made_by_id = $1",
    ] {
        tx.execute(sqlx::query(statement).bind(user)).await?;
    }
    Ok(())
}

pub(crate) fn user_of_row(row: &AnyRow) -> Result<User, ControlError> {
    let state: String = row.try_get("state")?;
    let state = UserState::parse(&state).ok_or_else(|| ControlError::Damaged {
        what: "users.state",
        message: format!("{state:?} is no state"),
    })?;
    Ok(User {
        id: row.try_get("id")?,
        tenant: tenant_of_row(row)?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        role: row.try_get("role")?,
        state,
        created_at: row.try_get("created_at")?,
        last_sign_in_at: row.try_get("last_sign_in_at")?,
    })
}
