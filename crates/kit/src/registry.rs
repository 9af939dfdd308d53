//! Every service of the process, by name.
//!
//! A service is registered with a factory and the names it depends on; nothing runs until it is resolved.
//! Resolving starts what it depends on first, and one start serves everyone who waits for it. Shutdown goes
//! the other way round.

mod graph; // who needs whom
mod info; // what is shown

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::clock::{SharedClock, timeout};
use crate::error::ServiceError;
use crate::facade::{BaseServiceFacade, Lookup, Service, ServiceContext, ServiceFacade, ServiceFactory};
use crate::facade::{TaskService, downcast, factory};
use crate::shutdown::Shutdown;
use crate::status::{HealthState, HealthStatus, ServiceStatus};
use crate::supervisor::BoxError;

pub use info::{ServiceInfo, ShutdownReport, Topology};

/// Unhealthy answers in a row after which a service is started anew.
const UNHEALTHY_MAX: u32 = 3;

/// How often supervision asks. Three answers and a restart fit into the ten seconds a service may take
/// to recover.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// A service about to be registered.
pub struct Registration {
    name: String,
    description: String,
    depends_on: Vec<String>,
    config: Value,
    restart_when_unhealthy: bool,
    build: Box<dyn FnOnce(Value, ServiceContext) -> Arc<dyn ServiceFacade> + Send>,
}

impl Registration {
    /// A service that `factory` creates.
    pub fn service<T: Service>(name: &str, factory: ServiceFactory<T>) -> Self {
        Self {
            name: name.to_owned(),
            description: String::new(),
            depends_on: Vec::new(),
            config: Value::Object(serde_json::Map::new()),
            restart_when_unhealthy: false,
            build: Box::new(move |config, context| {
                Arc::new(BaseServiceFacade::with_context(factory, config, context))
            }),
        }
    }

    /// A service that exists already; only its hooks are left to run. A restart runs them again on the same
    /// object, so it suits services whose `init` opens what `cleanup` closes.
    pub fn instance<T: Service>(name: &str, service: Arc<T>) -> Self {
        Self::service(
            name,
            factory(move |_| {
                let service = service.clone();
                async move { Ok(service) }
            }),
        )
    }

    /// A service made of one long-running task, restarted when it fails.
    pub fn task<F, Fut>(name: &str, run: F) -> Self
    where
        F: Fn(Shutdown) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        Self::instance(name, Arc::new(TaskService(run)))
    }

    /// Names it needs. They are started before it and stopped after it.
    #[must_use]
    pub fn depends_on<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.depends_on.extend(names.into_iter().map(Into::into));
        self
    }

    /// One line for operators.
    #[must_use]
    pub fn describe(mut self, description: &str) -> Self {
        description.clone_into(&mut self.description);
        self
    }

    /// Its settings: a JSON object.
    #[must_use]
    pub fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// Start it anew after three unhealthy answers in a row.
    #[must_use]
    pub fn restart_when_unhealthy(mut self) -> Self {
        self.restart_when_unhealthy = true;
        self
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("name", &self.name)
            .field("depends_on", &self.depends_on)
            .finish_non_exhaustive()
    }
}

/// The registry. Clones share it.
#[derive(Clone)]
pub struct ServiceRegistry {
    inner: Arc<Inner>,
}

struct Inner {
    clock: SharedClock,
    entries: RwLock<HashMap<String, Arc<Entry>>>,
    registered: AtomicUsize,
}

struct Entry {
    order: usize,
    description: String,
    depends_on: Arc<[String]>,
    restart_when_unhealthy: bool,
    facade: Arc<dyn ServiceFacade>,
    registered_at: i64,
    health: Mutex<(HealthStatus, u32)>,
}

impl fmt::Debug for ServiceRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceRegistry").field("order", &self.topology().order).finish()
    }
}

impl ServiceRegistry {
    /// An empty registry.
    pub fn new(clock: SharedClock) -> Self {
        let inner = Inner { clock, entries: RwLock::default(), registered: AtomicUsize::new(0) };
        Self { inner: Arc::new(inner) }
    }

    /// Adds a service. Its factory is not called yet. A name that is taken and a circle of dependencies are
    /// refused; a dependency may be registered later, until something is resolved.
    pub fn register(&self, registration: Registration) -> Result<(), ServiceError> {
        let Registration { name, description, depends_on, config, restart_when_unhealthy, build } =
            registration;
        let depends_on: Arc<[String]> = depends_on.into();
        let context = ServiceContext {
            name: name.clone(),
            config: Value::Null,
            clock: self.inner.clock.clone(),
            depends_on: depends_on.clone(),
            lookup: lookup(Arc::downgrade(&self.inner)),
        };
        let mut entries = self.inner.entries.write();
        if entries.contains_key(&name) {
            return Err(ServiceError::AlreadyRegistered(name));
        }
        let needs = |service: &str| match entries.get(service) {
            Some(entry) => entry.depends_on.to_vec(),
            None if service == name => depends_on.to_vec(),
            None => Vec::new(),
        };
        if let Some(cycle) = graph::cycle_through(&name, &needs) {
            return Err(ServiceError::Cycle(cycle));
        }
        let registered_at = self.inner.clock.now_ms();
        let entry = Entry {
            order: self.inner.registered.fetch_add(1, Ordering::Relaxed),
            description,
            depends_on,
            restart_when_unhealthy,
            facade: build(config, context),
            registered_at,
            health: Mutex::new((HealthStatus::unknown("not checked yet"), 0)),
        };
        entries.insert(name, Arc::new(entry));
        Ok(())
    }

    /// The facade of a service, started if need be, after everything it depends on. Always the same one.
    pub async fn resolve(&self, name: &str) -> Result<Arc<dyn ServiceFacade>, ServiceError> {
        let entry = self.entry(name)?;
        // The graph has no circles, so the depth is bounded by the number of services.
        for dependency in entry.depends_on.iter() {
            Box::pin(self.resolve(dependency)).await.map_err(|error| ServiceError::Dependency {
                service: name.to_owned(),
                dependency: dependency.clone(),
                message: error.to_string(),
            })?;
        }
        entry.facade.initialize(None).await?;
        Ok(entry.facade.clone())
    }

    /// The typed facade of a service, started if need be.
    pub async fn resolve_as<T: Service>(
        &self,
        name: &str,
    ) -> Result<Arc<BaseServiceFacade<T>>, ServiceError> {
        downcast(self.resolve(name).await?)
    }

    /// The facade of a service as it is, without starting it.
    pub fn get(&self, name: &str) -> Result<Arc<dyn ServiceFacade>, ServiceError> {
        Ok(self.entry(name)?.facade.clone())
    }

    /// Starts every service, those that do not depend on each other at the same time. All are tried; the
    /// error lists each that failed, those that failed only for want of another left out.
    pub async fn start_all(&self) -> Result<(), ServiceError> {
        let order = self.topology().order;
        let mut starts = JoinSet::new();
        for name in order {
            let registry = self.clone();
            starts.spawn(async move { registry.resolve(&name).await.err() });
        }
        let mut errors = Vec::new();
        while let Some(result) = starts.join_next().await {
            match result {
                Ok(None) => {}
                Ok(Some(error)) => errors.push(error),
                Err(panic) => errors.push(ServiceError::Failed {
                    service: "?".to_owned(),
                    stage: "factory",
                    message: panic.to_string(),
                }),
            }
        }
        if errors.is_empty() {
            return Ok(());
        }
        let roots = |error: &ServiceError| match error {
            ServiceError::Dependency { dependency, .. } => self.entry(dependency).is_err(),
            _ => true,
        };
        let (mut roots, rest): (Vec<_>, Vec<_>) = errors.into_iter().partition(roots);
        if roots.is_empty() {
            roots = rest;
        }
        roots.sort_by_key(ToString::to_string);
        Err(if roots.len() == 1 { roots.remove(0) } else { ServiceError::Start(roots) })
    }

    /// Stops and starts one service. What depends on it keeps running and finds it behind the same facade.
    pub async fn restart(&self, name: &str) -> Result<(), ServiceError> {
        self.entry(name)?.facade.restart().await
    }

    /// Asks a service how it is, and remembers the answer. An unknown name is an answer too.
    pub async fn health_check(&self, name: &str) -> HealthStatus {
        let Ok(entry) = self.entry(name) else { return HealthStatus::unknown("Service not registered") };
        let health = entry.facade.health().await;
        let mut last = entry.health.lock();
        let run = if health.status == HealthState::Unhealthy { last.1.saturating_add(1) } else { 0 };
        *last = (health.clone(), run);
        health
    }

    /// The last remembered answer, for pages that must not wait.
    pub fn last_health(&self, name: &str) -> HealthStatus {
        match self.entry(name) {
            Ok(entry) => entry.health.lock().0.clone(),
            Err(_) => HealthStatus::unknown("Service not registered"),
        }
    }

    /// Every service in the order of registration.
    pub fn list(&self) -> Vec<ServiceInfo> {
        let mut entries: Vec<_> = self.inner.entries.read().values().cloned().collect();
        entries.sort_by_key(|entry| entry.order);
        entries.iter().map(|entry| entry.info()).collect()
    }

    /// One service.
    pub fn info(&self, name: &str) -> Result<ServiceInfo, ServiceError> {
        Ok(self.entry(name)?.info())
    }

    /// Who depends on whom, and the order of starting.
    pub fn topology(&self) -> Topology {
        let entries = self.inner.entries.read();
        let mut nodes: Vec<_> = entries.iter().collect();
        nodes.sort_by_key(|(_, entry)| entry.order);
        let nodes: Vec<_> =
            nodes.into_iter().map(|(name, entry)| (name.clone(), entry.depends_on.to_vec())).collect();
        Topology::of(nodes)
    }

    /// Checks the health of every started service each second until `shutdown`, and starts anew those that
    /// ask for it and keep being unhealthy.
    pub async fn watch(&self, shutdown: Shutdown) {
        while !shutdown.is_requested() {
            tokio::select! {
                () = shutdown.requested() => return,
                () = self.inner.clock.sleep(WATCH_INTERVAL) => {}
            }
            let names: Vec<_> = self.inner.entries.read().keys().cloned().collect();
            let mut checks = JoinSet::new();
            for name in names {
                let registry = self.clone();
                checks.spawn(async move { registry.watch_one(&name).await });
            }
            while checks.join_next().await.is_some() {}
        }
    }

    async fn watch_one(&self, name: &str) {
        let Ok(entry) = self.entry(name) else { return };
        if !matches!(entry.facade.status(), ServiceStatus::Ready | ServiceStatus::Failed) {
            return;
        }
        self.health_check(name).await;
        if !entry.restart_when_unhealthy || entry.health.lock().1 < UNHEALTHY_MAX {
            return;
        }
        entry.health.lock().1 = 0;
        tracing::warn!(service = name, "service keeps being unhealthy and is started anew");
        if let Err(error) = entry.facade.restart().await {
            tracing::error!(service = name, %error, "restart failed");
        }
    }

    /// Cleans up every service once, dependents before what they depend on. A service that is not done when
    /// `limit` has passed is left behind and named in the report.
    pub async fn shutdown(&self, limit: Duration) -> ShutdownReport {
        let started = self.inner.clock.monotonic();
        let mut report = ShutdownReport::default();
        for name in self.topology().order.into_iter().rev() {
            let Ok(entry) = self.entry(&name) else { continue };
            if entry.facade.status() == ServiceStatus::Stopped {
                continue;
            }
            let left = limit.saturating_sub(self.inner.clock.monotonic().saturating_sub(started));
            match timeout(&*self.inner.clock, left, entry.facade.cleanup()).await {
                Ok(Ok(())) => report.stopped.push(name),
                Ok(Err(error)) => report.failed.push((name, error)),
                Err(_) => report.late.push(name),
            }
        }
        report
    }

    fn entry(&self, name: &str) -> Result<Arc<Entry>, ServiceError> {
        let entries = self.inner.entries.read();
        entries.get(name).cloned().ok_or_else(|| ServiceError::NotRegistered(name.to_owned()))
    }
}

/// Finds facades without keeping the registry alive.
fn lookup(registry: Weak<Inner>) -> Lookup {
    Arc::new(move |name| {
        let inner = registry.upgrade()?;
        let entry = inner.entries.read().get(name).cloned()?;
        Some(entry.facade.clone())
    })
}

impl Entry {
    fn info(&self) -> ServiceInfo {
        let health = self.health.lock().0.clone();
        let metrics = self.facade.metrics();
        ServiceInfo {
            name: self.facade.name().to_owned(),
            description: self.description.clone(),
            status: self.facade.status(),
            health: health.status,
            message: self.facade.message().or(health.message),
            depends_on: self.depends_on.to_vec(),
            restarts: self.facade.restarts(),
            uptime_ms: metrics.uptime,
            registered_at: self.registered_at,
            last_health_check: health.last_check.unwrap_or(self.registered_at),
            response_time_ms: health.response_time_ms,
            metrics,
        }
    }
}

#[cfg(test)]
mod tests;
