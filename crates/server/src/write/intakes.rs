//! Intakes of rows in other systems' protocols, each under the paths and in the words its clients expect.

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ingest::records::DecodedRecords;
use ingest::{DecodeError, events, jaeger, json_lines, loki, zipkin};
use model::{Refusals, Signal};
use schemars::JsonSchema;
use serde::Serialize;

use super::bodies::{EventBatch, LogBatch, LokiPush, ZipkinSpan};
use super::json::Report;
use super::rows::{WrittenRows, append, context};
use crate::app::SharedApp;
use crate::body;
use crate::chain::{self, Identity, Need};
use crate::error::{ApiFault, Fault};
use crate::openapi::{ErrorAnswer, Op, Routes, bytes, json_as, text};

/// The name of the part of a path that is an API key.
pub(crate) const KEY_IN_PATH: &str = "key";

/// Loki push, Zipkin and Jaeger collectors: they decide about access themselves, to refuse in their own words.
pub(super) fn routes() -> Routes {
    let of_loki = Op::new("pushLoki", "Stores logs as Loki's clients push them")
        .takes::<LokiPush>()
        .takes_content(bytes("application/x-protobuf"))
        .gives_nothing(204)
        .refuses(&[415]);
    let of_zipkin = |id| {
        Op::new(id, "Stores spans of Zipkin's API v2")
            .takes::<Vec<ZipkinSpan>>()
            .gives_nothing(202)
            .refuses(&[415])
    };
    let of_jaeger = |id| {
        Op::new(id, "Stores a batch of Jaeger's in Thrift")
            .takes_content(bytes("application/x-thrift"))
            .gives_nothing(202)
            .refuses(&[415])
    };
    Routes::new("Intake")
        .post("/loki/api/v1/push", push_loki, of_loki)
        .post("/api/v2/spans", collect_zipkin, of_zipkin("collectZipkin"))
        .post("/zipkin/api/v2/spans", collect_zipkin, of_zipkin("collectZipkinBelowZipkin"))
        .post(
            "/zipkin/{key}/api/v2/spans",
            collect_zipkin_by_path,
            of_zipkin("collectZipkinWithKey").about("The API key stands in the path."),
        )
        .post("/api/traces", collect_jaeger, of_jaeger("collectJaeger"))
        .post("/jaeger/api/traces", collect_jaeger, of_jaeger("collectJaegerBelowJaeger"))
        .merge(super::elastic::routes())
}

/// Our own: logs as JSON and events, behind a key or a session.
pub(super) fn protected_routes() -> Routes {
    let of_logs = Op::new("postLogs", "Stores logs")
        .takes::<LogBatch>()
        .takes_content(text("application/x-ndjson"))
        .gives::<Report>()
        .refuses(&[415]);
    let of_events = Op::new("postEvents", "Stores events")
        .about("400 with a report where none was stored.")
        .takes::<EventBatch>()
        .creates::<EventReport>()
        .gives_status(400, json_as::<EventRefusal>("application/json"))
        .refuses(&[415]);
    Routes::new("Intake").post("/api/v1/monitoring/logs", post_logs, of_logs).post(
        "/api/v1/monitoring/events",
        post_events,
        of_events,
    )
}

/// What became of events.
#[derive(Serialize, JsonSchema)]
struct EventReport {
    #[serde(flatten)]
    report: Report,
    /// Whether none was refused.
    success: bool,
}

/// Every event was refused, or the request could not be read.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it only describes two answers")]
enum EventRefusal {
    Report(EventReport),
    Error(ErrorAnswer),
}

/// A request whose sender is known and whose body is plain.
pub(super) async fn admitted(
    app: &SharedApp,
    head: &Parts,
    encoding: &str,
    body: Body,
) -> Result<(Identity, Vec<u8>, crate::app::Admission), Fault> {
    let identity = chain::pass(app, head.into(), Need::INGEST).await?;
    let (raw, mut admission) = app.admit(&identity, &head.headers, body).await?;
    let plain = super::unpack(app, encoding, raw, &mut admission)?;
    Ok((identity, plain, admission))
}

/// The walk of an intake whose body is one document.
async fn collect(
    app: &SharedApp,
    protocol: &'static str,
    encoding: fn(&HeaderMap) -> &str,
    request: Request<Body>,
    decode: impl FnOnce(Vec<u8>, &HeaderMap) -> Result<DecodedRecords, DecodeError>,
) -> Result<WrittenRows, Fault> {
    let (head, body) = request.into_parts();
    let encoding = encoding(&head.headers);
    let (identity, plain, _admission) = admitted(app, &head, encoding, body).await?;
    let decoded = decode(plain, &head.headers).map_err(super::fault)?;
    append(app, &identity.tenant, protocol, decoded).await
}

/// What a client that knows only success and failure is told: what was good is stored either way.
fn told(refusals: &Refusals, success: StatusCode) -> Response {
    if refusals.is_empty() {
        return success.into_response();
    }
    Fault::invalid("", refusals.summary()).text()
}

/// How a push is packed: protobuf is snappy although no header says so, JSON is what its header says.
fn loki_encoding(headers: &HeaderMap) -> &str {
    let (content_type, _) = body::content_type(headers);
    match (loki::Format::of_content_type(content_type), body::encoding(headers)) {
        (Some(loki::Format::Protobuf), "") => "snappy",
        (_, encoding) => encoding,
    }
}

/// Loki: 204, or 400 with the reason when some entries were refused.
async fn push_loki(State(app): State<SharedApp>, request: Request<Body>) -> Response {
    let context = context(&app);
    let pushed = collect(&app, "loki", loki_encoding, request, |body, headers| {
        let (content_type, _) = body::content_type(headers);
        let format = loki::Format::of_content_type(content_type).ok_or_else(|| {
            let why =
                format!("content type {content_type:?}: send application/json or application/x-protobuf");
            DecodeError::Unsupported(why)
        })?;
        format.decode(body, &context)
    });
    match pushed.await {
        Ok(written) => told(&written.refusals, StatusCode::NO_CONTENT),
        Err(fault) => fault.text(),
    }
}

/// Zipkin v2: 202.
async fn collect_zipkin(State(app): State<SharedApp>, request: Request<Body>) -> Response {
    let context = context(&app);
    match collect(&app, "zipkin", body::encoding, request, |body, _| zipkin::decode(&body, &context)).await {
        Ok(written) => told(&written.refusals, StatusCode::ACCEPTED),
        Err(fault) => fault.text(),
    }
}

/// Zipkin reporters cannot send headers of their own, so the key may stand in the path.
async fn collect_zipkin_by_path(
    app: State<SharedApp>,
    Path(key): Path<String>,
    mut request: Request<Body>,
) -> Response {
    let Ok(bearer) = format!("Bearer {key}").parse() else { return Fault::Unauthorized.text() };
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    collect_zipkin(app, request).await
}

/// Jaeger's collector: a Thrift batch, 202.
async fn collect_jaeger(State(app): State<SharedApp>, request: Request<Body>) -> Response {
    let context = context(&app);
    let collected = collect(&app, "jaeger", body::encoding, request, |body, headers| {
        let (content_type, _) = body::content_type(headers);
        if !jaeger::is_content_type(content_type) {
            let why = format!("content type {content_type:?}: send a Thrift batch as application/x-thrift");
            return Err(DecodeError::Unsupported(why));
        }
        jaeger::decode(&body, &context)
    });
    match collected.await {
        Ok(written) => told(&written.refusals, StatusCode::ACCEPTED),
        Err(fault) => fault.text(),
    }
}

/// `POST /api/v1/monitoring/logs`: JSON lines, an array, or one object.
async fn post_logs(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    request: Request<Body>,
) -> Result<Json<Report>, ApiFault> {
    let (raw, mut admission) = app.admit(&identity, &headers, request.into_body()).await?;
    let plain = super::unpack(&app, body::encoding(&headers), raw, &mut admission)?;
    let decoded = json_lines::decode(&plain, &context(&app)).map_err(super::fault)?;
    let written = append(&app, &identity.tenant, "json", decoded).await?;
    Ok(Json(Report::of(written.accepted, &written.refusals)))
}

/// `POST /api/v1/monitoring/events`: one event, an array, or `{"events": […]}`.
async fn post_events(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    request: Request<Body>,
) -> Result<(StatusCode, Json<EventReport>), ApiFault> {
    let (raw, mut admission) = app.admit(&identity, &headers, request.into_body()).await?;
    let plain = super::unpack(&app, body::encoding(&headers), raw, &mut admission)?;
    let decoded = events::decode(&plain, &context(&app)).map_err(super::fault)?;
    debug_assert_eq!(decoded.records.signal, Signal::Events);
    let written = append(&app, &identity.tenant, "json", decoded).await?;
    let status = if written.accepted > 0 { StatusCode::CREATED } else { StatusCode::BAD_REQUEST };
    let report = Report::of(written.accepted, &written.refusals);
    Ok((status, Json(EventReport { report, success: written.refusals.is_empty() })))
}
