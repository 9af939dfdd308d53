//! OpenID Connect: the authorization code flow, with PKCE, state and nonce.

mod discovery; // what the provider says of itself
mod id_token; // the signed statement
mod jwks; // the keys it is signed with

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::{Host, Url};

use crate::error::{ControlError, one_line};
use crate::secret::{Secret, random};
use crate::sessions::SignInMethod;
use crate::sso::error::SsoError;
use crate::sso::fetch::{BODY_BYTES_MAX, Fetched};
use crate::sso::oidc::discovery::Discovery;
use crate::sso::oidc::id_token::Expected;
use crate::sso::people::Person;
use crate::sso::provider::{Provider, ProviderConfig};
use crate::sso::state::Private;
use crate::sso::{Begun, Sso, SsoOutcome};

pub(crate) use discovery::Issuers;

const SCOPES_MAX: usize = 20;

/// Groups of one person that are looked at.
const GROUPS_MAX: usize = 2_000;

/// How an OpenID provider is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// The address under which `/.well-known/openid-configuration` is found, exactly as the provider spells it.
    pub issuer: String,
    /// What the provider calls us.
    pub client_id: String,
    /// What is asked for; must hold `openid`.
    pub scopes: Vec<String>,
    /// The claim that lists groups; empty when there is none.
    pub groups_claim: String,
    /// Believe addresses without the claim `email_verified`. For a directory whose administrator gives out
    /// addresses; needs a list of domains.
    pub trust_email: bool,
    /// The claim that names the domain of the person's organisation, which must be one of the provider's
    /// domains, too; empty when there is none. At Google anyone may have a private account with an address
    /// of any domain, so the address alone says nothing there. Needs a list of domains.
    #[serde(default)]
    pub domain_claim: String,
}

impl OidcConfig {
    pub(crate) fn check(&self) -> Result<(), ControlError> {
        let invalid =
            |field, message: &str| Err(ControlError::Invalid { field, message: message.to_owned() });
        one_line("issuer", &self.issuer, 1_000)?;
        one_line("client_id", &self.client_id, 1_000)?;
        if !web_address(&self.issuer).is_some_and(|url| url.query().is_none() && url.fragment().is_none()) {
            return invalid("issuer", "must be an https address such as https://idp.example.com");
        }
        if self.scopes.len() > SCOPES_MAX || !self.scopes.iter().any(|scope| scope == "openid") {
            return invalid("scopes", "must hold openid, and at most 20 in all");
        }
        for scope in &self.scopes {
            one_line("scopes", scope, 200)?;
        }
        for (field, claim) in [("groups_claim", &self.groups_claim), ("domain_claim", &self.domain_claim)] {
            if claim.len() > 200 {
                return invalid(field, "has more than 200 bytes");
            }
        }
        Ok(())
    }
}

/// What the provider sent the browser back with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Callback<'a> {
    /// The parameter `state`.
    pub state: &'a str,
    /// The parameter `code`.
    pub code: Option<&'a str>,
    /// The parameter `error`.
    pub error: Option<&'a str>,
    /// The parameter `error_description`.
    pub error_description: Option<&'a str>,
    /// The parameter `iss` (RFC 9207).
    pub iss: Option<&'a str>,
}

impl Sso {
    pub(super) async fn begin_oidc(
        &self,
        provider: &Provider,
        config: &OidcConfig,
        return_to: &str,
        browser: Option<&str>,
    ) -> Result<Begun, ControlError> {
        let discovery = self.discovery(provider, config).await?;
        let private = Private {
            return_to: return_to.to_owned(),
            nonce: URL_SAFE_NO_PAD.encode(random::<32>()?),
            verifier: URL_SAFE_NO_PAD.encode(random::<32>()?),
            request_id: String::new(),
        };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&private.verifier));
        let nonce = private.nonce.clone();
        let (state, begun) = self.put_state(provider, private, browser).await?;
        let mut url = discovery.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &config.client_id)
            .append_pair("redirect_uri", &self.callback_url(&provider.id))
            .append_pair("scope", &config.scopes.join(" "))
            .append_pair("state", state.expose())
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(Begun { url: url.into(), ..begun })
    }

    /// Ends a sign-in by OpenID Connect. `browser` is the value of the cookie.
    pub async fn finish_oidc(
        &self,
        provider_id: &str,
        callback: Callback<'_>,
        browser: &str,
    ) -> Result<SsoOutcome, ControlError> {
        let private = self.take_state(provider_id, callback.state, browser).await?;
        let provider = self.shared.control.enabled_sso_provider(provider_id).await?.ok_or(SsoError::State)?;
        let ProviderConfig::Oidc(config) = &provider.config else { return Err(SsoError::State.into()) };
        if callback.iss.is_some_and(|iss| iss != config.issuer) {
            return Err(
                SsoError::Refused { what: "answer", message: "names another issuer".to_owned() }.into()
            );
        }
        if let Some(error) = callback.error {
            return Err(SsoError::Denied(said(error, callback.error_description)).into());
        }
        let code = callback.code.filter(|code| !code.is_empty() && code.len() <= 4_096);
        let code = code.ok_or(SsoError::State)?;
        let discovery = self.discovery(&provider, config).await?;
        let answer = self.redeem(&provider, config, &discovery, code, &private.verifier).await?;
        let (id_token, access_token) = tokens(&answer)?;
        let claims =
            self.id_claims(&provider, config, &discovery, &id_token, &access_token, &private).await?;
        let more = self.user_info(&provider, &discovery, &access_token, &claims).await?;
        let person = person(config, &provider.domains, &claims, more.as_ref())?;
        let (user, created) = self.admit(&provider, person).await?;
        let tenant = provider.tenant.clone();
        Ok(SsoOutcome {
            user,
            created,
            tenant,
            provider: provider.id,
            method: SignInMethod::Oidc,
            ends_at: None,
            return_to: private.return_to,
        })
    }

    pub(super) async fn check_oidc(
        &self,
        provider: &Provider,
        config: &OidcConfig,
    ) -> Result<Value, ControlError> {
        self.forget_issuer(provider, config);
        let discovery = self.discovery(provider, config).await?;
        Ok(json!({
            "issuer": config.issuer,
            "authorization_endpoint": discovery.authorization_endpoint.as_str(),
            "token_endpoint": discovery.token_endpoint.as_str(),
            "userinfo_endpoint": discovery.userinfo_endpoint.as_ref().map(Url::as_str),
            "signing_keys": discovery.keys.read().len(),
            "callback_url": self.callback_url(&provider.id),
        }))
    }

    /// Exchanges the code at the token endpoint.
    async fn redeem(
        &self,
        provider: &Provider,
        config: &OidcConfig,
        discovery: &Discovery,
        code: &str,
        verifier: &str,
    ) -> Result<Value, ControlError> {
        let secret = self.shared.control.sso_secret(&provider.id).await?;
        let callback_url = self.callback_url(&provider.id);
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &callback_url),
            ("code_verifier", verifier),
        ];
        let mut basic = None;
        match &secret {
            Some(secret) if discovery.by_basic => basic = Some((config.client_id.as_str(), secret)),
            Some(secret) => {
                form.extend([("client_id", config.client_id.as_str()), ("client_secret", secret.expose())])
            }
            None => form.push(("client_id", &config.client_id)),
        }
        let url = discovery.token_endpoint.as_str();
        let fetched = self.shared.fetch.post_form(&provider.tenant, url, &form, basic).await;
        let fetched = reached(url, fetched)?;
        let answer = document("token endpoint", &fetched);
        if fetched.status == 200 {
            return Ok(answer?);
        }
        let answer = answer.unwrap_or_default();
        let error = answer["error"].as_str().unwrap_or("no reason");
        if matches!(error, "invalid_client" | "unauthorized_client") {
            let message = format!("says {error}; check the client's identifier and secret");
            return Err(SsoError::Setup { what: "token endpoint", message }.into());
        }
        Err(SsoError::Denied(said(error, answer["error_description"].as_str())).into())
    }

    /// The claims of the signed statement. Its key may be new: keys are fetched again, once.
    async fn id_claims(
        &self,
        provider: &Provider,
        config: &OidcConfig,
        discovery: &Discovery,
        id_token: &Secret,
        access_token: &Secret,
        private: &Private,
    ) -> Result<Value, ControlError> {
        let expected = Expected {
            issuer: &config.issuer,
            client_id: &config.client_id,
            nonce: &private.nonce,
            access_token: access_token.expose(),
            now_ms: self.shared.control.now(),
        };
        let keys = discovery.keys.read().clone();
        if let Some(claims) = id_token::check(id_token.expose(), &keys, &expected)? {
            return Ok(claims);
        }
        let keys = self.fetch_keys(provider, &discovery.jwks_uri).await?;
        *discovery.keys.write() = keys.clone();
        let unknown = || id_token::refused("is signed with a key the provider does not publish");
        Ok(id_token::check(id_token.expose(), &keys, &expected)?.ok_or_else(unknown)?)
    }

    /// What the provider says of the person beside the statement, if it has an endpoint for that.
    async fn user_info(
        &self,
        provider: &Provider,
        discovery: &Discovery,
        access_token: &Secret,
        claims: &Value,
    ) -> Result<Option<Value>, ControlError> {
        let Some(url) = &discovery.userinfo_endpoint else { return Ok(None) };
        let fetched = self.shared.fetch.get(&provider.tenant, url.as_str(), Some(access_token)).await;
        let fetched = reached(url.as_str(), fetched)?;
        if fetched.status != 200 {
            let message = format!("answers with status {}", fetched.status);
            return Err(SsoError::Setup { what: "userinfo endpoint", message }.into());
        }
        let info = document("userinfo endpoint", &fetched)?;
        if info["sub"] != claims["sub"] {
            let message = "is about someone else than the token".to_owned();
            return Err(SsoError::Refused { what: "userinfo", message }.into());
        }
        Ok(Some(info))
    }
}

/// Reads an answer as JSON.
fn document(what: &'static str, fetched: &Fetched) -> Result<Value, SsoError> {
    let setup = |message: String| SsoError::Setup { what, message };
    if fetched.body.len() > BODY_BYTES_MAX {
        return Err(setup(format!("answers with more than {BODY_BYTES_MAX} bytes")));
    }
    let value: Value = serde_json::from_slice(&fetched.body)
        .map_err(|_| setup(format!("answers with status {} and no JSON", fetched.status)))?;
    value.is_object().then_some(value).ok_or_else(|| setup("answers with JSON that is no object".to_owned()))
}

fn reached(url: &str, fetched: Result<Fetched, String>) -> Result<Fetched, SsoError> {
    fetched.map_err(|message| SsoError::Unreachable { url: url.to_owned(), message })
}

fn tokens(answer: &Value) -> Result<(Secret, Secret), SsoError> {
    let setup = |message: &str| SsoError::Setup { what: "token endpoint", message: message.to_owned() };
    let text = |name: &str| answer[name].as_str().map(|text| Secret::of(text.to_owned()));
    let id_token =
        text("id_token").ok_or_else(|| setup("sends no id_token; is the scope openid allowed?"))?;
    let access_token = text("access_token").ok_or_else(|| setup("sends no access_token"))?;
    match answer["token_type"].as_str() {
        Some(kind) if kind.eq_ignore_ascii_case("bearer") => Ok((id_token, access_token)),
        _ => Err(setup("sends a token that is not of type Bearer")),
    }
}

/// The person the claims are about. Address and whether it was verified come from the same place.
fn person(
    config: &OidcConfig,
    domains: &[String],
    claims: &Value,
    more: Option<&Value>,
) -> Result<Person, SsoError> {
    let sources: Vec<_> = more.into_iter().chain([claims]).collect();
    let find =
        |name: &str| sources.iter().find_map(|source| source[name].as_str().filter(|text| !text.is_empty()));
    let with_email = sources.iter().find(|source| source["email"].is_string());
    let email = match with_email {
        Some(source) => {
            let email = source["email"].as_str().unwrap_or_default();
            let is_verified =
                source["email_verified"] == json!(true) || source["email_verified"] == json!("true");
            let is_denied =
                source["email_verified"] == json!(false) || source["email_verified"] == json!("false");
            if !is_verified && (is_denied || !config.trust_email) {
                let message = "the provider has not verified this address; verify it there".to_owned();
                return Err(SsoError::Person { email: email.to_owned(), message });
            }
            email
        }
        // A directory's sign-in name looks like an address and is its own to give.
        None => find("preferred_username").filter(|_| config.trust_email).ok_or_else(|| SsoError::Setup {
            what: "token",
            message: "names no email; allow the scope email".to_owned(),
        })?,
    };
    if !config.domain_claim.is_empty() {
        let of = find(&config.domain_claim);
        if !of.is_some_and(|of| domains.iter().any(|domain| domain.eq_ignore_ascii_case(of))) {
            let message = "the account is of no organisation with an allowed domain; use the account that your \
                           organisation gave you";
            return Err(SsoError::Person { email: email.to_owned(), message: message.to_owned() });
        }
    }
    let name = find("name").unwrap_or(email);
    let groups = match config.groups_claim.as_str() {
        "" => Vec::new(),
        claim => sources.iter().find_map(|source| groups(&source[claim])).unwrap_or_default(),
    };
    let subject = claims["sub"].as_str().unwrap_or_default();
    Ok(Person { subject: subject.to_owned(), email: email.to_owned(), name: name.to_owned(), groups })
}

fn groups(claim: &Value) -> Option<Vec<String>> {
    match claim {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(all) => {
            Some(all.iter().filter_map(|group| group.as_str().map(str::to_owned)).take(GROUPS_MAX).collect())
        }
        _ => None,
    }
}

/// What a provider says went wrong, fit to be shown.
fn said(error: &str, description: Option<&str>) -> String {
    let text = [Some(error), description].into_iter().flatten().collect::<Vec<_>>().join(": ");
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// An `https` address; `http` only on this machine.
pub(super) fn web_address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_here = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => IpAddr::V4(address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(address).is_loopback(),
    };
    let is_fit = url.scheme() == "https" || (url.scheme() == "http" && is_here);
    (is_fit && url.username().is_empty() && url.password().is_none()).then_some(url)
}
