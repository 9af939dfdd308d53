//! Deletes by search: rows are hidden when the answer is sent, and their bytes are gone within a day. Each is
//! recorded, and stays on record when it is finished.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use control::Deletion;
use model::{Signal, TenantId};
use query::rows::Ask;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::params::{search, span};
use crate::app::{App, SharedApp};
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::moment::{AnyTime, FineMoment, Moment};
use crate::openapi::{Op, Routes, json_as};

/// What was deleted.
pub(super) fn routes() -> Routes {
    let op = Op::new("listDeletions", "Deletes by search, the newest first").gives::<Deletions>();
    Routes::new("Deletions").get("/api/v1/monitoring/deletions", list, op)
}

/// Deletes by search.
pub(super) fn admin_routes() -> Routes {
    let op = |id| {
        Op::new(id, "Deletes the rows that a search finds")
            .about("They are hidden when the answer is sent, and their bytes are gone within a day.")
            .takes::<DeletionRequest>()
            .gives_status(202, json_as::<DeletionBegun>("application/json"))
            .refuses(&[422])
    };
    Routes::new("Deletions")
        .post("/api/v1/monitoring/logs/delete", logs, op("deleteLogs"))
        .post("/api/v1/monitoring/spans/delete", spans, op("deleteSpans"))
        .post("/api/v1/monitoring/events/delete", events, op("deleteEvents"))
}

/// What is to go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeletionRequest {
    /// A search that must name something; `*` for every row of the span of time.
    query: String,
    /// First time inside.
    #[schemars(required)]
    start: Option<AnyTime>,
    /// First time not inside any more.
    #[schemars(required)]
    end: Option<AnyTime>,
}

/// A delete that was begun.
#[derive(Serialize, JsonSchema)]
struct DeletionBegun {
    id: String,
    state: DeletionState,
    /// How many rows it hides.
    rows: u64,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum DeletionState {
    /// Nobody sees the rows any more.
    Hidden,
    /// Their bytes are gone.
    Done,
}

/// Deletes, the newest first.
#[derive(Serialize, JsonSchema)]
struct Deletions {
    deletions: Vec<Deleted>,
}

/// A delete by search.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Deletion")]
struct Deleted {
    id: String,
    /// `logs`, `traces` or `events`.
    signal: String,
    /// What was asked for; left out where it could not be recorded.
    #[serde(flatten)]
    asked: Option<DeletionAsked>,
    state: DeletionState,
    created_at: Moment,
    /// `null` until the bytes are gone.
    finished_at: Option<Moment>,
    /// How many rows are gone; `null` until their bytes are.
    rows_removed: Option<i64>,
}

/// What was asked for.
#[derive(Serialize, JsonSchema)]
struct DeletionAsked {
    query: String,
    start: FineMoment,
    end: FineMoment,
    /// How many rows there were.
    rows: i64,
}

async fn logs(
    app: State<SharedApp>,
    identity: Extension<Identity>,
    body: Body<DeletionRequest>,
) -> Result<(StatusCode, Json<DeletionBegun>), ApiFault> {
    delete(app, identity, body.0, Signal::Logs).await
}

async fn spans(
    app: State<SharedApp>,
    identity: Extension<Identity>,
    body: Body<DeletionRequest>,
) -> Result<(StatusCode, Json<DeletionBegun>), ApiFault> {
    delete(app, identity, body.0, Signal::Traces).await
}

async fn events(
    app: State<SharedApp>,
    identity: Extension<Identity>,
    body: Body<DeletionRequest>,
) -> Result<(StatusCode, Json<DeletionBegun>), ApiFault> {
    delete(app, identity, body.0, Signal::Events).await
}

async fn delete(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    wanted: DeletionRequest,
    signal: Signal,
) -> Result<(StatusCode, Json<DeletionBegun>), ApiFault> {
    if wanted.query.trim().is_empty() {
        let why = "a delete needs a search; write * to delete every row of the span of time";
        return Err(Fault::invalid("query", why).into());
    }
    // Who sees a part deletes of that part.
    let predicate = identity.reach().narrow(signal, search(signal, &wanted.query)?)?;
    let (Some(start), Some(end)) = (&wanted.start, &wanted.end) else {
        return Err(Fault::invalid("start", "a delete needs start and end").into());
    };
    let (start_ns, end_ns) = span(Some(&start.text()), Some(&end.text()), app.now_ms())?;
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
        "start": FineMoment(start_ns),
        "end": FineMoment(end_ns),
        "rows": rows,
    });
    audited(&app, &identity, &identity.tenant, "data:delete", signal.as_str(), &detail);
    let begun = DeletionBegun { id: id.to_string(), state: DeletionState::Hidden, rows };
    Ok((StatusCode::ACCEPTED, Json(begun)))
}

/// Deletes whose bytes are not gone yet, and the last thousand that are finished; the newest first.
async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<Deletions>, ApiFault> {
    identity.reach().need_whole("deletes")?;
    app.finish_deletions(&identity.tenant).await?;
    let recorded = app.control()?.deletions(&identity.tenant).await?;
    let known: HashSet<u64> = recorded.iter().map(|deletion| deletion.id).collect();
    let pending = pending(&app, &identity.tenant)?;
    // One that could not be recorded is listed while it lasts.
    let unknown = pending.into_iter().filter(|(_, delete)| !known.contains(&delete.id));
    let unknown = unknown.map(|(signal, delete)| Deleted {
        id: delete.id.to_string(),
        signal: signal.as_str().to_owned(),
        asked: None,
        state: DeletionState::Hidden,
        created_at: Moment(delete.created_ms),
        finished_at: None,
        rows_removed: None,
    });
    let recorded = recorded.into_iter().map(|deletion| {
        let done = deletion.finished_at.is_some();
        Deleted {
            id: deletion.id.to_string(),
            signal: deletion.signal,
            asked: Some(DeletionAsked {
                query: deletion.query,
                start: FineMoment(deletion.start_ns),
                end: FineMoment(deletion.end_ns),
                rows: deletion.rows,
            }),
            state: if done { DeletionState::Done } else { DeletionState::Hidden },
            created_at: Moment(deletion.requested_at),
            finished_at: deletion.finished_at.map(Moment),
            rows_removed: done.then_some(deletion.rows),
        }
    });
    Ok(Json(Deletions { deletions: unknown.chain(recorded).collect() }))
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
