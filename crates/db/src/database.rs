//! The whole database: the shared part and the tenants' parts.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kit::{BoxError, HealthStatus, Service, SharedClock, Shutdown};
use model::TenantId;
use parking_lot::Mutex;
use sqlx::{Any, Executor, Pool};

use crate::error::DbError;
use crate::parts;
use crate::pool::{self, SqlitePools};
use crate::scope::{Backend, Inner, Scope};

/// Tenant files open at once; above it the one unused for longest is closed.
const TENANTS_OPEN_MAX: usize = 64;

/// A tenant file nobody asked for is closed after this.
const TENANT_IDLE_MAX: Duration = Duration::from_secs(300);

/// How often idle files are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How to reach the database.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// `sqlite:///folder` or `postgres://user:password@host/name`.
    pub url: String,
    /// Connections open at once: to the server, or to each file (one writer, the rest readers).
    pub pool_size: u32,
    /// Longest wait for a connection, for a lock, and (on PostgreSQL) for a statement.
    pub timeout: Duration,
    /// Refuse a server without TLS.
    pub tls_required: bool,
}

impl fmt::Debug for DatabaseSettings {
    // The URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSettings")
            .field("pool_size", &self.pool_size)
            .field("timeout", &self.timeout)
            .field("tls_required", &self.tls_required)
            .finish_non_exhaustive()
    }
}

impl From<&kit::config::settings::Database> for DatabaseSettings {
    fn from(settings: &kit::config::settings::Database) -> Self {
        Self {
            url: settings.url.expose().to_owned(),
            pool_size: settings.pool_size,
            timeout: Duration::from_millis(settings.timeout_ms),
            tls_required: settings.ssl_enabled,
        }
    }
}

/// The database. Clones share it.
#[derive(Clone)]
pub struct Database {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) settings: DatabaseSettings,
    pub(crate) clock: SharedClock,
    control: Scope,
    pub(crate) home: Home,
    pub(crate) tenants: Mutex<Tenants>,
    /// Held while the template of new tenants' files is made.
    pub(crate) template: tokio::sync::Mutex<()>,
}

pub(crate) enum Home {
    Folder(PathBuf),
    Server(Pool<Any>),
}

#[derive(Default)]
pub(crate) struct Tenants {
    pub(crate) open: HashMap<TenantId, (Scope, Duration)>,
    closed: bool,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("backend", &self.backend()).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the database and checks that it answers. A SQLite folder is created if it is missing.
    pub async fn open(settings: DatabaseSettings, clock: SharedClock) -> Result<Self, DbError> {
        let (scheme, rest) = settings.url.split_once("://").unwrap_or(("", ""));
        let (control, home) = match scheme {
            "sqlite" => {
                if rest.is_empty() || rest.contains(['?', '#']) {
                    return Err(DbError::Url("write sqlite:///folder, a folder and nothing else".to_owned()));
                }
                let folder = folder(rest)?;
                let pools = SqlitePools::open(&folder.join("control.db"), &settings)?;
                (Scope::sqlite("control".to_owned(), pools), Home::Folder(folder))
            }
            "postgres" | "postgresql" => {
                let pool = pool::postgres(&settings)?;
                parts::create_schema(&pool, "bellwether_control").await?;
                parts::create_app_role(&pool).await?;
                (Scope::postgres("bellwether_control".to_owned(), pool.clone()), Home::Server(pool))
            }
            _ => return Err(DbError::Url("write sqlite:///folder or postgres://user@host/name".to_owned())),
        };
        let shared = Shared {
            settings,
            clock,
            control,
            home,
            tenants: Mutex::default(),
            template: tokio::sync::Mutex::default(),
        };
        let database = Self { shared: Arc::new(shared) };
        database.ping().await?;
        Ok(database)
    }

    /// Which database it is.
    pub fn backend(&self) -> Backend {
        self.shared.control.backend()
    }

    /// The shared part: tenants, keys, users, sessions, jobs.
    pub fn control(&self) -> Scope {
        self.shared.control.clone()
    }

    /// A tenant's part, which [`Database::create_tenant`] made.
    pub async fn tenant(&self, tenant: &TenantId) -> Result<Scope, DbError> {
        let now = self.shared.clock.monotonic();
        {
            let mut tenants = self.shared.tenants.lock();
            if tenants.closed {
                return Err(DbError::Closed);
            }
            if let Some((scope, used)) = tenants.open.get_mut(tenant) {
                *used = now;
                return Ok(scope.clone());
            }
        }
        let scope = match &self.shared.home {
            Home::Folder(folder) => {
                // Connections are made when first used, so that a race opens nothing twice.
                let file = parts::file(folder, tenant);
                if !parts::is_file(&file)? {
                    return Err(DbError::NoTenant { tenant: tenant.clone() });
                }
                Scope::sqlite(format!("tenant {tenant}"), SqlitePools::open(&file, &self.shared.settings)?)
            }
            Home::Server(pool) => {
                let schema = parts::schema(tenant);
                if !parts::has_schema(pool, &schema).await? {
                    return Err(DbError::NoTenant { tenant: tenant.clone() });
                }
                Scope::postgres(schema, pool.clone())
            }
        };
        let scope = {
            let mut tenants = self.shared.tenants.lock();
            if tenants.closed {
                return Err(DbError::Closed);
            }
            tenants.open.entry(tenant.clone()).or_insert((scope, now)).0.clone()
        };
        self.close_idle().await;
        Ok(scope)
    }

    /// Tenants whose part is open now.
    pub fn tenants_open(&self) -> usize {
        self.shared.tenants.lock().open.len()
    }

    /// Closes tenants' files that nobody uses: those idle for long, and the longest unused above the limit.
    pub async fn close_idle(&self) {
        let now = self.shared.clock.monotonic();
        let idle: Vec<Scope> = {
            let mut tenants = self.shared.tenants.lock();
            let mut unused: Vec<_> = tenants
                .open
                .iter()
                .filter(|(_, (scope, _))| Arc::strong_count(&scope.inner) == 1)
                .map(|(tenant, (_, used))| (*used, tenant.clone()))
                .collect();
            unused.sort();
            let over = tenants.open.len().saturating_sub(TENANTS_OPEN_MAX);
            let going = unused
                .into_iter()
                .enumerate()
                .filter(|(n, (used, _))| *n < over || now.saturating_sub(*used) >= TENANT_IDLE_MAX);
            let going: Vec<_> = going.map(|(_, (_, tenant))| tenant).collect();
            going.iter().filter_map(|tenant| tenants.open.remove(tenant)).map(|(scope, _)| scope).collect()
        };
        for scope in idle {
            if let Inner::Sqlite { pools, .. } = &*scope.inner {
                pools.close().await;
            }
        }
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), DbError> {
        let mut connection = self.shared.control.read().await?;
        connection.execute("SELECT 1").await?;
        Ok(())
    }

    /// Closes every connection, after those in use were returned. Later calls fail.
    pub async fn close(&self) {
        let open = {
            let mut tenants = self.shared.tenants.lock();
            tenants.closed = true;
            std::mem::take(&mut tenants.open)
        };
        for (scope, _) in open.into_values().chain([(self.control(), Duration::ZERO)]) {
            match &*scope.inner {
                Inner::Sqlite { pools, .. } => pools.close().await,
                Inner::Postgres { pool, .. } => pool.close().await,
            }
        }
    }
}

/// An absolute folder that exists.
fn folder(path: &str) -> Result<PathBuf, DbError> {
    let failed = |source| DbError::Folder { folder: path.to_owned(), source };
    let folder = std::path::absolute(path).map_err(failed)?;
    fs::create_dir_all(&folder).map_err(failed)?;
    Ok(folder)
}

/// As a service it closes idle files and answers health.
#[async_trait]
impl Service for Database {
    async fn run(&self, shutdown: Shutdown) -> Result<(), BoxError> {
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                () = self.shared.clock.sleep(SWEEP_INTERVAL) => self.close_idle().await,
            }
        }
    }

    async fn health(&self) -> Result<HealthStatus, BoxError> {
        self.ping().await?;
        Ok(HealthStatus::healthy())
    }

    fn gauges(&self) -> Vec<(String, f64)> {
        vec![("tenants_open".to_owned(), self.tenants_open() as f64)]
    }

    async fn cleanup(&self) -> Result<(), BoxError> {
        self.close().await;
        Ok(())
    }
}
