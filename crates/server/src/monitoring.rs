//! `/api/v1/monitoring/*`: health, system metrics rows, collection on request.

pub(crate) mod hosts; // who sends metrics of a machine
mod rows; // views over stored series

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use control::Permission;
use model::TenantId;
use serde_json::{Value, json};

use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::prom::params::Params;
use crate::realtime::timestamp;

/// Rows of one answer; `limit` may only lower it.
const ROWS_MAX: usize = 1000;
const ROWS_DEFAULT: usize = 100;
/// Rows of one instant that a cursor may pass over.
const SKIP_MAX: usize = 200_000;
/// The last moment that every zone's calendar has, in the year 9999.
const T_MS_MAX: i64 = 253_402_207_199_999;

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
    let bounded = |t_ms: i64| t_ms.clamp(-T_MS_MAX, T_MS_MAX);
    let cursor = params.get("cursor").map(parse_cursor).transpose()?;
    let end_ms = match cursor {
        Some((t_ms, _)) => t_ms,
        None => params.time("end")?.unwrap_or_else(|| app.now_ms()),
    };
    // Rows that an earlier page showed of the instant that this one starts at.
    let skip = cursor.map_or(0, |(_, skip)| skip);
    let (start_ms, end_ms) = (bounded(params.time("start")?.unwrap_or(i64::MIN)), bounded(end_ms));
    if start_ms > end_ms {
        return Err(Fault::invalid("end", "it must not be before start").into());
    }
    let wanted = limit + 1 + skip;
    let rows = match params.get("name") {
        Some(name) => rows::named(&app, &identity.tenant, name, start_ms, end_ms, wanted).await?,
        None => rows::system(&app, &identity.tenant, start_ms, end_ms, wanted).await?,
    };
    let next = rows.get(skip + limit).map(|(t_ms, _)| {
        let shown = rows[..skip + limit].iter().rev().take_while(|(t, _)| t == t_ms).count();
        format!("{t_ms}.{shown}")
    });
    let data: Vec<Value> = rows.into_iter().skip(skip).take(limit).map(|(_, row)| row).collect();
    Ok(Json(json!({ "success": true, "data": data, "nextCursor": next })).into_response())
}

/// `<milliseconds>.<rows of that instant already shown>`.
fn parse_cursor(text: &str) -> Result<(i64, usize), Fault> {
    let parsed = text.split_once('.').and_then(|(t, n)| Some((t.parse().ok()?, n.parse().ok()?)));
    parsed.filter(|(_, shown)| *shown <= SKIP_MAX).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        Fault::invalid("cursor", format!("{shown:?} is not a cursor of an earlier answer"))
    })
}

/// Collects now; the row is stored and answered.
pub(crate) async fn collect(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, ApiFault> {
    // What is read is the machine the server runs on, whose metrics belong to those who run it.
    if identity.tenant != TenantId::default_tenant() {
        identity.need(Permission::PlatformManage)?;
    }
    let tenant = TenantId::default_tenant();
    let t_ms = app.collect_host(&tenant).await?;
    let row = rows::system(&app, &tenant, t_ms, t_ms, 1).await?.into_iter().next().map(|(_, row)| row);
    Ok((StatusCode::CREATED, Json(json!({ "success": true, "data": row }))).into_response())
}
