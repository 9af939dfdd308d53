//! The store and the control database as services: `init` opens, `cleanup` closes, and handlers find them
//! through the application while they are open.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use db::{Database, DatabaseSettings};
use kit::{BoxError, HealthStatus, Service};
use model::{Predicate, Signal, TenantId};
use store::{RowRetention, Settings as StoreSettings, Store, StoreError};

use crate::app::{Retentions, SharedApp, millis};

/// Telemetry on disk.
pub(super) struct StorePart {
    app: SharedApp,
    data: PathBuf,
    /// Set by the first opening; later ones follow a restart.
    opened: AtomicBool,
}

/// How long a store that is opened again waits for queries that still read the one before.
const REOPEN_TIMEOUT: Duration = Duration::from_secs(10);

impl StorePart {
    pub(super) fn new(app: SharedApp, data: PathBuf) -> Self {
        Self { app, data, opened: AtomicBool::new(false) }
    }
}

/// Opens the folder; while `patient`, waits for whoever holds its lock.
fn open(
    data: &Path,
    settings: &StoreSettings,
    clock: &kit::SharedClock,
    patient: bool,
) -> store::Result<Store> {
    let started = clock.monotonic();
    loop {
        match Store::open(data, settings.clone(), Arc::clone(clock)) {
            Err(StoreError::Locked { .. })
                if patient && clock.monotonic().saturating_sub(started) < REOPEN_TIMEOUT =>
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            outcome => return outcome,
        }
    }
}

/// What the configuration says about the store.
fn store_settings(settings: &kit::Settings, retentions: &Retentions, memory: u64) -> StoreSettings {
    let [logs, traces, events, audit, checks] =
        [Signal::Logs, Signal::Traces, Signal::Events, Signal::Audit, Signal::Checks]
            .map(|signal| (signal, retentions.of(settings, &TenantId::default_tenant(), signal)));
    let defaults = StoreSettings::default();
    // Shares of the memory budget: heads at twice their bound refuse writes, so both fit beside the tables
    // of series (half of the budget) and queries.
    let share = |part: u64, most: usize| usize::try_from(memory / part).unwrap_or(usize::MAX).min(most);
    StoreSettings {
        heads_bytes_max: share(8, defaults.heads_bytes_max),
        queue_bytes_max: share(16, defaults.queue_bytes_max),
        cache_bytes_max: share(8, defaults.cache_bytes_max),
        wal_file_bytes: settings.storage.wal_file_bytes.0,
        wal_bytes_max: settings.storage.wal_bytes.0,
        head_bytes_max: share(8, settings.storage.head_bytes.0 as usize),
        head_age_ms_max: millis(settings.storage.head_age),
        retention_ms: settings.retention.metrics.map(millis),
        logs_retention_ms: logs.1.keep_ms,
        traces_retention_ms: traces.1.keep_ms,
        events_retention_ms: events.1.keep_ms,
        audit_retention_ms: audit.1.keep_ms,
        checks_retention_ms: checks.1.keep_ms,
        retention_rules: [logs, traces, events].into_iter().flat_map(of_signal).collect(),
        storage_bytes_max: settings.retention.max_bytes.map(|bytes| bytes.0),
        free_bytes_min: settings.retention.free_space_floor.map_or(0, |bytes| bytes.0),
        seed: rand_seed(),
        ..defaults
    }
}

fn app_store_settings(app: &SharedApp) -> StoreSettings {
    store_settings(&app.settings(), app.retentions(), app.memory_limit())
}

fn of_signal((signal, retention): (Signal, RowRetention)) -> impl Iterator<Item = (Signal, Predicate, i64)> {
    retention.rules.into_iter().map(move |(predicate, keep_ms)| (signal, predicate, keep_ms))
}

/// A store with its settings, outside the registry.
#[cfg(test)]
pub(crate) fn open_store(app: &SharedApp, data: &Path) -> store::Result<Store> {
    open(data, &app_store_settings(app), &app.clock(), false)
}

/// A number nobody outside can know: the hasher's own random keys.
fn rand_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

#[async_trait]
impl Service for StorePart {
    async fn init(&self) -> Result<(), BoxError> {
        let settings = app_store_settings(&self.app);
        let (data, clock) = (self.data.clone(), self.app.clock());
        let again = self.opened.swap(true, Ordering::Relaxed);
        let open = move || open(&data, &settings, &clock, again);
        let opened = kit::spawn::spawn_blocking("open store", open).await??;
        opened.engine().set_sampler(crate::app::Sampler::of(&self.app));
        self.app.plug_store(Some(Arc::new(opened)));
        self.app.apply_retention(&self.app.settings());
        if again {
            return Ok(());
        }
        let app = self.app.clone();
        self.app.on_settings(move |settings| app.apply_retention(settings));
        Ok(())
    }

    async fn health(&self) -> Result<HealthStatus, BoxError> {
        let store = self.app.store().map_err(|fault| fault.message())?;
        match store.engine().stats().refused {
            None => Ok(HealthStatus::healthy()),
            Some(reason) => Ok(HealthStatus::unhealthy(reason)),
        }
    }

    async fn cleanup(&self) -> Result<(), BoxError> {
        if let Some(store) = self.app.plug_store(None) {
            kit::spawn::spawn_blocking("close store", move || store.shutdown()).await??;
        }
        Ok(())
    }
}

/// Control data.
pub(super) struct ControlPart {
    app: SharedApp,
    data: PathBuf,
}

impl ControlPart {
    pub(super) fn new(app: SharedApp, data: PathBuf) -> Self {
        Self { app, data }
    }
}

#[async_trait]
impl Service for ControlPart {
    async fn init(&self) -> Result<(), BoxError> {
        let control = open_control(&self.app.settings(), &self.data, self.app.clock()).await?;
        let tokens = control::Tokens::open(control.clone(), token_settings(&self.app.settings())).await?;
        self.app.plug_control(Some(Arc::new(control)));
        self.app.plug_tokens(Some(Arc::new(tokens)));
        Ok(())
    }

    async fn run(&self, shutdown: kit::Shutdown) -> Result<(), BoxError> {
        let control = self.app.control().map_err(|fault| fault.message())?;
        let tokens = self.app.tokens().map_err(|fault| fault.message())?;
        // Whichever fails ends both, so that the part is started anew.
        tokio::try_join!(control.run(shutdown.clone()), tokens.run(shutdown)).map(drop)
    }

    async fn health(&self) -> Result<HealthStatus, BoxError> {
        let control = self.app.control().map_err(|fault| fault.message())?;
        Service::health(&*control).await
    }

    fn gauges(&self) -> Vec<(String, f64)> {
        self.app.control().map_or_else(|_| Vec::new(), |control| control.gauges())
    }

    async fn cleanup(&self) -> Result<(), BoxError> {
        self.app.plug_tokens(None);
        if let Some(control) = self.app.plug_control(None) {
            control.cleanup().await?;
            control.close().await;
        }
        Ok(())
    }
}

/// Opens the control database that the settings name; SQLite in the data folder by default.
pub async fn open_control(
    settings: &kit::Settings,
    data: &Path,
    clock: kit::SharedClock,
) -> Result<control::Control, BoxError> {
    let mut options = DatabaseSettings::from(&settings.database);
    if options.url.is_empty() {
        options.url = format!("sqlite://{}", std::path::absolute(data)?.display());
    }
    let database = Database::open(options, clock.clone()).await?;
    let keyring = control::Keyring::open(&secret_key_file(settings, data))?;
    Ok(control::Control::open_with(
        database,
        clock,
        keyring,
        &[&alert::schema::TENANT, &probe::check::TENANT],
    )
    .await?)
}

/// How tokens are made and judged: they are issued by, and for, this installation.
pub(crate) fn token_settings(settings: &kit::Settings) -> control::TokenSettings {
    let issuer = match settings.server.external_url.as_str() {
        "" => "bellwether".to_owned(),
        external => external.trim_end_matches('/').to_owned(),
    };
    control::TokenSettings {
        audience: issuer.clone(),
        issuer,
        bind_address: settings.auth_tokens.bind_address,
        bind_agent: settings.auth_tokens.bind_user_agent,
        ..control::TokenSettings::default()
    }
}

/// The file with the key that opens stored secrets.
pub fn secret_key_file(settings: &kit::Settings, data: &Path) -> PathBuf {
    match settings.secrets.key_file.as_str() {
        "" => data.join("secret.key"),
        file => PathBuf::from(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_retention_of_the_configuration_holds_from_the_opening_on() {
        let defaults = kit::Settings::default();
        let mut changed = defaults.clone();
        changed.retention.metrics = None;
        changed.retention.logs = None;
        changed.retention.traces = Some(Duration::from_secs(7200));
        changed.retention.events = None;
        changed.retention.checks = None;
        for settings in [defaults, changed] {
            let retentions = Retentions::default();
            let store = store_settings(&settings, &retentions, 1 << 30);
            assert_eq!(store.retention_ms, settings.retention.metrics.map(millis));
            let told = [
                (Signal::Logs, store.logs_retention_ms),
                (Signal::Traces, store.traces_retention_ms),
                (Signal::Events, store.events_retention_ms),
                (Signal::Audit, store.audit_retention_ms),
                (Signal::Checks, store.checks_retention_ms),
            ];
            for (signal, keep_ms) in told {
                assert_eq!(
                    keep_ms,
                    retentions.of(&settings, &TenantId::default_tenant(), signal).keep_ms,
                    "{signal:?}"
                );
            }
        }
    }
}
