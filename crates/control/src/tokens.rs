//! Access and refresh tokens.
//!
//! An access token is a signed statement, good for a quarter of an hour, that anyone with our public keys can
//! check. A refresh token is a random secret that is used once and buys the next pair; all pairs that descend
//! from one sign-in are a family. A refresh token that is shown twice has been copied, so its family ends.
//!
//! What one process revokes it refuses at once. Other processes read the news from the database when a token
//! is shown to them and their knowledge is older than half a second: an idle process asks nothing, a busy one
//! twice a second.

mod access; // the signed statement
mod jwks; // our public keys
mod limits; // how many are issued
mod news; // what other processes must learn
mod refresh; // families, and the next pair
mod revoke; // what ends early
mod signing; // our keys

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kit::{BoxError, HealthStatus, Service, Shutdown};
use model::TenantId;
use parking_lot::RwLock;
use sqlx::{AnyConnection, AssertSqlSafe, Executor, Row};

use crate::control::Control;
use crate::error::ControlError;
use crate::permissions::{Actor, ActorKind, Permissions, Principal};
use crate::roles::find_grant;
use crate::secret::Secret;
use crate::users::{COLUMNS, User, user_of_row};

pub use access::AccessPrincipal;
pub use refresh::TokenFamily;
pub use revoke::Revoked;
pub(crate) use revoke::{Which, end_families, end_families_of};

/// Life of an access token.
pub(crate) const ACCESS_SECONDS: i64 = 900;

/// Whether a person is still active, and what they may do, is asked again after this.
const HOLDER_LIFE: Duration = Duration::from_secs(10);

/// People kept. An entry is about 500 bytes.
const HOLDERS_MAX: usize = 10_000;

/// How often keys are looked after.
const TICK: Duration = Duration::from_secs(10);

/// What has ended is removed every so many ticks: each ten minutes.
const TICKS_PER_SWEEP: u32 = 60;

/// How tokens are made and judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// Who issues them: the address of this installation.
    pub issuer: String,
    /// Whom they are for.
    pub audience: String,
    /// Refuse a token that comes from another address than its family began at.
    pub bind_address: bool,
    /// Refuse a token that comes from another user agent.
    pub bind_agent: bool,
    /// Pairs a person may be issued within `issue_window`.
    pub issue_max: u32,
    /// The window of `issue_max`.
    pub issue_window: Duration,
    /// A key signs for this long.
    pub rotate_after: Duration,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            issuer: "bellwether".to_owned(),
            audience: "bellwether".to_owned(),
            bind_address: false,
            bind_agent: false,
            issue_max: 30,
            issue_window: Duration::from_secs(60),
            rotate_after: Duration::from_secs(30 * 86_400),
        }
    }
}

/// Where a request comes from. Empty means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The client's address, without its port.
    pub address: &'a str,
    /// The `User-Agent` header.
    pub agent: &'a str,
}

/// What a sign-in or a refresh hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPair {
    /// For the `Authorization` header.
    pub access: Secret,
    /// Good for one [`Tokens::refresh`].
    pub refresh: Secret,
    /// Life of the access token in seconds.
    pub expires_in: i64,
    /// The family, to revoke it by.
    pub family: String,
}

/// Issues and judges tokens. Clones share it.
#[derive(Clone)]
pub struct Tokens {
    shared: Arc<Shared>,
}

struct Shared {
    control: Control,
    settings: TokenSettings,
    keys: RwLock<signing::SigningKeys>,
    news: news::News,
    holders: RwLock<Holders>,
}

/// People of whom something is known.
#[derive(Default)]
struct Holders {
    known: HashMap<String, Seen>,
    /// How often people were forgotten: what was read before is not kept afterwards.
    forgotten: u64,
}

/// A person who may hold tokens: active, in an active tenant.
#[derive(Clone, Debug)]
struct Holder {
    user: User,
    principal: Principal,
}

/// What was found of a person, and when on the monotonic clock.
struct Seen {
    holder: Option<Arc<Holder>>,
    at: Duration,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Reads keys and news, and makes the first key if there is none.
    pub async fn open(control: Control, settings: TokenSettings) -> Result<Self, ControlError> {
        let shared = Shared {
            control,
            settings,
            keys: RwLock::default(),
            news: news::News::default(),
            holders: RwLock::default(),
        };
        let tokens = Self { shared: Arc::new(shared) };
        tokens.load_keys().await?;
        tokens.read_news(Duration::ZERO).await?;
        tokens.signing_key().await?;
        Ok(tokens)
    }

    /// Forgets what is known of a person, so that a change of theirs counts at once in this process.
    pub fn forget_user(&self, user_id: &str) {
        let mut holders = self.shared.holders.write();
        holders.known.remove(user_id);
        holders.forgotten += 1;
    }

    /// Forgets what is known of a tenant's people, as after a change of a role that they carry.
    pub fn forget_tenant(&self, tenant: &TenantId) {
        let mut holders = self.shared.holders.write();
        holders
            .known
            .retain(|_, seen| seen.holder.as_ref().is_some_and(|holder| holder.user.tenant != *tenant));
        holders.forgotten += 1;
    }

    /// Removes what has ended.
    pub async fn remove_ended(&self) -> Result<(), ControlError> {
        let now = self.now();
        let mut tx = self.shared.control.begin().await?;
        for statement in [
            "DELETE FROM token_families WHERE expires_at <= $1",
            // Its tokens are refused like any that are not known; a day is for whoever asks why.
            "DELETE FROM token_families WHERE revoked_at <= $1 - 86400000",
            "DELETE FROM refresh_tokens WHERE expires_at <= $1",
            "DELETE FROM token_news WHERE expires_at <= $1",
            "DELETE FROM signing_keys WHERE state = 'old' AND verifies_until <= $1",
        ] {
            tx.execute(sqlx::query(statement).bind(now)).await?;
        }
        let window_ms = i64::try_from(self.shared.settings.issue_window.as_millis()).unwrap_or(i64::MAX);
        let issues = sqlx::query("DELETE FROM token_issues WHERE window_start <= $1");
        tx.execute(issues.bind(now.saturating_sub(window_ms))).await?;
        tx.commit().await?;
        self.shared.news.forget_ended(now);
        Ok(())
    }

    fn now(&self) -> i64 {
        self.shared.control.now()
    }

    /// The person as they are now; `None` for one who is gone, disabled, or of a tenant that is not active.
    async fn find_holder(
        &self,
        connection: &mut AnyConnection,
        user_id: &str,
    ) -> Result<Option<Holder>, ControlError> {
        let statement = format!(
            "SELECT {COLUMNS} FROM users JOIN tenants ON tenants.id = users.tenant_id \
             WHERE users.id = $1 AND users.state = 'active' AND tenants.state = 'active'"
        );
        let row =
            sqlx::query(AssertSqlSafe(statement)).bind(user_id).fetch_optional(&mut *connection).await?;
        let Some(user) = row.as_ref().map(user_of_row).transpose()? else { return Ok(None) };
        let grant = find_grant(connection, &user.tenant, &user.role).await?;
        // A role that is gone permits nothing.
        let (permissions, selector) =
            grant.map_or((Permissions::NONE, None), |grant| (grant.permissions, grant.selector));
        let principal = Principal {
            tenant: user.tenant.clone(),
            who: Actor { kind: ActorKind::User, id: user.id.clone(), name: user.email.clone() },
            key_id: None,
            permissions,
            selector,
        };
        Ok(Some(Holder { user, principal }))
    }

    /// The person as they were at most ten seconds ago.
    async fn known_holder(&self, user_id: &str) -> Result<Option<Arc<Holder>>, ControlError> {
        let now = self.shared.control.shared.clock.monotonic();
        let is_fresh = |seen: &Seen| now.saturating_sub(seen.at) < HOLDER_LIFE;
        let forgotten = {
            let holders = self.shared.holders.read();
            if let Some(seen) = holders.known.get(user_id).filter(|seen| is_fresh(seen)) {
                return Ok(seen.holder.clone());
            }
            holders.forgotten
        };
        let holder = {
            let mut connection = self.shared.control.read().await?;
            self.find_holder(&mut connection, user_id).await?.map(Arc::new)
        };
        let mut holders = self.shared.holders.write();
        if holders.forgotten != forgotten {
            return Ok(holder);
        }
        if holders.known.len() >= HOLDERS_MAX {
            holders.known.retain(|_, seen| is_fresh(seen));
        }
        // Starting over costs one query a person.
        if holders.known.len() >= HOLDERS_MAX {
            holders.known.clear();
        }
        holders.known.insert(user_id.to_owned(), Seen { holder: holder.clone(), at: now });
        Ok(holder)
    }
}

/// As a service it rotates keys when their time has come and removes what has ended.
#[async_trait]
impl Service for Tokens {
    async fn run(&self, shutdown: Shutdown) -> Result<(), BoxError> {
        for round in 1u32.. {
            tokio::select! {
                () = shutdown.requested() => break,
                () = self.shared.control.shared.clock.sleep(TICK) => {}
            }
            self.signing_key().await?;
            if round.is_multiple_of(TICKS_PER_SWEEP) {
                self.remove_ended().await?;
            }
        }
        Ok(())
    }

    async fn health(&self) -> Result<HealthStatus, BoxError> {
        Ok(HealthStatus::healthy())
    }

    fn gauges(&self) -> Vec<(String, f64)> {
        vec![
            ("revoked_tokens".to_owned(), self.shared.news.len() as f64),
            ("verifying_keys".to_owned(), self.shared.keys.read().len() as f64),
        ]
    }
}

/// Reads one number of a row that must be there.
fn number(row: &sqlx::any::AnyRow, column: &str) -> Result<i64, ControlError> {
    Ok(row.try_get(column)?)
}
