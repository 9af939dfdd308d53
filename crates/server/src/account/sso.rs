//! Signing in through an identity provider, as the browser goes: away, back, in.
//!
//! Whatever fails on the way leads to the sign-in page with a word for it; the whole reason is in the audit
//! log.

use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use control::audit::AuditResult;
use control::sso::{Callback, Provider, ProviderKind, SsoOutcome};
use control::{ControlError, SsoError};
use model::TenantId;
use schemars::JsonSchema;
use serde_json::json;

use super::session;
use crate::app::SharedApp;
use crate::audited::{Visit, audited_visit, trail};
use crate::body;
use crate::error::{ApiFault, Fault};
use crate::limits::Ask;
use crate::named::Named;
use crate::openapi::{Op, Routes, json_as, string, text};
use crate::prom::params::Params;
use crate::visitor::{FromAnySite, Visitor};

/// What ties a sign-in under way to the browser that began it, by OpenID Connect.
const OIDC_COOKIE: &str = "bellwether_sso";

/// The same by SAML: its answer is posted from the provider's page, with which browsers send only cookies
/// that say so, and those only over TLS or on the machine itself.
const SAML_COOKIE: &str = "bellwether_saml";

/// As long as a sign-in may take.
const COOKIE_SECONDS: u32 = 600;

/// Largest posted response.
const POST_BYTES_MAX: usize = 1 << 20;

/// What our metadata is.
const METADATA: &str = "application/samlmetadata+xml";

/// A provider is named by its identifier, as in the addresses that we give to providers, or by tenant and name.
pub(super) fn routes() -> Routes {
    let base = "/api/v1/auth/sso";
    Routes::new("Sign-in")
        .get(
            &format!("{base}/{{tenant}}/{{provider}}"),
            begin,
            Op::new("beginSignIn", "Sends the browser to an identity provider")
                .about("What fails leads to the sign-in page with a word for it.")
                .params(&[string("return_to", "A path of ours to go to afterwards: `/` unless given.")])
                .gives_nothing(302)
                .refuses(&[403, 409]),
        )
        .get(
            &format!("{base}/{{provider}}/callback"),
            callback,
            Op::new("finishOidcSignIn", "Where an OpenID provider sends the browser back to")
                .params(&[
                    string("state", "As it was sent to the provider."),
                    string("code", "What the provider gives out for whoever signed in."),
                    string("error", "Why the provider refuses."),
                    string("error_description", "The same, for people."),
                    string("iss", "Which provider it is."),
                ])
                .gives_nothing(302)
                .refuses(&[403, 409]),
        )
        .post(
            &format!("{base}/{{provider}}/acs"),
            acs,
            Op::new("finishSamlSignIn", "Where a SAML identity provider has the browser post its answer")
                .takes_content(json_as::<SamlAnswer>("application/x-www-form-urlencoded"))
                .body_is_optional()
                .gives_nothing(302)
                .refuses(&[409]),
        )
        .get(
            &format!("{base}/{{provider}}/metadata"),
            metadata,
            Op::new("getSamlMetadata", "Our metadata, to be given to a SAML identity provider")
                .gives_content(text(METADATA))
                .refuses(&[409]),
        )
        .get(
            &format!("{base}/{{tenant}}/{{provider}}/metadata"),
            metadata_of_tenant,
            Op::new("getSamlMetadataByName", "The same by tenant, and identifier or name")
                .gives_content(text(METADATA))
                .refuses(&[403, 409]),
        )
}

/// What a SAML identity provider has a browser post. What is missing counts as empty.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes a form that is read field by field")]
struct SamlAnswer {
    /// In base64.
    #[schemars(rename = "SAMLResponse")]
    response: Option<String>,
    /// As it was sent to the provider.
    #[schemars(rename = "RelayState")]
    state: Option<String>,
}

/// A provider of a tenant, by identifier or name.
pub(crate) async fn find_provider(
    app: &SharedApp,
    tenant: &TenantId,
    named: &str,
) -> Result<Provider, Fault> {
    let all = app.control()?.sso_providers(tenant).await?;
    // Identifiers first: a name that looks like one leads nowhere else.
    let by_id = all.iter().position(|provider| provider.id == named);
    let at = by_id.or_else(|| all.iter().position(|provider| provider.name == named));
    let found = at.and_then(|at| all.into_iter().nth(at));
    found.ok_or_else(|| {
        let shown: String = named.chars().take(80).collect();
        Fault::NotFound(format!("sign-in provider {shown:?} does not exist"))
    })
}

/// Where a browser goes that asks too often: to the page, since nobody reads JSON.
fn too_often(app: &SharedApp, visitor: &Visitor) -> Option<Response> {
    visitor.count(app, Ask::Sso).is_err().then(|| redirect("/sign-in?error=busy", None))
}

/// Sends the browser to the provider.
async fn begin(
    State(app): State<SharedApp>,
    visitor: Visitor,
    Named((tenant, named)): Named<(String, String)>,
    OriginalUri(uri): OriginalUri,
    params: Params,
) -> Result<Response, ApiFault> {
    if let Some(elsewhere) = too_often(&app, &visitor) {
        return Ok(elsewhere);
    }
    if let Some(elsewhere) = at_our_address(&app, &visitor, &uri) {
        return Ok(redirect(&elsewhere, None));
    }
    let unknown = |_| Fault::NotFound("there is no such tenant".to_owned());
    let tenant = TenantId::new(&tenant).map_err(unknown)?;
    if let Err(error) = app.control()?.active_tenant(&tenant).await {
        return Ok(back(&app, &visitor, &tenant, &error).await);
    }
    let provider = find_provider(&app, &tenant, &named).await?;
    let name = cookie_name(provider.config.kind());
    let kept = visitor.cookie(name).and_then(|value| value.split_once('~')).map(|(browser, _)| browser);
    let return_to = params.get("return_to").unwrap_or("/");
    let begun = match app.sso()?.begin(&tenant, &provider.id, return_to, kept).await {
        Ok(begun) => begun,
        Err(ControlError::Invalid { field, message }) => return Err(Fault::invalid(field, message).into()),
        Err(error) => return Ok(back(&app, &visitor, &tenant, &error).await),
    };
    // The tenant is there for the audit log alone: an answer names only the provider.
    let secure = if visitor.is_secure(&app) { "; Secure" } else { "" };
    let site = match provider.config.kind() {
        ProviderKind::Oidc => format!("SameSite=Lax{secure}"),
        ProviderKind::Saml => "SameSite=None; Secure".to_owned(),
    };
    let cookie = format!(
        "{name}={}~{tenant}; Path=/api/v1/auth/sso; HttpOnly; {site}; Max-Age={COOKIE_SECONDS}",
        begun.browser.expose()
    );
    Ok(redirect(&begun.url, Some(session::value(&cookie))))
}

/// Where a sign-in begins that was asked for at a tenant's own address: providers send people back to
/// `server.external_url`, and the cookie that belongs to the sign-in must be known there. `None` where we are there.
fn at_our_address(app: &SharedApp, visitor: &Visitor, uri: &Uri) -> Option<String> {
    crate::access::subdomain(app, visitor.headers())?;
    let external = app.settings().server.external_url.trim_end_matches('/').to_owned();
    Some(format!("{external}{}", uri.path_and_query()?))
}

fn cookie_name(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Oidc => OIDC_COOKIE,
        ProviderKind::Saml => SAML_COOKIE,
    }
}

/// The browser comes back from an OpenID provider.
async fn callback(
    State(app): State<SharedApp>,
    visitor: Visitor,
    Named(provider): Named<String>,
    params: Params,
) -> Result<Response, ApiFault> {
    if let Some(elsewhere) = too_often(&app, &visitor) {
        return Ok(elsewhere);
    }
    let (browser, tenant) = remembered(&visitor, OIDC_COOKIE);
    let callback = Callback {
        state: params.get("state").unwrap_or(""),
        code: params.get("code"),
        error: params.get("error"),
        error_description: params.get("error_description"),
        iss: params.get("iss"),
    };
    let outcome = app.sso()?.finish_oidc(&provider, callback, browser).await;
    finish(&app, &visitor, tenant, outcome).await
}

/// The browser posts what a SAML identity provider said.
async fn acs(
    State(app): State<SharedApp>,
    FromAnySite(visitor): FromAnySite,
    Named(provider): Named<String>,
    request: Request,
) -> Result<Response, ApiFault> {
    if let Some(elsewhere) = too_often(&app, &visitor) {
        return Ok(elsewhere);
    }
    let bytes = body::read(request.into_body(), POST_BYTES_MAX).await?;
    let field = |name: &str| {
        let mut pairs = url::form_urlencoded::parse(&bytes);
        pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let (browser, tenant) = remembered(&visitor, SAML_COOKIE);
    let sso = app.sso()?;
    let outcome = sso.finish_saml(&provider, &field("SAMLResponse"), &field("RelayState"), browser).await;
    finish(&app, &visitor, tenant, outcome).await
}

/// The browser's secret, and the tenant it wanted to sign in to.
fn remembered<'a>(visitor: &'a Visitor, cookie: &str) -> (&'a str, Option<TenantId>) {
    let (browser, tenant) =
        visitor.cookie(cookie).and_then(|value| value.split_once('~')).unwrap_or(("", ""));
    (browser, TenantId::new(tenant).ok())
}

/// Begins the session and sends the browser to where it wanted to go.
async fn finish(
    app: &SharedApp,
    visitor: &Visitor,
    tenant: Option<TenantId>,
    outcome: Result<SsoOutcome, ControlError>,
) -> Result<Response, ApiFault> {
    let tenant = trail(app, tenant.as_ref()).await;
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => return Ok(back(app, visitor, &tenant, &error).await),
    };
    let begun = match app.sso()?.begin_session(&outcome, visitor.client()).await {
        Ok(begun) => begun,
        Err(error) => return Ok(back(app, visitor, &outcome.tenant, &error).await),
    };
    if outcome.created {
        let visit = Visit {
            tenant: &outcome.tenant,
            actor: Some(session::actor(&outcome.user)),
            action: "members:join",
            target: &outcome.user.email,
            result: AuditResult::Ok,
            detail: json!({ "provider": outcome.provider, "role": outcome.user.role }),
        };
        audited_visit(app, visitor, visit);
    }
    session::announce(app, visitor, &begun, outcome.method.as_str());
    // Their role may have followed their groups.
    app.tokens()?.forget_user(&outcome.user.id);
    Ok(redirect(&outcome.return_to, Some(session::cookie(app, visitor, &begun))))
}

/// Back to the sign-in page with a word for what went wrong, and the reason in the tenant's trail.
async fn back(app: &SharedApp, visitor: &Visitor, tenant: &TenantId, error: &ControlError) -> Response {
    tracing::info!(%tenant, %error, "a sign-in through a provider did not come about");
    let tenant = trail(app, Some(tenant)).await;
    let visit = Visit {
        tenant: &tenant,
        actor: None,
        action: "session:begin",
        target: match error {
            ControlError::Sso(SsoError::Person { email, .. }) => email,
            _ => "",
        },
        result: AuditResult::Refused,
        detail: json!({ "method": "sso", "why": error.to_string() }),
    };
    audited_visit(app, visitor, visit);
    redirect(&format!("/sign-in?error={}", word(error)), None)
}

/// A word that the sign-in page explains.
fn word(error: &ControlError) -> &'static str {
    let ControlError::Sso(error) = error else {
        return match error {
            ControlError::TenantInactive { .. } => "suspended",
            ControlError::NotFound { .. } => "unknown_provider",
            _ => "failed",
        };
    };
    match error {
        SsoError::State => "state",
        SsoError::Only => "sso_only",
        SsoError::Denied(_) => "access_denied",
        SsoError::Unreachable { .. } => "unreachable",
        SsoError::Setup { .. } => "setup",
        SsoError::Refused { .. } => "refused",
        SsoError::Person { message, .. } if message.contains("domain") => "domain",
        SsoError::Person { message, .. } if message.contains("disabled") => "disabled",
        SsoError::Person { message, .. } if message.contains("role") => "no_role",
        SsoError::Person { .. } => "not_allowed",
    }
}

/// Our metadata, to be given to a SAML identity provider. It follows from the identifier alone.
async fn metadata(
    State(app): State<SharedApp>,
    Named(provider): Named<String>,
) -> Result<Response, ApiFault> {
    let digits = provider.strip_prefix("sso_").unwrap_or("");
    if digits.len() != 16 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Fault::NotFound("there is no such sign-in provider".to_owned()).into());
    }
    let xml = app.sso()?.saml_metadata(&provider);
    Ok(([(header::CONTENT_TYPE, METADATA)], xml).into_response())
}

async fn metadata_of_tenant(
    State(app): State<SharedApp>,
    visitor: Visitor,
    Named((tenant, named)): Named<(String, String)>,
) -> Result<Response, ApiFault> {
    visitor.count(&app, Ask::Sso)?;
    let unknown = |_| Fault::NotFound("there is no such tenant".to_owned());
    let tenant = TenantId::new(&tenant).map_err(unknown)?;
    let provider = find_provider(&app, &tenant, &named).await?;
    metadata(State(app), Named(provider.id)).await
}

/// Sends the browser elsewhere: to a path of ours, or to a provider.
fn redirect(to: &str, cookie: Option<HeaderValue>) -> Response {
    let mut response = StatusCode::FOUND.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_str(&ascii(to)).expect("printable ASCII"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cookie) = cookie {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}

/// A path as a header may carry it: what was decoded is encoded again.
fn ascii(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_graphic() {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_printable() {
        for (text, want) in [
            ("/explore?q=1#x", "/explore?q=1#x"),
            ("/a b", "/a%20b"),
            ("/é", "/%C3%A9"),
            ("/a\r\nSet-Cookie: x", "/a%0D%0ASet-Cookie:%20x"),
        ] {
            assert_eq!(ascii(text), want);
        }
    }

    #[test]
    fn refusals_have_words_that_the_page_explains() {
        let person = |message: &str| {
            ControlError::Sso(SsoError::Person { email: String::new(), message: message.to_owned() })
        };
        for (error, want) in [
            (person("addresses of this domain are not allowed; an administrator can add it"), "domain"),
            (person("none of your groups has a role here; an administrator can map one"), "no_role"),
            (person("the account is disabled; an administrator can enable it"), "disabled"),
            (ControlError::Sso(SsoError::State), "state"),
            (ControlError::Sso(SsoError::Denied("access_denied".to_owned())), "access_denied"),
        ] {
            assert_eq!(word(&error), want, "{error}");
        }
    }
}
