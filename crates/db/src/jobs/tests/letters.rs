use super::*;
use crate::error::Remedy;
use crate::jobs::{Depth, JobError, JobFilter, JobState};
use crate::testing::each_backend;

async fn dead(q: &Jobs, of: &str, name: &str) -> String {
    let id = q.publish(priority(of, Priority::Critical, name)).await.unwrap();
    q.give_up(&claim_one(q).await, "hopeless").await.unwrap();
    id
}

#[tokio::test]
async fn a_dead_letter_is_requeued_with_all_its_attempts_or_deleted() {
    each_backend(async |f| {
        let (q, a, b) = (jobs(&f).await, tenant("a"), tenant("b"));
        let (x, y) = (dead(&q, "a", "x").await, dead(&q, "a", "y").await);
        f.clock.advance(Duration::from_secs(30 * 3600));
        assert!(matches!(q.requeue(&b, &x).await, Err(JobError::NotFound { .. })), "another tenant's");
        assert!(matches!(q.delete(&b, &x).await, Err(JobError::NotFound { .. })));
        q.requeue(&a, &x).await.unwrap();
        let error = q.requeue(&a, &x).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("job {x} is waiting; only a dead one can be requeued or deleted")
        );
        assert_eq!(error.remedy(), Remedy::FixRequest);
        assert!(matches!(q.delete(&a, &x).await, Err(JobError::NotDead { state: JobState::Waiting, .. })));
        let again = claim_one(&q).await;
        assert_eq!((&again.id, again.attempt), (&x, 1));
        assert_eq!(again.expires_at, now_ms(&f) + 24 * 3_600_000);
        q.ack(&again).await.unwrap();

        q.delete(&a, &y).await.unwrap();
        assert!(matches!(q.job(&a, &y).await, Err(JobError::NotFound { .. })));
        assert!(matches!(q.delete(&a, &y).await, Err(JobError::NotFound { .. })));
    })
    .await;
}

#[tokio::test]
async fn depths_are_counted_by_queue_and_tenant() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        assert_eq!(q.depths().await.unwrap(), []);
        dead(&q, "a", "x").await;
        q.publish_all(&[job("a", "1"), job("a", "2"), job("b", "3")]).await.unwrap();
        q.publish(NewJob { queue: "r".to_owned(), ..job("b", "4") }).await.unwrap();
        let done = q.claim("r", "n", 1, LEASE).await.unwrap();
        q.ack_all(&done).await.unwrap();
        f.clock.advance(Duration::from_secs(5));
        q.publish(job("a", "5")).await.unwrap();
        assert_eq!(name(&claim_one(&q).await), "3", "it is b's turn");
        let depth = |of: &str, waiting, running, dead| Depth {
            queue: "q".to_owned(),
            tenant: tenant(of),
            waiting,
            running,
            dead,
            oldest_waiting_at: (waiting > 0).then_some(1_700_000_000_000),
        };
        assert_eq!(q.depths().await.unwrap(), [depth("a", 3, 0, 1), depth("b", 0, 1, 0)]);

        let (trigger, shutdown) = kit::ShutdownTrigger::new();
        trigger.request();
        kit::Service::run(&q, shutdown).await.unwrap();
        let gauges = kit::Service::gauges(&q);
        let gauges: Vec<_> = gauges.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(
            gauges,
            [
                ("jobs_waiting", 3.0),
                ("jobs_running", 1.0),
                ("jobs_dead", 1.0),
                ("oldest_waiting_job_age_ms", 5_000.0)
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn lists_are_paged_and_filtered_and_of_one_tenant() {
    each_backend(async |f| {
        let (q, a) = (jobs(&f).await, tenant("a"));
        dead(&q, "a", "x").await;
        let batch: Vec<_> = (0..5).map(|n| job("a", &n.to_string())).collect();
        let ids = q.publish_all(&batch).await.unwrap();
        q.publish(job("b", "other")).await.unwrap();
        let all = q.list(&a, &JobFilter::default(), 100).await.unwrap();
        assert_eq!(all.len(), 6);
        let mut pages = Vec::new();
        let mut filter = JobFilter { state: Some(JobState::Waiting), ..JobFilter::default() };
        loop {
            let page = q.list(&a, &filter, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            filter.before = Some(last.id.clone());
            pages.extend(page.into_iter().map(|job| job.id));
        }
        pages.reverse();
        assert_eq!(pages, ids);
        let dead = JobFilter { state: Some(JobState::Dead), queue: Some("q".to_owned()), before: None };
        assert_eq!(q.list(&a, &dead, 9).await.unwrap()[0].error, "hopeless");
        let none = JobFilter { queue: Some("r".to_owned()), ..JobFilter::default() };
        assert_eq!(q.list(&a, &none, 9).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn what_has_ended_is_swept_after_its_time_and_nothing_else() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        dead(&q, "a", "x").await;
        let done: Vec<_> = (0..1_500).map(|n| job("a", &n.to_string())).collect();
        q.publish_all(&done).await.unwrap();
        let mut claims = claim(&q, 1_000).await;
        claims.extend(claim(&q, 1_000).await);
        assert_eq!(q.ack_all(&claims).await.unwrap(), Vec::<String>::new());
        let month = Duration::from_secs(30 * 24 * 3600);
        q.publish(NewJob { keep_for: month, ..job("a", "waits") }).await.unwrap();
        assert_eq!(q.sweep().await.unwrap(), 0);
        f.clock.advance(Duration::from_secs(24 * 3600));
        assert_eq!(q.sweep().await.unwrap(), 1_500);
        f.clock.advance(Duration::from_secs(13 * 24 * 3600));
        assert_eq!(q.sweep().await.unwrap(), 1, "dead letters stay two weeks");
        assert_eq!(name(&claim_one(&q).await), "waits");
    })
    .await;
}
