//! Bodies for chats. Each says where its provider writes down the form and the limits.

use serde_json::{Value, json};

use super::channel::{ChannelFault, ChannelSpec};
use super::text::{cut, cut_bytes};
use super::{Message, Status};

/// Fields shown beside the text: labels that all alerts have.
const FIELDS_MAX: usize = 10;

fn emoji(message: &Message) -> &'static str {
    match message.status {
        Status::Firing => "🔥",
        Status::Resolved => "✅",
    }
}

fn links(message: &Message) -> impl Iterator<Item = (&str, &str)> {
    message
        .links
        .iter()
        .filter(|link| !link.url.is_empty())
        .map(|link| (link.label.as_str(), link.url.as_str()))
}

/// An incoming webhook: docs.slack.dev/messaging/sending-messages-using-incoming-webhooks. A text of an attachment is
/// cut above 3,000 characters there, a title at 300.
pub(super) fn slack(spec: &ChannelSpec, message: &Message) -> Value {
    let actions: Vec<String> =
        links(message).map(|(label, url)| format!("<{}|{}>", slack_text(url), slack_text(label))).collect();
    let mut text = slack_text(&cut(&message.whole_text(), 2_400));
    if !actions.is_empty() {
        text = format!("{text}\n{}", actions.join(" · "));
    }
    let fields: Vec<Value> = message
        .common_labels
        .iter()
        .take(FIELDS_MAX)
        .map(|(name, value)| json!({"title": slack_text(name), "value": slack_text(&cut(value, 200)), "short": true}))
        .collect();
    let title = cut(&message.title, 300);
    let mut body = json!({
        "text": format!("{} {}", emoji(message), slack_text(&title)),
        "attachments": [{
            "color": format!("#{:06x}", message.color()),
            "title": slack_text(&title),
            "title_link": message.link(),
            "text": text,
            "fallback": slack_text(&cut(&format!("{title}: {}", message.text), 1_000)),
            "fields": fields,
            "mrkdwn_in": ["text"],
            "ts": message.at / 1_000,
        }],
    });
    for name in ["channel", "username"] {
        if !spec.text_of(name).is_empty() {
            body[name] = spec.text_of(name).into();
        }
    }
    body
}

/// Characters with a meaning in Slack's texts: docs.slack.dev/messaging/formatting-message-text.
fn slack_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// An incoming webhook: developers.mattermost.com/integrate/webhooks/incoming. A text has at most 16,383 characters.
/// It takes Slack's attachments, with Markdown instead of Slack's own marks.
pub(super) fn mattermost(spec: &ChannelSpec, message: &Message) -> Value {
    let actions: Vec<String> = links(message).map(|(label, url)| format!("[{label}]({url})")).collect();
    let fields: Vec<Value> = message
        .common_labels
        .iter()
        .take(FIELDS_MAX)
        .map(|(name, value)| json!({"title": name, "value": cut(value, 200), "short": true}))
        .collect();
    let title = cut(&message.title, 300);
    let mut body = json!({
        "text": format!("{} {title}", emoji(message)),
        "attachments": [{
            "color": format!("#{:06x}", message.color()),
            "title": title,
            "title_link": message.link(),
            "text": format!("{}\n{}", cut(&message.whole_text(), 7_000), actions.join(" · ")),
            "fallback": title,
            "fields": fields,
        }],
    });
    for name in ["channel", "username"] {
        if !spec.text_of(name).is_empty() {
            body[name] = spec.text_of(name).into();
        }
    }
    body
}

/// A webhook: discord.com/developers/docs/resources/webhook (content 2,000 characters) and …/message#embed-object
/// (title 256, description 4,096, 25 fields, name 256, value 1,024, 6,000 characters in all).
pub(super) fn discord(spec: &ChannelSpec, message: &Message) -> Value {
    let actions: Vec<String> = links(message).map(|(label, url)| format!("[{label}]({url})")).collect();
    let fields: Vec<Value> = message
        .common_labels
        .iter()
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .take(FIELDS_MAX)
        .map(|(name, value)| json!({"name": cut(name, 100), "value": cut(value, 150), "inline": true}))
        .collect();
    let mut body = json!({
        "content": cut(&format!("{} {}", emoji(message), message.title), 2_000),
        // What tenants' labels hold must not call everybody.
        "allowed_mentions": {"parse": []},
        "embeds": [{
            "title": cut(&message.title, 256),
            "description": cut(&format!("{}\n{}", message.whole_text(), actions.join(" · ")), 3_000),
            "url": message.link(),
            "color": message.color(),
            "fields": fields,
            "timestamp": rfc3339(message.at),
        }],
    });
    if !spec.text_of("username").is_empty() {
        body["username"] = cut(spec.text_of("username"), 80).into();
    }
    body
}

/// A workflow "when a webhook request is received" takes a message with an Adaptive Card:
/// learn.microsoft.com/connectors/teams and adaptivecards.io. A message has at most 28 KB.
pub(super) fn teams(message: &Message) -> Value {
    let facts: Vec<Value> = message
        .common_labels
        .iter()
        .take(FIELDS_MAX)
        .map(|(name, value)| json!({"title": cut_bytes(name, 200), "value": cut_bytes(value, 400)}))
        .collect();
    let color = match message.status {
        Status::Resolved => "Good",
        Status::Firing if message.severity >= crate::severity::Severity::Error => "Attention",
        Status::Firing => "Warning",
    };
    let actions: Vec<Value> = links(message)
        .take(6)
        .map(|(label, url)| json!({"type": "Action.OpenUrl", "title": label, "url": url}))
        .collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": {"width": "Full"},
                "body": [
                    {"type": "TextBlock", "size": "Large", "weight": "Bolder", "wrap": true, "color": color,
                     "text": cut_bytes(&format!("{} {}", emoji(message), message.title), 1_000)},
                    {"type": "TextBlock", "wrap": true, "text": cut_bytes(&message.whole_text(), 8_000)},
                    {"type": "FactSet", "facts": facts},
                ],
                "actions": actions,
            },
        }],
    })
}

/// A webhook of a space: developers.google.com/workspace/chat/quickstart/webhooks. A text has at most 4,096 characters.
pub(super) fn google(message: &Message) -> Value {
    let actions: Vec<String> = links(message).map(|(label, url)| format!("<{url}|{label}>")).collect();
    let head = format!("{} *{}*", emoji(message), cut(&message.title, 300));
    let text = cut(&message.whole_text(), 2_500);
    json!({
        "text": cut(&format!("{head}\n{text}\n{}", actions.join(" · ")), 4_096),
        "thread": {"threadKey": cut(&message.key, 4_000)},
    })
}

/// What belongs together goes into one thread.
pub(super) fn google_address(url: &str, _: &Message) -> Result<String, ChannelFault> {
    let mut url = url::Url::parse(url).map_err(|_| ChannelFault::new("config.url", "is no address"))?;
    url.query_pairs_mut().append_pair("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD");
    Ok(url.into())
}

/// A time as RFC 3339 in UTC.
pub(super) fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|time| time.to_string()).unwrap_or_default()
}
