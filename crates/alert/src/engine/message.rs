//! From a group of alerts to what people read.

use super::one_rule::hash;
use crate::Labels;
use crate::notify::{AlertView, ChannelSpec, Event as Why, Link, Message, Status};
use crate::routing::{Flush, FlushAlert};
use crate::severity::Severity;
use crate::template::{Env, Escape, NoQueries, Notification, NotifiedAlert, Templates, Value};

/// Alerts that a message lists; the others are counted.
const ALERTS_MAX: usize = 200;
/// Alerts that the text has a line for.
const LINES_MAX: usize = 20;

/// What of an alert only its event knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) event: Option<String>,
    pub(super) value: String,
    pub(super) runbook: Option<String>,
}

/// Writes the message of a flush for a channel.
pub(super) fn write(
    flush: &Flush,
    alerts: &[FlushAlert],
    known: &dyn Fn(&FlushAlert) -> Known,
    id: String,
    channel: (&str, &ChannelSpec),
    external_url: &str,
) -> Message {
    let mut views: Vec<(AlertView, Known)> =
        alerts.iter().map(|alert| view(alert, known(alert), external_url)).collect();
    // What goes on before what is over, the worst first, then in order of labels.
    views.sort_by(|(a, _), (b, _)| {
        let rank = |view: &AlertView| (view.status == Status::Resolved, std::cmp::Reverse(view.severity));
        rank(a).cmp(&rank(b)).then_with(|| a.labels.cmp(&b.labels))
    });
    let firing = views.iter().any(|(view, _)| view.status == Status::Firing);
    let severity =
        views.iter().filter(|(v, _)| !firing || v.status == Status::Firing).map(|(v, _)| v.severity).max();
    let runbook = views.iter().find_map(|(_, known)| known.runbook.clone());
    let page = match views.as_slice() {
        [(_, Known { event: Some(event), .. })] => format!("{external_url}/alerts/{event}"),
        _ => format!("{external_url}/alerts"),
    };
    let left_out = views.len().saturating_sub(ALERTS_MAX);
    let mut views: Vec<AlertView> = views.into_iter().map(|(view, _)| view).collect();
    let mut message = Message {
        id,
        key: flush.group.clone(),
        event: Why::Alert,
        status: if firing { Status::Firing } else { Status::Resolved },
        severity: severity.unwrap_or(Severity::Warning),
        priority: flush.priority,
        title: String::new(),
        text: String::new(),
        alerts: Vec::new(),
        alerts_left_out: left_out,
        group_labels: flush.labels.clone(),
        common_labels: common(views.iter().map(|view| &view.labels)),
        common_annotations: common(views.iter().map(|view| &view.annotations)),
        receiver: channel.0.to_owned(),
        runbook,
        links: vec![Link { label: "Open in Bellwether".to_owned(), url: page }],
        external_url: external_url.to_owned(),
        at: flush.at,
    };
    message.title = title(&message, &views);
    message.text = text(&views);
    views.truncate(ALERTS_MAX);
    message.alerts = views;
    templated(&mut message, channel.1);
    message
}

fn view(alert: &FlushAlert, known: Known, external_url: &str) -> (AlertView, Known) {
    let inner = &alert.alert;
    let view = AlertView {
        status: if alert.resolved { Status::Resolved } else { Status::Firing },
        severity: Severity::of(&inner.labels).unwrap_or(Severity::Warning),
        labels: inner.labels.clone(),
        annotations: inner.annotations.clone(),
        value: known.value.clone(),
        starts_at: inner.starts_at,
        ends_at: alert.resolved.then_some(inner.ends_at).flatten(),
        generator_url: match &known.event {
            Some(event) if inner.generator_url.is_empty() => format!("{external_url}/alerts/{event}"),
            _ => inner.generator_url.clone(),
        },
        fingerprint: hash(&inner.labels),
    };
    (view, known)
}

/// Names and values that all have.
pub(super) fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let mut common = sets.next().cloned().unwrap_or_default();
    for set in sets {
        common.retain(|name, value| set.get(name) == Some(value));
    }
    common
}

/// One line for what stays the same while alerts come and go: what, and where.
pub(super) fn heading(labels: &Labels, annotations: &Labels) -> String {
    let name = labels.get("alertname").map_or("Alerts", String::as_str);
    match annotations.get("summary") {
        Some(summary) => format!("{name}: {summary}"),
        None => [&[name.to_owned()][..], &places(labels)].concat().join(" "),
    }
}

fn places(labels: &Labels) -> Vec<String> {
    let place = |name: &&str| labels.get(*name).map(|value| format!("{name}={value}"));
    ["service", "job", "instance", "host", "check"].iter().filter_map(place).take(2).collect()
}

/// One line: what, how many, where.
fn title(message: &Message, views: &[AlertView]) -> String {
    let name = message.common_labels.get("alertname").cloned().unwrap_or_else(|| "Alerts".to_owned());
    let firing = views.iter().filter(|view| view.status == Status::Firing).count();
    let over = views.len() - firing;
    let state = match (firing, over) {
        (0, _) => "resolved".to_owned(),
        (1, 0) => message.severity.as_str().to_owned(),
        (_, 0) => format!("{firing} firing"),
        _ => format!("{firing} firing, {over} resolved"),
    };
    let summary = message.common_annotations.get("summary");
    let places = places(&message.common_labels);
    match (summary, places.is_empty()) {
        (Some(summary), _) => format!("{name} ({state}): {summary}"),
        (None, true) => format!("{name} ({state})"),
        (None, false) => format!("{name} ({state}) {}", places.join(" ")),
    }
}

fn text(views: &[AlertView]) -> String {
    let mut lines = Vec::new();
    for view in views.iter().take(LINES_MAX) {
        let labels: Vec<String> = view
            .labels
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "alertname" | "severity"))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let state = if view.status == Status::Firing { view.severity.as_str() } else { "resolved" };
        let value = if view.value.is_empty() { String::new() } else { format!(", value {}", view.value) };
        lines.push(format!("[{state}{value}] {}", labels.join(" ")));
        let told = ["summary", "description"].iter().find_map(|name| view.annotations.get(*name));
        lines.extend(told.map(|text| format!("  {text}")));
    }
    if views.len() > LINES_MAX {
        lines.push(format!("… and {} more", views.len() - LINES_MAX));
    }
    lines.join("\n")
}

/// The channel's own templates in place of our texts. One that fails says so and leaves ours.
fn templated(message: &mut Message, channel: &ChannelSpec) {
    if channel.title.is_none() && channel.text.is_none() {
        return;
    }
    let alerts = message.alerts.iter().map(|view| NotifiedAlert {
        status: view.status.as_str().to_owned(),
        labels: view.labels.clone(),
        annotations: view.annotations.clone(),
        starts_at_ms: view.starts_at,
        ends_at_ms: view.ends_at,
        generator_url: view.generator_url.clone(),
        fingerprint: view.fingerprint.clone(),
    });
    let data = Notification::new(
        &message.receiver,
        &message.external_url,
        message.group_labels.clone(),
        alerts.collect(),
    );
    let env = Env { now_ms: message.at, external_url: &message.external_url, queries: &NoQueries };
    let render = |source: &str| {
        let template = Templates::with_defaults().parse("", source);
        template.and_then(|template| template.render(&Value::from(&data), &env, Escape::Text))
    };
    for (source, target) in [(&channel.title, &mut message.title), (&channel.text, &mut message.text)] {
        match source.as_deref().map(render) {
            None => {}
            Some(Ok(text)) => *target = text,
            Some(Err(error)) => *target = format!("{target}\n(the channel's template failed: {error})"),
        }
    }
}
