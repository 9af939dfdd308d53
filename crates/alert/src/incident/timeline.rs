//! What happened to an incident, in order; entries are added and never changed.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::TIMELINE_MAX;
use crate::fault::{Fault, check_text};

/// Bytes of one entry's text.
pub(super) const TEXT_BYTES_MAX: usize = 16 << 10;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// The incident began.
    Opened,
    /// An event joined.
    EventJoined,
    /// An event was over.
    EventOver,
    /// Somebody was called.
    Called,
    /// Somebody took care.
    Acknowledged,
    /// Nobody does any more.
    Unacknowledged,
    /// It was given to somebody, or taken away.
    Assigned,
    /// A role was given or taken.
    Role,
    /// Somebody wrote something down.
    Note,
    /// It became worse or better.
    Severity,
    /// A runbook was linked.
    Runbook,
    /// A step of a runbook was done, or is not done after all.
    Step,
    /// Something was done by an agent or a webhook.
    Action,
    /// What the public sees was changed.
    Published,
    /// The public was told something.
    Update,
    /// It was over.
    Resolved,
    /// It was not.
    Reopened,
}

impl EntryKind {
    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::EventJoined => "event_joined",
            Self::EventOver => "event_over",
            Self::Called => "called",
            Self::Acknowledged => "acknowledged",
            Self::Unacknowledged => "unacknowledged",
            Self::Assigned => "assigned",
            Self::Role => "role",
            Self::Note => "note",
            Self::Severity => "severity",
            Self::Runbook => "runbook",
            Self::Step => "step",
            Self::Action => "action",
            Self::Published => "published",
            Self::Update => "update",
            Self::Resolved => "resolved",
            Self::Reopened => "reopened",
        }
    }

    /// Up to how many entries there is room for one of this kind: what comes by itself leaves half to people, and the
    /// end always fits.
    pub(super) fn room(self) -> i64 {
        match self {
            Self::EventJoined | Self::EventOver | Self::Called => TIMELINE_MAX / 2,
            Self::Resolved => TIMELINE_MAX,
            _ => TIMELINE_MAX - 1_000,
        }
    }

    /// Whether the thing it tells of goes on where it has no room.
    pub(super) fn may_be_left_out(self) -> bool {
        matches!(self, Self::EventJoined | Self::EventOver | Self::Called)
    }
}

/// An entry to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What it is about.
    pub kind: EntryKind,
    /// What people read.
    pub text: String,
    /// The same for programs.
    pub data: Map<String, Value>,
}

impl Entry {
    /// One with a text.
    pub fn new(kind: EntryKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), data: Map::new() }
    }

    /// With something for programs.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.insert(key.to_owned(), value.into());
        self
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        check_text("text", &self.text, TEXT_BYTES_MAX)
    }
}

/// An entry that was added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// Its place, from 1.
    pub n: i64,
    /// Milliseconds since the epoch.
    pub at: i64,
    /// What it is about.
    pub kind: EntryKind,
    /// Who did it; `None` for the server.
    pub who: Option<String>,
    /// What people read.
    pub text: String,
    /// The same for programs.
    pub data: Map<String, Value>,
}
