//! Tempo's query API, for Grafana's Tempo data source: `/tempo/api`, `/tempo/ready`.
//!
//! Shapes follow Tempo's documentation and `pkg/tempopb/tempo.proto` in the JSON of protobuf (64-bit integers are
//! texts, bytes Base64); what is asked follows `pkg/tsdb/tempo/trace.go` of Grafana, which wants traces in protobuf.

mod metrics; // functions over time
mod search; // traces by query
mod tags; // names and values to complete

#[cfg(test)]
mod tests; // requests as clients send them

use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use query::traceql::{Query, Value as QueryValue, parse};
use query::traces::Trace;
use serde_json::{Value, json};

use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::Fault;
use crate::prom::params::Params;
use crate::spans;
use crate::spans::otlp::{Flavour, resource_spans};
use crate::spans::protobuf::{Message, write_traces};

/// The version of Tempo whose API this is: Grafana switches features by it. Ours is beside it.
const TEMPO_VERSION: &str = "2.9.0";
const PROTOBUF: &str = "application/protobuf";

/// Every route, each with its full path.
pub(crate) fn routes() -> Router<SharedApp> {
    Router::new()
        .route("/tempo/ready", get(|| async { "ready\n" }))
        .route("/tempo/api/echo", get(|| async { "echo" }))
        .route("/tempo/api/status/buildinfo", get(buildinfo))
        .route("/tempo/api/traces/{id}", get(trace))
        .route("/tempo/api/v2/traces/{id}", get(trace_v2))
        .route("/tempo/api/search", get(search::search))
        .route("/tempo/api/search/tags", get(tags::names))
        .route("/tempo/api/v2/search/tags", get(tags::names_v2))
        .route("/tempo/api/search/tag/{tag}/values", get(tags::values))
        .route("/tempo/api/v2/search/tag/{tag}/values", get(tags::values_v2))
        .route("/tempo/api/metrics/query_range", get(metrics::range))
        .route("/tempo/api/metrics/query", get(metrics::instant))
}

/// A fault that is answered as Tempo does: in plain text.
struct TempoFault(Fault);

impl From<Fault> for TempoFault {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl IntoResponse for TempoFault {
    fn into_response(self) -> Response {
        self.0.text()
    }
}

async fn buildinfo() -> Json<Value> {
    Json(json!({
        "version": TEMPO_VERSION,
        "revision": option_env!("BELLWETHER_REVISION").unwrap_or(""),
        "branch": "main",
        "buildDate": "",
        "buildUser": "",
        "goVersion": "",
        "application": "bellwether",
        "applicationVersion": env!("CARGO_PKG_VERSION"),
    }))
}

async fn trace(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, TempoFault> {
    let trace = find(&app, &identity, &id, &params).await?;
    if wants_protobuf(&headers) {
        let mut message = Message::default();
        write_traces(&trace.spans, &mut message);
        return Ok(protobuf(message));
    }
    Ok(Json(json!({ "batches": resource_spans(&trace.spans, Flavour::Tempo) })).into_response())
}

/// The same in an envelope that can say that something is missing.
async fn trace_v2(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, TempoFault> {
    let trace = find(&app, &identity, &id, &params).await?;
    if wants_protobuf(&headers) {
        let mut message = Message::default();
        message.message(1, |message| write_traces(&trace.spans, message));
        return Ok(protobuf(message));
    }
    let spans = resource_spans(&trace.spans, Flavour::Tempo);
    Ok(Json(json!({ "trace": { "resourceSpans": spans }, "metrics": {} })).into_response())
}

async fn find(app: &SharedApp, identity: &Identity, id: &str, params: &Params) -> Result<Trace, Fault> {
    let id = spans::trace_id(id)?;
    // Grafana widens the times itself where it gives any.
    let start_ns = spans::instant(params, "start")?.unwrap_or(0);
    let end_ns = spans::instant(params, "end")?.filter(|end_ns| *end_ns > start_ns).unwrap_or(i64::MAX);
    let found = spans::trace(app, identity, id, (start_ns, end_ns)).await?.value;
    found.ok_or_else(|| Fault::NotFound("trace not found".into()))
}

fn wants_protobuf(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|one| one.trim().starts_with(PROTOBUF))
}

fn protobuf(message: Message) -> Response {
    ([(header::CONTENT_TYPE, PROTOBUF)], message.finish()).into_response()
}

/// A query of a parameter.
fn parsed(name: &str, text: &str) -> Result<Query, Fault> {
    parse(text).map_err(|error| Fault::invalid(name, error.to_string()))
}

/// A value with its kind; what protobuf has no kind for is a text.
fn any_value(value: &QueryValue) -> Value {
    match value {
        QueryValue::Bool(b) => json!({ "boolValue": b }),
        QueryValue::Int(n) => json!({ "intValue": n.to_string() }),
        QueryValue::Float(n) => json!({ "doubleValue": n }),
        other => json!({ "stringValue": other.text().unwrap_or_else(|| "nil".to_owned()) }),
    }
}

fn key_values(pairs: &[(String, QueryValue)]) -> Vec<Value> {
    pairs.iter().map(|(key, value)| json!({ "key": key, "value": any_value(value) })).collect()
}

/// What a query looked at.
fn cost(cost: store::rows::Cost) -> Value {
    json!({
        "inspectedBytes": cost.bytes.to_string(),
        "inspectedSpans": cost.rows.to_string(),
        "completedJobs": 1,
        "totalJobs": 1,
    })
}
