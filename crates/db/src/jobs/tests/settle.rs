use sqlx::Row;

use super::*;
use crate::jobs::{JobError, JobFilter, JobState, Settled};
use crate::testing::each_backend;

#[tokio::test]
async fn a_claim_that_is_not_answered_comes_back_and_the_old_one_settles_nothing() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        q.publish(job("a", "x")).await.unwrap();
        let first = claim_one(&q).await;
        f.clock.advance(Duration::from_millis(29_999));
        assert_eq!(claim(&q, 1).await, []);
        f.clock.advance(Duration::from_millis(1));
        let second = claim_one(&q).await;
        assert_eq!((&second.id, second.attempt, second.epoch), (&first.id, 2, 2));

        let is_lost = |error: JobError| matches!(error, JobError::ClaimLost { epoch: 1, .. });
        assert!(is_lost(q.ack(&first).await.unwrap_err()));
        assert!(is_lost(q.extend(&first, LEASE).await.unwrap_err()));
        assert!(is_lost(q.fail(&first, "no", None).await.unwrap_err()));
        assert!(is_lost(q.give_up(&first, "no").await.unwrap_err()));
        let both = [first, second];
        assert_eq!(q.ack_all(&both).await.unwrap(), [both[0].id.as_str()]);
        assert!(matches!(q.ack(&both[1]).await, Err(JobError::ClaimLost { epoch: 2, .. })), "twice");
        f.clock.advance(LEASE);
        assert_eq!(claim(&q, 1).await, []);
    })
    .await;
}

#[tokio::test]
async fn an_answer_after_the_leases_end_counts_while_nobody_else_has_the_job() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        q.publish(job("a", "x")).await.unwrap();
        let slow = claim_one(&q).await;
        f.clock.advance(LEASE * 2);
        q.ack(&slow).await.unwrap();
        assert_eq!(claim(&q, 1).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_prolonged_lease_ends_later() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        q.publish(job("a", "x")).await.unwrap();
        let held = claim_one(&q).await;
        f.clock.advance(Duration::from_secs(20));
        q.extend(&held, LEASE).await.unwrap();
        f.clock.advance(Duration::from_secs(29));
        assert_eq!(claim(&q, 1).await, []);
        f.clock.advance(Duration::from_secs(1));
        assert_eq!(claim_one(&q).await.epoch, 2);
    })
    .await;
}

#[tokio::test]
async fn failures_wait_twice_as_long_each_time_and_the_last_is_a_dead_letter() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        let id = q.publish(NewJob { attempts_max: 4, ..job("a", "poison") }).await.unwrap();
        for base_ms in [1_000, 2_000, 4_000] {
            let failed = claim_one(&q).await;
            let Settled::Again { at } = q.fail(&failed, "refused\0", None).await.unwrap() else {
                panic!("it is tried again")
            };
            let wait = at - now_ms(&f);
            assert!((base_ms * 4 / 5..=base_ms).contains(&wait), "{wait} of {base_ms}");
            f.clock.advance(Duration::from_millis(wait as u64 - 1));
            assert_eq!(claim(&q, 1).await, []);
            f.clock.advance(Duration::from_millis(1));
        }
        let last = claim_one(&q).await;
        assert_eq!(q.fail(&last, "refused again", None).await.unwrap(), Settled::Dead);
        assert_eq!(q.next_due("q").await.unwrap(), None);
        let (dead, payload) = q.job(&tenant("a"), &id).await.unwrap();
        assert_eq!((dead.state, dead.error.as_str(), dead.attempt), (JobState::Dead, "refused again", 4));
        assert_eq!((dead.ended_at, payload.as_str()), (Some(now_ms(&f)), "\"poison\""));
    })
    .await;
}

#[tokio::test]
async fn what_ends_a_job_early() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        let state = async |id: &str| {
            let (job, _) = q.job(&tenant("a"), id).await.unwrap();
            (job.state, job.attempt, job.error)
        };
        let hour = Duration::from_secs(3600);
        // The other side asks for more time than there is.
        let id = q.publish(NewJob { keep_for: hour, ..job("a", "x") }).await.unwrap();
        let failed = claim_one(&q).await;
        assert_eq!(q.fail(&failed, "later", Some(hour)).await.unwrap(), Settled::Dead);
        assert_eq!(state(&id).await, (JobState::Dead, 1, "later".to_owned()));
        // It asks for a moment.
        q.publish(NewJob { keep_for: hour, ..job("a", "y") }).await.unwrap();
        let failed = claim_one(&q).await;
        let again = Settled::Again { at: now_ms(&f) + 5_000 };
        assert_eq!(q.fail(&failed, "soon", Some(Duration::from_secs(5))).await.unwrap(), again);
        f.clock.advance(Duration::from_secs(5));
        let hopeless = claim_one(&q).await;
        q.give_up(&hopeless, "never").await.unwrap();
        assert_eq!(state(&hopeless.id).await, (JobState::Dead, 2, "never".to_owned()));
        // Nobody begins it in time; the job after it is served all the same.
        let id = q.publish(NewJob { keep_for: hour, ..job("a", "old") }).await.unwrap();
        f.clock.advance(hour);
        q.publish(job("a", "new")).await.unwrap();
        let served = claim_one(&q).await;
        assert_eq!(name(&served), "new");
        assert_eq!(state(&id).await, (JobState::Dead, 0, "no worker began it in time".to_owned()));
        // Its workers die.
        q.ack(&served).await.unwrap();
        let id = q.publish(NewJob { attempts_max: 2, ..job("a", "deadly") }).await.unwrap();
        for _ in 0..2 {
            assert_eq!(name(&claim_one(&q).await), "deadly");
            f.clock.advance(LEASE);
        }
        assert_eq!(claim(&q, 1).await, []);
        let error = "worker node-1 did not answer before its lease ended".to_owned();
        assert_eq!(state(&id).await, (JobState::Dead, 2, error));
    })
    .await;
}

#[tokio::test]
async fn what_is_released_is_first_again_and_no_attempt_was_made() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        q.publish_all(&[job("a", "x"), job("a", "y")]).await.unwrap();
        let first = claim_one(&q).await;
        f.clock.advance(Duration::from_secs(1));
        q.release(std::slice::from_ref(&first)).await.unwrap();
        let again = claim_one(&q).await;
        assert_eq!((name(&again).as_str(), again.attempt, again.epoch), ("x", 1, 2));
        q.release(&[first]).await.expect("what is somebody else's is left alone");
        let listed = q.list(&tenant("a"), &JobFilter::default(), 9).await.unwrap();
        assert_eq!(listed.iter().filter(|job| job.state == JobState::Running).count(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_effect_in_the_shared_part_happens_once_over_a_crash_before_the_acknowledgement() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        let mut tx = f.db.control().begin().await.unwrap();
        sqlx::query("CREATE TABLE effects (job TEXT NOT NULL)").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let effect = async |claim: &Claim, commits: bool| {
            let mut tx = f.db.control().begin().await.unwrap();
            let first = q.once(&mut tx, claim).await?;
            if first {
                let insert = sqlx::query("INSERT INTO effects (job) VALUES ($1)").bind(claim.id.as_str());
                insert.execute(&mut *tx).await.unwrap();
            }
            // Not left to the end of `tx`: the server would roll back some time later, and its locks stand until then.
            if commits {
                tx.commit().await.unwrap()
            } else {
                tx.rollback().await.unwrap()
            }
            Ok::<bool, JobError>(first)
        };
        q.publish(job("a", "x")).await.unwrap();
        let stale = claim_one(&q).await;
        assert!(effect(&stale, false).await.unwrap(), "the process dies before its effect is there");
        f.clock.advance(LEASE);
        let second = claim_one(&q).await;
        assert!(matches!(effect(&stale, true).await, Err(JobError::ClaimLost { .. })));
        assert!(effect(&second, true).await.unwrap(), "the process dies before it acknowledges");
        f.clock.advance(LEASE);
        let third = claim_one(&q).await;
        assert!(!effect(&third, true).await.unwrap());
        let mut tx = f.db.control().begin().await.unwrap();
        q.ack_in(&mut tx, &third).await.unwrap();
        tx.commit().await.unwrap();
        let mut connection = f.db.control().read().await.unwrap();
        let rows = sqlx::query("SELECT job FROM effects").fetch_all(&mut *connection).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<String>>(), [third.id]);
    })
    .await;
}
