//! What a query needs: a snapshot, the engine, a slot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use model::TenantId;
use promql::{Engine, QueryContext};
use query::{Reader, StoreSource};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{App, millis};
use crate::error::Fault;
use crate::limits::{Limit, State};
use crate::reach::Reach;

/// One query may take up to this part of the memory budget.
const QUERY_SHARE: u64 = 3;
/// A value and its time, in columns.
const BYTES_PER_SAMPLE: u64 = 16;
/// A selected series with its labels.
const BYTES_PER_SERIES: u64 = 512;
/// However small the budget is, this much is always granted.
const SAMPLES_MIN: u64 = 1_000_000;
const SERIES_MIN: u64 = 20_000;

/// Cancels a query whose caller went away: the handler's future is dropped, and this with it.
pub(crate) struct CancelOnDrop(pub(crate) Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts as a query of its tenant while it lives.
struct Running(Arc<State>);

impl Running {
    fn begin(state: Arc<State>) -> Self {
        state.used.queries.fetch_add(1, Ordering::Relaxed);
        Self(state)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.used.queries.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn slot(slots: Arc<Semaphore>, deadline: Instant) -> Result<OwnedSemaphorePermit, Fault> {
    let slot = tokio::time::timeout_at(deadline.into(), slots.acquire_owned())
        .await
        .map_err(|_| Fault::Timeout("no query slot became free in time: run fewer queries at once".into()))?;
    Ok(slot.expect("the semaphore is never closed"))
}

impl App {
    pub(crate) fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine)
    }

    /// What the configuration and the memory budget grant to a query; the deadline is the caller's to set.
    pub(crate) fn query_context(&self) -> QueryContext {
        let settings = self.config.settings();
        let share = self.memory_limit() / QUERY_SHARE;
        QueryContext {
            samples_max: Some(settings.query.samples.min((share / BYTES_PER_SAMPLE).max(SAMPLES_MIN))),
            series_max: Some((share / BYTES_PER_SERIES).max(SERIES_MIN)),
            lookback_ms: Some(millis(settings.query.lookback)),
            ..QueryContext::default()
        }
    }

    /// What answers SQL.
    pub(crate) fn sql_engine(&self) -> Arc<query::sql::SqlEngine> {
        Arc::clone(&self.sql)
    }

    /// When a query of a tenant that starts now must have ended.
    pub(crate) fn query_deadline(&self, tenant: &TenantId) -> Instant {
        let own = self.tenant_limits().get(tenant).and_then(|state| state.limits().query_seconds);
        let most = self.limits().query_timeout;
        Instant::now() + own.map_or(most, |seconds| most.min(Duration::from_secs_f64(seconds)))
    }

    /// Runs a query or a look-up on a thread that may block, in one of the slots that bound how many run at
    /// once. The slot is held until the work ends, also when nobody waits for it any more.
    pub(crate) async fn in_slot<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        name: &'static str,
        deadline: Instant,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        // A tenant's own slots come first: whoever waits for them takes none of the others'.
        let state = self.tenant_limits().get(tenant);
        let slots = state.as_ref().map(|state| state.query_slots(self.settings().query.concurrency as usize));
        let own = match slots {
            Some(slots) => Some(slot(slots, deadline).await.map_err(|_| {
                if let Some(state) = &state {
                    self.count_refused(state, Limit::ConcurrentQueries, 1);
                }
                Fault::TooMany("the tenant runs as many queries at once as it may: run fewer".into())
            })?),
            None => None,
        };
        let shared = slot(Arc::clone(&self.query_slots), deadline).await?;
        let running = state.map(Running::begin);
        let work = move || {
            let _held = (own, shared, running);
            work()
        };
        kit::spawn::spawn_blocking(name, work)
            .await
            .map_err(|_| Fault::Internal("the query ended abnormally; the log has the reason".into()))?
    }

    /// Series within reach as of now, for the evaluator. Waits for replay within the deadline.
    pub(crate) async fn source(&self, reach: &Reach, deadline: Instant) -> Result<StoreSource, Fault> {
        Ok(StoreSource::new(self.metric_snapshot(reach, deadline).await?))
    }

    /// Labels within reach as of now.
    pub(crate) async fn reader(&self, reach: &Reach) -> Result<Reader, Fault> {
        Ok(Reader::new(self.metric_snapshot(reach, self.query_deadline(&reach.tenant)).await?))
    }

    /// Metrics within reach as of now. The only way to a tenant's series. Waits for replay within the deadline.
    #[expect(clippy::disallowed_methods, reason = "the reach is applied here")]
    pub(crate) async fn metric_snapshot(
        &self,
        reach: &Reach,
        deadline: Instant,
    ) -> Result<store::MetricSnapshot, Fault> {
        let store = self.store()?;
        tokio::time::timeout_at(deadline.into(), store.await_replayed())
            .await
            .map_err(|_| Fault::Timeout("the log is still being replayed: ask again in a moment".into()))?
            .map_err(|error| super::writes::store_fault(&error))?;
        reach.series(store.snapshot(&reach.tenant))
    }
}
