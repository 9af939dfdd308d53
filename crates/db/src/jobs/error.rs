//! What goes wrong with jobs, and what to do about it.

use model::TenantId;

use crate::error::{DbError, Remedy};
use crate::jobs::job::JobState;

/// An error of the queue.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// A field of a job, or an argument, cannot be.
    #[error("{field}: {message}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// Why, and what to write instead.
        message: String,
    },
    /// The payload is too large.
    #[error("payload: {bytes} bytes of JSON are more than {max}; publish a reference to the data instead")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        max: usize,
    },
    /// As many jobs of the tenant wait in the queue as may. Nothing was published: a publisher that must not
    /// lose keeps its own row and tries again later.
    #[error("queue {queue} of tenant {tenant} is full: {max} jobs wait; publish again when some are done")]
    Full {
        /// Whose.
        tenant: TenantId,
        /// Which.
        queue: String,
        /// How many may wait.
        max: usize,
    },
    /// The lease ended and the job went to somebody else, was ended by somebody, or is gone.
    #[error("the claim {epoch} of job {id} is over; leave the job to whoever has it now")]
    ClaimLost {
        /// Which job.
        id: String,
        /// Whose claim, by its epoch.
        epoch: i64,
    },
    /// The tenant has no such job.
    #[error("there is no job {id}; it may have been swept away since")]
    NotFound {
        /// Which.
        id: String,
    },
    /// Only dead letters can be requeued or deleted.
    #[error("job {id} is {}; only a dead one can be requeued or deleted", .state.as_str())]
    NotDead {
        /// Which.
        id: String,
        /// What it is instead.
        state: JobState,
    },
    /// A row does not read as it was written.
    #[error("{what} in the database is damaged: {message}")]
    Damaged {
        /// Which column.
        what: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<sqlx::Error> for JobError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

impl JobError {
    /// What the caller should do next.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Invalid { .. } | Self::TooLarge { .. } => Remedy::FixRequest,
            Self::Full { .. } => Remedy::RetryLater,
            Self::ClaimLost { .. } | Self::NotFound { .. } | Self::NotDead { .. } => Remedy::FixRequest,
            Self::Damaged { .. } | Self::Random(_) => Remedy::CallOperator,
            Self::Db(error) => error.remedy(),
        }
    }

    /// True when trying the same again soon may help.
    pub fn is_transient(&self) -> bool {
        self.remedy() == Remedy::RetryLater
    }
}
