//! SAML 2.0, the service provider's side: requests by redirect, responses by post.

mod keys; // certificates
mod metadata; // theirs and ours
mod request; // to the identity provider
mod response; // and back
mod signature; // what counts as signed
#[cfg(test)]
pub(crate) mod testing; // an identity provider
#[cfg(test)]
mod tests;
mod xml; // one tree, one canonical form

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use model::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::Executor;

use crate::error::{ControlError, one_line};
use crate::secret::new_id;
use crate::sessions::SignInMethod;
use crate::sso::error::SsoError;
use crate::sso::oidc::web_address;
use crate::sso::people::Person;
use crate::sso::provider::{Provider, ProviderConfig};
use crate::sso::saml::keys::{CERTIFICATES_MAX, certificate};
use crate::sso::saml::metadata::{own_metadata, read_metadata};
use crate::sso::saml::request::Request;
use crate::sso::saml::response::{Assertion, Expected};
use crate::sso::state::Private;
use crate::sso::{Begun, Sso, SsoOutcome};

/// Longest time that is read.
const TIME_BYTES_MAX: usize = 40;

/// Attributes that hold the address, by the names that providers give it when nobody chose another.
const EMAIL_NAMES: [&str; 5] = [
    "email",
    "mail",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "emailAddress",
];

/// The same for what people call them.
const NAME_NAMES: [&str; 5] = [
    "name",
    "displayName",
    "http://schemas.microsoft.com/identity/claims/displayname",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
    "urn:oid:2.16.840.1.113730.3.1.241",
];

/// The same for groups.
const GROUP_NAMES: [&str; 3] =
    ["groups", "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups", "memberOf"];

/// How a SAML identity provider is reached. Usually read from its metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamlConfig {
    /// Its name, the issuer of its assertions.
    pub entity_id: String,
    /// Where browsers are sent.
    pub sso_url: String,
    /// Its signing certificates, PEM or plain base64.
    pub certificates: Vec<String>,
    /// The attribute that holds the address; empty for the usual ones, and then the NameID.
    #[serde(default)]
    pub email_attribute: String,
    /// The attribute that holds the name; empty for the usual ones.
    #[serde(default)]
    pub name_attribute: String,
    /// The attribute that lists groups; empty for the usual ones.
    #[serde(default)]
    pub groups_attribute: String,
}

impl SamlConfig {
    /// Reads the metadata of an identity provider, as pasted or fetched.
    pub fn from_metadata(xml: &str, now_ms: i64) -> Result<Self, ControlError> {
        let found = read_metadata(xml, now_ms)?;
        let config = Self {
            entity_id: found.entity_id,
            sso_url: found.sso_url,
            certificates: found.certificates,
            ..Self::default()
        };
        config.check()?;
        Ok(config)
    }

    pub(crate) fn check(&self) -> Result<(), ControlError> {
        let invalid =
            |field, message: &str| Err(ControlError::Invalid { field, message: message.to_owned() });
        one_line("entity_id", &self.entity_id, 1_024)?;
        one_line("sso_url", &self.sso_url, 2_000)?;
        need_web_address("sso_url", &self.sso_url)?;
        if self.certificates.is_empty() || self.certificates.len() > CERTIFICATES_MAX {
            return invalid("certificates", "must hold 1 to 10 certificates");
        }
        for text in &self.certificates {
            certificate(text)?;
        }
        for attribute in [&self.email_attribute, &self.name_attribute, &self.groups_attribute] {
            if attribute.len() > 500 {
                return invalid("attribute", "has more than 500 bytes");
            }
        }
        Ok(())
    }
}

impl Sso {
    /// Our metadata for one provider, to be given to it. Says nothing secret.
    pub fn saml_metadata(&self, provider_id: &str) -> String {
        own_metadata(&self.entity_id(provider_id), &self.acs_url(provider_id))
    }

    /// Fetches the metadata of an identity provider on behalf of a tenant.
    pub async fn fetch_saml_metadata(
        &self,
        tenant: &TenantId,
        url: &str,
    ) -> Result<SamlConfig, ControlError> {
        need_web_address("metadata_url", url)?;
        let unreachable = |message: String| SsoError::Unreachable { url: url.to_owned(), message };
        let fetched = self.shared.fetch.get(tenant, url, None).await.map_err(unreachable)?;
        if fetched.status != 200 {
            return Err(unreachable(format!("status {}", fetched.status)).into());
        }
        let xml = String::from_utf8(fetched.body).map_err(|_| unreachable("it is no text".to_owned()))?;
        SamlConfig::from_metadata(&xml, self.shared.control.now())
    }

    pub(super) async fn begin_saml(
        &self,
        provider: &Provider,
        config: &SamlConfig,
        return_to: &str,
        browser: Option<&str>,
    ) -> Result<Begun, ControlError> {
        // 128 random bits: two identifiers, since nobody may guess it. It must not begin with a digit.
        let request_id = new_id(&new_id("request")?)?;
        let private =
            Private { return_to: return_to.to_owned(), request_id: request_id.clone(), ..Private::default() };
        let (state, begun) = self.put_state(provider, private, browser).await?;
        let url = self.request_url(provider, config, &request_id, state.expose())?;
        Ok(Begun { url, ..begun })
    }

    /// The address that asks the identity provider to sign someone in.
    fn request_url(
        &self,
        provider: &Provider,
        config: &SamlConfig,
        id: &str,
        relay_state: &str,
    ) -> Result<String, SsoError> {
        let request = Request {
            id,
            now_ms: self.shared.control.now(),
            entity_id: &self.entity_id(&provider.id),
            acs_url: &self.acs_url(&provider.id),
            sso_url: &config.sso_url,
            relay_state,
        };
        request.url()
    }

    /// Ends a sign-in by SAML: the fields `SAMLResponse` and `RelayState` as posted, and the value of the
    /// cookie.
    pub async fn finish_saml(
        &self,
        provider_id: &str,
        saml_response: &str,
        relay_state: &str,
        browser: &str,
    ) -> Result<SsoOutcome, ControlError> {
        let private = self.take_state(provider_id, relay_state, browser).await?;
        let provider = self.shared.control.enabled_sso_provider(provider_id).await?.ok_or(SsoError::State)?;
        let ProviderConfig::Saml(config) = &provider.config else { return Err(SsoError::State.into()) };
        let xml = decoded(saml_response)?;
        let certificates =
            config.certificates.iter().map(|text| certificate(text)).collect::<Result<Vec<_>, _>>()?;
        let expected = Expected {
            idp_entity_id: &config.entity_id,
            certificates: &certificates,
            entity_id: &self.entity_id(provider_id),
            acs_url: &self.acs_url(provider_id),
            request_id: &private.request_id,
            now_ms: self.shared.control.now(),
        };
        let assertion = response::check(&xml, &expected)?;
        self.use_up(&provider, &assertion).await?;
        let ends_at = assertion.session_ends_at;
        let (user, created) = self.admit(&provider, person(config, assertion)?).await?;
        let tenant = provider.tenant.clone();
        Ok(SsoOutcome {
            user,
            created,
            tenant,
            provider: provider.id,
            method: SignInMethod::Saml,
            ends_at,
            return_to: private.return_to,
        })
    }

    /// Asks the identity provider as a browser would, without anyone signing in: it must know us and answer
    /// with a page, or with the way to one.
    pub(super) async fn check_saml(
        &self,
        provider: &Provider,
        config: &SamlConfig,
    ) -> Result<Value, ControlError> {
        config.check()?;
        let url = self.request_url(provider, config, &new_id("request")?, "test")?;
        let fetched = self.shared.fetch.get(&provider.tenant, &url, None).await;
        let fetched =
            fetched.map_err(|message| SsoError::Unreachable { url: config.sso_url.clone(), message })?;
        if fetched.status >= 400 {
            let message = format!(
                "answers our request with status {}; has it read our metadata at {}?",
                fetched.status,
                self.entity_id(&provider.id)
            );
            return Err(SsoError::Setup { what: "sign-on address", message }.into());
        }
        Ok(json!({
            "entity_id": config.entity_id,
            "sso_url": config.sso_url,
            "certificates": config.certificates.len(),
            "our_entity_id": self.entity_id(&provider.id),
            "acs_url": self.acs_url(&provider.id),
        }))
    }

    /// An assertion is good once. Its identifier is kept until it would have expired anyway.
    async fn use_up(&self, provider: &Provider, assertion: &Assertion) -> Result<(), ControlError> {
        let mut tx = self.shared.control.begin().await?;
        let insert = sqlx::query(
            "INSERT INTO saml_replays (provider_id, assertion_id, expires_at) VALUES ($1, $2, $3) \
             ON CONFLICT (provider_id, assertion_id) DO NOTHING",
        );
        let insert = insert.bind(provider.id.as_str()).bind(assertion.id.as_str()).bind(assertion.expires_at);
        let inserted = tx.execute(insert).await?;
        tx.commit().await?;
        if inserted.rows_affected() == 0 {
            let message = "has been used before".to_owned();
            return Err(SsoError::Refused { what: "assertion", message }.into());
        }
        Ok(())
    }
}

/// Over plain http whoever is on the way could name certificates of their own, or receive what is signed in with.
fn need_web_address(field: &'static str, url: &str) -> Result<(), ControlError> {
    if web_address(url).is_some() {
        return Ok(());
    }
    let message = "must be an https address such as https://idp.example.com/saml".to_owned();
    Err(ControlError::Invalid { field, message })
}

fn decoded(saml_response: &str) -> Result<String, SsoError> {
    let refused = |message: &str| SsoError::Refused { what: "response", message: message.to_owned() };
    if saml_response.len() > xml::BYTES_MAX * 3 / 2 {
        return Err(refused("is too long"));
    }
    let text: String = saml_response.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(text).map_err(|_| refused("is not base64"))?;
    String::from_utf8(bytes).map_err(|_| refused("is not UTF-8"))
}

fn person(config: &SamlConfig, assertion: Assertion) -> Result<Person, SsoError> {
    let of = |chosen: &str, usual: &[&str]| -> Vec<String> {
        let names = if chosen.is_empty() { usual } else { &[chosen] };
        names.iter().find_map(|name| assertion.attributes.get(*name)).cloned().unwrap_or_default()
    };
    let email = of(&config.email_attribute, &EMAIL_NAMES).into_iter().next();
    let email = email.or_else(|| assertion.name_id.contains('@').then(|| assertion.name_id.clone()));
    let email = email.ok_or_else(|| SsoError::Setup {
        what: "assertion",
        message: "names no email; send the attribute email".to_owned(),
    })?;
    let name = of(&config.name_attribute, &NAME_NAMES).into_iter().next().unwrap_or_else(|| email.clone());
    let groups = of(&config.groups_attribute, &GROUP_NAMES);
    let subject = if assertion.is_transient { email.clone() } else { assertion.name_id };
    Ok(Person { subject, email, name, groups })
}

/// Reads an `xs:dateTime` with its zone: milliseconds since the Unix epoch.
fn time_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    (text.len() <= TIME_BYTES_MAX).then(|| text.parse::<Timestamp>().ok())?.map(Timestamp::as_millisecond)
}

/// Writes an `xs:dateTime` in UTC.
fn time_text(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}
