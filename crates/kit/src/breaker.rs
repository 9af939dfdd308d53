//! Circuit breaker: after a run of failures a service is left alone for a while, then probed with one
//! call. *Closed* passes calls, *open* refuses them, *half-open* has one probe under way.
//!
//! Each service has its own circuit, so that one failing does not stop the others. A circuit exists only
//! while its service has failures on record, which bounds the table by what is failing.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

use crate::clock::SharedClock;

/// When to open and when to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that open the circuit.
    pub failures_max: u32,
    /// How long it stays open before a probe. Half of the ten seconds in which a service must recover.
    pub reset_after: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { failures_max: 5, reset_after: Duration::from_secs(5) }
    }
}

/// What a circuit does with the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CircuitStatus {
    /// Passes it.
    Closed,
    /// Refuses it.
    Open,
    /// Refuses it while one probe is under way; passes it as the probe otherwise.
    HalfOpen,
}

/// A circuit as shown to operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CircuitState {
    /// The service.
    pub service: String,
    /// What happens to the next call.
    pub status: CircuitStatus,
    /// Failures in a row so far.
    pub failures: u32,
    /// Calls refused since the circuit last closed.
    pub refused: u64,
    /// Until the next probe, milliseconds; zero unless open.
    pub retry_in_ms: u64,
}

/// Why a guarded call did not return a value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BreakerError<E> {
    /// The circuit is open; the operation was not called.
    #[error("Circuit breaker OPEN for {0}")]
    Open(String),
    /// The operation was called and failed.
    #[error(transparent)]
    Failed(E),
}

/// Circuits by service.
#[derive(Debug)]
pub struct ServiceCircuitBreaker {
    policy: BreakerPolicy,
    clock: SharedClock,
    circuits: Mutex<HashMap<String, Circuit>>,
}

#[derive(Debug, Default)]
struct Circuit {
    failures: u32,
    refused: u64,
    opened_at: Option<Duration>,
    probing: bool,
}

impl ServiceCircuitBreaker {
    /// A breaker with every circuit closed.
    pub fn new(clock: SharedClock, policy: BreakerPolicy) -> Self {
        Self { policy, clock, circuits: Mutex::default() }
    }

    /// Calls `operation` on behalf of `service`, unless its circuit is open. A call that is dropped half-way
    /// says nothing about the service; a dropped probe lets the next call be the probe.
    pub async fn call_service<T, E, F, Fut>(&self, service: &str, operation: F) -> Result<T, BreakerError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        if !self.admit(service) {
            return Err(BreakerError::Open(service.to_owned()));
        }
        let call = Call { breaker: self, service, finished: false };
        let result = operation().await;
        call.finish(result.is_ok());
        result.map_err(BreakerError::Failed)
    }

    /// The circuit of one service. A service that never failed has a closed one.
    pub fn state(&self, service: &str) -> CircuitState {
        let circuits = self.circuits.lock();
        self.describe(service, circuits.get(service).unwrap_or(&Circuit::default()))
    }

    /// Every circuit with failures on record, by name.
    pub fn states(&self) -> Vec<CircuitState> {
        let circuits = self.circuits.lock();
        let mut states: Vec<_> = circuits.iter().map(|(name, c)| self.describe(name, c)).collect();
        states.sort_by(|a, b| a.service.cmp(&b.service));
        states
    }

    /// Closes a circuit by hand, as after a restart of its service.
    pub fn reset(&self, service: &str) {
        self.circuits.lock().remove(service);
    }

    fn describe(&self, service: &str, circuit: &Circuit) -> CircuitState {
        let left =
            circuit.opened_at.map(|at| (at + self.policy.reset_after).saturating_sub(self.clock.monotonic()));
        let status = match left {
            None => CircuitStatus::Closed,
            Some(left) if left.is_zero() || circuit.probing => CircuitStatus::HalfOpen,
            Some(_) => CircuitStatus::Open,
        };
        CircuitState {
            service: service.to_owned(),
            status,
            failures: circuit.failures,
            refused: circuit.refused,
            retry_in_ms: left.map_or(0, |left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn admit(&self, service: &str) -> bool {
        let mut circuits = self.circuits.lock();
        let Some(circuit) = circuits.get_mut(service) else { return true };
        let Some(opened_at) = circuit.opened_at else { return true };
        let due = self.clock.monotonic() >= opened_at + self.policy.reset_after;
        if due && !circuit.probing {
            circuit.probing = true;
            return true;
        }
        circuit.refused += 1;
        false
    }

    fn on_success(&self, service: &str) {
        self.circuits.lock().remove(service);
    }

    fn on_failure(&self, service: &str) {
        let mut circuits = self.circuits.lock();
        let circuit = circuits.entry(service.to_owned()).or_default();
        circuit.failures = circuit.failures.saturating_add(1);
        let was_open = circuit.opened_at.is_some();
        // A call admitted before the circuit opened may fail after it; it does not prolong the pause.
        if circuit.probing || (!was_open && circuit.failures >= self.policy.failures_max) {
            circuit.opened_at = Some(self.clock.monotonic());
            circuit.probing = false;
            tracing::warn!(service, failures = circuit.failures, "circuit breaker opened");
        }
    }

    fn on_abandon(&self, service: &str) {
        if let Some(circuit) = self.circuits.lock().get_mut(service) {
            circuit.probing = false;
        }
    }
}

struct Call<'a> {
    breaker: &'a ServiceCircuitBreaker,
    service: &'a str,
    finished: bool,
}

impl Call<'_> {
    fn finish(mut self, succeeded: bool) {
        self.finished = true;
        if succeeded {
            self.breaker.on_success(self.service);
        } else {
            self.breaker.on_failure(self.service);
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.breaker.on_abandon(self.service);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;

    fn breaker() -> (ManualClock, ServiceCircuitBreaker) {
        let clock = ManualClock::at(0);
        (clock.clone(), ServiceCircuitBreaker::new(Arc::new(clock), BreakerPolicy::default()))
    }

    async fn call(breaker: &ServiceCircuitBreaker, service: &str, ok: bool) -> String {
        let result =
            breaker.call_service(service, || async move { if ok { Ok("ok") } else { Err("down") } }).await;
        match result {
            Ok(text) => text.to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn five_failures_open_the_circuit_of_that_service_alone() {
        let (_, breaker) = breaker();
        for _ in 0..5 {
            assert_eq!(call(&breaker, "a", false).await, "down");
        }
        assert_eq!(call(&breaker, "a", true).await, "Circuit breaker OPEN for a");
        assert_eq!(call(&breaker, "b", true).await, "ok");
        let state = breaker.state("a");
        assert_eq!(
            (state.status, state.failures, state.refused, state.retry_in_ms),
            (CircuitStatus::Open, 5, 1, 5000)
        );
        assert_eq!(breaker.state("b").status, CircuitStatus::Closed);
        assert_eq!(breaker.states().len(), 1);
    }

    #[tokio::test]
    async fn a_success_in_between_starts_the_count_again() {
        let (_, breaker) = breaker();
        for _ in 0..4 {
            call(&breaker, "a", false).await;
        }
        call(&breaker, "a", true).await;
        for _ in 0..4 {
            call(&breaker, "a", false).await;
        }
        assert_eq!(breaker.state("a").status, CircuitStatus::Closed);
    }

    #[tokio::test]
    async fn after_five_seconds_a_probe_decides() {
        let (clock, breaker) = breaker();
        for _ in 0..5 {
            call(&breaker, "a", false).await;
        }
        clock.advance(Duration::from_millis(4999));
        assert_eq!(call(&breaker, "a", true).await, "Circuit breaker OPEN for a");
        clock.advance(Duration::from_millis(1));
        assert_eq!(breaker.state("a").status, CircuitStatus::HalfOpen);
        assert_eq!(call(&breaker, "a", false).await, "down");
        assert_eq!(call(&breaker, "a", true).await, "Circuit breaker OPEN for a");
        clock.advance(Duration::from_secs(5));
        assert_eq!(call(&breaker, "a", true).await, "ok");
        assert_eq!(breaker.state("a").status, CircuitStatus::Closed);
    }

    #[tokio::test]
    async fn one_probe_at_a_time_and_a_dropped_one_makes_room() {
        let (clock, breaker) = breaker();
        for _ in 0..5 {
            call(&breaker, "a", false).await;
        }
        clock.advance(Duration::from_secs(5));
        let mut probe = Box::pin(breaker.call_service("a", std::future::pending::<Result<(), String>>));
        assert!(
            std::future::poll_fn(|cx| std::task::Poll::Ready(probe.as_mut().poll(cx).is_pending())).await
        );
        assert_eq!(call(&breaker, "a", true).await, "Circuit breaker OPEN for a");
        drop(probe);
        assert_eq!(call(&breaker, "a", true).await, "ok");
    }
}
