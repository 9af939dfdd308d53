//! Anchors on both kinds of database.

use std::time::Duration;

use db::testing::{Fixture, each_backend};
use model::TenantId;

use crate::audit::{AuditRow, Chain, Fault, Start, StoredRow, verify};
use crate::control::Control;
use crate::error::ControlError;
use crate::sealed::Keyring;

const DAY: Duration = Duration::from_secs(86_400);

async fn control(f: &Fixture) -> Control {
    Control::open(f.db.clone(), f.shared_clock(), Keyring::ephemeral().unwrap()).await.unwrap()
}

fn rows(tenant: &TenantId, from: i64, to: i64) -> Vec<AuditRow> {
    (from..=to).map(|n| AuditRow::new(tenant.clone(), n, "session:begin")).collect()
}

#[tokio::test]
async fn a_chain_goes_on_after_a_restart_and_a_cut_end_shows() {
    each_backend(async |f| {
        let c = control(&f).await;
        let (a, b) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
        let mut chain = c.audit_chain(&a, "n1").await.unwrap();
        assert_eq!(chain, Chain::new(a.clone(), "n1"));
        let mut stored = Vec::new();
        for (from, to) in [(1, 3), (4, 4), (5, 9)] {
            let batch = rows(&a, from, to);
            let sealed = chain.append(&batch);
            let pairs = batch.into_iter().zip(sealed.rows);
            stored.extend(pairs.map(|(row, sealed)| StoredRow { seq: sealed.seq, row, hash: sealed.hash }));
            c.anchor_audit(&chain).await.unwrap();
            f.clock.advance(DAY / 2);
        }
        c.anchor_audit(&Chain::new(b.clone(), "n1")).await.unwrap();

        assert_eq!(control(&f).await.audit_chain(&a, "n1").await.unwrap(), chain);
        assert_eq!(c.audit_chain(&a, "n2").await.unwrap().end().0, 0);
        let heads = c.audit_heads(&a).await.unwrap();
        assert_eq!(heads.iter().map(|head| head.seq).collect::<Vec<_>>(), [3, 9], "one a day");
        assert_eq!(verify(&a, "n1", Start::Genesis, stored.clone(), &heads).fault, None);
        stored.truncate(7);
        let cut = verify(&a, "n1", Start::Genesis, stored, &heads).fault;
        assert_eq!(cut, Some(Fault::Missing { first_seq: 8, last_seq: 9 }));

        let stale = c.anchor_audit(&Chain::new(a.clone(), "n1")).await.unwrap_err();
        assert!(matches!(stale, ControlError::Changed { expected: 0, found: 9, .. }), "{stale}");
        f.clock.advance(DAY * 10);
        assert_eq!(c.remove_audit_heads(c.now()).await.unwrap(), 1);
        let heads = c.audit_heads(&a).await.unwrap();
        assert_eq!(heads.iter().map(|head| head.seq).collect::<Vec<_>>(), [9], "it says what may be gone");
        assert_eq!(c.audit_heads(&b).await.unwrap().len(), 1);

        // Of a chain that goes on it stays however old it is; of one that ended it goes, too.
        f.clock.advance(DAY * 50);
        chain.append(&rows(&a, 10, 10));
        c.anchor_audit(&chain).await.unwrap();
        assert_eq!(c.remove_audit_heads(c.now() - 15 * 86_400_000).await.unwrap(), 1, "that of the other");
        assert_eq!((c.audit_heads(&a).await.unwrap().len(), c.audit_heads(&b).await.unwrap().len()), (2, 0));
        f.clock.advance(DAY * 100);
        assert_eq!(c.remove_audit_heads(c.now()).await.unwrap(), 2);
        assert_eq!(c.audit_heads(&a).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn chains_of_nodes_are_apart() {
    each_backend(async |f| {
        let c = control(&f).await;
        let tenant = TenantId::default_tenant();
        for (node, to) in [("n1", 5), ("n2", 2)] {
            let mut chain = Chain::new(tenant.clone(), node);
            chain.append(&rows(&tenant, 1, to));
            c.anchor_audit(&chain).await.unwrap();
            assert_eq!(c.audit_chain(&tenant, node).await.unwrap(), chain);
        }
        let heads = c.audit_heads(&tenant).await.unwrap();
        let seen: Vec<_> = heads.iter().map(|head| (head.node.as_str(), head.seq)).collect();
        assert_eq!(seen, [("n1", 5), ("n2", 2)]);
        assert!(c.anchor_audit(&Chain::new(tenant.clone(), "")).await.is_err());
        assert!(c.anchor_audit(&Chain::new(tenant, &"n".repeat(101))).await.is_err());
    })
    .await;
}
