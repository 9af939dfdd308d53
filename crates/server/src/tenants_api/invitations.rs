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

/// Invites somebody. The address to be sent to them is in this answer and in no other.
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
    let base = app.public_url(visitor.headers());
    answer["url"] = json!(format!("{base}/invite/{}", token.expose()));
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn revoke(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    app.control()?.revoke_invitation(&tenant.id, &identity.principal, &id).await?;
    audited(&app, &identity, &tenant.id, "members:uninvite", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}
