//! Sign-in links, each good for one session: for the first start, and for whoever lost every other way.

use std::time::Duration;

use db::Tx;
use model::TenantId;
use sqlx::{Executor, Row};

use crate::control::Control;
use crate::error::ControlError;
use crate::permissions::Principal;
use crate::secret::{Hash, Secret};
use crate::sessions::{Client, Session, SignInMethod};
use crate::tenants::need_active;
use crate::users::{User, lock_active};

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
        let link = self.insert_link(&mut tx, &user.id, "", LINK_LIFE).await?;
        tx.commit().await?;
        Ok(link)
    }

    /// A link that `by` hands out to somebody else, by identifier: to someone who may do no more than they may
    /// themselves. It ends when whoever made it loses their own access, and when its owner gets another role.
    pub async fn give_sign_in_link(
        &self,
        tenant: &TenantId,
        by: &Principal,
        id: &str,
    ) -> Result<SignInLink, ControlError> {
        let mut tx = self.begin().await?;
        let user = self.managed(&mut tx, tenant, by, id).await?;
        refuse_oneself(by, &user)?;
        let link = self.insert_link(&mut tx, &user.id, by.user_id(), LINK_LIFE).await?;
        tx.commit().await?;
        Ok(link)
    }

    /// Uses a link up and begins a session. Of two that try at once, one succeeds.
    pub async fn redeem_link(&self, presented: &str, client: Client<'_>) -> Result<Session, ControlError> {
        let hash = Hash::of(presented).ok_or(ControlError::InvalidLink)?;
        let now = self.now();
        let mut tx = self.begin().await?;
        let owner = sqlx::query("SELECT user_id FROM sign_in_links WHERE hash = $1").bind(hash.hex());
        let owner = owner.fetch_optional(&mut *tx).await?.ok_or(ControlError::InvalidLink)?;
        let owner: String = owner.try_get(0)?;
        let user = lock_active(&mut tx, &owner).await?.ok_or(ControlError::InvalidLink)?;
        let used = sqlx::query(
            "UPDATE sign_in_links SET used_at = $1 WHERE hash = $2 AND used_at IS NULL AND expires_at > $1",
        );
        if tx.execute(used.bind(now).bind(hash.hex())).await?.rows_affected() == 0 {
            return Err(ControlError::InvalidLink);
        }
        need_active(&mut tx, &user.tenant).await?;
        let session = self.begin_session(&mut tx, user, SignInMethod::Link, client).await?;
        tx.commit().await?;
        Ok(session)
    }

    pub(crate) async fn insert_link(
        &self,
        tx: &mut Tx,
        user_id: &str,
        made_by: &str,
        life: Duration,
    ) -> Result<SignInLink, ControlError> {
        let token = Secret::generate("bwl_")?;
        let now = self.now();
        let life_ms = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
        let expires_at = now.saturating_add(life_ms);
        let insert = sqlx::query(
            "INSERT INTO sign_in_links (hash, user_id, created_at, expires_at, made_by_id) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(Hash::of_secret(&token).hex())
        .bind(user_id)
        .bind(now)
        .bind(expires_at)
        .bind(made_by);
        tx.execute(insert).await?;
        Ok(SignInLink { token, expires_at })
    }
}

/// What is meant for others who lost their way in is not for oneself: with it whoever got hold of a session would keep
/// the account, without its password and without a code.
pub(crate) fn refuse_oneself(by: &Principal, user: &User) -> Result<(), ControlError> {
    if by.user_id() != user.id {
        return Ok(());
    }
    let message = "this is for other people's accounts; change your own under your profile".to_owned();
    Err(ControlError::Forbidden { message })
}
