//! What a job is, before, while and after it is in a queue.

use std::time::Duration;

use model::TenantId;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::jobs::error::JobError;

/// Longest payload, bytes of JSON.
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024;

/// How soon a job is wanted. Severity says how bad a thing is, priority in which order things are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// When nothing else waits.
    Low,
    /// As most.
    #[default]
    Normal,
    /// Before most.
    High,
    /// Before all.
    Critical,
}

impl Priority {
    /// Every priority, the least first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// The spelling in messages and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == text)
    }

    pub(crate) fn rank(self) -> i64 {
        self as i64
    }

    pub(crate) fn of_rank(rank: i64) -> Result<Self, JobError> {
        let found = Self::ALL.into_iter().find(|priority| priority.rank() == rank);
        found.ok_or_else(|| JobError::Damaged { what: "jobs.priority", message: format!("{rank} is none") })
    }
}

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// For its time to come, and for a worker.
    Waiting,
    /// A worker has it.
    Running,
    /// It was acknowledged.
    Done,
    /// It was given up. A dead letter stays until a person, or time, removes it.
    Dead,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Running, Self::Done, Self::Dead];

    /// The spelling in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A job to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// Whose. The job is removed with its tenant.
    pub tenant: TenantId,
    /// Which queue: lower-case letters, digits, `_`, `-` and `.`, at most 64.
    pub queue: String,
    /// What the worker is told; at most [`PAYLOAD_BYTES_MAX`] bytes as JSON.
    pub payload: Value,
    /// How soon it is wanted.
    pub priority: Priority,
    /// Not before this has passed.
    pub delay: Duration,
    /// Publishing the same key in the same queue of the same tenant again changes nothing and answers the id
    /// of the first job, while that one lives and for as long as ended jobs are kept.
    pub key: Option<String>,
    /// Attempts in all, the first included. After the last the job is a dead letter.
    pub attempts_max: u32,
    /// It is given up this long after its publication, whatever attempts are left.
    pub keep_for: Duration,
}

impl NewJob {
    /// A job of normal priority, due now, with ten attempts within a day.
    pub fn new(tenant: TenantId, queue: &str, payload: Value) -> Self {
        Self {
            tenant,
            queue: queue.to_owned(),
            payload,
            priority: Priority::Normal,
            delay: Duration::ZERO,
            key: None,
            attempts_max: 10,
            keep_for: Duration::from_secs(24 * 3600),
        }
    }
}

/// A job in the hands of a worker, until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The job's id, the same at every attempt: what an effect is made idempotent by.
    pub id: String,
    /// Whose.
    pub tenant: TenantId,
    /// Which queue.
    pub queue: String,
    /// How soon it was wanted.
    pub priority: Priority,
    /// JSON, as it was published.
    pub payload: String,
    /// Its idempotency key.
    pub key: Option<String>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Attempts in all.
    pub attempts_max: u32,
    /// When it was published, milliseconds since the epoch.
    pub published_at: i64,
    /// When it is given up, milliseconds since the epoch.
    pub expires_at: i64,
    /// Rises with each claim of the job: only the latest may settle it.
    pub epoch: i64,
}

impl Claim {
    /// The payload as a type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.payload)
    }

    pub(crate) const COLUMNS: &str = "id, tenant_id, queue, priority, payload, dedup_key, attempt, attempts_max, \
         published_at, expires_at, claims";

    pub(crate) fn read(row: &AnyRow) -> Result<Self, JobError> {
        Ok(Self {
            id: row.try_get("id")?,
            tenant: read_tenant(row)?,
            queue: row.try_get("queue")?,
            priority: Priority::of_rank(row.try_get("priority")?)?,
            payload: row.try_get("payload")?,
            key: row.try_get("dedup_key")?,
            attempt: read_count(row, "attempt")?,
            attempts_max: read_count(row, "attempts_max")?,
            published_at: row.try_get("published_at")?,
            expires_at: row.try_get("expires_at")?,
            epoch: row.try_get("claims")?,
        })
    }
}

/// What became of a job whose attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is tried again.
    Again {
        /// From when on, milliseconds since the epoch.
        at: i64,
    },
    /// It is a dead letter.
    Dead,
}

/// A job as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEntry {
    /// Sorts by time of publication.
    pub id: String,
    /// Which queue.
    pub queue: String,
    /// How soon it is wanted.
    pub priority: Priority,
    /// Its idempotency key.
    pub key: Option<String>,
    /// Where it is in its life.
    pub state: JobState,
    /// While it waits, from when on it may be claimed; while it runs, when its lease ends; ms since the epoch.
    pub due_at: i64,
    /// When it was published, ms since the epoch.
    pub published_at: i64,
    /// When it is given up, ms since the epoch.
    pub expires_at: i64,
    /// Attempts begun.
    pub attempt: u32,
    /// Attempts in all.
    pub attempts_max: u32,
    /// Who has it, while it runs.
    pub worker: String,
    /// What the last attempt failed with; empty when none did.
    pub error: String,
    /// When it was done or given up, ms since the epoch.
    pub ended_at: Option<i64>,
}

impl JobEntry {
    pub(crate) const COLUMNS: &str = "id, queue, priority, dedup_key, state, due_at, published_at, expires_at, \
         attempt, attempts_max, worker, error, ended_at";

    pub(crate) fn read(row: &AnyRow) -> Result<Self, JobError> {
        Ok(Self {
            id: row.try_get("id")?,
            queue: row.try_get("queue")?,
            priority: Priority::of_rank(row.try_get("priority")?)?,
            key: row.try_get("dedup_key")?,
            state: read_state(row)?,
            due_at: row.try_get("due_at")?,
            published_at: row.try_get("published_at")?,
            expires_at: row.try_get("expires_at")?,
            attempt: read_count(row, "attempt")?,
            attempts_max: read_count(row, "attempts_max")?,
            worker: row.try_get("worker")?,
            error: row.try_get("error")?,
            ended_at: row.try_get("ended_at")?,
        })
    }
}

/// Which jobs of a tenant to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this queue.
    pub queue: Option<String>,
    /// In this state.
    pub state: Option<JobState>,
    /// Published before the job of this id: the last one of the page before.
    pub before: Option<String>,
}

/// How much of one tenant is in one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Which queue.
    pub queue: String,
    /// Whose.
    pub tenant: TenantId,
    /// Jobs that wait for their time or a worker.
    pub waiting: u64,
    /// Jobs that workers have.
    pub running: u64,
    /// Dead letters.
    pub dead: u64,
    /// When the oldest of those that wait was published, ms since the epoch.
    pub oldest_waiting_at: Option<i64>,
}

pub(crate) fn read_tenant(row: &AnyRow) -> Result<TenantId, JobError> {
    let damaged = |error: model::InvalidTenantId| JobError::Damaged {
        what: "jobs.tenant_id",
        message: error.to_string(),
    };
    TenantId::new(&row.try_get::<String, _>("tenant_id")?).map_err(damaged)
}

pub(crate) fn read_state(row: &AnyRow) -> Result<JobState, JobError> {
    let text: String = row.try_get("state")?;
    JobState::parse(&text)
        .ok_or_else(|| JobError::Damaged { what: "jobs.state", message: format!("{text:?} is none") })
}

fn read_count(row: &AnyRow, column: &'static str) -> Result<u32, JobError> {
    let count: i64 = row.try_get(column)?;
    u32::try_from(count).map_err(|error| JobError::Damaged { what: column, message: error.to_string() })
}
