//! Who asks, for which tenant, and may they: the same decision for HTTP, gRPC and WebSocket.
//!
//! Three kinds of route. *Public* ones answer anyone. *Open* ones (ingest, the compatibility read APIs)
//! answer tenant `default` without a token while `auth.local = "open"`, which needs every listener on
//! loopback. *Protected* ones always need a key or a session.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use control::{ControlError, KeyScope, Remedy, Role};
use model::TenantId;

use crate::app::SharedApp;
use crate::error::Fault;

/// The cookie of a session. `HttpOnly`, `SameSite=Lax`, path `/`.
pub(crate) const SESSION_COOKIE: &str = "bellwether_session";
/// What a page sends with a change, to prove that it is our page.
const CSRF_HEADER: &str = "x-csrf-token";
/// Headers in which clients name a tenant. They may only agree with the credential.
const TENANT_HEADERS: [&str; 2] = ["x-scope-orgid", "x-tenant-id"];

/// Who asks and for which tenant.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) tenant: TenantId,
    pub(crate) who: Who,
}

impl Identity {
    /// True for keys and people who may change everything of their tenant.
    pub(crate) fn is_admin(&self) -> bool {
        match &self.who {
            Who::Anyone => false,
            Who::Key(key) => key.scopes.allow(KeyScope::Admin),
            Who::Session(session) => session.user.role >= Role::Admin,
        }
    }
}

/// How the caller proved who it is.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// Not at all: open access on loopback.
    Anyone,
    /// With an API key.
    Key(Arc<control::Principal>),
    /// With a session cookie.
    Session(Box<control::SessionPrincipal>),
}

/// Middleware of open routes that read, in Prometheus's words.
pub(crate) async fn reads(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    admit(&app, READ, request, next, Fault::prometheus).await
}

/// Middleware of open routes that read, in our own words. A question may come by POST.
pub(crate) async fn open_reads(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    admit(&app, READ, request, next, Fault::api).await
}

/// Middleware of Jaeger's API, in Jaeger's words.
pub(crate) async fn jaeger_reads(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    admit(&app, READ, request, next, crate::jaeger::refusal).await
}

/// Middleware of Tempo's API, in plain text as Tempo.
pub(crate) async fn tempo_reads(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    admit(&app, READ, request, next, Fault::text).await
}

/// Middleware of open routes that write, in our own words.
pub(crate) async fn writes(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    admit(&app, INGEST, request, next, Fault::api).await
}

/// Middleware of protected routes that store telemetry.
pub(crate) async fn protected_writes(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    admit(&app, Need { open: false, ..INGEST }, request, next, Fault::api).await
}

/// Middleware of what agents are told: what they collect, with its secrets, which a key that only reads must not see.
pub(crate) async fn protected_agents(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    admit(&app, Need { open: false, role: Role::Admin, ..INGEST }, request, next, Fault::api).await
}

/// Middleware of saved objects, which editors may change.
pub(crate) async fn protected_objects(
    State(app): State<SharedApp>,
    request: Request,
    next: Next,
) -> Response {
    let need = protected_need(request.method(), Role::Editor);
    admit(&app, need, request, next, Fault::api).await
}

/// Middleware of protected routes; changes are for administrators.
pub(crate) async fn protected(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    let need = protected_need(request.method(), Role::Admin);
    admit(&app, need, request, next, Fault::api).await
}

fn protected_need(method: &Method, changes: Role) -> Need {
    let (scope, role) =
        if method.is_safe() { (KeyScope::Query, Role::Viewer) } else { (KeyScope::Admin, changes) };
    Need { open: false, scope, role }
}

async fn admit(
    app: &SharedApp,
    need: Need,
    mut request: Request,
    next: Next,
    refuse: fn(&Fault) -> Response,
) -> Response {
    match decide(app, request.method(), request.headers(), need).await {
        Ok(identity) => {
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Err(fault) => refuse(&fault),
    }
}

/// For handlers that answer in a protocol of their own.
pub(crate) async fn of_ingest(
    app: &SharedApp,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Identity, Fault> {
    decide(app, method, headers, INGEST).await
}

/// What a route asks of its caller: a key with the scope or a session with the role.
#[derive(Clone, Copy)]
struct Need {
    /// Nothing is asked while access is open.
    open: bool,
    scope: KeyScope,
    role: Role,
}

const READ: Need = Need { open: true, scope: KeyScope::Query, role: Role::Viewer };
const INGEST: Need = Need { open: true, scope: KeyScope::Ingest, role: Role::Editor };

async fn decide(
    app: &SharedApp,
    method: &Method,
    headers: &HeaderMap,
    need: Need,
) -> Result<Identity, Fault> {
    refuse_strangers(app, headers)?;
    let (open, scope) = (need.open && app.is_open(), need.scope);
    let identity = match credential(headers) {
        Some(Credential::Key(key)) => {
            let principal = app.control()?.authenticate_key(&key).await.map_err(|error| denied(&error))?;
            if !principal.scopes.allow(scope) {
                return Err(Fault::Forbidden(format!("the key lacks the scope {}", scope.as_str())));
            }
            Identity { tenant: principal.tenant.clone(), who: Who::Key(principal) }
        }
        Some(Credential::Session(token)) => match app.control()?.authenticate_session(&token).await {
            Ok(session) => {
                check_csrf(method, headers, &session)?;
                if session.user.role < need.role {
                    let (has, role) = (session.user.role.as_str(), need.role.as_str());
                    return Err(Fault::Forbidden(format!("the role {has} may not do this: ask for {role}")));
                }
                Identity { tenant: session.user.tenant.clone(), who: Who::Session(Box::new(session)) }
            }
            // An old cookie on an open route is no reason to refuse what needs none.
            Err(_) if open => anyone(),
            Err(error) => return Err(denied(&error)),
        },
        None if open => anyone(),
        None => return Err(Fault::Unauthorized),
    };
    for name in TENANT_HEADERS {
        if headers.get_all(name).iter().any(|named| named.as_bytes() != identity.tenant.as_str().as_bytes()) {
            return Err(Fault::Forbidden(format!(
                "{name} names a tenant that the credential does not belong to"
            )));
        }
    }
    Ok(identity)
}

fn anyone() -> Identity {
    Identity { tenant: TenantId::default_tenant(), who: Who::Anyone }
}

/// What an error of the control plane means to the caller.
pub(crate) fn denied(error: &ControlError) -> Fault {
    match (error, error.remedy()) {
        (ControlError::Invalid { field, message }, _) => Fault::invalid(field, message.clone()),
        (ControlError::NotFound { .. }, _) => Fault::NotFound(error.to_string()),
        (_, Remedy::Authenticate) => Fault::Unauthorized,
        (_, Remedy::FixRequest) => Fault::invalid("", error.to_string()),
        (_, Remedy::RetryLater) => Fault::Unavailable("the control database is busy: try again".into()),
        (_, Remedy::FixConfig | Remedy::CallOperator) => {
            tracing::error!(%error, "the control database failed");
            Fault::Internal("the control database failed; the log has the reason".into())
        }
    }
}

enum Credential {
    Key(String),
    Session(String),
}

/// A bearer token, `ApiKey`, the password of basic authentication, or the session cookie, in this order.
fn credential(headers: &HeaderMap) -> Option<Credential> {
    if let Some(value) = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()) {
        let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
        let rest = rest.trim();
        let key = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => rest.to_owned(),
            // Elasticsearch's clients encode `id:key`; a key as it is has a `_`, which that encoding has not.
            "apikey" => second_of_pair(rest).unwrap_or_else(|| rest.to_owned()),
            "basic" => second_of_pair(rest).unwrap_or_default(),
            // A scheme we do not know proves nothing, and must not count as no credential.
            _ => String::new(),
        };
        return Some(Credential::Key(key));
    }
    session_cookie(headers).map(Credential::Session)
}

/// What stands behind the colon of `BASE64(name:secret)`.
fn second_of_pair(encoded: &str) -> Option<String> {
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    pair.split_once(':').map(|(_, secret)| secret.to_owned())
}

/// The session token that a cookie carries.
pub(crate) fn session_cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == SESSION_COOKIE).map(|(_, value)| value.to_owned())
}

/// A change made with a cookie must come from our own page.
fn check_csrf(
    method: &Method,
    headers: &HeaderMap,
    session: &control::SessionPrincipal,
) -> Result<(), Fault> {
    if method.is_safe() {
        return Ok(());
    }
    let given = headers.get(CSRF_HEADER).and_then(|v| v.to_str().ok()).unwrap_or("");
    if session.csrf.matches(given) {
        Ok(())
    } else {
        Err(Fault::Forbidden(format!("{CSRF_HEADER} is missing or wrong: reload the page")))
    }
}

/// A page of another site must not reach us through a visitor's browser: while access is open, neither by a
/// name of its own that resolves to loopback (`Host`) nor by a request it makes itself (`Origin`); and never
/// with the visitor's cookie, which a browser also sends when a page opens a WebSocket.
fn refuse_strangers(app: &SharedApp, headers: &HeaderMap) -> Result<(), Fault> {
    if app.is_open() {
        let host = authority(headers, header::HOST)?;
        if !host.is_empty() && !is_loopback_name(host) && !is_allowed_name(app, host) {
            return Err(Fault::Forbidden(format!(
                "Host {host:?} is not this machine: with auth.local = \"open\" use localhost, name it in \
                 server.allowed_hosts, or set auth.local = \"required\""
            )));
        }
    } else if session_cookie(headers).is_none() {
        return Ok(());
    }
    refuse_other_sites(app, headers)
}

/// Refuses what a page of another site asks a browser to do. Requests without `Origin` are no page's, or one
/// that browsers keep from carrying cookies.
pub(crate) fn refuse_other_sites(app: &SharedApp, headers: &HeaderMap) -> Result<(), Fault> {
    let origin = authority(headers, header::ORIGIN)?;
    if origin.is_empty() {
        return Ok(());
    }
    let host = authority(headers, header::HOST)?;
    let same = origin.split_once("://").is_some_and(|(_, name)| {
        name.eq_ignore_ascii_case(host)
            || is_allowed_name(app, name)
            || is_loopback_name(name) && (app.is_open() || is_loopback_name(host))
    });
    if same {
        return Ok(());
    }
    Err(Fault::Forbidden(format!(
        "Origin {origin:?} is another site: if people reach the server by that name, set server.external_url"
    )))
}

/// A header that names who is talked to; empty without it. One that is no text names nobody we know.
fn authority(headers: &HeaderMap, name: header::HeaderName) -> Result<&str, Fault> {
    let Some(value) = headers.get(&name) else { return Ok("") };
    value.to_str().map_err(|_| Fault::Forbidden(format!("{name} is not plain text")))
}

/// One of `server.allowed_hosts`, with or without a port, or the name in `server.external_url`.
fn is_allowed_name(app: &SharedApp, authority: &str) -> bool {
    let settings = app.settings();
    let is =
        |name: &str| name.eq_ignore_ascii_case(authority) || name.eq_ignore_ascii_case(host_of(authority));
    let external = settings.server.external_url.split_once("://").map_or("", |(_, rest)| rest);
    let external = external.split('/').next().unwrap_or("");
    settings.server.allowed_hosts.iter().any(|name| is(name)) || !external.is_empty() && is(external)
}

/// The name or address without the port.
fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => authority.rsplit_once(':').map_or(authority, |(name, _)| name),
    }
}

/// `localhost`, `*.localhost` or a loopback address, with or without a port.
fn is_loopback_name(authority: &str) -> bool {
    let name = host_of(authority).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_told_from_others() {
        for (authority, want) in [
            ("localhost", true),
            ("localhost:4300", true),
            ("app.localhost:1", true),
            ("LOCALHOST", true),
            ("127.0.0.1:4300", true),
            ("[::1]:4300", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:80", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(is_loopback_name(authority), want, "{authority}");
        }
    }

    #[test]
    fn keys_come_as_bearer_api_key_or_basic_password() {
        let key = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            match credential(&headers) {
                Some(Credential::Key(key)) => key,
                _ => panic!("no key"),
            }
        };
        assert_eq!(key("Bearer abc"), "abc");
        assert_eq!(key("ApiKey abc"), "abc");
        assert_eq!(key("ApiKey bw_abcd"), "bw_abcd");
        assert_eq!(key(&format!("ApiKey {}", STANDARD.encode("id:bw_abcd"))), "bw_abcd");
        assert_eq!(key(&format!("Basic {}", STANDARD.encode("x:a:b"))), "a:b");
        assert_eq!(key("Digest abc"), "");
    }
}
