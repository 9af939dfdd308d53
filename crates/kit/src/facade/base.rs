//! The common base of all facades: life cycle, supervision, health and operation metrics.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Mutex as AsyncMutex;

use super::{Service, ServiceContext, ServiceFacade, ServiceFactory};
use crate::clock::{SharedClock, timeout};
use crate::error::ServiceError;
use crate::operations::Operations;
use crate::shutdown::ShutdownTrigger;
use crate::spawn::spawn;
use crate::status::{HealthStatus, ServiceMetrics, ServiceStatus};
use crate::supervisor::{AbortOnDrop, BoxError, RestartPolicy, TaskEvent, chain, panic_text, supervise};

/// A health check that takes longer has failed. Checks are local, so a second is generous.
const HEALTH_TIME_MAX: Duration = Duration::from_secs(1);

/// How long `run` may take to end after it was asked to, before it is aborted.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);

/// The common base of all facades. A facade of its own kind wraps it and adds operations that go through
/// [`Self::monitor`].
pub struct BaseServiceFacade<T: Service> {
    name: String,
    factory: ServiceFactory<T>,
    context: ServiceContext,
    config: Mutex<Value>,
    life: Arc<Life>,
    current: Mutex<Option<Arc<T>>>,
    running: AsyncMutex<Option<Running>>,
    starts: AtomicU64,
    last_start: Mutex<Result<(), ServiceError>>,
    operations: Operations,
}

/// What the supervised task changes too.
#[derive(Debug)]
struct Life {
    state: Mutex<State>,
    restarts: AtomicU64,
}

#[derive(Debug)]
struct State {
    status: ServiceStatus,
    message: Option<String>,
    ready_at: Option<Duration>,
}

struct Running {
    trigger: ShutdownTrigger,
    task: AbortOnDrop<()>,
}

impl<T: Service> fmt::Debug for BaseServiceFacade<T> {
    // Settings may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseServiceFacade").field("name", &self.name).field("status", &self.status()).finish()
    }
}

impl<T: Service> BaseServiceFacade<T> {
    /// A facade outside any registry: its factory finds no dependencies.
    pub fn new(name: &str, factory: ServiceFactory<T>, config: Value, clock: SharedClock) -> Self {
        let context = ServiceContext {
            name: name.to_owned(),
            config: Value::Null,
            clock,
            depends_on: Arc::new([]),
            lookup: Arc::new(|_| None),
        };
        Self::with_context(factory, config, context)
    }

    pub(crate) fn with_context(factory: ServiceFactory<T>, config: Value, context: ServiceContext) -> Self {
        let state = State { status: ServiceStatus::Registered, message: None, ready_at: None };
        Self {
            name: context.name.clone(),
            factory,
            context,
            config: Mutex::new(config),
            life: Arc::new(Life { state: Mutex::new(state), restarts: AtomicU64::new(0) }),
            current: Mutex::new(None),
            running: AsyncMutex::new(None),
            starts: AtomicU64::new(0),
            last_start: Mutex::new(Ok(())),
            operations: Operations::default(),
        }
    }

    /// The service itself, while it is not stopped.
    pub fn service(&self) -> Result<Arc<T>, ServiceError> {
        let not_ready = || ServiceError::NotReady { service: self.name.clone(), status: self.status() };
        self.current.lock().clone().ok_or_else(not_ready)
    }

    /// Runs one operation, counted and timed under `operation`. Refused when the service is not there.
    pub async fn monitor<R, E, F, Fut>(&self, operation: &str, call: F) -> Result<R, E>
    where
        E: From<ServiceError>,
        F: FnOnce(Arc<T>) -> Fut,
        Fut: Future<Output = Result<R, E>>,
    {
        let service = self.service()?;
        let running = self.operations.begin(operation, &*self.context.clock);
        let result = call(service).await;
        running.finish(result.is_ok());
        result
    }

    async fn start(&self, running: &mut Option<Running>) -> Result<(), ServiceError> {
        self.life.set(ServiceStatus::Initializing, None);
        let result = self.create().await;
        match &result {
            Ok(service) => {
                *running = Some(self.supervise(service.clone()));
                *self.current.lock() = Some(service.clone());
                let now = self.context.clock.monotonic();
                self.life.state.lock().ready_at = Some(now);
                self.life.set(ServiceStatus::Ready, None);
                tracing::info!(service = self.name, "service ready");
            }
            Err(error) => {
                self.life.set(ServiceStatus::Failed, Some(error.to_string()));
                tracing::error!(service = self.name, %error, "service failed to start");
            }
        }
        result.map(|_| ())
    }

    async fn create(&self) -> Result<Arc<T>, ServiceError> {
        let context = ServiceContext { config: self.config(), ..self.context.clone() };
        let service = (self.factory)(context).await.map_err(|error| self.failed("factory", &*error))?;
        let hooks = async {
            service.init().await.map_err(|error| self.failed("init", &*error))?;
            tracing::debug!(service = self.name, "init done");
            service.ready().await.map_err(|error| self.failed("ready", &*error))
        };
        if let Err(error) = hooks.await {
            // What init opened must be closed; the first error is the one that matters.
            if let Err(second) = service.cleanup().await {
                tracing::warn!(service = self.name, error = %second, "cleanup after a failed start failed too");
            }
            return Err(error);
        }
        Ok(service)
    }

    fn failed(&self, stage: &'static str, error: &(dyn std::error::Error + Send + Sync)) -> ServiceError {
        ServiceError::Failed { service: self.name.clone(), stage, message: chain(error) }
    }

    fn supervise(&self, service: Arc<T>) -> Running {
        let (trigger, shutdown) = ShutdownTrigger::new();
        let life = self.life.clone();
        let name = self.name.clone();
        let first = AtomicU64::new(0);
        let report = move |event| match event {
            TaskEvent::Started if first.fetch_add(1, Ordering::Relaxed) == 0 => {}
            TaskEvent::Started => {
                life.restarts.fetch_add(1, Ordering::Relaxed);
                life.change_if(ServiceStatus::Failed, ServiceStatus::Ready, None);
                tracing::info!(service = name, "service restarted");
            }
            TaskEvent::Failed { message, restart_in } => {
                tracing::error!(service = name, error = message, ?restart_in, "service failed");
                life.change_if(ServiceStatus::Ready, ServiceStatus::Failed, Some(message));
            }
            TaskEvent::Finished => tracing::debug!(service = name, "task done"),
        };
        let start = move |shutdown| {
            let service = service.clone();
            async move { service.run(shutdown).await }
        };
        let clock = self.context.clock.clone();
        let work = supervise("service", clock, RestartPolicy::default(), shutdown, start, report);
        Running { trigger, task: AbortOnDrop(spawn("supervisor", work)) }
    }

    async fn stop(&self, running: &mut Option<Running>) -> Result<(), ServiceError> {
        let Some(mut run) = running.take() else {
            // Never started, or failed to start: there is nothing to close.
            self.life.set(ServiceStatus::Stopped, None);
            return Ok(());
        };
        self.life.set(ServiceStatus::Stopping, None);
        run.trigger.request();
        if timeout(&*self.context.clock, STOP_TIME_MAX, &mut run.task.0).await.is_err() {
            tracing::warn!(service = self.name, "service did not stop in time and is aborted");
        }
        drop(run);
        let service = self.current.lock().take();
        let result = match &service {
            Some(service) => service.cleanup().await.map_err(|error| self.failed("cleanup", &*error)),
            None => Ok(()),
        };
        self.life.set(ServiceStatus::Stopped, result.as_ref().err().map(ToString::to_string));
        tracing::info!(service = self.name, "service stopped");
        result
    }

    async fn ask_health(&self, service: Arc<T>) -> HealthStatus {
        // A task of its own: a check that panics or never yields must not take the caller with it.
        let mut check = AbortOnDrop(spawn("health", async move { service.health().await }));
        match timeout(&*self.context.clock, HEALTH_TIME_MAX, &mut check.0).await {
            Ok(Ok(Ok(health))) => health,
            Ok(Ok(Err(error))) => HealthStatus::unhealthy(chain(&*error)),
            Ok(Err(error)) if error.is_panic() => HealthStatus::unhealthy(format!(
                "health check panicked: {}",
                panic_text(&*error.into_panic())
            )),
            Ok(Err(_)) => HealthStatus::unhealthy("health check was aborted"),
            Err(late) => HealthStatus::unhealthy(format!("health check {late}")),
        }
    }
}

impl Life {
    fn set(&self, status: ServiceStatus, message: Option<String>) {
        let mut state = self.state.lock();
        state.status = status;
        state.message = message;
    }

    /// A report of the task counts only while nobody has moved the service on.
    fn change_if(&self, from: ServiceStatus, to: ServiceStatus, message: Option<String>) {
        let mut state = self.state.lock();
        if state.status == from {
            state.status = to;
            state.message = message;
        }
    }
}

#[async_trait]
impl<T: Service> ServiceFacade for BaseServiceFacade<T> {
    fn name(&self) -> &str {
        &self.name
    }

    fn status(&self) -> ServiceStatus {
        self.life.state.lock().status
    }

    fn config(&self) -> Value {
        self.config.lock().clone()
    }

    async fn initialize(&self, config: Option<Value>) -> Result<(), ServiceError> {
        let seen = self.starts.load(Ordering::Acquire);
        let mut running = self.running.lock().await;
        if config.is_none() {
            if running.is_some() {
                return Ok(());
            }
            // Whoever waited for a start that failed gets its result instead of starting again.
            if self.starts.load(Ordering::Acquire) != seen && self.status() == ServiceStatus::Failed {
                return self.last_start.lock().clone();
            }
        }
        let changed = config.is_some_and(|patch| merge(&mut self.config.lock(), patch));
        if running.is_some() {
            if !changed {
                return Ok(());
            }
            self.stop(&mut running).await?;
        }
        let result = self.start(&mut running).await;
        *self.last_start.lock() = result.clone();
        self.starts.fetch_add(1, Ordering::Release);
        result
    }

    async fn health(&self) -> HealthStatus {
        let started = self.context.clock.monotonic();
        let service = self.current.lock().clone();
        let (status, message) = {
            let state = self.life.state.lock();
            (state.status, state.message.clone())
        };
        let mut health = match (status, service) {
            (ServiceStatus::Ready, Some(service)) => self.ask_health(service).await,
            (ServiceStatus::Registered | ServiceStatus::Initializing, _) => {
                return HealthStatus::unknown(format!("service is {status}"));
            }
            _ => HealthStatus::unhealthy(message.unwrap_or_else(|| format!("service is {status}"))),
        };
        let took = self.context.clock.monotonic().saturating_sub(started);
        health.response_time_ms = Some(took.as_secs_f64() * 1e3);
        health.last_check = Some(self.context.clock.now_ms());
        health
    }

    fn metrics(&self) -> ServiceMetrics {
        let mut metrics = self.operations.snapshot();
        let state = self.life.state.lock();
        if let (Some(ready_at), ServiceStatus::Ready) = (state.ready_at, state.status) {
            let up = self.context.clock.monotonic().saturating_sub(ready_at);
            metrics.uptime = u64::try_from(up.as_millis()).unwrap_or(u64::MAX);
        }
        drop(state);
        if let Some(service) = self.current.lock().clone() {
            metrics.gauges = service.gauges().into_iter().collect();
        }
        metrics
    }

    async fn cleanup(&self) -> Result<(), ServiceError> {
        let mut running = self.running.lock().await;
        self.stop(&mut running).await
    }

    async fn restart(&self) -> Result<(), ServiceError> {
        let mut running = self.running.lock().await;
        if running.is_some() {
            // A cleanup that fails is logged and does not keep the service down.
            if let Err(error) = self.stop(&mut running).await {
                tracing::warn!(service = self.name, %error, "cleanup before a restart failed");
            }
        }
        self.life.restarts.fetch_add(1, Ordering::Relaxed);
        self.start(&mut running).await
    }

    fn restarts(&self) -> u64 {
        self.life.restarts.load(Ordering::Relaxed)
    }

    fn message(&self) -> Option<String> {
        self.life.state.lock().message.clone()
    }
}

/// Merges `patch` over `base`, object by object; anything else replaces. True when something changed.
fn merge(base: &mut Value, patch: Value) -> bool {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            let mut changed = false;
            for (key, value) in patch {
                match base.get_mut(&key) {
                    Some(old) => changed |= merge(old, value),
                    None => {
                        base.insert(key, value);
                        changed = true;
                    }
                }
            }
            changed
        }
        (base, patch) => {
            let changed = *base != patch;
            *base = patch;
            changed
        }
    }
}

/// A service made of one task and nothing else.
pub(crate) struct TaskService<F>(pub(crate) F);

#[async_trait]
impl<F, Fut> Service for TaskService<F>
where
    F: Fn(crate::shutdown::Shutdown) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    async fn run(&self, shutdown: crate::shutdown::Shutdown) -> Result<(), BoxError> {
        (self.0)(shutdown).await
    }
}

#[cfg(test)]
#[path = "base_tests.rs"]
mod tests;
