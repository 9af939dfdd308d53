//! Rows and samples to parcels, into the buffer; waits where that is full.

use std::time::Duration;

use ingest::otlp::encode::encode;
use ingest::otlp::metrics::Encoding;
use ingest::records::Context;
use kit::{SharedClock, Shutdown};
use model::{MetricBatch, Records};

use crate::spool::{Parcel, Spool};

/// Time between attempts while the buffer is full.
const RETRY: Duration = Duration::from_secs(1);

/// Where collectors put what they found.
#[derive(Clone)]
pub(crate) struct Outbox {
    spool: Spool,
    clock: SharedClock,
}

impl Outbox {
    pub(crate) fn new(spool: Spool, clock: SharedClock) -> Self {
        Self { spool, clock }
    }

    /// The time now, for decoders.
    pub(crate) fn context(&self) -> Context {
        Context { received_at_ns: self.now_ms().saturating_mul(1_000_000) }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Keeps log records, and waits for room: files and streams are read no faster than that.
    pub(crate) async fn logs(&self, records: &Records, stop: &Shutdown) -> bool {
        if records.is_empty() {
            return true;
        }
        let parcel = Parcel {
            path: "/v1/logs".into(),
            content_type: "application/x-protobuf".into(),
            content_encoding: String::new(),
            body: encode(records, Encoding::Protobuf),
        };
        let parcel = [parcel];
        while let Err(error) = self.spool.put(&parcel).await {
            if stop.is_requested() {
                return false;
            }
            tracing::warn!(%error, "log records wait");
            tokio::time::sleep(RETRY).await;
        }
        true
    }

    /// Keeps samples; where there is no room they are dropped, because the next ones say the same, newer.
    pub(crate) async fn metrics(&self, batch: &MetricBatch) {
        if batch.series.is_empty() {
            return;
        }
        let parcel = Parcel {
            path: "/api/v1/write".into(),
            content_type: "application/x-protobuf".into(),
            content_encoding: "snappy".into(),
            body: ingest::remote_write::encode(batch),
        };
        if let Err(error) = self.spool.put(&[parcel]).await {
            tracing::warn!(%error, "samples are dropped");
        }
    }
}
