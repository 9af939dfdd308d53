//! The whole of the control plane, and the first start.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use db::{Database, MigrationSet};
use kit::{BoxError, HealthStatus, Service, SharedClock, Shutdown};
use model::TenantId;
use parking_lot::Mutex;

use crate::cache::{KeyCache, TenantCache};
use crate::error::ControlError;
use crate::keys::{KeyGrant, NewKey};
use crate::links::LINK_LIFE;
use crate::passwords::Hasher;
use crate::permissions::{Principal, Role};
use crate::provision::Creations;
use crate::schema;
use crate::scopes::KeyScopes;
use crate::sealed::Keyring;
use crate::secret::Secret;
use crate::users::NewUser;

/// How often uses of keys are written down.
const WRITE_INTERVAL: Duration = Duration::from_secs(10);

/// What has ended is removed every so many writes: each ten minutes.
const WRITES_PER_SWEEP: u32 = 60;

/// The control plane. Clones share it.
#[derive(Clone)]
pub struct Control {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) db: Database,
    pub(crate) clock: SharedClock,
    pub(crate) keyring: Keyring,
    pub(crate) keys: KeyCache,
    /// When each key was last used, milliseconds, until it is written down. Bounded by the keys there are.
    pub(crate) used: Mutex<HashMap<String, i64>>,
    /// The sets of tables that each tenant's part has.
    pub(crate) tenant_sets: Vec<&'static MigrationSet>,
    /// Tenants whose tables this process brought up to date.
    pub(crate) migrated: Mutex<HashSet<TenantId>>,
    pub(crate) tenants: TenantCache,
    pub(crate) creations: Creations,
    /// One set of files at a time: it holds a transaction of each part.
    pub(crate) applying: tokio::sync::Mutex<()>,
    pub(crate) hasher: Hasher,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("db", &self.shared.db).finish_non_exhaustive()
    }
}

/// What the first start hands to whoever started it. Shown once.
#[derive(Debug)]
pub struct First {
    /// A key with every scope for tenant `default`.
    pub key: Secret,
    /// The token of a sign-in link for the first user.
    pub link_token: Secret,
}

impl Control {
    /// Brings the tables up to date.
    pub async fn open(db: Database, clock: SharedClock, keyring: Keyring) -> Result<Self, ControlError> {
        Self::open_with(db, clock, keyring, &[]).await
    }

    /// The same, with tables that other crates keep in each tenant's part.
    pub async fn open_with(
        db: Database,
        clock: SharedClock,
        keyring: Keyring,
        more: &[&'static MigrationSet],
    ) -> Result<Self, ControlError> {
        db.control().migrate(&schema::SHARED, &*clock).await?;
        db.control().migrate(&db::jobs::TABLES, &*clock).await?;
        let shared = Shared {
            db,
            clock,
            keyring,
            keys: KeyCache::default(),
            used: Mutex::default(),
            tenant_sets: [&schema::TENANT].iter().chain(more).copied().collect(),
            migrated: Mutex::default(),
            tenants: TenantCache::default(),
            creations: Creations::default(),
            applying: tokio::sync::Mutex::default(),
            hasher: Hasher::new()?,
        };
        let control = Self { shared: Arc::new(shared) };
        control.insert_built_in().await?;
        Ok(control)
    }

    /// The keys that secrets are sealed with and addresses are signed with.
    pub fn keyring(&self) -> &Keyring {
        &self.shared.keyring
    }

    /// The database behind, for what keeps tables of its own in it.
    pub fn database(&self) -> &Database {
        &self.shared.db
    }

    /// Closes every connection; later calls fail.
    pub async fn close(&self) {
        self.shared.db.close().await;
    }

    /// On the very first start creates the first user, a key and a sign-in link; `None` ever after. Two
    /// processes that start together agree on which is first.
    pub async fn bootstrap(&self) -> Result<Option<First>, ControlError> {
        let tenant = TenantId::default_tenant();
        let mut tx = self.begin().await?;
        let first = sqlx::query("INSERT INTO control_facts (name, value) VALUES ('bootstrapped_at', $1) ON CONFLICT (name) DO NOTHING")
            .bind(self.now().to_string())
            .execute(&mut *tx)
            .await?;
        if first.rows_affected() == 0 {
            return Ok(None);
        }
        let user =
            NewUser { email: "admin@localhost", name: "Administrator", role: Role::PlatformAdmin.as_str() };
        let user = self.insert_user(&mut tx, &tenant, user).await?;
        let grant = KeyGrant::Scopes(KeyScopes::ALL);
        let key = NewKey { name: "bootstrap", grant, expires_at: None };
        let (_, key) = self.insert_key(&mut tx, &tenant, &Principal::system(), key).await?;
        let link = self.insert_link(&mut tx, &user.id, "", LINK_LIFE).await?;
        tx.commit().await?;
        Ok(Some(First { key, link_token: link.token }))
    }

    pub(crate) fn now(&self) -> i64 {
        self.shared.clock.now_ms()
    }

    pub(crate) async fn begin(&self) -> Result<db::Tx, ControlError> {
        Ok(self.shared.db.control().begin().await?)
    }

    pub(crate) async fn read(&self) -> Result<db::Conn, ControlError> {
        Ok(self.shared.db.control().read().await?)
    }

    /// Writes down when keys were last used.
    pub(crate) async fn write_uses(&self) -> Result<(), ControlError> {
        let used = std::mem::take(&mut *self.shared.used.lock());
        if used.is_empty() {
            return Ok(());
        }
        let result = self.try_write_uses(&used).await;
        if result.is_err() {
            // Kept for the next time, unless a later use is known by then.
            let mut pending = self.shared.used.lock();
            for (id, at) in used {
                pending.entry(id).or_insert(at);
            }
        }
        result
    }

    async fn try_write_uses(&self, used: &HashMap<String, i64>) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        for (id, at) in used {
            sqlx::query("UPDATE api_keys SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)")
                .bind(*at)
                .bind(id.as_str())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// As a service it writes down uses of keys and removes what has ended.
#[async_trait]
impl Service for Control {
    async fn run(&self, shutdown: Shutdown) -> Result<(), BoxError> {
        for round in 1u32.. {
            tokio::select! {
                () = shutdown.requested() => break,
                () = self.shared.clock.sleep(WRITE_INTERVAL) => {}
            }
            self.write_uses().await?;
            if round.is_multiple_of(WRITES_PER_SWEEP) {
                self.remove_ended().await?;
            }
        }
        Ok(())
    }

    async fn health(&self) -> Result<HealthStatus, BoxError> {
        self.shared.db.ping().await?;
        Ok(HealthStatus::healthy())
    }

    fn gauges(&self) -> Vec<(String, f64)> {
        vec![("cached_keys".to_owned(), self.shared.keys.len() as f64)]
    }

    async fn cleanup(&self) -> Result<(), BoxError> {
        Ok(self.write_uses().await?)
    }
}
