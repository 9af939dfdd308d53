//! What is in the queues: counts, lists, dead letters; and sweeping what ended long ago.

use std::collections::BTreeMap;

use model::TenantId;
use sqlx::{AssertSqlSafe, Row};

use crate::jobs::error::JobError;
use crate::jobs::job::{Depth, JobEntry, JobFilter, JobState, read_state, read_tenant};
use crate::jobs::{Jobs, millis};

/// Jobs on one page.
const PAGE_MAX: usize = 1_000;

/// Rows removed in one statement, so that nobody waits long for it.
const SWEEP_ROWS: i64 = 1_000;

/// Statements of one sweep; what is left goes with the next.
const SWEEP_ROUNDS_MAX: usize = 200;

/// Index by index, so that the many jobs that are done are not looked at.
const DEPTHS: &str = "
SELECT queue, tenant_id, state, COUNT(*) AS jobs, MIN(published_at) AS oldest_at FROM jobs
WHERE state = 'waiting' GROUP BY queue, tenant_id, state
UNION ALL
SELECT queue, tenant_id, state, COUNT(*) AS jobs, MIN(published_at) AS oldest_at FROM jobs
WHERE state = 'running' GROUP BY queue, tenant_id, state
UNION ALL
SELECT queue, tenant_id, state, COUNT(*) AS jobs, MIN(published_at) AS oldest_at FROM jobs
WHERE state = 'dead' AND ended_at IS NOT NULL GROUP BY queue, tenant_id, state";

impl Jobs {
    /// How much of each tenant is in each queue, in order of queue and tenant. A pair with nothing that waits,
    /// runs or is dead is not there.
    pub async fn depths(&self) -> Result<Vec<Depth>, JobError> {
        let mut connection = self.scope().read().await?;
        let mut depths: BTreeMap<(String, TenantId), Depth> = BTreeMap::new();
        for row in sqlx::query(DEPTHS).fetch_all(&mut *connection).await? {
            let (queue, tenant): (String, TenantId) = (row.try_get("queue")?, read_tenant(&row)?);
            let jobs = u64::try_from(row.try_get::<i64, _>("jobs")?).unwrap_or(0);
            let depth = depths.entry((queue.clone(), tenant.clone())).or_insert(Depth {
                queue,
                tenant,
                waiting: 0,
                running: 0,
                dead: 0,
                oldest_waiting_at: None,
            });
            match read_state(&row)? {
                JobState::Waiting => {
                    depth.waiting = jobs;
                    depth.oldest_waiting_at = row.try_get("oldest_at")?;
                }
                JobState::Running => depth.running = jobs,
                JobState::Dead => depth.dead = jobs,
                JobState::Done => {}
            }
        }
        Ok(depths.into_values().collect())
    }

    /// A tenant's jobs, the latest first, at most `limit` and a thousand. The next page is what comes before
    /// the last id.
    pub async fn list(
        &self,
        tenant: &TenantId,
        filter: &JobFilter,
        limit: usize,
    ) -> Result<Vec<JobEntry>, JobError> {
        let mut statement = format!("SELECT {} FROM jobs WHERE tenant_id = $1", JobEntry::COLUMNS);
        let state = filter.state.map(JobState::as_str);
        let mut values = vec![tenant.as_str()];
        for (condition, value) in
            [("queue =", filter.queue.as_deref()), ("state =", state), ("id <", filter.before.as_deref())]
        {
            if let Some(value) = value {
                values.push(value);
                statement.push_str(&format!(" AND {condition} ${}", values.len()));
            }
        }
        statement.push_str(&format!(" ORDER BY id DESC LIMIT {}", limit.min(PAGE_MAX)));
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for value in values {
            query = query.bind(value);
        }
        let mut connection = self.scope().read().await?;
        query.fetch_all(&mut *connection).await?.iter().map(JobEntry::read).collect()
    }

    /// One job of a tenant, and its payload as JSON.
    pub async fn job(&self, tenant: &TenantId, id: &str) -> Result<(JobEntry, String), JobError> {
        let statement =
            format!("SELECT {}, payload FROM jobs WHERE tenant_id = $1 AND id = $2", JobEntry::COLUMNS);
        let query = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).bind(id);
        let mut connection = self.scope().read().await?;
        let row = query.fetch_optional(&mut *connection).await?;
        let row = row.ok_or_else(|| JobError::NotFound { id: id.to_owned() })?;
        Ok((JobEntry::read(&row)?, row.try_get("payload")?))
    }

    /// A dead letter waits again as if it were published now: all its attempts, all its time, the same id.
    pub async fn requeue(&self, tenant: &TenantId, id: &str) -> Result<(), JobError> {
        let mut tx = self.scope().begin().await?;
        let query = sqlx::query(
            "UPDATE jobs SET state = 'waiting', ended_at = NULL, attempt = 0, due_at = $3, \
                 expires_at = $3 + keep_ms \
             WHERE tenant_id = $1 AND id = $2 AND state = 'dead' RETURNING queue",
        );
        let query = query.bind(tenant.as_str()).bind(id).bind(self.now());
        let Some(row) = query.fetch_optional(&mut *tx).await? else {
            drop(tx);
            return Err(self.not_dead(tenant, id).await);
        };
        let queue: String = row.try_get("queue")?;
        tx.commit().await?;
        self.shared.wakes.wake(&queue);
        Ok(())
    }

    /// Removes a dead letter for good.
    pub async fn delete(&self, tenant: &TenantId, id: &str) -> Result<(), JobError> {
        let mut tx = self.scope().begin().await?;
        let query = sqlx::query("DELETE FROM jobs WHERE tenant_id = $1 AND id = $2 AND state = 'dead'");
        let deleted = query.bind(tenant.as_str()).bind(id).execute(&mut *tx).await?.rows_affected();
        if deleted == 0 {
            drop(tx);
            return Err(self.not_dead(tenant, id).await);
        }
        Ok(tx.commit().await?)
    }

    async fn not_dead(&self, tenant: &TenantId, id: &str) -> JobError {
        match self.job(tenant, id).await {
            Ok((job, _)) => JobError::NotDead { id: job.id, state: job.state },
            Err(error) => error,
        }
    }

    /// Removes jobs that were done, and dead letters, once they were kept long enough. Answers how many. The
    /// service does it every minute.
    pub async fn sweep(&self) -> Result<u64, JobError> {
        let settings = &self.shared.settings;
        let mut removed = 0;
        for (state, kept) in [(JobState::Done, settings.done_kept), (JobState::Dead, settings.dead_kept)] {
            for _ in 0..SWEEP_ROUNDS_MAX {
                let mut tx = self.scope().begin().await?;
                let query = sqlx::query(
                    "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs \
                     WHERE state = $1 AND ended_at IS NOT NULL AND ended_at <= $2 LIMIT $3)",
                );
                let until = self.now().saturating_sub(millis(kept));
                let query = query.bind(state.as_str()).bind(until).bind(SWEEP_ROWS);
                let rows = query.execute(&mut *tx).await?.rows_affected();
                tx.commit().await?;
                removed += rows;
                if rows == 0 {
                    break;
                }
            }
        }
        Ok(removed)
    }
}
