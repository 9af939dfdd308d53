//! What a tenant uses of what it may, and which metric, service or key costs most.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use model::{Predicate, Signal, TenantId};
use query::Control;
use query::rows::{Ask, RowReader, StoredRows};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use store::SignalStats;

use super::scope::InTenant;
use crate::app::{CancelOnDrop, SharedApp};
use crate::error::{ApiFault, Fault};
use crate::limits::TenantLimits;
use crate::openapi::{Op, Routes};
use crate::reach::Reach;

/// Entries of each list.
const TOP: usize = 20;

/// Services are counted over this much before now: more would read more than a page is worth.
const SERVICES_NS: i64 = 3_600 * 1_000_000_000;

/// Keys and accounts whose names are looked up.
const NAMES_MAX: u32 = 1_000;

pub(super) fn routes() -> Routes {
    let op = Op::new("getUsage", "What a tenant uses of what it may, and what costs most");
    Routes::new("Tenants").get("/api/v1/tenants/{tenant}/usage", usage, op.gives::<Usage>().refuses(&[422]))
}

/// What a tenant uses of what it may.
#[derive(Serialize, JsonSchema)]
struct Usage {
    #[schemars(with = "TenantLimits")]
    limits: Value,
    #[serde(rename = "use")]
    used: UsedNow,
    refused: Refused,
    top: CostsMost,
}

/// What is in use now.
#[derive(Serialize, JsonSchema)]
struct UsedNow {
    requests_per_second: f64,
    /// Of bodies being received or decoded.
    in_flight_bytes: u64,
    /// Active ones.
    series: usize,
    /// On disk and in memory, by signal: `metrics`, `logs`, `traces`, `events`.
    stored_bytes: BTreeMap<&'static str, u64>,
    /// On disk and in memory.
    stored_bytes_total: u64,
    concurrent_queries: u64,
}

/// What was refused since the start of the server, since it was over a limit.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RefusedUse")]
struct Refused {
    requests: u64,
    bytes: u64,
    series: u64,
    /// Writes over the bytes that may be stored.
    stored_bytes: u64,
    queries: u64,
}

/// What costs most, at most 20 of each.
#[derive(Serialize, JsonSchema)]
struct CostsMost {
    metrics: Vec<MetricCost>,
    services: Vec<ServiceCost>,
    keys: Vec<CallerCost>,
}

/// A metric by its active series.
#[derive(Serialize, JsonSchema)]
struct MetricCost {
    name: String,
    series: usize,
}

/// A service by its rows of logs and traces within the last hour.
#[derive(Serialize, JsonSchema)]
struct ServiceCost {
    name: String,
    rows: u64,
    /// Its share of what is stored.
    bytes: u64,
}

/// A key or a service account by what it sent since the start of the server.
#[derive(Serialize, JsonSchema)]
struct CallerCost {
    id: String,
    /// Empty for what is gone.
    name: String,
    requests: u64,
    /// Of bodies that were taken in.
    bytes: u64,
}

#[expect(clippy::disallowed_methods, reason = "only whoever sees all of the tenant comes so far")]
async fn usage(scope: InTenant) -> Result<Json<Usage>, ApiFault> {
    scope.identity.reach().need_whole("figures of use")?;
    let InTenant { app, tenant, .. } = scope;
    let store = app.store()?;
    let id = tenant.id.clone();
    let look = move || (store.engine().cardinality(&id, TOP), store.engine().tenant_stats(&id));
    let (cardinality, stored) = kit::spawn::spawn_blocking("usage", look)
        .await
        .map_err(|_| Fault::Internal("the figures could not be read; the log has the reason".into()))?;
    let state = app.tenant_limits().get(&tenant.id);
    let count = |of: fn(&crate::limits::Use) -> u64| state.as_ref().map_or(0, |state| of(&state.used));
    let stored_bytes = [Signal::Metrics, Signal::Logs, Signal::Traces, Signal::Events, Signal::Checks]
        .into_iter()
        .map(|signal| (signal.as_str(), stored.get(&signal).map_or(0, bytes_of)))
        .collect();
    let metric = |(name, series)| MetricCost { name, series };
    Ok(Json(Usage {
        limits: tenant.limits.clone(),
        used: UsedNow {
            requests_per_second: state.as_ref().map_or(0.0, |state| state.rate(app.clock().monotonic())),
            in_flight_bytes: count(|used| used.in_flight_bytes.load(Ordering::Relaxed)),
            series: cardinality.active_series,
            stored_bytes,
            stored_bytes_total: stored.values().map(bytes_of).sum(),
            concurrent_queries: count(|used| used.queries.load(Ordering::Relaxed)),
        },
        refused: Refused {
            requests: count(|used| used.refused_requests.load(Ordering::Relaxed)),
            bytes: count(|used| used.refused_bytes.load(Ordering::Relaxed)),
            series: count(|used| used.refused_series.load(Ordering::Relaxed)),
            stored_bytes: count(|used| used.refused_stored.load(Ordering::Relaxed)),
            queries: count(|used| used.refused_queries.load(Ordering::Relaxed)),
        },
        top: CostsMost {
            metrics: cardinality.metrics.into_iter().map(metric).collect(),
            services: services(&app, &tenant.id, &stored).await?,
            keys: keys(&app, &tenant.id).await?,
        },
    }))
}

fn bytes_of(stats: &SignalStats) -> u64 {
    stats.segment_bytes + stats.head_bytes as u64
}

/// The services with most rows within the last hour. Segments hold the rows of many services, so a service's
/// bytes are its share of rows in what is stored by row on average.
async fn services(
    app: &SharedApp,
    tenant: &TenantId,
    stored: &BTreeMap<Signal, SignalStats>,
) -> Result<Vec<ServiceCost>, Fault> {
    let mut all: HashMap<String, (u64, f64)> = HashMap::new();
    for signal in [Signal::Logs, Signal::Traces] {
        let Some(stats) = stored.get(&signal) else { continue };
        let rows = stats.segment_rows + stats.head_rows;
        let per_row = bytes_of(stats) as f64 / rows.max(1) as f64;
        for (service, rows) in rows_by_service(app, tenant, signal).await? {
            let entry = all.entry(service).or_default();
            entry.0 += rows;
            entry.1 += rows as f64 * per_row;
        }
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by(|a, b| b.1.1.total_cmp(&a.1.1).then_with(|| a.0.cmp(&b.0)));
    all.truncate(TOP);
    let cost =
        |(name, (rows, bytes)): (String, (u64, f64))| ServiceCost { name, rows, bytes: bytes.round() as u64 };
    Ok(all.into_iter().map(cost).collect())
}

async fn rows_by_service(
    app: &SharedApp,
    tenant: &TenantId,
    signal: Signal,
) -> Result<Vec<(String, u64)>, Fault> {
    let deadline = app.query_deadline(tenant);
    let snapshot = app.rows(&Reach::whole(tenant), signal, deadline).await?;
    let control = Control::until(deadline);
    let _cancel = CancelOnDrop(Arc::clone(&control.cancelled));
    let end_ns = app.now_ms().saturating_mul(1_000_000);
    let ask = Ask { predicate: Predicate::TRUE, start_ns: end_ns.saturating_sub(SERVICES_NS), end_ns };
    let work = move || {
        let reader = RowReader::new(Arc::new(StoredRows::new(signal, snapshot)), control);
        reader.facets(&ask, &["service".to_owned()], TOP).map_err(Fault::from)
    };
    let found = app.in_slot(tenant, "usage", deadline, work).await?;
    Ok(found.facets.into_iter().next().map(|facet| facet.values).unwrap_or_default())
}

/// The keys and service accounts that sent most since the start of the server.
async fn keys(app: &SharedApp, tenant: &TenantId) -> Result<Vec<CallerCost>, Fault> {
    let Some(state) = app.tenant_limits().get(tenant) else { return Ok(Vec::new()) };
    let control = app.control()?;
    let keys = control.keys(tenant, None, NAMES_MAX).await?;
    let accounts = control.service_accounts(tenant, None, NAMES_MAX).await?;
    let mut names: HashMap<String, String> = keys.into_iter().map(|key| (key.id, key.name)).collect();
    names.extend(accounts.into_iter().map(|account| (account.id, account.name)));
    let top = state.callers().into_iter();
    let of_programs = top.filter(|(id, _)| id.starts_with("key_") || id.starts_with("sa_"));
    let cost = |(id, done): (String, crate::limits::CallerUse)| {
        let name = names.remove(&id).unwrap_or_default();
        CallerCost { id, name, requests: done.requests, bytes: done.bytes }
    };
    Ok(of_programs.take(TOP).map(cost).collect())
}
