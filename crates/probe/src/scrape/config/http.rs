//! How a request is made: authentication, TLS, proxy, redirects. Shared by scrapes and HTTP discovery.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::values::Secret;

/// How requests of one job (or one discovery) are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// What proves who asks.
    pub auth: Auth,
    /// Trust and own certificate.
    pub tls: TlsConfig,
    /// Proxy, if any.
    pub proxy: ProxyConfig,
    /// Whether a redirect is followed.
    pub follow_redirects: bool,
    /// Whether HTTP/2 is offered over TLS.
    pub enable_http2: bool,
    /// Further headers.
    pub headers: BTreeMap<String, HeaderValues>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            auth: Auth::None,
            tls: TlsConfig::default(),
            proxy: ProxyConfig::default(),
            follow_redirects: true,
            enable_http2: true,
            headers: BTreeMap::new(),
        }
    }
}

/// A secret in the file itself, or in a file of its own that is read again for every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Written in the configuration.
    Inline(Secret),
    /// In this file, without surrounding white space.
    File(PathBuf),
}

/// What proves who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Nothing.
    None,
    /// `Authorization: Basic`.
    Basic {
        /// The user.
        username: SecretSource,
        /// The password.
        password: SecretSource,
    },
    /// `Authorization: <type> <credentials>`, usually `Bearer`.
    Header {
        /// The scheme.
        kind: String,
        /// What follows it.
        credentials: SecretSource,
    },
    /// A token of an OAuth 2.0 server, by client credentials.
    OAuth2(Box<OAuth2Config>),
}

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth2Config {
    /// Who asks.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretSource,
    /// What for.
    pub scopes: Vec<String>,
    /// Whom.
    pub token_url: String,
    /// Further parameters of the request.
    pub endpoint_params: BTreeMap<String, String>,
    /// Trust and own certificate for the token server.
    pub tls: TlsConfig,
    /// Proxy to the token server.
    pub proxy: ProxyConfig,
}

/// `tls_config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// Trusted authorities, PEM.
    pub ca: Option<String>,
    /// Own certificate, PEM.
    pub cert: Option<String>,
    /// Its key, PEM.
    pub key: Option<Secret>,
    /// File of trusted authorities; instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// File with the own certificate.
    pub cert_file: Option<PathBuf>,
    /// File with its key.
    pub key_file: Option<PathBuf>,
    /// The name that the certificate must carry, where it is not the host's.
    pub server_name: Option<String>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// Oldest version spoken: `TLS12` or `TLS13` (older ones are not spoken at all).
    pub min_version: Option<TlsVersion>,
    /// Newest version spoken.
    pub max_version: Option<TlsVersion>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum TlsVersion {
    /// 1.0; as a minimum it means 1.2, the oldest that is spoken.
    #[serde(rename = "TLS10")]
    Tls10,
    /// 1.1; the same.
    #[serde(rename = "TLS11")]
    Tls11,
    /// 1.2.
    #[serde(rename = "TLS12")]
    Tls12,
    /// 1.3.
    #[serde(rename = "TLS13")]
    Tls13,
}

/// `proxy_url` and its companions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    /// The proxy. May hold a password, so it is a secret as a whole.
    pub url: Option<Secret>,
    /// Hosts reached directly, separated by commas.
    pub no_proxy: Option<String>,
    /// Take both from `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.
    pub from_environment: bool,
    /// Headers sent to the proxy.
    pub connect_headers: BTreeMap<String, Vec<Secret>>,
}

/// Values of one further header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderValues {
    /// In the open.
    pub values: Vec<String>,
    /// Not shown.
    pub secrets: Vec<Secret>,
    /// Read from files.
    pub files: Vec<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BasicAuthYaml {
    username: Option<String>,
    username_file: Option<PathBuf>,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthorizationYaml {
    #[serde(rename = "type")]
    kind: Option<String>,
    credentials: Option<Secret>,
    credentials_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OAuth2Yaml {
    client_id: String,
    client_secret: Option<Secret>,
    client_secret_file: Option<PathBuf>,
    scopes: Option<Vec<String>>,
    token_url: String,
    endpoint_params: Option<BTreeMap<String, String>>,
    tls_config: Option<TlsConfig>,
    proxy_url: Option<Secret>,
    no_proxy: Option<String>,
    proxy_from_environment: Option<bool>,
    proxy_connect_header: Option<BTreeMap<String, Vec<Secret>>>,
}

/// The keys of an HTTP client, gathered from whichever section they stood in.
#[derive(Clone, Debug, Default)]
pub(super) struct HttpYaml {
    pub(super) basic_auth: Option<BasicAuthYaml>,
    pub(super) authorization: Option<AuthorizationYaml>,
    pub(super) oauth2: Option<OAuth2Yaml>,
    pub(super) bearer_token: Option<Secret>,
    pub(super) bearer_token_file: Option<PathBuf>,
    pub(super) tls_config: Option<TlsConfig>,
    pub(super) proxy_url: Option<Secret>,
    pub(super) no_proxy: Option<String>,
    pub(super) proxy_from_environment: Option<bool>,
    pub(super) proxy_connect_header: Option<BTreeMap<String, Vec<Secret>>>,
    pub(super) follow_redirects: Option<bool>,
    pub(super) enable_http2: Option<bool>,
    pub(super) http_headers: Option<BTreeMap<String, HeaderValues>>,
}

/// Declares a section that has the keys of an HTTP client beside its own. `serde(flatten)` would do it too,
/// but then unknown keys pass and messages lose their line.
macro_rules! section_with_http {
    ($(#[$meta:meta])* struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$field_meta])* pub(super) $field: $type,)*
            basic_auth: Option<$crate::scrape::config::http::BasicAuthYaml>,
            authorization: Option<$crate::scrape::config::http::AuthorizationYaml>,
            oauth2: Option<$crate::scrape::config::http::OAuth2Yaml>,
            bearer_token: Option<$crate::scrape::config::values::Secret>,
            bearer_token_file: Option<std::path::PathBuf>,
            tls_config: Option<$crate::scrape::config::http::TlsConfig>,
            proxy_url: Option<$crate::scrape::config::values::Secret>,
            no_proxy: Option<String>,
            proxy_from_environment: Option<bool>,
            proxy_connect_header:
                Option<std::collections::BTreeMap<String, Vec<$crate::scrape::config::values::Secret>>>,
            follow_redirects: Option<bool>,
            enable_http2: Option<bool>,
            http_headers:
                Option<std::collections::BTreeMap<String, $crate::scrape::config::http::HeaderValues>>,
        }

        impl $name {
            /// Its keys of an HTTP client.
            pub(super) fn http(&self) -> $crate::scrape::config::http::HttpYaml {
                let own = self.clone();
                $crate::scrape::config::http::HttpYaml {
                    basic_auth: own.basic_auth,
                    authorization: own.authorization,
                    oauth2: own.oauth2,
                    bearer_token: own.bearer_token,
                    bearer_token_file: own.bearer_token_file,
                    tls_config: own.tls_config,
                    proxy_url: own.proxy_url,
                    no_proxy: own.no_proxy,
                    proxy_from_environment: own.proxy_from_environment,
                    proxy_connect_header: own.proxy_connect_header,
                    follow_redirects: own.follow_redirects,
                    enable_http2: own.enable_http2,
                    http_headers: own.http_headers,
                }
            }
        }
    };
}
pub(super) use section_with_http;

/// A key and what is wrong with it.
pub(super) type KeyError = (&'static str, String);

impl HttpYaml {
    /// Checks what belongs together; `resolve` makes relative paths absolute.
    pub(super) fn check(self, resolve: &dyn Fn(PathBuf) -> PathBuf) -> Result<HttpConfig, KeyError> {
        let given = [
            ("basic_auth", self.basic_auth.is_some()),
            ("authorization", self.authorization.is_some()),
            ("oauth2", self.oauth2.is_some()),
            ("bearer_token", self.bearer_token.is_some()),
            ("bearer_token_file", self.bearer_token_file.is_some()),
        ];
        let mut ways = given.into_iter().filter(|(_, given)| *given).map(|(key, _)| key);
        if let (Some(first), Some(second)) = (ways.next(), ways.next()) {
            return Err((second, format!("cannot stand beside {first}; keep one of them")));
        }
        let auth = if let Some(basic) = self.basic_auth {
            check_basic(basic, resolve)?
        } else if let Some(header) = self.authorization {
            check_authorization(header, resolve)?
        } else if let Some(oauth2) = self.oauth2 {
            Auth::OAuth2(Box::new(check_oauth2(oauth2, resolve)?))
        } else if self.bearer_token.is_some() || self.bearer_token_file.is_some() {
            let credentials = one_of("bearer_token", self.bearer_token, self.bearer_token_file, resolve)?;
            Auth::Header { kind: "Bearer".into(), credentials }
        } else {
            Auth::None
        };
        let mut headers = self.http_headers.unwrap_or_default();
        for values in headers.values_mut() {
            values.files = std::mem::take(&mut values.files).into_iter().map(resolve).collect();
        }
        Ok(HttpConfig {
            auth,
            tls: check_tls(self.tls_config, resolve)?,
            proxy: check_proxy(
                self.proxy_url,
                self.no_proxy,
                self.proxy_from_environment,
                self.proxy_connect_header,
            )?,
            follow_redirects: self.follow_redirects.unwrap_or(true),
            enable_http2: self.enable_http2.unwrap_or(true),
            headers,
        })
    }
}

fn one_of(
    key: &'static str,
    inline: Option<Secret>,
    file: Option<PathBuf>,
    resolve: &dyn Fn(PathBuf) -> PathBuf,
) -> Result<SecretSource, KeyError> {
    match (inline, file) {
        (Some(_), Some(_)) => Err((key, format!("{key} and {key}_file are both given; keep one of them"))),
        (_, Some(file)) => Ok(SecretSource::File(resolve(file))),
        (inline, None) => Ok(SecretSource::Inline(inline.unwrap_or_default())),
    }
}

fn check_basic(yaml: BasicAuthYaml, resolve: &dyn Fn(PathBuf) -> PathBuf) -> Result<Auth, KeyError> {
    Ok(Auth::Basic {
        username: one_of(
            "basic_auth.username",
            yaml.username.map(Secret::from),
            yaml.username_file,
            resolve,
        )?,
        password: one_of("basic_auth.password", yaml.password, yaml.password_file, resolve)?,
    })
}

fn check_authorization(
    yaml: AuthorizationYaml,
    resolve: &dyn Fn(PathBuf) -> PathBuf,
) -> Result<Auth, KeyError> {
    let kind = yaml.kind.map(|kind| kind.trim().to_owned()).filter(|kind| !kind.is_empty());
    let kind = kind.unwrap_or_else(|| "Bearer".into());
    if kind.eq_ignore_ascii_case("basic") {
        return Err(("authorization.type", "cannot be \"basic\"; use basic_auth instead".into()));
    }
    let credentials = one_of("authorization.credentials", yaml.credentials, yaml.credentials_file, resolve)?;
    Ok(Auth::Header { kind, credentials })
}

fn check_oauth2(yaml: OAuth2Yaml, resolve: &dyn Fn(PathBuf) -> PathBuf) -> Result<OAuth2Config, KeyError> {
    for (key, value) in [("oauth2.client_id", &yaml.client_id), ("oauth2.token_url", &yaml.token_url)] {
        if value.is_empty() {
            return Err((key, "must not be empty".into()));
        }
    }
    if yaml.client_secret.is_none() && yaml.client_secret_file.is_none() {
        return Err(("oauth2.client_secret", "or client_secret_file must be given".into()));
    }
    let client_secret = one_of("oauth2.client_secret", yaml.client_secret, yaml.client_secret_file, resolve)?;
    Ok(OAuth2Config {
        client_id: yaml.client_id,
        client_secret,
        scopes: yaml.scopes.unwrap_or_default(),
        token_url: yaml.token_url,
        endpoint_params: yaml.endpoint_params.unwrap_or_default(),
        tls: check_tls(yaml.tls_config, resolve)?,
        proxy: check_proxy(
            yaml.proxy_url,
            yaml.no_proxy,
            yaml.proxy_from_environment,
            yaml.proxy_connect_header,
        )?,
    })
}

fn check_tls(yaml: Option<TlsConfig>, resolve: &dyn Fn(PathBuf) -> PathBuf) -> Result<TlsConfig, KeyError> {
    let mut tls = yaml.unwrap_or_default();
    for file in [&mut tls.ca_file, &mut tls.cert_file, &mut tls.key_file] {
        // Prometheus takes an empty name as none.
        *file = file.take().filter(|path| !path.as_os_str().is_empty()).map(resolve);
    }
    if tls.ca.is_some() && tls.ca_file.is_some() {
        return Err(("tls_config.ca", "ca and ca_file are both given; keep one of them".into()));
    }
    let cert = u8::from(tls.cert.is_some()) + u8::from(tls.cert_file.is_some());
    let key = u8::from(tls.key.is_some()) + u8::from(tls.key_file.is_some());
    if cert != key || cert > 1 {
        let message = "a certificate needs exactly one of cert and cert_file, and one of key and key_file";
        return Err(("tls_config.cert", message.into()));
    }
    if let (Some(min), Some(max)) = (tls.min_version, tls.max_version)
        && min > max
    {
        return Err(("tls_config.max_version", "is below min_version".into()));
    }
    if tls.max_version.is_some_and(|max| max < TlsVersion::Tls12) {
        return Err(("tls_config.max_version", "TLS before 1.2 is not spoken; use TLS12 or TLS13".into()));
    }
    Ok(tls)
}

fn check_proxy(
    url: Option<Secret>,
    no_proxy: Option<String>,
    from_environment: Option<bool>,
    connect_headers: Option<BTreeMap<String, Vec<Secret>>>,
) -> Result<ProxyConfig, KeyError> {
    let url = url.filter(|url| !url.reveal().is_empty());
    let from_environment = from_environment.unwrap_or(false);
    if from_environment && (url.is_some() || no_proxy.is_some()) {
        let message = "cannot stand beside proxy_url and no_proxy; keep either";
        return Err(("proxy_from_environment", message.into()));
    }
    if no_proxy.is_some() && url.is_none() {
        return Err(("no_proxy", "needs proxy_url".into()));
    }
    Ok(ProxyConfig { url, no_proxy, from_environment, connect_headers: connect_headers.unwrap_or_default() })
}
