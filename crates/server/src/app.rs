//! What handlers share: the parts of the server, each behind a handle that stays good when its service is
//! started anew.

mod admission; // what a body may take
mod forget; // tenants that go
mod identity; // tokens, limits, audit, sign-in through providers
mod operations; // health, reload, configuration as text, targets
mod pipelines; // what happens to rows before they are stored
mod queries; // snapshots, engine, slots
mod ranges; // of addresses, as settings name them
mod retention; // how long rows are kept
mod rows; // logs, spans and events
mod sampler; // which traces are kept
pub(crate) mod writes; // storing, increments

pub(crate) use admission::Admission;
pub(crate) use operations::is_well;
pub(crate) use pipelines::{Processing, compile as compile_pipeline, signal_of as signal_of_pipeline};
pub(crate) use queries::CancelOnDrop;
pub(crate) use retention::Retentions;
pub(crate) use sampler::Sampler;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use ingest::otlp::delta::DeltaState;
use kit::{Budget, ConfigurationManager, ServiceRegistry, SharedClock, Shutdown};
use model::TenantId;
use parking_lot::Mutex;
use probe::host::HostCollector;
use probe::scrape::ScrapeManager;
use store::Store;
use tokio::sync::Semaphore;

use crate::error::Fault;
use crate::own::OwnTelemetry;
use crate::realtime::Hub;
use crate::telemetry::Telemetry;

/// Statements may hold this part of the memory budget.
const SQL_SHARE: u64 = 4;

/// The application's state, shared by every handler.
pub type SharedApp = Arc<App>;

/// Limits that handlers apply; taken from the live configuration at each use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of one body, before and after decompression.
    pub(crate) body_bytes: usize,
    /// Longest run of a query.
    pub(crate) query_timeout: Duration,
}

/// Everything the server is made of.
pub struct App {
    config: Arc<ConfigurationManager>,
    registry: ServiceRegistry,
    clock: SharedClock,
    budget: Budget,
    shutdown: Shutdown,
    store: ArcSwapOption<Store>,
    control: ArcSwapOption<control::Control>,
    tokens: ArcSwapOption<control::Tokens>,
    tenant_limits: crate::limits::Tenants,
    audit: crate::audit::Auditor,
    sso: identity::SsoHolder,
    certificates: crate::tls::Certificates,
    mail: crate::mail::Mail,
    security: crate::security::Watch,
    response: crate::response::Response,
    checks: crate::checks::Checks,
    ranges: ranges::LastRanges,
    scraper: ArcSwapOption<ScrapeManager>,
    host: Mutex<HostCollector>,
    hub: Hub,
    telemetry: Telemetry,
    engine: Arc<promql::Engine>,
    sql: Arc<query::sql::SqlEngine>,
    query_slots: Arc<Semaphore>,
    operations: Arc<query::OperationsCache>,
    pipelines: pipelines::Pipelines,
    retentions: Retentions,
    exports: crate::exports::Exports,
    span_metrics: Mutex<HashMap<TenantId, pipeline::spanmetrics::SpanMetrics>>,
    increments: Mutex<HashMap<TenantId, Arc<tokio::sync::Mutex<DeltaState>>>>,
    /// Tenants that asked for deletes of rows which may not be carried out yet.
    pub(crate) deletes: Mutex<HashSet<TenantId>>,
    /// Bytes of bodies being received or decoded.
    in_flight: Arc<AtomicU64>,
    open: bool,
    own: OwnTelemetry,
    /// Where it goes, once that is known.
    own_tenant: Mutex<Option<TenantId>>,
    started_ms: i64,
    started: Duration,
}

impl App {
    /// An application without its services; they plug themselves in as they start.
    pub fn new(
        config: Arc<ConfigurationManager>,
        registry: ServiceRegistry,
        clock: SharedClock,
        budget: Budget,
        shutdown: Shutdown,
        open: bool,
        own: OwnTelemetry,
    ) -> SharedApp {
        let settings = config.settings();
        let engine = promql::Engine::new(promql::EngineOptions {
            lookback_ms: millis(settings.query.lookback),
            samples_max: settings.query.samples,
            ..promql::EngineOptions::default()
        });
        let sql = query::sql::SqlEngine::new(query::sql::SqlLimits {
            memory_bytes_max: usize::try_from(budget.limit() / SQL_SHARE).unwrap_or(usize::MAX),
            rows_max: crate::sql::ROWS_MAX,
            ..query::sql::SqlLimits::default()
        })
        .expect("an engine of plain limits is made without I/O");
        Arc::new(Self {
            query_slots: Arc::new(Semaphore::new(settings.query.concurrency as usize)),
            operations: Arc::default(),
            registry,
            store: ArcSwapOption::empty(),
            control: ArcSwapOption::empty(),
            tokens: ArcSwapOption::empty(),
            tenant_limits: crate::limits::Tenants::default(),
            audit: crate::audit::Auditor::default(),
            sso: identity::SsoHolder::default(),
            certificates: crate::tls::Certificates::default(),
            mail: crate::mail::Mail::default(),
            security: crate::security::Watch::default(),
            response: crate::response::Response::default(),
            checks: crate::checks::Checks::new(Arc::clone(&clock)),
            ranges: ranges::LastRanges::default(),
            scraper: ArcSwapOption::empty(),
            host: Mutex::new(HostCollector::new(std::path::Path::new("/"))),
            hub: Hub::default(),
            telemetry: Telemetry::new(env!("CARGO_PKG_VERSION")),
            sql: Arc::new(sql),
            engine: Arc::new(engine),
            pipelines: pipelines::Pipelines::default(),
            retentions: Retentions::default(),
            exports: crate::exports::Exports::default(),
            span_metrics: Mutex::default(),
            increments: Mutex::default(),
            deletes: Mutex::default(),
            in_flight: Arc::default(),
            open,
            started_ms: clock.now_ms(),
            started: clock.monotonic(),
            own,
            own_tenant: Mutex::default(),
            config,
            clock,
            budget,
            shutdown,
        })
    }

    /// The time of day, milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Heard by whatever lasts longer than a request.
    pub(crate) fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    pub(crate) fn registry(&self) -> &ServiceRegistry {
        &self.registry
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// What slices of spans were found to hold.
    pub(crate) fn operations(&self) -> Arc<query::OperationsCache> {
        Arc::clone(&self.operations)
    }

    pub(crate) fn exports(&self) -> &crate::exports::Exports {
        &self.exports
    }

    /// What the listeners show over TLS.
    pub(crate) fn certificates(&self) -> &crate::tls::Certificates {
        &self.certificates
    }

    /// Letters to be sent.
    pub(crate) fn mail(&self) -> &crate::mail::Mail {
        &self.mail
    }

    /// Rules and those who are told.
    pub(crate) fn response(&self) -> &crate::response::Response {
        &self.response
    }

    /// Health checks.
    pub(crate) fn checks(&self) -> &crate::checks::Checks {
        &self.checks
    }

    /// Signs of attacks.
    pub(crate) fn security(&self) -> &crate::security::Watch {
        &self.security
    }

    /// True while ingest and compatibility reads answer without a credential.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) fn limits(&self) -> Limits {
        let settings = self.config.settings();
        Limits { body_bytes: settings.limits.body_bytes.0 as usize, query_timeout: settings.query.timeout }
    }

    /// The store, or a transient refusal while its service is not up.
    pub(crate) fn store(&self) -> Result<Arc<Store>, Fault> {
        self.store.load_full().ok_or_else(|| Fault::Unavailable("the store is being opened".into()))
    }

    /// The control plane, or a transient refusal while its service is not up.
    pub(crate) fn control(&self) -> Result<Arc<control::Control>, Fault> {
        self.control
            .load_full()
            .ok_or_else(|| Fault::Unavailable("the control database is being opened".into()))
    }
}

/// Whole milliseconds of a duration.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
