//! The API of newer UIs: OTLP in JSON, errors as gRPC gateways write them.

use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use query::traces::{Summary, Trace, Want, hex};
use serde_json::{Value, json};

use super::search::Search;
use super::{operations_of, service_names};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::Fault;
use crate::prom::params::Params;
use crate::spans;
use crate::spans::otlp::{Flavour, resource_spans};

pub(super) fn routes() -> Router<SharedApp> {
    Router::new()
        .route("/jaeger/api/v3/services", get(services))
        .route("/jaeger/api/v3/operations", get(operations))
        .route("/jaeger/api/v3/traces", get(traces))
        .route("/jaeger/api/v3/traces/{id}", get(trace))
        .route("/jaeger/api/v3/trace-summaries", get(summaries))
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
        let Self(fault) = self;
        let status = fault.status();
        let error = json!({
            "grpcCode": fault.grpc_code() as i32,
            "httpCode": status.as_u16(),
            "httpStatus": status.canonical_reason().unwrap_or(""),
            "message": fault.message(),
        });
        fault.finish((status, Json(json!({ "error": error }))).into_response())
    }
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
