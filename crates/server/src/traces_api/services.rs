//! Services and their operations: rate, errors and durations.

use std::ops::ControlFlow;

use axum::Json;
use axum::extract::{Extension, Path, State};
use model::predicate::{Field, Order, Predicate, Scalar, Test};
use query::traces::{
    Edge, OperationRow, RedSeries, RedTable, SERVICE_NAME, Scan, ServiceRow, SpanData, SpanSource, Want,
};
use query::{Control, QueryFault};
use schemars::JsonSchema;
use serde::Serialize;

use super::topology::{Durations, topology, wanted};
use super::{TIMES, rounded, whole_step};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::moment::FineMoment;
use crate::openapi::{Op, Routes};
use crate::prom::params::Params;
use crate::rows_api::QueryCost;
use crate::spans;

/// Steps of a service's page.
const STEPS: usize = 60;

/// Every route.
pub(super) fn routes() -> Routes {
    let op = |id, summary| Op::new(id, summary).params(&TIMES).refuses(&[422]);
    Routes::new("Services")
        .get(
            "/api/v1/monitoring/services",
            list,
            op("listTracedServices", "Services that did something").gives::<TracedServices>(),
        )
        .get(
            "/api/v1/monitoring/services/{name}",
            service,
            op("getTracedService", "A service over time, its operations and its neighbours")
                .gives::<TracedServiceDetail>(),
        )
}

/// Services that did something.
#[derive(Serialize, JsonSchema)]
struct TracedServices {
    services: Vec<TracedService>,
    cost: QueryCost,
}

/// A service as its spans show it.
#[derive(Serialize, JsonSchema)]
struct TracedService {
    name: String,
    /// Calls per second.
    rate: f64,
    /// Part of them that fails, 0 to 1.
    error_rate: f64,
    /// How many operations it has.
    operations: u64,
    last_seen: FineMoment,
    #[serde(flatten)]
    durations: Durations,
}

/// A service over time, its operations and its neighbours.
#[derive(Serialize, JsonSchema)]
struct TracedServiceDetail {
    name: String,
    red: RedOverTime,
    operations: Vec<TracedOperation>,
    /// Who calls it.
    upstream: Vec<Neighbour>,
    /// Whom it calls.
    downstream: Vec<Neighbour>,
    cost: QueryCost,
}

/// Rate, errors and durations, each with one entry a step.
#[derive(Serialize, JsonSchema)]
struct RedOverTime {
    start: FineMoment,
    step_ms: i64,
    calls: Vec<u64>,
    errors: Vec<u64>,
    p50_ms: Vec<Option<f64>>,
    p95_ms: Vec<Option<f64>>,
    p99_ms: Vec<Option<f64>>,
}

/// An operation of a service.
#[derive(Serialize, JsonSchema)]
struct TracedOperation {
    name: String,
    #[schemars(extend("enum" = ["unspecified", "internal", "server", "client", "producer", "consumer"]))]
    kind: &'static str,
    /// Calls per second.
    rate: f64,
    /// Part of them that fails, 0 to 1.
    error_rate: f64,
    /// Calls in all.
    count: u64,
    #[serde(flatten)]
    durations: Durations,
}

/// A service that calls another, or is called by it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ServiceNeighbour")]
struct Neighbour {
    name: String,
    #[schemars(extend("enum" = ["call", "messaging", "database"]))]
    kind: &'static str,
    /// Calls per second.
    rate: f64,
    /// Part of them that fails, 0 to 1.
    error_rate: f64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
}

/// Shows every span that fulfils a predicate and begins in the range.
pub(super) fn each(
    source: &dyn SpanSource,
    predicate: &Predicate,
    (start_ns, end_ns): (i64, i64),
    want: &Want,
    control: &Control,
    visit: &mut dyn FnMut(&SpanData),
) -> Result<(), QueryFault> {
    let scan = Scan { predicate, start_ns, end_ns, want, control };
    source.scan(&scan, &mut |batch| {
        batch.spans.iter().for_each(&mut *visit);
        Ok(ControlFlow::Continue(()))
    })
}

/// Every service that did something in the range.
async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<TracedServices>, ApiFault> {
    let range_ns = spans::range(&params, app.now_ms(), spans::HOUR_NS)?;
    let found = spans::ask(&app, &identity, "services", move |spans, control| {
        let mut table = RedTable::default();
        each(spans, &Predicate::TRUE, range_ns, &Want::default(), control, &mut |span| table.add(span))?;
        Ok(table.rows())
    })
    .await?;
    let seconds = (range_ns.1 - range_ns.0) as f64 / 1e9;
    let services = found.value.iter().map(|row| shown_service(row, seconds)).collect();
    Ok(Json(TracedServices { services, cost: found.cost() }))
}

fn shown_service(row: &ServiceRow, seconds: f64) -> TracedService {
    TracedService {
        name: row.name.to_string(),
        rate: rounded(row.calls as f64 / seconds),
        error_rate: error_rate(row.calls, row.errors),
        operations: row.operations,
        last_seen: FineMoment(row.last_seen_ns),
        durations: Durations::of(&row.latency),
    }
}

fn error_rate(calls: u64, errors: u64) -> f64 {
    rounded(errors as f64 / calls.max(1) as f64)
}

/// One service over time, its operations, and its neighbours.
async fn service(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Json<TracedServiceDetail>, ApiFault> {
    let range_ns = spans::range(&params, app.now_ms(), spans::HOUR_NS)?;
    let step_ns = whole_step(range_ns.1 - range_ns.0, STEPS);
    let seconds = (range_ns.1 - range_ns.0) as f64 / 1e9;
    let test = Test::Compare(Order::Equal, Scalar::Text(name.as_str().into()));
    let predicate = Predicate::Test(Field::Resource(SERVICE_NAME.into()), test);
    let found = spans::ask(&app, &identity, "service", move |spans, control| {
        let mut series = RedSeries::new(range_ns.0, step_ns, STEPS);
        each(spans, &predicate, range_ns, &Want::default(), control, &mut |span| series.add(span))?;
        Ok((series, topology(spans, range_ns, &wanted(), control)?))
    })
    .await?;
    let (series, map) = &found.value;
    let operations: Vec<_> = series.operations().iter().map(|row| shown_operation(row, seconds)).collect();
    if operations.is_empty() {
        let shown: String = name.chars().take(100).collect();
        return Err(Fault::NotFound(format!("no span of {shown:?} began in this range of time")).into());
    }
    let neighbours = |is_one: &dyn Fn(&Edge) -> bool, of: &dyn Fn(&Edge) -> String| -> Vec<Neighbour> {
        let edges = map.edges.iter().filter(|edge| is_one(edge));
        edges.map(|edge| neighbour(edge, of(edge), seconds)).collect()
    };
    let red = RedOverTime {
        start: FineMoment(range_ns.0),
        step_ms: step_ns / 1_000_000,
        calls: series.calls(),
        errors: series.errors(),
        p50_ms: series.quantile_ms(0.5),
        p95_ms: series.quantile_ms(0.95),
        p99_ms: series.quantile_ms(0.99),
    };
    let upstream = neighbours(&|edge| *edge.to == *name, &|edge| edge.from.to_string());
    let downstream = neighbours(&|edge| *edge.from == *name, &|edge| edge.to.to_string());
    Ok(Json(TracedServiceDetail { name, red, operations, upstream, downstream, cost: found.cost() }))
}

fn shown_operation(row: &OperationRow, seconds: f64) -> TracedOperation {
    TracedOperation {
        name: row.name.to_string(),
        kind: row.kind.as_str(),
        rate: rounded(row.calls as f64 / seconds),
        error_rate: error_rate(row.calls, row.errors),
        count: row.calls,
        durations: Durations::of(&row.latency),
    }
}

fn neighbour(edge: &Edge, name: String, seconds: f64) -> Neighbour {
    Neighbour {
        name,
        kind: edge.kind.as_str(),
        rate: rounded(edge.calls as f64 / seconds),
        error_rate: rounded(edge.error_rate()),
        p50_ms: edge.latency.quantile_ms(0.5),
        p95_ms: edge.latency.quantile_ms(0.95),
    }
}
