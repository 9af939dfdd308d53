//! Rows of a tenant's part: what fired, who was told, what is silent.

mod events; // what fired
mod groups; // what the desk goes on from
mod notifications; // who was told
mod rules; // where rules stand

pub use events::{Event, EventFilter, EventState, LogEntry};
pub use notifications::{Delivery, Notification, NotificationStatus};
pub use rules::{KeptRule, Outcome};

use db::{DbError, Scope};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Rows listed at once.
pub const PAGE_MAX: u32 = 1_000;

/// What goes wrong with the tables.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A row does not read.
    #[error("{what} in the database does not read: {message}; restore it from a backup")]
    Damaged {
        /// Table and column.
        what: &'static str,
        /// Why.
        message: String,
    },
    /// Randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// There is no such thing.
    #[error("there is no {what} {id:?}")]
    Missing {
        /// What was looked for.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// It is not in the state for that.
    #[error("{what} {id:?} is {state}: {remedy}")]
    State {
        /// What it is.
        what: &'static str,
        /// Its id.
        id: String,
        /// Its state.
        state: &'static str,
        /// What can be done instead.
        remedy: &'static str,
    },
}

impl From<sqlx::Error> for TableError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

/// The tables of one tenant.
#[derive(Clone, Debug)]
pub struct Tables {
    pub(crate) scope: Scope,
}

impl Tables {
    /// Those of this part, which [`crate::schema::TENANT`] made.
    pub fn new(scope: Scope) -> Self {
        Self { scope }
    }
}

/// A new id: the prefix and 128 random bits in hexadecimal.
pub fn new_id(prefix: &str) -> Result<String, TableError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(TableError::Random)?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{prefix}{hex}"))
}

/// A value as it is stored.
pub(crate) fn to_text(value: &impl Serialize, what: &'static str) -> Result<String, TableError> {
    let text = serde_json::to_string(value)
        .map_err(|error| TableError::Damaged { what, message: error.to_string() })?;
    // PostgreSQL's TEXT cannot hold it, and labels of telemetry may.
    Ok(if text.contains("\\u0000") { text.replace("\\u0000", "\\ufffd") } else { text })
}

/// A value that was stored.
pub(crate) fn from_text<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T, TableError> {
    serde_json::from_str(text).map_err(|error| TableError::Damaged { what, message: error.to_string() })
}

/// A word that was stored.
pub(crate) fn word<T: DeserializeOwned>(text: String, what: &'static str) -> Result<T, TableError> {
    serde_json::from_value(serde_json::Value::String(text))
        .map_err(|error| TableError::Damaged { what, message: error.to_string() })
}

#[cfg(test)]
mod tests;
