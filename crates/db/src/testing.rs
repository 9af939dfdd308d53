//! A database of each kind for tests: SQLite in a temporary folder always, PostgreSQL in a database of its
//! own when `BELLWETHER_TEST_POSTGRES` holds a server's URL.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kit::{ManualClock, SharedClock};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};
use tempfile::TempDir;

use crate::database::{Database, DatabaseSettings};

/// What a test is given.
pub struct Fixture {
    /// Open and empty.
    pub db: Database,
    /// Its clock, at 1,700,000,000,000 ms.
    pub clock: ManualClock,
    /// How it was opened, to open it again.
    pub settings: DatabaseSettings,
    // Removed when the test ends.
    _folder: Option<TempDir>,
}

impl Fixture {
    /// The clock as services take it.
    pub fn shared_clock(&self) -> SharedClock {
        Arc::new(self.clock.clone())
    }

    async fn open(url: String, folder: Option<TempDir>) -> Self {
        let clock = ManualClock::at(1_700_000_000_000);
        let settings =
            DatabaseSettings { url, pool_size: 4, timeout: Duration::from_secs(10), tls_required: false };
        let db =
            Database::open(settings.clone(), Arc::new(clock.clone())).await.expect("the test database opens");
        Self { db, clock, settings, _folder: folder }
    }
}

/// Runs a test on each kind of database there is.
///
/// # Panics
/// When the test does, or a database cannot be made.
pub async fn each_backend<Fut: Future<Output = ()>>(test: impl Fn(Arc<Fixture>) -> Fut) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}", folder.path().display());
    let fixture = Arc::new(Fixture::open(url, Some(folder)).await);
    test(fixture.clone()).await;
    fixture.db.close().await;

    let Ok(server) = std::env::var("BELLWETHER_TEST_POSTGRES") else { return };
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("bw_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    sqlx::any::install_default_drivers();
    let mut admin = AnyConnection::connect(&server).await.expect("the PostgreSQL server answers");
    let drop_it = || AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    admin.execute(drop_it()).await.expect("a left-over database can be dropped");
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.expect("a database can be created");
    // The database is the last part of the path, before any parameters.
    let (base, parameters) =
        server.split_once('?').map_or((server.as_str(), ""), |(base, rest)| (base, rest));
    let host = base.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let fixture = Arc::new(Fixture::open(format!("{host}/{name}?{parameters}"), None).await);
    test(fixture.clone()).await;
    fixture.db.close().await;
    admin.execute(drop_it()).await.expect("the database can be dropped");
}
