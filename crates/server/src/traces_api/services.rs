//! Services and their operations: rate, errors and durations.

use std::ops::ControlFlow;

use axum::Json;
use axum::extract::{Extension, Path, State};
use model::predicate::{Field, Order, Predicate, Scalar, Test};
use query::traces::{
    Edge, OperationRow, RedSeries, RedTable, SERVICE_NAME, Scan, ServiceRow, SpanData, SpanSource, Want,
};
use query::{Control, QueryFault};
use serde_json::{Value, json};

use super::topology::{quantiles_json, topology, wanted};
use super::{rfc3339, rounded, whole_step};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::prom::params::Params;
use crate::spans;

/// Steps of a service's page.
const STEPS: usize = 60;

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
pub(super) async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Value>, ApiFault> {
    let range_ns = spans::range(&params, app.now_ms(), spans::HOUR_NS)?;
    let found = spans::ask(&app, &identity, "services", move |spans, control| {
        let mut table = RedTable::default();
        each(spans, &Predicate::TRUE, range_ns, &Want::default(), control, &mut |span| table.add(span))?;
        Ok(table.rows())
    })
    .await?;
    let seconds = (range_ns.1 - range_ns.0) as f64 / 1e9;
    let services: Vec<Value> = found.value.iter().map(|row| service_json(row, seconds)).collect();
    Ok(Json(json!({ "services": services, "cost": found.cost_json() })))
}

fn service_json(row: &ServiceRow, seconds: f64) -> Value {
    let mut object = quantiles_json(&row.latency);
    object["name"] = (*row.name).into();
    object["rate"] = rounded(row.calls as f64 / seconds).into();
    object["error_rate"] = error_rate(row.calls, row.errors);
    object["operations"] = row.operations.into();
    object["last_seen"] = rfc3339(row.last_seen_ns).into();
    object
}

fn error_rate(calls: u64, errors: u64) -> Value {
    rounded(errors as f64 / calls.max(1) as f64).into()
}

/// One service over time, its operations, and its neighbours.
pub(super) async fn service(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Json<Value>, ApiFault> {
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
    let operations: Vec<Value> = series.operations().iter().map(|row| operation_json(row, seconds)).collect();
    if operations.is_empty() {
        let shown: String = name.chars().take(100).collect();
        return Err(Fault::NotFound(format!("no span of {shown:?} began in this range of time")).into());
    }
    let neighbours = |is_one: &dyn Fn(&Edge) -> bool, of: &dyn Fn(&Edge) -> String| {
        let edges = map.edges.iter().filter(|edge| is_one(edge));
        edges.map(|edge| neighbour_json(edge, of(edge), seconds)).collect::<Vec<Value>>()
    };
    Ok(Json(json!({
        "name": name,
        "red": {
            "start": rfc3339(range_ns.0),
            "step_ms": step_ns / 1_000_000,
            "calls": series.calls(),
            "errors": series.errors(),
            "p50_ms": series.quantile_ms(0.5),
            "p95_ms": series.quantile_ms(0.95),
            "p99_ms": series.quantile_ms(0.99),
        },
        "operations": operations,
        "upstream": neighbours(&|edge| *edge.to == *name, &|edge| edge.from.to_string()),
        "downstream": neighbours(&|edge| *edge.from == *name, &|edge| edge.to.to_string()),
        "cost": found.cost_json(),
    })))
}

fn operation_json(row: &OperationRow, seconds: f64) -> Value {
    let mut object = quantiles_json(&row.latency);
    object["name"] = (*row.name).into();
    object["kind"] = row.kind.as_str().into();
    object["rate"] = rounded(row.calls as f64 / seconds).into();
    object["error_rate"] = error_rate(row.calls, row.errors);
    object["count"] = row.calls.into();
    object
}

fn neighbour_json(edge: &Edge, name: String, seconds: f64) -> Value {
    json!({
        "name": name,
        "kind": edge.kind.as_str(),
        "rate": rounded(edge.calls as f64 / seconds),
        "error_rate": rounded(edge.error_rate()),
        "p50_ms": edge.latency.quantile_ms(0.5),
        "p95_ms": edge.latency.quantile_ms(0.95),
    })
}
