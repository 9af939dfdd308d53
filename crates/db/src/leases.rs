//! Who owns what, for how long: each exclusive thing (a rule group, a check, a target) is a name held under a
//! lease with an epoch.
//!
//! **Epochs make it safe, clocks only make it quick.** No lease can keep two nodes from acting at the same moment:
//! the one that was just taken for dead may still be writing. So each effect carries the epoch, and whoever
//! stores effects refuses one older than the newest it has seen. Epochs of a name only rise, also over a restart
//! and after its row was swept away: a new one is at least the time in milliseconds.
//!
//! **Which clock.** The row holds the end of the lease by the clock of the node that wrote it, as everything else
//! in the product takes its time from the node; the database's clock would be one for all nodes, but SQLite has
//! none of its own, and a simulation could not move it. Nodes' clocks are expected to agree within [`SKEW_MAX`]:
//! a lease is free for others only that long after its end. A node whose clock is ahead by more takes leases
//! early; the holder finds out at its next renewal, and until then its effects carry the older epoch. A node
//! whose clock is behind takes them late. The holder itself never looks at the wall: [`LeaseKeeper`] counts from
//! before the request on the clock that does not go back.

mod keeper; // renews in the background
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kit::SharedClock;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::database::Database;
use crate::error::{DbError, Remedy};
use crate::jobs::{millis, tuples};
use crate::scope::Backend;

pub use keeper::{KeeperSettings, LeaseKeeper};

/// How far nodes' clocks may differ without harm to a holder.
pub const SKEW_MAX: Duration = Duration::from_secs(2);

/// Longest and shortest lease. A dead owner's things rest that long; shorter than the shortest, a hiccup of the
/// database loses everything.
const TTL_MS: std::ops::RangeInclusive<i64> = 1_000..=3_600_000;

const NAME_BYTES_MAX: usize = 512;
const OWNER_BYTES_MAX: usize = 128;

/// Names in one call.
const NAMES_MAX: usize = 100_000;

/// Names in one statement.
const NAMES_PER_STATEMENT: usize = 1_000;

/// A lease that ended is forgotten after this. Its next epoch is the time, which is higher still unless the
/// clock was set back by as much.
const REST_MS: i64 = 7 * 24 * 3_600_000;

/// A name that is held.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease {
    /// What is held.
    pub name: String,
    /// By whom.
    pub owner: String,
    /// Higher than that of any earlier lease of the name.
    pub epoch: i64,
}

/// An error of leases.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// An argument cannot be.
    #[error("{field}: {message}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// Why, and what to write instead.
        message: String,
    },
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<sqlx::Error> for LeaseError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

impl LeaseError {
    /// What the caller should do next.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Invalid { .. } => Remedy::FixRequest,
            Self::Db(error) => error.remedy(),
        }
    }
}

/// The leases in the shared part. Clones share it.
#[derive(Clone)]
pub struct Leases {
    db: Database,
    clock: SharedClock,
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases").field("db", &self.db).finish_non_exhaustive()
    }
}

impl Leases {
    /// Leases in the shared part, whose [`crate::jobs::TABLES`] are up to date.
    pub fn new(db: Database, clock: SharedClock) -> Self {
        Self { db, clock }
    }

    /// Takes a name, if nobody else holds it.
    pub async fn acquire(&self, name: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, LeaseError> {
        Ok(self.acquire_all(&[name.to_owned()], owner, ttl).await?.pop())
    }

    /// Takes those of the names that nobody else holds, in order of their name. What the owner holds already it
    /// gets anew, with a higher epoch, so a node that restarts under its name need not wait; to go on under the
    /// same epoch, [`Leases::renew_all`].
    pub async fn acquire_all(
        &self,
        names: &[String],
        owner: &str,
        ttl: Duration,
    ) -> Result<Vec<Lease>, LeaseError> {
        check_owner(owner)?;
        let ttl_ms = check_ttl(ttl)?;
        let names = sorted(names)?;
        let mut leases = Vec::with_capacity(names.len());
        for part in names.chunks(NAMES_PER_STATEMENT) {
            let mut tx = self.db.control().begin().await?;
            let now = self.clock.now_ms();
            // Looked at first: on PostgreSQL an attempt writes to the row even where it changes nothing, and a
            // node in reserve attempts all of them all the time.
            let free_until = now.saturating_sub(millis(SKEW_MAX));
            let held = read(&mut tx, part, free_until).await?;
            let free: Vec<&str> = part
                .iter()
                .copied()
                .filter(|name| held.get(*name).is_none_or(|lease| lease.owner == owner))
                .collect();
            if free.is_empty() {
                continue;
            }
            let statement = format!(
                "INSERT INTO leases (name, owner, epoch, expires_at) VALUES {} \
                 ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at, \
                     epoch = CASE WHEN leases.epoch < excluded.epoch THEN excluded.epoch \
                                  ELSE leases.epoch + 1 END \
                 WHERE leases.owner IN ('', excluded.owner) OR leases.expires_at <= {free_until} \
                 RETURNING name, epoch",
                tuples(free.len(), "($, $, $, $)")
            );
            let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
            for name in free {
                query = query.bind(name).bind(owner).bind(now).bind(now.saturating_add(ttl_ms));
            }
            for row in query.fetch_all(&mut *tx).await? {
                let (name, epoch) = (row.try_get("name")?, row.try_get("epoch")?);
                leases.push(Lease { name, owner: owner.to_owned(), epoch });
            }
            tx.commit().await?;
        }
        leases.sort();
        Ok(leases)
    }

    /// Holds on to a lease for another `ttl` from now. False when it is somebody else's by now; one that ended
    /// and that nobody took is still its owner's.
    pub async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, LeaseError> {
        Ok(!self.renew_all(std::slice::from_ref(lease), ttl).await?.is_empty())
    }

    /// Holds on to leases, and answers those that are still held, in order of their name.
    pub async fn renew_all(&self, leases: &[Lease], ttl: Duration) -> Result<Vec<Lease>, LeaseError> {
        let ttl_ms = check_ttl(ttl)?;
        self.update(leases, |now| format!("expires_at = {}", now.saturating_add(ttl_ms))).await
    }

    /// Lets go of leases, so that others need not wait for their end. What is somebody else's by now stays so.
    pub async fn release(&self, leases: &[Lease]) -> Result<(), LeaseError> {
        self.update(leases, |now| format!("owner = '', expires_at = {now}")).await?;
        Ok(())
    }

    async fn update(&self, leases: &[Lease], set: impl Fn(i64) -> String) -> Result<Vec<Lease>, LeaseError> {
        check_count(leases.len())?;
        let mut leases: Vec<&Lease> = leases.iter().collect();
        leases.sort();
        let lock = match self.db.backend() {
            Backend::Sqlite => "",
            // In the order in which takers lock them: bytes, whatever the database's language.
            Backend::Postgres => "ORDER BY name COLLATE \"C\" FOR UPDATE",
        };
        let mut held = Vec::with_capacity(leases.len());
        for part in leases.chunks(NAMES_PER_STATEMENT) {
            let statement = format!(
                "WITH mine AS MATERIALIZED (\
                     SELECT name FROM leases WHERE (name, owner, epoch) IN (VALUES {}) {lock}) \
                 UPDATE leases SET {} WHERE name IN (SELECT name FROM mine) RETURNING name",
                tuples(part.len(), "($, $, $)"),
                set(self.clock.now_ms())
            );
            let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
            for lease in part {
                query = query.bind(lease.name.as_str()).bind(lease.owner.as_str()).bind(lease.epoch);
            }
            let mut tx = self.db.control().begin().await?;
            let rows = query.fetch_all(&mut *tx).await?;
            tx.commit().await?;
            let names: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get("name")).collect();
            let mut names = names?;
            names.sort();
            let kept = part.iter().filter(|lease| names.binary_search(&lease.name).is_ok());
            held.extend(kept.map(|lease| (*lease).clone()));
        }
        Ok(held)
    }

    /// Those of the names that somebody holds now, by name.
    pub async fn held(&self, names: &[String]) -> Result<BTreeMap<String, Lease>, LeaseError> {
        let names = sorted(names)?;
        let mut held = BTreeMap::new();
        let mut connection = self.db.control().read().await?;
        for part in names.chunks(NAMES_PER_STATEMENT) {
            held.extend(read(&mut connection, part, self.clock.now_ms()).await?);
        }
        Ok(held)
    }

    /// Forgets names that nobody has held for a week. Answers how many.
    pub async fn sweep(&self) -> Result<u64, LeaseError> {
        let mut tx = self.db.control().begin().await?;
        let query = sqlx::query("DELETE FROM leases WHERE expires_at <= $1");
        let query = query.bind(self.clock.now_ms().saturating_sub(REST_MS));
        let removed = query.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(removed)
    }
}

/// Those of the names whose lease ends after `at`.
async fn read(
    connection: &mut AnyConnection,
    names: &[&str],
    at: i64,
) -> Result<BTreeMap<String, Lease>, LeaseError> {
    let list: Vec<String> = (0..names.len()).map(|n| format!("${}", n + 1)).collect();
    let statement = format!(
        "SELECT name, owner, epoch FROM leases WHERE owner <> '' AND expires_at > {at} AND name IN ({})",
        list.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
    for name in names {
        query = query.bind(*name);
    }
    let mut held = BTreeMap::new();
    for row in query.fetch_all(connection).await? {
        let name: String = row.try_get("name")?;
        let lease = Lease { name: name.clone(), owner: row.try_get("owner")?, epoch: row.try_get("epoch")? };
        held.insert(name, lease);
    }
    Ok(held)
}

/// Each name once, in one order for everybody, so that two who want the same do not wait for each other in a
/// circle.
fn sorted(names: &[String]) -> Result<Vec<&str>, LeaseError> {
    check_count(names.len())?;
    let is_name = |name: &&String| !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains('\0');
    if let Some(name) = names.iter().find(|name| !is_name(name)) {
        let shown: String = name.chars().take(80).collect();
        let message = format!("{shown:?} must be 1 to {NAME_BYTES_MAX} bytes without U+0000");
        return Err(LeaseError::Invalid { field: "name", message });
    }
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn check_count(names: usize) -> Result<(), LeaseError> {
    if names <= NAMES_MAX {
        return Ok(());
    }
    let message = format!("{names} at once are more than {NAMES_MAX}; split them");
    Err(LeaseError::Invalid { field: "names", message })
}

fn check_owner(owner: &str) -> Result<(), LeaseError> {
    if (1..=OWNER_BYTES_MAX).contains(&owner.len()) && !owner.contains('\0') {
        return Ok(());
    }
    let message = format!("must be 1 to {OWNER_BYTES_MAX} bytes without U+0000");
    Err(LeaseError::Invalid { field: "owner", message })
}

fn check_ttl(ttl: Duration) -> Result<i64, LeaseError> {
    let ttl_ms = millis(ttl);
    if TTL_MS.contains(&ttl_ms) {
        return Ok(ttl_ms);
    }
    let message = format!("{ttl_ms} ms must be {} to {}", TTL_MS.start(), TTL_MS.end());
    Err(LeaseError::Invalid { field: "ttl", message })
}
