use async_trait::async_trait;
use kit::BoxError;
use parking_lot::Mutex;
use serde_json::Value;

use super::*;
use crate::Database;
use crate::jobs::aggregation::{
    AGGREGATION_QUEUE, AggregationMessage, BackgroundProcessor, MetricsAggregation, ProcessError,
};
use crate::jobs::{JobFilter, JobState};
use crate::testing::each_backend;

/// Adds up what it is given, once for each message.
struct Sums {
    db: Database,
    jobs: Jobs,
    sum: Mutex<f64>,
    calls: Mutex<u32>,
    /// Dies after its effect, this many times.
    deaths: Mutex<u32>,
}

#[async_trait]
impl MetricsAggregation for Sums {
    async fn process_metrics(&self, message: &AggregationMessage, claim: &Claim) -> Result<(), BoxError> {
        *self.calls.lock() += 1;
        let mut tx = self.db.control().begin().await?;
        if self.jobs.once(&mut tx, claim).await? {
            let added: f64 = message.metrics.iter().filter_map(|m| m["value"].as_f64()).sum();
            tx.commit().await?;
            *self.sum.lock() += added;
        }
        let dies = {
            let mut deaths = self.deaths.lock();
            *deaths = deaths.checked_sub(1).unwrap_or_default();
            *deaths > 0
        };
        if dies {
            std::future::pending::<()>().await;
        }
        match message.metrics.iter().any(|metric| metric["value"].is_null()) {
            true => Err("a metric has no value".into()),
            false => Ok(()),
        }
    }
}

async fn processor(f: &Arc<Fixture>) -> (BackgroundProcessor, Sums, Jobs) {
    let q = jobs(f).await;
    let sums = Sums {
        db: f.db.clone(),
        jobs: q.clone(),
        sum: Mutex::default(),
        calls: Mutex::default(),
        deaths: Mutex::new(0),
    };
    (BackgroundProcessor::new(q.clone(), "node-1"), sums, q)
}

#[tokio::test]
async fn a_message_has_exactly_its_four_keys() {
    each_backend(async |f| {
        let (background, _, q) = processor(&f).await;
        let metrics = vec![json!({"name": "cpu", "value": 0.5})];
        let id = background.queue_metrics_aggregation(&tenant("acme"), metrics).await.unwrap();
        let (entry, payload) = q.job(&tenant("acme"), &id).await.unwrap();
        assert_eq!((entry.queue.as_str(), entry.priority), ("aggregation_queue", Priority::Normal));
        let payload: Value = serde_json::from_str(&payload).unwrap();
        assert_eq!(
            payload,
            json!({
                "organization_id": "acme",
                "metrics": [{"name": "cpu", "value": 0.5}],
                "timestamp": "2023-11-14T22:13:20.000Z",
                "priority": "normal",
            })
        );
    })
    .await;
}

#[tokio::test]
async fn one_message_is_consumed_processed_and_acknowledged_and_an_empty_queue_is_none() {
    each_backend(async |f| {
        let (background, sums, q) = processor(&f).await;
        assert_eq!(background.process_aggregation_queue(&sums).await.unwrap(), None);
        let metrics = vec![json!({"value": 1}), json!({"value": 2})];
        let id = background.queue_metrics_aggregation(&tenant("acme"), metrics).await.unwrap();
        assert_eq!(background.process_aggregation_queue(&sums).await.unwrap(), Some(id.clone()));
        assert_eq!(*sums.sum.lock(), 3.0);
        assert_eq!(q.job(&tenant("acme"), &id).await.unwrap().0.state, JobState::Done);
        assert_eq!(background.process_aggregation_queue(&sums).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_crash_before_the_acknowledgement_delivers_again_and_has_its_effect_once() {
    each_backend(async |f| {
        let (background, sums, _) = processor(&f).await;
        background.queue_metrics_aggregation(&tenant("a"), vec![json!({"value": 7})]).await.unwrap();
        *sums.deaths.lock() = 2;
        let crashed =
            tokio::time::timeout(Duration::from_millis(500), background.process_aggregation_queue(&sums));
        assert!(crashed.await.is_err(), "it is dropped between its effect and the acknowledgement");
        assert_eq!(
            background.process_aggregation_queue(&sums).await.unwrap(),
            None,
            "the claim still stands"
        );
        f.clock.advance(Duration::from_secs(60));
        assert!(background.process_aggregation_queue(&sums).await.unwrap().is_some());
        assert_eq!((*sums.calls.lock(), *sums.sum.lock()), (2, 7.0));
        f.clock.advance(Duration::from_secs(60));
        assert_eq!(background.process_aggregation_queue(&sums).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_message_that_cannot_be_processed_ends_as_a_dead_letter() {
    each_backend(async |f| {
        let (background, sums, q) = processor(&f).await;
        background.queue_metrics_aggregation(&tenant("a"), vec![json!({})]).await.unwrap();
        for _ in 0..10 {
            let error = background.process_aggregation_queue(&sums).await.unwrap_err();
            assert!(error.to_string().ends_with("cannot be processed: a metric has no value"), "{error}");
            f.clock.advance(Duration::from_secs(600));
        }
        assert_eq!(background.process_aggregation_queue(&sums).await.unwrap(), None);
        let strange = NewJob::new(tenant("a"), AGGREGATION_QUEUE, json!({"metrics": []}));
        q.publish(strange).await.unwrap();
        let error = background.process_aggregation_queue(&sums).await.unwrap_err();
        assert!(matches!(error, ProcessError::Processing { .. }));
        let dead = JobFilter { state: Some(JobState::Dead), ..JobFilter::default() };
        let dead = q.list(&tenant("a"), &dead, 9).await.unwrap();
        assert!(dead[0].error.contains("missing field `organization_id`"), "{}", dead[0].error);
        assert_eq!((dead[1].attempt, dead[1].error.as_str()), (10, "a metric has no value"));
    })
    .await;
}
