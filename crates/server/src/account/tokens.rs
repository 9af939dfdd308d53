//! Access and refresh tokens for programs: issued, refreshed, revoked; and the keys they are checked with.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use control::audit::AuditResult;
use control::{Actor, ControlError, Remedy, TokenPair, User};
use model::TenantId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::sign_in::{Proof, by_password};
use crate::access;
use crate::app::SharedApp;
use crate::audited::{Visit, audited_visit};
use crate::body;
use crate::error::{ApiFault, Fault};
use crate::limits::Ask;
use crate::visitor::Visitor;

/// Largest body; an access token has about 1,000 bytes.
const BYTES_MAX: usize = 64 << 10;

/// How long others may keep our keys. A key they do not know makes them ask again.
const KEYS_CACHE: &str = "public, max-age=60";

pub(super) fn routes() -> Router<SharedApp> {
    Router::new()
        .route("/api/v1/auth/token", post(token))
        .route("/api/v1/auth/token/revoke", post(revoke))
        .route("/api/v1/auth/jwks", get(jwks))
        .route("/.well-known/jwks.json", get(jwks))
}

/// What is exchanged for a pair.
#[derive(Deserialize)]
#[serde(tag = "grant_type", rename_all = "snake_case", deny_unknown_fields)]
enum Grant {
    /// What a sign-in takes.
    Password {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
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
) -> Result<Response, ApiFault> {
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
            let cookie = access::session_cookie(visitor.headers()).ok_or(Fault::Unauthorized)?;
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
async fn answer(app: &SharedApp, visitor: &Visitor, pair: &TokenPair) -> Result<Response, ApiFault> {
    let holder = app.tokens()?.authenticate_access(pair.access.expose(), visitor.binding()).await?;
    let body = json!({
        "access_token": pair.access.expose(),
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
        "refresh_token": pair.refresh.expose(),
        "scope": holder.principal.permissions.names().join(" "),
    });
    Ok(([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(body)).into_response())
}

/// Ends an access token, or the family of a refresh token. A token that is not valid is as good as ended, so
/// the answer to both is the same (RFC 7009).
async fn revoke(
    State(app): State<SharedApp>,
    visitor: Visitor,
    request: Request,
) -> Result<StatusCode, ApiFault> {
    visitor.count(&app, Ask::Token)?;
    let Revoke { token, .. } = read(request).await?;
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
async fn jwks(State(app): State<SharedApp>) -> Result<Response, ApiFault> {
    let keys = app.tokens()?.jwks().await?;
    Ok(([(header::CACHE_CONTROL, HeaderValue::from_static(KEYS_CACHE))], Json(keys)).into_response())
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
