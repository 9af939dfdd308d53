//! People of a tenant.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use control::{Control, NewUser, User, UserState};
use model::TenantId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::fields::{Paging, moment};
use super::tenant_of;
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::prom::params::Params;
use crate::realtime::timestamp;
use crate::visitor::Visitor;

pub(super) fn routes() -> Router<SharedApp> {
    let base = "/api/v1/tenants/{tenant}/members";
    Router::new()
        .route(base, get(list).post(create))
        .route(&format!("{base}/{{id}}"), patch(change).delete(remove))
        .route(&format!("{base}/{{id}}/sign-in-link"), post(sign_in_link))
        .route(&format!("{base}/{{id}}/reset-second-factor"), post(reset_second_factor))
        .route(&format!("{base}/{{id}}/sessions"), delete(end_sessions))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    email: String,
    name: String,
    role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    role: Option<String>,
    state: Option<String>,
}

async fn member_json(control: &Control, user: &User) -> Result<Value, Fault> {
    let second_factor = control.second_factor(&user.tenant, &user.id).await?.is_some();
    let teams: Vec<String> =
        control.teams_of(&user.tenant, &user.id).await?.into_iter().map(|team| team.name).collect();
    Ok(json!({
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "state": user.state.as_str(),
        "second_factor": second_factor,
        "last_sign_in_at": moment(user.last_sign_in_at),
        "created_at": timestamp(user.created_at),
        "teams": teams,
    }))
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    params: Params,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let paging = Paging::read(&params)?;
    let control = app.control()?;
    let found = control.users(&tenant.id, paging.after(), paging.limit()).await?;
    let mut items = Vec::with_capacity(found.len());
    for user in &found {
        items.push(member_json(&control, user).await?);
    }
    Ok(paging.answer_of(items, found.last().map(|user| user.email.as_str())))
}

/// Adds somebody without an invitation: a sign-in link is then how they come in.
async fn create(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    body: Body<New>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let control = app.control()?;
    let new = NewUser { email: &body.0.email, name: &body.0.name, role: &body.0.role };
    let user = control.create_user(&tenant.id, &identity.principal, new).await?;
    audited(&app, &identity, &tenant.id, "members:create", &user.email, &json!({ "role": user.role }));
    Ok((StatusCode::CREATED, Json(member_json(&control, &user).await?)).into_response())
}

async fn change(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
    body: Body<Change>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let Change { name, role, state } = body.0;
    let unknown = |text: &str| {
        let shown: String = text.chars().take(40).collect();
        Fault::invalid("state", format!("{shown:?} is neither active nor disabled"))
    };
    let state = match state.as_deref() {
        Some(text) => Some(UserState::parse(text).ok_or_else(|| unknown(text))?),
        None => None,
    };
    let (control, by) = (app.control()?, &identity.principal);
    let mut user = control.user(&tenant.id, &id).await?;
    let id = user.id.clone();
    // What takes most comes first, so that a refusal leaves nothing half done but a name.
    if let Some(role) = &role {
        user = control.set_role(&tenant.id, by, &id, role).await?;
        app.tokens()?.forget_user(&id);
        audited(&app, &identity, &tenant.id, "members:role", &user.email, &json!({ "role": user.role }));
    }
    if let Some(state) = state {
        user = control.set_user_state(&tenant.id, by, &id, state).await?;
        app.tokens()?.forget_user(&id);
        let detail = json!({ "state": user.state.as_str() });
        audited(&app, &identity, &tenant.id, "members:state", &user.email, &detail);
    }
    if let Some(name) = &name {
        user = control.rename_user(&tenant.id, by, &id, name).await?;
        audited(&app, &identity, &tenant.id, "members:rename", &user.email, &json!({ "name": user.name }));
    }
    Ok(Json(member_json(&control, &user).await?).into_response())
}

async fn remove(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let control = app.control()?;
    let user = control.user(&tenant.id, &id).await?;
    control.delete_user(&tenant.id, &identity.principal, &user.id).await?;
    app.tokens()?.forget_user(&user.id);
    audited(&app, &identity, &tenant.id, "members:delete", &user.email, &json!({ "role": user.role }));
    Ok(StatusCode::NO_CONTENT)
}

/// Somebody whom the caller may act for: nobody becomes, or signs out, those who may do more.
async fn covered(control: &Control, identity: &Identity, tenant: &TenantId, id: &str) -> Result<User, Fault> {
    let user = control.user(tenant, id).await?;
    let theirs = control.principal(&user).await?;
    identity.principal.need_cover(theirs.permissions, theirs.selector.as_deref())?;
    Ok(user)
}

/// A link that signs somebody in once, within an hour: for whoever lost every other way.
async fn sign_in_link(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    visitor: Visitor,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let control = app.control()?;
    let user = control.user(&tenant.id, &id).await?;
    let link = control.give_sign_in_link(&tenant.id, &identity.principal, &user.id).await?;
    audited(&app, &identity, &tenant.id, "members:sign_in_link", &user.email, &Value::Null);
    let url = format!("{}/signin?token={}", app.public_url(visitor.headers()), link.token.expose());
    let answer = json!({ "url": url, "expires_at": timestamp(link.expires_at) });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn reset_second_factor(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let control = app.control()?;
    let user = control.user(&tenant.id, &id).await?;
    control.reset_second_factor(&tenant.id, &identity.principal, &user.id).await?;
    app.tokens()?.forget_user(&user.id);
    audited(&app, &identity, &tenant.id, "members:reset_second_factor", &user.email, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

async fn end_sessions(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let control = app.control()?;
    let user = covered(&control, &identity, &tenant.id, &id).await?;
    let ended = control.revoke_sessions(&tenant.id, &user.id, None).await?;
    app.tokens()?.forget_user(&user.id);
    audited(&app, &identity, &tenant.id, "members:end_sessions", &user.email, &json!({ "ended": ended }));
    Ok(StatusCode::NO_CONTENT)
}
