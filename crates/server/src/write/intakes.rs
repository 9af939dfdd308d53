//! Intakes of rows in other systems' protocols, each under the paths and in the words its clients expect.

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ingest::records::DecodedRecords;
use ingest::{DecodeError, events, jaeger, json_lines, loki, zipkin};
use model::{Refusals, Signal};
use serde_json::{Value, json};

use super::rows::{WrittenRows, append, context};
use crate::app::SharedApp;
use crate::body;
use crate::chain::{self, Identity, Need};
use crate::error::{ApiFault, Fault};

/// Loki push, Zipkin and Jaeger collectors: they decide about access themselves, to refuse in their own words.
pub(crate) fn routes() -> Router<SharedApp> {
    Router::new()
        .route("/loki/api/v1/push", post(push_loki))
        .route("/api/v2/spans", post(collect_zipkin))
        .route("/zipkin/api/v2/spans", post(collect_zipkin))
        .route("/zipkin/{key}/api/v2/spans", post(collect_zipkin_by_path))
        .route("/api/traces", post(collect_jaeger))
        .route("/jaeger/api/traces", post(collect_jaeger))
        .merge(super::elastic::routes())
}

/// Our own: logs as JSON and events, behind a key or a session.
pub(crate) fn protected_routes() -> Router<SharedApp> {
    Router::new()
        .route("/api/v1/monitoring/logs", post(post_logs))
        .route("/api/v1/monitoring/events", post(post_events))
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
) -> Result<Response, ApiFault> {
    let (raw, mut admission) = app.admit(&identity, &headers, request.into_body()).await?;
    let plain = super::unpack(&app, body::encoding(&headers), raw, &mut admission)?;
    let decoded = json_lines::decode(&plain, &context(&app)).map_err(super::fault)?;
    let written = append(&app, &identity.tenant, "json", decoded).await?;
    Ok(axum::Json(report(&written)).into_response())
}

/// `POST /api/v1/monitoring/events`: one event, an array, or `{"events": […]}`.
async fn post_events(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    request: Request<Body>,
) -> Result<Response, ApiFault> {
    let (raw, mut admission) = app.admit(&identity, &headers, request.into_body()).await?;
    let plain = super::unpack(&app, body::encoding(&headers), raw, &mut admission)?;
    let decoded = events::decode(&plain, &context(&app)).map_err(super::fault)?;
    debug_assert_eq!(decoded.records.signal, Signal::Events);
    let written = append(&app, &identity.tenant, "json", decoded).await?;
    let status = if written.accepted > 0 { StatusCode::CREATED } else { StatusCode::BAD_REQUEST };
    let mut answer = report(&written);
    answer["success"] = json!(written.refusals.is_empty());
    Ok((status, axum::Json(answer)).into_response())
}

/// How many were taken, and which were not, where and why.
fn report(written: &WrittenRows) -> Value {
    super::json::report_of(written.accepted, &written.refusals)
}
