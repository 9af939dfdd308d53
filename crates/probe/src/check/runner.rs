//! Runs what is due: one timer for all checks, and a bounded number of them at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kit::SharedClock;
use kit::shutdown::Shutdown;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::schedule::{CheckKey, Schedule};
use super::spec::Check;

/// Wait when nothing is planned; a change ends it.
const IDLE: Duration = Duration::from_secs(60);

/// A wait is never longer, so that a jump of the time of day is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// By how much the time of day must differ from what has passed before it counts as a jump.
const JUMP_MS: i64 = 5_000;

/// What is done with a check that is due: run it and keep the result. Must end by itself.
#[async_trait]
pub trait Carry: Send + Sync + 'static {
    /// Carries out one run whose turn was at `due_ms`.
    async fn carry(&self, key: CheckKey, check: Arc<Check>, due_ms: i64);
}

/// What a runner did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunnerStats {
    /// Checks that are planned.
    pub planned: usize,
    /// Runs going on.
    pub running: usize,
    /// Runs begun since the start.
    pub begun: u64,
    /// Turns that passed without a run, because the run before had not ended or too many were due.
    pub missed: u64,
    /// How late the last run began, milliseconds.
    pub late_ms: i64,
}

/// Checks that are run as they fall due.
#[derive(Debug)]
pub struct Runner {
    clock: SharedClock,
    at_once: usize,
    plan: Mutex<Plan>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Plan {
    schedule: Schedule,
    checks: HashMap<CheckKey, Arc<Check>>,
    running: usize,
    begun: u64,
    late_ms: i64,
}

impl Runner {
    /// A runner that runs at most so many checks at once.
    pub fn new(clock: SharedClock, at_once: usize) -> Arc<Self> {
        let plan = Mutex::default();
        Arc::new(Self { clock, at_once: at_once.max(1), plan, changed: Notify::new() })
    }

    /// Adds or changes a check. One that is not active is taken out.
    pub fn set(&self, key: &CheckKey, check: Arc<Check>) {
        if !check.spec().is_active {
            return self.remove(key);
        }
        let mut plan = self.plan.lock();
        let interval_ms = check.every().as_millis() as i64;
        plan.schedule.set(key, interval_ms, self.clock.now_ms());
        plan.checks.insert(Arc::clone(key), check);
        drop(plan);
        self.changed.notify_one();
    }

    /// Takes a check out; a run that goes on ends by itself.
    pub fn remove(&self, key: &CheckKey) {
        let mut plan = self.plan.lock();
        plan.schedule.remove(key);
        plan.checks.remove(key);
    }

    /// What was done so far.
    pub fn stats(&self) -> RunnerStats {
        let plan = self.plan.lock();
        RunnerStats {
            planned: plan.schedule.len(),
            running: plan.running,
            begun: plan.begun,
            missed: plan.schedule.missed(),
            late_ms: plan.late_ms,
        }
    }

    /// Runs until it is told to stop; runs that go on are dropped then.
    pub async fn run(self: Arc<Self>, carry: Arc<dyn Carry>, shutdown: Shutdown) {
        let offset = || self.clock.now_ms() - self.clock.monotonic().as_millis() as i64;
        let mut usual = offset();
        while !shutdown.is_requested() {
            if (offset() - usual).abs() > JUMP_MS {
                usual = offset();
                self.plan.lock().schedule.rebase(self.clock.now_ms());
            }
            let wait = self.begin_due(&carry, &shutdown);
            tokio::select! {
                () = shutdown.requested() => return,
                () = self.changed.notified() => {}
                () = self.clock.sleep(wait) => {}
            }
        }
    }

    /// Begins what is due, as far as there is room; how long to wait for more.
    fn begin_due(self: &Arc<Self>, carry: &Arc<dyn Carry>, shutdown: &Shutdown) -> Duration {
        let mut plan = self.plan.lock();
        let now_ms = self.clock.now_ms();
        while plan.running < self.at_once {
            let Some((key, due_ms)) = plan.schedule.pop(now_ms) else {
                let next = plan.schedule.next_due();
                let wait = next.map(|due| Duration::from_millis(due.saturating_sub(now_ms).max(0) as u64));
                return wait.unwrap_or(IDLE).min(LOOK_EVERY);
            };
            let Some(check) = plan.checks.get(&key).map(Arc::clone) else { continue };
            plan.running += 1;
            plan.begun += 1;
            plan.late_ms = now_ms - due_ms;
            let (carry, shutdown) = (Arc::clone(carry), shutdown.clone());
            let place = Place { runner: Arc::clone(self), key: Arc::clone(&key) };
            kit::spawn::spawn("check", async move {
                let _place = place;
                tokio::select! {
                    biased;
                    () = shutdown.requested() => {}
                    () = carry.carry(key, check, due_ms) => {}
                }
            });
        }
        // There is no room; the end of a run wakes us.
        LOOK_EVERY
    }
}

/// A run's place among those at once, given back however the run ends.
struct Place {
    runner: Arc<Runner>,
    key: CheckKey,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut plan = self.runner.plan.lock();
        plan.schedule.done(&self.key);
        plan.running -= 1;
        if plan.running + 1 == self.runner.at_once {
            self.runner.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use kit::ManualClock;
    use kit::shutdown::ShutdownTrigger;
    use serde_json::json;

    use super::*;
    use crate::check::CheckSpec;

    #[derive(Debug, Default)]
    struct Seen {
        runs: Mutex<Vec<(String, i64)>>,
        most: Mutex<(usize, usize)>,
    }

    #[derive(Debug)]
    struct Slow(Arc<Seen>, SharedClock);

    #[async_trait]
    impl Carry for Slow {
        async fn carry(&self, key: CheckKey, _check: Arc<Check>, due_ms: i64) {
            self.0.runs.lock().push((key.to_string(), due_ms));
            {
                let mut most = self.0.most.lock();
                most.0 += 1;
                most.1 = most.1.max(most.0);
            }
            if &*key == "panics" {
                self.0.most.lock().0 -= 1;
                panic!("as planned");
            }
            self.1.sleep(Duration::from_millis(300)).await;
            self.0.most.lock().0 -= 1;
        }
    }

    fn check(interval: u32, active: bool) -> Arc<Check> {
        let spec =
            json!({"type": "tcp", "target": "h:1", "interval": interval, "timeout": 1, "isActive": active});
        Arc::new(Check::new("x", CheckSpec::parse(&spec).unwrap()).unwrap().0)
    }

    #[tokio::test]
    async fn active_checks_run_on_their_turns_and_not_too_many_at_once() {
        let clock = Arc::new(ManualClock::at(1_000_000));
        let shared: SharedClock = clock.clone();
        let runner = Runner::new(Arc::clone(&shared), 3);
        for index in 0..10 {
            runner.set(&format!("c{index}").into(), check(2, true));
        }
        runner.set(&"panics".into(), check(2, true));
        runner.set(&"off".into(), check(2, false));
        let seen = Arc::new(Seen::default());
        let (trigger, shutdown) = ShutdownTrigger::new();
        let carry = Arc::new(Slow(Arc::clone(&seen), shared));
        let running = kit::spawn::spawn("runner", Arc::clone(&runner).run(carry, shutdown));
        clock.run_for(Duration::from_secs(10)).await;
        let runs = seen.runs.lock().clone();
        assert!(runs.iter().all(|(key, _)| key != "off"));
        for index in 0..10 {
            let own = runs.iter().filter(|(key, _)| *key == format!("c{index}")).count();
            assert!((4..=5).contains(&own), "c{index} ran {own} times");
        }
        assert!(runs.iter().filter(|(key, _)| key == "panics").count() >= 4, "a panic costs one run");
        assert!(seen.most.lock().1 <= 3);
        runner.set(&"c0".into(), check(2, false));
        assert_eq!(runner.stats().planned, 10);
        trigger.request();
        running.await.unwrap();
    }
}
