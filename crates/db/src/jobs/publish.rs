//! Into the queue: alone, many at once, or as part of a transaction that the caller already has.

use std::collections::{BTreeMap, HashMap};

use model::TenantId;
use sqlx::{AssertSqlSafe, Row};

use crate::error::DbError;
use crate::jobs::error::JobError;
use crate::jobs::job::{NewJob, PAYLOAD_BYTES_MAX};
use crate::jobs::{Jobs, millis};
use crate::scope::Tx;

/// Jobs in one call.
pub const JOBS_PER_PUBLISH_MAX: usize = 10_000;

/// Rows in one statement: 14 values each, and both databases take 32,766.
const ROWS_PER_STATEMENT: usize = 500;

/// Payloads in one statement, so that a batch of large ones is not held three times over.
const STATEMENT_BYTES_MAX: usize = 4 << 20;

const KEY_BYTES_MAX: usize = 256;
const QUEUE_BYTES_MAX: usize = 64;
const ATTEMPTS_MAX: u32 = 100_000;
const KEEP_MS_MAX: i64 = 30 * 24 * 3_600_000;

/// What a publish inside a caller's transaction came to.
#[derive(Debug)]
#[must_use = "workers of this node hear of the jobs when this is announced"]
pub struct Published {
    /// The jobs' ids in the order they were given. Where a key was taken, the id of the job that has it.
    pub ids: Vec<String>,
    jobs: Jobs,
    queues: Vec<String>,
}

impl Published {
    /// To be called once the transaction is committed: wakes this node's workers. Without it they find the jobs
    /// when they next look.
    pub fn announce(self) -> Vec<String> {
        for queue in &self.queues {
            self.jobs.shared.wakes.wake(queue);
        }
        self.ids
    }
}

/// A job with its id, ready to be written.
struct Draft<'a> {
    id: String,
    job: &'a NewJob,
    payload: String,
}

impl Jobs {
    /// Publishes one job and answers its id.
    pub async fn publish(&self, job: NewJob) -> Result<String, JobError> {
        let mut ids = self.publish_all(std::slice::from_ref(&job)).await?;
        Ok(ids.pop().expect("one job has one id"))
    }

    /// Publishes all or none, at most [`JOBS_PER_PUBLISH_MAX`], and answers their ids in order. A thousand at once
    /// take less than a tenth of the time of a thousand alone; the example `job_rate` measures it.
    pub async fn publish_all(&self, jobs: &[NewJob]) -> Result<Vec<String>, JobError> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.scope().begin().await?;
        let published = self.publish_in(&mut tx, jobs).await?;
        tx.commit().await?;
        Ok(published.announce())
    }

    /// The same within a transaction of the shared part, which is the caller's to commit; after an error it is
    /// to be rolled back.
    pub async fn publish_in(&self, tx: &mut Tx, jobs: &[NewJob]) -> Result<Published, JobError> {
        if jobs.len() > JOBS_PER_PUBLISH_MAX {
            let message = format!("{} at once are more than {JOBS_PER_PUBLISH_MAX}; split them", jobs.len());
            return Err(JobError::Invalid { field: "jobs", message });
        }
        let now = self.now();
        let mut rows = Vec::with_capacity(jobs.len());
        for job in jobs {
            rows.push(Draft { id: self.shared.ids.next(now)?, payload: check(job)?, job });
        }
        self.make_room(tx, jobs).await?;

        // One row for each key; a key given twice has the first one's id.
        let mut first: HashMap<(&str, &TenantId, &str), usize> = HashMap::new();
        let mut same_as = Vec::with_capacity(rows.len());
        let mut order = Vec::with_capacity(rows.len());
        for (n, row) in rows.iter().enumerate() {
            let of = match &row.job.key {
                Some(key) => *first.entry((&row.job.queue, &row.job.tenant, key)).or_insert(n),
                None => n,
            };
            same_as.push(of);
            if of == n {
                order.push(n);
            }
        }
        // Two publishers of the same keys lock them in the same order.
        order.sort_by_key(|n| key_of(rows[*n].job));
        let taken = self.insert(tx, &rows, &order, now).await?;
        let id_of = |n: &usize| {
            let row = &rows[*n];
            match key_of(row.job) {
                Some(key) => taken.get(&key).unwrap_or(&row.id).clone(),
                None => row.id.clone(),
            }
        };
        let ids = same_as.iter().map(id_of).collect();
        let mut queues: Vec<String> = jobs.iter().map(|job| job.queue.clone()).collect();
        queues.sort();
        queues.dedup();
        Ok(Published { ids, jobs: self.clone(), queues })
    }

    /// Writes rows and answers which id each key has now.
    async fn insert<'a>(
        &self,
        tx: &mut Tx,
        rows: &[Draft<'a>],
        order: &[usize],
        now: i64,
    ) -> Result<HashMap<(String, String, String), String>, JobError> {
        let mut taken = HashMap::new();
        let mut rest = order;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take(ROWS_PER_STATEMENT).take_while(|n| {
                let is_first = bytes == 0;
                bytes += rows[**n].payload.len();
                is_first || bytes <= STATEMENT_BYTES_MAX
            });
            let (part, after) = rest.split_at(fits.count());
            rest = after;
            // The update changes nothing, but answers the row that is there, and waits for one that is being
            // written by somebody else.
            let statement = format!(
                "INSERT INTO jobs (id, tenant_id, queue, priority, payload, dedup_key, state, due_at, \
                 published_at, expires_at, keep_ms, attempt, attempts_max, claims, worker, error) VALUES {} \
                 ON CONFLICT (dedup_key, queue, tenant_id) DO UPDATE SET dedup_key = excluded.dedup_key \
                 RETURNING id, queue, tenant_id, dedup_key",
                tuples(part.len(), "($, $, $, $, $, $, 'waiting', $, $, $, $, 0, $, 0, '', '')")
            );
            let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(part.len() == 1);
            for n in part {
                let Draft { id, job, payload } = &rows[*n];
                let keep_ms = millis(job.keep_for);
                query = query
                    .bind(id.as_str())
                    .bind(job.tenant.as_str())
                    .bind(job.queue.as_str())
                    .bind(job.priority.rank())
                    .bind(payload.as_str())
                    .bind(job.key.as_deref())
                    .bind(now.saturating_add(millis(job.delay)))
                    .bind(now)
                    .bind(now.saturating_add(keep_ms))
                    .bind(keep_ms)
                    .bind(i64::from(job.attempts_max));
            }
            for row in query.fetch_all(&mut **tx).await? {
                if let Some(key) = row.try_get::<Option<String>, _>("dedup_key")? {
                    taken.insert((row.try_get("queue")?, row.try_get("tenant_id")?, key), row.try_get("id")?);
                }
            }
        }
        Ok(taken)
    }

    /// Refuses what would make a queue of a tenant too long. Jobs whose key is there already take no room.
    async fn make_room(&self, tx: &mut Tx, jobs: &[NewJob]) -> Result<(), JobError> {
        let mut groups: BTreeMap<(&str, &TenantId), Vec<&NewJob>> = BTreeMap::new();
        for job in jobs {
            groups.entry((&job.queue, &job.tenant)).or_default().push(job);
        }
        let room = &self.shared.room;
        for ((queue, tenant), group) in groups {
            let since = self.shared.clock.monotonic();
            if room.take(queue, tenant, group.len(), since) {
                continue;
            }
            let mut keys: Vec<&str> = group.iter().filter_map(|job| job.key.as_deref()).collect();
            keys.sort_unstable();
            keys.dedup();
            let keyless = group.iter().filter(|job| job.key.is_none()).count();
            let new = keyless + keys.len() - known(tx, queue, tenant, &keys).await?;
            if !room.count(tx, queue, tenant, new, since).await? {
                return Err(JobError::Full {
                    tenant: tenant.clone(),
                    queue: queue.to_owned(),
                    max: self.shared.settings.waiting_max,
                });
            }
        }
        Ok(())
    }
}

/// How many of the keys are taken.
async fn known(tx: &mut Tx, queue: &str, tenant: &TenantId, keys: &[&str]) -> Result<usize, DbError> {
    let mut known = 0;
    for part in keys.chunks(ROWS_PER_STATEMENT) {
        let list: Vec<String> = (0..part.len()).map(|n| format!("${}", n + 3)).collect();
        let statement = format!(
            "SELECT id FROM jobs WHERE queue = $1 AND tenant_id = $2 AND dedup_key IN ({})",
            list.join(", ")
        );
        let mut query =
            sqlx::query(AssertSqlSafe(statement)).persistent(false).bind(queue).bind(tenant.as_str());
        for key in part {
            query = query.bind(*key);
        }
        known += query.fetch_all(&mut **tx).await?.len();
    }
    Ok(known)
}

fn key_of(job: &NewJob) -> Option<(String, String, String)> {
    job.key.as_ref().map(|key| (job.queue.clone(), job.tenant.to_string(), key.clone()))
}

/// The row `times` over, with each `$` numbered: `($1, $2), ($3, $4)`.
pub(crate) fn tuples(times: usize, row: &str) -> String {
    let mut text = String::with_capacity(times * (row.len() + 32));
    let mut number = 0;
    for n in 0..times {
        if n > 0 {
            text.push_str(", ");
        }
        for letter in row.chars() {
            text.push(letter);
            if letter == '$' {
                number += 1;
                text.push_str(&number.to_string());
            }
        }
    }
    text
}

/// A name of a queue that cannot be.
pub(crate) fn check_queue(queue: &str) -> Result<(), JobError> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.');
    if (1..=QUEUE_BYTES_MAX).contains(&queue.len()) && queue.bytes().all(known) {
        return Ok(());
    }
    let shown: String = queue.chars().take(80).collect();
    let message = format!("{shown:?} must be 1 to 64 lower-case letters, digits, '_', '-' or '.'");
    Err(JobError::Invalid { field: "queue", message })
}

/// The job's payload as text, if the job can be.
fn check(job: &NewJob) -> Result<String, JobError> {
    check_queue(&job.queue)?;
    let invalid = |field, message: String| Err(JobError::Invalid { field, message });
    if let Some(key) = &job.key
        && (key.is_empty() || key.len() > KEY_BYTES_MAX || key.contains('\0'))
    {
        return invalid("key", format!("must be 1 to {KEY_BYTES_MAX} bytes without U+0000"));
    }
    if !(1..=ATTEMPTS_MAX).contains(&job.attempts_max) {
        return invalid("attempts_max", format!("{} must be 1 to {ATTEMPTS_MAX}", job.attempts_max));
    }
    let (keep_ms, delay_ms) = (millis(job.keep_for), millis(job.delay));
    if !(1..=KEEP_MS_MAX).contains(&keep_ms) {
        return invalid("keep_for", format!("{keep_ms} ms must be 1 to {KEEP_MS_MAX}"));
    }
    if delay_ms >= keep_ms {
        return invalid("delay", format!("{delay_ms} ms must be shorter than keep_for, {keep_ms} ms"));
    }
    // JSON escapes U+0000, which PostgreSQL's texts cannot hold.
    let payload = job.payload.to_string();
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(JobError::TooLarge { bytes: payload.len(), max: PAYLOAD_BYTES_MAX });
    }
    Ok(payload)
}
