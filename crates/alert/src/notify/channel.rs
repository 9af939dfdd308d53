//! What people set up: a channel of a kind with its settings.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::kinds::Kind;
use super::upstream::Upstream;
use super::{Message, Outgoing, Status};
use crate::severity::Severity;
use crate::span::Span;

/// Bytes of one setting.
const SETTING_BYTES_MAX: usize = 8 << 10;
/// Addresses or receivers of one channel.
const RECEIVERS_MAX: usize = 100;

/// A channel, without its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ChannelSpec {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What the kind needs; `docs/notifications.md` lists it for each.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// False keeps it from sending. What is meant for it goes to the next channel of the route.
    #[serde(default = "yes", alias = "is_active")]
    pub is_active: bool,
    /// Whether the end of an alert is told; so unless given.
    #[serde(default = "yes", alias = "send_resolved")]
    pub send_resolved: bool,
    /// What is less bad is left out.
    #[serde(default, alias = "min_severity", skip_serializing_if = "Option::is_none")]
    pub min_severity: Option<Severity>,
    /// Collects what comes within this time into one message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Span>,
    /// How much it takes. What is beyond waits and is told together.
    #[serde(default, alias = "rate_limit", skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Template of the title, instead of our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Template of the text, instead of our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What an `alertmanager.yml` says, which then is what is sent.
    #[serde(skip)]
    pub upstream: Option<Arc<Upstream>>,
}

fn yes() -> bool {
    true
}

/// How much a channel takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Messages.
    pub max: u32,
    /// Within this time.
    pub per: Span,
}

/// What is wrong with a channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct ChannelFault {
    /// Where, as in `config.url`.
    pub field: String,
    /// What it is and how to mend it.
    pub message: String,
}

impl ChannelFault {
    pub(super) fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into() }
    }
}

impl ChannelSpec {
    /// A channel written out in a rule.
    pub fn inline(kind: &str, config: Map<String, Value>) -> Result<Self, ChannelFault> {
        let kind = Kind::parse(kind).ok_or_else(|| {
            let shown: String = kind.chars().take(40).collect();
            ChannelFault::new(
                "type",
                format!("{shown:?} is no kind of channel: write one of {}", Kind::names()),
            )
        })?;
        let spec = Self::plain(kind, config);
        spec.check().map(|()| spec)
    }

    /// A channel with nothing but its settings.
    pub(super) fn plain(kind: Kind, config: Map<String, Value>) -> Self {
        Self {
            kind,
            config,
            is_active: true,
            send_resolved: true,
            min_severity: None,
            digest: None,
            rate_limit: None,
            title: None,
            text: None,
            description: None,
            upstream: None,
        }
    }

    /// Checks the settings against what the kind needs.
    pub fn check(&self) -> Result<(), ChannelFault> {
        let fields = self.kind.fields();
        if let Some(name) = self.config.keys().find(|name| fields.iter().all(|field| field.name != **name)) {
            let shown: String = name.chars().take(40).collect();
            let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
            let message = format!("is no setting of {}: it takes {}", self.kind.as_str(), known.join(", "));
            return Err(ChannelFault::new(&format!("config.{shown}"), message));
        }
        for field in fields {
            let at = format!("config.{}", field.name);
            match self.config.get(field.name) {
                None | Some(Value::Null) if field.required => {
                    return Err(ChannelFault::new(&at, format!("is missing: {}", field.about)));
                }
                None | Some(Value::Null) => {}
                Some(value) => {
                    check_value(value, field.is_url).map_err(|message| ChannelFault::new(&at, message))?
                }
            }
        }
        if let Some(limit) = self.rate_limit
            && (limit.max == 0 || limit.per < Span::seconds(1) || limit.per > Span::seconds(86_400))
        {
            return Err(ChannelFault::new("rateLimit", "takes at least 1 message per 1s to 1d"));
        }
        if self.digest.is_some_and(|digest| digest < Span::seconds(1) || digest > Span::seconds(7 * 86_400)) {
            return Err(ChannelFault::new("digest", "collects for 1s to 7d"));
        }
        for (name, text) in [("title", &self.title), ("text", &self.text), ("description", &self.description)]
        {
            if text.as_ref().is_some_and(|text| text.len() > SETTING_BYTES_MAX) {
                return Err(ChannelFault::new(name, format!("is longer than {SETTING_BYTES_MAX} bytes")));
            }
        }
        self.kind.check(self)
    }

    /// Whether it tells this.
    pub fn takes(&self, message: &Message) -> bool {
        self.is_active
            && (self.send_resolved || message.status == Status::Firing)
            && self.min_severity.is_none_or(|least| message.severity >= least)
    }

    /// What is to be sent. `now_seconds` signs it.
    pub fn compose(&self, message: &Message, now_seconds: i64) -> Result<Outgoing, ChannelFault> {
        match &self.upstream {
            Some(upstream) => upstream.compose(message, now_seconds),
            None => self.kind.compose(self, message, now_seconds),
        }
    }

    /// A setting as text; empty when it is not given.
    pub(super) fn text_of(&self, name: &str) -> &str {
        self.config.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A setting that is one text or several.
    pub(super) fn texts_of(&self, name: &str) -> Vec<String> {
        match self.config.get(name) {
            Some(Value::String(text)) => {
                text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()
            }
            Some(Value::Array(items)) => {
                items.iter().filter_map(Value::as_str).map(|text| text.trim().to_owned()).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn check_value(value: &Value, is_url: bool) -> Result<(), String> {
    let good = |text: &str| -> Result<(), String> {
        if text.trim().is_empty() || text.len() > SETTING_BYTES_MAX {
            return Err(format!("has {} bytes: write 1 to {SETTING_BYTES_MAX}", text.len()));
        }
        if text.contains(['\r', '\n', '\0']) {
            return Err("holds a line break: write it in one line".to_owned());
        }
        // The value is not shown: addresses of webhooks are secrets.
        if is_url && !url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err("is no address that starts with https:// or http://".to_owned());
        }
        Ok(())
    };
    match value {
        Value::String(text) => good(text),
        Value::Bool(_) | Value::Number(_) if !is_url => Ok(()),
        Value::Array(items) if !is_url && !items.is_empty() && items.len() <= RECEIVERS_MAX => {
            items.iter().try_for_each(|item| item.as_str().map_or(Err("is a list of texts".to_owned()), good))
        }
        Value::Object(members) if !is_url && members.len() <= 32 => members
            .values()
            .try_for_each(|item| item.as_str().map_or(Err("maps names to texts".to_owned()), good)),
        _ => Err(format!("is a text, or a list of 1 to {RECEIVERS_MAX} texts")),
    }
}
