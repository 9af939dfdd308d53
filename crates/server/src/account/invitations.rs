//! Joining a tenant with an invitation.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use control::audit::AuditResult;
use serde::Deserialize;
use serde_json::json;

use super::session;
use crate::app::SharedApp;
use crate::audited::{Visit, audited_visit};
use crate::error::ApiFault;
use crate::json::Body;
use crate::limits::Ask;
use crate::realtime::timestamp;
use crate::visitor::Visitor;

pub(super) fn routes() -> Router<SharedApp> {
    Router::new().route("/api/v1/auth/invitations/{token}", get(show).post(accept))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accept {
    name: String,
    password: String,
}

/// What the page says before it asks for a name and a password. Uses nothing up.
async fn show(
    State(app): State<SharedApp>,
    visitor: Visitor,
    Path(token): Path<String>,
) -> Result<Response, ApiFault> {
    visitor.count(&app, Ask::Invitation)?;
    let control = app.control()?;
    let invitation = control.invitation(&token).await?;
    let tenant = control.tenant(&invitation.tenant).await?;
    let answer = json!({
        "tenant": { "id": tenant.id.as_str(), "name": tenant.name },
        "email": invitation.email,
        "role": invitation.role,
        "expires_at": timestamp(invitation.expires_at),
    });
    Ok(Json(answer).into_response())
}

/// Makes the person and signs them in; works once.
async fn accept(
    State(app): State<SharedApp>,
    visitor: Visitor,
    Path(token): Path<String>,
    body: Body<Accept>,
) -> Result<Response, ApiFault> {
    visitor.count(&app, Ask::Invitation)?;
    let Accept { name, password } = body.0;
    let begun = app.control()?.accept_invitation(&token, &name, &password, visitor.client()).await?;
    let user = &begun.user;
    let visit = Visit {
        tenant: &user.tenant,
        actor: Some(session::actor(user)),
        action: "members:join",
        target: &user.email,
        result: AuditResult::Ok,
        detail: json!({ "role": user.role }),
    };
    audited_visit(&app, &visitor, visit);
    Ok(session::begun(&app, &visitor, &begun, "invitation"))
}
