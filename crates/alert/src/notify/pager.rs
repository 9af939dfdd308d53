//! Bodies for pagers, phones and programs. Each says where its provider writes down the form and the limits.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::channel::{ChannelFault, ChannelSpec};
use super::chat::rfc3339;
use super::text::{cut, cut_bytes, html};
use super::{Event, Message, Request, Status, signature};
use crate::severity::{Priority, Severity};

/// Alerts in one body for programs; Alertmanager sends all unless told otherwise, we bound the body.
const ALERTS_MAX: usize = 500;

/// Events API v2: developer.pagerduty.com/docs/events-api-v2/trigger-events (summary 1,024 characters, dedup_key 255,
/// event 512 KB).
pub(super) fn pagerduty(spec: &ChannelSpec, message: &Message) -> Value {
    let severity = match message.severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
        Severity::Critical => "critical",
    };
    let label = |name: &str| message.common_labels.get(name).map(|value| cut(value, 200));
    let links: Vec<Value> =
        message.links.iter().map(|link| json!({"href": link.url, "text": link.label})).collect();
    let mut body = json!({
        "routing_key": spec.text_of("routingKey"),
        "event_action": if message.status == Status::Firing { "trigger" } else { "resolve" },
        "dedup_key": dedup_key(&message.key),
        "client": "Bellwether",
        "client_url": message.link(),
        "links": links,
    });
    if message.status == Status::Firing {
        body["payload"] = json!({
            "summary": cut(&message.title, 1_024),
            "source": label("instance").or_else(|| label("service")).unwrap_or_else(|| message.external_url.clone()),
            "severity": severity,
            "timestamp": rfc3339(message.at),
            "component": label("service"),
            "group": label("job"),
            "class": label("alertname"),
            "custom_details": {
                "text": cut_bytes(&message.whole_text(), 64 << 10),
                "labels": message.common_labels,
                "alerts": message.alerts.len() + message.alerts_left_out,
            },
        });
    }
    body
}

/// At most 255 characters that still tell things apart.
fn dedup_key(key: &str) -> String {
    if key.len() <= 255 && key.is_ascii() {
        return key.to_owned();
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// sendMessage: core.telegram.org/bots/api#sendmessage (4,096 characters after the marks are read).
pub(super) fn telegram(spec: &ChannelSpec, message: &Message) -> Value {
    let links: Vec<String> = message
        .links
        .iter()
        .map(|link| format!("<a href=\"{}\">{}</a>", html(&link.url), html(&link.label)))
        .collect();
    let mark = if message.status == Status::Firing { "🔥" } else { "✅" };
    let text = format!(
        "{mark} <b>{}</b>\n{}\n{}",
        html(&cut(&message.title, 300)),
        html(&cut(&message.whole_text(), 3_000)),
        links.join(" · ")
    );
    json!({
        "chat_id": spec.text_of("chat"),
        "text": text,
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": true},
        "disable_notification": message.priority < Priority::Normal,
    })
}

pub(super) fn telegram_address(spec: &ChannelSpec) -> String {
    let base = spec.text_of("url").trim_end_matches('/');
    let base = if base.is_empty() { "https://api.telegram.org" } else { base };
    format!("{base}/bot{}/sendMessage", spec.text_of("token"))
}

/// A token becomes part of a path.
pub(super) fn check_telegram(spec: &ChannelSpec) -> Result<(), ChannelFault> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
    if spec.text_of("token").chars().all(good) && !spec.text_of("token").is_empty() {
        return Ok(());
    }
    Err(ChannelFault::new("config.token", "is no bot's token, such as 123456:ABC-DEF"))
}

/// Publishing as JSON: docs.ntfy.sh/publish/#publish-as-json (message 4,096 bytes, five priorities).
pub(super) fn ntfy(spec: &ChannelSpec, message: &Message) -> Request {
    let priority = match (message.status, message.priority) {
        (Status::Resolved, _) => 3,
        (_, Priority::Low) => 2,
        (_, Priority::Normal) => 3,
        (_, Priority::High) => 4,
        (_, Priority::Critical) => 5,
    };
    let tag = if message.status == Status::Firing { "rotating_light" } else { "white_check_mark" };
    let actions: Vec<Value> = message
        .links
        .iter()
        .take(3)
        .map(|link| json!({"action": "view", "label": cut(&link.label, 60), "url": link.url}))
        .collect();
    let mut body = json!({
        "topic": spec.text_of("topic"),
        "title": cut_bytes(&message.title, 250),
        "message": cut_bytes(&message.whole_text(), 4_000),
        "priority": priority,
        "tags": [tag, message.severity.as_str()],
        "actions": actions,
    });
    if let Some(url) = message.link() {
        body["click"] = url.into();
    }
    let url = spec.text_of("url");
    let token = spec.text_of("token");
    Request {
        url: if url.is_empty() { "https://ntfy.sh".to_owned() } else { url.to_owned() },
        headers: if token.is_empty() {
            Vec::new()
        } else {
            vec![header("authorization", &format!("Bearer {token}"))]
        },
        content_type: "application/json",
        body: body.to_string().into_bytes(),
    }
}

/// Alertmanager's webhook (prometheus.io/docs/alerting/latest/configuration/#webhook_config, version 4) with members
/// of ours beside it, signed.
pub(super) fn webhook(spec: &ChannelSpec, message: &Message, now_seconds: i64) -> Request {
    let body = webhook_body(message, ALERTS_MAX);
    let mut headers: Vec<(String, String)> = Vec::new();
    if let Some(Value::Object(own)) = spec.config.get("headers") {
        headers.extend(own.iter().map(|(name, value)| header(name, value.as_str().unwrap_or_default())));
    }
    headers.push(header("idempotency-key", &message.id));
    let secret = spec.text_of("secret");
    if secret.is_empty() {
        headers.push(header("webhook-id", &message.id));
        headers.push(header("webhook-timestamp", &now_seconds.to_string()));
    } else {
        let signed = signature::sign(secret, &message.id, now_seconds, &body);
        headers.push(header("webhook-id", &signed.id));
        headers.push(header("webhook-timestamp", &signed.timestamp));
        headers.push(header("webhook-signature", &signed.signature));
    }
    Request { url: spec.text_of("url").to_owned(), headers, content_type: "application/json", body }
}

/// The webhook of an `alertmanager.yml`: the same body with at most `alerts_max` alerts, 0 for any number.
pub(super) fn upstream_webhook(url: &str, message: &Message, alerts_max: u64) -> Request {
    let most = match usize::try_from(alerts_max) {
        Ok(0) | Err(_) => ALERTS_MAX,
        Ok(most) => most.min(ALERTS_MAX),
    };
    let headers = vec![header("idempotency-key", &message.id)];
    let body = webhook_body(message, most);
    Request { url: url.to_owned(), headers, content_type: "application/json", body }
}

fn webhook_body(message: &Message, alerts_max: usize) -> Vec<u8> {
    let shown = message.alerts.len().min(alerts_max);
    let alerts: Vec<Value> = message.alerts[..shown]
        .iter()
        .map(|alert| {
            json!({
                "status": alert.status.as_str(),
                "labels": alert.labels,
                "annotations": alert.annotations,
                "startsAt": rfc3339(alert.starts_at),
                "endsAt": alert.ends_at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), rfc3339),
                "generatorURL": alert.generator_url,
                "fingerprint": alert.fingerprint,
                "severity": alert.severity,
                "value": alert.value,
            })
        })
        .collect();
    let body = json!({
        "version": "4",
        "groupKey": message.key,
        "truncatedAlerts": message.alerts_left_out + (message.alerts.len() - shown),
        "status": message.status.as_str(),
        "receiver": message.receiver,
        "groupLabels": message.group_labels,
        "commonLabels": message.common_labels,
        "commonAnnotations": message.common_annotations,
        "externalURL": message.external_url,
        "alerts": alerts,
        "id": message.id,
        "event": message.event,
        "severity": message.severity,
        "priority": message.priority,
        "title": message.title,
        "text": message.text,
        "runbook": message.runbook,
        "links": message.links,
        "timestamp": rfc3339(message.at),
        "test": message.event == Event::Test,
    });
    body.to_string().into_bytes()
}

/// Headers that are ours or the connection's.
const RESERVED: [&str; 9] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "idempotency-key",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];

pub(super) fn check_headers(spec: &ChannelSpec) -> Result<(), ChannelFault> {
    let own = match spec.config.get("headers") {
        None => return Ok(()),
        Some(Value::Object(own)) => own,
        Some(_) => return Err(ChannelFault::new("config.headers", "maps names to values")),
    };
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    for name in own.keys() {
        let reserved = RESERVED.contains(&name.to_ascii_lowercase().as_str());
        if name.is_empty() || name.len() > 100 || !name.chars().all(token) || reserved {
            let shown: String = name.chars().take(40).collect();
            return Err(ChannelFault::new("config.headers", format!("{shown:?} cannot be set here")));
        }
    }
    Ok(())
}

/// Twilio: twilio.com/docs/messaging/api/message-resource (1,600 characters). Vonage: developer.vonage.com/api/sms.
/// A text longer than 70 characters of Unicode is paid as several, so it is kept short.
pub(super) fn sms(spec: &ChannelSpec, message: &Message) -> Request {
    let state = if message.status == Status::Firing { message.severity.as_str() } else { "resolved" };
    let text = cut(&format!("[{state}] {}", message.title), 300);
    let (account, token, from) = (spec.text_of("account"), spec.text_of("token"), spec.text_of("from"));
    let base = spec.text_of("url").trim_end_matches('/');
    let to = spec.texts_of("to");
    let to = to.first().map_or("", String::as_str);
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let (url, headers) = if spec.text_of("provider") == "vonage" {
        form.append_pair("api_key", account).append_pair("api_secret", token);
        form.append_pair("from", from).append_pair("to", to).append_pair("text", &text);
        form.append_pair("type", "unicode");
        let base = if base.is_empty() { "https://rest.nexmo.com" } else { base };
        (format!("{base}/sms/json"), Vec::new())
    } else {
        let sender = if from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
        form.append_pair("To", to).append_pair(sender, from).append_pair("Body", &text);
        let base = if base.is_empty() { "https://api.twilio.com" } else { base };
        let basic = format!("Basic {}", STANDARD.encode(format!("{account}:{token}")));
        (format!("{base}/2010-04-01/Accounts/{account}/Messages.json"), vec![header("authorization", &basic)])
    };
    Request {
        url,
        headers,
        content_type: "application/x-www-form-urlencoded",
        body: form.finish().into_bytes(),
    }
}

pub(super) fn check_sms(spec: &ChannelSpec) -> Result<(), ChannelFault> {
    let provider = spec.text_of("provider");
    if !matches!(provider, "twilio" | "vonage") {
        return Err(ChannelFault::new("config.provider", format!("{provider:?} is not twilio or vonage")));
    }
    if !spec.text_of("account").chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(ChannelFault::new("config.account", "has letters and digits only"));
    }
    let numbers = spec.texts_of("to");
    let good = |number: &String| {
        let digits = number.strip_prefix('+').unwrap_or(number);
        (5..=15).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit())
    };
    // The provider takes one number a request, and a delivery is one request.
    if numbers.len() != 1 || !numbers.iter().all(good) {
        return Err(ChannelFault::new("config.to", "is one number such as +4915112345678 (E.164)"));
    }
    Ok(())
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_ascii_lowercase(), value.to_owned())
}
