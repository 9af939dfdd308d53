//! Every route, by who may ask. Two routers that claim one path make [`router`] panic, which a test runs.

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{DefaultBodyLimit, MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use control::Permission;
use model::TenantId;
use serde_json::json;
use tower_http::compression::CompressionLayer;
use tracing::Instrument;

use crate::app::SharedApp;
use crate::audit::Requested;
use crate::chain::{Need, Note};
use crate::error::Fault;
use crate::openapi::{Routes, Words};
use crate::security::Sign;
use crate::telemetry::method_label;
use crate::write::otlp::{self, Export};
use crate::{
    account, alertmanager, audit, checks, headers, health, jaeger, monitoring, objects, own, prom, realtime,
    response, rows_api, services, sql, tempo, tenants_api, traces_api, ui, write,
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
    health::public_routes()
        .merge(monitoring::public_routes())
        .merge(account::public_routes())
        .merge(checks::public_routes())
        .merge(response::public_routes())
        .merge(alertmanager::public_routes())
}

/// These pass the chain themselves, to refuse in their own protocol.
fn intakes() -> Routes {
    prom::intakes().merge(write::intakes())
}

/// Routes behind the chain: what they need, in which words they refuse.
fn gated() -> Vec<(Need, Words, Routes)> {
    let reads = Need::open(Permission::TelemetryRead);
    let looks =
        realtime::routes().merge(monitoring::routes()).merge(rows_api::routes()).merge(traces_api::routes());
    let operations = services::routes().merge(health::operator_routes());
    let protected_writes = monitoring::collect_routes().merge(write::protected_routes());
    let saved = objects::routes()
        .merge(rows_api::editor_routes())
        .merge(response::object_routes())
        .merge(checks::routes());
    let deletes = Need::always(Permission::DataDelete);
    let responds = Need::protected(Permission::TelemetryRead, Permission::AlertsRespond);
    vec![
        (reads, Words::Prometheus, prom::routes().merge(health::metrics_routes())),
        (reads, Words::Text, prom::remote_read_routes()),
        (reads, Words::Api, sql::routes()),
        (reads, Words::Jaeger, jaeger::routes()),
        (reads, Words::Gateway, jaeger::v3_routes()),
        (reads, Words::Text, tempo::routes()),
        (reads, Words::Alertmanager, alertmanager::read_routes()),
        (Need::INGEST, Words::Alertmanager, alertmanager::intake_routes()),
        (responds, Words::Alertmanager, alertmanager::change_routes()),
        (Need::INGEST, Words::Api, write::routes()),
        (Need::always(Permission::TelemetryRead), Words::Api, looks),
        (Need::OPERATE, Words::Api, operations),
        (deletes, Words::Api, rows_api::admin_routes()),
        (deletes, Words::Prometheus, prom::admin_routes()),
        (Need::always(Permission::TelemetryWrite), Words::Api, protected_writes),
        (Need::protected(Permission::ObjectsRead, Permission::ObjectsWrite), Words::Api, saved),
        (
            Need::always(Permission::TelemetryWrite),
            Words::Api,
            objects::agent_routes().merge(response::agent_routes()),
        ),
        (responds, Words::Api, response::responder_routes()),
    ]
}

/// Port 4318.
pub(crate) fn otlp_http(app: &SharedApp) -> Router {
    finish(otlp::routes().undescribed().fallback(no_such_route), app)
}

/// Port 4317.
pub(crate) fn otlp_grpc(app: &SharedApp) -> Router {
    finish(otlp_over_grpc(app).fallback(write::unknown_method), app)
}

fn otlp_over_grpc(app: &SharedApp) -> Router<SharedApp> {
    Export::ALL.into_iter().fold(Router::new(), |router, export| {
        router.route_service(export.grpc_path(), write::grpc_service(app.clone(), export))
    })
}

fn finish(router: Router<SharedApp>, app: &SharedApp) -> Router {
    router
        // Every handler bounds its own body, by the live setting.
        .layer(DefaultBodyLimit::disable())
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(app.clone(), observe))
        .layer(middleware::from_fn_with_state(app.clone(), headers::cross_origin))
        .layer(middleware::from_fn_with_state(app.clone(), headers::harden))
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
    let address = crate::visitor::address_of(request.extensions());
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
    if let Some(sign) = Sign::of_answer(response.status().as_u16(), note.get()) {
        let tenant = note.get().map_or_else(TenantId::default_tenant, |noted| noted.tenant.clone());
        let person =
            note.get().and_then(|noted| noted.principal.as_deref()).map_or("", |found| &found.who.id);
        app.security().note(&app, sign, &tenant, person, &address);
    }
    if let Some(noted) = note.get() {
        // What the path names is what it was done to, but for a key that stands in it.
        let named = params.iter().flatten().filter(|(name, _)| *name != write::KEY_IN_PATH);
        let target: Vec<&str> = named.map(|(_, value)| value).collect();
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
        return write::elastic_version().await;
    }
    no_such_route().await
}

async fn no_such_route() -> Response {
    let error =
        json!({ "type": "MonitoringError", "code": "NOT_FOUND", "message": "there is no such route" });
    (StatusCode::NOT_FOUND, axum::Json(json!({ "error": error }))).into_response()
}
