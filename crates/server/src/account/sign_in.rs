//! Signing in with a one-time link or a password, signing out, and which ways there are.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::AppendHeaders;
use control::audit::AuditResult;
use control::sso::{Provider, ProviderKind, SSO_ONLY};
use control::{ControlError, Remedy, Session, SignIn};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::session::{self, Begun, BegunSession};
use crate::app::SharedApp;
use crate::audited::{Visit, audited_visit, trail};
use crate::error::ApiFault;
use crate::json::Body;
use crate::limits::Ask;
use crate::openapi::{Op, Routes, string};
use crate::prom::params::Params;
use crate::visitor::Visitor;
use crate::word::Word;

pub(super) fn routes() -> Routes {
    Routes::new("Sign-in")
        .post(
            "/api/v1/auth/link",
            redeem,
            Op::new("redeemSignInLink", "Exchanges a link's token, once, for a session")
                .takes::<LinkToken>()
                .gives::<BegunSession>()
                .refuses(&[401, 403]),
        )
        .post(
            "/api/v1/auth/sign-in",
            sign_in,
            Op::new("signIn", "Exchanges an address and a password for a session")
                .about("401 with `SECOND_FACTOR_REQUIRED` asks for the code of an authenticator.")
                .takes::<Credentials>()
                .gives::<BegunSession>()
                .refuses(&[401, 403]),
        )
        .post(
            "/api/v1/auth/logout",
            sign_out,
            Op::new("signOut", "Ends the session of the cookie, if there is one")
                .gives_nothing(204)
                .refuses(&[403]),
        )
        .get(
            "/api/v1/auth/methods",
            methods,
            Op::new("listSignInMethods", "Which ways to sign in there are for an address")
                .params(&[
                    string("tenant", "The identifier of a tenant; without it, the one that the host names."),
                    string("email", "Leaves out the providers of other domains."),
                ])
                .gives::<SignInMethods>()
                .refuses(&[403]),
        )
}

/// A one-time link's token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinkToken {
    token: String,
}

/// What the sign-in page sends.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    email: String,
    password: String,
    /// The identifier of a tenant; without it, the one that the host names.
    tenant: Option<String>,
    /// Of the authenticator, or a recovery code.
    code: Option<String>,
}

/// Which ways to sign in there are.
#[derive(Serialize, JsonSchema)]
struct SignInMethods {
    /// Whether a password may be used.
    password: bool,
    providers: Vec<SignInOption>,
}

/// A provider to sign in through.
#[derive(Serialize, JsonSchema)]
struct SignInOption {
    name: String,
    kind: Word<ProviderKind>,
    /// What the button says.
    label: String,
    /// Where the browser goes.
    url: String,
}

impl From<Provider> for SignInOption {
    fn from(provider: Provider) -> Self {
        Self {
            kind: Word(provider.config.kind()),
            label: format!("Sign in with {}", provider.name),
            url: format!("/api/v1/auth/sso/{}/{}", provider.tenant, provider.id),
            name: provider.name,
        }
    }
}

/// Exchanges a link's token, once, for a session.
async fn redeem(
    State(app): State<SharedApp>,
    visitor: Visitor,
    body: Body<LinkToken>,
) -> Result<Begun, ApiFault> {
    visitor.count(&app, Ask::Link)?;
    let found = app.control()?.redeem_link(&body.0.token, visitor.client()).await;
    let begun = match found {
        Ok(begun) => begun,
        Err(error) => {
            refused(&app, &visitor, None, "", &error).await;
            return Err(error.into());
        }
    };
    Ok(session::begun(&app, &visitor, &begun, "link"))
}

/// Exchanges an address and a password, and a code where one is asked for, for a session.
async fn sign_in(
    State(app): State<SharedApp>,
    visitor: Visitor,
    body: Body<Credentials>,
) -> Result<Begun, ApiFault> {
    let Credentials { email, password, tenant, code } = body.0;
    let method = if code.is_some() { "password+code" } else { "password" };
    let proof =
        Proof { email: &email, password: &password, tenant: tenant.as_deref(), code: code.as_deref() };
    let begun = by_password(&app, &visitor, proof).await?;
    Ok(session::begun(&app, &visitor, &begun, method))
}

/// Who wants in, and how they prove it.
pub(super) struct Proof<'a> {
    pub(super) email: &'a str,
    pub(super) password: &'a str,
    pub(super) tenant: Option<&'a str>,
    pub(super) code: Option<&'a str>,
}

/// Signs in with a password; what fails is written down.
pub(super) async fn by_password(
    app: &SharedApp,
    visitor: &Visitor,
    proof: Proof<'_>,
) -> Result<Session, ApiFault> {
    let tenant = visitor.tenant(app, proof.tenant)?;
    // A code field that was left empty asks for nothing.
    let code = proof.code.map(str::trim).filter(|code| !code.is_empty());
    let sign_in = SignIn {
        tenant: tenant.as_ref(),
        email: proof.email,
        password: proof.password,
        code,
        client: visitor.client(),
    };
    match app.control()?.sign_in(sign_in).await {
        Ok(begun) => Ok(begun),
        Err(error) => {
            refused(app, visitor, tenant.as_ref(), proof.email, &error).await;
            Err(error.into())
        }
    }
}

/// Writes a refused sign-in down. Asking for the code is none; and whoever tries too often is counted by the
/// access log, since a row each would let them fill the disk.
async fn refused(
    app: &SharedApp,
    visitor: &Visitor,
    tenant: Option<&model::TenantId>,
    email: &str,
    error: &ControlError,
) {
    let is_refusal = matches!(error.remedy(), Remedy::Authenticate | Remedy::GetPermission);
    if !is_refusal || matches!(error, ControlError::CodeNeeded) {
        return;
    }
    let tenant = trail(app, tenant).await;
    let visit = Visit {
        tenant: &tenant,
        actor: None,
        action: "session:begin",
        target: email,
        result: AuditResult::Refused,
        detail: json!({ "why": error.to_string() }),
    };
    audited_visit(app, visitor, visit);
}

/// Ends the session; the cookie is worth nothing afterwards.
async fn sign_out(
    State(app): State<SharedApp>,
    visitor: Visitor,
) -> Result<(StatusCode, AppendHeaders<[(HeaderName, HeaderValue); 2]>), ApiFault> {
    if let Some(token) = visitor.session_cookie(&app) {
        let control = app.control()?;
        let known = control.authenticate_session(&token).await;
        control.end_session(&token).await?;
        if let Ok(known) = known {
            let user = &known.user;
            let visit = Visit {
                tenant: &user.tenant,
                actor: Some(session::actor(user)),
                action: "session:end",
                target: &user.email,
                result: AuditResult::Ok,
                detail: Value::Null,
            };
            audited_visit(&app, &visitor, visit);
            session::tell_pages(&app, "signed_out", &user.tenant, &user.name);
        }
    }
    let forget = session::no_cookies().map(|cookie| (header::SET_COOKIE, cookie));
    Ok((StatusCode::NO_CONTENT, AppendHeaders(forget)))
}

/// Which ways to sign in a tenant has, for an address. What is answered follows from the tenant's settings
/// and the address's domain, so an address that is not known is answered like any other.
async fn methods(
    State(app): State<SharedApp>,
    visitor: Visitor,
    params: Params,
) -> Result<Json<SignInMethods>, ApiFault> {
    visitor.count(&app, Ask::Methods)?;
    let named = visitor.tenant(&app, params.get("tenant"))?;
    let tenant = named.unwrap_or_else(model::TenantId::default_tenant);
    let control = app.control()?;
    let Ok(tenant) = control.active_tenant(&tenant).await else {
        return Ok(Json(SignInMethods { password: true, providers: Vec::new() }));
    };
    let email = params.get("email").unwrap_or("");
    let providers = control.sso_providers(&tenant.id).await?;
    let usable = |provider: &Provider| provider.enabled && is_for(provider, email);
    Ok(Json(SignInMethods {
        password: tenant.settings[SSO_ONLY] != true,
        providers: providers.into_iter().filter(usable).map(SignInOption::from).collect(),
    }))
}

/// Providers of other domains than the address's are no use to whoever has it.
fn is_for(provider: &Provider, email: &str) -> bool {
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain).trim();
    domain.is_empty()
        || provider.domains.is_empty()
        || provider.domains.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain))
}
