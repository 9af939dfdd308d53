use super::*;
use crate::testing::each_backend;

#[tokio::test]
async fn priority_comes_before_time_and_time_before_nothing() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        use Priority::{Critical, High, Low, Normal};
        for (n, of) in [Normal, Low, High, Critical, Normal, High, Critical, Low].into_iter().enumerate() {
            q.publish(priority("a", of, &format!("{}{n}", of.as_str()))).await.unwrap();
            f.clock.advance(Duration::from_millis(1));
        }
        assert_eq!(
            names(&claim(&q, 5).await),
            "critical3 critical6 high2 high5 normal0",
            "in one claim, and what is left in the next"
        );
        let mut rest = Vec::new();
        for _ in 0..3 {
            rest.push(claim_one(&q).await);
        }
        assert_eq!(names(&rest), "normal4 low1 low7");
        assert_eq!(claim(&q, 9).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_job_published_in_one_moment_keeps_its_place_in_the_batch() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        let batch: Vec<_> = (0..40).map(|n| job("a", &format!("{n:02}"))).collect();
        q.publish_all(&batch).await.unwrap();
        let claims = claim(&q, 40).await;
        let seen: Vec<String> = claims.iter().map(name).collect();
        assert!(seen.is_sorted() && seen.len() == 40, "{seen:?}");
    })
    .await;
}

#[tokio::test]
async fn one_job_of_a_tenant_is_next_beside_thousands_of_another() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        let flood: Vec<_> = (0..2_000).map(|n| job("flood", &format!("f{n}"))).collect();
        q.publish_all(&flood).await.unwrap();
        f.clock.advance(Duration::from_secs(1));
        claim(&q, 8).await;
        q.publish(job("small", "s")).await.unwrap();
        let next = claim_one(&q).await;
        assert_eq!(name(&next), "s", "the flood has eight running");

        // A queue that has not given anything to anybody, and one worker: at most one job of the flood is first.
        let fresh = Jobs::new(f.db.clone(), f.shared_clock());
        q.publish(job("other", "o")).await.unwrap();
        let two = [claim_one(&fresh).await, claim_one(&fresh).await];
        assert!(names(&two).contains('o'), "{}", names(&two));
    })
    .await;
}

#[tokio::test]
async fn low_jobs_get_on_under_critical_ones_that_never_end() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        q.publish(priority("a", Priority::Low, "low")).await.unwrap();
        q.publish(priority("b", Priority::Normal, "normal")).await.unwrap();
        for n in 0..200 {
            let critical = priority("a", Priority::Critical, &format!("c{n}"));
            q.publish(critical).await.unwrap();
        }
        let seen = |claims: &[Claim]| {
            claims.iter().filter(|claim| claim.priority < Priority::Critical).map(name).collect::<Vec<_>>()
        };
        let young = claim(&q, 100).await;
        assert_eq!(seen(&young), Vec::<String>::new(), "for a minute they wait");
        f.clock.advance(Duration::from_secs(60));
        q.ack_all(&young).await.unwrap();
        let old = claim(&q, 12).await;
        assert_eq!(seen(&old), ["normal", "low"], "then every fourth place is for those who waited, in turn");
    })
    .await;
}

#[tokio::test]
async fn a_delayed_job_waits_for_its_time() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        assert_eq!(q.next_due("q").await.unwrap(), None);
        q.publish(NewJob { delay: Duration::from_secs(10), ..job("a", "late") }).await.unwrap();
        assert_eq!(q.next_due("q").await.unwrap(), Some(1_700_000_010_000));
        f.clock.advance(Duration::from_millis(9_999));
        assert_eq!(claim(&q, 1).await, []);
        f.clock.advance(Duration::from_millis(1));
        let late = claim_one(&q).await;
        assert_eq!((name(&late).as_str(), late.attempt, late.epoch), ("late", 1, 1));
        assert_eq!(q.next_due("q").await.unwrap(), Some(1_700_000_040_000), "the end of its lease");
    })
    .await;
}

#[tokio::test]
async fn queues_are_apart() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        q.publish(NewJob { queue: "webhooks".to_owned(), ..job("a", "w") }).await.unwrap();
        assert_eq!(claim(&q, 9).await, []);
        assert_eq!(names(&q.claim("webhooks", "n", 9, LEASE).await.unwrap()), "w");
    })
    .await;
}
