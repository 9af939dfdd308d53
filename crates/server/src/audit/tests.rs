//! Rows on their way into the log.

use std::sync::Arc;

use control::{Permissions, Principal};

use super::*;
use crate::chain::Step;

fn tenant(id: &str) -> TenantId {
    TenantId::new(id).unwrap()
}

fn row(of: &TenantId, at: i64) -> AuditRow {
    AuditRow::new(of.clone(), at, "members:invite")
}

#[test]
fn one_tenant_fills_only_its_own_room_and_its_loss_is_in_its_own_trail() {
    let (auditor, a, b) = (Auditor::default(), tenant("a"), tenant("b"));
    for n in 0..WAITING_OF_TENANT_MAX as i64 + 7 {
        auditor.record(row(&a, n));
    }
    auditor.record(row(&b, 0));
    let (mut rows, came) = auditor.take(5, false);
    assert_eq!((rows[&b].len(), came), (1, WAITING_OF_TENANT_MAX as u64 + 8));
    let of_a = rows.remove(&a).unwrap();
    let last = of_a.last().unwrap();
    assert_eq!(
        (of_a.len(), last.action.as_str(), last.count),
        (WAITING_OF_TENANT_MAX + 1, "audit:overflow", 7)
    );
    auditor.record(row(&a, 9));
    auditor.put_back(&a, of_a);
    let (rows, came_since) = auditor.take(6, false);
    assert_eq!((rows[&a].len(), rows[&a][0].at, came_since), (WAITING_OF_TENANT_MAX + 1, 0, came + 1));
    assert_eq!(rows[&a].last().unwrap().count, 2, "what found no room the second time");
}

#[test]
fn what_a_deleted_tenant_did_is_forgotten() {
    let (auditor, a, b) = (Auditor::default(), tenant("a"), tenant("b"));
    for of in [&a, &b] {
        auditor.record(row(of, 0));
    }
    auditor.forget(&a);
    assert_eq!(auditor.waiting.lock().count, 1);
    assert_eq!(auditor.take(0, true).0.into_keys().collect::<Vec<_>>(), [b]);
}

#[test]
fn batches_are_bounded_by_rows_and_bytes() {
    let a = tenant("a");
    let large = AuditRow { detail: "x".repeat(BATCH_BYTES / 4), ..row(&a, 0) };
    for (rows, want) in [
        (vec![row(&a, 0); 2 * BATCH_ROWS + 1], vec![BATCH_ROWS, BATCH_ROWS, 1]),
        (vec![large; 7], vec![3, 3, 1]),
        (vec![], vec![]),
    ] {
        assert_eq!(batches(rows).iter().map(Vec::len).collect::<Vec<_>>(), want);
    }
}

fn noted(kind: ActorKind, refused_at: Option<Step>) -> Noted {
    let tenant = tenant("a");
    let who = Actor { kind, id: "someone".into(), name: "Someone".into() };
    let permissions = Permissions::NONE;
    let principal = Principal { tenant: tenant.clone(), who, key_id: None, permissions, selector: None };
    Noted {
        tenant,
        principal: Some(Arc::new(principal)),
        permission: Some(Permission::SettingsManage),
        address: "192.0.2.1".into(),
        refused_at,
        named: Some("globex".into()),
    }
}

#[test]
fn a_refusal_that_repeats_is_one_row_and_a_count() {
    for (kind, status) in [(ActorKind::User, 403), (ActorKind::Key, 403), (ActorKind::User, 429)] {
        let auditor = Auditor::default();
        let noted = noted(kind, Some(Step::EnforceResourceLimits));
        let at = Requested { route: "/api/v1/x/{name}", method: "PUT", target: "y", status };
        for _ in 0..100 {
            auditor.request(&noted, at, 0);
        }
        let (rows, _) = auditor.take(60_000, false);
        let told: Vec<_> = rows[&noted.tenant]
            .iter()
            .map(|row| (row.count, row.target.as_str(), row.detail.as_str()))
            .collect();
        assert_eq!(told, [(1, "y", r#"{"named":"globex"}"#), (99, "", "")], "{kind:?} {status}");
    }
}
