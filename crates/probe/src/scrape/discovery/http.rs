//! A server that lists target groups as JSON.

use std::time::Duration;

use kit::SharedClock;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::{Sender, groups};
use crate::scrape::client::request_error;
use crate::scrape::clients::ClientSource;
use crate::scrape::config::{HttpConfig, Period, StaticYaml, TargetGroup};
use crate::scrape::error::ScrapeError;

/// Largest list that is read.
const BODY_BYTES_MAX: usize = 64 << 20;

/// Longest wait for an answer.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

pub(super) async fn run(
    url: String,
    http: HttpConfig,
    refresh: Period,
    mut found: Sender,
    clock: SharedClock,
    user_agent: String,
) {
    let clients = ClientSource::new(http, true, &user_agent, clock.clone());
    loop {
        let timeout = TIMEOUT_MAX.min(refresh.0);
        let asked = kit::timeout(clock.as_ref(), timeout, ask(&clients, &url, refresh)).await;
        match asked.unwrap_or(Err(ScrapeError::Timeout(Period(timeout)))) {
            Ok(groups) => found.send(groups, None).await,
            Err(error) => found.fail(format!("http_sd_configs: {error}")).await,
        }
        clock.sleep(refresh.0).await;
    }
}

async fn ask(clients: &ClientSource, url: &str, refresh: Period) -> Result<Vec<TargetGroup>, ScrapeError> {
    let parsed = Url::parse(url).map_err(|e| ScrapeError::Request(e.to_string()))?;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Ok(seconds) = HeaderValue::from_str(&refresh.0.as_secs_f64().to_string()) {
        headers.insert(HeaderName::from_static("x-prometheus-refresh-interval-seconds"), seconds);
    }
    let client = clients.get().await?;
    let mut response = client.get(&parsed, headers).await?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(ScrapeError::Status(response.status().to_string()));
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(ScrapeError::ContentType("the list must be application/json".into()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(request_error)? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_BYTES_MAX {
            return Err(ScrapeError::BodyTooLarge(BODY_BYTES_MAX as u64));
        }
    }
    let yaml: Vec<StaticYaml> =
        serde_json::from_slice(&body).map_err(|e| ScrapeError::Parse(e.to_string()))?;
    Ok(groups(yaml, &[("__meta_url", url)]))
}
