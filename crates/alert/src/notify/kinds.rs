//! The table of kinds: what must be set, how the request or letter is made, how much the provider takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::channel::{ChannelFault, ChannelSpec};
use super::{Message, Outgoing, Request, chat, letter, pager};

/// A setting of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in `config`.
    pub name: &'static str,
    /// Whether the kind works without it.
    pub required: bool,
    /// Whether it is masked and encrypted at rest.
    pub secret: bool,
    /// Whether it is an address that requests go to.
    pub is_url: bool,
    /// What it is.
    pub about: &'static str,
}

const fn must(name: &'static str, about: &'static str) -> Field {
    Field { name, required: true, secret: false, is_url: false, about }
}

const fn may(name: &'static str, about: &'static str) -> Field {
    Field { required: false, ..must(name, about) }
}

const fn secret(field: Field) -> Field {
    Field { secret: true, ..field }
}

const fn url(field: Field) -> Field {
    Field { is_url: true, ..field }
}

/// A way to reach people or programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A letter.
    Email,
    /// An incoming webhook of Slack.
    Slack,
    /// A signed request to a program.
    Webhook,
    /// PagerDuty's Events API v2.
    PagerDuty,
    /// A workflow of Microsoft Teams.
    #[serde(alias = "teams")]
    MsTeams,
    /// A webhook of Discord.
    Discord,
    /// A bot of Telegram.
    Telegram,
    /// An incoming webhook of Mattermost.
    Mattermost,
    /// A webhook of a space of Google Chat.
    GoogleChat,
    /// A topic of an ntfy server.
    Ntfy,
    /// A text message through Twilio or Vonage.
    Sms,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Email,
        Self::Slack,
        Self::Webhook,
        Self::PagerDuty,
        Self::MsTeams,
        Self::Discord,
        Self::Telegram,
        Self::Mattermost,
        Self::GoogleChat,
        Self::Ntfy,
        Self::Sms,
    ];

    /// The spelling in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Slack => "slack",
            Self::Webhook => "webhook",
            Self::PagerDuty => "pagerduty",
            Self::MsTeams => "msteams",
            Self::Discord => "discord",
            Self::Telegram => "telegram",
            Self::Mattermost => "mattermost",
            Self::GoogleChat => "googlechat",
            Self::Ntfy => "ntfy",
            Self::Sms => "sms",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let text = if text == "teams" { "msteams" } else { text };
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Every spelling, for messages.
    pub(super) fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    /// What can and must be set.
    pub fn fields(self) -> &'static [Field] {
        const WEBHOOK: Field = secret(url(must("url", "the address that the chat made for this channel")));
        match self {
            Self::Email => const { &[must("to", "addresses, as a list or separated by commas")] },
            Self::Slack | Self::Mattermost => {
                const {
                    &[
                        WEBHOOK,
                        may("channel", "another channel than the webhook's own"),
                        may("username", "the name shown as sender"),
                    ]
                }
            }
            Self::Discord => const { &[WEBHOOK, may("username", "the name shown as sender")] },
            Self::MsTeams | Self::GoogleChat => const { &[WEBHOOK] },
            Self::Webhook => {
                const {
                    &[
                        secret(url(must("url", "where the request goes"))),
                        secret(may(
                            "secret",
                            "signs the request (headers webhook-id, -timestamp, -signature)",
                        )),
                        secret(may("headers", "further headers, as names and values")),
                    ]
                }
            }
            Self::PagerDuty => {
                const {
                    &[
                        secret(must("routingKey", "the integration key of an Events API v2 integration")),
                        url(may("url", "https://events.pagerduty.com/v2/enqueue unless given")),
                    ]
                }
            }
            Self::Telegram => {
                const {
                    &[
                        secret(must("token", "the bot's token")),
                        must("chat", "the chat's id or @name"),
                        url(may("url", "https://api.telegram.org unless given")),
                    ]
                }
            }
            Self::Ntfy => {
                const {
                    &[
                        must("topic", "the topic"),
                        url(may("url", "https://ntfy.sh unless given")),
                        secret(may("token", "an access token")),
                    ]
                }
            }
            Self::Sms => {
                const {
                    &[
                        must("provider", "twilio or vonage"),
                        must("account", "Twilio's account SID, Vonage's API key"),
                        secret(must("token", "Twilio's auth token, Vonage's API secret")),
                        must("from", "the sender's number or name"),
                        must("to", "numbers, as a list or separated by commas"),
                        url(may("url", "the provider's own address unless given")),
                    ]
                }
            }
        }
    }

    /// What the table of fields cannot say.
    pub(super) fn check(self, spec: &ChannelSpec) -> Result<(), ChannelFault> {
        match self {
            Self::Email => letter::check(spec),
            Self::Webhook => pager::check_headers(spec),
            Self::Sms => pager::check_sms(spec),
            Self::Telegram => pager::check_telegram(spec),
            _ => Ok(()),
        }
    }

    pub(super) fn compose(
        self,
        spec: &ChannelSpec,
        message: &Message,
        now_seconds: i64,
    ) -> Result<Outgoing, ChannelFault> {
        let json = |url: &str, body: serde_json::Value| {
            Outgoing::Http(Request {
                url: url.to_owned(),
                headers: Vec::new(),
                content_type: "application/json",
                body: body.to_string().into_bytes(),
            })
        };
        let url = spec.text_of("url");
        Ok(match self {
            Self::Email => {
                Outgoing::Mail { to: spec.texts_of("to"), letter: letter::write(message), relay: None }
            }
            Self::Slack => json(url, chat::slack(spec, message)),
            Self::Mattermost => json(url, chat::mattermost(spec, message)),
            Self::Discord => json(url, chat::discord(spec, message)),
            Self::MsTeams => json(url, chat::teams(message)),
            Self::GoogleChat => json(&chat::google_address(url, message)?, chat::google(message)),
            Self::Telegram => json(&pager::telegram_address(spec), pager::telegram(spec, message)),
            Self::PagerDuty => {
                let url = if url.is_empty() { "https://events.pagerduty.com/v2/enqueue" } else { url };
                json(url, pager::pagerduty(spec, message))
            }
            Self::Ntfy => Outgoing::Http(pager::ntfy(spec, message)),
            Self::Webhook => Outgoing::Http(pager::webhook(spec, message, now_seconds)),
            Self::Sms => Outgoing::Http(pager::sms(spec, message)),
        })
    }
}
