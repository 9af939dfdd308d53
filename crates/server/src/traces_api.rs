//! Traces, the service map and service pages of our own API, under `/api/v1/monitoring`.

mod services; // services and their operations
mod single; // one trace
mod topology; // who calls whom

#[cfg(test)]
mod tests; // requests as clients send them

use axum::Json;
use axum::extract::{Extension, State};
use model::Signal;
use query::search::Search;
use query::traceql::SearchSpec;
use query::traces::{Find, Heatmap, HeatmapSpec, Summary, TraceOrder, Want, find_traces, hex};
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) use self::topology::topology;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::moment::FineMoment;
use crate::openapi::{Op, Param, Routes, choice, count, string, time};
use crate::prom::params::Params;
use crate::rows_api::QueryCost;
use crate::spans;

/// Traces of a list.
const TRACES_DEFAULT: usize = 50;
const TRACES_MAX: usize = 1000;
/// Columns and rows of a heatmap.
const BUCKETS_DEFAULT: usize = 60;
const BUCKETS_MAX: usize = 1000;
const ROWS_DEFAULT: usize = 30;
const ROWS_MAX: usize = 200;

/// Spans of a time, as [`spans::range`] reads it.
const TIMES: [Param; 2] = [
    time(
        "start",
        "First time: RFC 3339 or a Unix time in s, ms, µs or ns. An hour before `end` unless given.",
    ),
    time("end", "First time not looked at any more, likewise. Now unless given."),
];

/// What [`Question::parse`] reads.
const QUERY: Param = string("query", "A search, or TraceQL in braces; every span unless given.");

/// Every route, each with its full path.
pub(crate) fn routes() -> Routes {
    let base = "/api/v1/monitoring";
    let of_list = Op::new("listTraces", "Traces that have what is searched for")
        .params(&[QUERY])
        .params(&TIMES)
        .params(&[
            count("limit", "Traces at most: 50 unless given, no more than 1000."),
            choice("order", &["recent", "slowest"], "Which come first; `recent` unless given."),
            string("min_duration", "How long a trace took at least, such as `100ms`."),
            string("max_duration", "How long a trace took at most."),
        ])
        .gives::<TraceList>()
        .refuses(&[422]);
    let of_heatmap = Op::new("getSpanHeatmap", "How long spans took, over time")
        .params(&[QUERY])
        .params(&TIMES)
        .params(&[
            count("buckets", "Columns: 60 unless given, at most 1000."),
            count("rows", "Rows: 30 unless given, at most 200."),
        ])
        .gives::<SpanHeatmap>()
        .refuses(&[422]);
    Routes::new("Traces")
        .get(&format!("{base}/traces"), list, of_list)
        .get(&format!("{base}/spans/heatmap"), heatmap, of_heatmap)
        .merge(single::routes())
        .merge(topology::routes())
        .merge(services::routes())
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

/// Traces of a list.
#[derive(Serialize, JsonSchema)]
struct TraceList {
    traces: Vec<TraceSummary>,
    cost: QueryCost,
}

/// A line about a trace.
#[derive(Serialize, JsonSchema)]
struct TraceSummary {
    trace_id: String,
    /// The service of the span that began it; empty where that is missing.
    root_service: String,
    root_name: String,
    start: FineMoment,
    duration_ns: i64,
    spans: u64,
    /// Spans that ended badly.
    errors: u64,
    services: Vec<TraceServiceCount>,
    /// Whether every span that others name is stored.
    complete: bool,
}

/// Spans of a service in a trace.
#[derive(Serialize, JsonSchema)]
struct TraceServiceCount {
    name: String,
    spans: u64,
    /// Spans that ended badly.
    errors: u64,
}

impl From<&Summary> for TraceSummary {
    fn from(summary: &Summary) -> Self {
        let services = summary
            .services
            .iter()
            .map(|one| TraceServiceCount { name: one.name.to_string(), spans: one.spans, errors: one.errors })
            .collect();
        Self {
            trace_id: hex(&summary.trace_id),
            root_service: summary.root_service.to_string(),
            root_name: summary.root_name.to_string(),
            start: FineMoment(summary.start_ns),
            duration_ns: summary.duration_ns,
            spans: summary.spans,
            errors: summary.errors,
            services,
            complete: summary.complete,
        }
    }
}

/// Traces that have what is searched for, newest or slowest first.
async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<TraceList>, ApiFault> {
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
    let traces = found.value.iter().map(TraceSummary::from).collect();
    Ok(Json(TraceList { traces, cost: found.cost() }))
}

/// How long spans took, over time.
#[derive(Serialize, JsonSchema)]
struct SpanHeatmap {
    /// Start of the first column.
    start: FineMoment,
    /// Width of a column, milliseconds.
    step_ms: i64,
    /// Number of columns.
    buckets: usize,
    /// Bounds of the rows in nanoseconds, the shortest first.
    edges_ns: Vec<f64>,
    /// For every column how many spans are in each of its rows, the shortest first.
    counts: Vec<Vec<u64>>,
    /// The same of spans that ended badly.
    errors: Vec<Vec<u64>>,
    cost: QueryCost,
}

/// Durations over time: for every column the counts of its rows, shortest first.
async fn heatmap(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<SpanHeatmap>, ApiFault> {
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
    Ok(Json(SpanHeatmap {
        start: FineMoment(start_ns),
        step_ms: step_ns / 1_000_000,
        buckets,
        edges_ns: found.value.edges_ns(),
        counts,
        errors,
        cost: found.cost(),
    }))
}

/// The shortest step of whole milliseconds with which so many cover a length of time.
fn whole_step(length_ns: i64, steps: usize) -> i64 {
    let step_ns = (length_ns as u64).div_ceil(steps as u64);
    (step_ns.div_ceil(1_000_000) * 1_000_000).min(i64::MAX as u64) as i64
}

/// A number without what a double adds to it.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
