//! Traces, the service map and service pages of our own API, under `/api/v1/monitoring`.

mod services; // services and their operations
mod single; // one trace
mod topology; // who calls whom

#[cfg(test)]
mod tests; // requests as clients send them

use axum::extract::{Extension, State};
use axum::routing::get;
use axum::{Json, Router};
use model::Signal;
use query::search::Search;
use query::traceql::SearchSpec;
use query::traces::{Find, Heatmap, HeatmapSpec, Summary, TraceOrder, Want, find_traces, hex};
use serde_json::{Value, json};

pub(crate) use self::topology::topology;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::prom::params::Params;
use crate::spans;

/// Traces of a list.
const TRACES_DEFAULT: usize = 50;
const TRACES_MAX: usize = 1000;
/// Columns and rows of a heatmap.
const BUCKETS_DEFAULT: usize = 60;
const BUCKETS_MAX: usize = 1000;
const ROWS_DEFAULT: usize = 30;
const ROWS_MAX: usize = 200;

/// Every route, each with its full path.
pub(crate) fn routes() -> Router<SharedApp> {
    Router::new()
        .route("/api/v1/monitoring/traces", get(list))
        .route("/api/v1/monitoring/traces/{id}", get(single::trace))
        .route("/api/v1/monitoring/topology", get(topology::map))
        .route("/api/v1/monitoring/topology/impact", get(topology::impact))
        .route("/api/v1/monitoring/topology.dot", get(topology::dot))
        .route("/api/v1/monitoring/services", get(services::list))
        .route("/api/v1/monitoring/services/{name}", get(services::service))
        .route("/api/v1/monitoring/spans/heatmap", get(heatmap))
}

/// What is searched for, in either language.
enum Question {
    /// `{ status = error }`
    TraceQl(Box<query::traceql::Query>),
    /// `status:error`
    Search(model::Predicate),
}

impl Question {
    fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if text.starts_with(['{', '(']) && text.contains('{') {
            let query = query::traceql::parse(text);
            let query = query.map_err(|error| Fault::invalid("query", error.to_string()))?;
            return Ok(Self::TraceQl(Box::new(query)));
        }
        let search = Search::parse(text, Signal::Traces);
        let search = search.map_err(|error| Fault::invalid("query", error.to_string()))?;
        Ok(Self::Search(search.into_predicate()))
    }
}

/// Traces that have what is searched for, newest or slowest first.
async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Value>, ApiFault> {
    let question = Question::parse(params.get("query").unwrap_or(""))?;
    let (start_ns, end_ns) = spans::range(&params, app.now_ms(), spans::HOUR_NS)?;
    let limit = spans::count(&params, "limit", TRACES_DEFAULT, TRACES_MAX)?;
    let order = match params.get("order") {
        None | Some("recent") => TraceOrder::Recent,
        Some("slowest") => TraceOrder::Slowest,
        Some(_) => return Err(Fault::invalid("order", "it must be recent or slowest").into()),
    };
    let min_ns = spans::length(&params, "min_duration")?.unwrap_or(0);
    let max_ns = spans::length(&params, "max_duration")?.unwrap_or(i64::MAX);
    let found = spans::ask(&app, &identity, "traces", move |spans, control| match &question {
        Question::TraceQl(query) => {
            let duration_ns = (min_ns, max_ns);
            let spec = SearchSpec { query, start_ns, end_ns, duration_ns, order, limit, spans: 0, control };
            let found = query::traceql::search(spans, &spec)?;
            Ok(found.into_iter().map(|one| one.summary).collect::<Vec<_>>())
        }
        Question::Search(predicate) => {
            let find = Find { predicate, start_ns, end_ns, want: &Want::default(), order, limit, control };
            find_traces(spans, &find, &mut |trace| {
                Ok((min_ns..=max_ns).contains(&trace.duration_ns()).then(|| Summary::of(&trace)))
            })
        }
    })
    .await?;
    let traces: Vec<Value> = found.value.iter().map(summary_json).collect();
    Ok(Json(json!({ "traces": traces, "cost": found.cost_json() })))
}

fn summary_json(summary: &Summary) -> Value {
    let services: Vec<Value> = summary
        .services
        .iter()
        .map(|one| json!({ "name": &*one.name, "spans": one.spans, "errors": one.errors }))
        .collect();
    json!({
        "trace_id": hex(&summary.trace_id),
        "root_service": &*summary.root_service,
        "root_name": &*summary.root_name,
        "start": rfc3339(summary.start_ns),
        "duration_ns": summary.duration_ns,
        "spans": summary.spans,
        "errors": summary.errors,
        "services": services,
        "complete": summary.complete,
    })
}

/// Durations over time: for every column the counts of its rows, shortest first.
async fn heatmap(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Value>, ApiFault> {
    let question = Question::parse(params.get("query").unwrap_or(""))?;
    let (start_ns, end_ns) = spans::range(&params, app.now_ms(), spans::HOUR_NS)?;
    let buckets = spans::count(&params, "buckets", BUCKETS_DEFAULT, BUCKETS_MAX)?.max(1);
    let rows = spans::count(&params, "rows", ROWS_DEFAULT, ROWS_MAX)?.max(1);
    let step_ns = whole_step(end_ns - start_ns, buckets);
    let spec = HeatmapSpec { start_ns, step_ns, buckets, rows };
    let found = spans::ask(&app, &identity, "heatmap", move |spans, control| {
        let mut heatmap = Heatmap::new(spec);
        let range_ns = (start_ns, end_ns);
        match &question {
            Question::TraceQl(query) => {
                query::traceql::each_span(spans, query, range_ns, control, &mut |span| heatmap.add(span))?;
            }
            Question::Search(predicate) => {
                services::each(spans, predicate, range_ns, &Want::default(), control, &mut |span| {
                    heatmap.add(span);
                })?;
            }
        }
        Ok(heatmap)
    })
    .await?;
    let (counts, errors) = found.value.counts();
    Ok(Json(json!({
        "start": rfc3339(start_ns),
        "step_ms": step_ns / 1_000_000,
        "buckets": buckets,
        "edges_ns": found.value.edges_ns(),
        "counts": counts,
        "errors": errors,
        "cost": found.cost_json(),
    })))
}

/// The shortest step of whole milliseconds with which so many cover a length of time.
fn whole_step(length_ns: i64, steps: usize) -> i64 {
    let step_ns = (length_ns as u64).div_ceil(steps as u64);
    (step_ns.div_ceil(1_000_000) * 1_000_000).min(i64::MAX as u64) as i64
}

/// Nanoseconds since the Unix epoch as text.
fn rfc3339(t_ns: i64) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(t_ns)) {
        Ok(t) => format!("{t:.9}"),
        // No calendar reaches that far.
        Err(_) => t_ns.to_string(),
    }
}

/// A number without what a double adds to it.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
