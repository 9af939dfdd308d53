//! What surrounds a list of rows: counts over time, values of fields, messages that are alike, what stood around
//! a row.

use std::time::Instant;

use axum::Router;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use model::Signal;
use query::rows::{row_json, time_text};
use serde_json::{Value, json};

use super::params::Asked;
use super::{cost_json, read, rows_json};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::prom::params::Params;

const BUCKETS_MAX: usize = 1000;
const VALUES_MAX: usize = 1000;
const PATTERNS_MAX: usize = 500;
const AROUND_MAX: usize = 500;

type App = State<SharedApp>;
type Who = Extension<Identity>;
type Answer = Result<Response, ApiFault>;

/// The questions of one signal.
pub(super) fn routes(signal: Signal, base: &str) -> Router<SharedApp> {
    let at = |name: &str| format!("{base}/{name}");
    let router = Router::new()
        .route(&at("histogram"), get(move |app: App, who: Who, params| histogram(app, who, params, signal)))
        .route(&at("facets"), get(move |app: App, who: Who, params| facets(app, who, params, signal)))
        .route(&at("fields"), get(move |app: App, who: Who, params| fields(app, who, params, signal)))
        .route(&at("values"), get(move |app: App, who: Who, params| values(app, who, params, signal)))
        .route(&at("context"), get(move |app: App, who: Who, params| context(app, who, params, signal)));
    match signal {
        Signal::Logs => router.route(
            &at("patterns"),
            get(move |app: App, who: Who, params| patterns(app, who, params, signal)),
        ),
        _ => router,
    }
}

async fn histogram(State(app): App, Extension(who): Who, params: Params, signal: Signal) -> Answer {
    let asked = Asked::read(&params, signal, app.now_ms())?;
    let buckets = params.count("buckets")?.unwrap_or(60).clamp(1, BUCKETS_MAX);
    let by = params.get("by").map(str::to_owned);
    let started = Instant::now();
    let found =
        read(&app, &who, signal, move |reader| reader.histogram(&asked.ask, buckets, by.as_deref())).await?;
    let series: Vec<Value> =
        found.series.iter().map(|s| json!({ "name": s.name, "counts": s.counts })).collect();
    let answer = json!({
        "start": time_text(found.start_ns),
        "step_ms": found.step_ms,
        "buckets": found.buckets,
        "series": series,
        "total": found.total,
        "cost": cost_json(&found.cost, started),
    });
    Ok(axum::Json(answer).into_response())
}

async fn facets(State(app): App, Extension(who): Who, params: Params, signal: Signal) -> Answer {
    let asked = Asked::read(&params, signal, app.now_ms())?;
    let limit = params.count("limit")?.unwrap_or(10).clamp(1, VALUES_MAX);
    let named = params.required("fields")?;
    let fields: Vec<String> = named.split(',').map(|name| name.trim().to_owned()).collect();
    let started = Instant::now();
    let found = read(&app, &who, signal, move |reader| reader.facets(&asked.ask, &fields, limit)).await?;
    let facets: Vec<Value> = found
        .facets
        .iter()
        .map(|facet| {
            json!({
                "name": facet.name,
                "distinct": facet.distinct,
                "missing": facet.missing,
                "other": facet.other,
                "values": values_json(&facet.values),
            })
        })
        .collect();
    let answer = json!({ "facets": facets, "total": found.total, "cost": cost_json(&found.cost, started) });
    Ok(axum::Json(answer).into_response())
}

async fn fields(State(app): App, Extension(who): Who, params: Params, signal: Signal) -> Answer {
    let asked = Asked::read(&params, signal, app.now_ms())?;
    let (start_ns, end_ns) = (asked.ask.start_ns, asked.ask.end_ns);
    let found = read(&app, &who, signal, move |reader| reader.fields(start_ns, end_ns)).await?;
    let fields: Vec<Value> = found
        .iter()
        .map(|f| json!({ "name": f.name, "scope": f.scope, "type": f.kind, "count": f.count }))
        .collect();
    Ok(axum::Json(json!({ "fields": fields })).into_response())
}

async fn values(State(app): App, Extension(who): Who, params: Params, signal: Signal) -> Answer {
    let asked = Asked::read(&params, signal, app.now_ms())?;
    let limit = params.count("limit")?.unwrap_or(20).clamp(1, VALUES_MAX);
    let field = params.required("field")?.to_owned();
    let prefix = params.get("prefix").unwrap_or("").to_owned();
    let (found, _) =
        read(&app, &who, signal, move |reader| reader.values(&asked.ask, &field, &prefix, limit)).await?;
    Ok(axum::Json(json!({ "values": values_json(&found) })).into_response())
}

fn values_json(values: &[(String, u64)]) -> Vec<Value> {
    values.iter().map(|(value, count)| json!({ "value": value, "count": count })).collect()
}

async fn patterns(State(app): App, Extension(who): Who, params: Params, signal: Signal) -> Answer {
    let asked = Asked::read(&params, signal, app.now_ms())?;
    let limit = params.count("limit")?.unwrap_or(50).clamp(1, PATTERNS_MAX);
    let started = Instant::now();
    let found = read(&app, &who, signal, move |reader| reader.patterns(&asked.ask, limit)).await?;
    let patterns: Vec<Value> = found
        .patterns
        .iter()
        .map(|pattern| {
            json!({
                "template": pattern.template,
                "count": pattern.count,
                "share": pattern.share,
                "level": pattern.level,
                "examples": pattern.examples,
                "first": time_text(pattern.first_ns),
                "last": time_text(pattern.last_ns),
                "counts": pattern.counts,
            })
        })
        .collect();
    let answer = json!({
        "patterns": patterns,
        "total": found.total,
        "sampled": found.sampled,
        "cost": cost_json(&found.cost, started),
    });
    Ok(axum::Json(answer).into_response())
}

async fn context(State(app): App, Extension(who): Who, params: Params, signal: Signal) -> Answer {
    let id = params.required("id")?.to_owned();
    let before = params.count("before")?.unwrap_or(10).min(AROUND_MAX);
    let after = params.count("after")?.unwrap_or(10).min(AROUND_MAX);
    let shown = id.clone();
    let found = read(&app, &who, signal, move |reader| reader.around(&id, before, after)).await?;
    let around = found.ok_or_else(|| {
        let shown: String = shown.chars().take(40).collect();
        Fault::NotFound(format!("no record has the id {shown:?}; it may be past retention"))
    })?;
    let answer = json!({
        "before": rows_json(&around.before),
        "record": row_json(&around.record),
        "after": rows_json(&around.after),
    });
    Ok(axum::Json(answer).into_response())
}
