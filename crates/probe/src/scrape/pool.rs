//! One job: its discoveries, its targets and their loops.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kit::{SharedClock, spawn};
use model::Labels;
use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle};

use super::Appender;
use super::cache::SeriesCache;
use super::clients::ClientSource;
use super::config::{DiscoveryConfig, JobConfig, TargetGroup};
use super::discovery::{self, Update};
use super::error::ScrapeError;
use super::fetch;
use super::runner::{JobContext, Runner, Stop};
use super::status::ActiveTarget;
use super::target::{Populated, Target};

/// Targets of one job. Beyond it discovery is taken to have gone wrong.
const TARGETS_MAX: usize = 100_000;

/// Dropped targets kept where the job names no number.
const DROPPED_MAX: usize = 10_000;

/// Updates of discovery that may wait for the job.
const UPDATES_MAX: usize = 16;

/// What others may look at.
#[derive(Debug, Default)]
pub(crate) struct PoolView {
    pub(crate) active: Vec<Arc<ActiveTarget>>,
    pub(crate) dropped: Vec<Labels>,
    pub(crate) dropped_count: usize,
    pub(crate) problems: Vec<String>,
}

/// What jobs are made of beside their configuration.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) appender: Arc<dyn Appender>,
    pub(crate) clock: SharedClock,
    pub(crate) user_agent: String,
}

/// What a job is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Go on with another configuration.
    Reload(Box<JobConfig>),
    /// End, and with it every series.
    Remove,
}

/// One discovery with what it found last.
struct Provider {
    id: u64,
    config: DiscoveryConfig,
    groups: Vec<TargetGroup>,
    problem: Option<String>,
    task: Option<AbortHandle>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

struct Running {
    target: Arc<ActiveTarget>,
    stop: oneshot::Sender<Stop>,
    task: JoinHandle<SeriesCache>,
}

/// A job while it runs. One task owns it and wakes for commands and for what discovery finds.
pub(crate) struct Pool {
    surroundings: Surroundings,
    context: Arc<JobContext>,
    view: Arc<Mutex<PoolView>>,
    providers: Vec<Provider>,
    next_provider: u64,
    running: HashMap<u64, Running>,
    updates: mpsc::Receiver<Update>,
    updates_sender: mpsc::Sender<Update>,
}

impl Pool {
    pub(crate) fn new(job: JobConfig, surroundings: Surroundings, view: Arc<Mutex<PoolView>>) -> Self {
        let (updates_sender, updates) = mpsc::channel(UPDATES_MAX);
        let context = context(job, &surroundings);
        Self {
            surroundings,
            context,
            view,
            providers: Vec::new(),
            next_provider: 0,
            running: HashMap::new(),
            updates,
            updates_sender,
        }
    }

    /// Runs until removed, or until the sender of commands is gone, which is the end of the process.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        self.discover();
        self.sync().await;
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Reload(job)) => self.reload(*job).await,
                    Some(Command::Remove) => return self.end(true).await,
                    None => return self.end(false).await,
                },
                Some(update) = self.updates.recv() => {
                    self.take(update);
                    // What else is waiting costs no second pass.
                    while let Ok(update) = self.updates.try_recv() {
                        self.take(update);
                    }
                    self.sync().await;
                }
            }
        }
    }

    /// Starts the discoveries of the job that do not run yet, and ends those it no longer has.
    fn discover(&mut self) {
        let mut previous = std::mem::take(&mut self.providers);
        for config in &self.context.job.discovery {
            if let Some(at) = previous.iter().position(|provider| provider.config == *config) {
                self.providers.push(previous.swap_remove(at));
                continue;
            }
            let id = self.next_provider;
            self.next_provider += 1;
            let mut provider =
                Provider { id, config: config.clone(), groups: Vec::new(), problem: None, task: None };
            if let DiscoveryConfig::Static(groups) = config {
                provider.groups.clone_from(groups);
            } else {
                let (clock, user_agent) =
                    (self.surroundings.clock.clone(), self.surroundings.user_agent.clone());
                let found = discovery::Sender::new(id, self.updates_sender.clone());
                let work = discovery::run(config.clone(), found, clock, user_agent);
                provider.task = Some(spawn::spawn("scrape-discovery", work).abort_handle());
            }
            self.providers.push(provider);
        }
    }

    fn take(&mut self, update: Update) {
        // A discovery that was ended may have left an update behind.
        if let Some(provider) = self.providers.iter_mut().find(|provider| provider.id == update.provider) {
            if let Some(groups) = update.groups {
                provider.groups = groups;
            }
            provider.problem = update.problem;
        }
    }

    /// Takes over another configuration. Every loop is replaced by one that continues its series.
    async fn reload(&mut self, job: JobConfig) {
        self.context = context(job, &self.surroundings);
        self.discover();
        let mut caches = HashMap::new();
        for (hash, running) in std::mem::take(&mut self.running) {
            if running.stop.send(Stop::Replaced).is_ok()
                && let Ok(mut cache) = running.task.await
            {
                cache.forget_rules();
                caches.insert(hash, (running.target, cache));
            }
        }
        self.sync_from(caches).await;
    }

    async fn sync(&mut self) {
        self.sync_from(HashMap::new()).await;
    }

    /// Starts loops for new targets and ends those of targets that are gone. `caches` are the series of
    /// loops that were stopped to be replaced.
    async fn sync_from(&mut self, mut caches: HashMap<u64, (Arc<ActiveTarget>, SeriesCache)>) {
        let found = self.find();
        let limit = self.context.job.limits.targets;
        let too_many = (limit != 0 && found.active.len() as u64 > limit)
            .then_some(ScrapeError::TargetLimit { targets: found.active.len(), limit });
        *self.context.too_many.lock() = too_many;

        let hashes: HashSet<u64> = found.active.iter().map(|(hash, _)| *hash).collect();
        let gone: Vec<u64> = self.running.keys().copied().filter(|hash| !hashes.contains(hash)).collect();
        let mut ending = Vec::new();
        for hash in gone {
            if let Some(running) = self.running.remove(&hash) {
                // A loop that is gone already has nothing to end.
                let _ = running.stop.send(Stop::Removed);
                ending.push(running.task);
            }
        }
        for task in ending {
            let _ = task.await;
        }
        let mut view = PoolView {
            dropped: found.dropped,
            dropped_count: found.dropped_count,
            problems: found.problems,
            ..PoolView::default()
        };
        for (hash, target) in found.active {
            let running = match self.running.remove(&hash) {
                Some(running) => running,
                None => self.start(target, caches.remove(&hash)),
            };
            view.active.push(Arc::clone(&running.target));
            self.running.insert(hash, running);
        }
        *self.view.lock() = view;
        // What is left was stopped to be replaced, and its target is gone.
        for (target, cache) in caches.into_values() {
            let (stop, heard) = oneshot::channel();
            let _ = stop.send(Stop::Removed);
            let mut runner = Runner::new(Arc::clone(&self.context), target, cache);
            runner.reported = true;
            runner.run(heard).await;
        }
    }

    fn start(&self, target: Target, earlier: Option<(Arc<ActiveTarget>, SeriesCache)>) -> Running {
        let cache = earlier.map(|(_, cache)| cache).unwrap_or_default();
        let target = Arc::new(ActiveTarget::new(target));
        let (stop, heard) = oneshot::channel();
        let runner = Runner::new(Arc::clone(&self.context), Arc::clone(&target), cache);
        Running { target, stop, task: spawn::spawn("scrape-target", runner.run(heard)) }
    }

    /// Every target of every discovery, each once.
    fn find(&self) -> Found {
        let mut found = Found::default();
        let mut seen = HashSet::new();
        let kept = match self.context.job.keep_dropped_targets {
            0 => DROPPED_MAX,
            kept => kept.min(DROPPED_MAX),
        };
        for provider in &self.providers {
            found.problems.extend(provider.problem.clone());
            for group in &provider.groups {
                for own in &group.targets {
                    match Target::populate(&self.context.job, own, &group.labels) {
                        Ok(Populated::Active(target)) => {
                            let hash = target.hash();
                            if seen.len() < TARGETS_MAX && seen.insert(hash) {
                                found.active.push((hash, *target));
                            }
                        }
                        Ok(Populated::Dropped(labels)) => {
                            found.dropped_count += 1;
                            if found.dropped.len() < kept {
                                found.dropped.push(labels);
                            }
                        }
                        Err(error) => found.invalid(error.to_string()),
                    }
                }
            }
        }
        if seen.len() >= TARGETS_MAX {
            found.problems.push(format!("more than {TARGETS_MAX} targets; the rest is left out"));
        }
        found
    }

    async fn end(mut self, removed: bool) {
        self.providers.clear();
        let mut ending = Vec::new();
        for running in std::mem::take(&mut self.running).into_values() {
            if removed {
                let _ = running.stop.send(Stop::Removed);
            } else {
                drop(running.stop);
            }
            ending.push(running.task);
        }
        for task in ending {
            let _ = task.await;
        }
        *self.view.lock() = PoolView::default();
    }
}

#[derive(Default)]
struct Found {
    active: Vec<(u64, Target)>,
    dropped: Vec<Labels>,
    dropped_count: usize,
    problems: Vec<String>,
}

impl Found {
    /// Notes labels that make no target; the same fault once, and not without end.
    fn invalid(&mut self, problem: String) {
        const PROBLEMS_MAX: usize = 20;
        if self.problems.len() < PROBLEMS_MAX && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

fn context(job: JobConfig, surroundings: &Surroundings) -> Arc<JobContext> {
    let accept = fetch::accept(&job);
    let client = ClientSource::new(
        job.http.clone(),
        job.enable_compression,
        &surroundings.user_agent,
        surroundings.clock.clone(),
    );
    Arc::new(JobContext {
        accept: HeaderValue::from_str(&accept).expect("media types and weights are plain text"),
        client,
        appender: Arc::clone(&surroundings.appender),
        clock: surroundings.clock.clone(),
        too_many: Mutex::new(None),
        job,
    })
}
