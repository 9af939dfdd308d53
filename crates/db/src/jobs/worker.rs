//! A loop that claims jobs of one queue and hands them to a handler, several at a time.
//!
//! A handler that fails, panics or takes too long fails its job, not the worker. While it runs its lease is
//! prolonged, so a lease can be short, and a dead node's jobs are soon somebody else's, however long work takes.
//! Where the claim is lost all the same (the machine slept, the database was away) the handler is dropped.
//!
//! Leaving a failing destination alone is the handler's own affair: it knows what a destination is.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kit::{BoxError, HealthStatus, RetryPolicy, RetryService, Service, SharedClock, Shutdown, timeout};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use crate::jobs::Jobs;
use crate::jobs::error::JobError;
use crate::jobs::job::{Claim, Settled};

/// Between two looks at a queue whose first job is due but cannot be had, as when another worker is taking it.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// Why a handler could not do a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, for the one who looks at the job.
    pub message: String,
    /// Wait this long before the next attempt, as the other side asked; `None` leaves it to the queue.
    pub retry_after: Option<Duration>,
    /// No attempt would ever succeed.
    pub is_final: bool,
}

impl Failure {
    /// Another attempt may succeed.
    pub fn again(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), retry_after: None, is_final: false }
    }

    /// Another attempt may succeed, but not before this has passed.
    pub fn after(message: impl fmt::Display, wait: Duration) -> Self {
        Self { message: message.to_string(), retry_after: Some(wait), is_final: false }
    }

    /// No attempt would ever succeed: the job becomes a dead letter at once.
    pub fn last(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), retry_after: None, is_final: true }
    }
}

/// Does jobs.
#[async_trait]
pub trait JobHandler: Send + Sync + 'static {
    /// Does one. It may have been done before, by an attempt that died before it was recorded: the effect is to
    /// be idempotent by the job's id. Dropped when the time is up or the claim is lost.
    async fn handle(&self, job: &Claim) -> Result<(), Failure>;
}

/// How a worker works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Which queue.
    pub queue: String,
    /// Who it is, for those who look at a running job: the node's name.
    pub name: String,
    /// Jobs at the same time.
    pub concurrency: usize,
    /// A job of a worker that died is somebody else's after this.
    pub lease: Duration,
    /// A handler that takes longer is dropped and its job failed.
    pub time_limit: Duration,
    /// The queue is looked at this often for what other nodes published. What this node did is found at once.
    pub poll: Duration,
}

impl WorkerSettings {
    /// Four jobs at a time, a lease of 30 s, a minute for each, a look every second.
    pub fn new(queue: &str, name: &str) -> Self {
        Self {
            queue: queue.to_owned(),
            name: name.to_owned(),
            concurrency: 4,
            lease: Duration::from_secs(30),
            time_limit: Duration::from_secs(60),
            poll: Duration::from_secs(1),
        }
    }
}

/// The loop. A service of the kit: it stops when asked to, after what runs has finished.
pub struct Worker<H> {
    inner: Arc<Inner<H>>,
}

struct Inner<H> {
    jobs: Jobs,
    settings: WorkerSettings,
    handler: H,
    counts: Counts,
    /// Why the queue could not be read last time.
    trouble: Mutex<Option<String>>,
}

#[derive(Default)]
struct Counts {
    running: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    dead: AtomicU64,
    lost: AtomicU64,
}

impl<H> fmt::Debug for Worker<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl<H: JobHandler> Worker<H> {
    /// A worker of a queue. Zero `concurrency` counts as one.
    pub fn new(jobs: Jobs, settings: WorkerSettings, handler: H) -> Self {
        let (counts, trouble) = (Counts::default(), Mutex::default());
        Self { inner: Arc::new(Inner { jobs, settings, handler, counts, trouble }) }
    }

    /// Works until `shutdown` is requested, then finishes what runs.
    async fn work(&self, shutdown: &Shutdown) {
        let inner = &self.inner;
        let concurrency = inner.settings.concurrency.max(1);
        let mut wake = inner.jobs.shared.wakes.listen(&inner.settings.queue);
        let mut running = Running::default();
        while !shutdown.is_requested() {
            // Whatever is published from here on is heard, and whatever was before is found.
            wake.borrow_and_update();
            let free = concurrency - running.tasks.len();
            let claims = if free > 0 { inner.claim(free).await } else { Vec::new() };
            if shutdown.is_requested() {
                inner.release(&claims).await;
                break;
            }
            let found = !claims.is_empty();
            for claim in claims {
                running.start(inner, claim);
            }
            if !found || running.tasks.len() >= concurrency {
                inner.pause(&mut running, &mut wake, concurrency, shutdown).await;
            }
        }
        while let Some(ended) = running.tasks.join_next_with_id().await {
            running.end(inner, ended).await;
        }
    }
}

/// What runs now. Dropping it aborts it; its claims then end by themselves.
#[derive(Default)]
struct Running {
    tasks: JoinSet<()>,
    claims: HashMap<Id, Claim>,
}

impl Running {
    fn start<H: JobHandler>(&mut self, inner: &Arc<Inner<H>>, claim: Claim) {
        let (inner, job) = (inner.clone(), claim.clone());
        inner.counts.running.fetch_add(1, Ordering::Relaxed);
        let task = self.tasks.spawn(async move { inner.carry_out(&job).await });
        self.claims.insert(task.id(), claim);
    }

    async fn end<H: JobHandler>(&mut self, inner: &Inner<H>, ended: Result<(Id, ()), JoinError>) {
        inner.counts.running.fetch_sub(1, Ordering::Relaxed);
        let (id, error) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(error)),
        };
        let Some(claim) = self.claims.remove(&id) else { return };
        // A task is aborted only together with this set.
        if let Some(error) = error
            && error.is_panic()
        {
            let message = format!("panicked: {}", kit::panic_text(&*error.into_panic()));
            inner.settle(&claim, Err(Failure::again(message))).await;
        }
    }
}

impl<H: JobHandler> Inner<H> {
    fn clock(&self) -> &SharedClock {
        &self.jobs.shared.clock
    }

    async fn claim(&self, n: usize) -> Vec<Claim> {
        let WorkerSettings { queue, name, lease, .. } = &self.settings;
        let claimed = self.jobs.claim(queue, name, n, *lease).await;
        let (claims, trouble) = match claimed {
            Ok(claims) => (claims, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let mut last = self.trouble.lock();
        if let Some(trouble) = &trouble
            && last.is_none()
        {
            tracing::warn!(queue, error = trouble, "jobs cannot be claimed");
        }
        *last = trouble;
        claims
    }

    async fn release(&self, claims: &[Claim]) {
        if let Err(error) = self.jobs.release(claims).await {
            // They come back when their lease ends.
            tracing::warn!(queue = self.settings.queue, %error, "claims cannot be released");
        }
    }

    /// Waits for anything to do: a job that ended, a publish, a time that comes, the end.
    async fn pause(
        &self,
        running: &mut Running,
        wake: &mut watch::Receiver<u64>,
        concurrency: usize,
        shutdown: &Shutdown,
    ) {
        let is_full = running.tasks.len() >= concurrency;
        let wait = if is_full { self.settings.poll } else { self.wait().await };
        tokio::select! {
            () = shutdown.requested() => {}
            Some(ended) = running.tasks.join_next_with_id() => running.end(self, ended).await,
            // The sender lives as long as the queue, which this worker holds.
            _ = wake.changed(), if !is_full => {}
            () = self.clock().sleep(wait), if !is_full => {}
        }
    }

    /// Until something is due, at most until the next look.
    async fn wait(&self) -> Duration {
        let poll = self.settings.poll.max(PAUSE_MIN);
        let Ok(Some(due_at)) = self.jobs.next_due(&self.settings.queue).await else { return poll };
        let left = due_at.saturating_sub(self.clock().now_ms());
        Duration::from_millis(u64::try_from(left).unwrap_or(0)).clamp(PAUSE_MIN, poll)
    }

    async fn carry_out(&self, claim: &Claim) {
        let clock = self.clock();
        let work = timeout(&**clock, self.settings.time_limit, self.handler.handle(claim));
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => {
                    let result = result.unwrap_or_else(|late| Err(Failure::again(late)));
                    return self.settle(claim, result).await;
                }
                () = clock.sleep(self.settings.lease / 3) => {}
            }
            match self.jobs.extend(claim, self.settings.lease).await {
                Ok(()) => {}
                Err(JobError::ClaimLost { .. }) => return self.on_lost(claim),
                // The lease has two thirds left, in which the database may be back.
                Err(error) => tracing::warn!(job = claim.id, %error, "a lease cannot be prolonged"),
            }
        }
    }

    async fn settle(&self, claim: &Claim, result: Result<(), Failure>) {
        let clock = self.clock();
        let retry = RetryService::new(&**clock, RetryPolicy::default());
        let (jobs, result) = (&self.jobs, &result);
        let settled = retry
            .with_retry_if(JobError::is_transient, |_| async move {
                match result {
                    Ok(()) => jobs.ack(claim).await.map(|()| None),
                    Err(failure) if failure.is_final => {
                        jobs.give_up(claim, &failure.message).await.map(|()| Some(Settled::Dead))
                    }
                    Err(failure) => jobs.fail(claim, &failure.message, failure.retry_after).await.map(Some),
                }
            })
            .await;
        let count = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        match settled {
            Ok(None) => count(&self.counts.done),
            Ok(Some(Settled::Again { .. })) => count(&self.counts.failed),
            Ok(Some(Settled::Dead)) => {
                count(&self.counts.dead);
                let error = result.as_ref().err().map(|failure| failure.message.as_str());
                tracing::warn!(queue = claim.queue, job = claim.id, tenant = %claim.tenant, error, "dead letter");
            }
            Err(error) if matches!(error.last, JobError::ClaimLost { .. }) => self.on_lost(claim),
            // It comes back when its lease ends.
            Err(error) => tracing::warn!(job = claim.id, %error, "a job's result cannot be written"),
        }
    }

    fn on_lost(&self, claim: &Claim) {
        self.counts.lost.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(queue = claim.queue, job = claim.id, epoch = claim.epoch, "the claim was lost");
    }
}

#[async_trait]
impl<H: JobHandler> Service for Worker<H> {
    async fn run(&self, shutdown: Shutdown) -> Result<(), BoxError> {
        self.work(&shutdown).await;
        Ok(())
    }

    async fn health(&self) -> Result<HealthStatus, BoxError> {
        Ok(match &*self.inner.trouble.lock() {
            None => HealthStatus::healthy(),
            Some(trouble) => HealthStatus::unhealthy(format!("jobs cannot be claimed: {trouble}")),
        })
    }

    fn gauges(&self) -> Vec<(String, f64)> {
        let counts = &self.inner.counts;
        let named = [
            ("jobs_running", &counts.running),
            ("jobs_done", &counts.done),
            ("jobs_failed", &counts.failed),
            ("jobs_dead", &counts.dead),
            ("jobs_lost", &counts.lost),
        ];
        named.map(|(name, count)| (name.to_owned(), count.load(Ordering::Relaxed) as f64)).into()
    }
}
