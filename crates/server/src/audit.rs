//! The audit log: rows wait in memory, off the request path, are sealed into their tenant's chain once a second,
//! stored as rows of a signal of its own, and the chain's end is anchored in the control database.

mod api; // asking, exporting, verifying
mod rows; // sealed rows as telemetry, and back
mod verified; // rows against hashes and anchors

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use control::audit::{Access, Aggregator, AuditResult, AuditRow, Chain};
use control::{ActorKind, Permission};
use kit::{BoxError, Shutdown};
use model::{Field, Order, Predicate, Scalar, Signal, TenantId, Test, record};
use parking_lot::Mutex;
use query::Control;
use query::rows::{Ask, RowReader, Sort, StoredRows};

use crate::app::SharedApp;
use crate::chain::Noted;
use crate::error::Fault;
use crate::reach::Reach;

pub(crate) use api::routes;
pub use verified::{Tampered, VerifiedAudit, verify_offline};

/// Rows that may wait. Sealed once a second, so this many come in one.
const WAITING_MAX: usize = 50_000;

/// Time between two batches.
const BATCH: Duration = Duration::from_secs(1);

/// Rows of one batch of a tenant.
const BATCH_ROWS: usize = 5_000;

/// Chains that are kept open; one takes about 200 bytes.
const CHAINS_MAX: usize = 10_000;

/// A chain that nothing came to for this long is looked up anew: its rows and anchors may be gone.
const IDLE_NS: i64 = 86_400 * 1_000_000_000;

/// Paths whose handlers write down their own changes, in better words.
const TOLD_BY_HANDLERS: [&str; 2] = ["/api/v1/tenants", "/api/v1/auth"];

/// What happened and is not stored yet.
#[derive(Debug, Default)]
pub(crate) struct Auditor {
    waiting: Mutex<Vec<AuditRow>>,
    accesses: Aggregator,
    lost: AtomicU64,
}

impl Auditor {
    /// Takes a row. Never waits; a row that finds no room is counted, and the count is in the trail.
    pub(crate) fn record(&self, row: AuditRow) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < WAITING_MAX {
            waiting.push(row);
        } else {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes note of a request that passed the chain, or was refused by it: what people ask and change and what
    /// is refused as a row each, what machines send and ask as a count for each minute.
    pub(crate) fn request(&self, noted: &Noted, route: &str, method: &str, status: u16, now_ms: i64) {
        let result = match status {
            _ if noted.refused_at.is_some() => AuditResult::Refused,
            403 => AuditResult::Refused,
            0..=399 => AuditResult::Ok,
            _ => AuditResult::Failed,
        };
        let action = noted.permission.map_or("account:use", Permission::as_str);
        let is_telemetry =
            matches!(noted.permission, Some(Permission::TelemetryRead | Permission::TelemetryWrite));
        let is_change = !is_telemetry && !matches!(method, "GET" | "HEAD" | "OPTIONS");
        let Some(principal) = noted.principal.as_deref() else {
            return self.observe(
                noted,
                (ActorKind::System, "anonymous", "anonymous"),
                (action, route, method),
                (result, status),
                now_ms,
            );
        };
        let who = &principal.who;
        let is_person = who.kind == ActorKind::User;
        let is_refused = result == AuditResult::Refused && status != 429;
        if !(is_person || is_change || is_refused) {
            return self.observe(
                noted,
                (who.kind, &who.id, &who.name),
                (action, route, method),
                (result, status),
                now_ms,
            );
        }
        if is_change
            && result == AuditResult::Ok
            && TOLD_BY_HANDLERS.iter().any(|path| route.starts_with(path))
        {
            return;
        }
        let row = AuditRow::new(noted.tenant.clone(), now_ms, action);
        self.record(AuditRow {
            actor: Some(who.clone()),
            route: route.to_owned(),
            method: method.to_owned(),
            result,
            status,
            address: noted.address.to_string(),
            ..row
        });
    }

    fn observe(
        &self,
        noted: &Noted,
        (actor_kind, actor_id, actor_name): (ActorKind, &str, &str),
        (action, route, method): (&str, &str, &str),
        (result, status): (AuditResult, u16),
        now_ms: i64,
    ) {
        let access = Access {
            tenant: &noted.tenant,
            actor_kind,
            actor_id,
            actor_name,
            action,
            route,
            method,
            result,
            status,
            address: &noted.address,
        };
        self.accesses.observe(&access, now_ms);
    }

    /// What is to be stored now.
    fn take(&self, now_ms: i64, all: bool) -> Vec<AuditRow> {
        let mut rows = std::mem::take(&mut *self.waiting.lock());
        rows.extend(if all { self.accesses.drain_all() } else { self.accesses.drain(now_ms) });
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let row = AuditRow::new(TenantId::default_tenant(), now_ms, "audit:overflow");
            rows.push(AuditRow { count: lost, result: AuditResult::Failed, ..row });
        }
        rows
    }

    /// Puts back what could not be stored, before what came since.
    fn put_back(&self, mut rows: Vec<AuditRow>) {
        let mut waiting = self.waiting.lock();
        rows.append(&mut waiting);
        let over = rows.len().saturating_sub(WAITING_MAX);
        self.lost.fetch_add(over as u64, Ordering::Relaxed);
        rows.truncate(WAITING_MAX);
        *waiting = rows;
    }
}

/// Stores what happened until the end is asked for, and then the rest.
pub(crate) async fn run(app: SharedApp, stop: Shutdown) -> Result<(), BoxError> {
    let mut writer = Writer { app, chains: HashMap::new() };
    loop {
        let clock = writer.app.clock();
        let is_over = tokio::select! {
            () = stop.requested() => true,
            () = clock.sleep(BATCH) => false,
        };
        writer.write(is_over).await;
        if is_over {
            return Ok(());
        }
    }
}

/// The chains that this node goes on with.
struct Writer {
    app: SharedApp,
    chains: HashMap<TenantId, Open>,
}

/// A chain and the time of its last row.
struct Open {
    chain: Chain,
    last_ns: i64,
}

impl Writer {
    async fn write(&mut self, all: bool) {
        let (now, now_ms) = (self.app.clock().monotonic(), self.app.now_ms());
        let mut rows = self.app.audit().take(now_ms, all);
        rows.extend(self.app.security().bursts(now, now_ms, all));
        let mut by_tenant: HashMap<TenantId, Vec<AuditRow>> = HashMap::new();
        for row in rows {
            by_tenant.entry(row.tenant.clone()).or_default().push(row);
        }
        for (tenant, rows) in by_tenant {
            for batch in rows.chunks(BATCH_ROWS) {
                if let Err(fault) = self.store(&tenant, batch).await {
                    // The chain may have moved on in the store: it is looked up again.
                    self.chains.remove(&tenant);
                    if matches!(fault, Fault::NotFound(_)) {
                        break;
                    }
                    tracing::warn!(%tenant, reason = fault.message(), "audit rows wait: they could not be stored");
                    self.app.audit().put_back(batch.to_vec());
                }
            }
        }
    }

    async fn store(&mut self, tenant: &TenantId, batch: &[AuditRow]) -> Result<(), Fault> {
        if self.chains.len() >= CHAINS_MAX {
            self.chains.clear();
        }
        let idle_ns = self.app.now_ms().saturating_mul(1_000_000).saturating_sub(IDLE_NS);
        if self.chains.get(tenant).is_none_or(|open| open.last_ns < idle_ns) {
            let open = self.open(tenant).await?;
            self.chains.insert(tenant.clone(), open);
        }
        let Some(open) = self.chains.get_mut(tenant) else { return Ok(()) };
        let mut next = open.chain.clone();
        let sealed = next.append(batch);
        let first_ns = (open.last_ns + 1).max(self.app.now_ms().saturating_mul(1_000_000));
        let records = rows::records(next.node(), batch, &sealed, first_ns);
        let stored = self.app.store_records(tenant, &records).await?;
        if !stored.refusals.is_empty() {
            return Err(Fault::Internal("the store refused audit rows".into()));
        }
        *open = Open { chain: next, last_ns: first_ns + batch.len() as i64 - 1 };
        let anchored = self.app.control()?.anchor_audit(&open.chain).await;
        if let Err(error) = anchored {
            // The rows are stored; the next batch anchors them, too.
            tracing::warn!(%tenant, %error, "the end of an audit chain could not be anchored");
        }
        Ok(())
    }

    /// Where a chain goes on: after its anchor, or after the last row that was stored since.
    async fn open(&self, tenant: &TenantId) -> Result<Open, Fault> {
        let control = self.app.control()?;
        control.tenant(tenant).await?;
        let node = self.app.hostname();
        let mut chain = control.audit_chain(tenant, &node).await?;
        let deadline = Instant::now() + Duration::from_secs(30);
        let snapshot = self.app.rows(&Reach::whole(tenant), Signal::Audit, deadline).await?;
        let of_node = Predicate::Test(
            Field::Fixed(record::audit::NODE as u8),
            Test::Compare(Order::Equal, Scalar::Text(node.as_str().into())),
        );
        let last = kit::spawn::spawn_blocking("last audit row", move || {
            let reader = RowReader::new(
                std::sync::Arc::new(StoredRows::new(Signal::Audit, snapshot)),
                Control::until(deadline),
            );
            let ask = Ask { predicate: of_node, start_ns: i64::MIN, end_ns: i64::MAX };
            reader.page(&ask, Sort::Newest, 1, None)
        })
        .await
        .map_err(|_| Fault::Internal("the last audit row could not be read".into()))??;
        let mut last_ns = i64::MIN / 2;
        if let Some(row) = last.rows.first() {
            last_ns = row.time_ns;
            if let Some(stored) = rows::stored(tenant, row).filter(|stored| stored.seq > chain.end().0) {
                chain = Chain::after(tenant.clone(), &node, stored.seq, stored.hash);
            }
        }
        Ok(Open { chain, last_ns })
    }
}
