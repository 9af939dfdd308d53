//! `POST /api/v1/import/prometheus`: text exposition or OpenMetrics, with timestamps where it has them.

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Request};

use ingest::text::{Context, Format};

use super::json::{Report, report};
use crate::app::SharedApp;
use crate::body;
use crate::chain::Identity;
use crate::error::ApiFault;
use crate::openapi::{Op, Routes, text};

/// The one route.
pub(super) fn routes() -> Routes {
    let op = Op::new(
        "importPrometheus",
        "Stores text exposition or OpenMetrics, with timestamps where it has them",
    )
    .takes_content(text("text/plain"))
    .takes_content(text("application/openmetrics-text"))
    .gives::<Report>()
    .refuses(&[415]);
    Routes::new("Intake").post("/api/v1/import/prometheus", prometheus, op)
}

/// One file of lines. A bad line costs that line.
async fn prometheus(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    request: Request<Body>,
) -> Result<Json<Report>, ApiFault> {
    let (raw, mut admission) = app.admit(&identity, &headers, request.into_body()).await?;
    let plain = super::unpack(&app, body::encoding(&headers), raw, &mut admission)?;
    let (_, content_type) = body::content_type(&headers);
    let format = Format::of_content_type(content_type).unwrap_or(Format::Text);
    let decoded =
        ingest::text::decode(plain, &Context::import(format, app.now_ms())).map_err(super::fault)?;
    let written = super::append(&app, &identity.tenant, "import", decoded).await?;
    Ok(Json(report(&written)))
}
