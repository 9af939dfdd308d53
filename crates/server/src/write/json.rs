//! Our own JSON: `POST /api/metrics` for batches, `POST /api/v1/monitoring/metrics/custom` for one.

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use ingest::json::{self as decoder, Context};
use model::Refusals;
use serde_json::{Value, json};

use super::Written;
use crate::app::SharedApp;
use crate::body;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};

/// A batch. Refused items are named; their neighbours are stored unless `"transaction": true`.
pub(crate) async fn batch(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    request: Request<Body>,
) -> Result<Response, ApiFault> {
    let (raw, mut admission) = app.admit(&identity, &headers, request.into_body()).await?;
    let plain = super::unpack(&app, body::encoding(&headers), raw, &mut admission)?;
    let request = decoder::decode(&plain, &context(&app)).map_err(super::fault)?;
    if request.transaction && !request.decoded.refusals.is_empty() {
        let nothing = Written { refusals: request.decoded.refusals, ..Written::default() };
        app.telemetry().outcome(&identity.tenant, "metrics", "json", 0, &nothing.refusals);
        return Ok((StatusCode::OK, Json(report(&nothing))).into_response());
    }
    let mut written = super::append(&app, &identity.tenant, "json", request.decoded).await?;
    // Items, not the several series that a histogram becomes.
    written.samples = request.items.saturating_sub(written.refusals.items());
    Ok((StatusCode::OK, Json(report(&written))).into_response())
}

/// One metric; the answer repeats it as it was understood.
pub(crate) async fn custom(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    request: Request<Body>,
) -> Result<Response, ApiFault> {
    let (raw, mut admission) = app.admit(&identity, &headers, request.into_body()).await?;
    let plain = super::unpack(&app, body::encoding(&headers), raw, &mut admission)?;
    let mut metric: Value = crate::json::parse(&plain)?;
    let received_at_ms = app.now_ms();
    if let Some(object) = metric.as_object_mut() {
        object.entry("timestamp").or_insert(json!(received_at_ms));
        object.entry("type").or_insert(json!("gauge"));
        object.entry("tags").or_insert(json!({}));
    }
    let one = serde_json::to_vec(&metric).map_err(|error| Fault::Internal(error.to_string()))?;
    let decoded = decoder::decode_one(&one, &context(&app)).map_err(super::fault)?;
    let written = super::append(&app, &identity.tenant, "json", decoded).await?;
    if let Some(refusal) = written.refusals.detailed().first() {
        return Err(Fault::invalid(&refusal.field, refusal.message.clone()).into());
    }
    let answer = json!({ "success": true, "data": metric, "insights": [] });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

fn context(app: &SharedApp) -> Context {
    let future_ms_max = crate::app::millis(app.settings().limits.future);
    Context { received_at_ms: app.now_ms(), future_ms_max, ..Context::default() }
}

/// How many were taken, and which were not, where and why.
pub(super) fn report(written: &Written) -> Value {
    report_of(written.samples, &written.refusals)
}

/// The same of any items.
pub(super) fn report_of(accepted: usize, refusals: &Refusals) -> Value {
    let refused: Vec<Value> = refusals
        .detailed()
        .iter()
        .map(|r| json!({ "index": r.index, "field": r.field, "reason": r.reason.as_str(), "message": r.message }))
        .collect();
    let mut report = json!({ "accepted": accepted, "refused": refused });
    let items = refusals.items();
    if items > refused.len() {
        report["refused_total"] = json!(items);
    }
    report
}
