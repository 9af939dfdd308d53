//! Tables, up and down.
//!
//! Each crate brings a set of migrations under a name of its own. What ran is recorded in the same schema,
//! with a checksum, in the same transaction as the change itself; a lock lets one node run them while the
//! others wait and then find nothing left to do.

use std::collections::BTreeMap;
use std::fmt::Write;

use kit::Clock;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::error::DbError;
use crate::scope::{Backend, Scope, Tx};

/// One step. `{blob}` in its text becomes the backend's type for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Position in its set: 1, 2, 3, …
    pub version: i64,
    /// What it does, in a few words.
    pub name: &'static str,
    /// Statements that do it.
    pub up: &'static str,
    /// Statements that undo it.
    pub down: &'static str,
}

/// The migrations of one crate, in ascending order of version.
#[derive(Clone, Copy, Debug)]
pub struct MigrationSet {
    /// Unique among the sets of a schema.
    pub name: &'static str,
    /// Every step there ever was.
    pub migrations: &'static [Migration],
}

/// One step and whether it ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Position in its set.
    pub version: i64,
    /// What it does.
    pub name: String,
    /// When it ran, milliseconds since the Unix epoch; `None` while it waits.
    pub applied_at: Option<i64>,
}

const RECORDS: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    set_name TEXT NOT NULL,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (set_name, version)
)";

/// The number under which PostgreSQL keeps our lock: `bwmigr` in ASCII.
pub(crate) const LOCK: i64 = 0x6277_6d69_6772;

impl Scope {
    /// Runs what has not run yet, one transaction a step. Returns the versions it applied. A step that
    /// fails leaves the schema as the step before left it.
    pub async fn migrate(&self, set: &MigrationSet, clock: &dyn Clock) -> Result<Vec<i64>, DbError> {
        let mut applied = Vec::new();
        loop {
            let mut tx = self.begin_migration().await?;
            let done = recorded(&mut tx, set).await?;
            let Some(next) = next(set, &done)? else {
                tx.commit().await?;
                return Ok(applied);
            };
            self.step(&mut tx, set, next, next.up).await?;
            sqlx::query(
                "INSERT INTO schema_migrations (set_name, version, name, checksum, applied_at) \
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(set.name)
            .bind(next.version)
            .bind(next.name)
            .bind(checksum(next))
            .bind(clock.now_ms())
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            tracing::info!(
                scope = self.name(),
                set = set.name,
                version = next.version,
                name = next.name,
                "migrated"
            );
            applied.push(next.version);
        }
    }

    /// Undoes every step above `version`, the latest first. Returns the versions it undid.
    pub async fn rollback(&self, set: &MigrationSet, version: i64) -> Result<Vec<i64>, DbError> {
        let mut undone = Vec::new();
        loop {
            let mut tx = self.begin_migration().await?;
            let done = recorded(&mut tx, set).await?;
            next(set, &done)?;
            let last =
                set.migrations.iter().rev().find(|m| m.version > version && done.contains_key(&m.version));
            let Some(last) = last else {
                tx.commit().await?;
                return Ok(undone);
            };
            self.step(&mut tx, set, last, last.down).await?;
            sqlx::query("DELETE FROM schema_migrations WHERE set_name = $1 AND version = $2")
                .bind(set.name)
                .bind(last.version)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            undone.push(last.version);
        }
    }

    /// Every step of the set and when it ran.
    pub async fn migrations(&self, set: &MigrationSet) -> Result<Vec<MigrationStatus>, DbError> {
        let mut tx = self.begin_migration().await?;
        let done = recorded(&mut tx, set).await?;
        tx.commit().await?;
        let status = |m: &Migration| MigrationStatus {
            version: m.version,
            name: m.name.to_owned(),
            applied_at: done.get(&m.version).map(|record| record.applied_at),
        };
        Ok(set.migrations.iter().map(status).collect())
    }

    /// A transaction that is the only one migrating, with the table of records in place.
    async fn begin_migration(&self) -> Result<Tx, DbError> {
        let mut tx = self.begin().await?;
        if self.backend() == Backend::Postgres {
            // `void` is a type the driver cannot carry.
            tx.execute(AssertSqlSafe(format!("SELECT pg_advisory_xact_lock({LOCK})::text"))).await?;
            // Waiting for the lock is bounded; the step itself may take as long as the table is large.
            tx.execute("SET LOCAL statement_timeout = 0").await?;
        }
        tx.execute(RECORDS).await?;
        Ok(tx)
    }

    async fn step(
        &self,
        tx: &mut Tx,
        set: &MigrationSet,
        migration: &Migration,
        text: &str,
    ) -> Result<(), DbError> {
        let bytes = match self.backend() {
            Backend::Sqlite => "BLOB",
            Backend::Postgres => "BYTEA",
        };
        let statements = AssertSqlSafe(text.replace("{blob}", bytes));
        let failed = |source| DbError::Migration {
            set: set.name,
            version: migration.version,
            name: migration.name,
            source,
        };
        tx.execute(sqlx::raw_sql(statements)).await.map_err(failed)?;
        Ok(())
    }
}

struct Record {
    name: String,
    checksum: String,
    applied_at: i64,
}

async fn recorded(tx: &mut Tx, set: &MigrationSet) -> Result<BTreeMap<i64, Record>, DbError> {
    let rows =
        sqlx::query("SELECT version, name, checksum, applied_at FROM schema_migrations WHERE set_name = $1")
            .bind(set.name)
            .fetch_all(&mut **tx)
            .await?;
    let mut records = BTreeMap::new();
    for row in rows {
        let record = Record { name: row.try_get(1)?, checksum: row.try_get(2)?, applied_at: row.try_get(3)? };
        records.insert(row.try_get(0)?, record);
    }
    Ok(records)
}

/// The first step that has not run. Refuses a history that is not this program's.
fn next<'a>(set: &'a MigrationSet, done: &BTreeMap<i64, Record>) -> Result<Option<&'a Migration>, DbError> {
    let known = set.migrations.last().map_or(0, |last| last.version);
    if let Some((&found, _)) = done.last_key_value()
        && found > known
    {
        return Err(DbError::Newer { set: set.name, found, known });
    }
    for migration in set.migrations {
        match done.get(&migration.version) {
            None => return Ok(Some(migration)),
            Some(record) if record.checksum != checksum(migration) => {
                let (version, name) = (migration.version, record.name.clone());
                return Err(DbError::MigrationChanged { set: set.name, version, name });
            }
            Some(_) => {}
        }
    }
    Ok(None)
}

/// What tells one history of migrations from another: changes with any step of any set.
pub(crate) fn fingerprint(sets: &[&MigrationSet]) -> String {
    let steps = sets.iter().flat_map(|set| set.migrations.iter().map(move |m| (set.name, m)));
    let digest = steps.fold(Sha256::new(), |digest, (set, m)| {
        digest.chain_update(set).chain_update([0]).chain_update(checksum(m)).chain_update([0])
    });
    hex(&digest.finalize()[..8])
}

/// SHA-256 of what a step does, in hex. How it is undone may be mended later.
fn checksum(migration: &Migration) -> String {
    hex(&Sha256::digest(migration.up))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        hex
    })
}
