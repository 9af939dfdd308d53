//! The queue of metrics to aggregate: an organisation's metrics are queued by whoever has them and processed in
//! the background by whoever has time.
//!
//! A message holds exactly `organization_id`, `metrics`, `timestamp` (ISO 8601, UTC, milliseconds) and `priority`,
//! which is `normal`.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use kit::BoxError;
use model::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jobs::Jobs;
use crate::jobs::error::JobError;
use crate::jobs::job::{Claim, NewJob, Priority};

/// The queue's name.
pub const AGGREGATION_QUEUE: &str = "aggregation_queue";

/// A processor that did not answer for this long is taken for dead, and its message goes to another.
const LEASE: Duration = Duration::from_secs(60);

/// What is queued.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregationMessage {
    /// Whose metrics.
    pub organization_id: String,
    /// The metrics, as they were given.
    pub metrics: Vec<Value>,
    /// When they were queued: `2024-01-31T12:00:00.000Z`.
    pub timestamp: String,
    /// Always `normal`.
    pub priority: String,
}

/// Turns queued metrics into aggregates.
#[async_trait]
pub trait MetricsAggregation: Send + Sync {
    /// Processes the metrics of a message. The same message may come again, with the same `claim.id`, when an
    /// earlier attempt died before it was acknowledged: the effect is kept together with that id, and
    /// [`Jobs::once`] does so for effects in the shared part.
    async fn process_metrics(&self, message: &AggregationMessage, claim: &Claim) -> Result<(), BoxError>;
}

/// The queue's two ends.
#[derive(Clone)]
pub struct BackgroundProcessor {
    jobs: Jobs,
    worker: String,
}

impl fmt::Debug for BackgroundProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackgroundProcessor").field("worker", &self.worker).finish_non_exhaustive()
    }
}

/// What became of one look at the queue.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The message could not be processed. It comes again, or is a dead letter after its last attempt.
    #[error("message {id} cannot be processed: {source}")]
    Processing {
        /// The job's id.
        id: String,
        /// Why.
        source: BoxError,
    },
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] JobError),
}

impl BackgroundProcessor {
    /// Both ends of the queue; `worker` names this node.
    pub fn new(jobs: Jobs, worker: &str) -> Self {
        Self { jobs, worker: worker.to_owned() }
    }

    /// Queues an organisation's metrics and answers the message's id.
    pub async fn queue_metrics_aggregation(
        &self,
        organization: &TenantId,
        metrics: Vec<Value>,
    ) -> Result<String, JobError> {
        let message = AggregationMessage {
            organization_id: organization.to_string(),
            metrics,
            timestamp: iso_time(self.jobs.now())?,
            priority: Priority::Normal.as_str().to_owned(),
        };
        let payload = serde_json::to_value(message).expect("texts and JSON are JSON");
        self.jobs.publish(NewJob::new(organization.clone(), AGGREGATION_QUEUE, payload)).await
    }

    /// Takes one message, has it processed, and acknowledges it after that; answers its id, or `None` at once
    /// when the queue is empty. A message whose processing fails, or is never acknowledged, comes again.
    pub async fn process_aggregation_queue(
        &self,
        processor: &dyn MetricsAggregation,
    ) -> Result<Option<String>, ProcessError> {
        let Some(claim) = self.jobs.claim(AGGREGATION_QUEUE, &self.worker, 1, LEASE).await?.pop() else {
            return Ok(None);
        };
        let message: AggregationMessage = match claim.decode() {
            Ok(message) => message,
            Err(error) => {
                self.jobs.give_up(&claim, &format!("the message does not read: {error}")).await?;
                return Err(ProcessError::Processing { id: claim.id, source: error.into() });
            }
        };
        if let Err(source) = processor.process_metrics(&message, &claim).await {
            self.jobs.fail(&claim, &source.to_string(), None).await?;
            return Err(ProcessError::Processing { id: claim.id, source });
        }
        self.jobs.ack(&claim).await?;
        Ok(Some(claim.id))
    }
}

/// As `new Date().toISOString()` writes it.
fn iso_time(ms: i64) -> Result<String, JobError> {
    let invalid = |error: jiff::Error| JobError::Invalid { field: "timestamp", message: error.to_string() };
    Ok(format!("{:.3}", Timestamp::from_millisecond(ms).map_err(invalid)?))
}
