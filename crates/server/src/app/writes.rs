//! What an intake needs after decoding: increments, the store.

use std::sync::Arc;

use ingest::Decoded;
use ingest::otlp::delta::{Changes, DeltaState, Last, Total};
use model::{
    Labels, MatchOp, Matcher, MetricBatch, MetricLimits, Reason, SampleColumns, Signal, TenantId, TimeRange,
};
use store::{Appended, MetricSnapshot};
use tokio::sync::OwnedMutexGuard;

use super::{App, millis};
use crate::error::Fault;
use crate::limits::Limit;

/// How far back the last total of an unknown series is looked for; beyond it a counter begins anew.
const TOTAL_LOOKBACK_MS: i64 = 24 * 3600 * 1000;
/// Memory that an active series takes in tables, index and head, rounded up. Series may take half of the
/// budget; beyond it new ones are refused while known ones go on.
const SERIES_BYTES: u64 = 1200;

/// Increments of one tenant, added up but not yet durable. Holds the tenant's lock.
pub(crate) struct Increments {
    state: OwnedMutexGuard<DeltaState>,
    changes: Option<Changes>,
}

impl Increments {
    /// Takes the increments back.
    pub(crate) fn undo(&mut self) {
        if let Some(changes) = self.changes.take() {
            self.state.undo(changes);
        }
    }
}

impl App {
    /// Stores a batch durably, within the limits of its tenant.
    pub(crate) async fn store_metrics(
        &self,
        tenant: &TenantId,
        batch: &MetricBatch,
    ) -> Result<Appended, Fault> {
        self.may_store(tenant, Signal::Metrics).await?;
        let mut limits = self.metric_limits();
        let state = self.tenant_state(tenant).await;
        let own = state.as_ref().and_then(|state| state.limits().series);
        let own = own.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        if let Some(most) = own.filter(|most| *most < limits.series_max) {
            (limits.series_max, limits.series_setting) = (most, "limits.series of the tenant");
        }
        let appended = self.store_batch(tenant, batch, &limits).await?;
        let counts = appended.refusals.counts().iter();
        let over: usize = counts.filter(|(why, _)| *why == Reason::SeriesLimit).map(|(_, n)| n).sum();
        if let Some(state) = state.filter(|_| over > 0) {
            self.count_refused(&state, Limit::Series, over as u64);
        }
        Ok(appended)
    }

    /// Stores a batch of the server's own durably, which counts against no limit of a tenant.
    pub(crate) async fn store_own_metrics(
        &self,
        tenant: &TenantId,
        batch: &MetricBatch,
    ) -> Result<Appended, Fault> {
        self.store_batch(tenant, batch, &self.metric_limits()).await
    }

    async fn store_batch(
        &self,
        tenant: &TenantId,
        batch: &MetricBatch,
        limits: &MetricLimits,
    ) -> Result<Appended, Fault> {
        let store = self.store()?;
        let settings = self.settings();
        // A tenant that came after the setting was changed does not know of the change.
        let retention_ms = super::retention::age(&settings, tenant, Signal::Metrics);
        if store.engine().retention_ms(tenant) != retention_ms {
            store.engine().set_retention(tenant, retention_ms);
        }
        store.append_metrics(tenant, batch, limits).await.map_err(|error| store_fault(&error))
    }

    /// Limits of every tenant's metrics, from the live configuration.
    pub(crate) fn metric_limits(&self) -> MetricLimits {
        let settings = self.settings();
        let limits = &settings.limits;
        let fitting = self.budget.limit() / 2 / SERIES_BYTES;
        MetricLimits {
            series_max: usize::try_from(limits.series.min(fitting)).unwrap_or(usize::MAX),
            labels_max: limits.labels as usize,
            name_bytes_max: limits.label_name_bytes as usize,
            value_bytes_max: limits.label_value_bytes as usize,
            future_ms_max: millis(limits.future),
            ..MetricLimits::default()
        }
    }

    /// Turns a batch's increments into totals, under the tenant's lock.
    #[expect(clippy::disallowed_methods, reason = "nothing that is read here is shown to anybody")]
    pub(crate) async fn add_increments(
        &self,
        tenant: &TenantId,
        decoded: &mut Decoded,
    ) -> Result<Increments, Fault> {
        self.may_store(tenant, Signal::Metrics).await?;
        let cell = Arc::clone(self.increments.lock().entry(tenant.clone()).or_default());
        let mut state = cell.lock_owned().await;
        let store = self.store()?;
        store.await_replayed().await.map_err(|error| store_fault(&error))?;
        let snapshot = store.snapshot(tenant);
        let now_ms = self.now_ms();
        // Looks into the store only for series that the state does not know.
        let changes = tokio::task::block_in_place(|| {
            state.accumulate(decoded, now_ms, |labels| last_total(&snapshot, labels, now_ms))
        });
        Ok(Increments { state, changes: Some(changes) })
    }
}

/// The last stored total of a series.
fn last_total(snapshot: &MetricSnapshot, labels: &Labels, now_ms: i64) -> Option<Last> {
    let equal = |(name, value)| Matcher::new(name, MatchOp::Equal, value).ok();
    let matchers: Vec<Matcher> = labels.iter().map(equal).collect::<Option<_>>()?;
    let range = TimeRange { start_ms: now_ms - TOTAL_LOOKBACK_MS, end_ms: i64::MAX };
    let found = snapshot.select(&matchers, range).ok()?;
    // The matchers also fit series with further labels.
    let series = found.into_iter().find(|series| series.labels() == labels)?;
    let mut columns = SampleColumns::default();
    series.read(range, &mut columns).ok()?;
    let float = columns.t_ms.last().map(|t_ms| Last {
        total: Total::Float(*columns.values.last().expect("as many values as times")),
        t_ms: *t_ms,
        start_ms: columns.starts_ms.last().copied().unwrap_or(0),
    });
    let histogram = columns.histogram_t_ms.last().map(|t_ms| Last {
        total: Total::Histogram(Arc::clone(columns.histograms.last().expect("as many histograms as times"))),
        t_ms: *t_ms,
        start_ms: columns.histogram_starts_ms.last().copied().unwrap_or(0),
    });
    float.into_iter().chain(histogram).max_by_key(|last| last.t_ms)
}

/// What the store's error means to a sender.
pub(crate) fn store_fault(error: &store::StoreError) -> Fault {
    match error.remedy() {
        store::Remedy::FixRequest => Fault::invalid("", error.to_string()),
        store::Remedy::RetryLater => Fault::Unavailable(error.to_string()),
        store::Remedy::CallOperator => {
            tracing::error!(%error, "the store cannot go on");
            Fault::Unavailable(error.to_string())
        }
    }
}
