//! What intakes and queries of rows need: the store, its limits, snapshots, figures of spans.

use std::time::Instant;

use model::{RecordLimits, Records, Signal, TenantId};
use store::{Appended, RowSnapshot};

use super::writes::store_fault;
use super::{App, millis};
use crate::error::Fault;
use crate::own;
use crate::reach::Reach;

/// Longest row of the audit log; they are cut to less.
const AUDIT_ROW_BYTES_MAX: usize = 1 << 20;

impl App {
    /// Stores rows durably.
    pub(crate) async fn store_records(
        &self,
        tenant: &TenantId,
        records: &Records,
    ) -> Result<Appended, Fault> {
        self.may_store(tenant, records.signal).await?;
        let store = self.store()?;
        let settings = self.settings();
        let retention = self.row_retention(&settings, tenant, records.signal);
        store.engine().set_row_retention(tenant, records.signal, retention);
        let limits = RecordLimits {
            row_bytes_max: match records.signal {
                // Cut before they were sealed: a setting for telemetry must not refuse them.
                Signal::Audit => AUDIT_ROW_BYTES_MAX,
                _ => usize::try_from(settings.limits.record_bytes.0).unwrap_or(usize::MAX),
            },
            attrs_max: settings.limits.attributes as usize,
            future_ms_max: millis(settings.limits.future),
            ..RecordLimits::default()
        };
        store.append_records(tenant, records, &limits).await.map_err(|error| store_fault(&error))
    }

    /// Rows within reach as of now. The only way to a tenant's rows. Waits for replay within the deadline.
    #[expect(clippy::disallowed_methods, reason = "the reach is applied here")]
    pub(crate) async fn rows(
        &self,
        reach: &Reach,
        signal: Signal,
        deadline: Instant,
    ) -> Result<RowSnapshot, Fault> {
        let store = self.store()?;
        tokio::time::timeout_at(deadline.into(), store.await_replayed())
            .await
            .map_err(|_| Fault::Timeout("the log is still being replayed: ask again in a moment".into()))?
            .map_err(|error| store_fault(&error))?;
        reach.rows(signal, store.rows(&reach.tenant, signal))
    }

    /// Counts spans for the metrics that are made of them.
    pub(crate) fn observe_spans(&self, tenant: &TenantId, spans: &Records) {
        self.span_metrics.lock().entry(tenant.clone()).or_default().observe(spans);
    }

    /// Writes the program's own lines and spans since the last time.
    pub(crate) async fn record_own_rows(&self) {
        let settings = self.settings();
        self.own.sample(settings.tracing.enabled, settings.tracing.sampling_rate);
        // Until it is known whose they are, they wait.
        let Ok(tenant) = self.own_tenant().await else { return };
        let (lines, spans, lost) = self.own.take();
        if !settings.telemetry.enabled || !settings.general.enabled {
            return;
        }
        let host = self.hostname();
        let records = [own::lines_to_records(&lines, &host), own::spans_to_records(&spans, &host)];
        let mut missing = lost;
        self.observe_spans(&tenant, &records[1]);
        for records in records.into_iter().filter(|records| !records.is_empty()) {
            // Its own failure is told by the store; a line about it here would come back in a second.
            missing += match self.store_records(&tenant, &records).await {
                Ok(_) => 0,
                Err(_) => records.len() as u64,
            };
            self.hub().tail(&tenant, records);
        }
        self.telemetry().own_rows_lost(missing);
    }

    /// Writes the metrics made of spans since the last time.
    pub(crate) async fn record_span_metrics(&self) {
        let now_ms = self.now_ms();
        let drained: Vec<_> = {
            let mut all = self.span_metrics.lock();
            all.iter_mut().map(|(tenant, figures)| (tenant.clone(), figures.drain(now_ms))).collect()
        };
        for (tenant, batch) in drained {
            if batch.series.is_empty() {
                continue;
            }
            // Totals stay with the figures, so the next round repeats what this one could not store.
            if let Err(fault) = self.store_metrics(&tenant, &batch).await {
                tracing::warn!(%tenant, reason = fault.message(), "metrics of spans were not stored");
            }
        }
    }
}
