//! What surrounds a list of rows: counts over time, values of fields, messages that are alike, what stood around
//! a row.

use std::time::Instant;

use axum::Json;
use axum::extract::{Extension, State};
use model::Signal;
use query::rows::row_json;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::params::Asked;
use super::{Asking, LOGS, QueryCost, read, rows_json};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::moment::FineMoment;
use crate::openapi::{Op, Routes, count, string};
use crate::prom::params::Params;

const BUCKETS_MAX: usize = 1000;
const VALUES_MAX: usize = 1000;
const PATTERNS_MAX: usize = 500;
const AROUND_MAX: usize = 500;

type App = State<SharedApp>;
type Who = Extension<Identity>;
type Answer<T> = Result<Json<T>, ApiFault>;

/// The questions about a signal whose rows look like `T`.
pub(super) fn routes<T: JsonSchema>(asking: &Asking) -> Routes {
    let signal = asking.signal;
    let at = |name: &str| format!("{}/{name}", asking.path);
    let op = |id, summary| Op::new(id, summary).refuses(&[422]);
    let of_histogram = op(asking.histogram, "How many rows a search finds over time")
        .params(&Asked::PARAMS)
        .params(&[
            count("buckets", "Parts of the time at most: 60 unless given, at most 1000."),
            string("by", "A field by whose values the rows are counted apart."),
        ])
        .gives::<RowHistogram>();
    let of_facets = op(asking.facets, "The most frequent values of some fields")
        .params(&Asked::PARAMS)
        .params(&[
            string("fields", "Names of fields, with commas between.").required(),
            count("limit", "Values of a field: 10 unless given, at most 1000."),
        ])
        .gives::<RowFacets>();
    let of_fields = op(asking.fields, "Fields that rows of a span of time have")
        .params(&Asked::PARAMS)
        .gives::<RowFields>();
    let of_values = op(asking.values, "Values of a field, the most frequent first")
        .params(&Asked::PARAMS)
        .params(&[
            string("field", "The field's name.").required(),
            string("prefix", "What the values begin with."),
            count("limit", "Values: 20 unless given, at most 1000."),
        ])
        .gives::<RowValues>();
    let of_context = op(asking.context, "Rows before and after a row, of the same source")
        .params(&[
            string("id", "The row's `id`.").required(),
            count("before", "Rows before it: 10 unless given, at most 500."),
            count("after", "Rows after it: 10 unless given, at most 500."),
        ])
        .gives::<RowContext<T>>()
        .refuses(&[404]);
    Routes::new(asking.area)
        .get(
            &at("histogram"),
            move |app: App, who: Who, params| histogram(app, who, params, signal),
            of_histogram,
        )
        .get(&at("facets"), move |app: App, who: Who, params| facets(app, who, params, signal), of_facets)
        .get(&at("fields"), move |app: App, who: Who, params| fields(app, who, params, signal), of_fields)
        .get(&at("values"), move |app: App, who: Who, params| values(app, who, params, signal), of_values)
        .get(&at("context"), move |app: App, who: Who, params| context(app, who, params, signal), of_context)
}

/// What is asked of messages only.
pub(super) fn pattern_routes() -> Routes {
    let op = Op::new("listLogPatterns", "Messages that are alike, the most frequent first")
        .params(&Asked::PARAMS)
        .params(&[count("limit", "Patterns: 50 unless given, at most 500.")])
        .gives::<LogPatterns>()
        .refuses(&[422]);
    Routes::new(LOGS.area).get(&format!("{}/patterns", LOGS.path), patterns, op)
}

/// Counts over time.
#[derive(Serialize, JsonSchema)]
struct RowHistogram {
    /// Start of the first bucket.
    start: FineMoment,
    /// Width of a bucket, milliseconds.
    step_ms: i64,
    /// Number of buckets.
    buckets: usize,
    /// Counts by value, most first; one with an empty name where no field is given.
    series: Vec<HistogramSeries>,
    /// All rows.
    total: u64,
    cost: QueryCost,
}

/// Counts of one value.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RowHistogramSeries")]
struct HistogramSeries {
    name: String,
    /// One count a bucket.
    counts: Vec<u64>,
}

/// Values of several fields.
#[derive(Serialize, JsonSchema)]
struct RowFacets {
    /// One for each field asked for, in that order.
    facets: Vec<RowFacet>,
    /// Rows that were counted.
    total: u64,
    cost: QueryCost,
}

/// Values of a field.
#[derive(Serialize, JsonSchema)]
struct RowFacet {
    name: String,
    /// How many values it has; at least so many where rows have others.
    distinct: u64,
    /// Rows without it.
    missing: u64,
    /// Rows with a value that is not counted on its own, because there are too many.
    other: u64,
    /// The most frequent first.
    values: Vec<RowValueCount>,
}

/// A value and how many rows have it.
#[derive(Serialize, JsonSchema)]
struct RowValueCount {
    value: String,
    count: u64,
}

/// Values of a field.
#[derive(Serialize, JsonSchema)]
struct RowValues {
    values: Vec<RowValueCount>,
}

/// Fields that rows have.
#[derive(Serialize, JsonSchema)]
struct RowFields {
    fields: Vec<RowField>,
}

/// A field that rows have.
#[derive(Serialize, JsonSchema)]
struct RowField {
    /// Its name in SQL and search.
    name: String,
    #[schemars(extend("enum" = ["fixed", "attribute", "resource"]))]
    scope: &'static str,
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["timestamp", "int", "double", "bool", "text", "json", "id"]))]
    kind: &'static str,
    /// Rows that have it; `null` for what every row has.
    count: Option<u64>,
}

/// Messages that are alike.
#[derive(Serialize, JsonSchema)]
struct LogPatterns {
    /// The most frequent first.
    patterns: Vec<LogPattern>,
    /// All matching rows.
    total: u64,
    /// Whether only a sample was looked at.
    sampled: bool,
    cost: QueryCost,
}

/// Messages that are alike.
#[derive(Serialize, JsonSchema)]
struct LogPattern {
    /// What they have in common; `<*>` stands for what differs.
    template: String,
    /// How many there are; an estimate where only a sample was looked at.
    count: u64,
    /// Their share of all, 0 to 1.
    share: f64,
    /// The level that most of them have.
    level: Option<&'static str>,
    /// Up to three different ones.
    examples: Vec<String>,
    first: FineMoment,
    last: FineMoment,
    /// How many there are in each of thirty parts of the span of time.
    counts: Vec<u64>,
}

/// What stands around a row, the oldest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}Context")]
struct RowContext<T> {
    before: Vec<T>,
    record: T,
    after: Vec<T>,
}

async fn histogram(
    State(app): App,
    Extension(who): Who,
    params: Params,
    signal: Signal,
) -> Answer<RowHistogram> {
    let asked = Asked::read(&params, signal, app.now_ms())?;
    let buckets = params.count("buckets")?.unwrap_or(60).clamp(1, BUCKETS_MAX);
    let by = params.get("by").map(str::to_owned);
    let started = Instant::now();
    let found =
        read(&app, &who, signal, move |reader| reader.histogram(&asked.ask, buckets, by.as_deref())).await?;
    let series =
        found.series.into_iter().map(|s| HistogramSeries { name: s.name, counts: s.counts }).collect();
    Ok(Json(RowHistogram {
        start: FineMoment(found.start_ns),
        step_ms: found.step_ms,
        buckets: found.buckets,
        series,
        total: found.total,
        cost: QueryCost::since(&found.cost, started),
    }))
}

async fn facets(State(app): App, Extension(who): Who, params: Params, signal: Signal) -> Answer<RowFacets> {
    let asked = Asked::read(&params, signal, app.now_ms())?;
    let limit = params.count("limit")?.unwrap_or(10).clamp(1, VALUES_MAX);
    let named = params.required("fields")?;
    let fields: Vec<String> = named.split(',').map(|name| name.trim().to_owned()).collect();
    let started = Instant::now();
    let found = read(&app, &who, signal, move |reader| reader.facets(&asked.ask, &fields, limit)).await?;
    let facets = found
        .facets
        .into_iter()
        .map(|facet| RowFacet {
            name: facet.name,
            distinct: facet.distinct,
            missing: facet.missing,
            other: facet.other,
            values: counted(facet.values),
        })
        .collect();
    Ok(Json(RowFacets { facets, total: found.total, cost: QueryCost::since(&found.cost, started) }))
}

fn counted(values: Vec<(String, u64)>) -> Vec<RowValueCount> {
    values.into_iter().map(|(value, count)| RowValueCount { value, count }).collect()
}

async fn fields(State(app): App, Extension(who): Who, params: Params, signal: Signal) -> Answer<RowFields> {
    let asked = Asked::read(&params, signal, app.now_ms())?;
    let (start_ns, end_ns) = (asked.ask.start_ns, asked.ask.end_ns);
    let found = read(&app, &who, signal, move |reader| reader.fields(start_ns, end_ns)).await?;
    let field =
        |f: query::rows::FieldInfo| RowField { name: f.name, scope: f.scope, kind: f.kind, count: f.count };
    Ok(Json(RowFields { fields: found.into_iter().map(field).collect() }))
}

async fn values(State(app): App, Extension(who): Who, params: Params, signal: Signal) -> Answer<RowValues> {
    let asked = Asked::read(&params, signal, app.now_ms())?;
    let limit = params.count("limit")?.unwrap_or(20).clamp(1, VALUES_MAX);
    let field = params.required("field")?.to_owned();
    let prefix = params.get("prefix").unwrap_or("").to_owned();
    let (found, _) =
        read(&app, &who, signal, move |reader| reader.values(&asked.ask, &field, &prefix, limit)).await?;
    Ok(Json(RowValues { values: counted(found) }))
}

async fn patterns(State(app): App, Extension(who): Who, params: Params) -> Answer<LogPatterns> {
    let asked = Asked::read(&params, Signal::Logs, app.now_ms())?;
    let limit = params.count("limit")?.unwrap_or(50).clamp(1, PATTERNS_MAX);
    let started = Instant::now();
    let found = read(&app, &who, Signal::Logs, move |reader| reader.patterns(&asked.ask, limit)).await?;
    let patterns = found
        .patterns
        .into_iter()
        .map(|pattern| LogPattern {
            template: pattern.template,
            count: pattern.count,
            share: pattern.share,
            level: pattern.level,
            examples: pattern.examples,
            first: FineMoment(pattern.first_ns),
            last: FineMoment(pattern.last_ns),
            counts: pattern.counts,
        })
        .collect();
    let cost = QueryCost::since(&found.cost, started);
    Ok(Json(LogPatterns { patterns, total: found.total, sampled: found.sampled, cost }))
}

async fn context(
    State(app): App,
    Extension(who): Who,
    params: Params,
    signal: Signal,
) -> Answer<RowContext<Value>> {
    let id = params.required("id")?.to_owned();
    let before = params.count("before")?.unwrap_or(10).min(AROUND_MAX);
    let after = params.count("after")?.unwrap_or(10).min(AROUND_MAX);
    let shown = id.clone();
    let found = read(&app, &who, signal, move |reader| reader.around(&id, before, after)).await?;
    let around = found.ok_or_else(|| {
        let shown: String = shown.chars().take(40).collect();
        Fault::NotFound(format!("no record has the id {shown:?}; it may be past retention"))
    })?;
    Ok(Json(RowContext {
        before: rows_json(&around.before),
        record: row_json(&around.record),
        after: rows_json(&around.after),
    }))
}
