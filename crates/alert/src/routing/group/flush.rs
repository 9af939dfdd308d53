//! What a group tells at a moment.

use serde::{Deserialize, Serialize};

use super::super::alert::Alert;
use crate::Labels;
use crate::severity::{Priority, Severity};

/// An alert in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlushAlert {
    /// The alert; one that fires at the moment of the flush has no end, so that it does not seem to end while the
    /// message is on its way.
    pub alert: Alert,
    /// Whether it is over, here.
    pub resolved: bool,
    /// Whether it goes on elsewhere, since its labels (usually its severity) changed and another group has it.
    pub moved: bool,
}

/// What one group tells its receivers, before silences, inhibition, mutes and the log have their say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flush {
    /// The group: Alertmanager's `groupKey`.
    pub group: String,
    /// The route.
    pub route: usize,
    /// Who is told.
    pub receivers: Vec<String>,
    /// What the group's alerts have in common by the route's `group_by`.
    pub labels: Labels,
    /// Its alerts, in order of their labels.
    pub alerts: Vec<FlushAlert>,
    /// When.
    pub at: i64,
    /// After how many milliseconds it is told again without a change.
    pub repeat_ms: i64,
    /// In which order messages leave: by the gravest alert.
    pub priority: Priority,
    /// Whether an alert grew worse, so that no digest may hold it.
    pub urgent: bool,
    /// Whether it is the list of a window.
    pub digest: bool,
    /// The escalation policy to start.
    pub escalation: Option<String>,
    /// Whether an incident is to be opened.
    pub incident: bool,
}

/// The order in which messages leave.
pub(super) fn priority<'a>(alerts: impl Iterator<Item = &'a Alert>) -> Priority {
    alerts.filter_map(Alert::severity).max().map_or(Priority::Normal, Severity::priority)
}
