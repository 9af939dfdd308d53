//! What is told, before it is put into a provider's form.

use serde::{Deserialize, Serialize};

use crate::Labels;
use crate::severity::{Priority, Severity};

/// Whether something goes on or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// At least one alert fires.
    Firing,
    /// All are over.
    Resolved,
}

impl Status {
    /// As Alertmanager spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// Why something is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// Alerts fire or end.
    Alert,
    /// A step of an escalation: somebody is called.
    Escalation,
    /// An incident changed.
    Incident,
    /// Somebody tries the channel out.
    Test,
    /// What those are told who asked to hear of a status page.
    Status,
    /// A step of a runbook is to be done.
    Action,
}

/// An alert as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertView {
    /// Firing or resolved.
    pub status: Status,
    /// How bad it is.
    pub severity: Severity,
    /// What tells it apart.
    pub labels: Labels,
    /// What its rule says of it.
    pub annotations: Labels,
    /// The last value, as text.
    pub value: String,
    /// Milliseconds since the epoch.
    pub starts_at: i64,
    /// When it was over; `None` while it fires.
    pub ends_at: Option<i64>,
    /// Where it came from: a page of the rule.
    pub generator_url: String,
    /// A hash of its labels, as Alertmanager computes it, in hexadecimal.
    pub fingerprint: String,
}

/// Something that can be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it does, such as `Acknowledge`.
    pub label: String,
    /// Where it leads.
    pub url: String,
}

/// Something to be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The same for every attempt at the same delivery, so that a receiver can tell doubles.
    pub id: String,
    /// The same for all that is told of one thing, from its beginning to its end.
    pub key: String,
    /// Why.
    pub event: Event,
    /// Whether it goes on.
    pub status: Status,
    /// The worst of its alerts.
    pub severity: Severity,
    /// How soon it is delivered.
    pub priority: Priority,
    /// One line.
    pub title: String,
    /// A few lines of plain text.
    pub text: String,
    /// Its alerts, the worst first.
    pub alerts: Vec<AlertView>,
    /// How many more there are.
    pub alerts_left_out: usize,
    /// Labels that the group is made of.
    pub group_labels: Labels,
    /// Labels that all have.
    pub common_labels: Labels,
    /// Annotations that all have.
    pub common_annotations: Labels,
    /// Name of the receiver or channel.
    pub receiver: String,
    /// What to do, if the rule says so.
    pub runbook: Option<String>,
    /// What can be done: the page of the alert first.
    pub links: Vec<Link>,
    /// Where this server is found by people.
    pub external_url: String,
    /// When it was written, milliseconds since the epoch.
    pub at: i64,
}

impl Message {
    /// The page of what is told.
    pub fn link(&self) -> Option<&str> {
        self.links.first().map(|link| link.url.as_str()).filter(|url| !url.is_empty())
    }

    /// A colour for its severity: green when it is over.
    pub(super) fn color(&self) -> u32 {
        match (self.status, self.severity) {
            (Status::Resolved, _) => 0x002e_7d32,
            (_, Severity::Info) => 0x0015_65c0,
            (_, Severity::Warning) => 0x00f9_a825,
            (_, Severity::Error) => 0x00ef_6c00,
            (_, Severity::Critical) => 0x00c6_2828,
        }
    }

    /// The text with what to do, for kinds that have no place of its own for that.
    pub(super) fn whole_text(&self) -> String {
        let mut text = self.text.clone();
        if self.alerts_left_out > 0 {
            text += &format!("\n… and {} more", self.alerts_left_out);
        }
        if let Some(runbook) = &self.runbook {
            text += &format!("\nRunbook: {runbook}");
        }
        text
    }
}
