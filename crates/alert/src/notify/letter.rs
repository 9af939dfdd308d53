//! Mail: a letter as plain text and as simple HTML that every program shows.

use super::channel::{ChannelFault, ChannelSpec};
use super::text::{cut, html, line};
use super::{Message, Status};

/// Alerts listed in one letter.
const ALERTS_MAX: usize = 100;
/// Receivers of one channel.
const RECEIVERS_MAX: usize = 50;

/// What people read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The same for every attempt at the same delivery: the part of `Message-ID` before the `@`.
    pub id: String,
    /// The same for all that is told of one thing, for `References`, so that programs put it together.
    pub thread: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// Whether it is marked as important.
    pub urgent: bool,
    /// Further headers.
    pub headers: Vec<(String, String)>,
}

/// Addresses are checked when they are set, not when somebody is to be woken.
pub(super) fn check(spec: &ChannelSpec) -> Result<(), ChannelFault> {
    let to = spec.texts_of("to");
    if to.is_empty() || to.len() > RECEIVERS_MAX {
        return Err(ChannelFault::new(
            "config.to",
            format!("holds {} addresses: write 1 to {RECEIVERS_MAX}", to.len()),
        ));
    }
    let good = |address: &String| {
        let parts = address.rsplit_once('@');
        let visible =
            address.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"<>,;:\"()[]".contains(c));
        parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty()) && visible
    };
    match to.iter().find(|address| !good(address)) {
        None => Ok(()),
        Some(address) => Err(ChannelFault::new(
            "config.to",
            format!("{:?} is no address such as ops@example.com", cut(address, 80)),
        )),
    }
}

pub(super) fn write(message: &Message) -> Letter {
    let state = match message.status {
        Status::Firing => message.severity.as_str().to_uppercase(),
        Status::Resolved => "RESOLVED".to_owned(),
    };
    let subject = line(&cut(&format!("[{state}] {}", message.title), 200));
    let mut text = format!("{}\n\n{}\n", message.title, message.text);
    let color = format!("#{:06x}", message.color());
    let mut page = format!(
        "<!doctype html><html><body style=\"font-family:sans-serif;color:#222\">\
         <p style=\"border-left:4px solid {color};padding-left:8px;font-size:18px\">{}</p><p>{}</p>",
        html(&message.title),
        html(&message.text).replace('\n', "<br>")
    );
    if !message.alerts.is_empty() {
        page += "<table cellpadding=\"4\" style=\"border-collapse:collapse;font-size:13px\">\
                 <tr align=\"left\"><th>Status</th><th>Severity</th><th>Value</th><th>Labels</th></tr>";
    }
    for alert in message.alerts.iter().take(ALERTS_MAX) {
        let labels: Vec<String> =
            alert.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let labels = cut(&labels.join(" "), 500);
        let (status, severity, value) = (alert.status.as_str(), alert.severity.as_str(), &alert.value);
        text += &format!("\n{status} {severity} value {value}: {labels}");
        for note in alert.annotations.values().take(5) {
            text += &format!("\n  {}", cut(note, 500));
        }
        page += &format!(
            "<tr><td>{status}</td><td>{severity}</td><td>{}</td><td>{}</td></tr>",
            html(value),
            html(&labels)
        );
    }
    if !message.alerts.is_empty() {
        page += "</table>";
    }
    let more = message.alerts_left_out + message.alerts.len().saturating_sub(ALERTS_MAX);
    if more > 0 {
        text += &format!("\n… and {more} more");
        page += &format!("<p>… and {more} more</p>");
    }
    if let Some(runbook) = &message.runbook {
        text += &format!("\n\nRunbook: {runbook}");
        page += &format!("<p>Runbook: {}</p>", html(runbook));
    }
    text.push('\n');
    page += "<p>";
    for link in message.links.iter().filter(|link| !link.url.is_empty()) {
        text += &format!("\n{}: {}", link.label, link.url);
        page += &format!("<a href=\"{}\">{}</a> &nbsp; ", html(&link.url), html(&link.label));
    }
    page += "</p></body></html>";
    text.push('\n');
    let urgent = message.status == Status::Firing && message.severity >= crate::severity::Severity::Critical;
    let (id, thread) = (message.id.clone(), message.key.clone());
    Letter { id, thread, subject, text, html: page, urgent, headers: Vec::new() }
}
