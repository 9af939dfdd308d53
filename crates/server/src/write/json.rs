//! Our own JSON: `POST /api/metrics` for batches, `POST /api/v1/monitoring/metrics/custom` for one.

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Request, StatusCode};
use ingest::json::{self as decoder, Context};
use model::Refusals;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::Written;
use super::bodies::{CustomMetric, MetricBatch, StoredMetric};
use crate::app::SharedApp;
use crate::body;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::openapi::{Op, Routes};

/// Batches.
pub(super) fn routes() -> Routes {
    let op = Op::new("postMetrics", "Stores a batch of metrics")
        .takes::<MetricBatch>()
        .gives::<Report>()
        .refuses(&[415]);
    Routes::new("Intake").post("/api/metrics", batch, op)
}

/// One metric.
pub(super) fn protected_routes() -> Routes {
    let op = Op::new("postCustomMetric", "Stores a metric")
        .takes::<CustomMetric>()
        .creates::<CustomMetricStored>()
        .refuses(&[415]);
    Routes::new("Intake").post("/api/v1/monitoring/metrics/custom", custom, op)
}

/// How many items were taken, and which were not, where and why.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WriteReport")]
pub(super) struct Report {
    accepted: usize,
    /// The first of those that were refused.
    refused: Vec<Refused>,
    /// How many were refused, where they are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize")]
    refused_total: Option<usize>,
}

/// An item that was refused.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RefusedItem")]
struct Refused {
    /// Its place in what was sent.
    index: usize,
    field: String,
    /// A word for the kind of fault.
    reason: &'static str,
    message: String,
}

/// A metric as it was understood.
#[derive(Serialize, JsonSchema)]
struct CustomMetricStored {
    /// Always true.
    success: bool,
    #[schemars(with = "StoredMetric")]
    data: Value,
    /// Always empty.
    insights: [Value; 0],
}

/// A batch. Refused items are named; their neighbours are stored unless `"transaction": true`.
async fn batch(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    request: Request<Body>,
) -> Result<Json<Report>, ApiFault> {
    let (raw, mut admission) = app.admit(&identity, &headers, request.into_body()).await?;
    let plain = super::unpack(&app, body::encoding(&headers), raw, &mut admission)?;
    let request = decoder::decode(&plain, &context(&app)).map_err(super::fault)?;
    if request.transaction && !request.decoded.refusals.is_empty() {
        let nothing = Written { refusals: request.decoded.refusals, ..Written::default() };
        app.telemetry().outcome(&identity.tenant, "metrics", "json", 0, &nothing.refusals);
        return Ok(Json(report(&nothing)));
    }
    let mut written = super::append(&app, &identity.tenant, "json", request.decoded).await?;
    // Items, not the several series that a histogram becomes.
    written.samples = request.items.saturating_sub(written.refusals.items());
    Ok(Json(report(&written)))
}

/// One metric; the answer repeats it as it was understood.
async fn custom(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    request: Request<Body>,
) -> Result<(StatusCode, Json<CustomMetricStored>), ApiFault> {
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
    Ok((StatusCode::CREATED, Json(CustomMetricStored { success: true, data: metric, insights: [] })))
}

fn context(app: &SharedApp) -> Context {
    let future_ms_max = crate::app::millis(app.settings().limits.future);
    Context { received_at_ms: app.now_ms(), future_ms_max, ..Context::default() }
}

/// What became of metrics.
pub(super) fn report(written: &Written) -> Report {
    Report::of(written.samples, &written.refusals)
}

impl Report {
    /// What became of any items.
    pub(super) fn of(accepted: usize, refusals: &Refusals) -> Self {
        let refused: Vec<Refused> = refusals
            .detailed()
            .iter()
            .map(|refusal| Refused {
                index: refusal.index,
                field: refusal.field.to_string(),
                reason: refusal.reason.as_str(),
                message: refusal.message.clone(),
            })
            .collect();
        let items = refusals.items();
        Self { accepted, refused_total: Some(items).filter(|items| *items > refused.len()), refused }
    }
}
