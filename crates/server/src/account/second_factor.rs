//! One's own second factor: an authenticator, and recovery codes.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use control::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::person;
use crate::access;
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::ApiFault;
use crate::json::{Body, Unkept};
use crate::openapi::{Op, Routes};

pub(super) fn routes() -> Routes {
    let base = "/api/v1/auth/second-factor";
    Routes::new("Account")
        .post(
            base,
            enrol,
            Op::new("enrolSecondFactor", "Begins to set an authenticator up")
                .about("It counts once a code of it was given.")
                .gives::<Enrolment>()
                .refuses(&[409]),
        )
        .post(
            &format!("{base}/confirm"),
            confirm,
            Op::new("confirmSecondFactor", "A code of the authenticator that is being set up")
                .takes::<SecondFactorCode>()
                .gives::<RecoveryCodes>()
                .refuses(&[404, 409]),
        )
        .post(
            &format!("{base}/disable"),
            disable,
            Op::new("disableSecondFactor", "Takes one's authenticator away")
                .takes::<SecondFactorCode>()
                .gives_nothing(204)
                .refuses(&[404]),
        )
        .post(
            &format!("{base}/recovery-codes"),
            new_codes,
            Op::new("renewRecoveryCodes", "New recovery codes in place of those there are")
                .takes::<SecondFactorCode>()
                .gives::<RecoveryCodes>()
                .refuses(&[404]),
        )
}

/// A code of an authenticator.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SecondFactorCode {
    code: String,
}

/// What an authenticator is set up with, which is shown this once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SecondFactorEnrolment")]
struct Enrolment {
    /// To be typed: base32.
    secret: String,
    /// To be scanned, as a QR code.
    otpauth_url: String,
}

/// What helps whoever lost the authenticator, each once; shown this once.
#[derive(Serialize, JsonSchema)]
struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

impl RecoveryCodes {
    fn of(codes: &[Secret]) -> Unkept<Self> {
        Unkept(Self { recovery_codes: codes.iter().map(|code| code.expose().to_owned()).collect() })
    }
}

/// Begins to set an authenticator up; it counts once a code of it was given.
async fn enrol(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Unkept<Enrolment>, ApiFault> {
    let id = person(&identity)?;
    let settings = app.settings();
    let host = settings.server.external_url.split_once("://").map_or("", |(_, rest)| rest);
    let host = access::host_of(host.split('/').next().unwrap_or(""));
    // What authenticators show beside the address: which installation it is.
    let issuer = if host.is_empty() { "Bellwether".to_owned() } else { format!("Bellwether {host}") };
    let enrolment = app.control()?.enrol_second_factor(&identity.tenant, id, &issuer).await?;
    audited(&app, &identity, &identity.tenant, "second_factor:enrol", id, &Value::Null);
    let (secret, uri) = (enrolment.secret.expose(), enrolment.uri.expose());
    Ok(Unkept(Enrolment { secret: secret.to_owned(), otpauth_url: uri.to_owned() }))
}

async fn confirm(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<SecondFactorCode>,
) -> Result<Unkept<RecoveryCodes>, ApiFault> {
    let id = person(&identity)?;
    let codes = app.control()?.confirm_second_factor(&identity.tenant, id, &body.0.code).await?;
    audited(&app, &identity, &identity.tenant, "second_factor:confirm", id, &Value::Null);
    Ok(RecoveryCodes::of(&codes))
}

async fn disable(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<SecondFactorCode>,
) -> Result<StatusCode, ApiFault> {
    let id = person(&identity)?;
    app.control()?.disable_second_factor(&identity.tenant, id, &body.0.code).await?;
    audited(&app, &identity, &identity.tenant, "second_factor:disable", id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

async fn new_codes(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<SecondFactorCode>,
) -> Result<Unkept<RecoveryCodes>, ApiFault> {
    let id = person(&identity)?;
    let codes = app.control()?.new_recovery_codes(&identity.tenant, id, &body.0.code).await?;
    audited(&app, &identity, &identity.tenant, "second_factor:recovery_codes", id, &Value::Null);
    Ok(RecoveryCodes::of(&codes))
}
