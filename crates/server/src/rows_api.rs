//! Logs, spans and events for explorers: `/api/v1/monitoring/{logs,spans,events}`.

mod deletions; // deletes by search
mod explore; // histogram, facets, fields, patterns, context
mod params; // what is asked
mod preview; // pipelines on recent rows

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use model::Signal;
use query::Control;
use query::rows::{Cursor, Row, RowReader, StoredRows, row_json};
use serde_json::{Value, json};

use crate::app::{CancelOnDrop, SharedApp};
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::prom::params::Params;

pub(crate) use params::{search, time_ns};

use params::Asked;

/// Rows of one page at most.
const PAGE_MAX: usize = 10_000;
const PAGE_DEFAULT: usize = 100;

/// Reads, behind a key or a session.
pub(crate) fn routes() -> Router<SharedApp> {
    let of = |router: Router<SharedApp>, signal: Signal, path: &str| {
        let base = format!("/api/v1/monitoring/{path}");
        let with = move |params, app, identity| page(app, identity, params, signal);
        router
            .route(&base, get(move |app, identity, params: Params| with(params, app, identity)))
            .merge(explore::routes(signal, &base))
    };
    [(Signal::Logs, "logs"), (Signal::Traces, "spans"), (Signal::Events, "events")]
        .into_iter()
        .fold(Router::new(), |router, (signal, path)| of(router, signal, path))
        .route("/api/v1/monitoring/deletions", get(deletions::list))
}

/// Changes, for administrators.
pub(crate) fn admin_routes() -> Router<SharedApp> {
    Router::new()
        .route("/api/v1/monitoring/logs/delete", post(deletions::logs))
        .route("/api/v1/monitoring/spans/delete", post(deletions::spans))
        .route("/api/v1/monitoring/events/delete", post(deletions::events))
}

/// What editors may try.
pub(crate) fn editor_routes() -> Router<SharedApp> {
    Router::new().route("/api/v1/monitoring/pipelines/preview", post(preview::run))
}

/// One page of rows.
async fn page(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
    signal: Signal,
) -> Result<Response, ApiFault> {
    let asked = Asked::read(&params, signal, app.now_ms())?;
    // More than the limit is clamped, not refused: the cursor leads on.
    let limit = params.count("limit")?.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let sort = asked.sort;
    let cursor = params.get("cursor").map(Cursor::parse).transpose().map_err(Fault::from)?;
    let started = Instant::now();
    let found =
        read(&app, &identity, signal, move |reader| reader.page(&asked.ask, sort, limit, cursor.as_ref()))
            .await?;
    let rows: Vec<Value> = found.rows.iter().map(row_json).collect();
    let next = found.next.map(|cursor| cursor.to_string());
    let mut answer = json!({ "rows": rows, "next": next });
    answer["cost"] = cost_json(&found.cost, started);
    Ok(axum::Json(answer).into_response())
}

/// Asks the rows of a signal on a thread that may block; a caller that goes away cancels.
pub(crate) async fn read<T: Send + 'static>(
    app: &SharedApp,
    identity: &Identity,
    signal: Signal,
    work: impl FnOnce(&RowReader) -> Result<T, query::QueryFault> + Send + 'static,
) -> Result<T, Fault> {
    let deadline = app.query_deadline(&identity.tenant);
    let snapshot = app.rows(&identity.reach(), signal, deadline).await?;
    let control = Control::until(deadline);
    let _cancel = CancelOnDrop(Arc::clone(&control.cancelled));
    let work = move || {
        work(&RowReader::new(Arc::new(StoredRows::new(signal, snapshot)), control)).map_err(Fault::from)
    };
    app.in_slot(&identity.tenant, "rows", deadline, work).await
}

/// What an answer took.
pub(crate) fn cost_json(cost: &store::rows::Cost, started: Instant) -> Value {
    json!({
        "rows": cost.rows,
        "bytes": cost.bytes,
        "slices": cost.slices,
        "ms": (started.elapsed().as_secs_f64() * 1e5).round() / 100.0,
    })
}

/// Rows as the API shows them.
fn rows_json(rows: &[Row]) -> Vec<Value> {
    rows.iter().map(row_json).collect()
}
