//! The response side at the rim: rules are asked over the stored telemetry, people are told over HTTP and mail, and
//! the API shows it. What decides is in the crate `alert`.

mod ask; // questions over the stored telemetry
mod backtest; // a rule over the past
mod channels; // trying a channel out
pub(crate) mod defaults; // rules that tenants begin with
mod events; // what fired
mod fallback; // what no channel took
mod files; // files of Prometheus and Alertmanager
mod groups; // when groups of rules are evaluated
mod incident_views; // shapes of incidents
mod incidents; // what people mend together
mod oncall; // who is on duty
mod owner; // which of several servers it is
mod postmortems; // what was learnt
mod prometheus; // rule files over the API
mod remediation; // what agents and webhooks do
mod rules; // rules by their ids
mod run; // the loop
mod runbooks; // what to do
mod send; // what the queue hands out
mod setup; // from saved objects to rules, channels and routes
mod silences; // asked for quiet
mod status_page; // what the public sees
mod status_state; // how components are
mod subscriptions; // who is told of a status page
mod views; // shapes of answers

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use alert::engine::{Engine, EngineError, Metrics, SilenceFault};
use alert::incident::IncidentError;
use alert::runbook::RunError;
use alert::status::SubscriptionError;
use alert::tables::{TableError, Tables};
use arc_swap::ArcSwapOption;
use control::ObjectKind;
use db::jobs::{JobError, Jobs};
use db::leases::LeaseKeeper;
use model::TenantId;
use parking_lot::Mutex;

pub(crate) use ask::figures;
pub(crate) use owner::keeper;
pub(crate) use run::{AlertingPart, alerting};
pub(crate) use setup::{check, external_url};

use crate::app::App;
use crate::error::Fault;
use crate::openapi::Routes;
use run::Schedule;

/// What the application holds of it.
#[derive(Default)]
pub(crate) struct Response {
    jobs: ArcSwapOption<Jobs>,
    keeper: ArcSwapOption<LeaseKeeper>,
    files: ArcSwapOption<files::Files>,
    /// Why the files could not be read, if so.
    files_problem: Mutex<Option<String>>,
    seats: Mutex<HashMap<TenantId, Arc<Seat>>>,
    /// Tenants that had no rules when they were looked at, so that an idle tenant's part stays closed.
    quiet: Mutex<HashSet<TenantId>>,
    /// One engine is opened at a time, so that none is opened twice.
    opening: tokio::sync::Mutex<()>,
    /// Public pages as they were a short while ago.
    pages: status_page::Pages,
}

/// A tenant whose rules are evaluated.
pub(crate) struct Seat {
    pub(super) tenant: TenantId,
    pub(super) engine: Engine,
    /// Its objects changed since they were read.
    stale: AtomicBool,
    pub(super) schedule: Mutex<Schedule>,
    pub(super) groups: Mutex<groups::GroupSchedule>,
    /// Its `alertmanager.yml`, if it has one.
    file: ArcSwapOption<files::Alertmanager>,
    /// When this server last asked whether the tenant is its own; `i64::MIN` before the first time.
    pub(super) asked_at: AtomicI64,
    /// Another server had the tenant while this stood.
    pub(super) was_others: AtomicBool,
    /// When it was last asked for, milliseconds.
    used_at: AtomicI64,
    /// It has policies or runbooks, which go on without rules.
    is_manned: AtomicBool,
}

/// A tenant without rules is let go when nobody asked for it for this long: long enough for every group to tell that
/// its alerts are over.
const IDLE_MS: i64 = 3_600_000;

impl Seat {
    /// Whether it can be let go.
    pub(super) fn is_done(&self, now: i64) -> bool {
        self.schedule.lock().is_empty()
            && !self.is_manned.load(Ordering::Relaxed)
            && self.engine.is_idle()
            && now.saturating_sub(self.used_at.load(Ordering::Relaxed)) >= IDLE_MS
    }
}

impl Response {
    /// Objects of a tenant changed: rules, channels and routes are read anew.
    pub(crate) fn changed(&self, tenant: &TenantId, kind: ObjectKind) {
        let counts = matches!(
            kind,
            ObjectKind::Rule
                | ObjectKind::Channel
                | ObjectKind::Route
                | ObjectKind::Slo
                | ObjectKind::Schedule
                | ObjectKind::Escalation
                | ObjectKind::Runbook
                | ObjectKind::RuleFile
                | ObjectKind::Alertmanager
                | ObjectKind::Inhibition
                | ObjectKind::TimeInterval
        );
        if counts && let Some(seat) = self.seats.lock().get(tenant) {
            seat.stale.store(true, Ordering::Relaxed);
        }
        if run::KEPT_BUSY_BY.contains(&kind) {
            self.quiet.lock().remove(tenant);
        }
    }

    /// Lets go of a tenant.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        self.seats.lock().remove(tenant);
        self.quiet.lock().remove(tenant);
    }

    /// Every tenant is looked at again, since another node may have given it rules.
    pub(super) fn look_again(&self) {
        self.quiet.lock().clear();
    }

    /// The tenants whose rules are evaluated.
    pub(super) fn seats(&self) -> Vec<Arc<Seat>> {
        self.seats.lock().values().cloned().collect()
    }

    /// Puts the queue and the leases in place, or takes them away; engines go with them, since they write to a database
    /// that is closed.
    pub(crate) fn plug_jobs(&self, jobs: Option<Arc<Jobs>>, keeper: Option<Arc<LeaseKeeper>>) {
        self.jobs.store(jobs);
        self.keeper.store(keeper);
        self.seats.lock().clear();
    }

    fn keeper(&self) -> Result<Arc<LeaseKeeper>, Fault> {
        self.keeper.load_full().ok_or_else(|| Fault::Unavailable("the leases are being opened".into()))
    }

    /// The files that were read.
    fn files(&self) -> Option<Arc<files::Files>> {
        self.files.load_full()
    }

    /// Takes files that were read; all tenants are looked at again, since the files may be another's from now on.
    fn files_read(&self, read: Result<files::Files, Fault>) -> Result<(), Fault> {
        *self.files_problem.lock() = read.as_ref().err().map(Fault::message);
        self.files.store(Some(Arc::new(read?)));
        self.seats().iter().for_each(|seat| seat.stale.store(true, Ordering::Relaxed));
        self.look_again();
        Ok(())
    }

    /// Why the files could not be read, if so.
    pub(crate) fn files_problem(&self) -> Option<String> {
        self.files_problem.lock().clone()
    }

    fn jobs(&self) -> Result<Arc<Jobs>, Fault> {
        self.jobs.load_full().ok_or_else(|| Fault::Unavailable("the queue is being opened".into()))
    }
}

impl App {
    /// The alerting of a tenant, opened when it is first asked for.
    pub(crate) async fn engine_of(self: &Arc<Self>, tenant: &TenantId) -> Result<Engine, Fault> {
        Ok(self.seat_of(tenant).await?.engine.clone())
    }

    pub(super) async fn seat_of(self: &Arc<Self>, tenant: &TenantId) -> Result<Arc<Seat>, Fault> {
        let known = |app: &Self| app.response().seats.lock().get(tenant).cloned();
        if let Some(seat) = known(self) {
            seat.used_at.store(self.now_ms(), Ordering::Relaxed);
            self.refresh(&seat).await?;
            return Ok(seat);
        }
        let _one = self.response().opening.lock().await;
        if let Some(seat) = known(self) {
            return Ok(seat);
        }
        let control = self.control()?;
        control.active_tenant(tenant).await?;
        let tables = Tables::new(control.scope(tenant).await?);
        let jobs = Jobs::clone(&*self.response().jobs()?);
        let read = setup::read(self, tenant).await?;
        let is_manned = AtomicBool::new(read.setup.is_manned());
        let engine = Engine::open(tenant.clone(), tables, jobs, self.clock(), read.setup).await?;
        engine.set_rules(read.rules).await?;
        engine.set_groups(read.groups, &ask::Asker(Arc::clone(self))).await?;
        let schedule = Mutex::new(Schedule::new(engine.intervals(), self.now_ms()));
        let seat = Arc::new(Seat {
            tenant: tenant.clone(),
            engine,
            stale: AtomicBool::new(false),
            is_manned,
            schedule,
            groups: Mutex::default(),
            file: ArcSwapOption::from(read.file),
            asked_at: AtomicI64::new(i64::MIN),
            was_others: AtomicBool::new(false),
            used_at: AtomicI64::new(self.now_ms()),
        });
        self.response().seats.lock().insert(tenant.clone(), Arc::clone(&seat));
        Ok(seat)
    }

    /// Reads a tenant's objects anew if they changed.
    pub(super) async fn refresh(self: &Arc<Self>, seat: &Seat) -> Result<(), Fault> {
        if !seat.stale.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let result = async {
            let read = setup::read(self, &seat.tenant).await?;
            seat.is_manned.store(read.setup.is_manned(), Ordering::Relaxed);
            seat.engine.set_up(read.setup).await?;
            let asker = ask::Asker(Arc::clone(self));
            for ends in seat.engine.set_rules(read.rules).await? {
                if let Err(error) = asker.write(&seat.tenant, ends, false).await {
                    tracing::warn!(tenant = %seat.tenant, %error, "series of a rule that is gone were not ended");
                }
            }
            seat.engine.set_groups(read.groups, &asker).await?;
            seat.file.store(read.file);
            seat.schedule.lock().keep(seat.engine.intervals(), self.now_ms());
            Ok(())
        };
        let result: Result<(), Fault> = result.await;
        if result.is_err() {
            seat.stale.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl App {
    /// Takes alerts that others send.
    pub(crate) async fn receive_alerts(
        self: &Arc<Self>,
        tenant: &TenantId,
        alerts: Vec<alert::routing::Alert>,
    ) -> Result<(), Fault> {
        let engine = self.engine_to_change(tenant).await?;
        let changed = engine.receive(alerts, "api").await?;
        let seat = self.seat_of(tenant).await?;
        seat.schedule.lock().wake(self.now_ms());
        run::announce(self, &seat, &changed).await;
        Ok(())
    }

    /// After how long an alert of others that is not heard of again counts as resolved.
    pub(crate) async fn resolve_timeout_ms(self: &Arc<Self>, tenant: &TenantId) -> Result<i64, Fault> {
        let seat = self.seat_of(tenant).await?;
        let file = seat.file.load_full();
        Ok(file
            .map_or(alert::engine::RESOLVE_MS, |file| crate::app::millis(file.file.global.resolve_timeout)))
    }

    /// The text of a tenant's `alertmanager.yml`, with its secrets.
    pub(crate) async fn alertmanager_text(
        self: &Arc<Self>,
        tenant: &TenantId,
    ) -> Result<Option<String>, Fault> {
        Ok(self.seat_of(tenant).await?.file.load_full().map(|file| file.text.clone()))
    }
}

/// Routes of rules, events, silences and channels.
pub(crate) fn object_routes() -> Routes {
    rules::routes()
        .merge(backtest::routes())
        .merge(channels::routes())
        .merge(status_page::routes())
        .merge(prometheus::routes())
}

/// Routes for whoever is called.
pub(crate) fn responder_routes() -> Routes {
    events::routes()
        .merge(silences::routes())
        .merge(incidents::routes())
        .merge(postmortems::routes())
        .merge(oncall::routes())
        .merge(runbooks::routes())
        .merge(remediation::routes())
}

/// Routes for agents, which carry out what was approved.
pub(crate) fn agent_routes() -> Routes {
    remediation::agent_routes()
}

/// What answers anyone.
pub(crate) fn public_routes() -> Routes {
    oncall::public_routes().merge(status_page::public_routes()).merge(subscriptions::public_routes())
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Table(error) => error.into(),
            EngineError::Jobs(JobError::Db(error)) => control::ControlError::from(error).into(),
            EngineError::Jobs(error) => Self::Unavailable(error.to_string()),
            EngineError::Ask { .. } => Self::Execution(error.to_string()),
            EngineError::NoRule(_) => Self::NotFound(error.to_string()),
            EngineError::Incident(error) => error.into(),
            EngineError::Run(error) => error.into(),
            EngineError::Subscription(error) => error.into(),
        }
    }
}

impl From<IncidentError> for Fault {
    fn from(error: IncidentError) -> Self {
        match error {
            IncidentError::Table(error) => error.into(),
            IncidentError::Invalid(fault) => wrong(fault),
            IncidentError::Full { .. } => Self::Conflict(error.to_string()),
        }
    }
}

impl From<RunError> for Fault {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Table(error) => error.into(),
            RunError::Invalid(fault) => wrong(fault),
            RunError::Incident(error) => error.into(),
            RunError::OwnRun { .. } => Self::Forbidden(error.to_string()),
            RunError::TooOften { .. } => Self::TooMany(error.to_string()),
        }
    }
}

impl From<SubscriptionError> for Fault {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::Table(error) => error.into(),
            SubscriptionError::Invalid(fault) => wrong(fault),
            SubscriptionError::Full(_) => Self::Conflict(error.to_string()),
        }
    }
}

/// What is wrong with what somebody wrote.
fn wrong(fault: alert::fault::Fault) -> Fault {
    Fault::invalid(&fault.field, fault.message)
}

impl From<TableError> for Fault {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Db(error) => control::ControlError::from(error).into(),
            TableError::Missing { .. } => Self::NotFound(error.to_string()),
            TableError::State { .. } => Self::Conflict(error.to_string()),
            TableError::Damaged { .. } | TableError::Random(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<SilenceFault> for Fault {
    fn from(fault: SilenceFault) -> Self {
        match fault {
            SilenceFault::Asked(error) => Self::invalid("", error.to_string()),
            SilenceFault::TooMany => Self::Conflict(fault.to_string()),
            SilenceFault::Engine(error) => error.into(),
        }
    }
}

/// Who did something, as it is written down.
pub(super) fn who(identity: &crate::chain::Identity) -> String {
    identity.principal.who.name.clone()
}
