//! What a factory is given: its settings, the clock, and the services it declared to need.

use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{BaseServiceFacade, Service, ServiceFacade, downcast};
use crate::clock::SharedClock;
use crate::error::ServiceError;
use crate::supervisor::BoxError;

/// Finds another service's facade by name.
pub(crate) type Lookup = Arc<dyn Fn(&str) -> Option<Arc<dyn ServiceFacade>> + Send + Sync>;

/// Creates a service from its context; all factories have this shape.
pub type ServiceFactory<T> = Arc<
    dyn Fn(ServiceContext) -> Pin<Box<dyn Future<Output = Result<Arc<T>, BoxError>> + Send>> + Send + Sync,
>;

/// Wraps an async closure as a factory.
pub fn factory<T, F, Fut>(create: F) -> ServiceFactory<T>
where
    F: Fn(ServiceContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Arc<T>, BoxError>> + Send + 'static,
{
    Arc::new(move |context| Box::pin(create(context)))
}

/// What a factory may use.
#[derive(Clone)]
pub struct ServiceContext {
    /// The service's own name.
    pub name: String,
    /// Its settings, merged.
    pub config: Value,
    /// The clock to use.
    pub clock: SharedClock,
    pub(crate) depends_on: Arc<[String]>,
    pub(crate) lookup: Lookup,
}

impl ServiceContext {
    /// The settings as a type of the service's own.
    pub fn settings<C: DeserializeOwned>(&self) -> Result<C, BoxError> {
        Ok(serde_json::from_value(self.config.clone())?)
    }

    /// The facade of a service this one declared to depend on. It stays valid across restarts.
    pub fn dependency<T: Service>(&self, name: &str) -> Result<Arc<BaseServiceFacade<T>>, ServiceError> {
        let missing = |message: &str| ServiceError::Dependency {
            service: self.name.clone(),
            dependency: name.to_owned(),
            message: message.to_owned(),
        };
        if !self.depends_on.iter().any(|declared| declared == name) {
            return Err(missing("not declared as a dependency"));
        }
        downcast((self.lookup)(name).ok_or_else(|| missing("not registered"))?)
    }

    /// The service behind that facade, as it is now. After the dependency is restarted it is the old one.
    pub fn service<T: Service>(&self, name: &str) -> Result<Arc<T>, ServiceError> {
        self.dependency::<T>(name)?.service()
    }
}
