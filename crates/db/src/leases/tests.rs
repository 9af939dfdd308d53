//! One suite for both kinds of database.

use std::sync::Arc;
use std::time::Duration;

use kit::spawn::spawn;
use kit::{Service, ShutdownTrigger};

use crate::jobs::TABLES;
use crate::leases::{KeeperSettings, Lease, LeaseKeeper, Leases};
use crate::testing::{Fixture, each_backend};

const TTL: Duration = Duration::from_secs(30);

async fn leases(f: &Arc<Fixture>) -> Leases {
    f.db.control().migrate(&TABLES, &f.clock).await.unwrap();
    Leases::new(f.db.clone(), f.shared_clock())
}

fn keeper(leases: &Leases, owner: &str) -> LeaseKeeper {
    LeaseKeeper::new(leases.clone(), KeeperSettings { owner: owner.to_owned(), ttl: TTL })
}

fn names(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("group/{n:05}")).collect()
}

#[tokio::test]
async fn a_name_has_one_owner_until_its_time_and_the_grace_are_over() {
    each_backend(async |f| {
        let l = leases(&f).await;
        let first = l.acquire("x", "a", TTL).await.unwrap().expect("it is free");
        assert_eq!(l.acquire("x", "b", TTL).await.unwrap(), None);
        f.clock.advance(Duration::from_secs(29));
        assert!(l.renew(&first, TTL).await.unwrap());
        f.clock.advance(Duration::from_millis(31_999));
        assert_eq!(l.held(&["x".to_owned()]).await.unwrap().len(), 0, "it is over");
        assert_eq!(l.acquire("x", "b", TTL).await.unwrap(), None, "b's clock may be two seconds ahead");
        f.clock.advance(Duration::from_millis(1));
        let second = l.acquire("x", "b", TTL).await.unwrap().expect("it is free");
        assert!(second.epoch > first.epoch);
        assert!(!l.renew(&first, TTL).await.unwrap());
        l.release(std::slice::from_ref(&first)).await.unwrap();
        assert_eq!(l.held(&["x".to_owned()]).await.unwrap()["x"], second, "the old owner let go of nothing");
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_ended_and_that_nobody_took_can_be_renewed() {
    each_backend(async |f| {
        let l = leases(&f).await;
        let lease = l.acquire("x", "a", TTL).await.unwrap().unwrap();
        f.clock.advance(TTL * 3);
        assert!(l.renew(&lease, TTL).await.unwrap());
        assert_eq!(l.acquire("x", "b", TTL).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn epochs_only_rise_over_release_restart_and_sweep_and_when_the_clock_goes_back() {
    each_backend(async |f| {
        let l = leases(&f).await;
        let mut last = 0;
        let mut rises = |lease: Option<Lease>| {
            let epoch = lease.expect("it is free").epoch;
            assert!(epoch > last, "{epoch} after {last}");
            last = epoch;
        };
        let first = l.acquire("x", "a", TTL).await.unwrap();
        rises(first.clone());
        rises(l.acquire("x", "a", TTL).await.unwrap());
        assert!(!l.renew(&first.unwrap(), TTL).await.unwrap(), "the life before the restart is over");
        let held: Vec<Lease> = l.held(&["x".to_owned()]).await.unwrap().into_values().collect();
        l.release(&held).await.unwrap();
        assert_eq!(l.held(&["x".to_owned()]).await.unwrap().len(), 0);
        rises(l.acquire("x", "b", TTL).await.unwrap());
        f.clock.set_wall_ms(1_699_999_990_000);
        rises(l.acquire("x", "b", TTL).await.unwrap());
        f.clock.advance(Duration::from_secs(8 * 24 * 3600));
        assert_eq!(l.sweep().await.unwrap(), 1);
        rises(l.acquire("x", "c", TTL).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn thousands_of_names_are_taken_renewed_and_let_go_at_once() {
    each_backend(async |f| {
        let (l, all) = (leases(&f).await, names(2_500));
        let mine = l.acquire_all(&all[..2_000], "a", TTL).await.unwrap();
        assert_eq!(mine.len(), 2_000);
        let theirs = l.acquire_all(&all, "b", TTL).await.unwrap();
        assert_eq!(
            theirs.iter().map(|l| &l.name).collect::<Vec<_>>(),
            all[2_000..].iter().collect::<Vec<_>>()
        );
        assert_eq!(l.renew_all(&mine, TTL).await.unwrap(), mine);
        let held = l.held(&all).await.unwrap();
        assert_eq!(held.values().filter(|lease| lease.owner == "a").count(), 2_000);
        l.release(&mine).await.unwrap();
        assert_eq!(l.acquire_all(&all[..2_000], "b", TTL).await.unwrap().len(), 2_000);
        assert_eq!(l.renew_all(&mine, TTL).await.unwrap(), []);
        assert_eq!(l.acquire_all(&[], "b", TTL).await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_reach_for_the_same_names_at_once_each_name_goes_to_one() {
    each_backend(async |f| {
        let l = leases(&f).await;
        let nodes: Vec<_> = (0..6)
            .map(|n| {
                let l = l.clone();
                spawn("node", async move {
                    let mut wanted = names(300);
                    wanted.rotate_left(n * 50);
                    let mine = l.acquire_all(&wanted, &format!("node-{n}"), TTL).await.unwrap();
                    assert_eq!(l.renew_all(&mine, TTL).await.unwrap(), mine);
                    mine
                })
            })
            .collect();
        let mut all = Vec::new();
        for node in nodes {
            all.extend(node.await.unwrap().into_iter().map(|lease| lease.name));
        }
        all.sort();
        assert_eq!(all, names(300));
    })
    .await;
}

#[tokio::test]
async fn arguments_that_cannot_be_are_refused_with_their_field() {
    each_backend(async |f| {
        let l = leases(&f).await;
        let long = "x".repeat(600);
        for (name, owner, ttl, field) in [
            ("", "a", TTL, "name"),
            (long.as_str(), "a", TTL, "name"),
            ("a\0", "a", TTL, "name"),
            ("x", "", TTL, "owner"),
            ("x", "a", Duration::from_millis(999), "ttl"),
            ("x", "a", Duration::from_secs(3601), "ttl"),
        ] {
            let error = l.acquire(name, owner, ttl).await.unwrap_err();
            assert!(error.to_string().starts_with(field), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_keeper_renews_and_tells_what_was_taken() {
    each_backend(async |f| {
        let l = leases(&f).await;
        let (a, b) = (keeper(&l, "a"), keeper(&l, "b"));
        assert_eq!(a.acquire(&names(3)).await.unwrap().len(), 3);
        assert_eq!(a.acquire(&names(3)).await.unwrap(), [], "they are kept already");
        assert_eq!(b.acquire(&names(3)).await.unwrap(), []);
        for _ in 0..6 {
            f.clock.advance(Duration::from_secs(10));
            a.renew().await;
        }
        let epoch = a.epoch("group/00001").expect("it is held for a minute and more");
        assert_eq!(a.held().len(), 3);

        // It stops for a while, as a machine that sleeps; the other takes one.
        f.clock.advance(Duration::from_secs(33));
        assert_eq!((a.epoch("group/00001"), a.held()), (None, vec![]), "it knows before it asks");
        assert_eq!(b.acquire(&["group/00001".to_owned()]).await.unwrap()[0].name, "group/00001");
        a.renew().await;
        let lost = a.lost().await;
        assert_eq!(
            lost.iter().map(|l| (l.name.as_str(), l.epoch)).collect::<Vec<_>>(),
            [("group/00001", epoch)]
        );
        assert_eq!(a.held().len(), 2, "what nobody took is held again");
        assert!(b.epoch("group/00001") > Some(epoch));
        a.release(&names(3)).await.unwrap();
        assert_eq!(b.acquire(&names(3)).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_keeper_without_its_database_loses_its_leases_in_time() {
    each_backend(async |f| {
        let l = leases(&f).await;
        let db = crate::Database::open(f.settings.clone(), f.shared_clock()).await.unwrap();
        let a = keeper(&Leases::new(db.clone(), f.shared_clock()), "a");
        a.acquire(&names(2)).await.unwrap();
        db.close().await;
        f.clock.advance(Duration::from_secs(20));
        a.renew().await;
        assert_eq!(a.held().len(), 2, "there is time left");
        assert_eq!(a.health().await.unwrap().status, kit::HealthState::Unhealthy);
        f.clock.advance(Duration::from_secs(10));
        assert_eq!(a.held(), []);
        a.renew().await;
        assert_eq!(a.lost().await.len(), 2);
        f.clock.advance(Duration::from_secs(2));
        assert_eq!(l.acquire_all(&names(2), "b", TTL).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_keeper_that_stops_lets_go() {
    each_backend(async |f| {
        let l = leases(&f).await;
        let a = keeper(&l, "a");
        a.acquire(&names(2)).await.unwrap();
        let (trigger, shutdown) = ShutdownTrigger::new();
        let service = a.clone();
        let running = spawn("keeper", async move { service.run(shutdown).await.unwrap() });
        trigger.request();
        running.await.unwrap();
        assert_eq!(l.acquire_all(&names(2), "b", TTL).await.unwrap().len(), 2);
    })
    .await;
}
