//! Sessions: begun by signing in, however that was done, and listed and ended by whom they belong to.

use db::Tx;
use model::TenantId;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::control::Control;
use crate::error::{ControlError, not_found};
use crate::permissions::Principal;
use crate::secret::{Hash, Secret, new_id};
use crate::sso::only::refuse_if_sso_only;
use crate::users::{COLUMNS, User, delete_sessions, user_of_row};

pub(crate) const HOUR_MS: i64 = 3_600_000;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// A session ends after this, however much it is used.
pub(crate) const SESSION_LIFE_MS: i64 = 30 * DAY_MS;

/// A session ends when it was not used for this long.
const SESSION_IDLE_MS: i64 = 7 * DAY_MS;

/// Use of a session is written down at most this often.
const SEEN_EVERY_MS: i64 = 60_000;

/// Sessions of one person; above it the one unused for longest ends.
const SESSIONS_MAX: i64 = 50;

/// What is kept of what a browser calls itself.
const USER_AGENT_CHARS_MAX: usize = 300;

/// From where someone signs in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client<'a> {
    /// The network address as text; empty when it is not known.
    pub address: &'a str,
    /// What the browser calls itself; empty when it does not say.
    pub user_agent: &'a str,
}

/// How someone signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInMethod {
    /// With a link that an administrator or the first start gave them.
    Link,
    /// By accepting an invitation.
    Invitation,
    /// With a password.
    Password,
    /// With a password and a code.
    PasswordAndCode,
    /// At an OpenID Connect provider.
    Oidc,
    /// At a SAML identity provider.
    Saml,
}

impl SignInMethod {
    /// Every method.
    pub const ALL: [Self; 6] =
        [Self::Link, Self::Invitation, Self::Password, Self::PasswordAndCode, Self::Oidc, Self::Saml];

    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Invitation => "invitation",
            Self::Password => "password",
            Self::PasswordAndCode => "password+code",
            Self::Oidc => "oidc",
            Self::Saml => "saml",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }
}

/// How someone signed in, and what follows from it for the session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way<'a> {
    pub(crate) method: SignInMethod,
    /// Through which provider; empty for none.
    pub(crate) provider: &'a str,
    /// The session ends then at the latest, milliseconds since the Unix epoch: the provider said so.
    pub(crate) ends_at: Option<i64>,
}

impl From<SignInMethod> for Way<'_> {
    fn from(method: SignInMethod) -> Self {
        Self { method, provider: "", ends_at: None }
    }
}

/// A session just begun.
#[derive(Clone, Debug)]
pub struct Session {
    /// Identifier, to list and end it by.
    pub id: String,
    /// Goes into the cookie.
    pub token: Secret,
    /// Must accompany every change the browser asks for. Follows from the token, so it is not stored.
    pub csrf: Secret,
    /// Who signed in.
    pub user: User,
    /// Milliseconds since the Unix epoch.
    pub expires_at: i64,
}

/// Whoever showed a valid session.
#[derive(Clone, Debug)]
pub struct SessionPrincipal {
    /// The session's identifier.
    pub id: String,
    /// Who it is; the tenant is theirs.
    pub user: User,
    /// What they may do.
    pub principal: Principal,
    /// What must accompany every change; compare with [`Secret::matches`].
    pub csrf: Secret,
    /// Milliseconds since the Unix epoch.
    pub expires_at: i64,
}

/// A session as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Identifier.
    pub id: String,
    /// How it was begun.
    pub method: SignInMethod,
    /// From which network address; empty when it was not known.
    pub address: String,
    /// What the browser called itself; empty when it did not say.
    pub user_agent: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Behind by up to a minute.
    pub last_seen_at: i64,
    /// Milliseconds since the Unix epoch.
    pub expires_at: i64,
}

impl Control {
    /// Begins a session for someone who proved who they are.
    pub(crate) async fn begin_session(
        &self,
        tx: &mut Tx,
        mut user: User,
        way: impl Into<Way<'_>>,
        client: Client<'_>,
    ) -> Result<Session, ControlError> {
        let Way { method, provider, ends_at } = way.into();
        refuse_if_sso_only(tx, &user, method).await?;
        let now = self.now();
        let old = sqlx::query(
            "DELETE FROM sessions WHERE user_id = $1 AND id NOT IN \
             (SELECT id FROM sessions WHERE user_id = $1 ORDER BY last_seen_at DESC, id LIMIT $2)",
        );
        tx.execute(old.bind(user.id.as_str()).bind(SESSIONS_MAX - 1)).await?;
        let (id, token) = (new_id("session")?, Secret::generate("bws_")?);
        let expires_at = now.saturating_add(SESSION_LIFE_MS).min(ends_at.unwrap_or(i64::MAX));
        let insert = sqlx::query(
            "INSERT INTO sessions (hash, id, user_id, method, address, user_agent, created_at, last_seen_at, \
             expires_at, provider_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9)",
        )
        .bind(Hash::of_secret(&token).hex())
        .bind(id.as_str())
        .bind(user.id.as_str())
        .bind(method.as_str())
        .bind(shown(client.address))
        .bind(shown(client.user_agent))
        .bind(now)
        .bind(expires_at)
        .bind(provider);
        tx.execute(insert).await?;
        let update = sqlx::query("UPDATE users SET last_sign_in_at = $1 WHERE id = $2");
        tx.execute(update.bind(now).bind(user.id.as_str())).await?;
        user.last_sign_in_at = Some(now);
        let csrf = csrf(token.expose());
        Ok(Session { id, token, csrf, user, expires_at })
    }

    /// Whose session this is, in a tenant that may be used.
    pub async fn authenticate_session(&self, presented: &str) -> Result<SessionPrincipal, ControlError> {
        let hash = Hash::of(presented).ok_or(ControlError::InvalidSession)?;
        let now = self.now();
        let statement = format!(
            "SELECT {COLUMNS}, sessions.hash AS session_hash, sessions.id AS session_id, sessions.last_seen_at, \
             sessions.expires_at FROM sessions JOIN users ON users.id = sessions.user_id \
             WHERE sessions.hash = $1 AND sessions.expires_at > $2 AND sessions.last_seen_at > $3 \
             AND users.state = 'active'"
        );
        let row = {
            let mut connection = self.read().await?;
            sqlx::query(AssertSqlSafe(statement))
                .bind(hash.hex())
                .bind(now)
                .bind(now.saturating_sub(SESSION_IDLE_MS))
                .fetch_optional(&mut *connection)
                .await?
        };
        let row = row.ok_or(ControlError::InvalidSession)?;
        if !hash.is(&row.try_get::<String, _>("session_hash")?) {
            return Err(ControlError::InvalidSession);
        }
        let user = user_of_row(&row)?;
        self.active_tenant(&user.tenant).await?;
        let seen: i64 = row.try_get("last_seen_at")?;
        if now.saturating_sub(seen) >= SEEN_EVERY_MS {
            let mut tx = self.begin().await?;
            let update =
                sqlx::query("UPDATE sessions SET last_seen_at = $1 WHERE hash = $2 AND last_seen_at < $1");
            tx.execute(update.bind(now).bind(hash.hex())).await?;
            tx.commit().await?;
        }
        let principal = self.principal_of(&user).await?;
        Ok(SessionPrincipal {
            id: row.try_get("session_id")?,
            user,
            principal,
            csrf: csrf(presented),
            expires_at: row.try_get("expires_at")?,
        })
    }

    /// Ends a session. Ending one that is not there does nothing.
    pub async fn end_session(&self, presented: &str) -> Result<(), ControlError> {
        let Some(hash) = Hash::of(presented) else { return Ok(()) };
        let mut tx = self.begin().await?;
        tx.execute(sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(hash.hex())).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Someone's sessions that have not ended, the one used last first; there are at most 50.
    pub async fn sessions(&self, tenant: &TenantId, user: &str) -> Result<Vec<SessionInfo>, ControlError> {
        let now = self.now();
        let mut connection = self.read().await?;
        let rows = sqlx::query(
            "SELECT sessions.id, sessions.method, sessions.address, sessions.user_agent, sessions.created_at, \
             sessions.last_seen_at, sessions.expires_at FROM sessions JOIN users ON users.id = sessions.user_id \
             WHERE users.tenant_id = $1 AND users.id = $2 AND sessions.expires_at > $3 \
             AND sessions.last_seen_at > $4 ORDER BY sessions.last_seen_at DESC, sessions.id",
        );
        let rows = rows.bind(tenant.as_str()).bind(user).bind(now).bind(now.saturating_sub(SESSION_IDLE_MS));
        rows.fetch_all(&mut *connection).await?.iter().map(info_of_row).collect()
    }

    /// Ends one of someone's sessions, by its identifier.
    pub async fn revoke_session(&self, tenant: &TenantId, user: &str, id: &str) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        let delete = sqlx::query(
            "DELETE FROM sessions WHERE id = $1 AND user_id IN \
             (SELECT users.id FROM users WHERE users.id = $2 AND users.tenant_id = $3)",
        );
        let done = tx.execute(delete.bind(id).bind(user).bind(tenant.as_str())).await?;
        tx.commit().await?;
        if done.rows_affected() == 0 { Err(not_found("session", id)) } else { Ok(()) }
    }

    /// Ends someone's sessions, all but the one to keep, and says how many.
    pub async fn revoke_sessions(
        &self,
        tenant: &TenantId,
        user: &str,
        keep: Option<&str>,
    ) -> Result<u64, ControlError> {
        let user = self.user(tenant, user).await?;
        let mut tx = self.begin().await?;
        let ended = delete_sessions(&mut tx, self.now(), &user.id, keep).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Removes what has ended: links, sessions, invitations, keys and failures nobody asks for any more.
    pub(crate) async fn remove_ended(&self) -> Result<(), ControlError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        for table in ["sign_in_links", "invitations", "password_resets", "sso_states", "saml_replays"] {
            let statement = format!("DELETE FROM {table} WHERE expires_at <= $1");
            tx.execute(sqlx::query(AssertSqlSafe(statement)).bind(now)).await?;
        }
        let sessions = sqlx::query("DELETE FROM sessions WHERE expires_at <= $1 OR last_seen_at <= $2");
        tx.execute(sessions.bind(now).bind(now.saturating_sub(SESSION_IDLE_MS))).await?;
        // Kept for a while, because someone may ask which key it was.
        let keys = sqlx::query("DELETE FROM api_keys WHERE revoked_at <= $1 OR expires_at <= $1");
        tx.execute(keys.bind(now.saturating_sub(90 * DAY_MS))).await?;
        let old = sqlx::query(
            "UPDATE api_keys SET old_hash = NULL, old_expires_at = NULL WHERE old_expires_at <= $1",
        );
        tx.execute(old.bind(now)).await?;
        // An authenticator that was never confirmed.
        let factors =
            sqlx::query("DELETE FROM second_factors WHERE confirmed_at IS NULL AND created_at <= $1");
        tx.execute(factors.bind(now.saturating_sub(DAY_MS))).await?;
        self.remove_old_failures(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn csrf(token: &str) -> Secret {
    Secret::derive(token, "csrf")
}

/// What is kept of a text that a browser sends.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(USER_AGENT_CHARS_MAX).collect()
}

fn info_of_row(row: &AnyRow) -> Result<SessionInfo, ControlError> {
    let method: String = row.try_get("method")?;
    let method = SignInMethod::parse(&method).ok_or_else(|| ControlError::Damaged {
        what: "sessions.method",
        message: format!("{method:?} is no way to sign in"),
    })?;
    Ok(SessionInfo {
        id: row.try_get("id")?,
        method,
        address: row.try_get("address")?,
        user_agent: row.try_get("user_agent")?,
        created_at: row.try_get("created_at")?,
        last_seen_at: row.try_get("last_seen_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}
