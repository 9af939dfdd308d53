//! From a file to channels. What we lack is refused with its line, never left out in silence.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::channel::{ChannelFault, ChannelSpec};
use super::super::{Event, Kind, Message, Status};
use super::{Upstream, channel, secret};
use crate::Labels;
use crate::routing::{
    AlertmanagerFile, ConfigError, HttpConfig, Integration, IntegrationKind, Secret, SecretSource, TlsConfig,
};
use crate::severity::{Priority, Severity};
use crate::template::Templates;

/// Where a file came from.
pub struct Origin<'a> {
    /// Its name in messages.
    pub file: &'a Path,
    /// Its text, for lines.
    pub text: &'a str,
    /// Its template files, on top of Alertmanager's own.
    pub templates: Templates,
    /// Whether letters go through the mail server that it names: only for a file that the operator put on the disk. Others'
    /// go through the server's own.
    pub own_relay: bool,
    /// Reads a file that holds a secret.
    pub read: &'a dyn Fn(&Path) -> Result<String, String>,
}

/// Channels with their names.
type Channels = Vec<(String, Arc<ChannelSpec>)>;

/// The channels of each receiver.
pub fn channels(
    file: &AlertmanagerFile,
    origin: &Origin<'_>,
) -> Result<BTreeMap<String, Channels>, ConfigError> {
    let mut receivers = BTreeMap::new();
    for (n, receiver) in file.receivers.iter().enumerate() {
        let mut channels = Vec::with_capacity(receiver.integrations.len());
        for integration in &receiver.integrations {
            let made = make(&receiver.name, integration, origin).map_err(|fault| {
                let place = (n, integration.key.as_str(), fault.field.as_str());
                ConfigError::of_integration(origin.file, origin.text, place, fault.message)
            })?;
            channels.push((format!("{}/{}", receiver.name, integration.key), Arc::new(made)));
        }
        receivers.insert(receiver.name.clone(), channels);
    }
    Ok(receivers)
}

fn make(receiver: &str, integration: &Integration, origin: &Origin<'_>) -> Result<ChannelSpec, ChannelFault> {
    let mut integration = integration.clone();
    check_http(&integration.http)?;
    if let IntegrationKind::Email(config) = &integration.kind {
        check_mail(config)?;
    }
    for source in secrets(&mut integration) {
        if let SecretSource::File(path) = source {
            let text = (origin.read)(path);
            let text = text.map_err(|error| ChannelFault::new("", format!("{}: {error}", path.display())))?;
            *source = SecretSource::Inline(Secret::of(text.trim()));
        }
    }
    let upstream = Upstream {
        receiver: receiver.to_owned(),
        integration,
        templates: origin.templates.clone(),
        own_relay: origin.own_relay,
    };
    // Every text is read once, so that a function that we lack is found now and not when somebody is to be woken.
    upstream.write(&nothing(), 0, true)?;
    Ok(channel(upstream))
}

fn check_http(http: &HttpConfig) -> Result<(), ChannelFault> {
    let lacking = |key: &str, instead: &str| {
        Err(ChannelFault::new(&format!("http_config.{key}"), format!("is not available; {instead}")))
    };
    if http.proxy_url.is_some() {
        return lacking("proxy_url", "requests go straight to the receiver");
    }
    if http.tls != TlsConfig::default() {
        return lacking("tls_config", "receivers need a certificate that the system trusts");
    }
    Ok(())
}

fn check_mail(config: &crate::routing::EmailConfig) -> Result<(), ChannelFault> {
    if config.tls != TlsConfig::default() {
        let message = "is not available; the mail server needs a certificate that the system trusts";
        return Err(ChannelFault::new("tls_config", message));
    }
    if config.auth_secret.is_some() && config.password.is_none() {
        let message = "is not available: CRAM-MD5 is not spoken; write auth_password";
        return Err(ChannelFault::new("auth_secret", message));
    }
    Ok(())
}

/// Every secret of an integration.
fn secrets(integration: &mut Integration) -> Vec<&mut SecretSource> {
    let mut all = Vec::new();
    all.extend(integration.http.basic_auth.as_mut().map(|basic| &mut basic.password));
    all.extend(integration.http.authorization.as_mut().map(|given| &mut given.credentials));
    match &mut integration.kind {
        IntegrationKind::Email(config) => all.extend(config.password.as_mut()),
        IntegrationKind::Slack(config) => all.push(&mut config.url),
        IntegrationKind::Webhook(config) => all.push(&mut config.target),
        IntegrationKind::Pagerduty(config) => {
            all.extend(config.routing.as_mut());
            all.extend(config.service.as_mut());
        }
        IntegrationKind::Discord(config) => all.push(&mut config.url),
        IntegrationKind::Telegram(config) => all.push(&mut config.token),
        IntegrationKind::MsTeams(config) => all.push(&mut config.url),
        IntegrationKind::MsTeamsV2(config) => all.push(&mut config.url),
        IntegrationKind::Mattermost(config) => all.push(&mut config.url),
        IntegrationKind::GoogleChat(config) => all.push(&mut config.url),
        IntegrationKind::Ntfy(config) => all.extend(config.access.as_mut()),
        IntegrationKind::Sms(config) => all.push(&mut config.access),
    }
    all
}

/// A kind that Alertmanager lacks or that we write ourselves: a channel of ours, with templates of title and text.
pub(super) fn own_kind(kind: &IntegrationKind) -> Result<(ChannelSpec, String, String), ChannelFault> {
    let mut config = Map::new();
    let mut set = |name: &str, value: Value| {
        if value.as_str() != Some("") {
            config.insert(name.to_owned(), value);
        }
    };
    let (kind, title, text) = match kind {
        IntegrationKind::Mattermost(one) => {
            set("url", secret(&one.url).into());
            set("channel", one.channel.clone().into());
            set("username", one.username.clone().into());
            (Kind::Mattermost, String::new(), one.text.clone())
        }
        IntegrationKind::GoogleChat(one) => {
            set("url", secret(&one.url).into());
            (Kind::GoogleChat, String::new(), one.text.clone())
        }
        IntegrationKind::Ntfy(one) => {
            set("url", one.url.clone().into());
            set("topic", one.topic.clone().into());
            set("token", one.access.as_ref().map(secret).unwrap_or_default().into());
            (Kind::Ntfy, one.title.clone(), one.message.clone())
        }
        IntegrationKind::Sms(one) => {
            set("provider", one.provider.clone().into());
            set("account", one.account.clone().into());
            set("token", secret(&one.access).into());
            set("from", one.from.clone().into());
            set("to", json!(one.to));
            set("url", one.url.clone().into());
            (Kind::Sms, String::new(), one.text.clone())
        }
        _ => return Err(ChannelFault::new("", "is written as Alertmanager does")),
    };
    Ok((ChannelSpec::inline(kind.as_str(), config)?, title, text))
}

/// A message without alerts, to read templates with.
pub(super) fn nothing() -> Message {
    Message {
        id: String::new(),
        key: String::new(),
        event: Event::Test,
        status: Status::Firing,
        severity: Severity::Info,
        priority: Priority::Low,
        title: String::new(),
        text: String::new(),
        alerts: Vec::new(),
        alerts_left_out: 0,
        group_labels: Labels::new(),
        common_labels: Labels::new(),
        common_annotations: Labels::new(),
        receiver: String::new(),
        runbook: None,
        links: Vec::new(),
        external_url: String::new(),
        at: 0,
    }
}
