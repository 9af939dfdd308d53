//! What Alertmanager sends, kind by kind (its package `notify`, release 0.27). Limits are those it cuts at.

use serde_json::{Map, Value, json};

use super::super::channel::ChannelFault;
use super::super::text::{cut, line};
use super::super::{Letter, Message, Relay, Status};
use super::{Writer, secret};
use crate::routing::{
    DiscordConfig, EmailConfig, MsTeamsConfig, MsTeamsV2Config, PagerdutyConfig, SlackConfig, TelegramConfig,
};

type Body = Result<Value, ChannelFault>;

/// Adds a member unless it is empty.
fn put(object: &mut Map<String, Value>, name: &str, text: String) {
    if !text.is_empty() {
        object.insert(name.to_owned(), Value::String(text));
    }
}

pub(super) fn slack(writer: &Writer<'_>, config: &SlackConfig) -> Body {
    let mut attachment = Map::new();
    put(&mut attachment, "title", cut(&writer.text("title", &config.title)?, 1_024));
    for (name, text) in [
        ("title_link", &config.title_link),
        ("pretext", &config.pretext),
        ("text", &config.text),
        ("fallback", &config.fallback),
        ("callback_id", &config.callback_id),
        ("image_url", &config.image_url),
        ("thumb_url", &config.thumb_url),
        ("footer", &config.footer),
        ("color", &config.color),
    ] {
        put(&mut attachment, name, writer.text(name, text)?);
    }
    let marked = match config.mrkdwn_in.is_empty() {
        true => vec!["fallback".to_owned(), "pretext".to_owned(), "text".to_owned()],
        false => config.mrkdwn_in.clone(),
    };
    attachment.insert("mrkdwn_in".to_owned(), json!(marked));
    let mut fields = Vec::with_capacity(config.fields.len());
    for field in &config.fields {
        fields.push(json!({
            "title": writer.text("fields.title", &field.title)?,
            "value": writer.text("fields.value", &field.value)?,
            "short": field.short.unwrap_or(config.short_fields),
        }));
    }
    if !fields.is_empty() {
        attachment.insert("fields".to_owned(), Value::Array(fields));
    }
    let mut actions = Vec::with_capacity(config.actions.len());
    for action in &config.actions {
        let mut one = Map::new();
        for (name, text) in [
            ("type", &action.kind),
            ("text", &action.text),
            ("url", &action.url),
            ("style", &action.style),
            ("name", &action.name),
            ("value", &action.value),
        ] {
            put(&mut one, name, writer.text(&format!("actions.{name}"), text)?);
        }
        if let Some(confirm) = &action.confirm {
            let mut asked = Map::new();
            for (name, text) in [
                ("text", &confirm.text),
                ("title", &confirm.title),
                ("ok_text", &confirm.ok_text),
                ("dismiss_text", &confirm.dismiss_text),
            ] {
                put(&mut asked, name, writer.text(&format!("actions.confirm.{name}"), text)?);
            }
            one.insert("confirm".to_owned(), Value::Object(asked));
        }
        actions.push(Value::Object(one));
    }
    if !actions.is_empty() {
        attachment.insert("actions".to_owned(), Value::Array(actions));
    }
    let mut body = Map::new();
    for (name, text) in [
        ("channel", &config.channel),
        ("username", &config.username),
        ("icon_emoji", &config.icon_emoji),
        ("icon_url", &config.icon_url),
    ] {
        put(&mut body, name, writer.text(name, text)?);
    }
    if config.link_names {
        body.insert("link_names".to_owned(), Value::Bool(true));
    }
    body.insert("attachments".to_owned(), json!([attachment]));
    Ok(Value::Object(body))
}

/// Where to, and what: of the Events API v2, or of the one before for a `service_key`.
pub(super) fn pagerduty(
    writer: &Writer<'_>,
    config: &PagerdutyConfig,
    message: &Message,
) -> Result<(String, Value), ChannelFault> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message.key.as_bytes());
    let key: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let action = if message.status == Status::Firing { "trigger" } else { "resolve" };
    let mut details = Map::new();
    for (name, text) in &config.details {
        details.insert(name.clone(), writer.text("details", text)?.into());
    }
    let text = |name: &str, text: &str| writer.text(name, text);
    let description = cut(&text("description", &config.description)?, 1_024);
    let (client, client_url) = (text("client", &config.client)?, text("client_url", &config.client_url)?);
    if let (Some(service), None) = (&config.service, &config.routing) {
        let mut body = json!({
            "service_key": text("service_key", secret(service))?,
            "incident_key": key,
            "event_type": action,
            "description": description,
            "details": details,
        });
        if message.status == Status::Firing {
            (body["client"], body["client_url"]) = (client.into(), client_url.into());
        }
        let url = "https://events.pagerduty.com/generic/2010-04-15/create_event.json";
        return Ok((url.to_owned(), body));
    }
    let mut payload = Map::new();
    payload.insert("summary".to_owned(), description.into());
    payload.insert("source".to_owned(), text("source", &config.source)?.into());
    payload.insert("severity".to_owned(), text("severity", &config.severity)?.into());
    for (name, given) in
        [("class", &config.class), ("component", &config.component), ("group", &config.group)]
    {
        put(&mut payload, name, text(name, given)?);
    }
    payload.insert("custom_details".to_owned(), Value::Object(details));
    let routing = config.routing.as_ref().map(secret).unwrap_or_default();
    let mut body = json!({
        "routing_key": text("routing_key", routing)?,
        "dedup_key": key,
        "event_action": action,
        "payload": payload,
        "client": client,
        "client_url": client_url,
    });
    let mut images = Vec::new();
    for image in &config.images {
        let src = text("images.src", &image.src)?;
        if !src.is_empty() {
            let (alt, href) = (text("images.alt", &image.alt)?, text("images.href", &image.href)?);
            images.push(json!({"src": src, "alt": alt, "href": href}));
        }
    }
    let mut links = Vec::new();
    for link in &config.links {
        let href = text("links.href", &link.href)?;
        if !href.is_empty() {
            links.push(json!({"href": href, "text": text("links.text", &link.text)?}));
        }
    }
    (body["images"], body["links"]) = (Value::Array(images), Value::Array(links));
    Ok((config.url.clone(), body))
}

pub(super) fn discord(writer: &Writer<'_>, config: &DiscordConfig, message: &Message) -> Body {
    let color = match message.status {
        Status::Firing => 0x0099_2d22,
        Status::Resolved => 0x002e_cc71,
    };
    let mut body = Map::new();
    body.insert("content".to_owned(), cut(&writer.text("content", &config.content)?, 2_000).into());
    put(&mut body, "username", writer.text("username", &config.username)?);
    put(&mut body, "avatar_url", writer.text("avatar_url", &config.avatar_url)?);
    let embed = json!({
        "title": cut(&writer.text("title", &config.title)?, 256),
        "description": cut(&writer.text("message", &config.message)?, 4_096),
        "color": color,
    });
    body.insert("embeds".to_owned(), json!([embed]));
    // What labels hold must not call everybody.
    body.insert("allowed_mentions".to_owned(), json!({"parse": []}));
    Ok(Value::Object(body))
}

pub(super) fn telegram(writer: &Writer<'_>, config: &TelegramConfig) -> Body {
    let text = match config.parse_mode.as_str() {
        "HTML" => writer.page("message", &config.message)?,
        _ => writer.text("message", &config.message)?,
    };
    let mut body = json!({
        "chat_id": config.chat_id,
        "text": cut(&text, 4_096),
        "link_preview_options": {"is_disabled": true},
        "disable_notification": config.disable_notifications,
    });
    if !config.parse_mode.is_empty() {
        body["parse_mode"] = config.parse_mode.clone().into();
    }
    if config.message_thread_id != 0 {
        body["message_thread_id"] = config.message_thread_id.into();
    }
    Ok(body)
}

pub(super) fn teams_card(writer: &Writer<'_>, config: &MsTeamsConfig, message: &Message) -> Body {
    let color = if message.status == Status::Firing { "8C1A1A" } else { "2DC72D" };
    Ok(json!({
        "@context": "http://schema.org/extensions",
        "@type": "MessageCard",
        "title": writer.text("title", &config.title)?,
        "summary": writer.text("summary", &config.summary)?,
        "text": writer.text("text", &config.text)?,
        "themeColor": color,
    }))
}

pub(super) fn teams_workflow(writer: &Writer<'_>, config: &MsTeamsV2Config, message: &Message) -> Body {
    let color = if message.status == Status::Firing { "Attention" } else { "Good" };
    Ok(json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.2",
                "body": [
                    {"type": "TextBlock", "text": writer.text("title", &config.title)?, "weight": "Bolder",
                     "size": "Medium", "wrap": true, "style": "heading", "color": color},
                    {"type": "TextBlock", "text": writer.text("text", &config.text)?, "wrap": true},
                ],
                "msteams": {"width": "Full"},
            },
        }],
    }))
}

/// The address of `Name <address>`.
pub(super) fn address(text: &str) -> String {
    let inner = text.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(inside, _)| inside);
    inner.unwrap_or(text).trim().to_owned()
}

pub(super) fn letter(
    writer: &Writer<'_>,
    config: &EmailConfig,
    message: &Message,
) -> Result<Letter, ChannelFault> {
    let mut subject = None;
    let mut headers = Vec::new();
    for (name, text) in &config.headers {
        let value = line(&writer.text("headers", text)?);
        match name.to_ascii_lowercase().as_str() {
            "subject" => subject = Some(value),
            // The envelope says these.
            "from" | "to" | "message-id" | "date" | "content-type" | "mime-version" => {}
            _ => headers.push((name.clone(), value)),
        }
    }
    let subject = match subject {
        Some(subject) => subject,
        None => line(&writer.text("headers", "{{ template \"email.default.subject\" . }}")?),
    };
    Ok(Letter {
        id: message.id.clone(),
        thread: message.key.clone(),
        subject,
        text: writer.text("text", &config.text)?,
        html: writer.page("html", &config.html)?,
        urgent: false,
        headers,
    })
}

/// The mail server that the file names.
pub(super) fn relay(writer: &Writer<'_>, config: &EmailConfig) -> Result<Relay, ChannelFault> {
    let (host, port) = config.smarthost.rsplit_once(':').unwrap_or((&config.smarthost, "25"));
    let port = port.parse().map_err(|_| ChannelFault::new("smarthost", "has no port that is a number"))?;
    Ok(Relay {
        host: host.trim_matches(['[', ']']).to_owned(),
        port,
        from: writer.text("from", &config.from)?,
        hello: config.hello.clone(),
        username: config.auth_username.clone(),
        password: config.password.as_ref().map(secret).unwrap_or_default().to_owned(),
        needs_tls: config.needs_tls,
    })
}
