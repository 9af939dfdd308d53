//! Tokens of an OAuth 2.0 server, by client credentials.

use std::time::Duration;

use kit::SharedClock;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::{basic, request_error, secret, sensitive};
use crate::scrape::config::{OAuth2Config, short};
use crate::scrape::error::ScrapeError;

/// A token is renewed this long before it ends, so that none ends on its way.
const MARGIN: Duration = Duration::from_secs(10);

/// Largest answer of a token server.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Fetches tokens and keeps the last one while it is valid.
pub(super) struct TokenSource {
    http: reqwest::Client,
    config: OAuth2Config,
    clock: SharedClock,
    token: Mutex<Option<Token>>,
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenSource({})", self.config.client_id)
    }
}

struct Token {
    header: String,
    /// By the clock that never goes back; `None` where the server did not say.
    ends: Option<Duration>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<f64>,
}

impl TokenSource {
    pub(super) fn new(http: reqwest::Client, config: OAuth2Config, clock: SharedClock) -> Self {
        Self { http, config, clock, token: Mutex::new(None) }
    }

    /// The value of `Authorization`. Requests that come together wait for one token.
    pub(super) async fn header(&self) -> Result<String, ScrapeError> {
        let mut token = self.token.lock().await;
        let now = self.clock.monotonic();
        if let Some(token) = token.as_ref().filter(|t| t.ends.is_none_or(|ends| now + MARGIN < ends)) {
            return Ok(token.header.clone());
        }
        let answer = self.fetch().await?;
        let kind = answer.token_type.filter(|kind| !kind.eq_ignore_ascii_case("bearer"));
        let header = format!("{} {}", kind.as_deref().unwrap_or("Bearer"), answer.access_token);
        let lasts = answer.expires_in.filter(|s| *s > 0.0 && s.is_finite());
        let ends = lasts.map(|seconds| now + Duration::from_secs_f64(seconds.min(1e9)));
        *token = Some(Token { header: header.clone(), ends });
        Ok(header)
    }

    /// Makes the next request fetch a new token.
    pub(super) async fn forget(&self) {
        *self.token.lock().await = None;
    }

    /// Servers take the client's secret as basic authentication, or else as parameters.
    async fn fetch(&self) -> Result<Answer, ScrapeError> {
        let client_secret = secret(&self.config.client_secret).await?;
        match self.ask(&client_secret, true).await {
            Ok(answer) => Ok(answer),
            Err(ScrapeError::Status(_)) => self.ask(&client_secret, false).await,
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, client_secret: &str, in_header: bool) -> Result<Answer, ScrapeError> {
        let fault = |e: String| ScrapeError::Client(format!("oauth2: {e}"));
        let config = &self.config;
        let request = self
            .http
            .post(&config.token_url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form(config, (!in_header).then_some(client_secret)));
        let request = if in_header {
            let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let value = basic(&encode(&config.client_id), &encode(client_secret));
            request.header(AUTHORIZATION, sensitive(&value)?)
        } else {
            request
        };
        let mut response = request.send().await.map_err(request_error)?;
        if !response.status().is_success() {
            return Err(ScrapeError::Status(format!("{} (oauth2 token)", response.status())));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(request_error)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(fault(format!("the token is larger than {ANSWER_BYTES_MAX} bytes")));
            }
        }
        // The parser's message repeats no value of a known field, but the answer is a secret as a whole.
        serde_json::from_slice(&body)
            .map_err(|_| fault(format!("{} answered no token", short(&config.token_url))))
    }
}

/// The parameters of a request, with the client's own where it is not in a header.
fn form(config: &OAuth2Config, client_secret: Option<&str>) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !config.scopes.is_empty() {
        form.append_pair("scope", &config.scopes.join(" "));
    }
    form.extend_pairs(&config.endpoint_params);
    if let Some(client_secret) = client_secret {
        form.append_pair("client_id", &config.client_id).append_pair("client_secret", client_secret);
    }
    form.finish()
}
