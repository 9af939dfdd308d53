//! What operators see and do: health, configuration, targets, collection on request.

use std::sync::Arc;

use axum::http::StatusCode;
use ingest::Decoded;
use kit::{Settings, SharedClock};
use model::{Matcher, MetricBatch, TenantId, TimeRange};
use probe::scrape::ScrapeManager;
use probe::scrape::config::ScrapeConfig;
use serde_json::{Value, json};
use store::Store;

use super::{App, millis};
use crate::chain::Identity;
use crate::error::Fault;
use crate::monitoring::Overall;
use crate::telemetry::{CertificatePicture, Picture};
use crate::{targets_json, write};

/// Whether a part of the server does what it is for.
pub(crate) fn is_well(info: &kit::ServiceInfo) -> bool {
    info.status == kit::ServiceStatus::Ready && info.health != kit::HealthState::Unhealthy
}

impl App {
    /// The configuration in force.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.config.settings()
    }

    /// Private addresses that every tenant's requests may reach. What is no range allows nothing.
    pub(crate) fn outbound_ranges(&self) -> Vec<crate::outbound::Range> {
        self.ranges().outbound().to_vec()
    }

    /// Where time comes from.
    pub(crate) fn clock(&self) -> SharedClock {
        Arc::clone(&self.clock)
    }

    /// Calls back with the settings whenever they change.
    pub(crate) fn on_settings(&self, callback: impl Fn(&Settings) + Send + Sync + 'static) {
        self.config.watch(move |settings| callback(settings));
    }

    /// Puts the store in place, or takes it away; returns the one before.
    pub(crate) fn plug_store(&self, store: Option<Arc<Store>>) -> Option<Arc<Store>> {
        self.store.swap(store)
    }

    /// Puts the control plane in place, or takes it away.
    pub(crate) fn plug_control(
        &self,
        control: Option<Arc<control::Control>>,
    ) -> Option<Arc<control::Control>> {
        // Publishers and workers share one queue, so that they hear each other at once.
        let jobs =
            control.as_ref().map(|control| db::jobs::Jobs::new(control.database().clone(), self.clock()));
        let leases = control.as_ref().map(|control| {
            let leases = db::leases::Leases::new(control.database().clone(), self.clock());
            Arc::new(crate::response::keeper(self, leases))
        });
        self.response().plug_jobs(jobs.map(Arc::new), leases);
        self.checks().unplug();
        self.control.swap(control)
    }

    /// Puts the scrape manager in place, or takes it away.
    pub(crate) fn plug_scraper(&self, scraper: Option<Arc<ScrapeManager>>) -> Option<Arc<ScrapeManager>> {
        self.scraper.swap(scraper)
    }

    /// When the process started, milliseconds.
    pub(crate) fn started_ms(&self) -> i64 {
        self.started_ms
    }

    /// True once writes are taken and queries answered.
    pub(crate) fn is_ready(&self) -> bool {
        self.store.load().is_some() && self.control.load().is_some()
    }

    /// True once every row of the log is visible.
    pub(crate) fn is_replayed(&self) -> bool {
        self.store.load().as_ref().is_some_and(|store| *store.engine().replayed().borrow())
    }

    /// One word for all services, and the status that load balancers look at.
    pub(crate) fn overall_health(&self) -> (Overall, StatusCode) {
        let services = self.registry.list();
        let essential = |name: &str| matches!(name, "store" | "control" | "http");
        if services.iter().any(|info| essential(&info.name) && !is_well(info)) {
            (Overall::Unhealthy, StatusCode::SERVICE_UNAVAILABLE)
        } else if services.iter().any(|info| !is_well(info)) {
            (Overall::Degraded, StatusCode::OK)
        } else {
            (Overall::Healthy, StatusCode::OK)
        }
    }

    /// How often SystemMetric rows stand.
    pub(crate) fn collect_interval_ms(&self) -> i64 {
        millis(self.settings().general.collect_interval.0).max(1000)
    }

    /// Reads this host now and stores the reading; returns its time.
    pub(crate) async fn collect_host(self: &Arc<Self>, tenant: &TenantId) -> Result<i64, Fault> {
        let t_ms = self.now_ms();
        let app = Arc::clone(self);
        let batch = kit::spawn::spawn_blocking("collect host", move || {
            let mut batch = MetricBatch::default();
            app.host.lock().collect(t_ms, &mut batch);
            batch
        })
        .await
        .map_err(|_| {
            Fault::Internal("COLLECTION_ERROR: the host could not be read; the log has the reason".into())
        })?;
        write::append(self, tenant, "host", Decoded { batch, ..Decoded::default() }).await?;
        Ok(t_ms)
    }

    /// This machine's name, as it stands in `instance`.
    pub(crate) fn hostname(&self) -> String {
        self.host.lock().instance().to_owned()
    }

    /// Whose telemetry the server's own is: of tenant `default`, or `platform` once there are further tenants.
    pub(crate) async fn own_tenant(&self) -> Result<TenantId, Fault> {
        let known = self.own_tenant.lock().clone();
        match known {
            Some(tenant) => Ok(tenant),
            None => self.find_own_tenant().await,
        }
    }

    /// Looks anew, because a tenant may have come.
    pub(crate) async fn find_own_tenant(&self) -> Result<TenantId, Fault> {
        let found = self.control()?.telemetry_tenant().await?;
        let before = self.own_tenant.lock().replace(found.clone());
        if before.is_some_and(|before| before != found) {
            tracing::info!(tenant = %found, "the server's own telemetry goes to another tenant from now on");
        }
        Ok(found)
    }

    /// Own metrics as OpenMetrics text.
    pub(crate) fn own_metrics(&self) -> String {
        let usage = self.budget.usage();
        let mut picture = Picture {
            memory: usage.by_class.iter().map(|(class, bytes)| (class.as_str(), *bytes)).collect(),
            memory_limit: usage.limit,
            listeners: self.hub.listeners(),
            services: self
                .registry
                .list()
                .into_iter()
                .map(|info| (info.name.clone(), is_well(&info)))
                .collect(),
            checks: self.checks.stats(),
            certificates: self.certificate_pictures(),
            uptime_seconds: i64::try_from(self.clock.monotonic().saturating_sub(self.started).as_secs())
                .unwrap_or(0),
            ..Picture::default()
        };
        picture.store = self.store.load().as_ref().map(|store| store.engine().stats());
        self.telemetry.gather(&picture)
    }

    fn certificate_pictures(&self) -> Vec<CertificatePicture> {
        let pairs = self.certificates.all().into_iter();
        let shown = pairs.filter_map(|(listener, keeper)| {
            Some(CertificatePicture {
                listener: listener.as_str(),
                not_after_seconds: keeper.pair()?.not_after_ms / 1000,
                has_problem: keeper.problem().is_some(),
            })
        });
        shown.collect()
    }

    /// Writes own metrics into the own store: read by the decoder that reads everybody's, but neither counted
    /// as an outcome nor against a limit.
    pub(crate) async fn record_own_metrics(&self) -> Result<(), Fault> {
        let text = self.own_metrics();
        let instance = self.hostname();
        let context = ingest::text::Context::scrape(ingest::text::Format::OpenMetrics, self.now_ms());
        let mut decoded = ingest::text::decode(text.into_bytes(), &context).map_err(write::fault)?;
        decoded.batch.label_all(&[("job", probe::host::OWN_JOB), ("instance", &instance)]);
        self.store_own_metrics(&self.own_tenant().await?, &decoded.batch).await?;
        Ok(())
    }

    /// Deletes samples of matching series, durably.
    pub(crate) async fn delete_series(
        &self,
        tenant: &TenantId,
        matchers: Vec<Matcher>,
        range: TimeRange,
    ) -> Result<(), Fault> {
        let store = self.store()?;
        let (tenant, now_ms) = (tenant.clone(), self.now_ms());
        kit::spawn::spawn_blocking("delete series", move || {
            store.engine().delete_series(&tenant, &matchers, range, now_ms)
        })
        .await
        .map_err(|_| Fault::Internal("the deletion ended abnormally; the log has the reason".into()))?
        .map_err(|error| super::writes::store_fault(&error))?;
        Ok(())
    }

    /// Wakes compaction.
    pub(crate) fn compact_soon(&self) {
        if let Some(store) = self.store.load_full() {
            let now_ms = self.now_ms();
            kit::spawn::spawn_blocking("compact", move || {
                while matches!(store.engine().compact_once(now_ms), Ok(true)) {}
            });
        }
    }

    /// How OTLP names are made.
    pub(crate) fn otlp_settings(&self) -> ingest::otlp::metrics::Settings {
        use ingest::otlp::metrics::{Settings as Otlp, Translation};
        let settings = self.settings();
        Otlp {
            promoted_attributes: settings.metrics_otlp.promote_resource_attributes.clone(),
            translation: match settings.metrics_otlp.translation.as_str() {
                "NoTranslation" => Translation::Off,
                _ => Translation::UnderscoresAndSuffixes,
            },
            ..Otlp::default()
        }
    }

    /// Every option with its value, secrets masked.
    pub(crate) fn config_rows(&self) -> Vec<(String, String)> {
        self.config.rows().into_iter().map(|row| (row.key.to_owned(), row.value)).collect()
    }

    /// The configuration as `key: value` lines.
    pub(crate) fn config_text(&self) -> String {
        self.config_rows().into_iter().map(|(key, value)| format!("{key}: {}\n", json!(value))).collect()
    }

    /// True unless the last reload found faults.
    pub(crate) fn config_is_good(&self) -> bool {
        self.config.last_error().is_none() && self.response().files_problem().is_none()
    }

    /// The memory budget in bytes.
    pub(crate) fn memory_limit(&self) -> u64 {
        self.budget.limit()
    }

    /// How long metrics are kept.
    pub(crate) fn retention_text(&self) -> String {
        self.config_rows()
            .into_iter()
            .find(|(key, _)| key == "retention.metrics")
            .map_or_else(String::new, |(_, v)| v)
    }

    /// Looks whether a configuration file changed, and applies it.
    pub(crate) fn poll_configuration(&self) {
        match self.config.poll() {
            Some(Ok(reloaded)) => log_reload(&reloaded),
            Some(Err(error)) => tracing::error!(%error, "the configuration was changed and is not applied"),
            None => {}
        }
    }

    /// Reads the configuration, the scrape file and the files of alerting anew. Each is read, whatever is wrong with
    /// another.
    pub(crate) async fn reload(&self) -> Result<(), Fault> {
        let reloaded = self.config.reload().map_err(|error| Fault::invalid("config", error.to_string()))?;
        log_reload(&reloaded);
        let (scrape, alerting) = (self.load_scrape_file().await, self.load_alerting_files().await);
        scrape.and(alerting)
    }

    /// Gives the scrape manager its file, if there is one.
    pub(crate) async fn load_scrape_file(&self) -> Result<(), Fault> {
        let Some(scraper) = self.scraper.load_full() else { return Ok(()) };
        let file = self.settings().scrape.config_file.clone();
        if file.is_empty() {
            return Ok(());
        }
        let load = move || ScrapeConfig::load(std::path::Path::new(&file), &|name| std::env::var(name).ok());
        let config = kit::spawn::spawn_blocking("read scrape file", load)
            .await
            .map_err(|_| Fault::Internal("the scrape file could not be read; the log has the reason".into()))?
            .map_err(|error| Fault::invalid("scrape.config_file", error.to_string()))?;
        scraper.reload(config).await;
        Ok(())
    }

    /// What scrapes, for those who run the server.
    fn scraper_for(&self, identity: &Identity) -> Option<Arc<ScrapeManager>> {
        self.scraper.load_full().filter(|_| identity.operates())
    }

    /// Targets in the shape of `/api/v1/targets`.
    pub(crate) fn targets_json(&self, identity: &Identity, pool: Option<&str>) -> Value {
        match self.scraper_for(identity) {
            Some(scraper) => targets_json::targets(&scraper.targets(), pool),
            None => json!({ "activeTargets": [], "droppedTargets": [], "unsupportedJobs": [] }),
        }
    }

    /// Metadata that targets stated.
    pub(crate) fn targets_metadata_json(
        &self,
        identity: &Identity,
        metric: Option<&str>,
        limit: usize,
    ) -> Vec<Value> {
        self.scraper_for(identity)
            .map_or_else(Vec::new, |s| targets_json::metadata(&s.metadata(), metric, limit))
    }

    /// Names of scrape jobs.
    pub(crate) fn scrape_pools(&self, identity: &Identity) -> Vec<String> {
        self.scraper_for(identity).map_or_else(Vec::new, |scraper| scraper.scrape_pools())
    }
}

fn log_reload(reloaded: &kit::config::Reloaded) {
    for change in &reloaded.applied {
        tracing::info!(key = change.key, from = change.from, to = change.to, "setting changed");
    }
    for change in &reloaded.needs_restart {
        tracing::warn!(key = change.key, to = change.to, "setting changes at the next start");
    }
}
