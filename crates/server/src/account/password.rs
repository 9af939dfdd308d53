//! A new password for whoever forgot theirs.

use axum::extract::State;
use axum::http::StatusCode;
use control::audit::AuditResult;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::session;
use crate::app::SharedApp;
use crate::audited::{Visit, audited_visit, trail};
use crate::error::ApiFault;
use crate::json::Body;
use crate::limits::Ask;
use crate::mail;
use crate::openapi::{Op, Routes};
use crate::visitor::Visitor;

pub(super) fn routes() -> Routes {
    Routes::new("Sign-in")
        .post(
            "/api/v1/auth/password/forgot",
            forgot,
            Op::new(
                "forgotPassword",
                "Asks for a way to set a new password; every address is answered alike",
            )
            .takes::<ForgottenPassword>()
            .gives_nothing(202)
            .refuses(&[403]),
        )
        .post(
            "/api/v1/auth/password/reset",
            reset,
            Op::new("resetPassword", "Sets a new password with a token; sessions and tokens of before end")
                .takes::<PasswordReset>()
                .gives_nothing(204)
                .refuses(&[403, 404]),
        )
}

/// Who forgot their password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ForgottenPassword {
    email: String,
    /// The identifier of a tenant; without it, the one that the host names.
    tenant: Option<String>,
}

/// A token that was given out, and the password to be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PasswordReset {
    token: String,
    password: String,
}

/// Asks for a link to set a new password; every address is answered alike, and as fast. Without a mail server no
/// link is made: the request is in the audit log, and an administrator gives the person a sign-in link.
async fn forgot(
    State(app): State<SharedApp>,
    visitor: Visitor,
    body: Body<ForgottenPassword>,
) -> Result<StatusCode, ApiFault> {
    visitor.count(&app, Ask::Forgot)?;
    let named = visitor.tenant(&app, body.0.tenant.as_deref())?;
    let tenant = trail(&app, named.as_ref()).await;
    let is_mailed = mail::is_on(&app);
    if is_mailed {
        mail::forgot(&app, named, &body.0.email);
    }
    let visit = Visit {
        tenant: &tenant,
        actor: None,
        action: "password:forgot",
        target: &body.0.email,
        result: AuditResult::Ok,
        detail: json!({ "mailed": is_mailed }),
    };
    audited_visit(&app, &visitor, visit);
    Ok(StatusCode::ACCEPTED)
}

/// Sets a new password with a token that was mailed; sessions and tokens of before end.
async fn reset(
    State(app): State<SharedApp>,
    visitor: Visitor,
    body: Body<PasswordReset>,
) -> Result<StatusCode, ApiFault> {
    visitor.count(&app, Ask::Forgot)?;
    let user = app.control()?.reset_password(&body.0.token, &body.0.password).await?;
    app.tokens()?.forget_user(&user.id);
    let visit = Visit {
        tenant: &user.tenant,
        actor: Some(session::actor(&user)),
        action: "password:reset",
        target: &user.email,
        result: AuditResult::Ok,
        detail: Value::Null,
    };
    audited_visit(&app, &visitor, visit);
    Ok(StatusCode::NO_CONTENT)
}
