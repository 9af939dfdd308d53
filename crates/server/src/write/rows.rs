//! Logs, spans and events on their way into the store: the walk that every row intake shares.

use ingest::records::{Context, DecodedRecords};
use model::{Refusals, Signal, TenantId};

use crate::app::SharedApp;
use crate::error::Fault;

/// What became of a request of rows.
#[derive(Debug, Default)]
pub(crate) struct WrittenRows {
    /// Rows stored, or dropped by a rule of the tenant.
    pub(crate) accepted: usize,
    /// What was refused, by decoder and store together.
    pub(crate) refusals: Refusals,
}

/// What decoders of rows need to know beside the body.
pub(crate) fn context(app: &SharedApp) -> Context {
    Context { received_at_ns: app.now_ms().saturating_mul(1_000_000) }
}

/// Runs the tenant's pipeline and stores what is left. Durable when it returns; on an error nothing was stored.
///
/// It is a task of its own: a sender that goes away while the disk works must not leave an outcome that nobody
/// counted.
pub(crate) async fn append(
    app: &SharedApp,
    tenant: &TenantId,
    protocol: &'static str,
    decoded: DecodedRecords,
) -> Result<WrittenRows, Fault> {
    let (app, tenant) = (app.clone(), tenant.clone());
    let storing = async move { store(&app, &tenant, protocol, decoded).await };
    kit::spawn::spawn("append rows", storing)
        .await
        .map_err(|_| Fault::Internal("the write ended abnormally; the log has the reason".into()))?
}

async fn store(
    app: &SharedApp,
    tenant: &TenantId,
    protocol: &'static str,
    decoded: DecodedRecords,
) -> Result<WrittenRows, Fault> {
    app.check_room(tenant).await?;
    let DecodedRecords { mut records, mut refusals } = decoded;
    let signal = records.signal;
    let processing = app.processing(tenant, signal).await?;
    // Figures of spans are of what was sent, not of what sampling leaves, and as redacted as what is stored.
    let observed = processing.as_ref().filter(|p| signal == Signal::Traces && p.pipeline().drops());
    let observed = observed.map(|processing| {
        let mut sent = records.clone();
        processing.pipeline().run_changes(&mut sent);
        sent
    });
    let mut counts = pipeline::Counts::default();
    if let Some(processing) = &processing {
        processing.pipeline().run(&mut records, &mut counts);
    }
    let appended = app.store_records(tenant, &records).await?;
    if signal == Signal::Traces {
        app.observe_spans(tenant, observed.as_ref().unwrap_or(&records));
    }
    refusals.append(appended.refusals);
    app.telemetry().outcome(tenant, signal.as_str(), protocol, appended.accepted, &refusals);
    app.telemetry().dropped(tenant, signal.as_str(), &counts);
    if let Some(processing) = processing {
        app.export(tenant, &processing, &records);
    }
    app.hub().tail(tenant, records);
    Ok(WrittenRows { accepted: appended.accepted + counts.dropped(), refusals })
}
