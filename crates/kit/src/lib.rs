//! Service kit: what every long-lived part of the product is built on.
//!
//! Nothing here knows about telemetry, HTTP or databases; an application can embed the same kit.

pub mod breaker;
pub mod budget; // the process's memory limit
pub mod clock; // where time comes from
pub mod retry; // trying again
pub mod shutdown; // the wish to stop
pub mod spawn; // where tasks and threads start // leaving a failing service alone

pub use breaker::{BreakerError, BreakerPolicy, CircuitState, CircuitStatus, ServiceCircuitBreaker};
pub use budget::{Budget, Class, Exhausted, Pressure, Reclaim, Reservation};
pub use clock::{Clock, ManualClock, SharedClock, SystemClock, TimedOut, timeout};
pub use retry::{Attempt, RetryError, RetryPolicy, RetryService};
pub use shutdown::{Shutdown, ShutdownTrigger};
