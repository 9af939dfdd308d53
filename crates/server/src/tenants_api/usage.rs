//! What a tenant uses of what it may, and which metric, service or key costs most.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use model::{Predicate, Signal, TenantId};
use query::Control;
use query::rows::{Ask, RowReader, StoredRows};
use serde_json::{Value, json};
use store::SignalStats;

use super::tenant_of;
use crate::app::{CancelOnDrop, SharedApp};
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::reach::Reach;

/// Entries of each list.
const TOP: usize = 20;

/// Services are counted over this much before now: more would read more than a page is worth.
const SERVICES_NS: i64 = 3_600 * 1_000_000_000;

/// Keys and accounts whose names are looked up.
const NAMES_MAX: u32 = 1_000;

pub(super) fn routes() -> Router<SharedApp> {
    Router::new().route("/api/v1/tenants/{tenant}/usage", get(usage))
}

#[expect(clippy::disallowed_methods, reason = "only whoever sees all of the tenant comes so far")]
async fn usage(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    identity.reach().need_whole("figures of use")?;
    let store = app.store()?;
    let id = tenant.id.clone();
    let look = move || (store.engine().cardinality(&id, TOP), store.engine().tenant_stats(&id));
    let (cardinality, stored) = kit::spawn::spawn_blocking("usage", look)
        .await
        .map_err(|_| Fault::Internal("the figures could not be read; the log has the reason".into()))?;
    let state = app.tenant_limits().get(&tenant.id);
    let count = |of: fn(&crate::limits::Use) -> u64| state.as_ref().map_or(0, |state| of(&state.used));
    let rate = state.as_ref().map_or(0.0, |state| state.rate(app.clock().monotonic()));
    let bytes: BTreeMap<&str, u64> = [Signal::Metrics, Signal::Logs, Signal::Traces, Signal::Events]
        .into_iter()
        .map(|signal| (signal.as_str(), stored.get(&signal).map_or(0, bytes_of)))
        .collect();
    let metrics: Vec<Value> =
        cardinality.metrics.iter().map(|(name, series)| json!({ "name": name, "series": series })).collect();
    let answer = json!({
        "limits": tenant.limits,
        "use": {
            "requests_per_second": rate,
            "in_flight_bytes": count(|used| used.in_flight_bytes.load(Ordering::Relaxed)),
            "series": cardinality.active_series,
            "stored_bytes": bytes,
            "stored_bytes_total": stored.values().map(bytes_of).sum::<u64>(),
            "concurrent_queries": count(|used| used.queries.load(Ordering::Relaxed)),
        },
        "refused": {
            "requests": count(|used| used.refused_requests.load(Ordering::Relaxed)),
            "bytes": count(|used| used.refused_bytes.load(Ordering::Relaxed)),
            "series": count(|used| used.refused_series.load(Ordering::Relaxed)),
            "stored_bytes": count(|used| used.refused_stored.load(Ordering::Relaxed)),
            "queries": count(|used| used.refused_queries.load(Ordering::Relaxed)),
        },
        "top": {
            "metrics": metrics,
            "services": services(&app, &tenant.id, &stored).await?,
            "keys": keys(&app, &tenant.id).await?,
        },
    });
    Ok(Json(answer).into_response())
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
) -> Result<Vec<Value>, Fault> {
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
    let item = |(name, (rows, bytes)): (String, (u64, f64))| json!({ "name": name, "rows": rows, "bytes": bytes.round() as u64 });
    Ok(all.into_iter().map(item).collect())
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
async fn keys(app: &SharedApp, tenant: &TenantId) -> Result<Vec<Value>, Fault> {
    let Some(state) = app.tenant_limits().get(tenant) else { return Ok(Vec::new()) };
    let control = app.control()?;
    let keys = control.keys(tenant, None, NAMES_MAX).await?;
    let accounts = control.service_accounts(tenant, None, NAMES_MAX).await?;
    let mut names: HashMap<String, String> = keys.into_iter().map(|key| (key.id, key.name)).collect();
    names.extend(accounts.into_iter().map(|account| (account.id, account.name)));
    let top = state.callers().into_iter();
    let of_programs = top.filter(|(id, _)| id.starts_with("key_") || id.starts_with("sa_"));
    let item = |(id, done): (String, crate::limits::CallerUse)| {
        let name = names.get(&id).map_or("", String::as_str);
        json!({ "id": id, "name": name, "requests": done.requests, "bytes": done.bytes })
    };
    Ok(of_programs.take(TOP).map(item).collect())
}
