//! How a caller proves who it is, and which callers are not listened to at all.

use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::app::SharedApp;
use crate::error::Fault;

/// The cookie of a session where nothing is encrypted. `HttpOnly`, `SameSite=Lax`, path `/`.
pub(crate) const SESSION_COOKIE: &str = "bellwether_session";
/// The same over TLS: browsers take a cookie of this name only with `Secure`, from this very host, so that no
/// neighbour under the same domain can plant one.
pub(crate) const SECURE_SESSION_COOKIE: &str = "__Host-bellwether_session";
/// What a page sends with a change, to prove that it is our page.
const CSRF_HEADER: &str = "x-csrf-token";

/// What a request shows.
pub(crate) enum Credential {
    /// An API key.
    Key(String),
    /// A signed access token.
    Token(String),
    /// The cookie of a session.
    Session(String),
}

/// A bearer token, `ApiKey`, the password of basic authentication, or the session cookie, in this order.
pub(crate) fn credential(headers: &HeaderMap, is_https: bool) -> Option<Credential> {
    if let Some(value) = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()) {
        let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
        let rest = rest.trim();
        let key = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => rest.to_owned(),
            // Elasticsearch's clients encode `id:key`; a key as it is has a `_`, which that encoding has not.
            "apikey" => second_of_pair(rest).unwrap_or_else(|| rest.to_owned()),
            "basic" => second_of_pair(rest).unwrap_or_default(),
            // A scheme we do not know proves nothing, and must not count as no credential.
            _ => String::new(),
        };
        // Keys have no full stop; a signed token has two.
        let is_token = key.bytes().filter(|byte| *byte == b'.').count() == 2;
        return Some(if is_token { Credential::Token(key) } else { Credential::Key(key) });
    }
    session_cookie(headers, is_https).map(Credential::Session)
}

/// What stands behind the colon of `BASE64(name:secret)`.
fn second_of_pair(encoded: &str) -> Option<String> {
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    pair.split_once(':').map(|(_, secret)| secret.to_owned())
}

/// The session token that a cookie carries. Where the server is reached over TLS only, the name that anyone
/// could have set counts for nothing.
pub(crate) fn session_cookie(headers: &HeaderMap, is_https: bool) -> Option<String> {
    let plain = || cookie(headers, SESSION_COOKIE).filter(|_| !is_https);
    cookie(headers, SECURE_SESSION_COOKIE).or_else(plain).map(str::to_owned)
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// True for a request to this machine by a name of its own.
pub(crate) fn is_for_loopback(headers: &HeaderMap) -> bool {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).is_some_and(is_loopback_name)
}

/// A change made with a cookie must come from our own page.
pub(crate) fn check_csrf(
    method: &Method,
    headers: &HeaderMap,
    session: &control::SessionPrincipal,
) -> Result<(), Fault> {
    if method.is_safe() {
        return Ok(());
    }
    let given = headers.get(CSRF_HEADER).and_then(|v| v.to_str().ok()).unwrap_or("");
    if session.csrf.matches(given) {
        Ok(())
    } else {
        Err(Fault::Forbidden(format!("{CSRF_HEADER} is missing or wrong: reload the page")))
    }
}

/// What proxies add to a request.
const FORWARDING_HEADERS: [&str; 3] = ["forwarded", "via", "x-real-ip"];
const FORWARDING_PREFIX: &str = "x-forwarded-";

/// A page of another site must not reach us through a visitor's browser: while access is open, neither by a
/// name of its own that resolves to loopback (`Host`) nor by a request it makes itself (`Origin`); and never
/// with the visitor's cookie, which a browser also sends when a page opens a WebSocket. `is_allowed` says that
/// `cors.origins` names the page's site.
pub(crate) fn refuse_strangers(app: &SharedApp, headers: &HeaderMap, is_allowed: bool) -> Result<(), Fault> {
    if app.is_open() {
        if let Some(name) = forwarded_from_elsewhere(headers) {
            return Err(Fault::Forbidden(format!(
                "{name} says that a proxy passed the request on for another machine: behind a proxy set \
                 auth.local = \"required\", and server.external_url"
            )));
        }
        let host = authority(headers, header::HOST)?;
        if !host.is_empty() && !is_loopback_name(host) && !is_allowed_name(app, host) {
            return Err(Fault::Forbidden(format!(
                "Host {host:?} is not this machine: with auth.local = \"open\" use localhost, name it in \
                 server.allowed_hosts, or set auth.local = \"required\""
            )));
        }
    } else if session_cookie(headers, app.is_https()).is_none() {
        return Ok(());
    }
    if is_allowed { Ok(()) } else { refuse_other_sites(app, headers) }
}

/// The header by which a request shows that a proxy passed it on, and not for this machine alone: a program on it,
/// such as Grafana, may do so and then says that whoever asks is on it, too.
fn forwarded_from_elsewhere(headers: &HeaderMap) -> Option<&str> {
    let is_local = |name: &str, value: &str| match name {
        "x-forwarded-for" | "x-real-ip" => value.split(',').all(|hop| is_loopback_hop(hop.trim())),
        "x-forwarded-host" => is_loopback_name(value),
        _ => false,
    };
    let forwarding = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .filter(|(name, _)| FORWARDING_HEADERS.contains(name) || name.starts_with(FORWARDING_PREFIX));
    let mut elsewhere = forwarding.filter(|(name, value)| !value.to_str().is_ok_and(|v| is_local(name, v)));
    elsewhere.next().map(|(name, _)| name)
}

fn is_loopback_hop(hop: &str) -> bool {
    hop.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Refuses what a page of another site asks a browser to do. Requests without `Origin` are no page's, or one
/// that browsers keep from carrying cookies.
pub(crate) fn refuse_other_sites(app: &SharedApp, headers: &HeaderMap) -> Result<(), Fault> {
    let origin = authority(headers, header::ORIGIN)?;
    if origin.is_empty() {
        return Ok(());
    }
    let host = authority(headers, header::HOST)?;
    let same = origin.split_once("://").is_some_and(|(_, name)| {
        name.eq_ignore_ascii_case(host)
            || is_allowed_name(app, name)
            || is_loopback_name(name) && (app.is_open() || is_loopback_name(host))
    });
    if same {
        return Ok(());
    }
    Err(Fault::Forbidden(format!(
        "Origin {origin:?} is another site: if people reach the server by that name, set server.external_url"
    )))
}

/// Leaves in `Host` who the caller talks to, in one spelling: HTTP/2 says it in the URI, and a name may end in a
/// full stop. Whoever says it twice, differently, is refused.
pub(crate) fn settle_host(uri: &Uri, headers: &mut HeaderMap) -> Result<(), Fault> {
    let mut named = headers.get_all(header::HOST).iter();
    let host = named.next().map(|value| value.to_str().map(plain_authority));
    if named.next().is_some() {
        return Err(Fault::invalid("Host", "is given more than once"));
    }
    let of_uri = uri.authority().map(|authority| plain_authority(authority.as_str()));
    let settled = match (of_uri, host) {
        // One that is no text is refused by whoever needs to know it.
        (_, Some(Err(_))) | (None, None) => return Ok(()),
        (Some(uri), Some(Ok(host))) if uri != host => {
            return Err(Fault::invalid("Host", "is another one than the request's address"));
        }
        (Some(settled), _) | (None, Some(Ok(settled))) => settled,
    };
    let value = HeaderValue::try_from(settled).map_err(|error| Fault::invalid("Host", error.to_string()))?;
    headers.insert(header::HOST, value);
    Ok(())
}

/// A name or address and its port in lower case, without a full stop at the end of the name and without who asks.
fn plain_authority(authority: &str) -> String {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest).to_ascii_lowercase();
    let name_ends = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name.len(),
        _ => authority.len(),
    };
    let (name, port) = authority.split_at(name_ends);
    format!("{}{port}", name.strip_suffix('.').unwrap_or(name))
}

/// A header that names who is talked to; empty without it. One that is no text names nobody we know.
fn authority(headers: &HeaderMap, name: header::HeaderName) -> Result<&str, Fault> {
    let Some(value) = headers.get(&name) else { return Ok("") };
    value.to_str().map_err(|_| Fault::Forbidden(format!("{name} is not plain text")))
}

/// One of `server.allowed_hosts`, with or without a port, or the name in `server.external_url`.
fn is_allowed_name(app: &SharedApp, authority: &str) -> bool {
    let settings = app.settings();
    let is =
        |name: &str| name.eq_ignore_ascii_case(authority) || name.eq_ignore_ascii_case(host_of(authority));
    let external = settings.server.external_url.split_once("://").map_or("", |(_, rest)| rest);
    let external = external.split('/').next().unwrap_or("");
    settings.server.allowed_hosts.iter().any(|name| is(name)) || !external.is_empty() && is(external)
}

/// The name or address without the port.
pub(crate) fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => authority.rsplit_once(':').map_or(authority, |(name, _)| name),
    }
}

/// The tenant that the host names: `acme` of `acme.obs.example.com` where `server.external_url` names
/// `obs.example.com`. `None` where the host is that name itself, or another one.
pub(crate) fn subdomain(app: &SharedApp, headers: &HeaderMap) -> Option<String> {
    let host = host_of(headers.get(header::HOST)?.to_str().ok()?).to_ascii_lowercase();
    let settings = app.settings();
    let external = settings.server.external_url.split_once("://")?.1.split('/').next()?;
    let (label, base) = host.split_once('.')?;
    base.eq_ignore_ascii_case(host_of(external)).then(|| label.to_owned())
}

/// `localhost`, `*.localhost` or a loopback address, with or without a port.
fn is_loopback_name(authority: &str) -> bool {
    let name = host_of(authority).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_told_from_others() {
        for (authority, want) in [
            ("localhost", true),
            ("localhost:4300", true),
            ("app.localhost:1", true),
            ("LOCALHOST", true),
            ("127.0.0.1:4300", true),
            ("[::1]:4300", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:80", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(is_loopback_name(authority), want, "{authority}");
        }
    }

    #[test]
    fn who_is_talked_to_has_one_spelling() {
        for (uri, hosts, want) in [
            ("/", &["Acme.Obs.Example"][..], Some("acme.obs.example")),
            ("/", &["acme.obs.example.:443"], Some("acme.obs.example:443")),
            ("/", &["[::1]:4300"], Some("[::1]:4300")),
            ("/", &["[::1]"], Some("[::1]")),
            ("/", &[], None),
            ("https://acme.obs.example./x", &[], Some("acme.obs.example")),
            ("https://acme.obs.example:1/x", &["ACME.obs.example:1"], Some("acme.obs.example:1")),
        ] {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, host.parse().unwrap());
            }
            settle_host(&uri.parse().unwrap(), &mut headers)
                .unwrap_or_else(|fault| panic!("{uri}: {fault:?}"));
            assert_eq!(headers.get(header::HOST).map(|host| host.to_str().unwrap()), want, "{uri} {hosts:?}");
        }
        for (uri, hosts) in [
            ("https://globex.obs.example/", &["acme.obs.example"][..]),
            ("/", &["acme.obs.example", "globex.obs.example"]),
            ("/", &["acme.obs.example", "acme.obs.example"]),
        ] {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, host.parse().unwrap());
            }
            assert!(settle_host(&uri.parse().unwrap(), &mut headers).is_err(), "{uri} {hosts:?}");
        }
    }

    #[test]
    fn keys_come_as_bearer_api_key_or_basic_password() {
        let key = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            match credential(&headers, false) {
                Some(Credential::Key(key)) => key,
                _ => panic!("no key"),
            }
        };
        assert_eq!(key("Bearer abc"), "abc");
        assert_eq!(key("ApiKey abc"), "abc");
        assert_eq!(key("ApiKey bw_abcd"), "bw_abcd");
        assert_eq!(key(&format!("ApiKey {}", STANDARD.encode("id:bw_abcd"))), "bw_abcd");
        assert_eq!(key(&format!("Basic {}", STANDARD.encode("x:a:b"))), "a:b");
        assert_eq!(key("Digest abc"), "");
    }
}
