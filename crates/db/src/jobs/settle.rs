//! Running to done, waiting or dead. Only the present claim of a job can; an older one is told that it is lost.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use sqlx::any::{AnyArguments, AnyQueryResult};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row};

use crate::jobs::claim::check_lease;
use crate::jobs::error::JobError;
use crate::jobs::job::{Claim, Settled};
use crate::jobs::publish::tuples;
use crate::jobs::{Jobs, millis};
use crate::scope::Tx;

/// Longest text of an error that is kept.
const ERROR_BYTES_MAX: usize = 2_048;

/// Claims in one statement.
const CLAIMS_PER_STATEMENT: usize = 500;

impl Jobs {
    /// The job is done.
    pub async fn ack(&self, claim: &Claim) -> Result<(), JobError> {
        let mut tx = self.scope().begin().await?;
        self.ack_in(&mut tx, claim).await?;
        Ok(tx.commit().await?)
    }

    /// The same within a transaction of the shared part, so that the job is done exactly when the caller's rows
    /// are there.
    pub async fn ack_in(&self, tx: &mut Tx, claim: &Claim) -> Result<(), JobError> {
        let query = sqlx::query(
            "UPDATE jobs SET state = 'done', ended_at = $3, due_at = $3, worker = '', error = '' \
             WHERE id = $1 AND claims = $2 AND state = 'running'",
        );
        let query = query.bind(claim.id.as_str()).bind(claim.epoch).bind(self.now());
        expect_one(query.execute(&mut **tx).await?, claim)
    }

    /// All of them are done. Answers the ids of those whose claim was lost.
    pub async fn ack_all(&self, claims: &[Claim]) -> Result<Vec<String>, JobError> {
        let set = format!(
            "state = 'done', ended_at = {now}, due_at = {now}, worker = '', error = ''",
            now = self.now()
        );
        self.settle_all(claims, &set).await
    }

    /// Gives back what was not begun: it waits again, at its old place, with its attempt uncounted. What is
    /// somebody else's by now is left alone.
    pub async fn release(&self, claims: &[Claim]) -> Result<(), JobError> {
        let set = "state = 'waiting', due_at = published_at, worker = '', attempt = attempt - 1";
        self.settle_all(claims, set).await?;
        for claim in claims {
            self.shared.wakes.wake(&claim.queue);
        }
        Ok(())
    }

    async fn settle_all(&self, claims: &[Claim], set: &str) -> Result<Vec<String>, JobError> {
        let mut lost = Vec::new();
        // In one order, so that two settlers of the same jobs do not wait for each other in a circle.
        let mut claims: Vec<&Claim> = claims.iter().collect();
        claims.sort_by(|a, b| a.id.cmp(&b.id));
        for part in claims.chunks(CLAIMS_PER_STATEMENT) {
            let statement = format!(
                "UPDATE jobs SET {set} WHERE state = 'running' AND (id, claims) IN (VALUES {}) RETURNING id, claims",
                tuples(part.len(), "($, $)")
            );
            let mut query: Query<'_, Any, AnyArguments> =
                sqlx::query(AssertSqlSafe(statement)).persistent(false);
            for claim in part {
                query = query.bind(claim.id.as_str()).bind(claim.epoch);
            }
            let mut tx = self.scope().begin().await?;
            let rows = query.fetch_all(&mut *tx).await?;
            tx.commit().await?;
            let mut settled = HashSet::<(String, i64)>::new();
            for row in rows {
                settled.insert((row.try_get("id")?, row.try_get("claims")?));
            }
            let is_lost = |claim: &&&Claim| !settled.contains(&(claim.id.clone(), claim.epoch));
            lost.extend(part.iter().filter(is_lost).map(|claim| claim.id.clone()));
        }
        Ok(lost)
    }

    /// The lease ends only `lease` from now.
    pub async fn extend(&self, claim: &Claim, lease: Duration) -> Result<(), JobError> {
        check_lease(lease)?;
        let mut tx = self.scope().begin().await?;
        let query =
            sqlx::query("UPDATE jobs SET due_at = $3 WHERE id = $1 AND claims = $2 AND state = 'running'");
        let ends_at = self.now().saturating_add(millis(lease));
        let query = query.bind(claim.id.as_str()).bind(claim.epoch).bind(ends_at);
        expect_one(query.execute(&mut *tx).await?, claim)?;
        Ok(tx.commit().await?)
    }

    /// The attempt failed. The job waits for `retry_after`, or for twice as long as the time before (with some
    /// of it taken away, differently for each job), and is then tried again; it is a dead letter when this was
    /// its last attempt, or when it would wait beyond the time it is kept for.
    pub async fn fail(
        &self,
        claim: &Claim,
        error: &str,
        retry_after: Option<Duration>,
    ) -> Result<Settled, JobError> {
        let wait = retry_after.unwrap_or_else(|| {
            self.shared.settings.retry.delay_jittered(claim.attempt, spread(&claim.id, claim.attempt))
        });
        let at = self.now().saturating_add(millis(wait));
        let is_last = claim.attempt >= claim.attempts_max || at >= claim.expires_at;
        let settled = if is_last { Settled::Dead } else { Settled::Again { at } };
        self.settle_failed(claim, error, settled).await?;
        Ok(settled)
    }

    /// The attempt failed, and so would any other: the job is a dead letter at once.
    pub async fn give_up(&self, claim: &Claim, error: &str) -> Result<(), JobError> {
        self.settle_failed(claim, error, Settled::Dead).await
    }

    async fn settle_failed(&self, claim: &Claim, error: &str, settled: Settled) -> Result<(), JobError> {
        let now = self.now();
        let (state, due_at, ended_at) = match settled {
            Settled::Again { at } => ("waiting", at, None),
            Settled::Dead => ("dead", now, Some(now)),
        };
        let mut tx = self.scope().begin().await?;
        let query = sqlx::query(
            "UPDATE jobs SET state = $3, due_at = $4, ended_at = $5, error = $6, worker = '' \
             WHERE id = $1 AND claims = $2 AND state = 'running'",
        );
        let query = query.bind(claim.id.as_str()).bind(claim.epoch).bind(state).bind(due_at).bind(ended_at);
        expect_one(query.bind(storable(error)).execute(&mut *tx).await?, claim)?;
        Ok(tx.commit().await?)
    }

    /// True the first time for a job, in whichever attempt: the caller then writes its effect in the same
    /// transaction of the shared part. False when an earlier attempt did and died before it acknowledged; then
    /// only the acknowledgement is missing. A lost claim is an error, so a stale worker has no effect.
    ///
    /// An effect elsewhere (a tenant's part, a store) keeps the job's id beside it instead, where a second one
    /// is refused.
    pub async fn once(&self, tx: &mut Tx, claim: &Claim) -> Result<bool, JobError> {
        let query = sqlx::query(
            "UPDATE jobs SET effect_at = $3 \
             WHERE id = $1 AND claims = $2 AND state = 'running' AND effect_at IS NULL",
        );
        let query = query.bind(claim.id.as_str()).bind(claim.epoch).bind(self.now());
        if query.execute(&mut **tx).await?.rows_affected() > 0 {
            return Ok(true);
        }
        let query = sqlx::query("SELECT id FROM jobs WHERE id = $1 AND claims = $2 AND state = 'running'");
        let query = query.bind(claim.id.as_str()).bind(claim.epoch);
        match query.fetch_optional(&mut **tx).await? {
            Some(_) => Ok(false),
            None => Err(lost(claim)),
        }
    }
}

fn expect_one(result: AnyQueryResult, claim: &Claim) -> Result<(), JobError> {
    match result.rows_affected() {
        0 => Err(lost(claim)),
        _ => Ok(()),
    }
}

fn lost(claim: &Claim) -> JobError {
    JobError::ClaimLost { id: claim.id.clone(), epoch: claim.epoch }
}

/// A number from 0 to 1 that differs from job to job and attempt to attempt, and is the same in each run of a
/// simulation.
fn spread(id: &str, attempt: u32) -> f64 {
    let mut hasher = DefaultHasher::new();
    (id, attempt).hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64
}

/// As much of the text as is kept, without what PostgreSQL's texts cannot hold.
fn storable(error: &str) -> String {
    let mut end = error.len().min(ERROR_BYTES_MAX);
    while !error.is_char_boundary(end) {
        end -= 1;
    }
    error[..end].replace('\0', "\u{fffd}")
}
