//! Signing in with a one-time link, the session, signing out.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use crate::access::{self, Identity, SESSION_COOKIE, Who};
use crate::app::SharedApp;
use crate::error::ApiFault;

/// What the sign-in page sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    token: String,
}

/// Exchanges a link's token, once, for a session.
pub(crate) async fn redeem(
    State(app): State<SharedApp>,
    headers: HeaderMap,
    body: super::json::Body<Link>,
) -> Result<Response, ApiFault> {
    // Another site must not sign a visitor in as somebody else.
    access::refuse_other_sites(&app, &headers)?;
    let session = app.control()?.redeem_link(&body.0.token).await.map_err(|error| access::denied(&error))?;
    let event = json!({ "event": "signed_in", "user": session.user.name });
    app.hub().broadcast(&session.user.tenant, "session_event", &event, app.now_ms());
    let seconds = (session.expires_at - app.now_ms()) / 1000;
    let token = session.token.expose();
    let external = &app.settings().server.external_url;
    let secure = if external.starts_with("https://") { "; Secure" } else { "" };
    let cookie =
        format!("{SESSION_COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    let mut response = Json(json!({ "csrf": session.csrf.expose() })).into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie_value(&cookie));
    Ok(response)
}

/// Who is signed in.
pub(crate) async fn session(Extension(identity): Extension<Identity>) -> Response {
    let (name, role, csrf) = match &identity.who {
        Who::Session(session) => {
            (session.user.name.as_str(), session.user.role.as_str(), session.csrf.expose())
        }
        Who::Key(principal) => (principal.key_id.as_str(), "key", ""),
        Who::Anyone => ("anyone", "viewer", ""),
    };
    Json(json!({ "user": { "name": name, "role": role }, "tenant": identity.tenant.as_str(), "csrf": csrf }))
        .into_response()
}

/// Ends the session; the cookie is worth nothing afterwards.
pub(crate) async fn sign_out(State(app): State<SharedApp>, headers: HeaderMap) -> Result<Response, ApiFault> {
    access::refuse_other_sites(&app, &headers)?;
    if let Some(token) = access::session_cookie(&headers) {
        app.control()?.end_session(&token).await.map_err(|error| access::denied(&error))?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    response
        .headers_mut()
        .insert(header::SET_COOKIE, cookie_value(&format!("{SESSION_COOKIE}=; Path=/; Max-Age=0")));
    Ok(response)
}

fn cookie_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("tokens are URL-safe base64")
}
