//! What a query needs: a snapshot, the engine, a slot.

use std::sync::Arc;
use std::time::Instant;

use model::TenantId;
use promql::{Engine, QueryContext};
use query::{Reader, StoreSource};
use tokio::sync::OwnedSemaphorePermit;

use super::{App, millis};
use crate::error::Fault;

impl App {
    pub(crate) fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine)
    }

    /// What the configuration grants to a query; the deadline is the caller's to set.
    pub(crate) fn query_context(&self) -> QueryContext {
        let settings = self.config.settings();
        QueryContext {
            samples_max: Some(settings.query.samples),
            lookback_ms: Some(millis(settings.query.lookback)),
            ..QueryContext::default()
        }
    }

    /// When a query that starts now must have ended.
    pub(crate) fn query_deadline(&self) -> Instant {
        Instant::now() + self.limits().query_timeout
    }

    /// Waits for one of the slots that bound how many queries run at once.
    pub(crate) async fn query_slot(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.query_slots).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Series of a tenant as of now, for the evaluator. Waits for replay within the deadline.
    pub(crate) async fn source(&self, tenant: &TenantId, deadline: Instant) -> Result<StoreSource, Fault> {
        Ok(StoreSource::new(self.snapshot(tenant, deadline).await?))
    }

    /// Labels of a tenant as of now.
    pub(crate) async fn reader(&self, tenant: &TenantId) -> Result<Reader, Fault> {
        Ok(Reader::new(self.snapshot(tenant, self.query_deadline()).await?))
    }

    async fn snapshot(&self, tenant: &TenantId, deadline: Instant) -> Result<store::MetricSnapshot, Fault> {
        let store = self.store()?;
        tokio::time::timeout_at(deadline.into(), store.await_replayed())
            .await
            .map_err(|_| Fault::Timeout("the log is still being replayed: ask again in a moment".into()))?
            .map_err(|error| super::writes::store_fault(&error))?;
        Ok(store.snapshot(tenant))
    }
}
