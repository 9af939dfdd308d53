//! Waiting to running: a worker takes the jobs that are next, for the length of a lease.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Row};

use crate::error::DbError;
use crate::jobs::error::JobError;
use crate::jobs::job::Claim;
use crate::jobs::publish::check_queue;
use crate::jobs::turns::Lane;
use crate::jobs::{Jobs, millis};
use crate::scope::Tx;

/// Jobs in one claim.
const CLAIM_MAX: usize = 1_000;

/// Lanes named in one statement.
const LANES_PER_STATEMENT: usize = 50;

/// Claims that ended without an answer and come back in one go.
const RETURNED_MAX: i64 = 1_000;

/// How often one claim looks again because what it took had expired, or others were faster.
const ROUNDS_MAX: usize = 4;

const WORKER_BYTES_MAX: usize = 128;
const LEASE_MS_MAX: i64 = 24 * 3_600_000;

/// Every lane with something that waits, and since when its first job is due. Each tenant costs a few steps down
/// an index, however much waits.
const LANES: &str = "
WITH RECURSIVE tenants(tenant_id) AS (
    SELECT CAST('' AS TEXT)
    UNION ALL
    SELECT (SELECT MIN(jobs.tenant_id) FROM jobs
            WHERE jobs.queue = $1 AND jobs.state = 'waiting' AND jobs.tenant_id > tenants.tenant_id)
    FROM tenants WHERE tenants.tenant_id IS NOT NULL
),
lanes AS (
    SELECT tenants.tenant_id, ranks.priority,
        (SELECT MIN(jobs.due_at) FROM jobs
         WHERE jobs.queue = $1 AND jobs.state = 'waiting' AND jobs.tenant_id = tenants.tenant_id
           AND jobs.priority = ranks.priority) AS due_at
    FROM tenants CROSS JOIN (
        SELECT CAST(0 AS BIGINT) AS priority UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3
    ) AS ranks
    WHERE tenants.tenant_id <> ''
)";

/// Those of them with something ready, and how much, counted no further than is wanted; in order, so that the index
/// is read and not the table.
const READY: &str = "
SELECT lanes.tenant_id, lanes.priority, lanes.due_at,
    (SELECT COUNT(*) FROM (
        SELECT 1 FROM jobs
        WHERE jobs.queue = $1 AND jobs.state = 'waiting' AND jobs.tenant_id = lanes.tenant_id
          AND jobs.priority = lanes.priority AND jobs.due_at <= $2
        ORDER BY jobs.due_at LIMIT $3) AS first_rows) AS ready
FROM lanes WHERE lanes.due_at <= $2 ORDER BY lanes.tenant_id, lanes.priority";

impl Jobs {
    /// Takes up to `n` jobs (1,000 at most) that are due, for the length of `lease`, highest priority first and
    /// then the oldest; none when nothing is ready. No two workers get the same. What was claimed earlier and
    /// not answered before its lease ended is ready again.
    pub async fn claim(
        &self,
        queue: &str,
        worker: &str,
        n: usize,
        lease: Duration,
    ) -> Result<Vec<Claim>, JobError> {
        check_queue(queue)?;
        if worker.is_empty() || worker.len() > WORKER_BYTES_MAX || worker.contains('\0') {
            let message = format!("must be 1 to {WORKER_BYTES_MAX} bytes without U+0000");
            return Err(JobError::Invalid { field: "worker", message });
        }
        check_lease(lease)?;
        let (now, n) = (self.now(), n.min(CLAIM_MAX));
        // A look without a lock: idle workers cost others nothing.
        if n == 0 || self.next_due(queue).await?.is_none_or(|due_at| due_at > now) {
            return Ok(Vec::new());
        }
        let mut tx = self.scope().begin().await?;
        self.return_unanswered(&mut tx, queue, now).await?;
        let mut claims: Vec<Claim> = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let wanted = n - claims.len();
            let lanes = self.lanes(&mut tx, queue, wanted, now).await?;
            if wanted == 0 || lanes.is_empty() {
                break;
            }
            let running = running(&mut tx, queue).await?;
            let plan = self.shared.turns.lock().plan(queue, &lanes, running, wanted, now);
            let picks: Vec<(&Lane, usize)> =
                plan.into_iter().map(|(at, count)| (&lanes[at], count)).collect();
            let mut taken = Vec::new();
            for part in picks.chunks(LANES_PER_STATEMENT) {
                taken.extend(self.take(&mut tx, queue, worker, part, now, millis(lease)).await?);
            }
            if taken.is_empty() {
                break;
            }
            let (expired, live): (Vec<_>, Vec<_>) = taken.into_iter().partition(|c| c.expires_at <= now);
            self.bury(&mut tx, &expired, now).await?;
            claims.extend(live);
        }
        tx.commit().await?;
        claims.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.id.cmp(&b.id)));
        Ok(claims)
    }

    /// When there is next something to claim, ms since the epoch: a job that is due, or a claim whose lease
    /// ends. May have passed; `None` when nothing waits or runs.
    pub async fn next_due(&self, queue: &str) -> Result<Option<i64>, JobError> {
        let mut connection = self.scope().read().await?;
        let row = sqlx::query(AssertSqlSafe(format!(
            "{LANES} SELECT (SELECT MIN(due_at) FROM lanes) AS waiting, \
             (SELECT MIN(due_at) FROM jobs WHERE queue = $1 AND state = 'running') AS running"
        )));
        let row = row.bind(queue).fetch_one(&mut *connection).await?;
        let times: [Option<i64>; 2] = [row.try_get("waiting")?, row.try_get("running")?];
        Ok(times.into_iter().flatten().min())
    }

    /// Claims whose lease ended wait again, or are dead when that was the last attempt.
    async fn return_unanswered(&self, tx: &mut Tx, queue: &str, now: i64) -> Result<(), DbError> {
        let statement = format!(
            "WITH unanswered AS MATERIALIZED (
                 SELECT id FROM jobs WHERE queue = $1 AND state = 'running' AND due_at <= $2
                 ORDER BY due_at LIMIT $3 {})
             UPDATE jobs SET
                 state = CASE WHEN attempt >= attempts_max OR expires_at <= $2 THEN 'dead' ELSE 'waiting' END,
                 ended_at = CASE WHEN attempt >= attempts_max OR expires_at <= $2 THEN $2 END,
                 due_at = $2,
                 error = 'worker ' || worker || ' did not answer before its lease ended',
                 worker = ''
             WHERE id IN (SELECT id FROM unanswered)",
            self.skip_locked()
        );
        let query = sqlx::query(AssertSqlSafe(statement)).bind(queue).bind(now).bind(RETURNED_MAX);
        let returned = query.execute(&mut **tx).await?.rows_affected();
        if returned > 0 {
            tracing::warn!(queue, jobs = returned, "claims ended without an answer");
        }
        Ok(())
    }

    async fn lanes(&self, tx: &mut Tx, queue: &str, n: usize, now: i64) -> Result<Vec<Lane>, DbError> {
        let limit = i64::try_from(n).unwrap_or(i64::MAX);
        let query = sqlx::query(AssertSqlSafe(format!("{LANES} {READY}"))).bind(queue).bind(now).bind(limit);
        let mut lanes = Vec::new();
        for row in query.fetch_all(&mut **tx).await? {
            lanes.push(Lane {
                tenant: row.try_get("tenant_id")?,
                priority: row.try_get("priority")?,
                due_at: row.try_get("due_at")?,
                ready: usize::try_from(row.try_get::<i64, _>("ready")?).unwrap_or(0),
            });
        }
        Ok(lanes)
    }

    /// Takes the first jobs of each lane. Rows that another worker is taking are passed over.
    async fn take(
        &self,
        tx: &mut Tx,
        queue: &str,
        worker: &str,
        picks: &[(&Lane, usize)],
        now: i64,
        lease_ms: i64,
    ) -> Result<Vec<Claim>, JobError> {
        let lock = self.skip_locked();
        let parts: Vec<String> = (0..picks.len())
            .map(|n| {
                let (tenant, priority, count) = (5 + 3 * n, 6 + 3 * n, 7 + 3 * n);
                format!(
                    "SELECT id FROM (SELECT id FROM jobs WHERE queue = $1 AND state = 'waiting' \
                     AND tenant_id = ${tenant} AND priority = ${priority} AND due_at <= $2 \
                     ORDER BY due_at, id LIMIT ${count} {lock}) AS part{n}"
                )
            })
            .collect();
        // Materialized: run once, not once for each row it is compared with.
        let statement = format!(
            "WITH picked AS MATERIALIZED ({}) \
             UPDATE jobs SET state = 'running', due_at = $3, worker = $4, attempt = attempt + 1, \
                 claims = claims + 1 \
             WHERE id IN (SELECT id FROM picked) RETURNING {}",
            parts.join(" UNION ALL "),
            Claim::COLUMNS
        );
        let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(picks.len() == 1);
        query = query.bind(queue).bind(now).bind(now.saturating_add(lease_ms)).bind(worker);
        for (lane, count) in picks {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            query = query.bind(lane.tenant.as_str()).bind(lane.priority).bind(count);
        }
        query.fetch_all(&mut **tx).await?.iter().map(Claim::read).collect()
    }

    /// Jobs that nobody began in time are dead letters.
    async fn bury(&self, tx: &mut Tx, expired: &[Claim], now: i64) -> Result<(), DbError> {
        for claim in expired {
            // The attempt that was just counted did not take place.
            sqlx::query(
                "UPDATE jobs SET state = 'dead', ended_at = $1, due_at = $1, worker = '', attempt = attempt - 1, \
                 error = CASE WHEN error = '' THEN 'no worker began it in time' ELSE error END WHERE id = $2",
            )
            .bind(now)
            .bind(claim.id.as_str())
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }
}

/// How many jobs of each tenant run, on all nodes.
async fn running(tx: &mut Tx, queue: &str) -> Result<BTreeMap<String, usize>, DbError> {
    let query = sqlx::query(
        "SELECT tenant_id, COUNT(*) AS jobs FROM jobs WHERE queue = $1 AND state = 'running' GROUP BY tenant_id",
    );
    let mut running = BTreeMap::new();
    for row in query.bind(queue).fetch_all(&mut **tx).await? {
        let count = usize::try_from(row.try_get::<i64, _>("jobs")?).unwrap_or(0);
        running.insert(row.try_get("tenant_id")?, count);
    }
    Ok(running)
}

pub(crate) fn check_lease(lease: Duration) -> Result<(), JobError> {
    if (1..=LEASE_MS_MAX).contains(&millis(lease)) {
        return Ok(());
    }
    let message = format!("{} ms must be 1 to {LEASE_MS_MAX}", lease.as_millis());
    Err(JobError::Invalid { field: "lease", message })
}
