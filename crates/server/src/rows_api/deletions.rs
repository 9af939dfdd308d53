//! Deletes by search: rows are hidden when the answer is sent, and their bytes are gone within a day. Each is
//! recorded, and stays on record when it is finished.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use control::Deletion;
use model::{Signal, TenantId};
use query::rows::{Ask, time_text};
use serde::Deserialize;
use serde_json::{Value, json};

use super::params::{search, span};
use crate::app::{App, SharedApp};
use crate::audited::audited;
use crate::chain::Identity;
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
    let (store, control) = (app.store()?, app.control()?);
    // What is there now; a row that comes between the two is hidden and not counted.
    let ask = Ask { predicate: predicate.clone(), start_ns, end_ns };
    let (rows, _) = super::read(&app, &identity, signal, move |reader| reader.count(&ask)).await?;
    let (tenant, now_ms) = (identity.tenant.clone(), app.now_ms());
    let work = move || store.engine().delete_rows(&tenant, signal, &predicate, start_ns, end_ns, now_ms);
    let id = kit::spawn::spawn_blocking("delete rows", work)
        .await
        .map_err(|_| Fault::Internal("the deletion ended abnormally; the log has the reason".into()))?
        .map_err(|error| crate::app::writes::store_fault(&error))?;
    let deletion = Deletion {
        id,
        signal: signal.as_str().to_owned(),
        query: wanted.query,
        start_ns,
        end_ns,
        rows: i64::try_from(rows).unwrap_or(i64::MAX),
        requested_at: now_ms,
        finished_at: None,
    };
    app.has_deletes(&identity.tenant);
    // The rows are gone for everyone who asks, whether or not that can be written down.
    if let Err(error) = control.record_deletion(&identity.tenant, &deletion).await {
        tracing::error!(%error, id, "a delete was not recorded");
    }
    let detail = json!({
        "id": id.to_string(),
        "query": deletion.query,
        "start": time_text(start_ns),
        "end": time_text(end_ns),
        "rows": rows,
    });
    audited(&app, &identity, &identity.tenant, "data:delete", signal.as_str(), &detail);
    let answer = json!({ "id": id.to_string(), "state": "hidden", "rows": rows });
    Ok((StatusCode::ACCEPTED, axum::Json(answer)).into_response())
}

/// Deletes whose bytes are not gone yet, and the last thousand that are finished; the newest first.
pub(crate) async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, ApiFault> {
    app.finish_deletions(&identity.tenant).await?;
    let recorded = app.control()?.deletions(&identity.tenant).await?;
    let known: HashSet<u64> = recorded.iter().map(|deletion| deletion.id).collect();
    let pending = pending(&app, &identity.tenant)?;
    // One that could not be recorded is listed while it lasts.
    let unknown = pending.into_iter().filter(|(_, delete)| !known.contains(&delete.id));
    let unknown = unknown.map(|(signal, delete)| {
        json!({
            "id": delete.id.to_string(),
            "signal": signal.as_str(),
            "state": "hidden",
            "created_at": timestamp(delete.created_ms),
            "finished_at": null,
            "rows_removed": null,
        })
    });
    let recorded = recorded.iter().map(|deletion| {
        let done = deletion.finished_at.is_some();
        json!({
            "id": deletion.id.to_string(),
            "signal": deletion.signal,
            "query": deletion.query,
            "start": time_text(deletion.start_ns),
            "end": time_text(deletion.end_ns),
            "state": if done { "done" } else { "hidden" },
            "created_at": timestamp(deletion.requested_at),
            "finished_at": deletion.finished_at.map(timestamp),
            "rows": deletion.rows,
            "rows_removed": done.then_some(deletion.rows),
        })
    });
    let deletions: Vec<Value> = unknown.chain(recorded).collect();
    Ok(axum::Json(json!({ "deletions": deletions })).into_response())
}

type Pending = Vec<(Signal, Arc<store::rows::RowTombstone>)>;

/// Deletes that the store has not carried out yet.
fn pending(app: &SharedApp, tenant: &TenantId) -> Result<Pending, Fault> {
    let store = app.store()?;
    let of = |signal| store.engine().pending_deletes(tenant, signal).into_iter().map(move |d| (signal, d));
    Ok([Signal::Logs, Signal::Traces, Signal::Events].into_iter().flat_map(of).collect())
}

impl App {
    /// Writes down which of a tenant's deletes the store has carried out; true when all are.
    pub(crate) async fn finish_deletions(self: &Arc<Self>, tenant: &TenantId) -> Result<bool, Fault> {
        let control = self.control()?;
        let unfinished = control.unfinished_deletions(tenant).await?;
        if unfinished.is_empty() {
            return Ok(true);
        }
        let pending: HashSet<u64> = pending(self, tenant)?.iter().map(|(_, delete)| delete.id).collect();
        let finished: Vec<u64> = unfinished.into_iter().filter(|id| !pending.contains(id)).collect();
        let is_all = pending.is_empty();
        control.finish_deletions(tenant, &finished).await?;
        Ok(is_all)
    }

    /// The same for every tenant that asked for deletes. One whose last delete was carried out while the server was
    /// not looking has it written down when its list is asked for.
    pub(crate) async fn finish_all_deletions(self: &Arc<Self>) {
        let Ok(store) = self.store() else { return };
        let signals = [Signal::Logs, Signal::Traces, Signal::Events];
        for tenant in store.engine().tenants() {
            if signals.iter().any(|signal| !store.engine().pending_deletes(&tenant, *signal).is_empty()) {
                self.has_deletes(&tenant);
            }
        }
        // Others have no file opened for it.
        let asked: Vec<TenantId> = self.deletes.lock().iter().cloned().collect();
        for tenant in asked {
            match self.finish_deletions(&tenant).await {
                Ok(true) => drop(self.deletes.lock().remove(&tenant)),
                Ok(false) => {}
                Err(fault) => {
                    tracing::warn!(%tenant, reason = fault.message(), "finished deletes were not recorded");
                }
            }
        }
    }

    /// Remembers that a tenant has deletes to be carried out.
    fn has_deletes(&self, tenant: &TenantId) {
        self.deletes.lock().insert(tenant.clone());
    }
}
