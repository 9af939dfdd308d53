//! Where a check looks: URLs, `host:port`, hosts.

use std::fmt;

use url::{Host, Url};

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, the latter without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether the scheme asks for TLS.
    pub tls: bool,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A target that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Url(Url),
    Endpoint(Endpoint),
    /// A name, a path or a query.
    Text,
}

/// Schemes of endpoints and whether they ask for TLS.
type Schemes = &'static [(&'static str, bool)];

/// Reads `host:port`, `host` or `scheme://host:port/rest`; gives the rest as well.
pub(super) fn endpoint(
    text: &str,
    schemes: Schemes,
    port: Option<u16>,
) -> Result<(Endpoint, String), String> {
    let (tls, url) = match text.split_once("://") {
        Some((scheme, _)) => {
            let known = schemes.iter().find(|(name, _)| *name == scheme);
            let Some((_, tls)) = known else {
                let names: Vec<&str> = schemes.iter().map(|(name, _)| *name).collect();
                return Err(match names.is_empty() {
                    true => "write it without a scheme, like example.com:443".into(),
                    false => format!("its scheme must be one of {}", names.join(", ")),
                });
            };
            (*tls, text.to_owned())
        }
        None => (false, format!("any://{text}")),
    };
    let url = Url::parse(&url).map_err(|error| format!("write it like example.com:443 ({error})"))?;
    without_credentials(&url)?;
    let host = host_of(&url)?;
    let port = url.port().or(port).ok_or("name the port, like example.com:443")?;
    if port == 0 {
        return Err("port 0 is no port".into());
    }
    Ok((Endpoint { host, port, tls }, url.path().trim_start_matches('/').to_owned()))
}

/// A name server: a host, with port 53 unless it names another.
pub(crate) fn dns_server(text: &str) -> Result<Endpoint, String> {
    endpoint(text, &[], Some(53)).map(|(endpoint, _)| endpoint)
}

/// Reads a URL of one of these schemes.
pub(super) fn url(text: &str, schemes: &[&str]) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("write a URL like {}://example.com/ ({error})", schemes[0]))?;
    if !schemes.contains(&url.scheme()) {
        return Err(format!("its scheme must be one of {}", schemes.join(", ")));
    }
    without_credentials(&url)?;
    host_of(&url)?;
    Ok(url)
}

fn without_credentials(url: &Url) -> Result<(), String> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    Err("take user and password out of the address and write them into config".into())
}

fn host_of(url: &Url) -> Result<String, String> {
    match url.host() {
        Some(Host::Domain(name)) if is_host(name) => Ok(name.to_owned()),
        Some(Host::Ipv4(address)) => Ok(address.to_string()),
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
        _ => Err("name a host, like example.com".into()),
    }
}

fn is_host(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 253 && name.chars().all(letters)
}

/// The endpoint that a URL leads to.
pub(crate) fn endpoint_of(url: &Url) -> Result<Endpoint, String> {
    let host = host_of(url)?;
    let port = url.port_or_known_default().ok_or("it names no port")?;
    Ok(Endpoint { host, port, tls: matches!(url.scheme(), "https" | "wss") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_in_every_usual_form() {
        const SCHEMES: Schemes = &[("redis", false), ("rediss", true)];
        for (text, want) in [
            ("example.com:80", Ok(("example.com:80", false, ""))),
            ("example.com", Ok(("example.com:6379", false, ""))),
            ("10.0.0.1:1", Ok(("10.0.0.1:1", false, ""))),
            ("[::1]:443", Ok(("[::1]:443", false, ""))),
            ("rediss://a_b.c/2", Ok(("a_b.c:6379", true, "2"))),
            ("redis://u:secret@h", Err("take user")),
            ("http://h", Err("its scheme must be one of redis, rediss")),
            ("h:0", Err("port 0")),
            ("h:99999", Err("write it like")),
            ("", Err("")),
            ("a b", Err("")),
        ] {
            let got = endpoint(text, SCHEMES, Some(6379));
            match want {
                Ok((address, tls, rest)) => {
                    let (endpoint, path) = got.unwrap();
                    assert_eq!(
                        (endpoint.to_string().as_str(), endpoint.tls, path.as_str()),
                        (address, tls, rest)
                    );
                }
                Err(start) => assert!(got.unwrap_err().starts_with(start), "{text}"),
            }
        }
        assert!(endpoint("h", SCHEMES, None).is_err());
    }
}
