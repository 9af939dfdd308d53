//! Requests with the key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use super::Remote;
use crate::compose::Failure;

/// Longest wait for the head of an answer; the body may take its time.
const TIMEOUT: Duration = Duration::from_secs(150);
/// How much of an answer that is no JSON is shown.
const SHOWN_BYTES: usize = 400;

/// A client of one server.
pub(super) struct Client {
    http: reqwest::Client,
    remote: Remote,
    /// The tenant that the key must be of.
    tenant: Option<String>,
}

impl Client {
    pub(super) fn new(remote: &Remote) -> Result<Self, Failure> {
        let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(10)).build()?;
        Ok(Self { http, remote: remote.clone(), tenant: None })
    }

    /// The same, whose requests the server refuses where the key belongs to another tenant.
    pub(super) fn of_tenant(self, tenant: Option<&str>) -> Self {
        Self { tenant: tenant.map(str::to_owned), ..self }
    }

    /// `POST` of JSON.
    pub(super) async fn post(&self, path: &str, body: &Value, accept: &str) -> Result<Response, Failure> {
        let request = self.http.post(self.url(path)).header("accept", accept);
        self.send(request.header("content-type", "application/json").body(body.to_string())).await
    }

    /// `GET` with parameters.
    pub(super) async fn get(&self, path: &str, parameters: &[(&str, String)]) -> Result<Response, Failure> {
        let mut url = url::Url::parse(&self.url(path))?;
        url.query_pairs_mut().extend_pairs(parameters);
        self.send(self.http.get(url)).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.remote.url.trim_end_matches('/'))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let request = match &self.remote.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let request = match &self.tenant {
            Some(tenant) => request.header("x-tenant-id", tenant),
            None => request,
        };
        let sent = tokio::time::timeout(TIMEOUT, request.send()).await;
        let response =
            sent.map_err(|_| format!("{} did not answer within {TIMEOUT:?}", self.remote.url))?.map_err(
                |error| format!("cannot reach {}: {error}; name the server with --url", self.remote.url),
            )?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        Err(format!("{} answered {status}: {}", self.remote.url, said(&text)).into())
    }
}

/// The body of an answer.
pub(super) async fn json(response: Response) -> Result<Value, Failure> {
    Ok(serde_json::from_slice(&response.bytes().await?)?)
}

/// The message in an error's body.
fn said(text: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(text).ok();
    let message = parsed.as_ref().and_then(|body| {
        body["error"]["message"].as_str().or(body["error"].as_str()).or(body["message"].as_str())
    });
    let faults = parsed.as_ref().and_then(|body| body["error"]["faults"].as_array());
    match (message, faults) {
        (Some(message), Some(faults)) if !faults.is_empty() => {
            let first = message.lines().next().unwrap_or_default().split(". ").next().unwrap_or_default();
            let lines = faults.iter().map(|fault| format!("\n  {}", fault_line(fault)));
            std::iter::once(first.to_owned()).chain(lines).collect()
        }
        (Some(message), _) => message.to_owned(),
        (None, _) => text[..text.floor_char_boundary(SHOWN_BYTES)].to_owned(),
    }
}

/// One of several faults of a set of documents.
fn fault_line(fault: &Value) -> String {
    let text = |name: &str| fault[name].as_str().unwrap_or_default();
    let place = match text("file") {
        "" => String::new(),
        file => format!("{file}, document {}: ", fault["document"]),
    };
    format!("{place}{}: {}", text("field"), text("message"))
}

/// Seconds since the Unix epoch.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
