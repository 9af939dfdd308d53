//! Where time comes from. Nothing else in the product reads the time or sleeps, so that a test or a
//! simulation decides what time it is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The time of day, a clock that never goes back, and a way to wait.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Wall-clock time, milliseconds since the Unix epoch. May jump either way.
    fn now_ms(&self) -> i64;

    /// Time since an origin that stays the same while the process runs. Never goes back.
    fn monotonic(&self) -> Duration;

    /// Waits until `monotonic` has advanced by at least `duration`.
    async fn sleep(&self, duration: Duration);
}

/// A clock shared by services.
pub type SharedClock = Arc<dyn Clock>;

/// The time was up before the work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out after {} ms", .0.as_millis())]
pub struct TimedOut(pub Duration);

/// Runs `work` for at most `limit`, by `clock`. Dropped work is cancelled at its next await.
pub async fn timeout<F: Future>(clock: &dyn Clock, limit: Duration, work: F) -> Result<F::Output, TimedOut> {
    tokio::select! {
        biased;
        output = work => Ok(output),
        () = clock.sleep(limit) => Err(TimedOut(limit)),
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic origin is now.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// The same, ready to be handed to services.
    pub fn shared() -> SharedClock {
        Arc::new(Self::new())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        // Before 1970 or after the year 292 million the clock is wrong anyway; neither may panic.
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        }
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that stands still until it is told to move. Clones share one time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    state: Arc<Mutex<ManualState>>,
}

#[derive(Debug)]
struct ManualState {
    wall_ms: i64,
    now: Duration,
    // By deadline, then by the order they went to sleep, so that a run repeats exactly.
    sleepers: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
    next_sleeper: u64,
}

impl ManualClock {
    /// A clock that shows `wall_ms` and whose monotonic time is zero.
    pub fn at(wall_ms: i64) -> Self {
        let state = ManualState { wall_ms, now: Duration::ZERO, sleepers: BTreeMap::new(), next_sleeper: 0 };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Moves the wall clock alone, as a correction of the machine's time would.
    pub fn set_wall_ms(&self, wall_ms: i64) {
        self.state.lock().wall_ms = wall_ms;
    }

    /// Tasks asleep now.
    pub fn sleepers(&self) -> usize {
        let mut state = self.state.lock();
        state.sleepers.retain(|_, waker| !waker.is_closed());
        state.sleepers.len()
    }

    /// Moves both clocks and wakes whoever is due, in order of deadline. A task that goes to sleep again
    /// while this runs counts from the new time; [`Self::run_for`] lets it count from its own.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock();
        let target = state.now.saturating_add(by);
        state.move_to(target);
    }

    /// Moves from one deadline to the next until `by` has passed, letting woken tasks run in between.
    pub async fn run_for(&self, by: Duration) {
        let target = self.monotonic().saturating_add(by);
        loop {
            // A woken task may need several turns before it sleeps again.
            for _ in 0..32 {
                tokio::task::yield_now().await;
            }
            let mut state = self.state.lock();
            state.sleepers.retain(|_, waker| !waker.is_closed());
            let next = state.sleepers.keys().next().map(|(deadline, _)| *deadline);
            match next.filter(|deadline| *deadline <= target) {
                Some(deadline) => state.move_to(deadline),
                None => {
                    state.move_to(target);
                    return;
                }
            }
        }
    }
}

impl ManualState {
    fn move_to(&mut self, target: Duration) {
        let passed = target.saturating_sub(self.now);
        self.wall_ms = self.wall_ms.saturating_add(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX));
        self.now = self.now.max(target);
        let later = self.sleepers.split_off(&(target.saturating_add(Duration::from_nanos(1)), 0));
        for (_, waker) in std::mem::replace(&mut self.sleepers, later) {
            // A sleeper that was dropped has nobody to wake.
            let _ = waker.send(());
        }
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.state.lock().wall_ms
    }

    fn monotonic(&self) -> Duration {
        self.state.lock().now
    }

    async fn sleep(&self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        let woken = {
            let mut state = self.state.lock();
            let (waker, woken) = oneshot::channel();
            let key = (state.now.saturating_add(duration), state.next_sleeper);
            state.next_sleeper += 1;
            state.sleepers.insert(key, waker);
            woken
        };
        // The sender goes only when the clock itself is gone; then nobody can wait any longer.
        let _ = woken.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_in_order_of_deadline_and_only_when_due() {
        let clock = ManualClock::at(1_000);
        let order = Arc::new(Mutex::new(Vec::new()));
        for seconds in [3, 1, 2, 9] {
            let (clock, order) = (clock.clone(), order.clone());
            crate::spawn::spawn("sleeper", async move {
                clock.sleep(Duration::from_secs(seconds)).await;
                order.lock().push(seconds);
            });
        }
        clock.run_for(Duration::from_secs(4)).await;
        assert_eq!(*order.lock(), [1, 2, 3]);
        assert_eq!(clock.now_ms(), 5_000);
        assert_eq!(clock.sleepers(), 1);
    }

    #[tokio::test]
    async fn a_loop_of_sleeps_keeps_its_own_pace() {
        let clock = ManualClock::at(0);
        let ticks = Arc::new(Mutex::new(0));
        let (inner, counted) = (clock.clone(), ticks.clone());
        crate::spawn::spawn("ticker", async move {
            loop {
                inner.sleep(Duration::from_secs(1)).await;
                *counted.lock() += 1;
            }
        });
        clock.run_for(Duration::from_secs(10)).await;
        assert_eq!(*ticks.lock(), 10);
    }

    #[tokio::test]
    async fn timeout_gives_up_by_the_given_clock() {
        let clock = ManualClock::at(0);
        let waiting = clock.clone();
        let result = crate::spawn::spawn("waiter", async move {
            timeout(&waiting, Duration::from_secs(5), std::future::pending::<()>()).await
        });
        clock.run_for(Duration::from_secs(6)).await;
        assert_eq!(result.await.unwrap(), Err(TimedOut(Duration::from_secs(5))));
        assert_eq!(timeout(&clock, Duration::from_secs(5), async { 7 }).await, Ok(7));
    }

    #[test]
    fn the_system_clock_shows_this_century() {
        let clock = SystemClock::new();
        assert!(clock.now_ms() > 1_700_000_000_000);
        assert!(clock.monotonic() <= clock.monotonic());
    }
}
