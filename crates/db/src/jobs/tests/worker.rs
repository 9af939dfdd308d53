use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use kit::{Service, Shutdown, ShutdownTrigger, SystemClock, spawn::spawn};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::*;
use crate::jobs::{Failure, JobFilter, JobHandler, JobState, Worker, WorkerSettings};
use crate::testing::each_backend;

/// Does what the payload says.
struct Obeys {
    seen: Arc<Mutex<Vec<String>>>,
    running: Arc<AtomicUsize>,
    running_max: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

#[async_trait]
impl JobHandler for Obeys {
    async fn handle(&self, job: &Claim) -> Result<(), Failure> {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.running_max.fetch_max(now, Ordering::SeqCst);
        let name = name(job);
        self.seen.lock().push(name.clone());
        let result = match name.as_str() {
            "panic" => panic!("burst"),
            "fail" => Err(Failure::again("no luck")),
            "after" => Err(Failure::after("busy", Duration::from_secs(7))),
            "last" => Err(Failure::last("gone")),
            "hang" => std::future::pending().await,
            "gate" => {
                self.gate.acquire().await.unwrap().forget();
                Ok(())
            }
            _ => Ok(()),
        };
        self.running.fetch_sub(1, Ordering::SeqCst);
        result
    }
}

struct Bench {
    worker: Arc<Worker<Obeys>>,
    seen: Arc<Mutex<Vec<String>>>,
    running_max: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    trigger: ShutdownTrigger,
    shutdown: Shutdown,
}

impl Bench {
    fn new(jobs: &Jobs, settings: WorkerSettings) -> Self {
        let (seen, running_max) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let gate = Arc::new(Semaphore::new(0));
        let handler = Obeys {
            seen: seen.clone(),
            running: Arc::default(),
            running_max: running_max.clone(),
            gate: gate.clone(),
        };
        let (trigger, shutdown) = ShutdownTrigger::new();
        let worker = Arc::new(Worker::new(jobs.clone(), settings, handler));
        Self { worker, seen, running_max, gate, trigger, shutdown }
    }

    fn start(&self) -> tokio::task::JoinHandle<()> {
        let (worker, shutdown) = (self.worker.clone(), self.shutdown.clone());
        spawn("worker", async move { worker.run(shutdown).await.unwrap() })
    }
}

/// Real time, so that the database's own waits do not stand still; nothing below measures it.
async fn real_jobs(f: &Arc<Fixture>) -> Jobs {
    f.db.control().migrate(&TABLES, &f.clock).await.unwrap();
    Jobs::new(f.db.clone(), SystemClock::shared())
}

fn settings() -> WorkerSettings {
    WorkerSettings { poll: Duration::from_millis(20), ..WorkerSettings::new("q", "node-1") }
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come about in twenty seconds");
}

async fn in_state(q: &Jobs, state: JobState) -> Vec<(u32, String)> {
    let filter = JobFilter { state: Some(state), ..JobFilter::default() };
    let jobs = q.list(&tenant("a"), &filter, 1_000).await.unwrap();
    jobs.into_iter().map(|job| (job.attempt, job.error)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_outlives_handlers_that_fail_panic_or_hang() {
    each_backend(async |f| {
        let q = real_jobs(&f).await;
        let time_limit = Duration::from_millis(200);
        let bench = Bench::new(&q, WorkerSettings { time_limit, ..settings() });
        let running = bench.start();
        for command in ["panic", "fail", "hang"] {
            q.publish(NewJob { attempts_max: 1, ..job("a", command) }).await.unwrap();
        }
        q.publish_all(&[job("a", "last"), job("a", "after"), job("a", "fine")]).await.unwrap();
        until(async || in_state(&q, JobState::Dead).await.len() == 4).await;
        until(async || in_state(&q, JobState::Done).await.len() == 1).await;
        until(async || in_state(&q, JobState::Waiting).await == [(1, "busy".to_owned())]).await;
        let mut dead = in_state(&q, JobState::Dead).await;
        dead.sort();
        let errors: Vec<_> = dead.iter().map(|(_, error)| error.as_str()).collect();
        assert_eq!(errors, ["gone", "no luck", "panicked: burst", "timed out after 200 ms"]);
        let gauges = bench.worker.gauges();
        let gauges: Vec<_> = gauges.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        // A handler's panic is settled outside of it, and counted the same.
        assert_eq!(
            gauges,
            [
                ("jobs_running", 0.0),
                ("jobs_done", 1.0),
                ("jobs_failed", 1.0),
                ("jobs_dead", 4.0),
                ("jobs_lost", 0.0)
            ]
        );
        bench.trigger.request();
        running.await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_on_the_same_node_is_heard_long_before_the_next_look() {
    each_backend(async |f| {
        let q = real_jobs(&f).await;
        let hour = Duration::from_secs(3600);
        let bench = Bench::new(&q, WorkerSettings { poll: hour, ..settings() });
        let running = bench.start();
        for n in 1..=20 {
            q.publish(job("a", "fine")).await.unwrap();
            until(async || bench.seen.lock().len() == n).await;
        }
        bench.trigger.request();
        running.await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_has_no_more_at_once_than_it_may_and_finishes_them_when_it_stops() {
    each_backend(async |f| {
        let q = real_jobs(&f).await;
        let bench = Bench::new(&q, WorkerSettings { concurrency: 3, ..settings() });
        let batch: Vec<_> = (0..10).map(|_| job("a", "gate")).collect();
        q.publish_all(&batch).await.unwrap();
        let running = bench.start();
        until(async || bench.seen.lock().len() == 3).await;
        assert_eq!(in_state(&q, JobState::Running).await.len(), 3);
        bench.gate.add_permits(4);
        until(async || bench.seen.lock().len() == 7).await;
        bench.trigger.request();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!running.is_finished(), "it waits for what runs");
        bench.gate.add_permits(99);
        running.await.unwrap();
        assert_eq!(bench.running_max.load(Ordering::SeqCst), 3);
        assert_eq!(bench.seen.lock().len(), 7, "and begins nothing more");
        assert_eq!(in_state(&q, JobState::Done).await.len(), 7);
        assert_eq!(in_state(&q, JobState::Waiting).await, vec![(0, String::new()); 3]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_job_keeps_its_lease_and_one_that_lost_it_is_dropped() {
    each_backend(async |f| {
        let q = real_jobs(&f).await;
        let lease = Duration::from_millis(600);
        let bench = Bench::new(&q, WorkerSettings { lease, ..settings() });
        q.publish(job("a", "gate")).await.unwrap();
        let running = bench.start();
        until(async || bench.seen.lock().len() == 1).await;
        tokio::time::sleep(lease * 2).await;
        assert_eq!(claim(&q, 1).await, [], "it was prolonged");
        bench.gate.add_permits(1);
        until(async || in_state(&q, JobState::Done).await.len() == 1).await;

        // Somebody takes it away by hand: no answer is written, and the place is free again.
        let id = q.publish(job("a", "hang")).await.unwrap();
        until(async || bench.seen.lock().len() == 2).await;
        let mut tx = f.db.control().begin().await.unwrap();
        let taken =
            sqlx::query("UPDATE jobs SET claims = claims + 1, state = 'done', ended_at = 1 WHERE id = $1");
        taken.bind(id.as_str()).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        until(async || bench.worker.gauges().contains(&("jobs_lost".to_owned(), 1.0))).await;
        until(async || bench.worker.gauges().contains(&("jobs_running".to_owned(), 0.0))).await;
        bench.trigger.request();
        running.await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_waits_out_a_database_that_is_away_and_says_so() {
    each_backend(async |f| {
        let db = crate::Database::open(f.settings.clone(), f.shared_clock()).await.unwrap();
        f.db.control().migrate(&TABLES, &f.clock).await.unwrap();
        let q = Jobs::new(db.clone(), SystemClock::shared());
        let bench = Bench::new(&q, settings());
        let running = bench.start();
        assert_eq!(bench.worker.health().await.unwrap(), kit::HealthStatus::healthy());
        db.close().await;
        until(async || bench.worker.health().await.unwrap().status == kit::HealthState::Unhealthy).await;
        bench.trigger.request();
        running.await.unwrap();
    })
    .await;
}
