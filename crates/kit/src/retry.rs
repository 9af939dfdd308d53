//! Trying again. The defaults are three attempts with waits of exactly 1000 and 2000 milliseconds.

use std::fmt;
use std::time::Duration;

use crate::clock::Clock;

/// How often and how patiently to try.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included. Zero counts as one.
    pub attempts_max: u32,
    /// Wait after the first failure; each further wait is twice the one before.
    pub delay_base: Duration,
    /// No wait is longer than this.
    pub delay_max: Duration,
    /// Share of the wait, 0 to 1, that is taken away at random so that many clients do not come back at
    /// the same moment. Zero keeps the waits exact.
    pub jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts_max: 3,
            delay_base: Duration::from_millis(1000),
            delay_max: Duration::from_secs(60),
            jitter: 0.0,
        }
    }
}

impl RetryPolicy {
    /// The wait after failure number `attempt` (from 1), before jitter: `base * 2^(attempt - 1)`.
    pub fn delay(&self, attempt: u32) -> Duration {
        let factor = 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.delay_base.saturating_mul(factor).min(self.delay_max)
    }

    /// The wait with jitter, where `random` lies in 0..1.
    pub fn delay_jittered(&self, attempt: u32, random: f64) -> Duration {
        let taken = self.jitter.clamp(0.0, 1.0) * random.clamp(0.0, 1.0);
        self.delay(attempt).mul_f64(1.0 - taken)
    }
}

/// The last error, and what was tried before it.
#[derive(Debug)]
pub struct RetryError<E> {
    /// What the last attempt failed with.
    pub last: E,
    /// Every attempt in order, its error as text.
    pub attempts: Vec<Attempt>,
}

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// What it failed with.
    pub error: String,
    /// How long was waited after it; `None` after the last.
    pub waited: Option<Duration>,
}

impl<E: fmt::Display> fmt::Display for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (attempts: {})", self.last, self.attempts.len())
    }
}

impl<E: std::error::Error + 'static> std::error::Error for RetryError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.last)
    }
}

/// Runs an operation until it succeeds or the policy's attempts are used up.
#[derive(Debug)]
pub struct RetryService<'a> {
    clock: &'a dyn Clock,
    policy: RetryPolicy,
}

impl<'a> RetryService<'a> {
    /// Retries by the given clock.
    pub fn new(clock: &'a dyn Clock, policy: RetryPolicy) -> Self {
        Self { clock, policy }
    }

    /// Retries whatever the error.
    pub async fn with_retry<T, E, F, Fut>(&self, operation: F) -> Result<T, RetryError<E>>
    where
        E: fmt::Display,
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.with_retry_if(|_| true, operation).await
    }

    /// Retries while `retryable` says that trying again may help. `operation` is given the attempt's
    /// number, from 1.
    pub async fn with_retry_if<T, E, F, Fut>(
        &self,
        retryable: impl Fn(&E) -> bool,
        mut operation: F,
    ) -> Result<T, RetryError<E>>
    where
        E: fmt::Display,
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut attempts = Vec::new();
        let mut number = 1;
        loop {
            let last = match operation(number).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let again = number < self.policy.attempts_max && retryable(&last);
            let waited = again.then(|| self.policy.delay_jittered(number, self.random()));
            attempts.push(Attempt { number, error: last.to_string(), waited });
            match waited {
                Some(delay) => self.clock.sleep(delay).await,
                None => return Err(RetryError { last, attempts }),
            }
            number += 1;
        }
    }

    /// Spreads retries; no secret depends on it, so the clock's low bits and the hasher's keys are enough.
    fn random(&self) -> f64 {
        use std::hash::{BuildHasher, RandomState};
        if self.policy.jitter <= 0.0 {
            return 0.0;
        }
        let bits = RandomState::new().hash_one(self.clock.monotonic());
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::clock::ManualClock;
    use crate::spawn::spawn;

    /// Runs an operation that fails `failures` times, and returns the moments it was called at in ms.
    async fn moments(policy: RetryPolicy, failures: usize) -> (Vec<u128>, Result<u32, String>) {
        let clock = ManualClock::at(0);
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (inner, seen) = (clock.clone(), calls.clone());
        let task = spawn("retry", async move {
            let retry = RetryService::new(&inner, policy);
            let result = retry
                .with_retry(|attempt| {
                    seen.lock().push(inner.monotonic().as_millis());
                    let failed = seen.lock().len() <= failures;
                    async move { if failed { Err(format!("failure {attempt}")) } else { Ok(attempt) } }
                })
                .await;
            result.map_err(|error| error.to_string())
        });
        clock.run_for(Duration::from_secs(600)).await;
        let result = task.await.unwrap();
        let calls = calls.lock().clone();
        (calls, result)
    }

    #[tokio::test]
    async fn three_attempts_wait_exactly_one_and_two_seconds() {
        let (calls, result) = moments(RetryPolicy::default(), usize::MAX).await;
        assert_eq!(calls, [0, 1000, 3000]);
        assert_eq!(result.unwrap_err(), "failure 3 (attempts: 3)");
    }

    #[tokio::test]
    async fn success_ends_the_retries() {
        let (calls, result) = moments(RetryPolicy::default(), 1).await;
        assert_eq!(calls, [0, 1000]);
        assert_eq!(result, Ok(2));
    }

    #[tokio::test]
    async fn waits_stop_growing_at_the_maximum() {
        let policy = RetryPolicy { attempts_max: 5, delay_max: Duration::from_secs(3), ..Default::default() };
        let (calls, _) = moments(policy, usize::MAX).await;
        assert_eq!(calls, [0, 1000, 3000, 6000, 9000]);
    }

    #[tokio::test]
    async fn an_error_that_retrying_cannot_help_is_returned_at_once() {
        let clock = ManualClock::at(0);
        let retry = RetryService::new(&clock, RetryPolicy::default());
        let error = retry
            .with_retry_if(
                |error: &String| error != "bad request",
                |_| async { Err::<(), _>("bad request".into()) },
            )
            .await
            .unwrap_err();
        assert_eq!(error.attempts, [Attempt { number: 1, error: "bad request".into(), waited: None }]);
    }

    #[test]
    fn jitter_only_shortens_and_huge_attempt_numbers_do_not_overflow() {
        let policy = RetryPolicy { jitter: 0.5, ..Default::default() };
        assert_eq!(policy.delay_jittered(1, 0.0), Duration::from_millis(1000));
        assert_eq!(policy.delay_jittered(1, 1.0), Duration::from_millis(500));
        assert_eq!(policy.delay(u32::MAX), policy.delay_max);
    }
}
