//! Logs, spans and events for explorers: `/api/v1/monitoring/{logs,spans,events}`.

mod deletions; // deletes by search
mod explore; // histogram, facets, fields, patterns, context
mod params; // what is asked
mod preview; // pipelines on recent rows
mod rows; // what rows look like

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Extension, State};
use model::Signal;
use query::Control;
use query::rows::{Cursor, Row, RowReader, StoredRows, row_json};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::app::{CancelOnDrop, SharedApp};
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::openapi::{Op, Routes, count, string};
use crate::prom::params::Params;

pub(crate) use params::{search, time_ns};

use params::Asked;
use rows::{EventRow, LogRow, SpanRow};

/// Rows of one page at most.
const PAGE_MAX: usize = 10_000;
const PAGE_DEFAULT: usize = 100;

/// Reads, behind a key or a session.
pub(crate) fn routes() -> Routes {
    of::<LogRow>(&LOGS)
        .merge(of::<SpanRow>(&SPANS))
        .merge(of::<EventRow>(&EVENTS))
        .merge(explore::pattern_routes())
        .merge(deletions::routes())
}

/// Changes, for administrators.
pub(crate) fn admin_routes() -> Routes {
    deletions::admin_routes()
}

/// What editors may try.
pub(crate) fn editor_routes() -> Routes {
    preview::routes()
}

/// A signal as its routes call it, with the identifiers of the questions about it.
struct Asking {
    signal: Signal,
    area: &'static str,
    path: &'static str,
    list: &'static str,
    histogram: &'static str,
    facets: &'static str,
    fields: &'static str,
    values: &'static str,
    context: &'static str,
}

const LOGS: Asking = Asking {
    signal: Signal::Logs,
    area: "Logs",
    path: "/api/v1/monitoring/logs",
    list: "listLogs",
    histogram: "getLogHistogram",
    facets: "getLogFacets",
    fields: "listLogFields",
    values: "listLogValues",
    context: "getLogContext",
};

const SPANS: Asking = Asking {
    signal: Signal::Traces,
    area: "Traces",
    path: "/api/v1/monitoring/spans",
    list: "listSpans",
    histogram: "getSpanHistogram",
    facets: "getSpanFacets",
    fields: "listSpanFields",
    values: "listSpanValues",
    context: "getSpanContext",
};

const EVENTS: Asking = Asking {
    signal: Signal::Events,
    area: "Events",
    path: "/api/v1/monitoring/events",
    list: "listEvents",
    histogram: "getEventHistogram",
    facets: "getEventFacets",
    fields: "listEventFields",
    values: "listEventValues",
    context: "getEventContext",
};

/// The reads of a signal whose rows look like `T`.
fn of<T: JsonSchema>(asking: &Asking) -> Routes {
    let signal = asking.signal;
    let with = move |app, identity, params: Params| page(app, identity, params, signal);
    let op = Op::new(asking.list, "Rows that a search finds, a page")
        .params(&Asked::PARAMS)
        .params(&[
            params::ORDER,
            count("limit", "Rows of a page: 100 unless given, at most 10000."),
            string("cursor", "Where the page before ended: its `next`."),
        ])
        .gives::<Rows<T>>()
        .refuses(&[422]);
    Routes::new(asking.area).get(asking.path, with, op).merge(explore::routes::<T>(asking))
}

/// A page of rows.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}s")]
struct Rows<T> {
    rows: Vec<T>,
    /// What to give as `cursor` for the page behind this one; `null` behind the last.
    next: Option<String>,
    cost: QueryCost,
}

/// What a query looked at.
#[derive(Serialize, JsonSchema)]
pub(crate) struct QueryCost {
    /// Rows of the blocks that were looked into.
    rows: u64,
    /// Bytes that were read from files or lay in the columns looked at.
    bytes: u64,
    /// Parts of the store that were asked.
    slices: u64,
    /// How long it took, milliseconds.
    ms: f64,
}

impl QueryCost {
    /// What was looked at, and how long it took.
    pub(crate) fn new(cost: &store::rows::Cost, ms: f64) -> Self {
        Self { rows: cost.rows, bytes: cost.bytes, slices: cost.slices, ms }
    }

    /// The same until now.
    pub(crate) fn since(cost: &store::rows::Cost, started: Instant) -> Self {
        Self::new(cost, (started.elapsed().as_secs_f64() * 1e5).round() / 100.0)
    }
}

/// One page of rows.
async fn page(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
    signal: Signal,
) -> Result<Json<Rows<Value>>, ApiFault> {
    let asked = Asked::read(&params, signal, app.now_ms())?;
    // More than the limit is clamped, not refused: the cursor leads on.
    let limit = params.count("limit")?.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let sort = asked.sort;
    let cursor = params.get("cursor").map(Cursor::parse).transpose().map_err(Fault::from)?;
    let started = Instant::now();
    let found =
        read(&app, &identity, signal, move |reader| reader.page(&asked.ask, sort, limit, cursor.as_ref()))
            .await?;
    let next = found.next.map(|cursor| cursor.to_string());
    Ok(Json(Rows { rows: rows_json(&found.rows), next, cost: QueryCost::since(&found.cost, started) }))
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

/// Rows as the API shows them.
fn rows_json(rows: &[Row]) -> Vec<Value> {
    rows.iter().map(row_json).collect()
}
