//! Access and refresh tokens for programs: issued, refreshed, revoked; and the keys they are checked with.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use control::audit::AuditResult;
use control::{Actor, ControlError, Remedy, TokenPair, User};
use model::TenantId;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::sign_in::{Proof, by_password};
use crate::access;
use crate::app::SharedApp;
use crate::audited::{Visit, audited_visit};
use crate::body;
use crate::error::{ApiFault, Fault};
use crate::json::Unkept;
use crate::limits::Ask;
use crate::openapi::{Op, Routes, json_as};
use crate::visitor::Visitor;

/// Largest body; an access token has about 1,000 bytes.
const BYTES_MAX: usize = 64 << 10;

/// How long others may keep our keys. A key they do not know makes them ask again.
const KEYS_CACHE: &str = "public, max-age=60";

pub(super) fn routes() -> Routes {
    const FORM: &str = "application/x-www-form-urlencoded";
    let keys = |id| Op::new(id, "The public keys that access tokens are checked with").gives::<KeySet>();
    Routes::new("Sign-in")
        .post(
            "/api/v1/auth/token",
            token,
            Op::new("issueToken", "Issues an access token and a refresh token, or the next pair (RFC 6749)")
                .takes::<Grant>()
                .takes_content(json_as::<Grant>(FORM))
                .gives::<IssuedTokens>()
                .refuses(&[401, 403]),
        )
        .post(
            "/api/v1/auth/token/revoke",
            revoke,
            Op::new("revokeToken", "Ends an access token, or the family of a refresh token (RFC 7009)")
                .about("A token that is not valid is as good as ended, so the answer is always the same.")
                .takes::<TokenRevocation>()
                .takes_content(json_as::<TokenRevocation>(FORM))
                .gives_nothing(204)
                .refuses(&[403]),
        )
        .get("/api/v1/auth/jwks", jwks, keys("getTokenKeys"))
        .get("/.well-known/jwks.json", jwks, keys("getWellKnownTokenKeys"))
}

/// Public keys (RFC 7517).
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what control writes")]
struct KeySet {
    keys: Vec<PublicKey>,
}

/// A public key.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what control writes")]
struct PublicKey {
    kty: String,
    #[schemars(rename = "use")]
    usage: String,
    alg: String,
    kid: String,
    n: String,
    e: String,
}

/// An access token and a refresh token.
#[derive(Serialize, JsonSchema)]
struct IssuedTokens {
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Life of the access token in seconds.
    expires_in: i64,
    /// Good for one further pair.
    refresh_token: String,
    /// What the token permits: permissions, with blanks between.
    scope: String,
}

/// What is exchanged for a pair.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TokenGrant")]
#[serde(tag = "grant_type", rename_all = "snake_case", deny_unknown_fields)]
enum Grant {
    /// What a sign-in takes.
    Password {
        /// Or `username`.
        #[serde(alias = "username")]
        email: String,
        password: String,
        tenant: Option<String>,
        code: Option<String>,
    },
    /// The pair before.
    RefreshToken { refresh_token: String },
    /// The session of the cookie, however it was begun: through a provider, too.
    Session {},
}

/// A token to be ended.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TokenRevocation {
    token: String,
    /// Whether it is an access or a refresh token shows by itself.
    #[serde(rename = "token_type_hint")]
    _hint: Option<String>,
}

/// Issues a pair, or the next one.
async fn token(
    State(app): State<SharedApp>,
    visitor: Visitor,
    request: Request,
) -> Result<Unkept<IssuedTokens>, ApiFault> {
    let grant = read(request).await?;
    let pair = match grant {
        Grant::Password { email, password, tenant, code } => {
            let proof = Proof {
                email: &email,
                password: &password,
                tenant: tenant.as_deref(),
                code: code.as_deref(),
            };
            let begun = by_password(&app, &visitor, proof).await?;
            // The password was checked by beginning a session, which a program does not keep. While it lasts it stands for
            // the password: another one set meanwhile has ended it.
            let issued = issue(&app, &visitor, &begun.user, &begun.id).await;
            app.control()?.end_session(begun.token.expose()).await?;
            issued?
        }
        Grant::Session {} => {
            let cookie = visitor.session_cookie(&app).ok_or(Fault::Unauthorized)?;
            let session = app.control()?.authenticate_session(&cookie).await?;
            access::check_csrf(&Method::POST, visitor.headers(), &session)?;
            issue(&app, &visitor, &session.user, &session.id).await?
        }
        Grant::RefreshToken { refresh_token } => {
            visitor.count(&app, Ask::Token)?;
            match app.tokens()?.refresh(&refresh_token, visitor.binding()).await {
                Ok(pair) => pair,
                Err(error) => {
                    refused(&app, &visitor, &error);
                    return Err(error.into());
                }
            }
        }
    };
    answer(&app, &visitor, &pair).await
}

async fn issue(
    app: &SharedApp,
    visitor: &Visitor,
    user: &User,
    session: &str,
) -> Result<TokenPair, ApiFault> {
    let pair = app.tokens()?.issue_to(session, &user.id, visitor.binding()).await?;
    let visit = Visit {
        tenant: &user.tenant,
        actor: Some(super::session::actor(user)),
        action: "token:issue",
        target: &pair.family,
        result: AuditResult::Ok,
        detail: Value::Null,
    };
    audited_visit(app, visitor, visit);
    Ok(pair)
}

/// Whose a token was that is not valid, nobody knows; so it is in the first tenant's trail.
fn refused(app: &SharedApp, visitor: &Visitor, error: &ControlError) {
    if error.remedy() != Remedy::Authenticate {
        return;
    }
    let visit = Visit {
        tenant: &TenantId::default_tenant(),
        actor: None,
        action: "token:refresh",
        target: "",
        result: AuditResult::Refused,
        detail: json!({ "why": error.to_string() }),
    };
    audited_visit(app, visitor, visit);
}

/// As RFC 6749 has it; `scope` lists what the token permits.
async fn answer(
    app: &SharedApp,
    visitor: &Visitor,
    pair: &TokenPair,
) -> Result<Unkept<IssuedTokens>, ApiFault> {
    let holder = app.tokens()?.authenticate_access(pair.access.expose(), visitor.binding()).await?;
    Ok(Unkept(IssuedTokens {
        access_token: pair.access.expose().to_owned(),
        token_type: "Bearer",
        expires_in: pair.expires_in,
        refresh_token: pair.refresh.expose().to_owned(),
        scope: holder.principal.permissions.names().join(" "),
    }))
}

/// Ends an access token, or the family of a refresh token. A token that is not valid is as good as ended, so
/// the answer to both is the same (RFC 7009).
async fn revoke(
    State(app): State<SharedApp>,
    visitor: Visitor,
    request: Request,
) -> Result<StatusCode, ApiFault> {
    visitor.count(&app, Ask::Token)?;
    let TokenRevocation { token, .. } = read(request).await?;
    // What is not valid is as good as ended; whatever else goes wrong leaves it valid, and must be said.
    let ended = match end(&app, &visitor, &token).await {
        Err(Fault::Unauthorized) => None,
        other => other?,
    };
    if let Some(Ended { tenant, who, family }) = ended {
        let visit = Visit {
            tenant: &tenant,
            actor: Some(who),
            action: "token:revoke",
            target: &family,
            result: AuditResult::Ok,
            detail: Value::Null,
        };
        audited_visit(&app, &visitor, visit);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Whose token was ended, and of which family.
struct Ended {
    tenant: TenantId,
    who: Actor,
    family: String,
}

async fn end(app: &SharedApp, visitor: &Visitor, token: &str) -> Result<Option<Ended>, Fault> {
    let tokens = app.tokens()?;
    let is_access = token.bytes().filter(|byte| *byte == b'.').count() == 2;
    if is_access {
        let holder = tokens.authenticate_access(token, visitor.binding()).await?;
        tokens.revoke_access(&holder).await?;
        let principal = holder.principal;
        return Ok(Some(Ended { tenant: principal.tenant, who: principal.who, family: holder.family }));
    }
    let revoked = tokens.revoke_presented(token).await?;
    Ok(revoked.map(|revoked| Ended {
        who: super::session::actor(&revoked.user),
        tenant: revoked.user.tenant,
        family: revoked.family,
    }))
}

/// The public keys.
async fn jwks(
    State(app): State<SharedApp>,
) -> Result<([(HeaderName, HeaderValue); 1], Json<Value>), ApiFault> {
    let keys = app.tokens()?.jwks().await?;
    Ok(([(header::CACHE_CONTROL, HeaderValue::from_static(KEYS_CACHE))], Json(keys)))
}

/// Reads a body of JSON, or a form, which is what libraries for OAuth send.
async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Fault> {
    let is_form = body::content_type(request.headers()).0 == "application/x-www-form-urlencoded";
    let bytes = body::read(request.into_body(), BYTES_MAX).await?;
    if !is_form {
        return crate::json::parse(&bytes);
    }
    let fields: Map<String, Value> = url::form_urlencoded::parse(&bytes)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    serde_json::from_value(Value::Object(fields)).map_err(|error| Fault::invalid("", error.to_string()))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn grant(kind: &str, body: &str) -> Result<Grant, Fault> {
        let request = Request::builder().header("content-type", kind).body(Body::from(body.to_owned()));
        read(request.expect("request")).await
    }

    #[tokio::test]
    async fn grants_are_json_or_forms_and_unknown_fields_are_refused() {
        const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
        const JSON: &str = "application/json";
        for (kind, body, want) in [
            (JSON, r#"{"grant_type":"refresh_token","refresh_token":"x"}"#, true),
            (FORM, "grant_type=refresh_token&refresh_token=x", true),
            (FORM, "grant_type=password&username=a%40b.c&password=p", true),
            (JSON, r#"{"grant_type":"password","email":"a@b.c","password":"p","code":"123456"}"#, true),
            (JSON, r#"{"grant_type":"session"}"#, true),
            (JSON, r#"{"grant_type":"client_credentials"}"#, false),
            (JSON, r#"{"grant_type":"password","email":"a@b.c"}"#, false),
            (JSON, r#"{"grant_type":"refresh_token","refresh_token":"x","admin":true}"#, false),
            (FORM, "", false),
        ] {
            assert_eq!(grant(kind, body).await.is_ok(), want, "{body}");
        }
    }
}
