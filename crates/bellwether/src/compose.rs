//! The composition root: configuration, listeners, services, signals. One page, no hidden globals.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use kit::config::Auto;
use kit::config::settings::{LocalAuth, TlsMode};
use kit::{
    Budget, ConfigSources, ConfigurationManager, ServiceRegistry, Settings, ShutdownTrigger, SystemClock,
};
use server::{App, Listeners, SharedApp};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Arguments;
use crate::greeting::{self, Addresses, FirstSecrets};
use crate::logging;

/// What a start may fail with: a sentence that names the setting and the remedy.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The configuration from all its sources.
pub(crate) fn load(arguments: &Arguments) -> Result<Arc<ConfigurationManager>, Failure> {
    let sources = ConfigSources::of_process(arguments.config_file(), arguments.settings());
    Ok(ConfigurationManager::load(arguments.environment(), sources, SystemClock::shared())?)
}

/// The folder of storage and database.
pub(crate) fn data_folder(settings: &Settings) -> PathBuf {
    let named = settings.storage.url.expose().strip_prefix("file://").filter(|folder| !folder.is_empty());
    PathBuf::from(named.unwrap_or(&settings.general.data))
}

/// Serves until a signal ends it.
pub(crate) fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let config = load(arguments)?;
    let own = server::OwnTelemetry::default();
    logging::start(&config.settings(), &own);
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(config, own));
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    outcome
}

async fn run(config: Arc<ConfigurationManager>, own: server::OwnTelemetry) -> Result<(), Failure> {
    let settings = config.settings();
    let data = data_folder(&settings);
    make_folder(&data)?;
    let listeners = bind(&settings).await?;
    let addresses = Addresses {
        http: listeners.http.local_addr()?,
        otlp_grpc: listeners.otlp_grpc.as_ref().map(|l| l.local_addr()).transpose()?,
        otlp_http: listeners.otlp_http.as_ref().map(|l| l.local_addr()).transpose()?,
        tls: settings.tls.mode != TlsMode::Off,
    };
    let open = access_is_open(&settings, &addresses)?;
    let (trigger, shutdown) = ShutdownTrigger::new();
    let clock = SystemClock::shared();
    let registry = ServiceRegistry::new(clock.clone());
    let explicit = match settings.memory.limit {
        Auto::Auto => None,
        Auto::Set(bytes) => Some(bytes.0),
    };
    let budget = Budget::new(kit::budget::detect(explicit).bytes);
    let app = App::new(Arc::clone(&config), registry.clone(), clock, budget, shutdown.clone(), open, own);
    server::register(&app, data, listeners)?;
    registry.start_all().await?;
    let first = first_secrets(&app).await?;
    // Whoever reads the greeting may be gone by now, which is no reason to stop.
    let greeting = {
        let own = server::own_fingerprint(&app);
        greeting::text(&addresses, &settings.server.external_url, first.as_ref(), own.as_deref())
    };
    let _ = std::io::stdout().write_all(greeting.as_bytes());
    notify("READY=1");
    let watching = kit::spawn::spawn("supervision", watch(registry.clone(), shutdown));
    wait_for_the_end(&app).await?;
    notify("STOPPING=1");
    tracing::info!("stopping: open requests finish, the store is flushed");
    trigger.request();
    let report = registry.shutdown(settings.server.shutdown_timeout).await;
    let _ = watching.await;
    if report.is_clean() { Ok(()) } else { Err(format!("stopped with problems: {report:?}").into()) }
}

fn make_folder(data: &std::path::Path) -> Result<(), Failure> {
    std::fs::create_dir_all(data).map_err(|error| {
        format!(
            "cannot use data folder {}: {error}; choose another with --data or give it to this user",
            data.display()
        )
    })?;
    Ok(())
}

async fn bind(settings: &Settings) -> Result<Listeners, Failure> {
    let otlp_grpc = match settings.otlp.grpc {
        Some(address) => Some(server::bind("otlp.grpc (--otlp-grpc ADDR|off)", address).await?),
        None => None,
    };
    let otlp_http = match settings.otlp.http {
        Some(address) => Some(server::bind("otlp.http (--otlp-http ADDR|off)", address).await?),
        None => None,
    };
    let http = server::bind("server.listen (--listen ADDR)", settings.server.listen).await?;
    Ok(Listeners { http, otlp_grpc, otlp_http })
}

/// Open access is for this machine alone: asking for it on any other address is an error, not a surprise. What the
/// settings say was checked when they were read; here are the addresses that were bound.
fn access_is_open(settings: &Settings, addresses: &Addresses) -> Result<bool, Failure> {
    if settings.auth.local == LocalAuth::Required {
        return Ok(false);
    }
    let syslog = &settings.syslog;
    let datagrams = [settings.statsd.listen, syslog.udp, syslog.tcp, syslog.tls];
    let all = [Some(addresses.http), addresses.otlp_grpc, addresses.otlp_http].into_iter().chain(datagrams);
    match all.flatten().find(|address| !address.ip().is_loopback()) {
        None => Ok(true),
        Some(address) => Err(format!(
            "{address} is reachable from other machines while auth.local = \"open\": \
             set auth.local = \"required\" (--set auth.local=required), or listen on 127.0.0.1"
        )
        .into()),
    }
}

async fn first_secrets(app: &SharedApp) -> Result<Option<FirstSecrets>, Failure> {
    let first = server::bootstrap(app).await?;
    Ok(first.map(|(key, link_token)| FirstSecrets { key, link_token }))
}

/// Supervises the services, and tells the service manager that somebody does.
async fn watch(registry: ServiceRegistry, shutdown: kit::Shutdown) {
    let beat = async {
        loop {
            notify("WATCHDOG=1");
            tokio::time::sleep(std::time::Duration::from_secs(10)).await;
        }
    };
    tokio::select! {
        () = registry.watch(shutdown) => {}
        () = beat => {}
    }
}

/// Waits for SIGINT or SIGTERM; SIGHUP reads the configuration anew.
async fn wait_for_the_end(app: &SharedApp) -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => {
                if let Err(reason) = server::reload(app).await {
                    tracing::error!(reason, "the configuration was not applied");
                }
            }
        }
    }
}

/// Tells systemd, where it asked to be told. A datagram to the socket that it names.
fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = std::os::unix::net::UnixDatagram::unbound().and_then(|socket| {
        match path.to_str().and_then(|p| p.strip_prefix('@')) {
            Some(name) => {
                use std::os::linux::net::SocketAddrExt;
                let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
                socket.send_to_addr(state.as_bytes(), &address)
            }
            None => socket.send_to(state.as_bytes(), &path),
        }
    });
    if let Err(error) = sent {
        tracing::warn!(%error, "cannot tell the service manager {state}");
    }
}
