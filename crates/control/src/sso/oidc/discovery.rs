//! What a provider says of itself, kept for an hour.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use url::Url;

use crate::error::ControlError;
use crate::sso::Sso;
use crate::sso::error::SsoError;
use crate::sso::oidc::jwks::KeySet;
use crate::sso::oidc::{OidcConfig, document, reached, web_address};
use crate::sso::provider::Provider;

const LIFE: Duration = Duration::from_secs(3_600);

/// Providers kept. One is some kilobytes.
const KEPT_MAX: usize = 1_000;

/// What is known of a provider.
pub(super) struct Discovery {
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    pub(super) jwks_uri: Url,
    /// True when the client's secret goes into the header, false when it goes into the form.
    pub(super) by_basic: bool,
    pub(super) keys: RwLock<Arc<KeySet>>,
}

/// With when it was found, on the monotonic clock.
type Kept = (Arc<Discovery>, Duration);

/// Providers known of late. Tenants do not share: what one may reach, another may not.
#[derive(Default)]
pub(crate) struct Issuers {
    known: Mutex<HashMap<(TenantId, String), Kept>>,
}

impl Sso {
    pub(super) fn forget_issuer(&self, provider: &Provider, config: &OidcConfig) {
        self.shared.issuers.known.lock().remove(&(provider.tenant.clone(), config.issuer.clone()));
    }

    pub(super) async fn discovery(
        &self,
        provider: &Provider,
        config: &OidcConfig,
    ) -> Result<Arc<Discovery>, ControlError> {
        let now = self.shared.control.shared.clock.monotonic();
        let key = (provider.tenant.clone(), config.issuer.clone());
        let fresh = |at: Duration| now.saturating_sub(at) < LIFE;
        if let Some((known, at)) = self.shared.issuers.known.lock().get(&key)
            && fresh(*at)
        {
            return Ok(known.clone());
        }
        let found = Arc::new(self.discover(provider, config).await?);
        let mut known = self.shared.issuers.known.lock();
        if known.len() >= KEPT_MAX {
            known.retain(|_, (_, at)| fresh(*at));
        }
        if known.len() >= KEPT_MAX {
            known.clear();
        }
        known.insert(key, (found.clone(), now));
        Ok(found)
    }

    async fn discover(&self, provider: &Provider, config: &OidcConfig) -> Result<Discovery, ControlError> {
        let setup = |message: String| SsoError::Setup { what: "discovery document", message };
        let url = format!("{}/.well-known/openid-configuration", config.issuer.trim_end_matches('/'));
        let fetched = reached(&url, self.shared.fetch.get(&provider.tenant, &url, None).await)?;
        if fetched.status != 200 {
            return Err(setup(format!("is not at {url}: status {}", fetched.status)).into());
        }
        let found = document("discovery document", &fetched)?;
        if found["issuer"] != *config.issuer {
            let said = found["issuer"].as_str().unwrap_or("nobody").chars().take(200).collect::<String>();
            return Err(setup(format!("names the issuer {said}; enter exactly that")).into());
        }
        let endpoint = |name: &str| {
            let text = found[name].as_str();
            let url = text.and_then(web_address);
            url.ok_or_else(|| setup(format!("has no {name} with an https address")))
        };
        let methods = &found["token_endpoint_auth_methods_supported"];
        let has = |method: &str| methods.as_array().is_some_and(|all| all.iter().any(|one| one == method));
        let jwks_uri = endpoint("jwks_uri")?;
        Ok(Discovery {
            authorization_endpoint: endpoint("authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?,
            userinfo_endpoint: match &found["userinfo_endpoint"] {
                Value::Null => None,
                _ => Some(endpoint("userinfo_endpoint")?),
            },
            // What is not said is basic.
            by_basic: !has("client_secret_post") || has("client_secret_basic"),
            keys: RwLock::new(self.fetch_keys(provider, &jwks_uri).await?),
            jwks_uri,
        })
    }

    pub(super) async fn fetch_keys(
        &self,
        provider: &Provider,
        url: &Url,
    ) -> Result<Arc<KeySet>, ControlError> {
        let fetched = self.shared.fetch.get(&provider.tenant, url.as_str(), None).await;
        let fetched = reached(url.as_str(), fetched)?;
        let setup = |message: &str| SsoError::Setup { what: "key document", message: message.to_owned() };
        if fetched.status != 200 {
            return Err(setup(&format!("is not there: status {}", fetched.status)).into());
        }
        let keys = KeySet::parse(&document("key document", &fetched)?);
        Ok(Arc::new(keys.ok_or_else(|| setup("lists no keys"))?))
    }
}
