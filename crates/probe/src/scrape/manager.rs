//! All jobs: started, changed and ended as the configuration says.

use std::collections::BTreeMap;
use std::sync::Arc;

use kit::{SharedClock, spawn};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Appender;
use super::config::{JobConfig, ScrapeConfig, UnsupportedJob};
use super::pool::{Command, Pool, PoolView, Surroundings};
use super::status::{DroppedTarget, TargetMetadata, Targets};

/// Commands that may wait for one job. Reloading waits beyond it.
const COMMANDS_MAX: usize = 4;

/// Runs the jobs of a configuration. Dropping it stops every loop without ending any series, as the end of
/// the process does; a job that a reload removes ends its series.
#[derive(Debug)]
pub struct ScrapeManager {
    surroundings: Surroundings,
    hostname: String,
    state: Mutex<State>,
    /// Held while a reload runs, so that two do not mix.
    reloading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<String, Job>,
    unsupported: Vec<UnsupportedJob>,
}

#[derive(Debug)]
struct Job {
    config: JobConfig,
    view: Arc<Mutex<PoolView>>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

impl ScrapeManager {
    /// Without any job. `hostname` stands in the addresses shown for targets on the loopback.
    pub fn new(appender: Arc<dyn Appender>, clock: SharedClock, hostname: &str) -> Self {
        let user_agent = concat!("Bellwether/", env!("CARGO_PKG_VERSION")).to_owned();
        Self {
            surroundings: Surroundings { appender, clock, user_agent },
            hostname: hostname.into(),
            state: Mutex::default(),
            reloading: tokio::sync::Mutex::new(()),
        }
    }

    /// Takes over a configuration: jobs that did not change go on undisturbed, a changed one keeps the
    /// series of the targets it still has, new ones start, and those that are gone end their series. Must be
    /// called inside a runtime.
    pub async fn reload(&self, config: ScrapeConfig) {
        let _alone = self.reloading.lock().await;
        let mut removed = Vec::new();
        let mut changed = Vec::new();
        {
            let mut state = self.state.lock();
            state.unsupported = config.unsupported;
            let names: Vec<String> = state.jobs.keys().cloned().collect();
            for name in names.iter().filter(|name| config.jobs.iter().all(|job| job.name != **name)) {
                removed.extend(state.jobs.remove(name));
            }
            for job in config.jobs {
                match state.jobs.get_mut(&job.name) {
                    Some(known) if known.config == job => {}
                    Some(known) => {
                        known.config = job.clone();
                        changed.push((known.commands.clone(), job));
                    }
                    None => {
                        state.jobs.insert(job.name.clone(), self.start(job));
                    }
                }
            }
        }
        for (commands, job) in changed {
            // A job whose task is gone has panicked, which its task has said already.
            let _ = commands.send(Command::Reload(Box::new(job))).await;
        }
        for job in removed {
            let _ = job.commands.send(Command::Remove).await;
            let _ = job.task.await;
        }
    }

    fn start(&self, config: JobConfig) -> Job {
        let view = Arc::new(Mutex::new(PoolView::default()));
        let (commands, heard) = mpsc::channel(COMMANDS_MAX);
        let pool = Pool::new(config.clone(), self.surroundings.clone(), Arc::clone(&view));
        Job { config, view, commands, task: spawn::spawn("scrape-job", pool.run(heard)) }
    }

    /// Stops every job and waits for what is being stored. No series ends, because the next start goes on
    /// with them.
    pub async fn stop(&self) {
        let _alone = self.reloading.lock().await;
        let jobs = std::mem::take(&mut self.state.lock().jobs);
        for job in jobs.into_values() {
            drop(job.commands);
            let _ = job.task.await;
        }
    }

    /// The names of the jobs that run, sorted.
    pub fn scrape_pools(&self) -> Vec<String> {
        self.state.lock().jobs.keys().cloned().collect()
    }

    /// Every target with the outcome of its last scrape, by job.
    pub fn targets(&self) -> Targets {
        let state = self.state.lock();
        let mut targets = Targets { unsupported: state.unsupported.clone(), ..Targets::default() };
        for (pool, job) in &state.jobs {
            let view = job.view.lock();
            targets.active.extend(view.active.iter().map(|target| target.status(pool, &self.hostname)));
            targets.dropped.extend(view.dropped.iter().map(|labels| DroppedTarget {
                discovered_labels: labels.clone(),
                scrape_pool: pool.clone(),
            }));
            targets.dropped_counts.insert(pool.clone(), view.dropped_count);
            targets.problems.extend(view.problems.iter().map(|problem| (pool.clone(), problem.clone())));
        }
        targets
    }

    /// What every target says about its families.
    pub fn metadata(&self) -> Vec<TargetMetadata> {
        let state = self.state.lock();
        let views = state.jobs.values().map(|job| &job.view);
        views.flat_map(|view| view.lock().active.clone()).flat_map(|target| target.metadata()).collect()
    }
}
