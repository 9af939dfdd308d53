//! Intakes. Every one is the same walk: read the body within its bounds, decode, accumulate increments,
//! append durably, count the outcome, tell the listeners, answer in the protocol's own words.

mod bodies; // what is taken
mod elastic; // Elasticsearch's bulk
mod grpc; // OTLP over gRPC
mod import; // text exposition with timestamps
mod intakes; // rows in other systems' protocols
mod json; // our own batches
pub(crate) mod otlp; // OTLP over HTTP
pub(crate) mod remote_write; // Prometheus remote write
pub(crate) mod rows; // logs, spans and events into the store
pub(crate) mod statsd; // StatsD over UDP
pub(crate) mod syslog; // syslog over UDP, TCP and TLS

pub(crate) use elastic::version as elastic_version;
pub(crate) use grpc::{service as grpc_service, unknown_method};
pub(crate) use intakes::KEY_IN_PATH;

use ingest::compress::decompress;
use ingest::{DecodeError, Decoded};
use model::{Refusals, TenantId};

use crate::app::{Admission, SharedApp};
use crate::error::Fault;
use crate::openapi::Routes;

/// Intakes that pass the chain themselves, to refuse in their own protocol; those of Prometheus are with its API.
pub(crate) fn intakes() -> Routes {
    otlp::routes().merge(intakes::routes())
}

/// Our own intakes of metrics.
pub(crate) fn routes() -> Routes {
    json::routes().merge(import::routes())
}

/// Our own intakes that always need a credential.
pub(crate) fn protected_routes() -> Routes {
    json::protected_routes().merge(intakes::protected_routes())
}

/// What became of a request: items stored, items refused.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Float and histogram samples stored.
    pub(crate) samples: usize,
    /// Of those, histograms.
    pub(crate) histograms: usize,
    /// Exemplars stored.
    pub(crate) exemplars: usize,
    /// What was refused, by decoder and store together.
    pub(crate) refusals: Refusals,
}

/// Stores what was decoded. Durable when it returns; on an error nothing was stored.
///
/// It is a task of its own: a sender that goes away while the disk works must not leave increments that are
/// neither stored nor taken back, nor an outcome that nobody counted.
pub(crate) async fn append(
    app: &SharedApp,
    tenant: &TenantId,
    protocol: &'static str,
    decoded: Decoded,
) -> Result<Written, Fault> {
    let (app, tenant) = (app.clone(), tenant.clone());
    let storing = async move { store(&app, &tenant, protocol, decoded).await };
    kit::spawn::spawn("append", storing)
        .await
        .map_err(|_| Fault::Internal("the write ended abnormally; the log has the reason".into()))?
}

async fn store(
    app: &SharedApp,
    tenant: &TenantId,
    protocol: &'static str,
    mut decoded: Decoded,
) -> Result<Written, Fault> {
    app.check_room(tenant).await?;
    // Increments of one tenant are added up one request at a time, until they are durable: a request that
    // fails takes its increments back, and nobody has built on them.
    let mut adding = None;
    if !decoded.deltas.is_empty() {
        adding = Some(app.add_increments(tenant, &mut decoded).await?);
    }
    let previews = app.hub().preview(tenant, &decoded.batch);
    let outcome = app.store_metrics(tenant, &decoded.batch).await;
    if let (Some(adding), Err(_)) = (&mut adding, &outcome) {
        adding.undo();
    }
    drop(adding);
    let appended = outcome?;
    let mut refusals = decoded.refusals;
    refusals.append(appended.refusals);
    app.telemetry().outcome(tenant, "metrics", protocol, appended.accepted, &refusals);
    if let Some(previews) = previews {
        app.hub().deliver(tenant, previews, app.now_ms());
    }
    Ok(Written {
        samples: appended.accepted,
        histograms: appended.histograms,
        exemplars: appended.exemplars,
        refusals,
    })
}

/// A body as the sender meant it, within the limit, and accounted.
pub(crate) fn unpack(
    app: &SharedApp,
    encoding: &str,
    raw: Vec<u8>,
    admission: &mut Admission,
) -> Result<Vec<u8>, Fault> {
    let plain = decompress(encoding, raw, app.limits().body_bytes).map_err(|error| fault(error.into()))?;
    admission.unpacked(plain.len())?;
    Ok(plain)
}

/// What a request that cannot be read at all means to its sender.
pub(crate) fn fault(error: DecodeError) -> Fault {
    match error {
        DecodeError::TooLarge(_) => Fault::TooLarge(error.to_string()),
        DecodeError::Malformed(_) => Fault::invalid("", error.to_string()),
        DecodeError::Unsupported(_) => Fault::Unsupported(error.to_string()),
    }
}
