//! How identity providers are asked: on behalf of a tenant, so only where that tenant may reach, with an end
//! to time and size, and without following where they point.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use control::Secret;
use control::sso::{BODY_BYTES_MAX, Fetch, Fetched};
use model::TenantId;
use parking_lot::Mutex;
use reqwest::{Method, RequestBuilder, header};
use url::form_urlencoded;

use crate::app::App;
use crate::outbound::{Outbound, Policy, Redirects, causes};

/// What one question may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Clients kept: one for each policy, of which there are two until the configuration changes.
const CLIENTS_MAX: usize = 4;

/// Asks providers.
pub(crate) struct ProviderFetch {
    /// Weak: the application holds what holds this.
    app: Weak<App>,
    clients: Mutex<Vec<Outbound>>,
}

impl ProviderFetch {
    pub(crate) fn new(app: &Arc<App>) -> Self {
        Self { app: Arc::downgrade(app), clients: Mutex::default() }
    }

    /// The client for what the tenant may reach now.
    fn client(&self, tenant: &TenantId) -> Result<Outbound, String> {
        let app = self.app.upgrade().ok_or("the server is stopping")?;
        let policy = Policy::of(tenant, app.outbound_ranges());
        let mut clients = self.clients.lock();
        if let Some(known) = clients.iter().find(|client| *client.policy() == policy) {
            return Ok(known.clone());
        }
        let client = Outbound::new(policy, Redirects::Refused, TIMEOUT).map_err(|error| causes(&error))?;
        if clients.len() >= CLIENTS_MAX {
            clients.remove(0);
        }
        clients.push(client.clone());
        Ok(client)
    }

    fn request(&self, tenant: &TenantId, method: Method, url: &str) -> Result<RequestBuilder, String> {
        self.client(tenant)?.request(method, url).map_err(|refused| refused.to_string())
    }
}

#[async_trait]
impl Fetch for ProviderFetch {
    async fn get(&self, tenant: &TenantId, url: &str, bearer: Option<&Secret>) -> Result<Fetched, String> {
        let request = self.request(tenant, Method::GET, url)?;
        answer(match bearer {
            Some(bearer) => request.bearer_auth(bearer.expose()),
            None => request,
        })
        .await
    }

    async fn post_form(
        &self,
        tenant: &TenantId,
        url: &str,
        form: &[(&str, &str)],
        basic: Option<(&str, &Secret)>,
    ) -> Result<Fetched, String> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self
            .request(tenant, Method::POST, url)?
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(form);
        answer(match basic {
            // RFC 6749 section 2.3.1 encodes both before they are joined.
            Some((name, password)) => request.basic_auth(encoded(name), Some(encoded(password.expose()))),
            None => request,
        })
        .await
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Sends and reads at most as much as is ever needed. Addresses stay out of errors: they may hold secrets.
async fn answer(request: RequestBuilder) -> Result<Fetched, String> {
    let said = |error: reqwest::Error| causes(&error.without_url());
    let mut response = request.send().await.map_err(said)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(said)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(format!("the answer is over {BODY_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Fetched { status, body })
}
