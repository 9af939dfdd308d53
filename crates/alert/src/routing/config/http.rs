//! `http_config`: how requests of a receiver are made.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::values::{Context, Secret, SecretSource, check_url};
use super::yaml::Flaw;

/// How requests are made. OAuth 2.0, proxies from the environment and proxy headers are refused at load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// A user and a password.
    pub basic_auth: Option<BasicAuth>,
    /// What `Authorization` says otherwise.
    pub authorization: Option<Credentials>,
    /// The proxy; may hold a password.
    pub proxy_url: Option<Secret>,
    /// Trust and own certificate.
    pub tls: TlsConfig,
    /// Whether a redirect is followed.
    pub follow_redirects: bool,
    /// Whether HTTP/2 is offered over TLS.
    pub enable_http2: bool,
    /// Further headers.
    pub headers: BTreeMap<String, Vec<Secret>>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            basic_auth: None,
            authorization: None,
            proxy_url: None,
            tls: TlsConfig::default(),
            follow_redirects: true,
            enable_http2: true,
            headers: BTreeMap::new(),
        }
    }
}

/// A user and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    /// The user.
    pub username: String,
    /// The password.
    pub password: SecretSource,
}

/// `Authorization: <scheme> <credentials>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Usually `Bearer`.
    pub scheme: String,
    /// What follows it.
    pub credentials: SecretSource,
}

/// `tls_config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Trusted authorities, PEM.
    pub ca: Option<String>,
    /// Own certificate, PEM.
    pub cert: Option<String>,
    /// Its key, PEM.
    pub key: Option<Secret>,
    /// File of trusted authorities.
    pub ca_file: Option<PathBuf>,
    /// File with the own certificate.
    pub cert_file: Option<PathBuf>,
    /// File with its key.
    pub key_file: Option<PathBuf>,
    /// The name that the certificate must carry, where it is not the host's.
    pub server_name: Option<String>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// Oldest version spoken, `TLS10` to `TLS13`.
    pub min_version: Option<String>,
    /// Newest version spoken.
    pub max_version: Option<String>,
}

impl TlsConfig {
    pub(super) fn check(&self, context: Context) -> Result<(), Flaw> {
        for (key, path) in
            [("ca_file", &self.ca_file), ("cert_file", &self.cert_file), ("key_file", &self.key_file)]
        {
            if let Some(path) = path {
                context.file(key, path)?;
            }
        }
        for (key, version) in [("min_version", &self.min_version), ("max_version", &self.max_version)] {
            let known = ["TLS10", "TLS11", "TLS12", "TLS13"];
            if version.as_ref().is_some_and(|version| !known.contains(&version.as_str())) {
                return Err(Flaw::at(key, "is not one of TLS10, TLS11, TLS12, TLS13"));
            }
        }
        let own =
            (self.cert.is_some() || self.cert_file.is_some(), self.key.is_some() || self.key_file.is_some());
        match own {
            (true, false) => {
                Err(Flaw::at("cert_file", "a certificate needs its key; give key or key_file too"))
            }
            (false, true) => {
                Err(Flaw::at("key_file", "a key needs its certificate; give cert or cert_file too"))
            }
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BasicAuthYaml {
    username: Option<String>,
    username_file: Option<IgnoredAny>,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AuthorizationYaml {
    #[serde(rename = "type")]
    scheme: Option<String>,
    credentials: Option<Secret>,
    credentials_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HeaderYaml {
    values: Vec<Secret>,
    secrets: Vec<Secret>,
    files: Option<IgnoredAny>,
}

/// As written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HttpYaml {
    basic_auth: Option<BasicAuthYaml>,
    authorization: Option<AuthorizationYaml>,
    bearer_token: Option<Secret>,
    bearer_token_file: Option<PathBuf>,
    proxy_url: Option<Secret>,
    tls_config: Option<TlsConfig>,
    follow_redirects: Option<bool>,
    enable_http2: Option<bool>,
    http_headers: BTreeMap<String, HeaderYaml>,
    oauth2: Option<IgnoredAny>,
    no_proxy: Option<IgnoredAny>,
    proxy_from_environment: Option<bool>,
    proxy_connect_header: Option<IgnoredAny>,
}

impl HttpYaml {
    pub(super) fn check(self, context: Context) -> Result<HttpConfig, Flaw> {
        let foreign = [
            ("oauth2", self.oauth2.is_some()),
            ("no_proxy", self.no_proxy.is_some()),
            ("proxy_from_environment", self.proxy_from_environment == Some(true)),
            ("proxy_connect_header", self.proxy_connect_header.is_some()),
        ];
        if let Some((key, _)) = foreign.into_iter().find(|(_, given)| *given) {
            let known = "basic_auth, authorization, proxy_url, tls_config, follow_redirects, enable_http2, http_headers";
            return Err(Flaw::at(key, format!("is not available; there are {known}")));
        }
        let token = context.secret("bearer_token", &self.bearer_token, &self.bearer_token_file)?;
        let given = [self.basic_auth.is_some(), self.authorization.is_some(), token.is_some()];
        if given.into_iter().filter(|given| *given).count() > 1 {
            let message =
                "at most one of basic_auth, authorization and bearer_token can stand here; remove the others";
            return Err(Flaw::here(message));
        }
        let basic_auth = self.basic_auth.map(|auth| auth.check(context).map_err(|f| f.under("basic_auth")));
        let authorization = match (self.authorization, token) {
            (Some(auth), _) => Some(auth.check(context).map_err(|f| f.under("authorization"))?),
            (None, Some(credentials)) => Some(Credentials { scheme: "Bearer".into(), credentials }),
            (None, None) => None,
        };
        if let Some(proxy) = &self.proxy_url {
            check_url("proxy_url", proxy.expose())?;
        }
        let tls = self.tls_config.unwrap_or_default();
        tls.check(context).map_err(|f| f.under("tls_config"))?;
        let mut headers = BTreeMap::new();
        for (name, header) in self.http_headers {
            if header.files.is_some() {
                let message = "is not available; write the value under secrets";
                return Err(Flaw::at("files", message).under(&name).under("http_headers"));
            }
            headers.insert(name, header.values.into_iter().chain(header.secrets).collect());
        }
        Ok(HttpConfig {
            basic_auth: basic_auth.transpose()?,
            authorization,
            proxy_url: self.proxy_url,
            tls,
            follow_redirects: self.follow_redirects.unwrap_or(true),
            enable_http2: self.enable_http2.unwrap_or(true),
            headers,
        })
    }
}

impl BasicAuthYaml {
    fn check(self, context: Context) -> Result<BasicAuth, Flaw> {
        if self.username_file.is_some() {
            return Err(Flaw::at("username_file", "is not available; write username"));
        }
        let password = context.secret("password", &self.password, &self.password_file)?.unwrap_or_default();
        Ok(BasicAuth { username: self.username.unwrap_or_default(), password })
    }
}

impl AuthorizationYaml {
    fn check(self, context: Context) -> Result<Credentials, Flaw> {
        let scheme = self.scheme.unwrap_or_else(|| "Bearer".into());
        if scheme.eq_ignore_ascii_case("basic") {
            return Err(Flaw::at("type", "Basic is written as basic_auth, with username and password"));
        }
        let credentials = context.secret("credentials", &self.credentials, &self.credentials_file)?;
        Ok(Credentials { scheme, credentials: credentials.unwrap_or_default() })
    }
}
