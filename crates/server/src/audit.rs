//! The audit log: rows wait in memory, off the request path, are sealed into their tenant's chain once a second,
//! stored as rows of a signal of its own, and the chain's end is anchored in the control database.

mod api; // asking, exporting, verifying
mod rows; // sealed rows as telemetry, and back
mod sensitive; // the list of what is
mod verified; // rows against hashes and anchors

use std::collections::HashMap;
use std::time::{Duration, Instant};

use control::audit::{ANONYMOUS, Access, Aggregator, AuditResult, AuditRow, Chain};
use control::{Actor, ActorKind, Permission, TenantState};
use kit::{BoxError, Shutdown};
use model::{Field, Order, Predicate, Scalar, Signal, TenantId, Test, record};
use parking_lot::Mutex;
use query::Control;
use query::rows::{Ask, RowReader, Sort, StoredRows};
use serde_json::json;
use tokio::sync::{Notify, watch};

use crate::app::SharedApp;
use crate::chain::Noted;
use crate::error::Fault;
use crate::reach::Reach;

pub(crate) use api::routes;
#[cfg(test)]
pub(crate) use sensitive::{SENSITIVE, Sensitive};
pub use verified::{Tampered, VerifiedAudit, verify_offline};

/// Rows that may wait, of all tenants. Sealed once a second, so this many come in one.
const WAITING_MAX: usize = 50_000;

/// Of those, of one tenant.
const WAITING_OF_TENANT_MAX: usize = 10_000;

/// Time between two batches.
const BATCH: Duration = Duration::from_secs(1);

/// Rows of one batch of a tenant.
const BATCH_ROWS: usize = 5_000;

/// Bytes of one batch of a tenant, about.
const BATCH_BYTES: usize = 8 << 20;

/// Between two looks for what commands left.
const LEFT_EVERY: Duration = Duration::from_secs(10);

/// How long an answer waits for its row to be stored.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);

/// Chains that are kept open; one takes about 200 bytes.
const CHAINS_MAX: usize = 10_000;

/// A chain that nothing came to for this long is looked up anew: its rows and anchors may be gone.
const IDLE_NS: i64 = 86_400 * 1_000_000_000;

/// Paths whose handlers write down their own changes, in better words.
const TOLD_BY_HANDLERS: [&str; 7] = [
    "/api/v1/tenants",
    "/api/v1/auth",
    "/api/v1/admin/tsdb/delete_series",
    "/prometheus/api/v1/admin/tsdb/delete_series",
    "/api/v1/monitoring/logs/delete",
    "/api/v1/monitoring/spans/delete",
    "/api/v1/monitoring/events/delete",
];

/// What happened and is not stored yet.
#[derive(Debug, Default)]
pub(crate) struct Auditor {
    waiting: Mutex<Waiting>,
    accesses: Aggregator,
    /// Asks the writer not to wait for the end of the second.
    hurry: Notify,
    /// The number of the last row that the writer is done with; none while there is no writer.
    done: watch::Sender<Option<u64>>,
}

/// Rows that wait, by tenant.
#[derive(Debug, Default)]
struct Waiting {
    of: HashMap<TenantId, OfTenant>,
    count: usize,
    /// Rows that ever came.
    came: u64,
}

#[derive(Debug, Default)]
struct OfTenant {
    rows: Vec<AuditRow>,
    lost: u64,
}

impl Waiting {
    /// Takes a row of which there is room; one without is counted.
    fn push(&mut self, row: AuditRow) {
        self.came += 1;
        let is_full = self.count >= WAITING_MAX;
        let of = self.of.entry(row.tenant.clone()).or_default();
        if is_full || of.rows.len() >= WAITING_OF_TENANT_MAX {
            of.lost += 1;
        } else {
            of.rows.push(row);
            self.count += 1;
        }
    }
}

impl Auditor {
    /// Takes a row. Never waits; a row that finds no room is counted, and the count is in its tenant's trail.
    pub(crate) fn record(&self, row: AuditRow) {
        self.waiting.lock().push(row.cut());
    }

    /// Forgets what a deleted tenant did.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        let mut waiting = self.waiting.lock();
        let gone = waiting.of.remove(tenant).map_or(0, |of| of.rows.len());
        waiting.count -= gone;
        drop(waiting);
        self.accesses.forget(tenant);
    }

    /// Waits until what came so far is stored, so that what is acknowledged is in the trail after a crash. Not for
    /// ever: where the store takes no rows, they wait in memory.
    pub(crate) async fn settled(&self) {
        let came = self.waiting.lock().came;
        let mut done = self.done.subscribe();
        self.hurry.notify_one();
        let stored = done.wait_for(|done| done.is_none_or(|done| done >= came));
        let _ = tokio::time::timeout(SETTLED_WITHIN, stored).await;
    }

    /// Takes note of a request that passed the chain, or was refused by it: what people ask and change and what
    /// is refused as a row each, what machines send and ask and what repeats a refusal as a count for each minute.
    pub(crate) fn request(&self, noted: &Noted, at: Requested<'_>, now_ms: i64) {
        let Requested { route, method, target, status } = at;
        let result = match status {
            _ if noted.refused_at.is_some() => AuditResult::Refused,
            403 => AuditResult::Refused,
            0..=399 => AuditResult::Ok,
            _ => AuditResult::Failed,
        };
        let action = noted.permission.map_or("account:use", Permission::as_str);
        let nobody = Actor { kind: ActorKind::System, id: ANONYMOUS.to_owned(), name: ANONYMOUS.to_owned() };
        let who = noted.principal.as_deref().map_or(&nobody, |principal| &principal.who);
        let access = Access {
            tenant: &noted.tenant,
            actor_kind: who.kind,
            actor_id: &who.id,
            actor_name: &who.name,
            action,
            route,
            method,
            result,
            status,
            address: &noted.address,
        };
        let is_change = noted.is_change(method);
        let is_refused = result == AuditResult::Refused;
        let is_told = is_change
            && result == AuditResult::Ok
            && TOLD_BY_HANDLERS.iter().any(|path| route.starts_with(path));
        if is_told {
            return;
        }
        let is_person = who.kind == ActorKind::User;
        let has_row = noted.principal.is_some() && (is_person || is_change || is_refused && status != 429);
        if !has_row {
            return self.accesses.observe(&access, now_ms);
        }
        // Whoever is refused again and again fills no log with it.
        if is_refused && self.accesses.is_repeat(&access, now_ms) {
            return;
        }
        let row = AuditRow::new(noted.tenant.clone(), now_ms, action);
        let row = AuditRow {
            actor: Some(who.clone()),
            route: route.to_owned(),
            method: method.to_owned(),
            target: target.to_owned(),
            result,
            status,
            address: noted.address.to_string(),
            ..row
        };
        self.record(match &noted.named {
            Some(named) => row.with_detail(&json!({ "named": named })),
            None => row,
        });
    }

    /// What is to be stored now, by tenant, and the number of the last row that came.
    fn take(&self, now_ms: i64, all: bool) -> (HashMap<TenantId, Vec<AuditRow>>, u64) {
        let (taken, came) = {
            let mut waiting = self.waiting.lock();
            waiting.count = 0;
            (std::mem::take(&mut waiting.of), waiting.came)
        };
        let mut by_tenant: HashMap<TenantId, Vec<AuditRow>> = HashMap::new();
        for (tenant, OfTenant { mut rows, lost }) in taken {
            if lost > 0 {
                let row = AuditRow::new(tenant.clone(), now_ms, "audit:overflow");
                rows.push(AuditRow { count: lost, result: AuditResult::Failed, ..row });
            }
            by_tenant.insert(tenant, rows);
        }
        for row in if all { self.accesses.drain_all() } else { self.accesses.drain(now_ms) } {
            by_tenant.entry(row.tenant.clone()).or_default().push(row.cut());
        }
        (by_tenant, came)
    }

    /// Puts back what could not be stored, before what came since.
    fn put_back(&self, tenant: &TenantId, rows: Vec<AuditRow>) {
        let mut waiting = self.waiting.lock();
        let came = waiting.came;
        let since = waiting.of.remove(tenant).unwrap_or_default();
        waiting.count -= since.rows.len();
        rows.into_iter().chain(since.rows).for_each(|row| waiting.push(row));
        waiting.came = came;
        waiting.of.entry(tenant.clone()).or_default().lost += since.lost;
    }

    /// Everything that waits, which tests look at where nothing is stored.
    #[cfg(test)]
    pub(crate) fn drain(&self) -> Vec<AuditRow> {
        self.take(0, true).0.into_values().flatten().collect()
    }

    /// Counts rows that are lost.
    fn lose(&self, tenant: &TenantId, rows: u64) {
        self.waiting.lock().of.entry(tenant.clone()).or_default().lost += rows;
    }
}

/// What was asked, and how it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requested<'a> {
    /// The pattern of the route.
    pub(crate) route: &'a str,
    /// One of the known methods.
    pub(crate) method: &'a str,
    /// What the path names.
    pub(crate) target: &'a str,
    pub(crate) status: u16,
}

/// Stores what happened until the end is asked for, and then the rest.
pub(crate) async fn run(app: SharedApp, stop: Shutdown) -> Result<(), BoxError> {
    let mut writer = Writer { app, chains: HashMap::new() };
    let app = writer.app.clone();
    let _running = Running::begin(&app);
    let clock = app.clock();
    let mut looked_at = None;
    loop {
        let is_over = tokio::select! {
            () = stop.requested() => true,
            () = app.audit().hurry.notified() => false,
            () = clock.sleep(BATCH) => false,
        };
        let now = clock.monotonic();
        if looked_at.is_none_or(|at| now.saturating_sub(at) >= LEFT_EVERY) {
            looked_at = Some(now);
            writer.write_left().await;
        }
        writer.write(is_over).await;
        if is_over {
            return Ok(());
        }
    }
}

/// Answers wait for their rows while there is someone who stores them.
struct Running<'a>(&'a SharedApp);

impl<'a> Running<'a> {
    fn begin(app: &'a SharedApp) -> Self {
        app.audit().done.send_replace(Some(0));
        Self(app)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.audit().done.send_replace(None);
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
    /// When its tenant was created: the chain of a tenant that was deleted is not that of one that came later.
    created_at: i64,
}

impl Writer {
    async fn write(&mut self, all: bool) {
        let app = self.app.clone();
        let now_ms = app.now_ms();
        let (mut by_tenant, came) = app.audit().take(now_ms, all);
        for row in app.security().bursts(app.clock().monotonic(), now_ms, all) {
            by_tenant.entry(row.tenant.clone()).or_default().push(row.cut());
        }
        for (tenant, rows) in by_tenant {
            for batch in batches(rows) {
                if let Err(fault) = self.store(&tenant, &batch).await {
                    // The chain may have moved on in the store: it is looked up again.
                    self.chains.remove(&tenant);
                    if matches!(fault, Fault::NotFound(_)) {
                        break;
                    }
                    tracing::warn!(%tenant, reason = fault.message(), "audit rows wait: they could not be stored");
                    app.audit().put_back(&tenant, batch);
                }
            }
        }
        app.audit().done.send_replace(Some(came));
    }

    /// Stores what commands did beside the server. What could not be stored stays in the database, whatever becomes of
    /// this process, and is taken up again when it has been left alone for a while.
    async fn write_left(&mut self) {
        let Ok(control) = self.app.control() else { return };
        let left = match control.take_audit_left().await {
            Ok(left) if left.is_empty() => return,
            Ok(left) => left,
            Err(error) => return tracing::warn!(%error, "what commands left for the audit log was not read"),
        };
        let mut by_tenant: HashMap<TenantId, (Vec<String>, Vec<AuditRow>)> = HashMap::new();
        for (id, row) in left {
            let (ids, rows) = by_tenant.entry(row.tenant.clone()).or_default();
            ids.push(id);
            rows.push(row.cut());
        }
        let mut stored = Vec::new();
        for (tenant, (mut ids, rows)) in by_tenant {
            for batch in batches(rows) {
                let rest = ids.split_off(batch.len());
                let of_batch = std::mem::replace(&mut ids, rest);
                match self.store(&tenant, &batch).await {
                    Ok(()) => stored.extend(of_batch),
                    Err(fault) => {
                        self.chains.remove(&tenant);
                        // The trail goes with its tenant.
                        if matches!(fault, Fault::NotFound(_)) {
                            stored.extend(of_batch);
                        }
                        tracing::warn!(%tenant, reason = fault.message(), "what commands did could not be stored");
                    }
                }
            }
        }
        if let Err(error) = control.clear_audit_left(&stored).await {
            tracing::warn!(%error, "what commands left for the audit log may be in it twice");
        }
    }

    async fn store(&mut self, tenant: &TenantId, batch: &[AuditRow]) -> Result<(), Fault> {
        let known = self.app.control()?.tenant(tenant).await?;
        if known.state == TenantState::Deleting {
            return Err(Fault::NotFound(format!("tenant {tenant} is being deleted")));
        }
        if self.chains.len() >= CHAINS_MAX {
            self.chains.clear();
        }
        let idle_ns = self.app.now_ms().saturating_mul(1_000_000).saturating_sub(IDLE_NS);
        let is_its = |open: &Open| open.last_ns >= idle_ns && open.created_at == known.created_at;
        if !self.chains.get(tenant).is_some_and(is_its) {
            let open = self.open(tenant, known.created_at).await?;
            self.chains.insert(tenant.clone(), open);
        }
        let Some(open) = self.chains.get_mut(tenant) else { return Ok(()) };
        let mut next = open.chain.clone();
        let sealed = next.append(batch);
        let first_ns = (open.last_ns + 1).max(self.app.now_ms().saturating_mul(1_000_000));
        let records = rows::records(next.node(), batch, &sealed, first_ns);
        let stored = self.app.store_records(tenant, &records).await?;
        *open = Open { chain: next, last_ns: first_ns + batch.len() as i64 - 1, ..*open };
        if stored.accepted < batch.len() {
            // The others are stored, so none is tried again: that would not end, and repeat them each time.
            let refused = (batch.len() - stored.accepted) as u64;
            tracing::error!(%tenant, refused, "the store refused audit rows: they are lost, and the log says so");
            self.app.audit().lose(tenant, refused);
        }
        let anchored = self.app.control()?.anchor_audit(&open.chain).await;
        if let Err(error) = anchored {
            // The rows are stored; the next batch anchors them, too.
            tracing::warn!(%tenant, %error, "the end of an audit chain could not be anchored");
        }
        Ok(())
    }

    /// Where a chain goes on: after its anchor, or after the last row that was stored since.
    async fn open(&self, tenant: &TenantId, created_at: i64) -> Result<Open, Fault> {
        let control = self.app.control()?;
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
        Ok(Open { chain, last_ns, created_at })
    }
}

/// Rows in pieces that the store takes at once.
fn batches(rows: Vec<AuditRow>) -> Vec<Vec<AuditRow>> {
    let mut batches: Vec<Vec<AuditRow>> = Vec::new();
    let mut bytes = 0;
    for row in rows {
        bytes += row.bytes();
        match batches.last_mut() {
            Some(last) if last.len() < BATCH_ROWS && bytes <= BATCH_BYTES => last.push(row),
            _ => {
                bytes = row.bytes();
                batches.push(vec![row]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests;
