//! Machine ingest and queries, and refusals that repeat: one row per principal, route, result and minute, with a
//! count.

use std::hash::{Hash, Hasher};

use hashbrown::{Equivalent, HashMap};
use model::TenantId;
use parking_lot::Mutex;

use crate::audit::{AuditResult, AuditRow};
use crate::permissions::{Actor, ActorKind};

const MINUTE_MS: i64 = 60_000;

/// Rows in the making at once. One is about 400 bytes.
const ROWS_MAX: usize = 20_000;

/// Of those, of callers who proved nothing. Whoever they are, they take no room from those who did.
const ANONYMOUS_MAX: usize = 1_000;

/// Stands for every principal once there are too many.
const OTHERS: &str = "(others)";

/// The identifier of callers who proved nothing.
pub const ANONYMOUS: &str = "anonymous";

/// One access, borrowed from the request.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Whose data.
    pub tenant: &'a TenantId,
    /// What asked.
    pub actor_kind: ActorKind,
    /// Its identifier.
    pub actor_id: &'a str,
    /// What people call it.
    pub actor_name: &'a str,
    /// What was done, `area:verb`.
    pub action: &'a str,
    /// The route's pattern.
    pub route: &'a str,
    /// `GET`, `POST`, `gRPC`, …
    pub method: &'a str,
    /// How it ended.
    pub result: AuditResult,
    /// The HTTP status; the row carries the last one.
    pub status: u16,
    /// Where it came from; the row carries the last one.
    pub address: &'a str,
}

/// Counts accesses until their minute is over. Shared by all who handle requests.
#[derive(Debug, Default)]
pub struct Aggregator {
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    by_key: HashMap<Key, AuditRow>,
    /// How many of them are of callers who proved nothing.
    anonymous: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    minute: i64,
    tenant: TenantId,
    actor_kind: ActorKind,
    actor_id: String,
    action: String,
    route: String,
    method: String,
    result: AuditResult,
}

/// The parts of a key, so that a key that is there already costs no allocation.
#[derive(PartialEq, Eq, Hash)]
struct KeyRef<'a> {
    minute: i64,
    tenant: &'a TenantId,
    actor_kind: ActorKind,
    actor_id: &'a str,
    action: &'a str,
    route: &'a str,
    method: &'a str,
    result: AuditResult,
}

impl Key {
    fn parts(&self) -> KeyRef<'_> {
        KeyRef {
            minute: self.minute,
            tenant: &self.tenant,
            actor_kind: self.actor_kind,
            actor_id: &self.actor_id,
            action: &self.action,
            route: &self.route,
            method: &self.method,
            result: self.result,
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.parts()
    }
}

impl Aggregator {
    /// Counts one access.
    pub fn observe(&self, access: &Access<'_>, now_ms: i64) {
        self.count(access, now_ms, 1);
    }

    /// Counts one that was seen in this minute already; false for the first, which has a row of its own.
    pub fn is_repeat(&self, access: &Access<'_>, now_ms: i64) -> bool {
        !self.count(access, now_ms, 0)
    }

    /// Counts one access; true where that began a row, which then begins at `first`.
    fn count(&self, access: &Access<'_>, now_ms: i64, first: u64) -> bool {
        let minute = now_ms.div_euclid(MINUTE_MS);
        let mut rows = self.rows.lock();
        if count(&mut rows.by_key, access, minute) {
            return false;
        }
        let is_anonymous = access.actor_id == ANONYMOUS;
        let is_full = if is_anonymous {
            rows.anonymous >= ANONYMOUS_MAX
        } else {
            rows.named() >= ROWS_MAX - ANONYMOUS_MAX
        };
        if !is_full {
            rows.insert(access, minute, first);
            return true;
        }
        // Too many principals or routes: what they did is still counted, by tenant and result. Tenants and
        // results are few, so this grows the table by little.
        let others = if is_anonymous { ANONYMOUS } else { OTHERS };
        let others = Access { actor_id: others, actor_name: others, route: OTHERS, method: "", ..*access };
        if !count(&mut rows.by_key, &others, minute) {
            rows.insert(&others, minute, 1);
        }
        false
    }

    /// Forgets a tenant that was deleted.
    pub fn forget(&self, tenant: &TenantId) {
        self.take(|key| key.tenant == *tenant);
    }

    /// The rows of minutes that are over, the oldest first; they are forgotten here.
    pub fn drain(&self, now_ms: i64) -> Vec<AuditRow> {
        let current = now_ms.div_euclid(MINUTE_MS);
        self.take(|key| key.minute < current)
    }

    /// Every row, for the end of the process.
    pub fn drain_all(&self) -> Vec<AuditRow> {
        self.take(|_| true)
    }

    /// Rows in the making.
    pub fn len(&self) -> usize {
        self.rows.lock().by_key.len()
    }

    /// True when nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn take(&self, is_over: impl Fn(&Key) -> bool) -> Vec<AuditRow> {
        let mut rows: Vec<_> = {
            let mut rows = self.rows.lock();
            let taken: Vec<_> = rows.by_key.extract_if(|key, _| is_over(key)).collect();
            rows.anonymous -= taken.iter().filter(|(key, _)| key.actor_id == ANONYMOUS).count();
            // What did not repeat has its row already.
            taken.into_iter().map(|(_, row)| row).filter(|row| row.count > 0).collect()
        };
        rows.sort_by(|a, b| {
            a.at.cmp(&b.at).then_with(|| a.tenant.cmp(&b.tenant)).then_with(|| a.route.cmp(&b.route))
        });
        rows
    }
}

/// Counts an access whose row is there.
fn count(rows: &mut HashMap<Key, AuditRow>, access: &Access<'_>, minute: i64) -> bool {
    let parts = KeyRef {
        minute,
        tenant: access.tenant,
        actor_kind: access.actor_kind,
        actor_id: access.actor_id,
        action: access.action,
        route: access.route,
        method: access.method,
        result: access.result,
    };
    let Some(row) = rows.get_mut(&parts) else { return false };
    row.count = row.count.saturating_add(1);
    row.status = access.status;
    if row.address != access.address {
        row.address.clear();
        row.address.push_str(access.address);
    }
    true
}

impl Rows {
    fn named(&self) -> usize {
        self.by_key.len() - self.anonymous
    }

    fn insert(&mut self, access: &Access<'_>, minute: i64, count: u64) {
        self.anonymous += usize::from(access.actor_id == ANONYMOUS);
        let (key, row) = row_of(access, minute, count);
        self.by_key.insert(key, row);
    }
}

fn row_of(access: &Access<'_>, minute: i64, count: u64) -> (Key, AuditRow) {
    let row = AuditRow {
        count,
        actor: Some(Actor {
            kind: access.actor_kind,
            id: access.actor_id.to_owned(),
            name: access.actor_name.to_owned(),
        }),
        route: access.route.to_owned(),
        method: access.method.to_owned(),
        result: access.result,
        status: access.status,
        address: access.address.to_owned(),
        ..AuditRow::new(access.tenant.clone(), minute.saturating_mul(MINUTE_MS), access.action)
    };
    let key = Key {
        minute,
        tenant: access.tenant.clone(),
        actor_kind: access.actor_kind,
        actor_id: access.actor_id.to_owned(),
        action: row.action.clone(),
        route: row.route.clone(),
        method: row.method.clone(),
        result: access.result,
    };
    (key, row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access<'a>(tenant: &'a TenantId, actor_id: &'a str, result: AuditResult) -> Access<'a> {
        Access {
            tenant,
            actor_kind: ActorKind::Key,
            actor_id,
            actor_name: "agent",
            action: "telemetry:write",
            route: "/v1/metrics",
            method: "POST",
            result,
            status: 200,
            address: "10.0.0.1",
        }
    }

    #[test]
    fn accesses_become_one_row_per_principal_result_and_minute() {
        let tenant = TenantId::default_tenant();
        let aggregator = Aggregator::default();
        for now in [60_000, 61_000, 119_999, 120_000] {
            aggregator.observe(&access(&tenant, "key_a", AuditResult::Ok), now);
        }
        aggregator.observe(&access(&tenant, "key_b", AuditResult::Ok), 60_000);
        aggregator.observe(&access(&tenant, "key_a", AuditResult::Refused), 60_000);
        assert_eq!(aggregator.drain(119_999), []);
        let seen = |rows: Vec<AuditRow>| {
            let parts = |row: AuditRow| (row.at, row.actor.unwrap().id, row.result, row.count);
            let mut rows: Vec<_> = rows.into_iter().map(parts).collect();
            rows.sort();
            rows
        };
        assert_eq!(
            seen(aggregator.drain(120_000)),
            [
                (60_000, "key_a".into(), AuditResult::Ok, 3),
                (60_000, "key_a".into(), AuditResult::Refused, 1),
                (60_000, "key_b".into(), AuditResult::Ok, 1),
            ]
        );
        assert_eq!(seen(aggregator.drain_all()), [(120_000, "key_a".into(), AuditResult::Ok, 1)]);
        assert!(aggregator.is_empty());
    }

    #[test]
    fn nothing_is_lost_when_there_are_too_many_principals() {
        let tenant = TenantId::default_tenant();
        let aggregator = Aggregator::default();
        let accesses = ROWS_MAX + 500;
        for n in 0..accesses {
            aggregator.observe(&access(&tenant, &n.to_string(), AuditResult::Ok), 0);
        }
        assert_eq!(aggregator.len(), ROWS_MAX - ANONYMOUS_MAX + 1);
        let rows = aggregator.drain_all();
        assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), accesses as u64);
        let is_others = |row: &&AuditRow| row.actor.as_ref().is_some_and(|actor| actor.id == OTHERS);
        assert_eq!(rows.iter().find(is_others).unwrap().count, 500 + ANONYMOUS_MAX as u64);
    }

    #[test]
    fn callers_who_proved_nothing_take_no_room_from_others() {
        let tenant = TenantId::default_tenant();
        let aggregator = Aggregator::default();
        let routes: Vec<String> = (0..2 * ROWS_MAX).map(|n| n.to_string()).collect();
        for route in &routes {
            let nobody = Access { route, ..access(&tenant, ANONYMOUS, AuditResult::Refused) };
            aggregator.observe(&nobody, 0);
        }
        assert_eq!(aggregator.len(), ANONYMOUS_MAX + 1);
        aggregator.observe(&access(&tenant, "key_a", AuditResult::Ok), 0);
        let rows = aggregator.drain_all();
        let of = |id: &str| {
            let rows = rows.iter().filter(|row| row.actor.as_ref().unwrap().id == id);
            rows.map(|row| row.count).sum::<u64>()
        };
        assert_eq!((of("key_a"), of(ANONYMOUS)), (1, 2 * ROWS_MAX as u64));
        aggregator.observe(&access(&tenant, ANONYMOUS, AuditResult::Ok), 0);
        assert_eq!(aggregator.rows.lock().anonymous, 1);
    }

    #[test]
    fn what_repeats_within_a_minute_is_counted_after_the_first() {
        let (tenant, other) = (TenantId::default_tenant(), TenantId::new("acme").unwrap());
        let aggregator = Aggregator::default();
        let refused = access(&tenant, "key_a", AuditResult::Refused);
        let seen = [0, 1, 59_999, 60_000].map(|now| aggregator.is_repeat(&refused, now));
        assert_eq!(seen, [false, true, true, false]);
        aggregator.observe(&access(&other, "key_b", AuditResult::Ok), 0);
        aggregator.forget(&other);
        let rows = aggregator.drain_all();
        assert_eq!(rows.iter().map(|row| (row.at, row.count)).collect::<Vec<_>>(), [(0, 2)]);
    }
}
