//! Headers that every answer carries, and which pages of other sites may send us something.
//!
//! Pages of other sites are answered only on [`FOR_PAGES`], only when `cors.origins` names them, and never with
//! the cookies of whoever looks at them: a page shows a key, as every other sender does.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access;
use crate::app::SharedApp;
use crate::error::Fault;
use crate::listen::OverTls;
use crate::visitor;

/// What an answer that is no page of ours may load when somebody opens it as one: nothing.
const NO_PAGE: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

/// What our pages may load: only what this server serves. They hold no script and no style in line.
pub(crate) const OF_PAGES: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; \
    object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What pages never need.
const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
    magnetometer=(), microphone=(), midi=(), payment=(), usb=()";

/// A year.
const HSTS: &str = "max-age=31536000";

const ALWAYS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS),
];

/// Unless the handler said otherwise: answers hold data, which no cache may keep.
const UNLESS_SAID: [(HeaderName, &str); 2] =
    [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_SECURITY_POLICY, NO_PAGE)];

/// Settles from where the caller comes and who it talks to, for everything behind, and adds what every answer
/// carries.
pub(crate) async fn harden(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let settled = access::settle_host(&parts.uri, &mut parts.headers);
    visitor::settle_address(&app, &mut parts.extensions, &parts.headers);
    let request = Request::from_parts(parts, body);
    let over_tls = request.extensions().get::<OverTls>().is_some() || app.is_https();
    // A browser that learned it for `localhost` would refuse every other program there.
    let is_strict = over_tls && !access::is_for_loopback(request.headers());
    let mut response = match settled {
        Ok(()) => next.run(request).await,
        Err(fault) => fault.api(),
    };
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in UNLESS_SAID {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if is_strict {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    response
}

/// Where pages of other sites may send to: telemetry of browsers.
const FOR_PAGES: [&str; 6] = [
    "/v1/traces",
    "/v1/metrics",
    "/v1/logs",
    "/api/v1/otlp/v1/metrics",
    "/api/v1/monitoring/events",
    "/api/v1/monitoring/logs",
];

/// Headers that such a page may send.
const ASKED_HEADERS: &str =
    "authorization, content-type, content-encoding, traceparent, tracestate, x-scope-orgid, x-tenant-id";
/// Headers that it may read.
const TOLD_HEADERS: &str = "retry-after, traceparent";
/// How long a browser remembers what it was allowed, seconds.
const PREFLIGHT_SECONDS: u32 = 7200;

/// In the extensions of a request from a page of a site that `cors.origins` names. Its cookies are gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AllowedOrigin;

/// Answers what a browser asks before a page of another site may send, and lets named sites send.
pub(crate) async fn cross_origin(State(app): State<SharedApp>, mut request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let Some(origin) = origin.filter(|_| FOR_PAGES.contains(&request.uri().path())) else {
        return next.run(request).await;
    };
    let settings = app.settings();
    let is_named =
        settings.cors.origins.iter().any(|named| named.as_bytes().eq_ignore_ascii_case(origin.as_bytes()));
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (is_named, is_preflight) {
        (true, true) => preflight(),
        (false, true) => Fault::Forbidden("this origin is not named in cors.origins".to_owned()).api(),
        (true, false) => {
            request.headers_mut().remove(header::COOKIE);
            request.extensions_mut().insert(AllowedOrigin);
            next.run(request).await
        }
        (false, false) => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if is_named {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(TOLD_HEADERS));
    }
    response
}

fn preflight() -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ASKED_HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(PREFLIGHT_SECONDS));
    (StatusCode::NO_CONTENT, headers).into_response()
}
