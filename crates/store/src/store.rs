//! The store with its threads: one commits, one flushes and does what is due, one compacts.
//!
//! Appending stages on the caller's thread and waits for the committer. Everything else that touches the
//! disk blocks, so an asynchronous caller runs it on a thread kept for that.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use kit::SharedClock;
use model::{MetricBatch, MetricLimits, RecordLimits, Records, Refusals, Signal, TenantId};
use parking_lot::{Condvar, Mutex};

use crate::disk::{Disk, RealDisk};
use crate::engine::Engine;
use crate::error::{Result, StoreError};
use crate::metrics::Staged;
use crate::rows::{Room, RowSnapshot};
use crate::settings::Settings;
use crate::snapshot::MetricSnapshot;
use crate::wal::ShardKey;

/// Time between looks at what is due.
const TICK: Duration = Duration::from_secs(1);

/// How long a writer is held back, whose rows are stored by then. A disk that is slower still makes heads grow
/// to where writes are refused.
const HELD_BACK_MAX: Duration = Duration::from_secs(2);

/// What became of a write. Its accepted rows are durable and visible.
#[derive(Clone, Debug)]
pub struct Appended {
    /// Samples or rows stored.
    pub accepted: usize,
    /// Of those, histograms.
    pub histograms: usize,
    /// Exemplars stored.
    pub exemplars: usize,
    /// Samples or rows not stored, and why.
    pub refusals: Refusals,
}

/// A running store; clones share it. Without [`Store::shutdown`] the last clone stops the threads and leaves
/// what is in heads to the next start.
#[derive(Clone)]
pub struct Store(Arc<Running>);

struct Running {
    engine: Arc<Engine>,
    clock: SharedClock,
    stop: Arc<Stop>,
    committer: Mutex<Option<JoinHandle<()>>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

/// What threads are asked for, and a way to sleep until then or the next look.
#[derive(Default)]
struct Stop {
    wishes: Mutex<Wishes>,
    changed: Condvar,
}

#[derive(Default)]
struct Wishes {
    stop: bool,
    /// A head waits to be flushed.
    flush: bool,
}

impl Stop {
    fn ask(&self) {
        self.wishes.lock().stop = true;
        self.changed.notify_all();
    }

    fn ask_to_flush(&self) {
        self.wishes.lock().flush = true;
        self.changed.notify_all();
    }

    /// Sleeps for a tick; true when asked to stop.
    fn sleep(&self) -> bool {
        let mut wishes = self.wishes.lock();
        if !wishes.stop {
            self.changed.wait_for(&mut wishes, TICK);
        }
        wishes.stop
    }

    /// Sleeps for a tick or until asked to flush; true when asked to stop.
    fn sleep_or_flush(&self) -> bool {
        let mut wishes = self.wishes.lock();
        if !wishes.stop && !wishes.flush {
            self.changed.wait_for(&mut wishes, TICK);
        }
        wishes.flush = false;
        wishes.stop
    }

    fn is_asked(&self) -> bool {
        self.wishes.lock().stop
    }
}

impl Store {
    /// Opens a data folder of the operating system and starts.
    pub fn open(folder: &Path, settings: Settings, clock: SharedClock) -> Result<Self> {
        Self::start(Arc::new(RealDisk::open(folder)?), settings, clock)
    }

    /// Opens a data folder and starts. Writes can be taken when this returns; reads wait for
    /// [`Self::await_replayed`].
    pub fn start(disk: Arc<dyn Disk>, settings: Settings, clock: SharedClock) -> Result<Self> {
        let engine = Arc::new(Engine::open(disk, settings)?);
        let stop = Arc::new(Stop::default());
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            kit::spawn::thread(name, work).map_err(|e| StoreError::io("start thread", name, e))
        };
        let committer = {
            let engine = Arc::clone(&engine);
            spawn("store-commit", Box::new(move || commit(&engine)))?
        };
        let running = Running {
            engine: Arc::clone(&engine),
            clock: Arc::clone(&clock),
            stop: Arc::clone(&stop),
            committer: Mutex::new(Some(committer)),
            workers: Mutex::default(),
        };
        let upkeep = {
            let (engine, stop, clock) = (Arc::clone(&engine), Arc::clone(&stop), Arc::clone(&clock));
            spawn("store-flush", Box::new(move || keep_up(&engine, &stop, &clock)))?
        };
        running.workers.lock().push(upkeep);
        let compactor = spawn("store-compact", Box::new(move || compact(&engine, &stop, &clock)))?;
        running.workers.lock().push(compactor);
        Ok(Self(Arc::new(running)))
    }

    /// Stores a write. When this returns, accepted samples are durable and visible; an error means that
    /// nothing is visible and the whole write can be sent again.
    pub async fn append_metrics(
        &self,
        tenant: &TenantId,
        batch: &MetricBatch,
        limits: &MetricLimits,
    ) -> Result<Appended> {
        Self::finished(self.0.engine.append(tenant, batch, limits, self.0.clock.now_ms())?).await
    }

    /// As [`Self::append_metrics`], for rows of logs, traces or events.
    pub async fn append_records(
        &self,
        tenant: &TenantId,
        records: &Records,
        limits: &RecordLimits,
    ) -> Result<Appended> {
        let staged = self.0.engine.append_records(tenant, records, limits, self.0.clock.now_ms())?;
        let appended = Self::finished(staged).await?;
        self.make_room(&ShardKey { tenant: tenant.clone(), signal: records.signal }).await;
        Ok(appended)
    }

    /// Has a full head flushed at once. Where the one before it still waits, holds the writer back, so that memory
    /// follows what the disk takes and not what senders have.
    async fn make_room(&self, key: &ShardKey) {
        let Running { engine, stop, clock, .. } = &*self.0;
        let room = async {
            loop {
                let flushed = engine.flushed();
                match engine.make_room(key, clock.now_ms()) {
                    Room::Enough => return,
                    Room::Made => return stop.ask_to_flush(),
                    Room::Full => flushed.await,
                }
            }
        };
        tokio::select! {
            () = room => {}
            () = clock.sleep(HELD_BACK_MAX) => {}
        }
    }

    /// Waits until a staged write is durable and visible.
    async fn finished(staged: Staged) -> Result<Appended> {
        if let Some(done) = staged.done {
            done.await.map_err(|_| StoreError::Closed)??;
        }
        Ok(Appended {
            accepted: staged.accepted,
            histograms: staged.histograms,
            exemplars: staged.exemplars,
            refusals: staged.refusals,
        })
    }

    /// A tenant's metrics as they are now. Call [`Self::await_replayed`] first.
    pub fn snapshot(&self, tenant: &TenantId) -> MetricSnapshot {
        self.0.engine.snapshot(tenant)
    }

    /// A tenant's rows of a signal as they are now. Call [`Self::await_replayed`] first.
    pub fn rows(&self, tenant: &TenantId, signal: Signal) -> RowSnapshot {
        self.0.engine.rows(tenant, signal)
    }

    /// Waits until everything of the last run can be read. An error means that it never will.
    pub async fn await_replayed(&self) -> Result<()> {
        let mut replayed = self.0.engine.replayed();
        loop {
            if *replayed.borrow_and_update() {
                return Ok(());
            }
            if let Some(failure) = self.0.engine.replay_failure() {
                return Err(failure);
            }
            replayed.changed().await.map_err(|_| StoreError::Closed)?;
        }
    }

    /// The steps behind the threads: settings, figures, deletes, backups.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Writes all heads to segments. Blocks.
    pub fn flush_all(&self) -> Result<()> {
        self.0.engine.flush_all(self.0.clock.now_ms())
    }

    /// Commits what is queued, flushes all heads and stops the threads. Later writes get
    /// [`StoreError::Closed`]. Blocks.
    pub fn shutdown(&self) -> Result<()> {
        self.0.stop_committing();
        let flushed = self.flush_all();
        self.0.stop_working();
        flushed
    }
}

impl Running {
    fn stop_committing(&self) {
        self.engine.queue().close();
        if let Some(committer) = self.committer.lock().take() {
            // A panic was reported by its own thread.
            let _ = committer.join();
        }
    }

    fn stop_working(&self) {
        self.stop.ask();
        for worker in self.workers.lock().drain(..) {
            let _ = worker.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop_committing();
        self.stop_working();
    }
}

/// Answers every writer when the committer ends, however it ends.
struct RefuseOnExit<'a>(&'a Engine);

impl Drop for RefuseOnExit<'_> {
    fn drop(&mut self) {
        self.0.queue().close();
        for entry in self.0.queue().refuse(StoreError::Closed) {
            let _ = entry.done.send(Err(StoreError::Closed));
        }
    }
}

fn commit(engine: &Engine) {
    let _exit = RefuseOnExit(engine);
    while !engine.queue().wait(TICK) {
        engine.commit_once();
    }
}

fn keep_up(engine: &Engine, stop: &Stop, clock: &SharedClock) {
    loop {
        match engine.replay_step() {
            Ok(true) if stop.is_asked() => return,
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                tracing::error!(%error, "the write-ahead log cannot be replayed");
                break;
            }
        }
    }
    loop {
        let now_ms = clock.now_ms();
        let done = engine.tick(now_ms).and_then(|()| engine.flush_frozen(now_ms));
        if let Err(error) = done {
            tracing::warn!(%error, "upkeep of the store failed and will be tried again");
        }
        if stop.sleep_or_flush() {
            return;
        }
    }
}

fn compact(engine: &Engine, stop: &Stop, clock: &SharedClock) {
    while !stop.sleep() {
        // What fails is told where it fails, and left alone for a while.
        while matches!(engine.compact_once(clock.now_ms()), Ok(true)) && !stop.is_asked() {}
    }
}

#[cfg(test)]
mod tests {
    use kit::SystemClock;
    use model::{Point, SampleColumns, TimeRange};

    use super::*;

    fn batch(t_ms: i64) -> MetricBatch {
        let mut batch = MetricBatch::default();
        batch.push_float([("__name__", "up")], Point { t_ms, value: 1.0 });
        batch
    }

    fn samples(store: &Store) -> usize {
        let mut columns = SampleColumns::default();
        let series = store.snapshot(&TenantId::default_tenant()).select(&[], TimeRange::ALL).expect("select");
        series.iter().for_each(|series| series.read(TimeRange::ALL, &mut columns).expect("read"));
        columns.len()
    }

    #[tokio::test]
    async fn writes_of_many_tasks_are_all_there_after_reopening() {
        let folder = tempfile::tempdir().expect("folder");
        let clock = SystemClock::shared();
        let now_ms = clock.now_ms();
        let settings = || Settings { wal_file_bytes: 1 << 20, ..Settings::default() };
        let store = Store::open(folder.path(), settings(), Arc::clone(&clock)).expect("open");
        let tasks: Vec<_> = (0..50)
            .map(|i| {
                let store = store.clone();
                tokio::spawn(async move {
                    let limits = MetricLimits::default();
                    let tenant = TenantId::default_tenant();
                    store.append_metrics(&tenant, &batch(now_ms + i), &limits).await.expect("stored").accepted
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("task"), 1);
        }
        assert_eq!(samples(&store), 50);
        drop(store);
        for _ in 0..2 {
            let store = Store::open(folder.path(), settings(), Arc::clone(&clock)).expect("open");
            store.await_replayed().await.expect("replayed");
            assert_eq!(samples(&store), 50);
            store.shutdown().expect("shutdown");
            let (tenant, limits) = (TenantId::default_tenant(), MetricLimits::default());
            let late = store.append_metrics(&tenant, &batch(0), &limits).await;
            assert!(matches!(late, Err(StoreError::Closed)));
        }
    }
}
