//! Requests to addresses that tenants name: exporters, checks, webhooks, single sign-on.
//!
//! Where a request goes is judged when it connects, and the connection is made to the very address that was judged,
//! so a name that resolves differently the second time gains nothing. Metadata services of clouds and link-local
//! addresses are never reached, loopback and private addresses only by the tenants of whoever runs the server.
//! Proxies of the environment are not used, since behind one nothing could be judged.

mod address; // which address is what

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Method, RequestBuilder, redirect};
use url::{Host, Url};

pub(crate) use address::Range;
use address::{Class, class_of};

/// Redirects that are followed where they are.
const REDIRECTS_MAX: usize = 5;

/// Why a request is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// No URL that we ask.
    #[error("{0:?} is no URL that can be asked: {1}")]
    Url(String, &'static str),
    /// An address that nobody reaches from here.
    #[error("{0} is a link-local, metadata or multicast address, which is never reached")]
    Never(IpAddr),
    /// An address that this tenant does not reach.
    #[error("{0} is a private address; an operator may allow it in server.outbound_ranges")]
    Private(IpAddr),
    /// A name without an address.
    #[error("{0:?} has no address")]
    NoAddress(String),
}

/// Which addresses may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Whether loopback and private addresses are.
    private: bool,
    /// Private ranges that are whoever asks.
    ranges: Vec<Range>,
}

impl Policy {
    /// What a tenant may reach. `default` and `platform` belong to whoever runs the server.
    pub(crate) fn of(tenant: &TenantId, ranges: Vec<Range>) -> Self {
        Self { private: matches!(tenant.as_str(), "default" | "platform"), ranges }
    }

    /// Public addresses alone, for those that a stranger named.
    pub(crate) fn public() -> Self {
        Self { private: false, ranges: Vec::new() }
    }

    /// Judges an address.
    pub(crate) fn judge(&self, address: IpAddr) -> Result<(), Refused> {
        match class_of(address) {
            Class::Public => Ok(()),
            Class::Private if self.private || self.ranges.iter().any(|range| range.has(address)) => Ok(()),
            Class::Private => Err(Refused::Private(address)),
            Class::Never => Err(Refused::Never(address)),
        }
    }

    /// Judges what can be judged of a URL before its name is resolved.
    pub(crate) fn judge_url(&self, url: &Url) -> Result<(), Refused> {
        let refuse = |why| Err(Refused::Url(without_credentials(url), why));
        if !matches!(url.scheme(), "http" | "https") {
            return refuse("its scheme is neither http nor https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("a user or password belongs into a header");
        }
        match url.host() {
            // An address is connected to without asking a resolver.
            Some(Host::Ipv4(address)) => self.judge(address.into()),
            Some(Host::Ipv6(address)) => self.judge(address.into()),
            Some(Host::Domain(_)) => Ok(()),
            None => refuse("it names no host"),
        }
    }
}

/// What is done when the other side points elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// Its answer is the answer: what was sent along, such as a header with a key, is for nobody else.
    Refused,
    /// Up to five are followed, each judged like the first.
    #[allow(dead_code, reason = "checks, which come next, follow redirects")]
    Judged,
}

/// A client that reaches what its policy allows.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    policy: Arc<Policy>,
    client: Client,
}

impl Outbound {
    /// A client whose requests may take so long.
    pub(crate) fn new(
        policy: Policy,
        redirects: Redirects,
        timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        let policy = Arc::new(policy);
        let of_redirects = Arc::clone(&policy);
        let redirects = match redirects {
            Redirects::Refused => redirect::Policy::none(),
            Redirects::Judged => {
                redirect::Policy::custom(move |next| match of_redirects.judge_url(next.url()) {
                    Err(refused) => next.error(refused),
                    Ok(()) if next.previous().len() > REDIRECTS_MAX => next.stop(),
                    Ok(()) => next.follow(),
                })
            }
        };
        let client = Client::builder()
            .timeout(timeout)
            .redirect(redirects)
            .no_proxy()
            .dns_resolver(Arc::new(Judge(Arc::clone(&policy))))
            .build()?;
        Ok(Self { policy, client })
    }

    /// The policy it was made for.
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Begins a request.
    pub(crate) fn request(&self, method: Method, url: &str) -> Result<RequestBuilder, Refused> {
        let url = Url::parse(url).map_err(|_| Refused::Url(String::new(), "it cannot be read"))?;
        self.policy.judge_url(&url)?;
        Ok(self.client.request(method, url))
    }
}

/// Resolves names to the addresses that may be reached.
struct Judge(Arc<Policy>);

impl Resolve for Judge {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.0);
        Box::pin(async move {
            let mut refused = Refused::NoAddress(name.as_str().to_owned());
            let mut reached = Vec::new();
            // The port is the request's own.
            for address in tokio::net::lookup_host((name.as_str(), 0)).await? {
                match policy.judge(address.ip()) {
                    Ok(()) => reached.push(address),
                    Err(error) => refused = error,
                }
            }
            if reached.is_empty() {
                return Err(refused.into());
            }
            let reached: Addrs = Box::new(reached.into_iter());
            Ok(reached)
        })
    }
}

/// An error with all that caused it: the outermost of a request only says that it failed.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A URL for messages: without user, password and query, which may hold secrets.
pub(crate) fn without_credentials(url: &Url) -> String {
    let host = url.host_str().unwrap_or("");
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests;
