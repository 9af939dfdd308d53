//! Deletes by search: rows are hidden when the answer is sent, and their bytes are gone within a day.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::Signal;
use serde::Deserialize;
use serde_json::{Value, json};

use super::params::{search, span};
use crate::access::Identity;
use crate::app::SharedApp;
use crate::error::{ApiFault, Fault};
use crate::realtime::timestamp;

/// What is to go.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delete {
    /// A search that must name something.
    query: String,
    /// First time inside.
    start: Option<Value>,
    /// First time not inside any more.
    end: Option<Value>,
}

pub(crate) async fn logs(
    app: State<SharedApp>,
    identity: Extension<Identity>,
    body: crate::json::Body<Delete>,
) -> Result<Response, ApiFault> {
    delete(app, identity, body.0, Signal::Logs).await
}

pub(crate) async fn spans(
    app: State<SharedApp>,
    identity: Extension<Identity>,
    body: crate::json::Body<Delete>,
) -> Result<Response, ApiFault> {
    delete(app, identity, body.0, Signal::Traces).await
}

pub(crate) async fn events(
    app: State<SharedApp>,
    identity: Extension<Identity>,
    body: crate::json::Body<Delete>,
) -> Result<Response, ApiFault> {
    delete(app, identity, body.0, Signal::Events).await
}

async fn delete(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    wanted: Delete,
    signal: Signal,
) -> Result<Response, ApiFault> {
    if wanted.query.trim().is_empty() {
        let why = "a delete needs a search; write * to delete every row of the span of time";
        return Err(Fault::invalid("query", why).into());
    }
    let predicate = search(signal, &wanted.query)?;
    let text = |value: &Option<Value>| {
        value.as_ref().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let (start, end) = (text(&wanted.start), text(&wanted.end));
    let (Some(start), Some(end)) = (start, end) else {
        return Err(Fault::invalid("start", "a delete needs start and end").into());
    };
    let (start_ns, end_ns) = span(Some(&start), Some(&end), app.now_ms())?;
    let store = app.store()?;
    let (tenant, now_ms) = (identity.tenant.clone(), app.now_ms());
    let work = move || store.engine().delete_rows(&tenant, signal, &predicate, start_ns, end_ns, now_ms);
    let id = kit::spawn::spawn_blocking("delete rows", work)
        .await
        .map_err(|_| Fault::Internal("the deletion ended abnormally; the log has the reason".into()))?
        .map_err(|error| crate::app::writes::store_fault(&error))?;
    let answer = json!({ "id": id.to_string(), "state": "hidden" });
    Ok((StatusCode::ACCEPTED, axum::Json(answer)).into_response())
}

/// Deletes whose bytes are not gone yet, and those that were carried out since the start.
pub(crate) async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, ApiFault> {
    let store = app.store()?;
    let deletions: Vec<Value> = [Signal::Logs, Signal::Traces, Signal::Events]
        .into_iter()
        .flat_map(|signal| {
            let found = store.engine().pending_deletes(&identity.tenant, signal);
            found.into_iter().map(move |delete| {
                json!({
                    "id": delete.id.to_string(),
                    "signal": signal.as_str(),
                    "state": "hidden",
                    "created_at": timestamp(delete.created_ms),
                    "rows_removed": Value::Null,
                })
            })
        })
        .collect();
    Ok(axum::Json(json!({ "deletions": deletions })).into_response())
}
