//! Every route, by who may ask. Two routers that claim one path make [`router`] panic, which a test runs.

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{DefaultBodyLimit, MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use control::Permission;
use serde_json::json;
use tower_http::compression::CompressionLayer;
use tracing::Instrument;

use crate::app::SharedApp;
use crate::audit::Requested;
use crate::chain::{Need, Note};
use crate::error::Fault;
use crate::openapi::{Routes, Words};
use crate::prom::{admin, federate, metadata, query, remote_read, status, targets, text};
use crate::telemetry::method_label;
use crate::write::otlp::Export;
use crate::write::{import, intakes, json as json_intake, otlp, remote_write};
use crate::{
    access, account, audit, health, jaeger, monitoring, objects, own, realtime, rows_api, services, sql,
    tempo, tenants_api, traces_api, ui,
};

/// The main port: web application and every HTTP API; OTLP over gRPC too, since it needs no port of its own.
pub(crate) fn router(app: &SharedApp) -> Router {
    let mut all = Routes::default();
    for (need, words, routes) in gated() {
        all = all.merge(routes.behind(app, need, words));
    }
    for (need, routes) in account::routes().into_iter().chain(tenants_api::routes()).chain(audit::routes()) {
        all = all.merge(routes.behind(app, need, Words::Api));
    }
    let all = all.merge(public().public()).merge(intakes().passing(Need::INGEST, Words::Protocol));
    let described = all.served_with_document(app, OPENAPI);
    finish(described.merge(otlp_over_grpc(app)).fallback(fallback), app)
}

/// Where the API is described.
const OPENAPI: &str = "/api/v1/monitoring/openapi.json";

/// What answers anyone.
fn public() -> Routes {
    let public = Router::new()
        .route("/healthz", get(health::healthy))
        .route("/-/healthy", get(health::healthy))
        .route("/-/ready", get(health::ready))
        .route("/version", get(health::version))
        .route("/api/v1/monitoring/health", get(monitoring::health));
    Routes::from(public).merge(account::public_routes().into())
}

/// These pass the chain themselves, to refuse in their own protocol.
fn intakes() -> Routes {
    let prometheus = Router::new()
        .route("/api/v1/write", post(remote_write::write))
        .route("/prometheus/api/v1/write", post(remote_write::write))
        .route("/api/v1/otlp/v1/metrics", post(otlp::metrics))
        .route("/prometheus/api/v1/otlp/v1/metrics", post(otlp::metrics));
    Routes::from(prometheus).merge(otlp_over_http().into()).merge(intakes::routes().into())
}

/// Routes behind the chain: what they need, in which words they refuse.
fn gated() -> Vec<(Need, Words, Routes)> {
    let reads = Need::open(Permission::TelemetryRead);
    let prometheus = prometheus()
        .merge(Router::new().nest("/prometheus", prometheus()))
        .route("/metrics", get(health::metrics));
    let writes = Router::new()
        .route("/api/metrics", post(json_intake::batch))
        .route("/api/v1/import/prometheus", post(import::prometheus));
    let looks = Router::new()
        .route("/api/v1/ws", get(realtime::upgrade))
        .route("/api/v1/monitoring/metrics", get(monitoring::metrics))
        .route("/api/v1/monitoring/hosts", get(monitoring::hosts::list))
        .merge(rows_api::routes())
        .merge(traces_api::routes());
    let operations = Router::new()
        .route("/api/v1/services", get(services::list))
        .route("/api/v1/services/{name}", get(services::get))
        .route("/api/v1/services/{name}/restart", post(services::restart))
        .route("/-/reload", post(health::reload).put(health::reload));
    let deletes = rows_api::admin_routes()
        .merge(prometheus_admin())
        .merge(Router::new().nest("/prometheus", prometheus_admin()));
    let protected_writes = Router::new()
        .route("/api/v1/monitoring/metrics/collect", post(monitoring::collect))
        .route("/api/v1/monitoring/metrics/custom", post(json_intake::custom))
        .merge(intakes::protected_routes());
    let saved = Router::new()
        .route("/api/v1/monitoring/objects/{kind}", get(objects::list))
        .route("/api/v1/monitoring/objects/{kind}/{name}", object())
        .merge(rows_api::editor_routes());
    // What an agent collects, with its secrets: for keys that send, not for those that only read.
    let agents = Router::new()
        .route("/api/v1/monitoring/agents/{host}/configuration", get(objects::agent_configuration));
    vec![
        (reads, Words::Prometheus, prometheus.into()),
        (reads, Words::Api, Router::new().route("/api/v1/sql", post(sql::run)).into()),
        (reads, Words::Jaeger, jaeger::routes().into()),
        (reads, Words::Text, tempo::routes().into()),
        (Need::INGEST, Words::Api, writes.into()),
        (Need::always(Permission::TelemetryRead), Words::Api, looks.into()),
        (Need::OPERATE, Words::Api, operations.into()),
        (Need::always(Permission::DataDelete), Words::Api, deletes.into()),
        (Need::always(Permission::TelemetryWrite), Words::Api, protected_writes.into()),
        (Need::protected(Permission::ObjectsRead, Permission::ObjectsWrite), Words::Api, saved.into()),
        (Need::always(Permission::TelemetryWrite), Words::Api, agents.into()),
    ]
}

/// Port 4318.
pub(crate) fn otlp_http(app: &SharedApp) -> Router {
    finish(otlp_over_http().fallback(no_such_route), app)
}

/// Port 4317.
pub(crate) fn otlp_grpc(app: &SharedApp) -> Router {
    finish(otlp_over_grpc(app).fallback(crate::write::unknown_method), app)
}

fn otlp_over_http() -> Router<SharedApp> {
    Router::new()
        .route(Export::Metrics.path(), post(otlp::metrics))
        .route(Export::Logs.path(), post(otlp::logs))
        .route(Export::Traces.path(), post(otlp::traces))
}

fn otlp_over_grpc(app: &SharedApp) -> Router<SharedApp> {
    Export::ALL.into_iter().fold(Router::new(), |router, export| {
        router.route_service(export.grpc_path(), crate::write::grpc_service(app.clone(), export))
    })
}

/// What Prometheus keeps behind a flag.
fn prometheus_admin() -> Router<SharedApp> {
    let (delete, clean) = (admin::delete_series, admin::clean_tombstones);
    Router::new()
        .route("/api/v1/admin/tsdb/delete_series", post(delete).put(delete))
        .route("/api/v1/admin/tsdb/clean_tombstones", post(clean).put(clean))
}

/// Prometheus's read API, served at the root and under `/prometheus`.
fn prometheus() -> Router<SharedApp> {
    Router::new()
        .route("/api/v1/query", both(query::instant))
        .route("/api/v1/query_range", both(query::range))
        .route("/api/v1/query_exemplars", both(metadata::exemplars))
        .route("/api/v1/labels", both(metadata::labels))
        .route("/api/v1/label/{name}/values", both(metadata::label_values))
        .route("/api/v1/series", both(metadata::series))
        .route("/api/v1/metadata", get(metadata::metadata))
        .route("/api/v1/format_query", both(text::format))
        .route("/api/v1/parse_query", both(text::parse_query))
        .route("/api/v1/read", post(remote_read::read))
        .route("/api/v1/rules", get(status::rules))
        .route("/api/v1/alerts", get(status::alerts))
        .route("/api/v1/alertmanagers", get(status::alertmanagers))
        .route("/api/v1/targets", get(targets::targets))
        .route("/api/v1/targets/metadata", get(targets::metadata))
        .route("/api/v1/scrape_pools", get(targets::pools))
        .route("/api/v1/status/buildinfo", get(status::buildinfo))
        .route("/api/v1/status/config", get(status::config))
        .route("/api/v1/status/flags", get(status::flags))
        .route("/api/v1/status/runtimeinfo", get(status::runtimeinfo))
        .route("/api/v1/status/tsdb", get(status::tsdb))
        .route("/api/v1/status/walreplay", get(status::walreplay))
        .route("/federate", get(federate::federate))
}

fn both<H, T>(handler: H) -> MethodRouter<SharedApp>
where
    H: axum::handler::Handler<T, SharedApp> + Copy,
    T: 'static,
{
    get(handler).post(handler)
}

fn object() -> MethodRouter<SharedApp> {
    put(objects::put).get(objects::get).merge(delete(objects::delete))
}

fn finish(router: Router<SharedApp>, app: &SharedApp) -> Router {
    router
        // Every handler bounds its own body, by the live setting.
        .layer(DefaultBodyLimit::disable())
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(app.clone(), observe))
        .layer(middleware::from_fn(harden))
        .with_state(app.clone())
}

/// Counts, times and traces every request by its route template, and keeps a panic from ending the connection.
async fn observe(
    State(app): State<SharedApp>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = std::time::Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let span = request_span(&method, &route, request.headers());
    let note = Note::default();
    request.extensions_mut().insert(note.clone());
    let handling = async {
        let caught = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(next.run(request)));
        let mut response = caught.await.unwrap_or_else(|_| {
            tracing::error!(%route, "a handler panicked");
            Fault::Internal("the request failed; the log has the reason".into()).api()
        });
        if let Some(context) = own::context_of_current() {
            response.headers_mut().insert("traceparent", own::traceparent(&context));
        }
        response
    };
    let response = handling.instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    app.telemetry().request(&method, &route, response.status().as_u16(), started.elapsed().as_secs_f64());
    if let Some(noted) = note.get() {
        // What the path names is what it was done to.
        let target: Vec<&str> = params.iter().flatten().map(|(_, value)| value).collect();
        let (target, status) = (target.join("/"), response.status().as_u16());
        let method = method_label(&method);
        let at = Requested { route: &route, method, target: &target, status };
        app.audit().request(noted, at, app.now_ms());
        if status < 400 && noted.is_change(method) {
            app.audit().settled().await;
        }
    }
    response
}

/// The span of a request, in the caller's trace where it names one.
fn request_span(method: &Method, route: &str, headers: &HeaderMap) -> tracing::Span {
    let given = headers.get("traceparent").and_then(|v| v.to_str().ok()).and_then(own::parse_traceparent);
    let (trace_id, parent_id) = given.unwrap_or_default();
    tracing::info_span!(
        "request",
        trace_id,
        parent_id,
        http.request.method = method.as_str(),
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    )
}

/// Headers that every answer carries.
async fn harden(request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut response = match access::settle_host(&parts.uri, &mut parts.headers) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(fault) => fault.api(),
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// Files and pages of the web application; what is neither is not found, in the words of an API.
async fn fallback(headers: HeaderMap, request: Request) -> Response {
    let path = request.uri().path();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return no_such_route().await;
    }
    if let Some(asset) = ui::asset(path, &headers) {
        return asset;
    }
    let wants_page = headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_page && !path.starts_with("/api/") {
        return ui::page(&headers);
    }
    if path == "/" {
        return crate::write::elastic_version().await;
    }
    no_such_route().await
}

async fn no_such_route() -> Response {
    let error =
        json!({ "type": "MonitoringError", "code": "NOT_FOUND", "message": "there is no such route" });
    (StatusCode::NOT_FOUND, axum::Json(json!({ "error": error }))).into_response()
}
