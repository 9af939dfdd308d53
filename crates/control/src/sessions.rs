//! Sign-in links, each good for one session, and sessions.

use db::Tx;
use model::TenantId;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::control::Control;
use crate::error::ControlError;
use crate::permissions::Principal;
use crate::secret::{Hash, Secret};
use crate::users::{COLUMNS, User, user_of_row};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A link is for now, not for keeping.
const LINK_LIFE_MS: i64 = HOUR_MS;

/// A session ends after this, however much it is used.
const SESSION_LIFE_MS: i64 = 30 * DAY_MS;

/// A session ends when it was not used for this long.
const SESSION_IDLE_MS: i64 = 7 * DAY_MS;

/// Use of a session is written down at most this often.
const SEEN_EVERY_MS: i64 = 60_000;

/// A way to sign in, once.
#[derive(Clone, Debug)]
pub struct SignInLink {
    /// Goes into the link.
    pub token: Secret,
    /// Milliseconds since the Unix epoch.
    pub expires_at: i64,
}

/// A session just begun.
#[derive(Clone, Debug)]
pub struct Session {
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
    /// Who it is; the tenant is theirs.
    pub user: User,
    /// What they may do.
    pub principal: Principal,
    /// What must accompany every change; compare with [`Secret::matches`].
    pub csrf: Secret,
    /// Milliseconds since the Unix epoch.
    pub expires_at: i64,
}

impl Control {
    /// A new sign-in link for a person of the tenant, by identifier or email. Earlier ones stay valid.
    pub async fn new_sign_in_link(&self, tenant: &TenantId, user: &str) -> Result<SignInLink, ControlError> {
        let user = self.user(tenant, user).await?;
        let mut tx = self.begin().await?;
        let link = self.insert_link(&mut tx, &user.id).await?;
        tx.commit().await?;
        Ok(link)
    }

    /// Uses a link up and begins a session. Of two that try at once, one succeeds.
    pub async fn redeem_link(&self, presented: &str) -> Result<Session, ControlError> {
        let hash = Hash::of(presented).ok_or(ControlError::InvalidLink)?;
        let now = self.now();
        let mut tx = self.begin().await?;
        let used = sqlx::query(
            "UPDATE sign_in_links SET used_at = $1 WHERE hash = $2 AND used_at IS NULL AND expires_at > $1 \
             RETURNING user_id",
        )
        .bind(now)
        .bind(hash.hex())
        .fetch_optional(&mut *tx)
        .await?;
        let user_id: String = used.ok_or(ControlError::InvalidLink)?.try_get(0)?;
        let statement = format!("SELECT {COLUMNS} FROM users WHERE id = $1");
        let user = sqlx::query(AssertSqlSafe(statement)).bind(user_id.as_str()).fetch_one(&mut *tx).await?;
        let user = user_of_row(&user)?;
        let token = Secret::generate("bws_")?;
        let expires_at = now.saturating_add(SESSION_LIFE_MS);
        let insert = sqlx::query(
            "INSERT INTO sessions (hash, user_id, created_at, last_seen_at, expires_at) VALUES ($1, $2, $3, $3, $4)",
        )
        .bind(Hash::of_secret(&token).hex())
        .bind(user_id)
        .bind(now)
        .bind(expires_at);
        tx.execute(insert).await?;
        tx.commit().await?;
        let csrf = csrf(token.expose());
        Ok(Session { token, csrf, user, expires_at })
    }

    /// Whose session this is.
    pub async fn authenticate_session(&self, presented: &str) -> Result<SessionPrincipal, ControlError> {
        let hash = Hash::of(presented).ok_or(ControlError::InvalidSession)?;
        let now = self.now();
        let statement = format!(
            "SELECT {COLUMNS}, sessions.hash AS session_hash, sessions.last_seen_at, sessions.expires_at \
             FROM sessions JOIN users ON users.id = sessions.user_id \
             WHERE sessions.hash = $1 AND sessions.expires_at > $2 AND sessions.last_seen_at > $3"
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
        let seen: i64 = row.try_get("last_seen_at")?;
        if now.saturating_sub(seen) >= SEEN_EVERY_MS {
            let mut tx = self.begin().await?;
            let update =
                sqlx::query("UPDATE sessions SET last_seen_at = $1 WHERE hash = $2 AND last_seen_at < $1");
            tx.execute(update.bind(now).bind(hash.hex())).await?;
            tx.commit().await?;
        }
        let user = user_of_row(&row)?;
        let principal = self.principal_of(&user).await?;
        Ok(SessionPrincipal {
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

    pub(crate) async fn insert_link(&self, tx: &mut Tx, user_id: &str) -> Result<SignInLink, ControlError> {
        let token = Secret::generate("bwl_")?;
        let now = self.now();
        let expires_at = now.saturating_add(LINK_LIFE_MS);
        let insert = sqlx::query(
            "INSERT INTO sign_in_links (hash, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(Hash::of_secret(&token).hex())
        .bind(user_id)
        .bind(now)
        .bind(expires_at);
        tx.execute(insert).await?;
        Ok(SignInLink { token, expires_at })
    }

    /// Removes links and sessions that have ended.
    pub(crate) async fn remove_ended(&self) -> Result<(), ControlError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        tx.execute(sqlx::query("DELETE FROM sign_in_links WHERE expires_at <= $1").bind(now)).await?;
        let sessions = sqlx::query("DELETE FROM sessions WHERE expires_at <= $1 OR last_seen_at <= $2");
        tx.execute(sessions.bind(now).bind(now.saturating_sub(SESSION_IDLE_MS))).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn csrf(token: &str) -> Secret {
    Secret::derive(token, "csrf")
}
