//! `/api/v1/monitoring/*`: health, system metrics rows, collection on request.

mod rows; // views over stored series

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::access::Identity;
use crate::app::SharedApp;
use crate::error::{ApiFault, Fault};
use crate::prom::params::Params;
use crate::realtime::timestamp;

/// Rows of one answer; `limit` may only lower it.
const ROWS_MAX: usize = 1000;
const ROWS_DEFAULT: usize = 100;

/// Public: one word for the whole server, no details.
pub(crate) async fn health(State(app): State<SharedApp>) -> Response {
    let (status, code) = app.overall_health();
    (code, Json(json!({ "status": status, "timestamp": timestamp(app.now_ms()) }))).into_response()
}

/// SystemMetric rows, newest first: a view over the host's own series, with `start`, `end`, `limit` and
/// `cursor`; `name` selects any metric instead and answers its latest samples.
pub(crate) async fn metrics(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, ApiFault> {
    let limit = params.count("limit")?.unwrap_or(ROWS_DEFAULT).clamp(1, ROWS_MAX);
    let end_ms = match params.get("cursor") {
        Some(cursor) => cursor.parse::<i64>().map_err(|_| {
            Fault::invalid("cursor", format!("{cursor:?} is not a cursor of an earlier answer"))
        })?,
        None => params.time("end")?.unwrap_or_else(|| app.now_ms()),
    };
    let start_ms = params.time("start")?.unwrap_or(i64::MIN);
    let rows = match params.get("name") {
        Some(name) => rows::named(&app, &identity.tenant, name, start_ms, end_ms, limit + 1).await?,
        None => rows::system(&app, &identity.tenant, start_ms, end_ms, limit + 1).await?,
    };
    let next = (rows.len() > limit).then(|| rows[limit].0);
    let data: Vec<Value> = rows.into_iter().take(limit).map(|(_, row)| row).collect();
    Ok(Json(json!({ "success": true, "data": data, "nextCursor": next.map(|t| t.to_string()) }))
        .into_response())
}

/// Collects now; the row is stored and answered.
pub(crate) async fn collect(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, ApiFault> {
    let t_ms = app.collect_host(&identity.tenant).await?;
    let row =
        rows::system(&app, &identity.tenant, t_ms, t_ms, 1).await?.into_iter().next().map(|(_, row)| row);
    Ok((StatusCode::CREATED, Json(json!({ "success": true, "data": row }))).into_response())
}
