//! One's own second factor: an authenticator, and recovery codes.

use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use control::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::person;
use crate::access;
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::ApiFault;
use crate::json::Body;

pub(super) fn routes() -> Router<SharedApp> {
    Router::new()
        .route("/api/v1/auth/second-factor", post(enrol))
        .route("/api/v1/auth/second-factor/confirm", post(confirm))
        .route("/api/v1/auth/second-factor/disable", post(disable))
        .route("/api/v1/auth/second-factor/recovery-codes", post(new_codes))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
}

/// Begins to set an authenticator up; it counts once a code of it was given.
async fn enrol(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, ApiFault> {
    let id = person(&identity)?;
    let settings = app.settings();
    let host = settings.server.external_url.split_once("://").map_or("", |(_, rest)| rest);
    let host = access::host_of(host.split('/').next().unwrap_or(""));
    // What authenticators show beside the address: which installation it is.
    let issuer = if host.is_empty() { "Bellwether".to_owned() } else { format!("Bellwether {host}") };
    let enrolment = app.control()?.enrol_second_factor(&identity.tenant, id, &issuer).await?;
    audited(&app, &identity, &identity.tenant, "second_factor:enrol", id, &Value::Null);
    Ok(unkept(json!({ "secret": enrolment.secret.expose(), "otpauth_url": enrolment.uri.expose() })))
}

async fn confirm(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<Code>,
) -> Result<Response, ApiFault> {
    let id = person(&identity)?;
    let codes = app.control()?.confirm_second_factor(&identity.tenant, id, &body.0.code).await?;
    audited(&app, &identity, &identity.tenant, "second_factor:confirm", id, &Value::Null);
    Ok(codes_json(&codes))
}

async fn disable(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<Code>,
) -> Result<StatusCode, ApiFault> {
    let id = person(&identity)?;
    app.control()?.disable_second_factor(&identity.tenant, id, &body.0.code).await?;
    audited(&app, &identity, &identity.tenant, "second_factor:disable", id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

async fn new_codes(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<Code>,
) -> Result<Response, ApiFault> {
    let id = person(&identity)?;
    let codes = app.control()?.new_recovery_codes(&identity.tenant, id, &body.0.code).await?;
    audited(&app, &identity, &identity.tenant, "second_factor:recovery_codes", id, &Value::Null);
    Ok(codes_json(&codes))
}

fn codes_json(codes: &[Secret]) -> Response {
    let codes: Vec<&str> = codes.iter().map(Secret::expose).collect();
    unkept(json!({ "recovery_codes": codes }))
}

/// Shown once, so not for a cache.
fn unkept(value: Value) -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(value)).into_response()
}
