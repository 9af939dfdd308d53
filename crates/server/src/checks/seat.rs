//! The checks of one tenant, as they run.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use control::ObjectKind;
use model::{METRIC_NAME, TenantId};
use parking_lot::Mutex;
use probe::check::dependencies::Dependencies;
use probe::check::{
    Check, CheckKey, CheckResult, CheckSpec, CheckStatus, KeptCheck, Policy, Prober, Report, Runner, State,
    Tables, Tracker, Transition,
};

use super::facts::{Known, Reached};
use crate::app::SharedApp;
use crate::error::Fault;

/// Checks of one tenant.
pub(super) const CHECKS_MAX: usize = 20_000;

/// Where checks are run that name no other place.
pub(super) const HERE: &str = "server";

/// A check that is known.
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) version: i64,
    pub(super) check: Arc<Check>,
    state: Mutex<Live>,
}

/// What changes from run to run.
struct Live {
    tracker: Tracker,
    last: Option<CheckResult>,
    report: Option<Report>,
    started_at: Option<i64>,
}

/// A result on its way to the store.
pub(super) struct Done {
    pub(super) tenant: TenantId,
    pub(super) entry: Arc<Entry>,
    pub(super) result: CheckResult,
    /// What the check counts as with this result.
    pub(super) status: CheckStatus,
    /// What changed with it.
    pub(super) transitions: Vec<Transition>,
    /// The state to be kept, if it changed.
    pub(super) state: Option<State>,
    /// Whether only its samples wait.
    pub(super) is_row_stored: bool,
}

/// The checks of one tenant.
pub(super) struct Seat {
    pub(super) tenant: TenantId,
    pub(super) tables: Tables,
    prober: Prober,
    entries: BTreeMap<String, Arc<Entry>>,
    names: HashMap<String, String>,
    dependencies: Dependencies,
}

/// Reads a tenant's checks; those that did not change go on as they are. Also returns those of before whose series end.
pub(super) async fn read(
    app: &SharedApp,
    tenant: &TenantId,
    before: Option<Arc<Seat>>,
) -> Result<(Arc<Seat>, Vec<Arc<Entry>>), Fault> {
    let control = app.control()?;
    control.active_tenant(tenant).await?;
    let tables = Tables::new(control.scope(tenant).await?);
    let mut kept = match &before {
        Some(_) => BTreeMap::new(),
        None => tables.all().await.map_err(control::ControlError::from)?,
    };
    let mut entries = BTreeMap::new();
    let (mut names, mut parents) = (HashMap::new(), BTreeMap::new());
    let mut after = None::<String>;
    'pages: loop {
        let page = control.projected(tenant, ObjectKind::Check, after.as_deref(), 1_000).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.object.name.clone());
        for one in page {
            if entries.len() >= CHECKS_MAX {
                tracing::warn!(%tenant, "there are more than {CHECKS_MAX} checks: the rest is not run");
                break 'pages;
            }
            let known = before.as_ref().and_then(|seat| seat.by_id(&one.id));
            if let Some(known) = known
                .filter(|known| known.version == one.object.version && known.check.name() == one.object.name)
            {
                parents.insert(one.object.name.clone(), known.check.spec().depends_on.clone());
                names.insert(one.object.name, one.id.clone());
                entries.insert(one.id, known);
                continue;
            }
            let check =
                CheckSpec::parse(&one.object.spec).and_then(|spec| Check::new(&one.object.name, spec));
            let check = match check {
                Ok((check, _)) => check,
                Err(error) => {
                    tracing::warn!(%tenant, check = one.object.name, %error, "a check is not run");
                    continue;
                }
            };
            let known = before.as_ref().and_then(|seat| seat.by_id(&one.id));
            let live = match known {
                Some(known) => known.handed_on(&check),
                None => Live::of(kept.remove(&one.id).unwrap_or_default(), &check),
            };
            parents.insert(one.object.name.clone(), check.spec().depends_on.clone());
            names.insert(one.object.name, one.id.clone());
            let entry = Entry {
                id: one.id.clone(),
                version: one.object.version,
                check: Arc::new(check),
                state: Mutex::new(live),
            };
            entries.insert(one.id, Arc::new(entry));
        }
    }
    // Left in the tables by a program that ended before it could remove them.
    for id in kept.keys().filter(|id| !entries.contains_key(*id)) {
        tables.remove(id).await.map_err(control::ControlError::from)?;
    }
    let dependencies = Dependencies::new(parents).unwrap_or_else(|cycle| {
        tracing::warn!(%tenant, %cycle, "checks are run as if none depended on another");
        Dependencies::default()
    });
    let ended = before.as_ref().map_or_else(Vec::new, |before| before.ended_by(&entries));
    for gone in ended.iter().filter(|gone| !entries.contains_key(&gone.id)) {
        tables.remove(&gone.id).await.map_err(control::ControlError::from)?;
    }
    let (reach, facts) = (Reached::new(app, tenant), Known::new(app, tenant));
    let prober = Prober::new(Arc::new(reach), Arc::new(facts), app.clock());
    let seat = Seat { tenant: tenant.clone(), tables, prober, entries, names, dependencies };
    Ok((Arc::new(seat), ended))
}

impl Live {
    fn of(kept: KeptCheck, check: &Check) -> Self {
        let state = kept.state.unwrap_or_default();
        Self {
            tracker: Tracker::new(Policy::of(check.spec()), state),
            last: None,
            report: kept.report,
            started_at: kept.started_at,
        }
    }
}

impl Entry {
    /// Whether it runs here.
    pub(super) fn is_active(&self) -> bool {
        self.check.spec().is_active
    }

    /// What goes over to the check as it is now. Of one that looks at something else nothing is known.
    fn handed_on(&self, check: &Check) -> Live {
        let old = self.state.lock();
        let same =
            (self.check.spec().kind, &self.check.spec().target) == (check.spec().kind, &check.spec().target);
        let state = if same { *old.tracker.state() } else { State::default() };
        Live {
            tracker: Tracker::new(Policy::of(check.spec()), state),
            last: old.last.clone().filter(|_| same),
            report: old.report.clone(),
            started_at: old.started_at,
        }
    }

    /// What it counts as, and its last result.
    pub(super) fn now(&self) -> (State, Option<CheckResult>) {
        let live = self.state.lock();
        (*live.tracker.state(), live.last.clone())
    }

    /// The last report of a heartbeat.
    pub(super) fn report(&self) -> Option<Report> {
        self.state.lock().report.clone()
    }

    /// A run began whose end will be reported.
    pub(super) fn started(&self, at: i64) {
        self.state.lock().started_at = Some(at);
    }

    /// A report came; returns when the run began that it ends.
    pub(super) fn reported(&self, report: Report) -> Option<i64> {
        let mut live = self.state.lock();
        live.report = Some(report);
        live.started_at.take()
    }

    fn status(&self) -> CheckStatus {
        self.state.lock().tracker.state().status
    }

    /// The labels of its series, beside the name.
    pub(super) fn labels(&self) -> Vec<(&str, &str)> {
        let spec = self.check.spec();
        let own = [("check", self.check.name()), ("place", HERE), ("type", spec.kind.as_str())];
        let given = spec.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let is_free = |name: &str| !matches!(name, "check" | "place" | "type") && *name != *METRIC_NAME;
        own.into_iter().chain(given.filter(|(name, _)| is_free(name))).collect()
    }
}

impl Seat {
    pub(super) fn by_id(&self, id: &str) -> Option<Arc<Entry>> {
        self.entries.get(id).cloned()
    }

    pub(super) fn by_name(&self, name: &str) -> Option<Arc<Entry>> {
        self.by_id(self.names.get(name)?)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Checks that each check depends on, by name.
    pub(super) fn parents(&self) -> BTreeMap<String, Vec<String>> {
        let parents =
            |entry: &Arc<Entry>| (entry.check.name().to_owned(), entry.check.spec().depends_on.clone());
        self.entries.values().map(parents).collect()
    }

    fn key(&self, id: &str) -> CheckKey {
        format!("{}/{id}", self.tenant).into()
    }

    /// Checks of this seat that run no more, or under other labels, with those of the next one.
    fn ended_by(&self, next: &BTreeMap<String, Arc<Entry>>) -> Vec<Arc<Entry>> {
        let goes_on = |entry: &&Arc<Entry>| {
            next.get(&entry.id).is_some_and(|next| next.is_active() && next.labels() == entry.labels())
        };
        self.entries.values().filter(|entry| entry.is_active() && !goes_on(entry)).cloned().collect()
    }

    /// Puts the checks into the plan, and takes out those that are gone.
    pub(super) fn plan(&self, runner: &Runner, ended: &[Arc<Entry>]) {
        for entry in ended {
            runner.remove(&self.key(&entry.id));
        }
        for entry in self.entries.values() {
            runner.set(&self.key(&entry.id), Arc::clone(&entry.check));
        }
    }

    /// Takes all checks out of the plan.
    pub(super) fn stop(&self, runner: &Runner) {
        for id in self.entries.keys() {
            runner.remove(&self.key(id));
        }
    }

    /// Carries a check out; nothing is kept of it.
    pub(super) async fn attempt(&self, check: &Check) -> CheckResult {
        self.prober.run(check).await
    }

    /// Reads a result: what it means, with what it depends on.
    pub(super) fn conclude(&self, entry: &Arc<Entry>, mut result: CheckResult) -> Done {
        if result.status == CheckStatus::Unhealthy {
            let status =
                |name: &str| self.by_name(name).map_or(CheckStatus::Unknown, |parent| parent.status());
            if let Some(cause) = self.dependencies.cause(entry.check.name(), status) {
                let message = result.message.take().unwrap_or_default();
                result.message = Some(format!("{cause:?} fails, on which it depends; {message}"));
                result.status = CheckStatus::Unknown;
            }
        }
        let mut live = entry.state.lock();
        let transitions = live.tracker.observe(result.at, result.status);
        let state = *live.tracker.state();
        live.last = Some(result.clone());
        drop(live);
        Done {
            tenant: self.tenant.clone(),
            entry: Arc::clone(entry),
            status: state.status,
            result,
            state: (!transitions.is_empty()).then_some(state),
            transitions,
            is_row_stored: false,
        }
    }
}
