//! One's own account: who is signed in, the name, the password, sessions and tokens.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use control::{SessionInfo, TokenFamily};
use serde::Deserialize;
use serde_json::{Value, json};

use super::person;
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::{Identity, Who};
use crate::error::ApiFault;
use crate::json::Body;
use crate::realtime::timestamp;

/// Why tokens end whose owner ends them.
const BY_OWNER: &str = "ended by its owner";

pub(super) fn routes() -> Router<SharedApp> {
    Router::new()
        .route("/api/v1/auth/session", get(session))
        .route("/api/v1/auth/profile", put(rename))
        .route("/api/v1/auth/password", post(change_password))
        .route("/api/v1/auth/sessions", get(sessions).delete(end_other_sessions))
        .route("/api/v1/auth/sessions/{id}", delete(end_session))
        .route("/api/v1/auth/tokens", get(families))
        .route("/api/v1/auth/tokens/{id}", delete(end_family))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// Theirs now; whoever has none yet, since they sign in by other ways, leaves it out.
    current: Option<String>,
    new: String,
}

/// The session that asks, where it is one.
fn session_id(identity: &Identity) -> Option<&str> {
    match &identity.who {
        Who::Session(session) => Some(&session.id),
        Who::Anyone | Who::Key | Who::Token(_) => None,
    }
}

/// Who is signed in, and what they may do.
async fn session(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, ApiFault> {
    let control = app.control()?;
    let principal = &identity.principal;
    let who = &principal.who;
    let tenant = control.tenant(&identity.tenant).await?;
    let (user, second_factor) = match person(&identity) {
        Ok(id) => {
            let second_factor = control.second_factor(&identity.tenant, id).await?.is_some();
            (Some(control.user(&identity.tenant, id).await?), second_factor)
        }
        Err(_) => (None, false),
    };
    let (csrf, method) = match &identity.who {
        Who::Session(session) => {
            let all = control.sessions(&identity.tenant, &who.id).await?;
            let own = all.iter().find(|info| info.id == session.id);
            (session.csrf.expose(), own.map_or("", |info| info.method.as_str()))
        }
        Who::Key => ("", "key"),
        Who::Token(_) => ("", "token"),
        Who::Anyone => ("", ""),
    };
    let answer = json!({
        "user": {
            "id": who.id,
            "name": user.as_ref().map_or(who.name.as_str(), |user| user.name.as_str()),
            "email": user.as_ref().map_or("", |user| user.email.as_str()),
            "role": user.as_ref().map_or("", |user| user.role.as_str()),
            "kind": who.kind.as_str(),
        },
        "tenant": { "id": tenant.id.as_str(), "name": tenant.name, "state": tenant.state.as_str() },
        "permissions": principal.permissions.names(),
        "selector": principal.selector,
        "csrf": csrf,
        "second_factor": second_factor,
        "method": method,
    });
    Ok(Json(answer).into_response())
}

async fn rename(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<Profile>,
) -> Result<Response, ApiFault> {
    let id = person(&identity)?;
    let control = app.control()?;
    let user = control.rename_user(&identity.tenant, &identity.principal, id, &body.0.name).await?;
    audited(&app, &identity, &identity.tenant, "profile:update", id, &json!({ "name": user.name }));
    let answer = json!({
        "id": user.id, "name": user.name, "email": user.email, "role": user.role
    });
    Ok(Json(answer).into_response())
}

/// Changes the password; every other session and every token ends.
async fn change_password(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<NewPassword>,
) -> Result<StatusCode, ApiFault> {
    let id = person(&identity)?;
    let NewPassword { current, new } = body.0;
    let control = app.control()?;
    let kept = session_id(&identity);
    control.change_password(&identity.tenant, id, current.as_deref(), &new, kept).await?;
    app.tokens()?.forget_user(id);
    audited(&app, &identity, &identity.tenant, "password:change", id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

async fn sessions(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, ApiFault> {
    let current = session_id(&identity);
    let all = app.control()?.sessions(&identity.tenant, person(&identity)?).await?;
    let items: Vec<Value> = all.iter().map(|info| session_json(info, current)).collect();
    Ok(Json(json!({ "items": items, "next": null })).into_response())
}

fn session_json(info: &SessionInfo, current: Option<&str>) -> Value {
    json!({
        "id": info.id,
        "current": current == Some(info.id.as_str()),
        "method": info.method.as_str(),
        "user_agent": info.user_agent,
        "address": info.address,
        "created_at": timestamp(info.created_at),
        "last_seen_at": timestamp(info.last_seen_at),
        "expires_at": timestamp(info.expires_at),
    })
}

async fn end_session(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFault> {
    app.control()?.revoke_session(&identity.tenant, person(&identity)?, &id).await?;
    audited(&app, &identity, &identity.tenant, "session:revoke", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

async fn end_other_sessions(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<StatusCode, ApiFault> {
    let (id, kept) = (person(&identity)?, session_id(&identity));
    let ended = app.control()?.revoke_sessions(&identity.tenant, id, kept).await?;
    audited(&app, &identity, &identity.tenant, "session:revoke", id, &json!({ "ended": ended }));
    Ok(StatusCode::NO_CONTENT)
}

async fn families(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, ApiFault> {
    let all = app.tokens()?.families(&identity.tenant, person(&identity)?).await?;
    let current = match &identity.who {
        Who::Token(token) => Some(token.family.as_str()),
        Who::Anyone | Who::Key | Who::Session(_) => None,
    };
    let items: Vec<Value> = all.iter().map(|family| family_json(family, current)).collect();
    Ok(Json(json!({ "items": items, "next": null })).into_response())
}

/// Of the user agent only a hash is kept, so there is nothing to show.
fn family_json(family: &TokenFamily, current: Option<&str>) -> Value {
    json!({
        "id": family.id,
        "current": current == Some(family.id.as_str()),
        "created_at": timestamp(family.created_at),
        "last_used_at": timestamp(family.last_used_at),
        "expires_at": timestamp(family.expires_at),
        "address": family.address,
        "user_agent": "",
    })
}

async fn end_family(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFault> {
    app.tokens()?.revoke_own_family(&identity.tenant, person(&identity)?, &id, BY_OWNER).await?;
    audited(&app, &identity, &identity.tenant, "token:revoke", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}
