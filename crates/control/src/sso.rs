//! Sign-in through an organisation's own identity provider, by OpenID Connect or SAML 2.0.
//!
//! A tenant may have several providers side by side. A sign-in begins here with a state that one browser may
//! use once within ten minutes, goes to the provider, and comes back with a statement about a person, which is
//! checked in full before anything of it is believed. Then the person is found, or made, and given the role
//! that their groups map to. Sessions and tokens are begun by the caller.

mod error; // why it does not come about
mod fetch; // how providers are asked
mod mapping; // groups to roles, addresses to domains
mod oidc; // OpenID Connect
pub(crate) mod only; // tenants that allow nothing else
mod people; // from a provider's statement to a person of ours
mod presets; // well-known providers
mod provider; // what is set up
mod saml; // SAML 2.0
mod state; // what a sign-in has begun with
#[cfg(test)]
mod testing; // a provider in this process
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use model::TenantId;
use serde_json::Value;
use url::Url;

use crate::control::Control;
use crate::error::{ControlError, not_found};
use crate::secret::Secret;
use crate::sessions::{Client, Session, SignInMethod, Way};
use crate::users::{User, lock_active};

pub use error::SsoError;
pub use fetch::{BODY_BYTES_MAX, Fetch, Fetched};
pub use oidc::{Callback, OidcConfig};
pub use only::SSO_ONLY;
pub use presets::Preset;
pub use provider::{NewProvider, Provider, ProviderConfig, ProviderKind, RoleRule, SignInOption};
pub use saml::SamlConfig;

/// Signs people in. Clones share it.
#[derive(Clone)]
pub struct Sso {
    shared: Arc<Shared>,
}

struct Shared {
    control: Control,
    fetch: Arc<dyn Fetch>,
    /// Without a slash at the end.
    public_url: String,
    issuers: oidc::Issuers,
}

/// A sign-in that has begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Where to send the browser.
    pub url: String,
    /// Goes into a cookie (`HttpOnly`, path `/api/v1/auth/sso`, ten minutes) and comes back with the answer. A
    /// response by SAML is posted from the provider's page: its cookie needs `SameSite=None; Secure`.
    pub browser: Secret,
    /// Milliseconds since the Unix epoch.
    pub expires_at: i64,
}

/// Someone has signed in.
#[derive(Clone, Debug)]
pub struct SsoOutcome {
    /// Who.
    pub user: User,
    /// True at their first sign-in.
    pub created: bool,
    /// Where they belong.
    pub tenant: TenantId,
    /// Through which provider, by its identifier.
    pub provider: String,
    /// By which protocol.
    pub method: SignInMethod,
    /// Until when the provider vouches for them, milliseconds since the Unix epoch; `None` where it does not say.
    pub ends_at: Option<i64>,
    /// The path they wanted to go to.
    pub return_to: String,
}

impl fmt::Debug for Sso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sso").field("public_url", &self.shared.public_url).finish_non_exhaustive()
    }
}

impl Sso {
    /// `public_url` is the address of this installation as browsers see it, such as
    /// `https://bellwether.example.com`.
    pub fn new(control: Control, fetch: Arc<dyn Fetch>, public_url: &str) -> Result<Self, ControlError> {
        let is_web = Url::parse(public_url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_web {
            let message = format!("{public_url:?} is no address such as https://bellwether.example.com");
            return Err(ControlError::Invalid { field: "public_url", message });
        }
        let public_url = public_url.trim_end_matches('/').to_owned();
        let shared = Shared { control, fetch, public_url, issuers: oidc::Issuers::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The address providers send people back to: to be entered at an OpenID provider.
    pub fn callback_url(&self, provider_id: &str) -> String {
        format!("{}/api/v1/auth/sso/{provider_id}/callback", self.shared.public_url)
    }

    /// The address responses are posted to: to be entered at a SAML identity provider.
    pub fn acs_url(&self, provider_id: &str) -> String {
        format!("{}/api/v1/auth/sso/{provider_id}/acs", self.shared.public_url)
    }

    /// Our name towards a SAML identity provider, and the address of our metadata.
    pub fn entity_id(&self, provider_id: &str) -> String {
        format!("{}/api/v1/auth/sso/{provider_id}/metadata", self.shared.public_url)
    }

    /// Begins a sign-in. `return_to` is a path of ours; `browser` is the value of the cookie if there is one,
    /// so that sign-ins in two tabs do not undo each other.
    pub async fn begin(
        &self,
        tenant: &TenantId,
        provider_id: &str,
        return_to: &str,
        browser: Option<&str>,
    ) -> Result<Begun, ControlError> {
        let provider = self.shared.control.sso_provider(tenant, provider_id).await?;
        if !provider.enabled {
            return Err(not_found("sign-in provider", provider_id));
        }
        match &provider.config {
            ProviderConfig::Oidc(config) => self.begin_oidc(&provider, config, return_to, browser).await,
            ProviderConfig::Saml(config) => self.begin_saml(&provider, config, return_to, browser).await,
        }
    }

    /// Begins a session for someone who has just signed in.
    pub async fn begin_session(
        &self,
        outcome: &SsoOutcome,
        client: Client<'_>,
    ) -> Result<Session, ControlError> {
        let control = &self.shared.control;
        let mut tx = control.begin().await?;
        let user = lock_active(&mut tx, &outcome.user.id).await?.ok_or(SsoError::State)?;
        let way = Way { method: outcome.method, provider: &outcome.provider, ends_at: outcome.ends_at };
        let session = control.begin_session(&mut tx, user, way, client).await?;
        tx.commit().await?;
        Ok(session)
    }

    /// Asks whether a provider answers as it should, without signing anyone in. For the test button.
    pub async fn check_provider(&self, provider: &Provider) -> Result<Value, ControlError> {
        match &provider.config {
            ProviderConfig::Oidc(config) => self.check_oidc(provider, config).await,
            ProviderConfig::Saml(config) => self.check_saml(provider, config).await,
        }
    }
}
