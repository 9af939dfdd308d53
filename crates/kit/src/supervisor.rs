//! Keeps a task running: a panic or an error restarts it, after a wait that grows by one second up to five,
//! so that a service is back within ten seconds.

use std::any::Any;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::clock::SharedClock;
use crate::shutdown::Shutdown;
use crate::spawn::spawn;

/// What a service's own work may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How patiently a failed task is restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// The wait grows by this much with each failure in a row.
    pub step: Duration,
    /// No wait is longer than this.
    pub wait_max: Duration,
    /// A task that ran this long was well; its next failure counts as the first.
    pub well_after: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            step: Duration::from_secs(1),
            wait_max: Duration::from_secs(5),
            well_after: Duration::from_secs(60),
        }
    }
}

impl RestartPolicy {
    /// The wait after the `failures`-th failure in a row, from 1.
    pub fn wait(&self, failures: u32) -> Duration {
        self.step.saturating_mul(failures).min(self.wait_max)
    }
}

/// What happened to a supervised task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEvent {
    /// It runs, for the first time or again.
    Started,
    /// It returned an error or panicked, and starts again after the wait.
    Failed {
        /// The error or the panic's message.
        message: String,
        /// Until the restart.
        restart_in: Duration,
    },
    /// It returned without an error: it is done and is not restarted.
    Finished,
}

/// Runs `start` until it is done or `shutdown` is requested, reporting each event. Dropping the future
/// aborts the task.
pub async fn supervise<F, Fut>(
    name: &'static str,
    clock: SharedClock,
    policy: RestartPolicy,
    shutdown: Shutdown,
    start: F,
    report: impl Fn(TaskEvent),
) where
    F: Fn(Shutdown) -> Fut,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let mut failures = 0u32;
    while !shutdown.is_requested() {
        report(TaskEvent::Started);
        let started = clock.monotonic();
        // A task of its own, so that its panic ends it and not us.
        let mut task = AbortOnDrop(spawn(name, start(shutdown.clone())));
        let message = match (&mut task.0).await {
            Ok(Ok(())) => return report(TaskEvent::Finished),
            Ok(Err(error)) => chain(&*error),
            Err(error) if error.is_panic() => format!("panicked: {}", panic_text(&*error.into_panic())),
            Err(_) => "was aborted".to_owned(),
        };
        if clock.monotonic().saturating_sub(started) >= policy.well_after {
            failures = 0;
        }
        failures = failures.saturating_add(1);
        let restart_in = policy.wait(failures);
        report(TaskEvent::Failed { message, restart_in });
        tokio::select! {
            () = clock.sleep(restart_in) => {}
            () = shutdown.requested() => return,
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Transparent wrappers repeat what they wrap.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The message of a panic.
pub fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

/// A task that does not outlive its owner.
pub(crate) struct AbortOnDrop<T>(pub(crate) JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use parking_lot::Mutex;

    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::shutdown::ShutdownTrigger;

    /// Runs a task that fails `failures` times and then waits for the shutdown; returns start times in ms
    /// and the failures' messages.
    async fn run(failures: u32, panic: bool) -> (Vec<u128>, Vec<String>) {
        let clock = ManualClock::at(0);
        let (trigger, shutdown) = ShutdownTrigger::new();
        let runs = Arc::new(AtomicU32::new(0));
        let seen: Arc<Mutex<(Vec<u128>, Vec<String>)>> = Arc::default();
        let (log, at) = (seen.clone(), clock.clone());
        let task = spawn(
            "test",
            supervise(
                "test",
                Arc::new(clock.clone()),
                RestartPolicy::default(),
                shutdown,
                move |shutdown| {
                    let run = runs.fetch_add(1, Ordering::Relaxed);
                    async move {
                        if run < failures {
                            assert!(!panic, "burst");
                            return Err("no luck".into());
                        }
                        shutdown.requested().await;
                        Ok(())
                    }
                },
                move |event| match event {
                    TaskEvent::Started => log.lock().0.push(at.monotonic().as_millis()),
                    TaskEvent::Failed { message, .. } => log.lock().1.push(message),
                    TaskEvent::Finished => {}
                },
            ),
        );
        clock.run_for(Duration::from_secs(60)).await;
        trigger.request();
        task.await.unwrap();
        let seen = seen.lock();
        seen.clone()
    }

    #[tokio::test]
    async fn waits_grow_by_a_second_up_to_five() {
        let (starts, messages) = run(7, false).await;
        assert_eq!(starts, [0, 1_000, 3_000, 6_000, 10_000, 15_000, 20_000, 25_000]);
        assert_eq!(messages, ["no luck"; 7]);
    }

    #[tokio::test]
    async fn a_panic_is_caught_and_its_message_kept() {
        let (starts, messages) = run(1, true).await;
        assert_eq!(starts, [0, 1_000]);
        assert_eq!(messages, ["panicked: burst"]);
    }

    #[test]
    fn causes_follow_the_error_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open the store")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(chain(&Outer(std::io::Error::other("disk gone"))), "cannot open the store: disk gone");
    }
}
