//! Requests of one job: one connection pool, with its authentication, TLS and proxy.

mod oauth; // tokens by client credentials
mod tls; // whom to trust

use std::path::PathBuf;
use std::time::Duration;

use kit::SharedClock;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{NoProxy, Proxy, Response, redirect};
use url::Url;

use super::config::{Auth, HttpConfig, ProxyConfig, SecretSource, TlsConfig};
use super::error::ScrapeError;
use oauth::TokenSource;

/// Redirects followed at most, as in Go's client, which Prometheus uses.
const REDIRECTS_MAX: usize = 10;

/// Idle connections to one target: a scrape uses one.
const IDLE_MAX: usize = 2;

/// Idle connections are kept longer than most intervals.
const IDLE_TIMEOUT: Duration = Duration::from_secs(330);

/// Largest file that holds a secret.
const SECRET_BYTES_MAX: u64 = 1 << 20;

/// A pool of connections with what every request needs.
#[derive(Debug)]
pub(crate) struct HttpClient {
    http: reqwest::Client,
    config: HttpConfig,
    tokens: Option<TokenSource>,
}

impl HttpClient {
    /// Reads certificates and builds the pool. Blocks on the disk for small files.
    pub(crate) fn new(
        config: &HttpConfig,
        compression: bool,
        user_agent: &str,
        clock: &SharedClock,
    ) -> Result<Self, ScrapeError> {
        let redirects = if config.follow_redirects {
            redirect::Policy::limited(REDIRECTS_MAX)
        } else {
            redirect::Policy::none()
        };
        let builder = pool(&config.tls, &config.proxy, config.enable_http2)?
            .redirect(redirects)
            .gzip(compression)
            .user_agent(user_agent);
        let tokens = match &config.auth {
            Auth::OAuth2(oauth) => {
                let builder = pool(&oauth.tls, &oauth.proxy, true)?.user_agent(user_agent);
                let config = oauth.as_ref().clone();
                Some(TokenSource::new(build(builder)?, config, clock.clone()))
            }
            Auth::None | Auth::Basic { .. } | Auth::Header { .. } => None,
        };
        Ok(Self { http: build(builder)?, config: config.clone(), tokens })
    }

    /// Sends a GET and returns the answer once its head is there, whatever its status.
    pub(crate) async fn get(&self, url: &Url, mut headers: HeaderMap) -> Result<Response, ScrapeError> {
        self.add_headers(&mut headers).await?;
        if let Some(value) = self.authorization().await? {
            headers.insert(AUTHORIZATION, value);
        }
        let response = self.http.get(url.clone()).headers(headers).send().await.map_err(request_error)?;
        if response.status() == reqwest::StatusCode::UNAUTHORIZED
            && let Some(tokens) = &self.tokens
        {
            // The token may have been revoked before its time; the next request fetches another.
            tokens.forget().await;
        }
        Ok(response)
    }

    async fn authorization(&self) -> Result<Option<HeaderValue>, ScrapeError> {
        let value = match &self.config.auth {
            Auth::None => return Ok(None),
            Auth::Basic { username, password } => basic(&secret(username).await?, &secret(password).await?),
            Auth::Header { kind, credentials } => format!("{kind} {}", secret(credentials).await?),
            Auth::OAuth2(_) => match &self.tokens {
                Some(tokens) => tokens.header().await?,
                None => return Ok(None),
            },
        };
        sensitive(&value).map(Some)
    }

    async fn add_headers(&self, headers: &mut HeaderMap) -> Result<(), ScrapeError> {
        for (name, values) in &self.config.headers {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| ScrapeError::Client(format!("http_headers: {name:?} is no header name")))?;
            for value in &values.values {
                headers.append(&name, sensitive(value)?);
            }
            for value in &values.secrets {
                headers.append(&name, sensitive(value.reveal())?);
            }
            for file in &values.files {
                headers.append(&name, sensitive(&read_secret(file).await?)?);
            }
        }
        Ok(())
    }
}

/// The files whose change means that a client must be built anew.
pub(crate) fn files(config: &HttpConfig) -> Vec<PathBuf> {
    let mut files = tls::files(&config.tls);
    if let Auth::OAuth2(oauth) = &config.auth {
        files.extend(tls::files(&oauth.tls));
    }
    files
}

fn pool(tls: &TlsConfig, proxy: &ProxyConfig, http2: bool) -> Result<reqwest::ClientBuilder, ScrapeError> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client_config(tls, http2)?)
        .pool_max_idle_per_host(IDLE_MAX)
        .pool_idle_timeout(IDLE_TIMEOUT);
    if !http2 {
        builder = builder.http1_only();
    }
    if proxy.from_environment {
        return Ok(builder);
    }
    builder = builder.no_proxy();
    let Some(url) = &proxy.url else { return Ok(builder) };
    // The address may hold a password, so the error does not repeat it.
    let mut through = Proxy::all(url.reveal())
        .map_err(|_| ScrapeError::Client("proxy_url is not the address of a proxy".into()))?;
    if let Some(hosts) = &proxy.no_proxy {
        through = through.no_proxy(NoProxy::from_string(hosts));
    }
    if !proxy.connect_headers.is_empty() {
        through = through.headers(connect_headers(proxy)?);
    }
    Ok(builder.proxy(through))
}

fn connect_headers(proxy: &ProxyConfig) -> Result<HeaderMap, ScrapeError> {
    let mut headers = HeaderMap::new();
    for (name, values) in &proxy.connect_headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| ScrapeError::Client(format!("proxy_connect_header: {name:?} is no header name")))?;
        for value in values {
            headers.append(&name, sensitive(value.reveal())?);
        }
    }
    Ok(headers)
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, ScrapeError> {
    builder.build().map_err(|e| ScrapeError::Client(describe(&e)))
}

/// `Basic` credentials.
fn basic(username: &str, password: &str) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    format!("Basic {encoded}")
}

/// A header value that no log shows.
fn sensitive(value: &str) -> Result<HeaderValue, ScrapeError> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| ScrapeError::Client("a header value or credential holds a line break".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The text of a secret; a file is read every time, so that a rotated secret is used at once.
async fn secret(source: &SecretSource) -> Result<String, ScrapeError> {
    match source {
        SecretSource::Inline(secret) => Ok(secret.reveal().to_owned()),
        SecretSource::File(file) => read_secret(file).await,
    }
}

async fn read_secret(file: &std::path::Path) -> Result<String, ScrapeError> {
    let fault = |e: String| ScrapeError::Client(format!("{} cannot be read: {e}", file.display()));
    let size = tokio::fs::metadata(file).await.map_err(|e| fault(e.to_string()))?.len();
    if size > SECRET_BYTES_MAX {
        return Err(fault(format!("it has {size} bytes, at most {SECRET_BYTES_MAX} are read")));
    }
    let text = tokio::fs::read_to_string(file).await.map_err(|e| fault(e.to_string()))?;
    Ok(text.trim().to_owned())
}

/// What went wrong, with its causes and without the address, which may hold secrets.
pub(crate) fn request_error(error: reqwest::Error) -> ScrapeError {
    ScrapeError::Request(describe(&error.without_url()))
}

fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
