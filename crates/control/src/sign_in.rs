//! Signing in with a password, and changing it.

use std::time::Duration;

use db::Tx;
use model::TenantId;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::control::Control;
use crate::error::ControlError;
use crate::passwords::check_policy;
use crate::secret::{Hash, Secret};
use crate::sessions::{Client, Session, SignInMethod};
use crate::users::{COLUMNS, User, UserState, delete_sessions, lock_active, user_of_row};

/// A link to set a new password is good for this long.
const RESET_LIFE: Duration = Duration::from_secs(3_600);

/// Whoever came by a sign-in link may set a password for this long without the one before.
const AFTER_LINK_MS: i64 = 15 * 60_000;

/// Links to set a new password that one account may have at once.
const RESETS_MAX: i64 = 3;

/// Accounts of one address that a sign-in without a tenant looks at.
const ACCOUNTS_MAX: i64 = 20;

/// Of those, how many a password is compared with: each takes the time of a hash.
const PROVEN_MAX: usize = 8;

/// Who wants in, and how they prove it.
#[derive(Clone, Copy)]
pub struct SignIn<'a> {
    /// Which tenant; `None` works when the password is right for one account of the address only.
    pub tenant: Option<&'a TenantId>,
    /// The account's address.
    pub email: &'a str,
    /// The password.
    pub password: &'a str,
    /// The code of the authenticator or a recovery code, once it was asked for.
    pub code: Option<&'a str>,
    /// From where.
    pub client: Client<'a>,
}

/// A way to set a new password, once, to be mailed by the caller.
#[derive(Clone, Debug)]
pub struct PasswordReset {
    /// Whose.
    pub user: User,
    /// Goes into the link.
    pub token: Secret,
    /// Milliseconds since the Unix epoch.
    pub expires_at: i64,
}

impl Control {
    /// Signs someone in. A wrong address costs the time of a wrong password and reads the same. `CodeNeeded`
    /// asks for the same again with the code of the second factor, `TenantNeeded` for the same with a tenant.
    pub async fn sign_in(&self, sign_in: SignIn<'_>) -> Result<Session, ControlError> {
        let SignIn { tenant, email, password, code, client } = sign_in;
        let attempt = self.begin_attempt(tenant, email, client.address).await?;
        let proven = self.proven_accounts(tenant, email, password).await;
        let mut proven = self.judged(&attempt, proven).await?;
        let (user, stored) = proven.pop().ok_or(ControlError::WrongCredentials)?;
        if !proven.is_empty() {
            // Asking for the tenant is no failure, and no success that would forgive others either.
            return self.judged(&attempt, Err(ControlError::TenantNeeded)).await;
        }
        self.active_tenant(&user.tenant).await?;

        let verified = stored.ok_or(ControlError::WrongCredentials)?;
        let renewed = if self.shared.hasher.is_old(&verified) {
            let renewed = self.shared.hasher.hash(password).await;
            Some(self.judged(&attempt, renewed).await?)
        } else {
            None
        };
        let mut tx = self.begin().await?;
        // Disabled, demoted or given another password while the hash was computed: whoever does so waits for this lock,
        // or has been faster.
        let user = lock_active(&mut tx, &user.id).await?.ok_or(ControlError::WrongCredentials)?;
        let same = sqlx::query("SELECT 1 FROM passwords WHERE user_id = $1 AND hash = $2");
        let same = same.bind(user.id.as_str()).bind(verified.as_str()).fetch_optional(&mut *tx).await?;
        same.ok_or(ControlError::WrongCredentials)?;
        let method = match (self.has_second_factor(&mut tx, &user.id).await?, code) {
            (false, _) => SignInMethod::Password,
            (true, Some(code)) => {
                self.use_code(&mut tx, &user.id, code).await?;
                SignInMethod::PasswordAndCode
            }
            (true, None) => {
                // Asking for the code is no failure, and no success that would forgive others either.
                self.take_back(&mut tx, &attempt).await?;
                tx.commit().await?;
                return Err(ControlError::CodeNeeded);
            }
        };
        if let Some(renewed) = renewed {
            let update = sqlx::query("UPDATE passwords SET hash = $1 WHERE user_id = $2");
            tx.execute(update.bind(renewed).bind(user.id.as_str())).await?;
        }
        self.forgive(&mut tx, &attempt).await?;
        let session = self.begin_session(&mut tx, user, method, client).await?;
        tx.commit().await?;
        Ok(session)
    }

    /// True when someone has a password to sign in with.
    pub async fn has_password(&self, tenant: &TenantId, user: &str) -> Result<bool, ControlError> {
        let user = self.user(tenant, user).await?;
        Ok(self.stored_password(&user.id).await?.is_some())
    }

    /// Changes someone's password, or sets their first, and ends their sessions, all but the one to keep.
    /// `current` is theirs now; whoever has none yet, or came by a sign-in link just now since they forgot it,
    /// proves it by the session they hold.
    pub async fn change_password(
        &self,
        tenant: &TenantId,
        user: &str,
        current: Option<&str>,
        new: &str,
        keep_session: Option<&str>,
    ) -> Result<(), ControlError> {
        let user = self.user(tenant, user).await?;
        check_policy(new, &user.email)?;
        let stored = self.stored_password(&user.id).await?;
        let attempt = match &stored {
            None => None,
            Some(_) if current.is_none() && self.came_by_link(&user, keep_session).await? => None,
            Some(stored) => {
                let attempt = self.begin_attempt(Some(tenant), &user.email, "").await?;
                let right =
                    self.shared.hasher.verify(current.unwrap_or_default(), Some(stored.clone())).await;
                if !self.judged(&attempt, right).await? {
                    return Err(ControlError::WrongCredentials);
                }
                Some(attempt)
            }
        };
        let mut hash = self.shared.hasher.hash(new).await;
        if let Some(attempt) = &attempt {
            hash = self.judged(attempt, hash).await;
        }
        let hash = hash?;
        let mut tx = self.begin().await?;
        lock_active(&mut tx, &user.id).await?.ok_or(ControlError::WrongCredentials)?;
        match &stored {
            // Only over the password that was verified: another change may have come between.
            Some(stored) => {
                let update = sqlx::query(
                    "UPDATE passwords SET hash = $1, changed_at = $2 WHERE user_id = $3 AND hash = $4",
                );
                let update = update.bind(hash).bind(self.now()).bind(user.id.as_str()).bind(stored.as_str());
                if tx.execute(update).await?.rows_affected() == 0 {
                    return Err(ControlError::WrongCredentials);
                }
            }
            None => {
                let insert = sqlx::query(
                    "INSERT INTO passwords (user_id, hash, changed_at) VALUES ($1, $2, $3) \
                     ON CONFLICT (user_id) DO NOTHING",
                );
                let insert = insert.bind(user.id.as_str()).bind(hash).bind(self.now());
                if tx.execute(insert).await?.rows_affected() == 0 {
                    return Err(ControlError::WrongCredentials);
                }
            }
        }
        if let Some(attempt) = &attempt {
            self.forgive(&mut tx, attempt).await?;
        }
        self.end_other_ways(&mut tx, &user.id, keep_session).await?;
        tx.commit().await?;
        Ok(())
    }

    /// True when the session was begun with a sign-in link a short while ago.
    async fn came_by_link(&self, user: &User, session: Option<&str>) -> Result<bool, ControlError> {
        let since = self.now().saturating_sub(AFTER_LINK_MS);
        let all = self.sessions(&user.tenant, &user.id).await?;
        Ok(all.iter().any(|info| {
            session == Some(info.id.as_str()) && info.method == SignInMethod::Link && info.created_at > since
        }))
    }

    /// Ways to set a new password for an address, one for each active account it has (in `tenant`, if
    /// given), to be mailed and never shown. Empty for an address nobody has: answer all alike. An account
    /// that has three already gets no more until one ends.
    pub async fn request_password_reset(
        &self,
        tenant: Option<&TenantId>,
        email: &str,
    ) -> Result<Vec<PasswordReset>, ControlError> {
        let mut resets = Vec::new();
        let now = self.now();
        for user in self.accounts(tenant, email).await?.into_iter().filter(|u| u.state == UserState::Active) {
            if self.active_tenant(&user.tenant).await.is_err() {
                continue;
            }
            let token = Secret::generate("bwp_")?;
            let expires_at = now.saturating_add(i64::try_from(RESET_LIFE.as_millis()).unwrap_or(i64::MAX));
            let mut tx = self.begin().await?;
            self.lock_tenant(&mut tx, &user.tenant).await?;
            let count =
                sqlx::query("SELECT COUNT(*) FROM password_resets WHERE user_id = $1 AND expires_at > $2");
            let count = count.bind(user.id.as_str()).bind(now).fetch_one(&mut *tx).await?;
            if count.try_get::<i64, _>(0)? >= RESETS_MAX {
                continue;
            }
            let insert = sqlx::query(
                "INSERT INTO password_resets (hash, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
            );
            let insert = insert.bind(Hash::of_secret(&token).hex()).bind(user.id.as_str());
            tx.execute(insert.bind(now).bind(expires_at)).await?;
            tx.commit().await?;
            resets.push(PasswordReset { user, token, expires_at });
        }
        Ok(resets)
    }

    /// Sets a new password with a token that was mailed, uses up every such token of the person, and ends
    /// all their sessions. The second factor stays. A password that is refused uses nothing up.
    pub async fn reset_password(&self, presented: &str, new: &str) -> Result<User, ControlError> {
        let hash = Hash::of(presented).ok_or(ControlError::InvalidReset)?;
        let now = self.now();
        let row = {
            let mut connection = self.read().await?;
            let statement = format!(
                "SELECT {COLUMNS} FROM password_resets JOIN users ON users.id = password_resets.user_id \
                 WHERE password_resets.hash = $1 AND password_resets.expires_at > $2 AND users.state = 'active'"
            );
            let row = sqlx::query(AssertSqlSafe(statement)).bind(hash.hex()).bind(now);
            row.fetch_optional(&mut *connection).await?
        };
        let user = user_of_row(&row.ok_or(ControlError::InvalidReset)?)?;
        self.active_tenant(&user.tenant).await?;
        check_policy(new, &user.email)?;
        let new = self.shared.hasher.hash(new).await?;
        let mut tx = self.begin().await?;
        lock_active(&mut tx, &user.id).await?.ok_or(ControlError::InvalidReset)?;
        let delete = sqlx::query("DELETE FROM password_resets WHERE hash = $1 AND expires_at > $2");
        if tx.execute(delete.bind(hash.hex()).bind(now)).await?.rows_affected() == 0 {
            return Err(ControlError::InvalidReset);
        }
        self.store_password(&mut tx, &user.id, &new).await?;
        self.end_other_ways(&mut tx, &user.id, None).await?;
        tx.commit().await?;
        Ok(user)
    }

    pub(crate) async fn store_password(
        &self,
        tx: &mut Tx,
        user: &str,
        hash: &str,
    ) -> Result<(), ControlError> {
        let insert = sqlx::query(
            "INSERT INTO passwords (user_id, hash, changed_at) VALUES ($1, $2, $3) \
             ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at",
        );
        tx.execute(insert.bind(user).bind(hash).bind(self.now())).await?;
        Ok(())
    }

    /// After a change of password: every session but the one to keep, and every link, ends.
    async fn end_other_ways(&self, tx: &mut Tx, user: &str, keep: Option<&str>) -> Result<(), ControlError> {
        delete_sessions(tx, self.now(), user, keep).await?;
        for table in ["password_resets", "sign_in_links"] {
            let statement = format!("DELETE FROM {table} WHERE user_id = $1");
            tx.execute(sqlx::query(AssertSqlSafe(statement)).bind(user)).await?;
        }
        Ok(())
    }

    async fn stored_password(&self, user: &str) -> Result<Option<String>, ControlError> {
        let mut connection = self.read().await?;
        let row = sqlx::query("SELECT hash FROM passwords WHERE user_id = $1").bind(user);
        Ok(row.fetch_optional(&mut *connection).await?.map(|row| row.try_get(0)).transpose()?)
    }

    /// The accounts whose password this is, with its hash: at most one in a tenant. Of an address that has
    /// accounts in several, those in tenants that are not active are left out. An address that nobody has takes
    /// as long as one that has one account.
    async fn proven_accounts(
        &self,
        tenant: Option<&TenantId>,
        email: &str,
        password: &str,
    ) -> Result<Vec<(User, Option<String>)>, ControlError> {
        let mut found = self.accounts(tenant, email).await?;
        if found.len() > 1 {
            let mut active = Vec::new();
            for user in found {
                if self.active_tenant(&user.tenant).await.is_ok() {
                    active.push(user);
                }
            }
            found = active;
        }
        if found.is_empty() {
            self.shared.hasher.verify(password, None).await?;
        }
        let mut proven = Vec::new();
        for user in found.into_iter().take(PROVEN_MAX) {
            let stored = self.stored_password(&user.id).await?;
            let is_right = self.shared.hasher.verify(password, stored.clone()).await?;
            if is_right && user.state == UserState::Active {
                proven.push((user, stored));
            }
        }
        Ok(proven)
    }

    async fn accounts(&self, tenant: Option<&TenantId>, email: &str) -> Result<Vec<User>, ControlError> {
        let mut connection = self.read().await?;
        let statement = format!(
            "SELECT {COLUMNS} FROM users WHERE email = $1 AND ($2 = '' OR tenant_id = $2) ORDER BY tenant_id LIMIT $3"
        );
        let rows = sqlx::query(AssertSqlSafe(statement)).bind(email.trim().to_lowercase());
        let rows = rows.bind(tenant.map_or("", TenantId::as_str)).bind(ACCOUNTS_MAX);
        rows.fetch_all(&mut *connection).await?.iter().map(user_of_row).collect()
    }
}
