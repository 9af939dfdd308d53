//! Parts that write by themselves: this host, the server's own metrics, scraped targets, StatsD; and the
//! watch over the configuration.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kit::{BoxError, HealthStatus, Registration, Service, ServiceError, Shutdown};
use model::{MetricBatch, TenantId};
use probe::scrape::{AppendError, Appender, ScrapeManager};

use crate::app::SharedApp;
use crate::write;
use crate::write::syslog::Transport;

pub(super) fn register(app: &SharedApp) -> Result<(), ServiceError> {
    let registry = app.registry();
    let owner = app.clone();
    registry.register(
        Registration::task("host_collector", move |stop| collect_host(owner.clone(), stop))
            .depends_on(["store"])
            .describe("metrics of this machine under node_exporter's names"),
    )?;
    let owner = app.clone();
    registry.register(
        Registration::task("self_telemetry", move |stop| record_own(owner.clone(), stop))
            .depends_on(["store", "control"])
            .describe("the server's own metrics, into its own store"),
    )?;
    let owner = app.clone();
    registry.register(
        Registration::task("own_rows", move |stop| record_own_rows(owner.clone(), stop))
            .depends_on(["store", "control"])
            .describe("the server's own log lines and traces, into its own store"),
    )?;
    let owner = app.clone();
    registry.register(
        Registration::task("span_metrics", move |stop| record_span_metrics(owner.clone(), stop))
            .depends_on(["store"])
            .describe("calls, errors and durations of services and between them, from spans"),
    )?;
    let owner = app.clone();
    registry.register(
        Registration::task("deletions", move |stop| finish_deletions(owner.clone(), stop))
            .depends_on(["store", "control"])
            .describe("writes down which deletes are carried out"),
    )?;
    registry.register(
        Registration::instance("scraper", Arc::new(Scraper(app.clone())))
            .depends_on(["store"])
            .describe("Prometheus scraping from a prometheus.yml"),
    )?;
    let owner = app.clone();
    if let Some(address) = app.settings().statsd.listen {
        registry.register(
            Registration::task("statsd", move |stop| write::statsd::serve(owner.clone(), address, stop))
                .depends_on(["store"])
                .describe("StatsD and DogStatsD over UDP"),
        )?;
    }
    register_syslog(app)
}

fn register_syslog(app: &SharedApp) -> Result<(), ServiceError> {
    let syslog = &app.settings().syslog;
    if let Some(address) = syslog.udp {
        let owner = app.clone();
        app.registry().register(
            Registration::task("syslog_udp", move |stop| {
                write::syslog::serve_udp(owner.clone(), address, stop)
            })
            .depends_on(["store", "control"])
            .describe("syslog over UDP"),
        )?;
    }
    for (name, address, transport, description) in [
        ("syslog_tcp", syslog.tcp, Transport::Tcp, "syslog over TCP"),
        ("syslog_tls", syslog.tls, Transport::Tls, "syslog over TLS"),
    ] {
        let Some(address) = address else { continue };
        let owner = app.clone();
        app.registry().register(
            Registration::task(name, move |stop| {
                write::syslog::serve_stream(owner.clone(), address, transport, stop)
            })
            .depends_on(["store", "control", "tls"])
            .describe(description),
        )?;
    }
    Ok(())
}

/// Calls `work` now and then at every interval, which may change while it runs. Late rounds are not made up.
async fn every<F, Fut>(app: &SharedApp, stop: &Shutdown, interval: impl Fn() -> Duration, mut work: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = ()>,
{
    let clock = app.clock();
    while !stop.is_requested() {
        let started = clock.monotonic();
        work().await;
        let spent = clock.monotonic().saturating_sub(started);
        tokio::select! {
            () = clock.sleep(interval().saturating_sub(spent)) => {}
            () = stop.requested() => {}
        }
    }
}

async fn collect_host(app: SharedApp, stop: Shutdown) -> Result<(), BoxError> {
    let interval = || app.settings().host.interval;
    every(&app, &stop, interval, || async {
        let settings = app.settings();
        if !settings.host.enabled || !settings.general.enabled || !settings.metrics.system {
            return;
        }
        if let Err(fault) = app.collect_host(&TenantId::default_tenant()).await {
            tracing::warn!(reason = fault.message(), "host metrics were not stored");
        }
    })
    .await;
    Ok(())
}

/// How often own lines and spans go to the store.
const OWN_ROWS_INTERVAL: Duration = Duration::from_secs(1);

async fn record_own_rows(app: SharedApp, stop: Shutdown) -> Result<(), BoxError> {
    every(&app, &stop, || OWN_ROWS_INTERVAL, || async { app.record_own_rows().await }).await;
    app.record_own_rows().await;
    Ok(())
}

/// How often metrics made of spans are written.
const SPAN_METRICS_INTERVAL: Duration = Duration::from_secs(10);

/// How often it is looked which deletes are carried out, which takes a day.
const DELETIONS_INTERVAL: Duration = Duration::from_secs(60);

async fn finish_deletions(app: SharedApp, stop: Shutdown) -> Result<(), BoxError> {
    every(&app, &stop, || DELETIONS_INTERVAL, || async { app.finish_all_deletions().await }).await;
    Ok(())
}

async fn record_span_metrics(app: SharedApp, stop: Shutdown) -> Result<(), BoxError> {
    every(&app, &stop, || SPAN_METRICS_INTERVAL, || async { app.record_span_metrics().await }).await;
    app.record_span_metrics().await;
    Ok(())
}

async fn record_own(app: SharedApp, stop: Shutdown) -> Result<(), BoxError> {
    let interval = || app.settings().telemetry.interval;
    every(&app, &stop, interval, || async {
        let settings = app.settings();
        if !settings.telemetry.enabled || !settings.general.enabled {
            return;
        }
        if let Err(fault) = app.record_own_metrics().await {
            tracing::warn!(reason = fault.message(), "own metrics were not stored");
        }
    })
    .await;
    Ok(())
}

/// Once a second: has a file changed?
pub(super) async fn watch_configuration(app: SharedApp, stop: Shutdown) -> Result<(), BoxError> {
    every(&app, &stop, || Duration::from_secs(1), || async { app.poll_configuration() }).await;
    Ok(())
}

/// The scrape manager: runs while the service does.
struct Scraper(SharedApp);

/// Where scraped batches go.
struct Intake(SharedApp);

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Intake")
    }
}

#[async_trait]
impl Appender for Intake {
    async fn append(&self, batch: MetricBatch) -> Result<(), AppendError> {
        let decoded = ingest::Decoded { batch, ..ingest::Decoded::default() };
        match write::append(&self.0, &TenantId::default_tenant(), "scrape", decoded).await {
            Ok(_) => Ok(()),
            Err(fault) => Err(AppendError(fault.message())),
        }
    }
}

#[async_trait]
impl Service for Scraper {
    async fn init(&self) -> Result<(), BoxError> {
        let intake = Arc::new(Intake(self.0.clone()));
        let manager = Arc::new(ScrapeManager::new(intake, self.0.clock(), &self.0.hostname()));
        self.0.plug_scraper(Some(Arc::clone(&manager)));
        self.0.load_scrape_file().await.map_err(|fault| fault.message().into())
    }

    async fn health(&self) -> Result<HealthStatus, BoxError> {
        Ok(HealthStatus::healthy())
    }

    async fn cleanup(&self) -> Result<(), BoxError> {
        if let Some(manager) = self.0.plug_scraper(None) {
            manager.stop().await;
        }
        Ok(())
    }
}
