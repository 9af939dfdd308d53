//! Jaeger's query API, for its own UI and for Grafana's Jaeger data source: `/jaeger/api` and `/jaeger/api/v3`.
//!
//! Shapes follow Jaeger's `model/json/model.go` and, for v3, `packages/jaeger-ui/src/api/v3/schemas.ts` of its UI;
//! what is asked follows `pkg/tsdb/jaeger/{client,grpc_client}.go` of Grafana.

mod answers; // what answers look like
mod search; // what is asked for
mod v3; // the API of newer UIs
mod view; // traces in Jaeger's JSON

#[cfg(test)]
mod tests; // requests as clients send them

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use query::traces::{Keys, TopologyBuilder, TraceOrder, Want};
use serde_json::{Value, json};

use self::answers::{
    Envelope, JaegerDependency, JaegerOperation, JaegerOperationName, JaegerService, JaegerTrace,
};
use self::search::Search;
pub(crate) use self::v3::{refusal as gateway_refusal, routes as v3_routes};
use self::view::trace_json;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::Fault;
use crate::openapi::{Op, Param, Routes, count, string};
use crate::prom::params::Params;
use crate::spans;

/// How far back services and operations are looked for, as Jaeger does.
const SERVICES_BACK_NS: i64 = 72 * spans::HOUR_NS;

/// Traces to find, as [`Search::of_v1`] reads them.
const SEARCH: [Param; 11] = [
    string("traceID", "A trace; with any of them, nothing else is asked.").repeated(),
    string("service", "The name of a service; required unless traces are named."),
    string("operation", "The name of an operation; `all` for every one."),
    string("tags", "A JSON object of keys and texts."),
    string("tag", "`key:value`.").repeated(),
    string("minDuration", "How long a span took at least, such as `100ms`."),
    string("maxDuration", "How long a span took at most."),
    string("lookback", "How far before `end`, such as `1h`, unless `start` is given; two days unless given."),
    string("start", "First time, microseconds since 1970."),
    string("end", "Last time, likewise; now unless given."),
    count("limit", "Traces: 100 unless given, at most 1500."),
];

/// The first API, each route with its full path.
pub(crate) fn routes() -> Routes {
    let op = |id, summary| Op::new(id, summary).refuses(&[422]);
    let of_traces =
        |id| op(id, "Traces that have what is searched for").params(&SEARCH).gives::<Envelope<JaegerTrace>>();
    let of_services = op("listJaegerServices", "Names of services").gives::<Envelope<JaegerService>>();
    let of_names = op("listJaegerOperationNames", "Names of a service's operations")
        .gives::<Envelope<JaegerOperationName>>();
    let of_operations = op("listJaegerOperations", "A service's operations with their kinds")
        .params(&[
            string("service", "The service's name.").required(),
            string("spanKind", "Operations of this kind only."),
        ])
        .gives::<Envelope<JaegerOperation>>();
    let of_trace = op("getJaegerTrace", "A trace")
        .params(&[
            string("start", "Where it is looked for, microseconds since 1970; everywhere unless given."),
            string("end", "Where it is not looked for any more, likewise."),
        ])
        .gives::<Envelope<JaegerTrace>>();
    let of_dependencies = op("listJaegerDependencies", "Who calls whom")
        .params(&[
            count("endTs", "Last time, milliseconds since 1970; now unless given."),
            count("lookback", "How far before it, milliseconds; a day unless given."),
        ])
        .gives::<Envelope<JaegerDependency>>();
    Routes::new("Jaeger")
        .get("/jaeger/api/services", services, of_services)
        .get("/jaeger/api/services/{service}/operations", operation_names, of_names)
        .get("/jaeger/api/operations", operations, of_operations)
        .get("/jaeger/api/traces", traces, of_traces("findJaegerTraces"))
        // Where older Grafana looks, whatever the path of the data source.
        .get("/api/traces", traces, of_traces("findJaegerTracesAtRoot"))
        .get("/jaeger/api/traces/{id}", trace, of_trace)
        .get("/jaeger/api/dependencies", dependencies, of_dependencies)
}

/// A fault that is answered as Jaeger's API does.
struct JaegerFault(Fault);

impl From<Fault> for JaegerFault {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl IntoResponse for JaegerFault {
    fn into_response(self) -> Response {
        refusal(&self.0)
    }
}

/// A fault in Jaeger's words, for whoever refuses before a handler is reached.
pub(crate) fn refusal(fault: &Fault) -> Response {
    let status = fault.status();
    let errors = json!([{ "code": status.as_u16(), "msg": fault.message() }]);
    let body = json!({ "data": null, "total": 0, "limit": 0, "offset": 0, "errors": errors });
    fault.finish((status, Json(body)).into_response())
}

fn envelope(data: Vec<Value>) -> Response {
    let total = data.len();
    let body = json!({ "data": data, "total": total, "limit": 0, "offset": 0, "errors": null });
    (StatusCode::OK, Json(body)).into_response()
}

/// The last days until now.
fn recent(app: &SharedApp) -> (i64, i64) {
    let now_ns = app.now_ms().saturating_add(1).saturating_mul(1_000_000);
    (now_ns.saturating_sub(SERVICES_BACK_NS), now_ns)
}

/// Names of services; Grafana's health check too.
async fn services(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, JaegerFault> {
    let names = service_names(&app, &identity).await?;
    Ok(envelope(names.into_iter().map(Value::from).collect()))
}

async fn service_names(app: &SharedApp, identity: &Identity) -> Result<Vec<String>, Fault> {
    let (range_ns, cache) = (recent(app), app.operations());
    let found =
        spans::ask(app, identity, "jaeger", move |spans, control| spans.services(range_ns, &cache, control));
    Ok(found.await?.value.into_iter().collect())
}

/// Names and kinds of a service's operations, only those of one kind where it is given.
async fn operations_of(
    app: &SharedApp,
    identity: &Identity,
    service: &str,
    kind: Option<&str>,
) -> Result<Vec<(String, &'static str)>, Fault> {
    let (range_ns, cache, service) = (recent(app), app.operations(), service.to_owned());
    let found = spans::ask(app, identity, "jaeger", move |spans, control| {
        spans.operations(&service, range_ns, &cache, control)
    });
    let all = found.await?.value.into_iter().map(|(name, kind)| (name, view::kind(kind)));
    Ok(all.filter(|(_, own)| kind.is_none_or(|kind| kind.eq_ignore_ascii_case(own))).collect())
}

async fn operation_names(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(service): Path<String>,
) -> Result<Response, JaegerFault> {
    let mut names: Vec<String> =
        operations_of(&app, &identity, &service, None).await?.into_iter().map(|(name, _)| name).collect();
    names.dedup();
    Ok(envelope(names.into_iter().map(Value::from).collect()))
}

async fn operations(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, JaegerFault> {
    let service = params.required("service")?;
    let found = operations_of(&app, &identity, service, params.get("spanKind")).await?;
    Ok(envelope(found.into_iter().map(|(name, kind)| json!({ "name": name, "spanKind": kind })).collect()))
}

async fn traces(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, JaegerFault> {
    let search = Search::of_v1(&params, app.now_ms())?;
    let found = search.run(&app, &identity, Want::everything(), |trace| trace_json(&trace)).await?;
    Ok(envelope(found))
}

async fn trace(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, JaegerFault> {
    let id = spans::trace_id(&id)?;
    // Times only narrow where it is looked for.
    let micros = |name: &str| Ok::<_, Fault>(search::micros(&params, name)?.unwrap_or(0));
    let (start_ns, end_ns) = (micros("start")?, micros("end")?);
    let end_ns = if end_ns > start_ns { end_ns } else { i64::MAX };
    match spans::trace(&app, &identity, id, (start_ns, end_ns)).await?.value {
        Some(trace) => Ok(envelope(vec![trace_json(&trace)])),
        None => Err(Fault::NotFound("trace not found".into()).into()),
    }
}

/// Who calls whom, in the `lookback` milliseconds before `endTs`.
async fn dependencies(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, JaegerFault> {
    let millis = |name: &str, default: i64| Ok::<_, Fault>(params.count(name)?.map_or(default, |n| n as i64));
    let end_ms = millis("endTs", app.now_ms().saturating_add(1))?;
    let lookback_ms = millis("lookback", 24 * 3_600_000)?;
    let range_ns =
        (end_ms.saturating_sub(lookback_ms).saturating_mul(1_000_000), end_ms.saturating_mul(1_000_000));
    let found = spans::ask(&app, &identity, "jaeger", move |spans, control| {
        let want = Want { attributes: Keys::Some(TopologyBuilder::keys()), ..Want::default() };
        crate::traces_api::topology(spans, range_ns, &want, control)
    });
    let calls = found.await?.value.edges.into_iter();
    let links = calls
        .map(|edge| json!({ "parent": &*edge.from, "child": &*edge.to, "callCount": edge.calls }))
        .collect();
    Ok(envelope(links))
}

/// Newest first is the order of lists.
const ORDER: TraceOrder = TraceOrder::Recent;
