//! The face every service shows: name, status, config, `initialize`, `health`, `metrics`, `cleanup`, and
//! operations that are counted and timed.
//!
//! [`BaseServiceFacade`] drives a [`Service`] through its life: factory, `init`, `ready`, then `run` under
//! supervision, then `cleanup`. Each step happens once per life; `initialize` with changed settings and a
//! restart begin a new life behind the same facade, so whoever holds the facade never holds a stale service.

mod base; // the common base of all facades
mod context; // what a factory is given

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::error::ServiceError;
use crate::shutdown::Shutdown;
use crate::status::{HealthStatus, ServiceMetrics, ServiceStatus};
use crate::supervisor::BoxError;

pub use base::BaseServiceFacade;
pub(crate) use base::TaskService;
pub(crate) use context::Lookup;
pub use context::{ServiceContext, ServiceFactory, factory};

/// What the registry and operators see of any service.
#[async_trait]
pub trait ServiceFacade: Any + Send + Sync {
    /// The name it is registered under.
    fn name(&self) -> &str;

    /// Where it is in its life.
    fn status(&self) -> ServiceStatus;

    /// Its settings as they are now.
    fn config(&self) -> Value;

    /// Creates the service with `config` merged over its settings: fields that are not given keep their
    /// value. A ready service is left alone unless settings change, which starts it anew. Concurrent calls
    /// share one start.
    async fn initialize(&self, config: Option<Value>) -> Result<(), ServiceError>;

    /// Asks the service how it is, within a time limit. Never fails: trouble is an answer.
    async fn health(&self) -> HealthStatus;

    /// What it did so far.
    fn metrics(&self) -> ServiceMetrics;

    /// Stops it: `run` is asked to end, then `cleanup` is called. Later calls are refused. Stopping what is
    /// not running does nothing.
    async fn cleanup(&self) -> Result<(), ServiceError>;

    /// Stops it if it runs and starts it anew, with the same settings.
    async fn restart(&self) -> Result<(), ServiceError>;

    /// How often it was started anew, by supervision or by hand.
    fn restarts(&self) -> u64;

    /// Why it failed, when its status is [`ServiceStatus::Failed`].
    fn message(&self) -> Option<String>;
}

/// The work behind a facade. Everything has a default, so a service implements what it has.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Hook: prepare. Called once, after the factory.
    async fn init(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Hook: the last step before calls are let in. Called once, after `init`.
    async fn ready(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// The long-running part. Restarted after an error or a panic; ends when `shutdown` is requested.
    /// Returning early without an error means that there is nothing more to do.
    async fn run(&self, shutdown: Shutdown) -> Result<(), BoxError> {
        shutdown.requested().await;
        Ok(())
    }

    /// A local check that takes milliseconds. An error means unhealthy.
    async fn health(&self) -> Result<HealthStatus, BoxError> {
        Ok(HealthStatus::healthy())
    }

    /// What the service itself measures: names in snake_case with their unit, and values.
    fn gauges(&self) -> Vec<(String, f64)> {
        Vec::new()
    }

    /// Hook: let go of resources. Called once, after `run` ended.
    async fn cleanup(&self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// The facade of a known service type behind a facade of any type.
pub fn downcast<T: Service>(
    facade: Arc<dyn ServiceFacade>,
) -> Result<Arc<BaseServiceFacade<T>>, ServiceError> {
    let service = facade.name().to_owned();
    let any: Arc<dyn Any + Send + Sync> = facade;
    any.downcast().map_err(|_| ServiceError::WrongType { service, wanted: std::any::type_name::<T>() })
}
