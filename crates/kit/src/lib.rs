//! Service kit: what every long-lived part of the product is built on.
//!
//! Nothing here knows about telemetry, HTTP or databases; an application can embed the same kit.

pub mod breaker; // leaving a failing service alone
pub mod budget; // the process's memory limit
pub mod clock; // where time comes from
pub mod config; // live configuration
pub mod error; // what goes wrong between services
pub mod facade; // the face of a service
mod operations; // counts and times
pub mod registry; // every service by name
pub mod retry; // trying again
pub mod shutdown; // the wish to stop
pub mod spawn; // where tasks and threads start
pub mod status; // what a service says about itself
pub mod supervisor; // keeping a task running

pub use breaker::{BreakerError, BreakerPolicy, CircuitState, CircuitStatus, ServiceCircuitBreaker};
pub use budget::{Budget, Class, Exhausted, Pressure, Reclaim, Reservation};
pub use clock::{Clock, ManualClock, SharedClock, SystemClock, TimedOut, timeout};
pub use config::{
    Auto, ConfigError, ConfigSources, ConfigurationManager, Environment, Live, LiveSource, Settings,
};
pub use error::ServiceError;
pub use facade::{BaseServiceFacade, Service, ServiceContext, ServiceFacade, ServiceFactory, factory};
pub use registry::{Registration, ServiceInfo, ServiceRegistry, ShutdownReport, Topology};
pub use retry::{Attempt, RetryError, RetryPolicy, RetryService};
pub use shutdown::{Shutdown, ShutdownTrigger};
pub use status::{HealthState, HealthStatus, OperationMetrics, ServiceMetrics, ServiceStatus};
pub use supervisor::{BoxError, RestartPolicy, TaskEvent, panic_text, supervise};
