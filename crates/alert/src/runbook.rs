//! What to do when something is wrong, as steps that people tick and agents carry out.
//!
//! The server runs no command: an agent that polls takes a run whose command it was allowed by its own file, and a
//! webhook is a request to a channel. Arguments go to the command one by one, never through a shell.

mod argument; // what a command is given
mod claim; // who carries a run out
mod run; // a run, and who may let it
mod spec; // what people write
mod store; // runs on record

use crate::fault::Fault;
use crate::incident::IncidentError;
use crate::tables::TableError;

pub use argument::ArgumentSpec;
pub use claim::Report;
pub use run::{OUTPUT_BYTES_MAX, Run, RunKind, RunRequest, RunStatus};
pub use spec::{ActionSpec, Approval, LimitSpec, RunbookSpec, StepSpec};
pub use store::{RunFilter, RunPlace};

/// What goes wrong with a run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The tables; also where there is no such run, or it stands wrong for what is asked.
    #[error(transparent)]
    Table(#[from] TableError),
    /// What was given cannot be.
    #[error(transparent)]
    Invalid(#[from] Fault),
    /// The incident it belongs to.
    #[error(transparent)]
    Incident(#[from] IncidentError),
    /// The one who asked may not let it.
    #[error("{who} asked for this run, so somebody else must approve it")]
    OwnRun {
        /// Who asked, and tried.
        who: String,
    },
    /// The action ran too often.
    #[error(
        "{action:?} was asked for {times} times in the last {seconds} s, which is its limit; try again after {retry_at} (milliseconds since the epoch)"
    )]
    TooOften {
        /// The command or channel.
        action: String,
        /// How often it may run.
        times: u32,
        /// Within how many seconds.
        seconds: i64,
        /// When it may again.
        retry_at: i64,
    },
}

impl From<sqlx::Error> for RunError {
    fn from(error: sqlx::Error) -> Self {
        Self::Table(error.into())
    }
}

impl From<db::DbError> for RunError {
    fn from(error: db::DbError) -> Self {
        Self::Table(error.into())
    }
}

#[cfg(test)]
mod tests;
