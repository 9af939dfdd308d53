use std::collections::BTreeSet;

use kit::spawn::spawn;

use super::*;
use crate::Database;
use crate::jobs::JobState;
use crate::testing::each_backend;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_workers_do_two_thousand_jobs_once_each() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        let batch: Vec<_> = (0..2_000).map(|n| job(["a", "b", "c"][n % 3], &n.to_string())).collect();
        q.publish_all(&batch).await.unwrap();
        let workers: Vec<_> = (0..8)
            .map(|n| {
                let (settings, clock) = (f.settings.clone(), f.shared_clock());
                spawn("worker", async move {
                    // A node of its own.
                    let db = Database::open(settings, clock.clone()).await.unwrap();
                    let q = Jobs::new(db.clone(), clock);
                    let mut done = Vec::new();
                    loop {
                        let claims = q.claim("q", &format!("node-{n}"), 1 + n * 3, LEASE).await.unwrap();
                        if claims.is_empty() && q.next_due("q").await.unwrap().is_none() {
                            break;
                        }
                        for claim in &claims {
                            assert_eq!((claim.attempt, claim.epoch), (1, 1));
                            done.push(name(claim));
                        }
                        assert_eq!(q.ack_all(&claims).await.unwrap(), Vec::<String>::new());
                    }
                    db.close().await;
                    done
                })
            })
            .collect();
        let mut done = Vec::new();
        for worker in workers {
            done.extend(worker.await.unwrap());
        }
        let different: BTreeSet<&String> = done.iter().collect();
        assert_eq!((done.len(), different.len()), (2_000, 2_000));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn publishers_of_the_same_keys_at_once_agree_on_one_job_each() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        let publishers: Vec<_> = (0..8)
            .map(|n| {
                let q = q.clone();
                spawn("publisher", async move {
                    let mut keys: Vec<usize> = (0..50).collect();
                    keys.rotate_left(n * 6);
                    let batch: Vec<_> =
                        keys.iter().map(|k| keyed("a", &k.to_string(), &k.to_string())).collect();
                    let ids = q.publish_all(&batch).await.unwrap();
                    let single = q.publish(keyed("a", "single", "single")).await.unwrap();
                    let mut named: Vec<_> = keys.into_iter().zip(ids).collect();
                    named.sort();
                    (named, single)
                })
            })
            .collect();
        let mut answers = Vec::new();
        for publisher in publishers {
            answers.push(publisher.await.unwrap());
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(claim(&q, 1_000).await.len(), 51);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn leases_that_end_under_eight_claimers_come_back_to_one() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        let batch: Vec<_> = (0..100).map(|n| job("a", &n.to_string())).collect();
        q.publish_all(&batch).await.unwrap();
        let dropped = claim(&q, 100).await;
        f.clock.advance(LEASE);
        let claimers: Vec<_> = (0..8)
            .map(|_| {
                let q = q.clone();
                spawn("claimer", async move {
                    let mut ids = Vec::new();
                    while ids.len() < 100 {
                        let claims = claim(&q, 9).await;
                        if claims.is_empty() {
                            break;
                        }
                        ids.extend(claims.into_iter().map(|claim| (claim.id, claim.epoch)));
                    }
                    ids
                })
            })
            .collect();
        let mut again = Vec::new();
        for claimer in claimers {
            again.extend(claimer.await.unwrap());
        }
        // Whoever found others at it and left leaves some for us.
        again.extend(claim(&q, 100).await.into_iter().map(|claim| (claim.id, claim.epoch)));
        again.sort();
        let want: Vec<_> = dropped.iter().map(|claim| (claim.id.clone(), 2)).collect();
        assert_eq!(again, want);
        let (first, _) = q.job(&tenant("a"), &dropped[0].id).await.unwrap();
        assert_eq!(first.state, JobState::Running);
    })
    .await;
}
