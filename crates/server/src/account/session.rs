//! The session's cookie, set and taken away.

use axum::http::{HeaderName, HeaderValue, header};
use control::audit::AuditResult;
use control::{Actor, ActorKind, Session, User};
use model::TenantId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::access::{SECURE_SESSION_COOKIE, SESSION_COOKIE};
use crate::app::SharedApp;
use crate::audited::{Visit, audited_visit};
use crate::json::Unkept;
use crate::visitor::Visitor;

/// A session that has begun; the cookie is beside it.
#[derive(Serialize, JsonSchema)]
pub(super) struct BegunSession {
    /// What changes carry in `X-CSRF-Token`.
    csrf: String,
}

/// The answer that begins a session.
pub(super) type Begun = ([(HeaderName, HeaderValue); 1], Unkept<BegunSession>);

/// A session has begun: writes it down and answers with its cookie and the token that changes need.
pub(super) fn begun(app: &SharedApp, visitor: &Visitor, session: &Session, method: &str) -> Begun {
    announce(app, visitor, session, method);
    let csrf = session.csrf.expose().to_owned();
    ([(header::SET_COOKIE, cookie(app, visitor, session))], Unkept(BegunSession { csrf }))
}

/// Tells the audit log and open pages that somebody signed in.
pub(super) fn announce(app: &SharedApp, visitor: &Visitor, session: &Session, method: &str) {
    let user = &session.user;
    let visit = Visit {
        tenant: &user.tenant,
        actor: Some(actor(user)),
        action: "session:begin",
        target: &user.email,
        result: AuditResult::Ok,
        detail: json!({ "method": method }),
    };
    audited_visit(app, visitor, visit);
    tell_pages(app, "signed_in", &user.tenant, &user.name);
}

/// Tells open pages about a session.
pub(super) fn tell_pages(app: &SharedApp, event: &str, tenant: &TenantId, name: &str) {
    let event = json!({ "event": event, "user": name });
    app.hub().broadcast(tenant, "session_event", &event, app.now_ms());
}

/// A person as the audit log names them.
pub(super) fn actor(user: &User) -> Actor {
    Actor { kind: ActorKind::User, id: user.id.clone(), name: user.email.clone() }
}

/// `HttpOnly`, `SameSite=Lax`, for the whole site, as long as the session.
pub(super) fn cookie(app: &SharedApp, visitor: &Visitor, session: &Session) -> HeaderValue {
    let seconds = (session.expires_at - app.now_ms()) / 1000;
    let (name, secure) =
        if visitor.is_secure(app) { (SECURE_SESSION_COOKIE, "; Secure") } else { (SESSION_COOKIE, "") };
    let token = session.token.expose();
    value(&format!("{name}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}"))
}

/// Makes a browser forget the cookie, under either name.
pub(super) fn no_cookies() -> [HeaderValue; 2] {
    [
        value(&format!("{SESSION_COOKIE}=; Path=/; Max-Age=0")),
        value(&format!("{SECURE_SESSION_COOKIE}=; Path=/; Max-Age=0; Secure")),
    ]
}

/// A cookie line.
pub(super) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("tokens are URL-safe base64")
}
