//! Tempo's query API, for Grafana's Tempo data source: `/tempo/api`, `/tempo/ready`.
//!
//! Shapes follow Tempo's documentation and `pkg/tempopb/tempo.proto` in the JSON of protobuf (64-bit integers are
//! texts, bytes Base64); what is asked follows `pkg/tsdb/tempo/trace.go` of Grafana, which wants traces in protobuf.

mod answers; // what answers look like
mod metrics; // functions over time
mod search; // traces by query
mod tags; // names and values to complete

#[cfg(test)]
mod tests; // requests as clients send them

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use query::traceql::{Query, Value as QueryValue, parse};
use query::traces::Trace;
use serde_json::{Value, json};

use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::Fault;
use crate::openapi::{Op, Param, Routes, bytes, text, time};
use crate::prom::params::Params;
use crate::spans;
use crate::spans::otlp::{Flavour, resource_spans};
use crate::spans::protobuf::{Message, write_traces};

/// The version of Tempo whose API this is: Grafana switches features by it. Ours is beside it.
const TEMPO_VERSION: &str = "2.9.0";
const PROTOBUF: &str = "application/protobuf";

/// The time that is looked at, as [`spans::range`] reads it.
const TIMES: [Param; 2] = [
    time("start", "First time: Unix seconds or RFC 3339. An hour before `end` unless given."),
    time("end", "First time not looked at any more, likewise. Now unless given."),
];

/// Every route, each with its full path.
pub(crate) fn routes() -> Routes {
    let of_trace = |id, summary| {
        Op::new(id, summary)
            .params(&[
                time("start", "Where it is looked for: Unix seconds or RFC 3339. Everywhere unless given."),
                time("end", "Where it is not looked for any more, likewise."),
            ])
            .gives_content(bytes(PROTOBUF))
            .refuses(&[422])
    };
    let plain = |id, summary| Op::new(id, summary).gives_content(text("text/plain"));
    Routes::new("Tempo")
        .get("/tempo/ready", || async { "ready\n" }, plain("isTempoReady", "Always `ready`"))
        .get("/tempo/api/echo", || async { "echo" }, plain("echoTempo", "Always `echo`"))
        .get(
            "/tempo/api/status/buildinfo",
            buildinfo,
            Op::new("getTempoBuildInfo", "The version of Tempo whose API this is, and ours")
                .gives::<answers::BuildInfo>(),
        )
        .get(
            "/tempo/api/traces/{id}",
            trace,
            of_trace("getTempoTrace", "A trace as JSON or protobuf, by `Accept`").gives::<answers::Trace>(),
        )
        .get(
            "/tempo/api/v2/traces/{id}",
            trace_v2,
            of_trace("getTempoTraceV2", "The same in an envelope").gives::<answers::TraceV2>(),
        )
        .merge(search::routes())
        .merge(tags::routes())
        .merge(metrics::routes())
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
