//! Whoever comes to a public route: from where, with which program, for which tenant.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use control::{Binding, Client};
use model::TenantId;

use crate::access;
use crate::app::{App, SharedApp};
use crate::error::{ApiFault, Fault};
use crate::limits::Ask;
use crate::listen::OverTls;
use crate::outbound::Range;

/// Whoever comes to a public route. Pages of other sites are refused.
pub(crate) struct Visitor {
    /// Without a port; empty when it is not known.
    pub(crate) address: Arc<str>,
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

/// From where a request comes, without a port; empty when that is not known. Found once, by the outermost layer.
#[derive(Clone, Debug)]
struct Address(Arc<str>);

/// Leaves the address of whoever asks for everything behind. The other end of the connection, unless it is one of
/// `server.trusted_proxies`: then the last hop of `X-Forwarded-For` that is none of them, since what stands before
/// it anyone may have written.
pub(crate) fn settle_address(app: &App, extensions: &mut Extensions, headers: &HeaderMap) {
    let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<SocketAddr>>() else { return };
    let ranges = app.ranges();
    let found = last_untrusted(ranges.trusted(), peer.ip(), headers);
    extensions.insert(Address(found.to_string().into()));
}

/// What [`settle_address`] found.
pub(crate) fn address_of(extensions: &Extensions) -> Arc<str> {
    extensions.get::<Address>().map_or_else(|| Arc::from(""), |address| Arc::clone(&address.0))
}

fn last_untrusted(trusted: &[Range], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    if trusted.is_empty() {
        return peer;
    }
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.has(address));
    let lines = headers.get_all("x-forwarded-for").iter().map(|line| line.to_str().unwrap_or("?"));
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let mut found = peer;
    for hop in hops.into_iter().rev() {
        if !is_trusted(found) {
            break;
        }
        // A hop that is no address: whoever wrote it is as far as we can see.
        let Some(address) = hop_address(hop) else { break };
        found = address;
    }
    found
}

/// An address, with a port or without.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    hop.parse().ok().or_else(with_port).or_else(bracketed)
}

impl Visitor {
    fn of(parts: &Parts) -> Self {
        let over_tls = parts.extensions.get::<OverTls>().is_some();
        Self { address: address_of(&parts.extensions), headers: parts.headers.clone(), over_tls }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_trusted_proxy_saw_itself_is_believed() {
        let trusted: Vec<Range> = ["10.0.0.0/8", "::1"].map(|range| range.parse().unwrap()).into();
        for (peer, lines, want) in [
            ("198.51.100.7", &["203.0.113.9"][..], "198.51.100.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::1", &["198.51.100.7:1234"], "198.51.100.7"),
            ("10.0.0.1", &["[2001:db8::7]:99"], "2001:db8::7"),
            ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            // What the caller wrote itself stands before what the proxy added.
            ("10.0.0.1", &["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["\u{e9}"], "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", header::HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            let found = last_untrusted(&trusted, peer.parse().unwrap(), &headers);
            assert_eq!(found.to_string(), want, "{peer} {lines:?}");
        }
    }
}
