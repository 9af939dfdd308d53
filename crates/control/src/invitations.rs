//! Invitations: an address, a role, and a link that makes a person of it once within seven days.

use db::Tx;
use model::TenantId;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::control::Control;
use crate::error::{ControlError, not_found};
use crate::keys::tenant_of_row;
use crate::lists::LIST_MAX;
use crate::passwords::check_policy;
use crate::permissions::{Permission, Principal};
use crate::roles::{covers, find_grant, may_give};
use crate::secret::{Hash, Secret, new_id};
use crate::sessions::{Client, DAY_MS, Session, SignInMethod};
use crate::users::{NewUser, check_person};

/// Invitations of one tenant that wait to be accepted.
const WAITING_MAX: i64 = 1_000;

const LIFE_MS: i64 = 7 * DAY_MS;

const COLUMNS: &str = "id, tenant_id, email, role, invited_by, created_at, expires_at";

/// An invitation that waits to be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Identifier.
    pub id: String,
    /// To which tenant.
    pub tenant: TenantId,
    /// Whom.
    pub email: String,
    /// With which role.
    pub role: String,
    /// By whom, as the audit log names them.
    pub invited_by: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub expires_at: i64,
}

impl Control {
    /// Invites someone. The token goes into the link and is shown once; one sent before to the same address
    /// ends. Nobody gives a role that permits more than they may do themselves.
    pub async fn invite(
        &self,
        tenant: &TenantId,
        by: &Principal,
        email: &str,
        role: &str,
    ) -> Result<(Invitation, Secret), ControlError> {
        check_person(email, "invited")?;
        by.need_in(tenant, Permission::MembersManage)?;
        let now = self.now();
        let invitation = Invitation {
            id: new_id("invitation")?,
            tenant: tenant.clone(),
            email: email.trim().to_lowercase(),
            role: role.to_owned(),
            invited_by: by.who.name.clone(),
            created_at: now,
            expires_at: now.saturating_add(LIFE_MS),
        };
        let token = Secret::generate("bwi_")?;
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, tenant).await?;
        may_give(&mut tx, tenant, by, role).await?;
        let user = sqlx::query("SELECT id FROM users WHERE tenant_id = $1 AND email = $2");
        let user = user.bind(tenant.as_str()).bind(invitation.email.as_str());
        if user.fetch_optional(&mut *tx).await?.is_some() {
            return Err(ControlError::Exists { kind: "user", name: invitation.email });
        }
        let before =
            sqlx::query("DELETE FROM invitations WHERE tenant_id = $1 AND (email = $2 OR expires_at <= $3)");
        tx.execute(before.bind(tenant.as_str()).bind(invitation.email.as_str()).bind(now)).await?;
        let count =
            sqlx::query("SELECT COUNT(*) FROM invitations WHERE tenant_id = $1").bind(tenant.as_str());
        if count.fetch_one(&mut *tx).await?.try_get::<i64, _>(0)? >= WAITING_MAX {
            let message = format!("{WAITING_MAX} invitations wait to be accepted; revoke some first");
            return Err(ControlError::Invalid { field: "email", message });
        }
        let insert = sqlx::query(
            "INSERT INTO invitations (id, hash, tenant_id, email, role, invited_by, created_at, expires_at, \
             invited_by_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        );
        let insert = insert.bind(invitation.id.as_str()).bind(Hash::of_secret(&token).hex());
        let insert = insert.bind(tenant.as_str()).bind(invitation.email.as_str()).bind(role);
        let insert = insert.bind(invitation.invited_by.as_str()).bind(now).bind(invitation.expires_at);
        let insert = insert.bind(by.user_id());
        tx.execute(insert).await?;
        tx.commit().await?;
        Ok((invitation, token))
    }

    /// The tenant's invitations that wait, in order of address, after `after` if given, at most `limit`
    /// (and 1000).
    pub async fn invitations(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Invitation>, ControlError> {
        let mut connection = self.read().await?;
        let statement = format!(
            "SELECT {COLUMNS} FROM invitations WHERE tenant_id = $1 AND email > $2 AND expires_at > $3 \
             ORDER BY email LIMIT $4"
        );
        let rows =
            sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).bind(after.unwrap_or_default());
        let rows = rows.bind(self.now()).bind(i64::from(limit.min(LIST_MAX)));
        rows.fetch_all(&mut *connection).await?.iter().map(invitation_of_row).collect()
    }

    /// What a token invites to, for the page that asks for a name and a password. Uses nothing up.
    pub async fn invitation(&self, presented: &str) -> Result<Invitation, ControlError> {
        let hash = Hash::of(presented).ok_or(ControlError::InvalidInvitation)?;
        let found = {
            let mut connection = self.read().await?;
            let statement = format!("SELECT {COLUMNS} FROM invitations WHERE hash = $1 AND expires_at > $2");
            let row = sqlx::query(AssertSqlSafe(statement)).bind(hash.hex()).bind(self.now());
            row.fetch_optional(&mut *connection).await?
        };
        let invitation = invitation_of_row(&found.ok_or(ControlError::InvalidInvitation)?)?;
        self.active_tenant(&invitation.tenant).await?;
        Ok(invitation)
    }

    /// Takes an invitation back. Whoever does so could have sent it.
    pub async fn revoke_invitation(
        &self,
        tenant: &TenantId,
        by: &Principal,
        id: &str,
    ) -> Result<(), ControlError> {
        by.need_in(tenant, Permission::MembersManage)?;
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, tenant).await?;
        let role = sqlx::query("SELECT role FROM invitations WHERE tenant_id = $1 AND id = $2");
        let role = role.bind(tenant.as_str()).bind(id).fetch_optional(&mut *tx).await?;
        let role: String = role.ok_or_else(|| not_found("invitation", id))?.try_get(0)?;
        covers(&mut tx, tenant, by, &role).await?;
        let delete = sqlx::query("DELETE FROM invitations WHERE tenant_id = $1 AND id = $2");
        let done = tx.execute(delete.bind(tenant.as_str()).bind(id)).await?;
        tx.commit().await?;
        if done.rows_affected() == 0 { Err(not_found("invitation", id)) } else { Ok(()) }
    }

    /// Uses an invitation up: makes the person, sets their password and signs them in. Of two that accept at
    /// once, one succeeds. A name or a password that is refused uses nothing up.
    pub async fn accept_invitation(
        &self,
        presented: &str,
        name: &str,
        password: &str,
        client: Client<'_>,
    ) -> Result<Session, ControlError> {
        let invitation = self.invitation(presented).await?;
        check_person(&invitation.email, name)?;
        check_policy(password, &invitation.email)?;
        // Before the transaction: hashing is slow, and the locks are everyone's.
        let hash = self.shared.hasher.hash(password).await?;
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, &invitation.tenant).await?;
        self.use_up(&mut tx, presented).await?;
        if find_grant(&mut tx, &invitation.tenant, &invitation.role).await?.is_none() {
            return Err(ControlError::InvalidInvitation);
        }
        let new = NewUser { email: &invitation.email, name, role: &invitation.role };
        let user = self.insert_user(&mut tx, &invitation.tenant, new).await?;
        self.store_password(&mut tx, &user.id, &hash).await?;
        let session = self.begin_session(&mut tx, user, SignInMethod::Invitation, client).await?;
        tx.commit().await?;
        Ok(session)
    }

    async fn use_up(&self, tx: &mut Tx, presented: &str) -> Result<(), ControlError> {
        let hash = Hash::of(presented).ok_or(ControlError::InvalidInvitation)?;
        let delete = sqlx::query("DELETE FROM invitations WHERE hash = $1 AND expires_at > $2");
        let done = tx.execute(delete.bind(hash.hex()).bind(self.now())).await?;
        if done.rows_affected() == 0 { Err(ControlError::InvalidInvitation) } else { Ok(()) }
    }
}

fn invitation_of_row(row: &AnyRow) -> Result<Invitation, ControlError> {
    Ok(Invitation {
        id: row.try_get("id")?,
        tenant: tenant_of_row(row)?,
        email: row.try_get("email")?,
        role: row.try_get("role")?,
        invited_by: row.try_get("invited_by")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}
