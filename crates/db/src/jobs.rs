//! A durable queue of jobs in the shared part of the database: published once, done at least once, by workers
//! on any node.
//!
//! - **Nothing is lost.** A job is a row. It leaves its queue when a worker acknowledges it, or as a dead letter
//!   that stays for a person to see. A claim that a worker does not answer before its lease ends comes back by
//!   itself.
//! - **Twice is possible, by accident only.** A worker that dies between its effect and [`Jobs::ack`] leaves a
//!   job that is done again. [`Jobs::once`] makes an effect in the shared part happen once; an effect elsewhere
//!   stores the job's id beside it. A claim has an epoch, so whoever lost it can settle nothing.
//! - **Order.** By priority, then by time, with two exceptions that keep anybody from starving: see [`turns`].
//! - **Time** is the node's clock. Where two nodes differ by a second, a job is due, and its lease ends, a second
//!   early or late; the epoch keeps that harmless.

pub mod aggregation; // the queue of metrics to aggregate
mod claim; // waiting to running
mod error; // what goes wrong
mod ids; // names that sort by time
mod job; // what a job is
mod letters; // counts, lists, dead letters, sweeping
mod publish; // into the queue
mod room; // how much may wait
pub(crate) mod schema; // the tables
mod settle; // running to done, waiting or dead
mod turns; // whose job is next
mod wakes; // a publish on this node is heard at once
mod worker; // a loop that claims and handles

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kit::{BoxError, RetryPolicy, Service, SharedClock, Shutdown};
use parking_lot::Mutex;

use crate::database::Database;
use crate::scope::{Backend, Scope};

pub use error::JobError;
pub use job::{Claim, Depth, JobEntry, JobFilter, JobState, NewJob, PAYLOAD_BYTES_MAX, Priority, Settled};
pub(crate) use publish::tuples;
pub use publish::{JOBS_PER_PUBLISH_MAX, Published};
pub use schema::TABLES;
pub use worker::{Failure, JobHandler, Worker, WorkerSettings};

/// How often what has ended is removed and depths are read.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Knobs of the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSettings {
    /// Jobs of one tenant that may wait in one queue. Several nodes that publish at once may pass it by what
    /// they publish in ten seconds.
    pub waiting_max: usize,
    /// A job that was done stays listed, and keeps its key taken, this long.
    pub done_kept: Duration,
    /// The same of a dead letter.
    pub dead_kept: Duration,
    /// Waits between attempts. How many there are is the job's own number, not this one's.
    pub retry: RetryPolicy,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            waiting_max: 100_000,
            done_kept: Duration::from_secs(24 * 3600),
            dead_kept: Duration::from_secs(14 * 24 * 3600),
            retry: RetryPolicy {
                attempts_max: u32::MAX,
                delay_base: Duration::from_secs(1),
                delay_max: Duration::from_secs(600),
                jitter: 0.2,
            },
        }
    }
}

/// The queue. Clones share it, and only publishers and workers that share it hear each other at once.
#[derive(Clone)]
pub struct Jobs {
    shared: Arc<Shared>,
}

struct Shared {
    db: Database,
    clock: SharedClock,
    settings: JobSettings,
    ids: ids::Ids,
    room: room::Room,
    turns: Mutex<turns::Turns>,
    wakes: wakes::Wakes,
    /// As last read, for gauges.
    depths: Mutex<Vec<Depth>>,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("db", &self.shared.db).finish_non_exhaustive()
    }
}

impl Jobs {
    /// A queue in the shared part, whose [`TABLES`] are up to date.
    pub fn new(db: Database, clock: SharedClock) -> Self {
        Self::with_settings(db, clock, JobSettings::default())
    }

    /// The same with other settings.
    pub fn with_settings(db: Database, clock: SharedClock, settings: JobSettings) -> Self {
        let shared = Shared {
            db,
            clock,
            room: room::Room::new(settings.waiting_max),
            settings,
            ids: ids::Ids::default(),
            turns: Mutex::default(),
            wakes: wakes::Wakes::default(),
            depths: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    fn now(&self) -> i64 {
        self.shared.clock.now_ms()
    }

    fn scope(&self) -> Scope {
        self.shared.db.control()
    }

    /// What PostgreSQL adds to a choice of rows so that two choosers never wait for each other. SQLite has one
    /// writer at a time.
    fn skip_locked(&self) -> &'static str {
        match self.shared.db.backend() {
            Backend::Sqlite => "",
            Backend::Postgres => "FOR UPDATE SKIP LOCKED",
        }
    }
}

/// Milliseconds of a duration, at most as many as fit.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// As a service it removes what ended long ago and measures the queues.
#[async_trait]
impl Service for Jobs {
    async fn run(&self, shutdown: Shutdown) -> Result<(), BoxError> {
        loop {
            self.sweep().await?;
            let depths = self.depths().await?;
            *self.shared.depths.lock() = depths;
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                () = self.shared.clock.sleep(SWEEP_INTERVAL) => {}
            }
        }
    }

    /// Over all queues and tenants, as of at most a minute ago.
    fn gauges(&self) -> Vec<(String, f64)> {
        let depths = self.shared.depths.lock();
        let sum = |of: fn(&Depth) -> u64| depths.iter().map(of).sum::<u64>() as f64;
        let oldest = depths.iter().filter_map(|depth| depth.oldest_waiting_at).min();
        let age_ms = oldest.map_or(0, |at| self.now().saturating_sub(at).max(0));
        vec![
            ("jobs_waiting".to_owned(), sum(|depth| depth.waiting)),
            ("jobs_running".to_owned(), sum(|depth| depth.running)),
            ("jobs_dead".to_owned(), sum(|depth| depth.dead)),
            ("oldest_waiting_job_age_ms".to_owned(), age_ms as f64),
        ]
    }
}
