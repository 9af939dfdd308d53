//! Receivers of an `alertmanager.yml`: each integration says what Alertmanager would, with its own templates.

mod bodies; // what each kind sends
mod load; // from a file to channels

use std::fmt;
use std::sync::Arc;

pub use load::{Origin, channels};

use super::channel::{ChannelFault, ChannelSpec};
use super::{Message, Outgoing, Request, pager};
use crate::routing::{HttpConfig, Integration, IntegrationKind, SecretSource};
use crate::template::{Env, Escape, NoQueries, Notification, NotifiedAlert, TemplateError, Templates, Value};

/// An integration with the templates that its texts may call.
pub struct Upstream {
    receiver: String,
    integration: Integration,
    templates: Templates,
    /// Whether letters go through the mail server that the file names.
    own_relay: bool,
}

// It holds secrets.
impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("key", &self.integration.key).finish_non_exhaustive()
    }
}

// One is made for each reading of a file, and two readings are two.
impl PartialEq for Upstream {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// Renders texts for one message.
struct Writer<'a> {
    templates: &'a Templates,
    data: Value,
    now_ms: i64,
    external_url: &'a str,
    /// Texts are read and not rendered.
    only_read: bool,
}

impl Writer<'_> {
    fn render(&self, field: &str, text: &str, escape: Escape) -> Result<String, ChannelFault> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        let env = Env { now_ms: self.now_ms, external_url: self.external_url, queries: &NoQueries };
        let rendered = self.templates.parse("", text).and_then(|template| match self.only_read {
            true => Ok(String::new()),
            false => template.render(&self.data, &env, escape),
        });
        rendered.map_err(|error: TemplateError| ChannelFault::new(field, error.to_string()))
    }

    fn text(&self, field: &str, text: &str) -> Result<String, ChannelFault> {
        self.render(field, text, Escape::Text)
    }

    fn page(&self, field: &str, text: &str) -> Result<String, ChannelFault> {
        self.render(field, text, Escape::Html)
    }
}

/// A secret that was read when the file was.
fn secret(source: &SecretSource) -> &str {
    match source {
        SecretSource::Inline(secret) => secret.expose(),
        // Reading a file replaced these, so there is none left.
        SecretSource::File(_) => "",
    }
}

impl Upstream {
    /// What is to be sent.
    pub(super) fn compose(&self, message: &Message, now_seconds: i64) -> Result<Outgoing, ChannelFault> {
        self.write(message, now_seconds, false)
    }

    fn write(&self, message: &Message, now_seconds: i64, only_read: bool) -> Result<Outgoing, ChannelFault> {
        let receiver = self.receiver.as_str();
        let alerts = message.alerts.iter().map(|view| NotifiedAlert {
            status: view.status.as_str().to_owned(),
            labels: view.labels.clone(),
            annotations: view.annotations.clone(),
            starts_at_ms: view.starts_at,
            ends_at_ms: view.ends_at,
            generator_url: view.generator_url.clone(),
            fingerprint: view.fingerprint.clone(),
        });
        let labels = message.group_labels.clone();
        let data = Notification::new(receiver, &message.external_url, labels, alerts.collect());
        let writer = Writer {
            templates: &self.templates,
            data: Value::from(&data),
            now_ms: now_seconds.saturating_mul(1_000),
            external_url: &message.external_url,
            only_read,
        };
        let post = |url: &str, body: serde_json::Value| {
            let body = body.to_string().into_bytes();
            let content_type = "application/json";
            Request { url: url.to_owned(), headers: Vec::new(), content_type, body }
        };
        let mut request = match &self.integration.kind {
            IntegrationKind::Email(config) => {
                let to = writer.text("to", &config.to)?;
                let to: Vec<String> =
                    to.split(',').map(bodies::address).filter(|text| !text.is_empty()).collect();
                let letter = bodies::letter(&writer, config, message)?;
                let relay = match self.own_relay {
                    true => Some(bodies::relay(&writer, config)?),
                    false => None,
                };
                return Ok(Outgoing::Mail { to, letter, relay: relay.map(Box::new) });
            }
            IntegrationKind::Slack(config) => post(secret(&config.url), bodies::slack(&writer, config)?),
            IntegrationKind::Webhook(config) => {
                let named = Message { receiver: receiver.to_owned(), ..message.clone() };
                let url = writer.text("url", secret(&config.target))?;
                pager::upstream_webhook(&url, &named, config.max_alerts)
            }
            IntegrationKind::Pagerduty(config) => {
                let (url, body) = bodies::pagerduty(&writer, config, message)?;
                post(&url, body)
            }
            IntegrationKind::Discord(config) => {
                post(secret(&config.url), bodies::discord(&writer, config, message)?)
            }
            IntegrationKind::Telegram(config) => {
                let base = config.api_url.trim_end_matches('/');
                let url = format!("{base}/bot{}/sendMessage", secret(&config.token));
                post(&url, bodies::telegram(&writer, config)?)
            }
            IntegrationKind::MsTeams(config) => {
                post(secret(&config.url), bodies::teams_card(&writer, config, message)?)
            }
            IntegrationKind::MsTeamsV2(config) => {
                post(secret(&config.url), bodies::teams_workflow(&writer, config, message)?)
            }
            IntegrationKind::Mattermost(_)
            | IntegrationKind::GoogleChat(_)
            | IntegrationKind::Ntfy(_)
            | IntegrationKind::Sms(_) => {
                let (spec, title, text) = load::own_kind(&self.integration.kind)?;
                let mut own = message.clone();
                if !title.is_empty() {
                    own.title = writer.text("title", &title)?;
                }
                if !text.is_empty() {
                    own.text = writer.text("text", &text)?;
                }
                match spec.compose(&own, now_seconds)? {
                    Outgoing::Http(request) => request,
                    mail @ Outgoing::Mail { .. } => return Ok(mail),
                }
            }
        };
        request.headers.extend(headers(&self.integration.http));
        Ok(Outgoing::Http(request))
    }
}

/// What `http_config` adds to a request.
fn headers(http: &HttpConfig) -> Vec<(String, String)> {
    use base64::Engine;
    let mut headers = Vec::new();
    if let Some(basic) = &http.basic_auth {
        let pair = format!("{}:{}", basic.username, secret(&basic.password));
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
        headers.push(("authorization".to_owned(), format!("Basic {encoded}")));
    }
    if let Some(given) = &http.authorization {
        let value = format!("{} {}", given.scheme, secret(&given.credentials));
        headers.push(("authorization".to_owned(), value));
    }
    for (name, values) in &http.headers {
        headers.extend(values.iter().map(|value| (name.clone(), value.expose().to_owned())));
    }
    headers
}

/// A channel that is told by an integration.
fn channel(upstream: Upstream) -> ChannelSpec {
    use super::Kind;
    let kind = match &upstream.integration.kind {
        IntegrationKind::Email(_) => Kind::Email,
        IntegrationKind::Slack(_) => Kind::Slack,
        IntegrationKind::Webhook(_) => Kind::Webhook,
        IntegrationKind::Pagerduty(_) => Kind::PagerDuty,
        IntegrationKind::Discord(_) => Kind::Discord,
        IntegrationKind::Telegram(_) => Kind::Telegram,
        IntegrationKind::MsTeams(_) | IntegrationKind::MsTeamsV2(_) => Kind::MsTeams,
        IntegrationKind::Mattermost(_) => Kind::Mattermost,
        IntegrationKind::GoogleChat(_) => Kind::GoogleChat,
        IntegrationKind::Ntfy(_) => Kind::Ntfy,
        IntegrationKind::Sms(_) => Kind::Sms,
    };
    ChannelSpec {
        send_resolved: upstream.integration.send_resolved,
        upstream: Some(Arc::new(upstream)),
        ..ChannelSpec::plain(kind, serde_json::Map::new())
    }
}

#[cfg(test)]
mod tests;
