//! How much may wait. Counting a long queue for every job would cost more than the job, and a counter in the
//! database would make all publishers of a tenant wait for each other; so a count is remembered for a while and
//! raised by what this process adds. It may be too high, never too low but for what other nodes add meanwhile;
//! where it says "full", the database is asked.

use std::collections::HashMap;
use std::time::Duration;

use model::TenantId;
use parking_lot::Mutex;
use sqlx::Row;

use crate::error::DbError;
use crate::scope::Tx;

/// A count is asked for again after this.
const COUNT_LIFE: Duration = Duration::from_secs(10);

/// Counts remembered; more than tenants with something to publish within `COUNT_LIFE` should there be.
const COUNTS_MAX: usize = 50_000;

pub(crate) struct Room {
    max: usize,
    counts: Mutex<HashMap<(String, TenantId), Count>>,
}

#[derive(Clone, Copy)]
struct Count {
    waiting: usize,
    /// By the monotonic clock.
    counted_at: Duration,
}

impl Room {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, counts: Mutex::default() }
    }

    /// Takes room for `more` if there is some for certain.
    pub(crate) fn take(&self, queue: &str, tenant: &TenantId, more: usize, now: Duration) -> bool {
        let mut counts = self.counts.lock();
        let Some(count) = counts.get_mut(&(queue.to_owned(), tenant.clone())) else { return false };
        let is_young = now.saturating_sub(count.counted_at) < COUNT_LIFE;
        let fits = is_young && count.waiting + more <= self.max;
        if fits {
            count.waiting += more;
        }
        fits
    }

    /// Counts, then takes room for `more` if there is some.
    pub(crate) async fn count(
        &self,
        tx: &mut Tx,
        queue: &str,
        tenant: &TenantId,
        more: usize,
        now: Duration,
    ) -> Result<bool, DbError> {
        let limit = i64::try_from(self.max).unwrap_or(i64::MAX);
        let row = sqlx::query(
            "SELECT COUNT(*) AS waiting FROM (SELECT 1 FROM jobs \
             WHERE queue = $1 AND tenant_id = $2 AND state = 'waiting' \
             ORDER BY priority, due_at LIMIT $3) AS first_rows",
        )
        .bind(queue)
        .bind(tenant.as_str())
        .bind(limit)
        .fetch_one(&mut **tx)
        .await?;
        let waiting = usize::try_from(row.try_get::<i64, _>("waiting")?).unwrap_or(0);
        let fits = more == 0 || waiting + more <= self.max;
        let mut counts = self.counts.lock();
        if counts.len() >= COUNTS_MAX {
            counts.retain(|_, count| now.saturating_sub(count.counted_at) < COUNT_LIFE);
            if counts.len() >= COUNTS_MAX {
                counts.clear();
            }
        }
        let waiting = if fits { waiting + more } else { waiting };
        counts.insert((queue.to_owned(), tenant.clone()), Count { waiting, counted_at: now });
        Ok(fits)
    }
}
