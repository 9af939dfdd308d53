//! Tenants' parts, made and dropped.
//!
//! A new SQLite part is a copy of a file that was migrated once, which takes a few milliseconds whatever the
//! number of tables. A new PostgreSQL part is a schema `tenant_<id>` that the role `app_role`, if the server
//! lets us have one, may use in full.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use kit::spawn::spawn_blocking;
use model::TenantId;
use sqlx::{Any, AssertSqlSafe, Executor, Pool};

use crate::database::{Database, Home};
use crate::error::DbError;
use crate::migrate::{LOCK, MigrationSet, fingerprint};
use crate::pool::SqlitePools;
use crate::scope::{Inner, Scope, quoted};

/// Who applications of the operator's own connect as to read tenants' schemas.
const APP_ROLE: &str = "app_role";

impl Database {
    /// Makes a tenant's part, its tables up to date with `sets`. A part that is there is kept and brought up
    /// to date.
    pub async fn create_tenant(&self, tenant: &TenantId, sets: &[&MigrationSet]) -> Result<Scope, DbError> {
        let scope = self.create_part(tenant, sets).await?;
        for set in sets {
            scope.migrate(set, &*self.shared.clock).await?;
        }
        Ok(scope)
    }

    /// The first half of that: the schema with its grants, or the file. A new file has the tables of `sets`
    /// already. A part that is there is kept as it is.
    pub async fn create_part(&self, tenant: &TenantId, sets: &[&MigrationSet]) -> Result<Scope, DbError> {
        match &self.shared.home {
            Home::Folder(folder) => {
                let target = file(folder, tenant);
                if !is_file(&target)? {
                    let template = self.template(folder, sets).await?;
                    blocking(folder, move || copy(&template, &target)).await?;
                }
            }
            Home::Server(pool) => create_schema(pool, &schema(tenant)).await?,
        }
        let scope = self.tenant(tenant).await?;
        scope.grant_app_role().await?;
        Ok(scope)
    }

    /// True when the tenant has a part.
    pub async fn has_tenant(&self, tenant: &TenantId) -> Result<bool, DbError> {
        match &self.shared.home {
            Home::Folder(folder) => is_file(&file(folder, tenant)),
            Home::Server(pool) => has_schema(pool, &schema(tenant)).await,
        }
    }

    /// Drops a tenant's part with all that is in it. Dropping one that is not there does nothing. Whoever
    /// still holds its scope fails from now on.
    pub async fn drop_tenant(&self, tenant: &TenantId) -> Result<(), DbError> {
        self.close_tenant(tenant).await;
        match &self.shared.home {
            Home::Folder(folder) => {
                let file = file(folder, tenant);
                blocking(folder, move || remove(&file)).await?;
                // Opened again between the closing and the removal.
                self.close_tenant(tenant).await;
                Ok(())
            }
            Home::Server(pool) => {
                let statement = format!("DROP SCHEMA IF EXISTS {} CASCADE", quoted(&schema(tenant)));
                pool.execute(AssertSqlSafe(statement)).await?;
                self.close_tenant(tenant).await;
                Ok(())
            }
        }
    }

    async fn close_tenant(&self, tenant: &TenantId) {
        let open = self.shared.tenants.lock().open.remove(tenant);
        if let Some((scope, _)) = open
            && let Inner::Sqlite { pools, .. } = &*scope.inner
        {
            pools.close().await;
        }
    }

    /// The file that new tenants' files are copied from. A change of any step makes another.
    async fn template(&self, folder: &Path, sets: &[&MigrationSet]) -> Result<PathBuf, DbError> {
        let name = format!("template-{}.db", fingerprint(sets));
        let template = folder.join(&name);
        let _making = self.shared.template.lock().await;
        if is_file(&template)? {
            return Ok(template);
        }
        let unfinished = folder.join(unfinished(&name));
        let discard = unfinished.clone();
        blocking(folder, move || remove(&discard)).await?;
        let pools = SqlitePools::open(&unfinished, &self.shared.settings)?;
        let scope = Scope::sqlite(name, pools.clone());
        for set in sets {
            scope.migrate(set, &*self.shared.clock).await?;
        }
        // What is still in the write-ahead log would be missing from the copies.
        pools.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").await?;
        pools.close().await;
        let (home, made) = (folder.to_owned(), template.clone());
        blocking(folder, move || {
            if beside(&unfinished, "-wal").try_exists()? {
                return Err(io::Error::other("the template of tenants' files is still in use; try again"));
            }
            discard_old_templates(&home, &made)?;
            fs::rename(&unfinished, &made)?;
            File::open(&home)?.sync_all()
        })
        .await?;
        Ok(template)
    }
}

impl Scope {
    /// On PostgreSQL gives `app_role`, if there is one, the schema and every table, now and later.
    pub async fn grant_app_role(&self) -> Result<(), DbError> {
        let Inner::Postgres { schema, pool } = &*self.inner else { return Ok(()) };
        // The name is a tenant id behind a prefix, which holds no quote.
        let (name, schema) = (schema, quoted(schema));
        // Two nodes that grant at once would fail with "tuple concurrently updated", hence the lock; what was
        // granted holds for later tables, too, hence the look.
        let grants = format!(
            "DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN \
                 PERFORM pg_advisory_xact_lock({LOCK}); \
                 IF NOT has_schema_privilege('{APP_ROLE}', '{name}', 'USAGE') THEN \
                     GRANT USAGE ON SCHEMA {schema} TO {APP_ROLE}; \
                     GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {APP_ROLE}; \
                     ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT ALL ON TABLES TO {APP_ROLE}; \
                 END IF; \
             END IF; END $$"
        );
        pool.execute(sqlx::raw_sql(AssertSqlSafe(grants))).await?;
        Ok(())
    }
}

/// The name of a tenant's schema.
pub(crate) fn schema(tenant: &TenantId) -> String {
    format!("tenant_{tenant}")
}

/// A tenant's file.
pub(crate) fn file(folder: &Path, tenant: &TenantId) -> PathBuf {
    folder.join(format!("tenant-{tenant}.db"))
}

pub(crate) fn is_file(file: &Path) -> Result<bool, DbError> {
    file.try_exists().map_err(|source| DbError::Folder { folder: file.display().to_string(), source })
}

pub(crate) async fn has_schema(pool: &Pool<Any>, schema: &str) -> Result<bool, DbError> {
    let found = sqlx::query("SELECT 1 FROM pg_namespace WHERE nspname = $1").bind(schema);
    Ok(found.fetch_optional(pool).await?.is_some())
}

pub(crate) async fn create_schema(pool: &Pool<Any>, schema: &str) -> Result<(), DbError> {
    let statement = format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema));
    match pool.execute(AssertSqlSafe(statement)).await {
        Ok(_) => Ok(()),
        // Two nodes at once: IF NOT EXISTS does not cover the moment between its look and its insert.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the role if it is missing and we may. Without it everything works but the operator's own access.
pub(crate) async fn create_app_role(pool: &Pool<Any>) -> Result<(), DbError> {
    let statement = format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN \
             CREATE ROLE {APP_ROLE} NOLOGIN; END IF; \
         EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN NULL; END $$"
    );
    pool.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    Ok(())
}

/// Copies the template whole or not at all; keeps a file that is there.
fn copy(template: &Path, target: &Path) -> io::Result<()> {
    let name = target.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let unfinished = target.with_file_name(unfinished(name));
    // The permissions, readable by the owner only, are copied, too.
    fs::copy(template, &unfinished)?;
    let linked = File::open(&unfinished).and_then(|file| file.sync_all()).and_then(|()| {
        // Unlike a rename, a link does not replace what another process put there meanwhile.
        match fs::hard_link(&unfinished, target) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    });
    fs::remove_file(&unfinished)?;
    linked
}

/// A name for a file that is being made, which nobody else makes at the same time.
fn unfinished(name: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("unfinished-{}-{}-{name}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What SQLite keeps beside a file.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes a SQLite file and what lies beside it. The file itself goes last, so that a crash in between does
/// not leave a log to a file that is made anew.
fn remove(file: &Path) -> io::Result<()> {
    for suffix in ["-shm", "-wal", ""] {
        match fs::remove_file(beside(file, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Removes the templates of other versions. Ours stays: another process may have made it meanwhile, and copy
/// it now.
fn discard_old_templates(folder: &Path, ours: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("template-") && name.ends_with(".db") && path != ours {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Runs work on files off the runtime's threads, then makes the folder's entries durable.
async fn blocking(
    folder: &Path,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), DbError> {
    let home = folder.to_owned();
    let done = spawn_blocking("tenant-file", move || {
        work()?;
        File::open(&home)?.sync_all()
    });
    let result = match done.await {
        Ok(result) => result,
        Err(stopped) => Err(io::Error::other(stopped)),
    };
    result.map_err(|source| DbError::Folder { folder: folder.display().to_string(), source })
}
