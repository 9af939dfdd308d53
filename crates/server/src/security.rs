//! Signs of an attack: refused sign-ins, requests over a limit, requests for somebody else's tenant. Each is
//! counted for its tenant and person, and many from one address within a minute become one row of the audit log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use control::audit::{AuditResult, AuditRow};
use model::TenantId;
use parking_lot::Mutex;
use serde_json::json;

use crate::app::App;
use crate::chain::{Noted, Step};

/// Signs from one address within a window that make a burst.
const BURST: u64 = 10;
/// A window begins with its first sign.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses looked at apart; the others share one window.
const ADDRESSES_MAX: usize = 10_000;
/// People counted apart; the others share one count in each tenant.
const PEOPLE_MAX: usize = 1_000;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sign {
    /// A sign-in, or the renewal of a token, was refused.
    WrongSignIn,
    /// A limit on requests was passed: 429.
    RateLimited,
    /// A credential was shown for a tenant that it does not belong to, or may not use now.
    TenantRefused,
}

impl Sign {
    /// The label of metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::WrongSignIn => "sign_in_failed",
            Self::RateLimited => "rate_limited",
            Self::TenantRefused => "tenant_refused",
        }
    }

    /// What an answer is a sign of, if of anything.
    pub(crate) fn of_answer(status: u16, noted: Option<&Noted>) -> Option<Self> {
        let refused_at = noted.and_then(|noted| noted.refused_at.filter(|_| noted.principal.is_some()));
        match (status, refused_at) {
            (429, _) => Some(Self::RateLimited),
            (403, Some(Step::ExtractTenantContext)) => Some(Self::TenantRefused),
            _ => None,
        }
    }
}

/// What came from one address since a moment on the monotonic clock.
#[derive(Debug)]
struct Window {
    since: Duration,
    since_ms: i64,
    failed: u64,
    limited: u64,
    refused: u64,
    /// The tenant of all signs; `None` once they are of several.
    tenant: Option<TenantId>,
}

impl Window {
    fn signs(&self) -> u64 {
        self.failed + self.limited + self.refused
    }
}

/// Watches for signs.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    windows: Mutex<HashMap<Arc<str>, Window>>,
    people: Mutex<std::collections::HashSet<String>>,
}

impl Watch {
    /// Takes note of a sign. `person` is who showed a credential, empty for nobody that is known.
    pub(crate) fn note(&self, app: &App, sign: Sign, tenant: &TenantId, person: &str, address: &str) {
        app.telemetry().security_event(tenant, sign.as_str(), self.label(person));
        self.count(sign, tenant, address, app.clock().monotonic(), app.now_ms());
    }

    /// The person as a label: a bounded number of them.
    fn label<'a>(&self, person: &'a str) -> &'a str {
        let mut known = self.people.lock();
        if person.is_empty() || known.contains(person) {
            return person;
        }
        if known.len() >= PEOPLE_MAX {
            return "others";
        }
        known.insert(person.to_owned());
        person
    }

    fn count(&self, sign: Sign, tenant: &TenantId, address: &str, now: Duration, now_ms: i64) {
        let mut windows = self.windows.lock();
        let is_known = windows.contains_key(address) || windows.len() < ADDRESSES_MAX;
        let address = if is_known { address } else { "" };
        let window = windows.entry(Arc::from(address)).or_insert_with(|| Window {
            since: now,
            since_ms: now_ms,
            failed: 0,
            limited: 0,
            refused: 0,
            tenant: Some(tenant.clone()),
        });
        match sign {
            Sign::WrongSignIn => window.failed += 1,
            Sign::RateLimited => window.limited += 1,
            Sign::TenantRefused => window.refused += 1,
        }
        if window.tenant.as_ref() != Some(tenant) {
            window.tenant = None;
        }
    }

    /// The bursts whose window has ended, as rows of the audit log: in the trail of the tenant that they met, or
    /// in the first tenant's where they met several. With `all`, also those whose window goes on.
    pub(crate) fn bursts(&self, now: Duration, now_ms: i64, all: bool) -> Vec<AuditRow> {
        let mut rows = Vec::new();
        self.windows.lock().retain(|address, window| {
            if !all && now.saturating_sub(window.since) < WINDOW {
                return true;
            }
            if window.signs() >= BURST {
                let tenant = window.tenant.clone().unwrap_or_else(TenantId::default_tenant);
                let row = AuditRow::new(tenant, now_ms, "security:burst").with_detail(&json!({
                    "failed_sign_ins": window.failed,
                    "rate_limited": window.limited,
                    "tenants_refused": window.refused,
                    "seconds": (now_ms - window.since_ms) / 1000,
                }));
                let (count, address) = (window.signs(), address.to_string());
                rows.push(AuditRow { count, address, result: AuditResult::Refused, ..row });
            }
            false
        });
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_burst_from_one_address_is_one_row_with_counts() {
        let (watch, acme) = (Watch::default(), TenantId::new("acme").unwrap());
        for n in 0..9 {
            watch.count(Sign::WrongSignIn, &acme, "192.0.2.1", seconds(n), 0);
        }
        watch.count(Sign::RateLimited, &acme, "192.0.2.1", seconds(9), 0);
        for n in 0..9 {
            watch.count(Sign::WrongSignIn, &acme, "192.0.2.2", seconds(n), 0);
        }
        assert!(watch.bursts(seconds(59), 59_000, false).is_empty(), "the window goes on");
        let rows = watch.bursts(seconds(60), 60_000, false);
        assert_eq!(rows.len(), 1, "nine are no burst");
        let row = &rows[0];
        assert_eq!(
            (row.action.as_str(), row.count, row.address.as_str()),
            ("security:burst", 10, "192.0.2.1")
        );
        assert_eq!(row.tenant, acme);
        assert!(row.detail.contains("\"failed_sign_ins\":9") && row.detail.contains("\"rate_limited\":1"));
        assert!(watch.bursts(seconds(200), 200_000, true).is_empty(), "told once");
    }

    #[test]
    fn a_burst_over_several_tenants_is_the_first_tenants_to_know() {
        let watch = Watch::default();
        for n in 0..BURST {
            let tenant = TenantId::new(if n % 2 == 0 { "acme" } else { "other" }).unwrap();
            watch.count(Sign::TenantRefused, &tenant, "192.0.2.1", seconds(0), 0);
        }
        assert_eq!(watch.bursts(seconds(0), 0, true)[0].tenant, TenantId::default_tenant());
    }

    #[test]
    fn addresses_and_people_are_bounded() {
        let watch = Watch::default();
        for n in 0..ADDRESSES_MAX + 10 {
            watch.count(Sign::RateLimited, &TenantId::default_tenant(), &n.to_string(), seconds(0), 0);
        }
        assert_eq!(watch.windows.lock().len(), ADDRESSES_MAX + 1);
        for n in 0..PEOPLE_MAX {
            assert_eq!(watch.label(&n.to_string()), n.to_string());
        }
        assert_eq!((watch.label("one more"), watch.label("7"), watch.label("")), ("others", "7", ""));
    }
}
