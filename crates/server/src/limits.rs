//! What each tenant may use and how much it does: requests, bytes under way, queries at once, series, stored
//! bytes. One tenant over its limits is refused before its handler, so that others do not notice.

mod stored; // bytes on disk
mod visitors; // who is not signed in

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use control::{Principal, Tenant};
use hashbrown::HashMap;
use model::TenantId;
use parking_lot::{Mutex, RwLock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::error::Fault;

use stored::Stored;
pub(crate) use visitors::Ask;
use visitors::Visitors;

/// Limits of one tenant, as its object says; what is absent is bounded by the configuration alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TenantLimits {
    /// Requests within `performance.rate_limit_window_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(crate) requests: Option<u64>,
    /// Of those, by one person, key or service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(crate) requests_per_caller: Option<u64>,
    /// Bytes of bodies being received or decoded at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(crate) in_flight_bytes: Option<u64>,
    /// Series active at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(crate) series: Option<u64>,
    /// Bytes of telemetry on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(crate) stored_bytes: Option<u64>,
    /// Queries running at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(crate) concurrent_queries: Option<u32>,
    /// Longest run of a query, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 86_400), extend("exclusiveMinimum" = 0))]
    pub(crate) query_seconds: Option<f64>,
}

impl TenantLimits {
    /// Reads a tenant's limits; the fault names the field.
    pub(crate) fn parse(value: &serde_json::Value) -> Result<Self, Fault> {
        if !value.is_object() {
            return Err(Fault::invalid("limits", "must be an object such as {\"series\": 100000}"));
        }
        let limits: Self = serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let field = if path == "." { "limits".to_owned() } else { format!("limits.{path}") };
            Fault::invalid(&field, error.inner().to_string())
        })?;
        let zero = [
            ("requests", limits.requests == Some(0)),
            ("requests_per_caller", limits.requests_per_caller == Some(0)),
            ("in_flight_bytes", limits.in_flight_bytes == Some(0)),
            ("series", limits.series == Some(0)),
            ("stored_bytes", limits.stored_bytes == Some(0)),
            ("concurrent_queries", limits.concurrent_queries == Some(0)),
            ("query_seconds", limits.query_seconds.is_some_and(|s| !(s > 0.0 && s <= 86_400.0))),
        ];
        match zero.iter().find(|(_, is_wrong)| *is_wrong) {
            Some((field, _)) => Err(Fault::invalid(
                &format!("limits.{field}"),
                "must be above 0; leave it out for no limit of its own, or suspend the tenant",
            )),
            None => Ok(limits),
        }
    }
}

/// Says what is wrong with a tenant's limits before they are stored.
pub fn check_tenant_limits(limits: &serde_json::Value) -> Result<(), String> {
    TenantLimits::parse(limits).map(drop).map_err(|fault| fault.message())
}

/// A limit of a tenant that can be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Requests of all callers, or of one.
    Requests,
    /// Bytes of bodies under way.
    InFlightBytes,
    /// Active series.
    Series,
    /// Bytes on disk.
    StoredBytes,
    /// Queries at once.
    ConcurrentQueries,
}

impl Limit {
    /// The spelling in the answer about use and in our own metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InFlightBytes => "in_flight_bytes",
            Self::Series => "series",
            Self::StoredBytes => "stored_bytes",
            Self::ConcurrentQueries => "concurrent_queries",
        }
    }
}

/// What is counted of a tenant.
#[derive(Debug, Default)]
pub(crate) struct Use {
    pub(crate) requests: AtomicU64,
    pub(crate) under_way: AtomicU64,
    pub(crate) in_flight_bytes: Arc<AtomicU64>,
    pub(crate) received_bytes: AtomicU64,
    pub(crate) queries: AtomicU64,
    pub(crate) refused_requests: AtomicU64,
    pub(crate) refused_bytes: AtomicU64,
    pub(crate) refused_queries: AtomicU64,
    /// New series, one for each item that would have made one.
    pub(crate) refused_series: AtomicU64,
    /// Writes.
    pub(crate) refused_stored: AtomicU64,
}

/// A tenant's counters and windows.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) used: Use,
    limits: RwLock<(Arc<Tenant>, Arc<TenantLimits>)>,
    windows: Mutex<Windows>,
    queries: Mutex<(usize, Arc<Semaphore>)>,
}

/// Requests in the window of time now, in all and by caller.
#[derive(Debug, Default)]
struct Windows {
    window: u64,
    all: u64,
    callers: HashMap<String, u64>,
    /// What each caller did since the start.
    totals: HashMap<String, CallerUse>,
    /// Requests of the last seconds, for the rate that is shown.
    seconds: VecDeque<(u64, u64)>,
}

/// Callers counted apart in one window; the others share one count.
const CALLERS_MAX: usize = 10_000;
/// Seconds over which the shown rate is taken.
const RATE_SECONDS: u64 = 10;

/// What a person, a key or a service account did since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallerUse {
    pub(crate) requests: u64,
    /// Of bodies that were taken in.
    pub(crate) bytes: u64,
}

/// All tenants that were seen since the start, and those who come without one.
#[derive(Debug, Default)]
pub(crate) struct Tenants {
    states: RwLock<HashMap<TenantId, Arc<State>>>,
    pub(crate) visitors: Visitors,
    stored: Stored,
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Pass(Arc<State>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.used.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Use {
    fn refused(&self, limit: Limit) -> &AtomicU64 {
        match limit {
            Limit::Requests => &self.refused_requests,
            Limit::InFlightBytes => &self.refused_bytes,
            Limit::Series => &self.refused_series,
            Limit::StoredBytes => &self.refused_stored,
            Limit::ConcurrentQueries => &self.refused_queries,
        }
    }
}

impl State {
    /// Whose.
    pub(crate) fn tenant(&self) -> TenantId {
        self.limits.read().0.id.clone()
    }

    fn new(tenant: &Arc<Tenant>) -> Self {
        Self {
            used: Use::default(),
            limits: RwLock::new((Arc::clone(tenant), Arc::new(limits_of(tenant)))),
            windows: Mutex::default(),
            queries: Mutex::new((0, Arc::new(Semaphore::new(0)))),
        }
    }

    /// The limits as they are now.
    pub(crate) fn limits(&self) -> Arc<TenantLimits> {
        Arc::clone(&self.limits.read().1)
    }

    /// Requests a second over the last ten.
    pub(crate) fn rate(&self, now: Duration) -> f64 {
        let second = now.as_secs();
        let windows = self.windows.lock();
        let recent = windows.seconds.iter().filter(|(at, _)| second.saturating_sub(*at) <= RATE_SECONDS);
        recent.map(|(_, count)| *count as f64).sum::<f64>() / RATE_SECONDS as f64
    }

    /// Counts bytes that a caller sent.
    pub(crate) fn received(&self, caller: &str, bytes: u64) {
        self.used.received_bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(total) = self.windows.lock().totals.get_mut(caller) {
            total.bytes += bytes;
        }
    }

    /// What everyone did since the start, by identifier, those who did most first.
    pub(crate) fn callers(&self) -> Vec<(String, CallerUse)> {
        let mut all: Vec<_> =
            self.windows.lock().totals.iter().map(|(id, total)| (id.clone(), *total)).collect();
        all.sort_by_key(|(_, total)| Reverse((total.bytes, total.requests)));
        all
    }

    fn renew(&self, tenant: &Arc<Tenant>) {
        if !Arc::ptr_eq(&self.limits.read().0, tenant) {
            *self.limits.write() = (Arc::clone(tenant), Arc::new(limits_of(tenant)));
        }
    }

    /// The tenant's own slots, of those that the server has: as many as its limits say, or half, so that no tenant
    /// takes all of them.
    pub(crate) fn query_slots(&self, of: usize) -> Arc<Semaphore> {
        let most = self.limits().concurrent_queries.map_or(of.div_ceil(2), |most| most as usize);
        let mut known = self.queries.lock();
        if known.0 != most {
            *known = (most, Arc::new(Semaphore::new(most)));
        }
        Arc::clone(&known.1)
    }
}

/// A stored object of an older version may hold what this one does not know; that limits nothing.
fn limits_of(tenant: &Tenant) -> TenantLimits {
    TenantLimits::parse(&tenant.limits).unwrap_or_else(|fault| {
        tracing::warn!(tenant = %tenant.id, reason = fault.message(), "the tenant's limits cannot be read");
        TenantLimits::default()
    })
}

impl Tenants {
    /// What is known of a tenant; `None` before its first request.
    pub(crate) fn get(&self, tenant: &TenantId) -> Option<Arc<State>> {
        self.states.read().get(tenant).cloned()
    }

    /// Forgets a tenant that was deleted.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        self.states.write().remove(tenant);
    }

    fn state(&self, tenant: &Arc<Tenant>) -> Arc<State> {
        if let Some(state) = self.get(&tenant.id) {
            state.renew(tenant);
            return state;
        }
        let mut all = self.states.write();
        Arc::clone(all.entry(tenant.id.clone()).or_insert_with(|| Arc::new(State::new(tenant))))
    }

    /// Counts a request, or refuses it.
    pub(crate) fn pass(&self, app: &App, tenant: &Arc<Tenant>, caller: &Principal) -> Result<Pass, Fault> {
        let state = self.state(tenant);
        let (limits, settings) = (state.limits(), app.settings());
        let window_ms = settings.performance.rate_limit_window_ms.max(1);
        let now = app.clock().monotonic();
        let most = limits.requests.or(settings.limits.requests);
        let most_of_caller = limits.requests_per_caller.or(settings.limits.requests_per_caller);
        let counted = state.windows.lock().count(now, window_ms, &caller.who.id);
        let over = match (most, most_of_caller) {
            (Some(most), _) if counted.0 > most => Some((most, "requests")),
            (_, Some(most)) if counted.1 > most => Some((most, "requests_per_caller")),
            _ => None,
        };
        if let Some((most, which)) = over {
            app.count_refused(&state, Limit::Requests, 1);
            let retry_after_seconds = until_next(now, window_ms);
            let message = format!(
                "over {most} requests in {window_ms} ms (limits.{which} of the tenant): try again in \
                 {retry_after_seconds} s, send larger batches, or ask for a higher limit"
            );
            return Err(Fault::Throttled { message, retry_after_seconds });
        }
        state.used.requests.fetch_add(1, Ordering::Relaxed);
        state.used.under_way.fetch_add(1, Ordering::Relaxed);
        Ok(Pass(state))
    }
}

impl App {
    /// Counts what a limit refused: for the answer about use, and in our own metrics.
    pub(crate) fn count_refused(&self, state: &State, limit: Limit, items: u64) {
        state.used.refused(limit).fetch_add(items, Ordering::Relaxed);
        self.telemetry().over_limit(&state.tenant(), limit.as_str(), items);
    }

    /// A tenant's limits and counters, also before its first request, for what comes without one.
    pub(crate) async fn tenant_state(&self, tenant: &TenantId) -> Option<Arc<State>> {
        match self.control().ok()?.active_tenant(tenant).await {
            Ok(tenant) => Some(self.tenant_limits().state(&tenant)),
            // What was known last holds until the database answers again; of a tenant that goes nothing begins.
            Err(_) => self.tenant_limits().get(tenant),
        }
    }
}

/// Seconds until the window of a moment has passed, at least one.
fn until_next(now: Duration, window_ms: u64) -> u64 {
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    (window_ms - now_ms % window_ms).div_ceil(1_000)
}

impl Windows {
    /// Counts one request; how many there are now of all callers and of this one.
    fn count(&mut self, now: Duration, window_ms: u64, caller: &str) -> (u64, u64) {
        let window = u64::try_from(now.as_millis()).unwrap_or(u64::MAX) / window_ms;
        if self.window != window {
            (self.window, self.all) = (window, 0);
            self.callers.clear();
        }
        self.all += 1;
        let second = now.as_secs();
        match self.seconds.back_mut().filter(|(at, _)| *at == second) {
            Some((_, count)) => *count += 1,
            None => {
                self.seconds.push_back((second, 1));
                while self.seconds.len() as u64 > RATE_SECONDS + 1 {
                    self.seconds.pop_front();
                }
            }
        }
        let known = self.callers.contains_key(caller) || self.callers.len() < CALLERS_MAX;
        let own = self.callers.entry_ref(if known { caller } else { "" }).or_insert(0);
        *own += 1;
        if self.totals.contains_key(caller) || self.totals.len() < CALLERS_MAX {
            self.totals.entry_ref(caller).or_default().requests += 1;
        }
        (self.all, *own)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_read_and_wrong_ones_named() {
        assert_eq!(TenantLimits::parse(&json!({})).unwrap(), TenantLimits::default());
        assert_eq!(TenantLimits::parse(&json!({"requests": 5})).unwrap().requests, Some(5));
        for (value, field) in [
            (json!({"requests": 0}), "limits.requests"),
            (json!({"query_seconds": -1.0}), "limits.query_seconds"),
            (json!({"request": 5}), "limits.request"),
            (json!({"series": "many"}), "limits.series"),
            (json!([]), "limits"),
        ] {
            match TenantLimits::parse(&value) {
                Err(Fault::Invalid { field: named, .. }) => assert_eq!(named, field, "{value}"),
                other => panic!("{value}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_refusal_says_when_its_window_ends() {
        for (now_ms, window_ms, want) in
            [(0, 60_000, 60), (59_000, 60_000, 1), (59_999, 60_000, 1), (60_000, 60_000, 60), (7, 10, 1)]
        {
            assert_eq!(until_next(Duration::from_millis(now_ms), window_ms), want, "{now_ms} {window_ms}");
        }
    }

    #[test]
    fn windows_count_all_and_each_caller_and_begin_anew() {
        let mut windows = Windows::default();
        let at = Duration::from_millis;
        assert_eq!(windows.count(at(10), 1000, "a"), (1, 1));
        assert_eq!(windows.count(at(20), 1000, "b"), (2, 1));
        assert_eq!(windows.count(at(999), 1000, "a"), (3, 2));
        assert_eq!(windows.count(at(1000), 1000, "a"), (1, 1));
        for n in 0..2 * CALLERS_MAX {
            windows.count(at(1001), 1000, &n.to_string());
        }
        assert!(windows.callers.len() <= CALLERS_MAX + 1);
    }
}
