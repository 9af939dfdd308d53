//! Sign-in links, each good for one session: for the first start, and for whoever lost every other way.

use std::time::Duration;

use db::Tx;
use model::TenantId;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::control::Control;
use crate::error::ControlError;
use crate::secret::{Hash, Secret};
use crate::sessions::{Client, Session, SignInMethod};
use crate::tenants::need_active;
use crate::users::{COLUMNS, user_of_row};

/// A link is for now, not for keeping.
pub(crate) const LINK_LIFE: Duration = Duration::from_secs(3_600);

/// A way to sign in, once.
#[derive(Clone, Debug)]
pub struct SignInLink {
    /// Goes into the link.
    pub token: Secret,
    /// Milliseconds since the Unix epoch.
    pub expires_at: i64,
}

impl Control {
    /// A new link for a person, by identifier or email, good for an hour. Whoever has it is that person, so
    /// it is for the command line alone.
    pub async fn new_sign_in_link(
        &self,
        tenant: &TenantId,
        id_or_email: &str,
    ) -> Result<SignInLink, ControlError> {
        let user = self.user(tenant, id_or_email).await?;
        let mut tx = self.begin().await?;
        let link = self.insert_link(&mut tx, &user.id, LINK_LIFE).await?;
        tx.commit().await?;
        Ok(link)
    }

    /// Uses a link up and begins a session. Of two that try at once, one succeeds.
    pub async fn redeem_link(&self, presented: &str, client: Client<'_>) -> Result<Session, ControlError> {
        let hash = Hash::of(presented).ok_or(ControlError::InvalidLink)?;
        let now = self.now();
        let mut tx = self.begin().await?;
        let used = sqlx::query(
            "UPDATE sign_in_links SET used_at = $1 WHERE hash = $2 AND used_at IS NULL AND expires_at > $1 \
             RETURNING user_id",
        );
        let used = used.bind(now).bind(hash.hex()).fetch_optional(&mut *tx).await?;
        let user_id: String = used.ok_or(ControlError::InvalidLink)?.try_get(0)?;
        let statement = format!("SELECT {COLUMNS} FROM users WHERE id = $1 AND state = 'active'");
        let user = sqlx::query(AssertSqlSafe(statement)).bind(user_id).fetch_optional(&mut *tx).await?;
        let user = user_of_row(&user.ok_or(ControlError::InvalidLink)?)?;
        need_active(&mut tx, &user.tenant).await?;
        let session = self.begin_session(&mut tx, user, SignInMethod::Link, client).await?;
        tx.commit().await?;
        Ok(session)
    }

    pub(crate) async fn insert_link(
        &self,
        tx: &mut Tx,
        user_id: &str,
        life: Duration,
    ) -> Result<SignInLink, ControlError> {
        let token = Secret::generate("bwl_")?;
        let now = self.now();
        let life_ms = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
        let expires_at = now.saturating_add(life_ms);
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
}
