//! Joining a tenant with an invitation.

use axum::Json;
use axum::extract::State;
use control::audit::AuditResult;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::session::{self, Begun, BegunSession};
use crate::app::SharedApp;
use crate::audited::{Visit, audited_visit};
use crate::error::ApiFault;
use crate::json::Body;
use crate::limits::Ask;
use crate::moment::Moment;
use crate::named::Named;
use crate::openapi::{Op, Routes};
use crate::visitor::Visitor;

pub(super) fn routes() -> Routes {
    let path = "/api/v1/auth/invitations/{token}";
    Routes::new("Sign-in")
        .get(
            path,
            show,
            Op::new("getOwnInvitation", "To what a token invites; uses nothing up")
                .gives::<InvitationShown>()
                .refuses(&[403]),
        )
        .post(
            path,
            accept,
            Op::new("acceptInvitation", "Makes the person and signs them in; works once")
                .takes::<InvitationAcceptance>()
                .gives::<BegunSession>()
                .refuses(&[403, 409]),
        )
}

/// How whoever was invited wants to sign in from now on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InvitationAcceptance {
    name: String,
    password: String,
}

/// What the page says before it asks for a name and a password.
#[derive(Serialize, JsonSchema)]
struct InvitationShown {
    tenant: InvitingTenant,
    email: String,
    role: String,
    expires_at: Moment,
}

/// Who invites.
#[derive(Serialize, JsonSchema)]
struct InvitingTenant {
    id: String,
    name: String,
}

/// What the page says before it asks for a name and a password. Uses nothing up.
async fn show(
    State(app): State<SharedApp>,
    visitor: Visitor,
    Named(token): Named<String>,
) -> Result<Json<InvitationShown>, ApiFault> {
    visitor.count(&app, Ask::Invitation)?;
    let control = app.control()?;
    let invitation = control.invitation(&token).await?;
    let tenant = control.tenant(&invitation.tenant).await?;
    Ok(Json(InvitationShown {
        tenant: InvitingTenant { id: tenant.id.to_string(), name: tenant.name.clone() },
        email: invitation.email,
        role: invitation.role,
        expires_at: Moment(invitation.expires_at),
    }))
}

/// Makes the person and signs them in; works once.
async fn accept(
    State(app): State<SharedApp>,
    visitor: Visitor,
    Named(token): Named<String>,
    body: Body<InvitationAcceptance>,
) -> Result<Begun, ApiFault> {
    visitor.count(&app, Ask::Invitation)?;
    let InvitationAcceptance { name, password } = body.0;
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
