//! People.

use db::Tx;
use model::TenantId;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::control::Control;
use crate::error::{ControlError, one_line};
use crate::keys::tenant_of_row;
use crate::secret::new_id;

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
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
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

pub(crate) const COLUMNS: &str =
    "users.id, users.tenant_id, users.email, users.name, users.role, users.created_at";

impl Control {
    /// Adds a person.
    pub async fn create_user(&self, tenant: &TenantId, new: NewUser<'_>) -> Result<User, ControlError> {
        let mut tx = self.begin().await?;
        let user = self.insert_user(&mut tx, tenant, new).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// The tenant's people, in order of email.
    pub async fn users(&self, tenant: &TenantId) -> Result<Vec<User>, ControlError> {
        let mut connection = self.read().await?;
        let statement = format!("SELECT {COLUMNS} FROM users WHERE tenant_id = $1 ORDER BY email");
        let rows =
            sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).fetch_all(&mut *connection).await?;
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
        let missing =
            || ControlError::NotFound { kind: "user", name: id_or_email.chars().take(80).collect() };
        user_of_row(&row.ok_or_else(missing)?)
    }

    pub(crate) async fn insert_user(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        new: NewUser<'_>,
    ) -> Result<User, ControlError> {
        one_line("email", new.email, 254)?;
        one_line("name", new.name, 100)?;
        if !new.email.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty()) {
            let message = "must be an address such as ada@example.com".to_owned();
            return Err(ControlError::Invalid { field: "email", message });
        }
        let user = User {
            id: new_id("user")?,
            tenant: tenant.clone(),
            email: new.email.trim().to_lowercase(),
            name: new.name.trim().to_owned(),
            role: new.role.to_owned(),
            created_at: self.now(),
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

pub(crate) fn user_of_row(row: &AnyRow) -> Result<User, ControlError> {
    Ok(User {
        id: row.try_get("id")?,
        tenant: tenant_of_row(row)?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        role: row.try_get("role")?,
        created_at: row.try_get("created_at")?,
    })
}
