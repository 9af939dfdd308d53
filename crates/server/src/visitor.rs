//! Whoever comes to a public route: from where, with which program, for which tenant.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use control::{Binding, Client};
use model::TenantId;

use crate::access;
use crate::app::SharedApp;
use crate::error::{ApiFault, Fault};
use crate::limits::Ask;
use crate::listen::OverTls;

/// Whoever comes to a public route. Pages of other sites are refused.
pub(crate) struct Visitor {
    /// Without a port; empty when it is not known.
    pub(crate) address: String,
    headers: HeaderMap,
    over_tls: bool,
}

/// The same, from a page of any site: an identity provider posts its answer from its own.
pub(crate) struct FromAnySite(pub(crate) Visitor);

impl FromRequestParts<SharedApp> for Visitor {
    type Rejection = ApiFault;

    async fn from_request_parts(parts: &mut Parts, app: &SharedApp) -> Result<Self, ApiFault> {
        access::refuse_other_sites(app, &parts.headers)?;
        Ok(Self::of(parts))
    }
}

impl FromRequestParts<SharedApp> for FromAnySite {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _app: &SharedApp) -> Result<Self, Self::Rejection> {
        Ok(Self(Visitor::of(parts)))
    }
}

impl Visitor {
    fn of(parts: &Parts) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let address = peer.map(|peer| peer.0.ip().to_string()).unwrap_or_default();
        let over_tls = parts.extensions.get::<OverTls>().is_some();
        Self { address, headers: parts.headers.clone(), over_tls }
    }

    /// What the request says.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// True when they came over TLS, to us or to whoever stands before us.
    pub(crate) fn is_secure(&self, app: &SharedApp) -> bool {
        self.over_tls || app.is_https()
    }

    /// The session token that their cookie carries.
    pub(crate) fn session_cookie(&self, app: &SharedApp) -> Option<String> {
        access::session_cookie(&self.headers, app.is_https())
    }

    /// The server's address as they reach it, without a slash at the end, for links that they are shown.
    pub(crate) fn public_url(&self, app: &SharedApp) -> String {
        if let Some(external) = app.external_url() {
            return external;
        }
        let scheme = if self.over_tls { "https" } else { "http" };
        let host = self.headers.get(header::HOST).and_then(|value| value.to_str().ok());
        format!("{scheme}://{}", host.unwrap_or("localhost"))
    }

    /// For a session to be begun.
    pub(crate) fn client(&self) -> Client<'_> {
        Client { address: &self.address, user_agent: self.agent() }
    }

    /// For tokens to be issued.
    pub(crate) fn binding(&self) -> Binding<'_> {
        Binding { address: &self.address, agent: self.agent() }
    }

    fn agent(&self) -> &str {
        self.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        access::cookie(&self.headers, name)
    }

    /// The tenant that a field names, or the host; where both do, they must agree.
    pub(crate) fn tenant(&self, app: &SharedApp, named: Option<&str>) -> Result<Option<TenantId>, Fault> {
        let host = access::subdomain(app, &self.headers);
        let named = named.map(str::trim).filter(|named| !named.is_empty());
        if let (Some(named), Some(host)) = (named, &host)
            && named != host
        {
            return Err(Fault::Forbidden(format!(
                "the host names tenant {host:?}: sign in at its own address"
            )));
        }
        let name = named.map(str::to_owned).or(host);
        let parse =
            |name: String| TenantId::new(&name).map_err(|error| Fault::invalid("tenant", error.to_string()));
        name.map(parse).transpose()
    }

    /// Counts a question that nothing else bounds.
    pub(crate) fn count(&self, app: &SharedApp, ask: Ask) -> Result<(), Fault> {
        app.tenant_limits().visitors.count(ask, &self.address, app.clock().monotonic())
    }
}
