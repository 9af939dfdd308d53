//! Who is to join a tenant.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use control::Invitation;
use serde::Deserialize;
use serde_json::{Value, json};

use super::fields::Paging;
use super::tenant_of;
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::ApiFault;
use crate::json::Body;
use crate::mail;
use crate::prom::params::Params;
use crate::realtime::timestamp;
use crate::visitor::Visitor;

pub(super) fn routes() -> Router<SharedApp> {
    Router::new()
        .route("/api/v1/tenants/{tenant}/invitations", get(list).post(create))
        .route("/api/v1/tenants/{tenant}/invitations/{id}", delete(revoke))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    email: String,
    role: String,
}

fn invitation_json(invitation: &Invitation) -> Value {
    json!({
        "id": invitation.id,
        "email": invitation.email,
        "role": invitation.role,
        "invited_by": invitation.invited_by,
        "created_at": timestamp(invitation.created_at),
        "expires_at": timestamp(invitation.expires_at),
    })
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    params: Params,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let paging = Paging::read(&params)?;
    let found = app.control()?.invitations(&tenant.id, paging.after(), paging.limit()).await?;
    Ok(paging.answer(&found, invitation_json, |invitation| &invitation.email))
}

/// Invites somebody, by mail where there is a mail server. The address that accepts is in this answer and in no
/// other.
async fn create(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    visitor: Visitor,
    Path(tenant): Path<String>,
    body: Body<New>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let New { email, role } = body.0;
    let (invitation, token) = app.control()?.invite(&tenant.id, &identity.principal, &email, &role).await?;
    let detail = json!({ "role": invitation.role });
    audited(&app, &identity, &tenant.id, "members:invite", &invitation.email, &detail);
    let mut answer = invitation_json(&invitation);
    let base = visitor.public_url(&app);
    let url = format!("{base}/invite/{}", token.expose());
    let is_mailed = mail::is_on(&app);
    if is_mailed {
        mail::invite(&app, &invitation, &tenant.name, &url);
    }
    answer["url"] = json!(url);
    answer["mailed"] = json!(is_mailed);
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn revoke(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    app.control()?.revoke_invitation(&tenant.id, &id).await?;
    audited(&app, &identity, &tenant.id, "members:uninvite", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}
