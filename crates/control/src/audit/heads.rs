//! The newest hash of each chain, in the database, apart from the rows it vouches for.

use model::TenantId;
use sqlx::any::AnyRow;
use sqlx::{Executor, Row};

use crate::audit::{Chain, RowHash};
use crate::control::Control;
use crate::error::{ControlError, one_line};

const DAY_MS: i64 = 86_400_000;

/// A chain that nothing came to for this long after its rows were due to go has none left.
const ENDED_MS: i64 = 30 * DAY_MS;

/// Longest name of a node.
const NODE_BYTES_MAX: usize = 100;

/// An anchor: what the chain's hash was after a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// Which node's chain.
    pub node: String,
    /// The row's number.
    pub seq: u64,
    /// Its hash.
    pub hash: RowHash,
    /// When it was anchored, milliseconds since the Unix epoch.
    pub at: i64,
}

impl Control {
    /// Anchors the end of a chain, after its rows were stored. One anchor a day and chain is kept, the newest.
    /// An anchor never goes back: a chain that was begun anew by mistake is refused, and so is one of a tenant
    /// that is going or gone.
    pub async fn anchor_audit(&self, chain: &Chain) -> Result<(), ControlError> {
        one_line("node", chain.node(), NODE_BYTES_MAX)?;
        let (seq, hash) = chain.end();
        let stored_seq = to_stored(seq)?;
        let now = self.now();
        let mut tx = self.begin().await?;
        self.lock_tenant(&mut tx, chain.tenant()).await?;
        let last: Option<i64> =
            sqlx::query("SELECT MAX(seq) FROM audit_heads WHERE tenant_id = $1 AND node = $2")
                .bind(chain.tenant().as_str())
                .bind(chain.node())
                .fetch_one(&mut *tx)
                .await?
                .try_get(0)?;
        if let Some(last) = last.filter(|last| *last > stored_seq) {
            return Err(ControlError::Changed {
                kind: "audit chain",
                name: format!("{}/{}", chain.tenant(), chain.node()),
                expected: stored_seq,
                found: last,
            });
        }
        let upsert = sqlx::query(
            "INSERT INTO audit_heads (tenant_id, node, day, seq, hash, at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (tenant_id, node, day) DO UPDATE \
             SET seq = excluded.seq, hash = excluded.hash, at = excluded.at WHERE audit_heads.seq <= excluded.seq",
        )
        .bind(chain.tenant().as_str())
        .bind(chain.node())
        .bind(now.div_euclid(DAY_MS))
        .bind(stored_seq)
        .bind(hash.hex())
        .bind(now);
        tx.execute(upsert).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Where a node's chain of a tenant goes on: after its newest anchor, or at the beginning.
    ///
    /// Rows that were stored but not anchored before a crash come after it: the caller reads them, verifies
    /// them from here, and goes on after the last that fits.
    pub async fn audit_chain(&self, tenant: &TenantId, node: &str) -> Result<Chain, ControlError> {
        let mut heads = self.audit_heads(tenant).await?;
        heads.retain(|head| head.node == node);
        Ok(match heads.pop() {
            Some(head) => Chain::after(tenant.clone(), node, head.seq, head.hash),
            None => Chain::new(tenant.clone(), node),
        })
    }

    /// Every anchor of a tenant, by node and ascending by number, as [`crate::audit::verify`] takes them.
    pub async fn audit_heads(&self, tenant: &TenantId) -> Result<Vec<AuditHead>, ControlError> {
        let mut connection = self.read().await?;
        let rows = sqlx::query(
            "SELECT node, seq, hash, at FROM audit_heads WHERE tenant_id = $1 ORDER BY node, seq",
        )
        .bind(tenant.as_str())
        .fetch_all(&mut *connection)
        .await?;
        rows.iter().map(head_of_row).collect()
    }

    /// Forgets anchors of rows that retention has removed: those of days that ended before `before`
    /// (milliseconds since the Unix epoch). Of those the newest of each chain stays, because it says which rows may be gone;
    /// that goes, too, when nothing came after it for a month.
    pub async fn remove_audit_heads(&self, before: i64) -> Result<u64, ControlError> {
        let mut tx = self.begin().await?;
        let delete = sqlx::query(
            "DELETE FROM audit_heads WHERE day < $1 AND (seq < \
             (SELECT MAX(older.seq) FROM audit_heads AS older WHERE older.day < $1 \
              AND older.tenant_id = audit_heads.tenant_id AND older.node = audit_heads.node) \
             OR (day < $2 AND NOT EXISTS (SELECT newer.seq FROM audit_heads AS newer WHERE newer.day >= $2 \
              AND newer.tenant_id = audit_heads.tenant_id AND newer.node = audit_heads.node)))",
        )
        .bind(before.div_euclid(DAY_MS))
        .bind(before.saturating_sub(ENDED_MS).div_euclid(DAY_MS));
        let done = tx.execute(delete).await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }
}

/// The begin of the day in which a moment lies, milliseconds since the Unix epoch.
pub(super) fn day_start(at: i64) -> i64 {
    at.div_euclid(DAY_MS) * DAY_MS
}

fn to_stored(seq: u64) -> Result<i64, ControlError> {
    i64::try_from(seq).map_err(|_| ControlError::Damaged {
        what: "audit chain",
        message: format!("row number {seq} is beyond what can be stored"),
    })
}

fn head_of_row(row: &AnyRow) -> Result<AuditHead, ControlError> {
    let damaged = |what: &'static str, message: String| ControlError::Damaged { what, message };
    let seq: i64 = row.try_get("seq")?;
    let hash: String = row.try_get("hash")?;
    Ok(AuditHead {
        node: row.try_get("node")?,
        seq: u64::try_from(seq).map_err(|error| damaged("audit_heads.seq", error.to_string()))?,
        hash: RowHash::parse(&hash)
            .ok_or_else(|| damaged("audit_heads.hash", "is not 64 hex digits".to_owned()))?,
        at: row.try_get("at")?,
    })
}
