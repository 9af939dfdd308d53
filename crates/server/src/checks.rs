//! Health checks at the rim: which ones there are, what they may reach, where their results go, and the API that
//! shows it. How a check is carried out is in the crate `probe`.

mod api; // checks by their ids
mod facts; // what checks may ask and reach
mod heartbeat; // programs that report by themselves
mod results; // runs of the past, uptime
mod run; // the loop
mod seat; // the checks of one tenant
mod series; // results as rows and samples
mod spec; // what is stored, and what is refused
mod views; // shapes of answers

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use control::ObjectKind;
use kit::SharedClock;
use model::TenantId;
use parking_lot::Mutex;
use probe::check::{CheckKey, Runner, RunnerStats};

pub(crate) use run::run;
pub(crate) use spec::check;

use crate::app::App;
use crate::error::Fault;
use crate::openapi::Routes;
use seat::{Done, Entry, Seat};

/// Runs at the same time. Most of one is waiting for the other side.
const RUNS_MAX: usize = 2_000;

/// Results that wait to be stored; beyond it the oldest are lost and counted.
const WAITING_MAX: usize = 100_000;

/// What the application holds of it.
pub(crate) struct Checks {
    runner: Arc<Runner>,
    seats: Mutex<HashMap<TenantId, Arc<Seat>>>,
    /// Tenants whose checks changed since they were read.
    stale: Mutex<HashSet<TenantId>>,
    /// Tenants that had no checks when they were looked at, so that an idle tenant's part stays closed.
    quiet: Mutex<HashSet<TenantId>>,
    /// One tenant is read at a time, so that none is read twice.
    opening: tokio::sync::Mutex<()>,
    waiting: Mutex<Waiting>,
}

/// Results on their way to the store.
#[derive(Default)]
struct Waiting {
    done: Vec<Done>,
    /// Checks whose series end.
    ended: Vec<(TenantId, Arc<Entry>)>,
    lost: u64,
}

impl Checks {
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self {
            runner: Runner::new(clock, RUNS_MAX),
            seats: Mutex::default(),
            stale: Mutex::default(),
            quiet: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
        }
    }

    /// Objects of a tenant changed: checks are read anew.
    pub(crate) fn changed(&self, tenant: &TenantId, kind: ObjectKind) {
        if kind == ObjectKind::Check {
            self.stale.lock().insert(tenant.clone());
            self.quiet.lock().remove(tenant);
        }
    }

    /// Lets go of a tenant.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        if let Some(seat) = self.seats.lock().remove(tenant) {
            seat.stop(&self.runner);
        }
        self.stale.lock().remove(tenant);
        self.quiet.lock().remove(tenant);
    }

    /// Every check stops: the database that their states are written to is closed.
    pub(crate) fn unplug(&self) {
        for (_, seat) in self.seats.lock().drain() {
            seat.stop(&self.runner);
        }
        self.quiet.lock().clear();
    }

    /// What was done so far.
    pub(crate) fn stats(&self) -> RunnerStats {
        self.runner.stats()
    }

    fn seat(&self, tenant: &TenantId) -> Option<Arc<Seat>> {
        self.seats.lock().get(tenant).cloned()
    }

    /// The check that is run under a key.
    fn entry(&self, key: &CheckKey) -> Option<(Arc<Seat>, Arc<Entry>)> {
        let (tenant, id) = key.split_once('/')?;
        let seat = self.seat(&TenantId::new(tenant).ok()?)?;
        let entry = seat.by_id(id)?;
        Some((seat, entry))
    }

    fn push(&self, done: Done) {
        let mut waiting = self.waiting.lock();
        if waiting.done.len() >= WAITING_MAX {
            waiting.done.remove(0);
            waiting.lost += 1;
        }
        waiting.done.push(done);
    }

    fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting.lock())
    }

    /// Puts results back that could not be stored, before those that came meanwhile.
    fn put_back(&self, mut done: Vec<Done>) {
        let mut waiting = self.waiting.lock();
        done.append(&mut waiting.done);
        let over = done.len().saturating_sub(WAITING_MAX);
        done.drain(..over);
        waiting.lost += over as u64;
        waiting.done = done;
    }
}

impl App {
    /// The checks of a tenant, read when they are first asked for and again when they changed.
    async fn checks_of(self: &Arc<Self>, tenant: &TenantId) -> Result<Arc<Seat>, Fault> {
        let checks = self.checks();
        let known = |app: &Self| {
            let stale = app.checks().stale.lock().contains(tenant);
            app.checks().seat(tenant).filter(|_| !stale)
        };
        if let Some(seat) = known(self) {
            return Ok(seat);
        }
        let _one = checks.opening.lock().await;
        if let Some(seat) = known(self) {
            return Ok(seat);
        }
        // Taken away before it is read: what changes meanwhile is read again.
        checks.stale.lock().remove(tenant);
        match seat::read(self, tenant, checks.seat(tenant)).await {
            Ok((seat, ended)) => {
                seat.plan(&checks.runner, &ended);
                checks.waiting.lock().ended.extend(ended.into_iter().map(|entry| (tenant.clone(), entry)));
                checks.seats.lock().insert(tenant.clone(), Arc::clone(&seat));
                Ok(seat)
            }
            Err(fault) => {
                checks.stale.lock().insert(tenant.clone());
                Err(fault)
            }
        }
    }
}

/// Routes of checks.
pub(crate) fn routes() -> Routes {
    api::routes().merge(results::routes())
}

/// Routes without sign-in: the path holds a key.
pub(crate) fn public_routes() -> Routes {
    heartbeat::routes()
}
