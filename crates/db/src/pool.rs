//! How each backend connects.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AssertSqlSafe, ConnectOptions, Executor, Pool};

use crate::database::DatabaseSettings;
use crate::error::DbError;

/// A connection nobody uses is closed after this.
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);

/// Connections that only read one SQLite file. A reader costs a thread and a page cache.
const READERS_MAX: u32 = 4;

/// The pools of one SQLite file: one writer, so that writes queue here instead of failing as busy, and a
/// few readers, which WAL mode lets run beside it.
#[derive(Clone, Debug)]
pub(crate) struct SqlitePools {
    pub(crate) writer: Pool<Any>,
    pub(crate) readers: Pool<Any>,
}

impl SqlitePools {
    /// Connects when first used; creates the file, readable by its owner only.
    pub(crate) fn open(file: &Path, settings: &DatabaseSettings) -> Result<Self, DbError> {
        let url = sqlite_url(file)?;
        create_private(file)
            .map_err(|source| DbError::Folder { folder: file.display().to_string(), source })?;
        let options = connect_options(&url)?;
        let busy_ms = settings.timeout.as_millis();
        // FULL: in WAL mode NORMAL would lose commits at a power failure.
        let pragmas = format!(
            "PRAGMA busy_timeout = {busy_ms}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA foreign_keys = ON; PRAGMA cache_size = -1024;"
        );
        let writer = pool(settings, 1, pragmas.clone()).connect_lazy_with(options.clone());
        let readers = settings.pool_size.saturating_sub(1).min(READERS_MAX);
        let readers = match readers {
            0 => writer.clone(),
            n => pool(settings, n, format!("{pragmas} PRAGMA query_only = ON;")).connect_lazy_with(options),
        };
        Ok(Self { writer, readers })
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// The pool of a PostgreSQL server. Which schema a connection speaks to is set whenever it is taken.
pub(crate) fn postgres(settings: &DatabaseSettings) -> Result<Pool<Any>, DbError> {
    let mut url = settings.url.clone();
    if settings.tls_required && !url.contains("sslmode=") {
        url.push_str(if url.contains('?') { "&sslmode=require" } else { "?sslmode=require" });
    }
    let options = connect_options(&url)?;
    let setup = format!(
        "SET statement_timeout = {}; SET client_min_messages = 'warning'; SET timezone = 'UTC';",
        settings.timeout.as_millis()
    );
    // The next one who takes it sets the path again; between two requests nothing of a tenant is left.
    let pool = pool(settings, settings.pool_size, setup).after_release(|connection, _| {
        Box::pin(async move {
            connection.execute("RESET search_path").await?;
            Ok(true)
        })
    });
    Ok(pool.connect_lazy_with(options))
}

fn pool(settings: &DatabaseSettings, connections_max: u32, setup: String) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(settings.timeout)
        .idle_timeout(IDLE_TIME_MAX)
        .after_connect(move |connection, _| {
            let setup = setup.clone();
            Box::pin(async move {
                connection.execute(sqlx::raw_sql(AssertSqlSafe(setup))).await?;
                Ok(())
            })
        })
}

fn connect_options(url: &str) -> Result<AnyConnectOptions, DbError> {
    sqlx::any::install_default_drivers();
    // The parser's message may quote the URL, which may hold a password.
    let options = AnyConnectOptions::from_str(url).map_err(|_| {
        DbError::Url("is not a valid URL; write sqlite:///folder or postgres://user@host/name".into())
    })?;
    Ok(options.disable_statement_logging())
}

/// The URL of a file whose name may hold anything.
fn sqlite_url(file: &Path) -> Result<String, DbError> {
    let name = file.to_str().ok_or_else(|| DbError::Url(format!("{} is not UTF-8", file.display())))?;
    let mut url = String::from("sqlite://");
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                url.push(char::from(byte))
            }
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    url.push_str("?mode=rwc");
    Ok(url)
}

fn create_private(file: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(file).map(drop)
}
