//! What people mend together: alerts joined in one place, with who does what and everything that happened.
//!
//! What an operation does is decided by [`Incident::apply`], which is pure; the store reads the incident under a lock,
//! applies, and writes it with the entry of its timeline in one transaction.

mod list; // lists and timelines
mod open; // one incident of a key, and its events
mod operation; // what can be done to one
mod store; // under a lock
mod timeline; // what happened

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Labels;
use crate::fault::Fault;
use crate::severity::Severity;
use crate::tables::TableError;

pub use list::{IncidentFilter, IncidentPlace};
pub use open::{NewIncident, Opened};
pub use operation::Operation;
pub use timeline::{Entry, EntryKind, TimelineEntry};

pub(crate) use store::{change, locked, record};

/// Entries of one timeline. The last thousand are kept for its end.
pub const TIMELINE_MAX: i64 = 10_000;
/// Events joined to one incident; further ones are counted.
pub const EVENTS_MAX: i64 = 10_000;

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IncidentStatus {
    /// Nobody takes care of it.
    Open,
    /// Somebody does.
    Acknowledged,
    /// It is over.
    Resolved,
}

impl IncidentStatus {
    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

/// Who opened an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "lowercase")]
pub enum Origin {
    /// A route, by its name.
    Route(String),
    /// A member, by e-mail address.
    Person(String),
}

/// A runbook as it was when it was linked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkedRunbook {
    /// Its name.
    pub name: String,
    /// Its steps.
    pub steps: Vec<LinkedStep>,
}

/// A step of a linked runbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkedStep {
    /// What is to be done.
    pub title: String,
    /// When it was, milliseconds since the epoch.
    pub done_at: Option<i64>,
    /// By whom.
    pub done_by: Option<String>,
}

/// How much an incident hurts those who see the status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Impact {
    /// Nothing is worse for them.
    None,
    /// Slower, or in part.
    Degraded,
    /// Does not work.
    Outage,
}

/// How far the work is, as the public is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The cause is looked for.
    Investigating,
    /// It was found.
    Identified,
    /// It was mended, and is looked at.
    Monitoring,
    /// It is over.
    Resolved,
}

impl Phase {
    /// The spelling in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Investigating => "investigating",
            Self::Identified => "identified",
            Self::Monitoring => "monitoring",
            Self::Resolved => "resolved",
        }
    }
}

/// What a status page shows of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Publication {
    /// The name of the page.
    pub page: String,
    /// Its title there.
    pub title: String,
    /// Names of the components that are hurt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// How much.
    pub impact: Impact,
}

/// An incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Starts with `inc_`.
    pub id: String,
    /// 1 and up within the tenant, for people to say.
    pub number: i64,
    /// While it is open, what comes with the same key joins it.
    pub key: Option<String>,
    /// One line.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands.
    pub status: IncidentStatus,
    /// Who opened it.
    pub origin: Origin,
    /// What its alerts have in common.
    pub labels: Labels,
    /// The escalation policy that calls people for it.
    pub escalation: Option<String>,
    /// Whether it ends when all its events have.
    pub auto_resolve: bool,
    /// Whose it is, by e-mail address.
    pub assignee: Option<String>,
    /// Who does what: `commander` and others, with e-mail addresses.
    pub roles: BTreeMap<String, String>,
    /// Runbooks that are worked through.
    pub runbooks: Vec<LinkedRunbook>,
    /// What the public sees of it.
    pub publication: Option<Publication>,
    /// How far the work is, as the public was told last.
    pub phase: Option<Phase>,
    /// Milliseconds since the epoch.
    pub created_at: i64,
    /// When somebody took care of it for the first time.
    pub first_acknowledged_at: Option<i64>,
    /// When somebody did who still does.
    pub acknowledged_at: Option<i64>,
    /// Who.
    pub acknowledged_by: Option<String>,
    /// When it was over.
    pub resolved_at: Option<i64>,
    /// Who ended it; `None` where it ended by itself.
    pub resolved_by: Option<String>,
    /// How often it was opened again.
    pub reopened: u32,
    /// Entries of its timeline.
    pub entries: i64,
    /// Events that joined it.
    pub events: i64,
    /// Events that had no room.
    pub events_left_out: i64,
    /// When anything of it changed.
    pub updated_at: i64,
}

/// What goes wrong with an incident.
#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    /// The tables; also where there is no such incident, or it stands wrong for what is asked.
    #[error(transparent)]
    Table(#[from] TableError),
    /// What was given cannot be.
    #[error(transparent)]
    Invalid(#[from] Fault),
    /// Its timeline has no more room.
    #[error("the timeline of incident {id:?} is full; resolve it and open another")]
    Full {
        /// Which.
        id: String,
    },
}

impl From<sqlx::Error> for IncidentError {
    fn from(error: sqlx::Error) -> Self {
        Self::Table(error.into())
    }
}

impl From<db::DbError> for IncidentError {
    fn from(error: db::DbError) -> Self {
        Self::Table(error.into())
    }
}

#[cfg(test)]
mod tests;
