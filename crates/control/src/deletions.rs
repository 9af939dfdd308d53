//! Deletes of rows, so that it can be shown what was asked to go, and when it was gone.

use model::TenantId;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::control::Control;
use crate::error::{ControlError, one_line};

/// Finished deletes that are remembered.
const FINISHED_MAX: i64 = 1000;
/// Longest search that is remembered whole.
const QUERY_BYTES_MAX: usize = 4096;

/// One delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The store's number of it.
    pub id: u64,
    /// Whose rows: `logs`, `traces` or `events`.
    pub signal: String,
    /// Which rows.
    pub query: String,
    /// First time inside, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// First time not inside any more.
    pub end_ns: i64,
    /// Rows that it hid.
    pub rows: i64,
    /// Milliseconds since the Unix epoch.
    pub requested_at: i64,
    /// Since when the bytes of its rows are gone.
    pub finished_at: Option<i64>,
}

impl Control {
    /// Remembers a delete that the store has taken.
    pub async fn record_deletion(&self, tenant: &TenantId, deletion: &Deletion) -> Result<(), ControlError> {
        one_line("signal", &deletion.signal, 20)?;
        let query = &deletion.query[..deletion.query.floor_char_boundary(QUERY_BYTES_MAX)];
        let mut tx = self.scope(tenant).await?.begin().await?;
        sqlx::query(
            "INSERT INTO deletions (id, signal, query, start_ns, end_ns, row_count, requested_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
        )
        .bind(i64::try_from(deletion.id).unwrap_or(i64::MAX))
        .bind(&deletion.signal)
        .bind(query.replace('\0', ""))
        .bind(deletion.start_ns)
        .bind(deletion.end_ns)
        .bind(deletion.rows)
        .bind(deletion.requested_at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Numbers of the deletes that are not finished.
    pub async fn unfinished_deletions(&self, tenant: &TenantId) -> Result<Vec<u64>, ControlError> {
        let mut connection = self.scope(tenant).await?.read().await?;
        let rows = sqlx::query("SELECT id FROM deletions WHERE finished_at IS NULL")
            .fetch_all(&mut *connection)
            .await?;
        let id = |row: &AnyRow| Ok(row.try_get::<i64, _>("id")?.unsigned_abs());
        rows.iter().map(id).collect()
    }

    /// Marks deletes as finished now, and forgets the oldest of very many.
    pub async fn finish_deletions(&self, tenant: &TenantId, ids: &[u64]) -> Result<(), ControlError> {
        let now = self.now();
        let mut tx = self.scope(tenant).await?.begin().await?;
        for id in ids {
            sqlx::query("UPDATE deletions SET finished_at = $1 WHERE id = $2 AND finished_at IS NULL")
                .bind(now)
                .bind(i64::try_from(*id).unwrap_or(i64::MAX))
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query(
            "DELETE FROM deletions WHERE finished_at IS NOT NULL AND id NOT IN \
             (SELECT id FROM deletions WHERE finished_at IS NOT NULL ORDER BY id DESC LIMIT $1)",
        )
        .bind(FINISHED_MAX)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// All that are remembered, the newest first.
    pub async fn deletions(&self, tenant: &TenantId) -> Result<Vec<Deletion>, ControlError> {
        let mut connection = self.scope(tenant).await?.read().await?;
        let rows = sqlx::query(
            "SELECT id, signal, query, start_ns, end_ns, row_count, requested_at, finished_at \
             FROM deletions ORDER BY id DESC",
        )
        .fetch_all(&mut *connection)
        .await?;
        rows.iter().map(deletion_of_row).collect()
    }
}

fn deletion_of_row(row: &AnyRow) -> Result<Deletion, ControlError> {
    Ok(Deletion {
        id: row.try_get::<i64, _>("id")?.unsigned_abs(),
        signal: row.try_get("signal")?,
        query: row.try_get("query")?,
        start_ns: row.try_get("start_ns")?,
        end_ns: row.try_get("end_ns")?,
        rows: row.try_get("row_count")?,
        requested_at: row.try_get("requested_at")?,
        finished_at: row.try_get("finished_at")?,
    })
}
