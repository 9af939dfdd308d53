//! Deterministic simulation of the store over a disk that fails; never shipped.
//!
//! One seed draws everything: what tenants send, what they ask, when heads are frozen, flushed, merged and
//! dropped, when the clock jumps, when the disk fails, fills up or loses power inside a call. After each
//! restart, and at every query, what is read is compared with an oracle that knows every write and what was
//! answered to it. The same seed gives the same run, down to each byte that goes to the disk.

pub mod digest; // what makes two runs equal
pub mod disk; // forgets, tears, fails, fills up
pub mod oracle; // what must be readable
mod workload; // what is sent and asked
mod world; // the steps of a run

use std::panic::{AssertUnwindSafe, catch_unwind};

use disk::Lies;
use world::World;

/// How to run a seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Syncs that the disk only pretends to do.
    pub lies: Lies,
    /// Tenants send no logs and spans: runs are as they were when there were none.
    pub metrics_only: bool,
    /// Keeps the last calls of the disk for the report of a failure.
    pub records: bool,
}

/// What happened in a run, to see that runs do not miss what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Digest of all steps, disk calls and answers.
    pub digest: u64,
    /// Writes acknowledged.
    pub acknowledged: u64,
    /// Of those, writes of rows.
    pub row_writes: u64,
    /// Writes answered with an error after they were staged.
    pub failed: u64,
    /// Losses of power.
    pub crashes: u64,
    /// Ends of the process without a loss of power.
    pub kills: u64,
    /// Heads flushed.
    pub flushes: u64,
    /// Compactions.
    pub compactions: u64,
    /// Segments dropped by retention.
    pub expired: u64,
    /// Deletes that took effect.
    pub deletes: u64,
    /// Backups taken, restored and compared.
    pub backups: u64,
    /// Queries compared.
    pub queries: u64,
    /// Held snapshots compared.
    pub held: u64,
    /// Faults injected.
    pub faults: u64,
}

/// What was wrong in a run.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The run's seed.
    pub seed: u64,
    /// What was read and what should have been, or what panicked.
    pub message: String,
    /// The last steps.
    pub trail: Vec<String>,
    /// The last calls of the disk, if they were kept.
    pub calls: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for call in &self.calls {
            writeln!(f, "    {call}")?;
        }
        for step in &self.trail {
            writeln!(f, "  {step}")?;
        }
        writeln!(f, "seed {}: {}", self.seed, self.message)?;
        write!(f, "rerun with: SIM_SEED={} cargo nextest run -p sim", self.seed)
    }
}

/// Runs a seed to its end.
pub fn run(seed: u64, options: Options) -> Result<Report, Box<Failure>> {
    let mut world = World::new(seed, options);
    let done = catch_unwind(AssertUnwindSafe(|| world.run()));
    let message = match done {
        Ok(Ok(report)) => return Ok(report),
        Ok(Err(message)) => message,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).into()));
            format!("panicked: {}", text.unwrap_or_default())
        }
    };
    let (trail, calls) = world.last_words();
    Err(Box::new(Failure { seed, message, trail, calls }))
}
