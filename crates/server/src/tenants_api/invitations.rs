//! Who is to join a tenant.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fields::Paging;
use super::scope::InTenant;
use crate::error::ApiFault;
use crate::json::Body;
use crate::mail;
use crate::moment::Moment;
use crate::openapi::{Op, Page, Routes};
use crate::prom::params::Params;
use crate::visitor::Visitor;

pub(super) fn routes() -> Routes {
    let base = "/api/v1/tenants/{tenant}/invitations";
    Routes::new("Members")
        .get(
            base,
            list,
            Op::new("listInvitations", "Who was invited and has not come yet, by address")
                .gives_page::<Invitation>(),
        )
        .post(
            base,
            create,
            Op::new("createInvitation", "Invites somebody")
                .takes::<NewInvitation>()
                .creates::<IssuedInvitation>()
                .refuses(&[409]),
        )
        .delete(
            &format!("{base}/{{id}}"),
            revoke,
            Op::new("revokeInvitation", "Takes an invitation back").gives_nothing(204),
        )
}

/// Who is to join, as what.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewInvitation {
    email: String,
    /// The name of a role.
    role: String,
}

/// An invitation that waits to be accepted.
#[derive(Serialize, JsonSchema)]
struct Invitation {
    id: String,
    email: String,
    role: String,
    /// As the audit log names them.
    invited_by: String,
    created_at: Moment,
    expires_at: Moment,
}

impl From<control::Invitation> for Invitation {
    fn from(invitation: control::Invitation) -> Self {
        Self {
            id: invitation.id,
            email: invitation.email,
            role: invitation.role,
            invited_by: invitation.invited_by,
            created_at: Moment(invitation.created_at),
            expires_at: Moment(invitation.expires_at),
        }
    }
}

/// An invitation with the address to be sent to whom it is for.
#[derive(Serialize, JsonSchema)]
struct IssuedInvitation {
    #[serde(flatten)]
    about: Invitation,
    /// Works once, and is in this answer alone.
    url: String,
    /// Whether it was handed to a mail server, too.
    mailed: bool,
}

async fn list(scope: InTenant, params: Params) -> Result<Json<Page<Invitation>>, ApiFault> {
    let paging = Paging::read(&params)?;
    let found = scope.control.invitations(scope.id(), paging.after(), paging.limit()).await?;
    Ok(paging.page(found, |invitation| invitation.email.clone()))
}

/// Invites somebody, by mail where there is a mail server. The address that accepts is in this answer and in no
/// other.
async fn create(
    scope: InTenant,
    visitor: Visitor,
    body: Body<NewInvitation>,
) -> Result<(StatusCode, Json<IssuedInvitation>), ApiFault> {
    let NewInvitation { email, role } = body.0;
    let (invitation, token) = scope.control.invite(scope.id(), scope.by(), &email, &role).await?;
    scope.audited("members:invite", &invitation.email, &json!({ "role": invitation.role }));
    let base = visitor.public_url(&scope.app);
    let url = format!("{base}/invite/{}", token.expose());
    let mailed = mail::is_on(&scope.app);
    if mailed {
        mail::invite(&scope.app, &invitation, &scope.tenant.name, &url);
    }
    Ok((StatusCode::CREATED, Json(IssuedInvitation { about: invitation.into(), url, mailed })))
}

async fn revoke(scope: InTenant, Path((_, id)): Path<(String, String)>) -> Result<StatusCode, ApiFault> {
    scope.control.revoke_invitation(scope.id(), scope.by(), &id).await?;
    scope.audited("members:uninvite", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}
