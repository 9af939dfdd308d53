//! The first draft of a document.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::markdown::{inline, lines};
use crate::incident::{EntryKind, Incident, TimelineEntry};

/// Entries written out; of a longer timeline the first ones, and how many more there are.
const ENTRIES_MAX: usize = 1_000;
/// Characters of one entry.
const TEXT_CHARS_MAX: usize = 1_000;

/// Writes what is known of an incident, with its timeline in order; times are UTC.
pub fn draft(incident: &Incident, timeline: &[TimelineEntry]) -> String {
    let mut out = String::new();
    let title = inline(&incident.title);
    push(&mut out, &format!("# Post-mortem of incident {}: {title}\n\n", incident.number));
    push(&mut out, "| | |\n|---|---|\n");
    for (name, value) in facts(incident) {
        push(&mut out, &format!("| {name} | {value} |\n"));
    }
    push(&mut out, "\n## Impact\n\n");
    match &incident.publication {
        Some(public) if !public.components.is_empty() => {
            let names: Vec<String> = public.components.iter().map(|name| inline(name)).collect();
            push(&mut out, &format!("Components: {}.\n\n", names.join(", ")));
        }
        _ => {}
    }
    push(&mut out, "_Who was hurt, how, and for how long?_\n\n## Timeline\n\n");
    for entry in timeline.iter().take(ENTRIES_MAX) {
        push(&mut out, &line(entry));
    }
    let written = i64::try_from(timeline.len().min(ENTRIES_MAX)).unwrap_or(i64::MAX);
    let more = incident.entries.saturating_sub(written);
    if more > 0 {
        push(&mut out, &format!("- … and {more} more entries\n"));
    }
    push(&mut out, "\n## Causes\n\n_What led to it, and what let it happen?_\n\n");
    push(
        &mut out,
        "## Follow-ups\n\n- [ ] _What is done so that it does not happen again, by whom, until when?_\n",
    );
    out
}

fn push(out: &mut String, text: &str) {
    out.push_str(text);
}

fn facts(incident: &Incident) -> Vec<(String, String)> {
    let mut facts: Vec<(String, String)> = Vec::new();
    let mut fact = |name: &str, value: String| facts.push((name.to_owned(), value));
    fact("Severity", incident.severity.as_str().to_owned());
    fact("Status", incident.status.as_str().to_owned());
    fact("Began", time(incident.created_at));
    let after = |at: i64| format!("{} (after {})", time(at), duration(at - incident.created_at));
    if let Some(at) = incident.first_acknowledged_at {
        fact("Acknowledged", after(at));
    }
    if let Some(at) = incident.resolved_at {
        fact("Resolved", after(at));
    }
    if incident.reopened > 0 {
        fact("Reopened", format!("{} times", incident.reopened));
    }
    fact("Alerts", (incident.events + incident.events_left_out).to_string());
    if let Some(person) = &incident.assignee {
        fact("Assignee", inline(person));
    }
    for (role, person) in &incident.roles {
        fact(&inline(role), inline(person));
    }
    for (name, value) in &incident.labels {
        fact(&format!("Label {}", inline(name)), inline(&cut(value)));
    }
    facts
}

fn line(entry: &TimelineEntry) -> String {
    let what = match entry.kind {
        EntryKind::Opened => "opened",
        EntryKind::EventJoined => "alert",
        EntryKind::EventOver => "alert over",
        EntryKind::Called => "called",
        EntryKind::Acknowledged => "acknowledged",
        EntryKind::Unacknowledged => "acknowledgement taken back",
        EntryKind::Assigned => "assigned",
        EntryKind::Role => "role",
        EntryKind::Note => "note",
        EntryKind::Severity => "severity",
        EntryKind::Runbook => "runbook",
        EntryKind::Step => "step",
        EntryKind::Action => "action",
        EntryKind::Published => "status page",
        EntryKind::Update => "public update",
        EntryKind::Resolved => "resolved",
        EntryKind::Reopened => "reopened",
    };
    let mut out = format!("- {} **{what}**", time(entry.at));
    if let Some(who) = &entry.who {
        // Writing to a String cannot fail.
        let _ = write!(out, " {}", inline(who));
    }
    let text = lines(&cut(&entry.text));
    if !text.is_empty() {
        let _ = write!(out, ": {text}");
    }
    out.push('\n');
    out
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// A moment in UTC, to the second.
fn time(at: i64) -> String {
    let at = Timestamp::from_millisecond(at).unwrap_or_default().to_zoned(TimeZone::UTC);
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A length of time in at most two units.
fn duration(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
