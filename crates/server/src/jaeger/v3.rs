//! The API of newer UIs: OTLP in JSON, errors as gRPC gateways write them.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use query::traces::{Summary, Trace, Want, hex};
use serde_json::{Value, json};

use super::answers::{V3Operations, V3Services, V3Summaries, V3Traces};
use super::search::Search;
use super::{operations_of, service_names};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::Fault;
use crate::openapi::{Op, Param, Routes, count, string, time};
use crate::prom::params::Params;
use crate::spans;
use crate::spans::otlp::{Flavour, resource_spans};

/// Traces to find, as [`Search::of_v3`] reads them; every name may be in camel case, too.
const SEARCH: [Param; 8] = [
    string("query.service_name", "The name of a service."),
    string("query.operation_name", "The name of an operation; `query.span_name` says the same."),
    string("query.attributes", "A JSON object of keys and texts."),
    time("query.start_time_min", "First time, RFC 3339; two days before the last unless given."),
    time("query.start_time_max", "Last time, RFC 3339; now unless given."),
    string("query.duration_min", "How long a span took at least, such as `100ms`."),
    string("query.duration_max", "How long a span took at most."),
    count("query.search_depth", "Traces: 100 unless given, at most 1500; `query.num_traces` says the same."),
];

/// The third API, each route with its full path.
pub(crate) fn routes() -> Routes {
    let op = |id, summary| Op::new(id, summary).refuses(&[422]);
    let of_services = op("listJaegerV3Services", "Names of services").gives::<V3Services>();
    let of_operations = op("listJaegerV3Operations", "A service's operations with their kinds")
        .params(&[
            string("service", "The service's name.").required(),
            string("span_kind", "Operations of this kind only; `spanKind` says the same."),
        ])
        .gives::<V3Operations>();
    let of_traces = op("findJaegerV3Traces", "Traces that have what is searched for, in OTLP's JSON")
        .params(&SEARCH)
        .gives::<V3Traces>()
        .refuses(&[404]);
    let of_trace = op("getJaegerV3Trace", "A trace in OTLP's JSON")
        .params(&[
            time("start_time", "Where it is looked for, RFC 3339; everywhere unless given."),
            time("end_time", "Where it is not looked for any more, likewise."),
        ])
        .gives::<V3Traces>();
    let of_summaries = op("listJaegerV3Summaries", "A line for every trace that is found")
        .params(&SEARCH)
        .gives::<V3Summaries>();
    Routes::new("Jaeger")
        .get("/jaeger/api/v3/services", services, of_services)
        .get("/jaeger/api/v3/operations", operations, of_operations)
        .get("/jaeger/api/v3/traces", traces, of_traces)
        .get("/jaeger/api/v3/traces/{id}", trace, of_trace)
        .get("/jaeger/api/v3/trace-summaries", summaries, of_summaries)
}

/// A fault that is answered as a gRPC gateway does.
struct GatewayFault(Fault);

impl From<Fault> for GatewayFault {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl IntoResponse for GatewayFault {
    fn into_response(self) -> Response {
        refusal(&self.0)
    }
}

/// A fault as a gRPC gateway puts it, for whoever refuses before a handler is reached.
pub(crate) fn refusal(fault: &Fault) -> Response {
    let status = fault.status();
    let error = json!({
        "grpcCode": fault.grpc_code() as i32,
        "httpCode": status.as_u16(),
        "httpStatus": status.canonical_reason().unwrap_or(""),
        "message": fault.message(),
    });
    fault.finish((status, Json(json!({ "error": error }))).into_response())
}

async fn services(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<Value>, GatewayFault> {
    Ok(Json(json!({ "services": service_names(&app, &identity).await? })))
}

async fn operations(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Value>, GatewayFault> {
    let kind = params.get("span_kind").or_else(|| params.get("spanKind"));
    let found = operations_of(&app, &identity, params.required("service")?, kind).await?;
    let operations: Vec<Value> =
        found.into_iter().map(|(name, kind)| json!({ "name": name, "spanKind": kind })).collect();
    Ok(Json(json!({ "operations": operations })))
}

async fn traces(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Value>, GatewayFault> {
    let search = Search::of_v3(&params, app.now_ms())?;
    let found = search.run(&app, &identity, Want::everything(), |trace| trace_json(&trace)).await?;
    if found.is_empty() {
        return Err(Fault::NotFound("No traces found".into()).into());
    }
    let all: Vec<Value> = found.into_iter().flatten().collect();
    Ok(Json(json!({ "result": { "resourceSpans": all } })))
}

async fn trace(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Value>, GatewayFault> {
    let id = spans::trace_id(&id)?;
    let start_ns = spans::instant(&params, "start_time")?.unwrap_or(0);
    let end_ns = spans::instant(&params, "end_time")?.unwrap_or(i64::MAX);
    match spans::trace(&app, &identity, id, (start_ns, end_ns)).await?.value {
        Some(trace) => Ok(Json(json!({ "result": { "resourceSpans": trace_json(&trace) } }))),
        None => Err(Fault::NotFound("No traces found".into()).into()),
    }
}

fn trace_json(trace: &Trace) -> Vec<Value> {
    resource_spans(&trace.spans, Flavour::Otlp)
}

/// A line for every trace.
async fn summaries(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Value>, GatewayFault> {
    let search = Search::of_v3(&params, app.now_ms())?;
    let found = search.run(&app, &identity, Want::default(), |trace| Summary::of(&trace)).await?;
    let line = |summary: &Summary| {
        let services: Vec<Value> = summary
            .services
            .iter()
            .map(|one| json!({ "name": &*one.name, "spanCount": one.spans, "errorSpanCount": one.errors }))
            .collect();
        json!({
            "traceId": hex(&summary.trace_id),
            "rootServiceName": &*summary.root_service,
            "rootOperationName": &*summary.root_name,
            "minStartTimeUnixNano": summary.start_ns.max(0).to_string(),
            "maxEndTimeUnixNano": summary.start_ns.saturating_add(summary.duration_ns).max(0).to_string(),
            "spanCount": summary.spans,
            "errorSpanCount": summary.errors,
            "orphanSpanCount": summary.orphans,
            "services": services,
        })
    };
    Ok(Json(json!({ "summaries": found.iter().map(line).collect::<Vec<_>>() })))
}
