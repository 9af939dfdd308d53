//! A new password for whoever forgot theirs.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use control::audit::AuditResult;
use serde::Deserialize;
use serde_json::{Value, json};

use super::session;
use crate::app::SharedApp;
use crate::audited::{Visit, audited_visit, trail};
use crate::error::ApiFault;
use crate::json::Body;
use crate::limits::Ask;
use crate::mail;
use crate::visitor::Visitor;

pub(super) fn routes() -> Router<SharedApp> {
    Router::new()
        .route("/api/v1/auth/password/forgot", post(forgot))
        .route("/api/v1/auth/password/reset", post(reset))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forgot {
    email: String,
    tenant: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    token: String,
    password: String,
}

/// Asks for a link to set a new password; every address is answered alike, and as fast. Without a mail server no
/// link is made: the request is in the audit log, and an administrator gives the person a sign-in link.
async fn forgot(
    State(app): State<SharedApp>,
    visitor: Visitor,
    body: Body<Forgot>,
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
    body: Body<Reset>,
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
