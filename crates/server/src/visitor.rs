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

/// Whoever comes to a public route. Pages of other sites are refused.
pub(crate) struct Visitor {
    /// Without a port; empty when it is not known.
    pub(crate) address: String,
    headers: HeaderMap,
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
        Self { address, headers: parts.headers.clone() }
    }

    /// What the request says.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
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
        let lines = self.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The tenant that a field names, the header `X-Tenant-ID`, or the host; where several do, they must agree.
    pub(crate) fn tenant(&self, app: &SharedApp, named: Option<&str>) -> Result<Option<TenantId>, Fault> {
        let header = self
            .headers
            .get("x-tenant-id")
            .map(|value| value.to_str().map_err(|_| Fault::invalid("X-Tenant-ID", "is not plain text")));
        let header = header.transpose()?;
        let host = access::subdomain(app, &self.headers);
        let names = [named, header, host.as_deref()].into_iter().flatten().map(str::trim);
        let mut names = names.filter(|named| !named.is_empty());
        let Some(name) = names.next() else { return Ok(None) };
        if names.any(|other| other != name) {
            return Err(Fault::Forbidden(match &host {
                Some(host) => format!("the host names tenant {host:?}: sign in at its own address"),
                None => "X-Tenant-ID names another tenant than the request: leave it out".to_owned(),
            }));
        }
        let wrong = |error: model::InvalidTenantId| Fault::invalid("tenant", error.to_string());
        TenantId::new(name).map(Some).map_err(wrong)
    }

    /// Counts a question that nothing else bounds.
    pub(crate) fn count(&self, app: &SharedApp, ask: Ask) -> Result<(), Fault> {
        app.tenant_limits().visitors.count(ask, &self.address, app.clock().monotonic())
    }
}
