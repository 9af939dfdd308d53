//! Our own log: to standard error, as text, or as JSON where the configuration says.

use std::io::IsTerminal;

use kit::Settings;
use kit::config::settings::{LogFormat, LogLevel};
use server::OwnTelemetry;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Starts logging: to standard error, and into our own store by way of `own`. `RUST_LOG` wins over
/// `logging.level`, for whoever looks into a problem.
pub(crate) fn start(settings: &Settings, own: &OwnTelemetry) {
    let level: &'static str = settings.logging.level.as_str();
    let ours: String = CRATES.iter().map(|name| format!(",{name}={level}")).collect();
    let filter =
        || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("warn{ours}")));
    // A log that nobody reads any more is no reason to panic, as reporting its failure would.
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let lines = match settings.logging.format {
        LogFormat::Json => lines.json().with_filter(filter()).boxed(),
        LogFormat::Text => {
            let is_terminal = std::io::stderr().is_terminal();
            lines.with_target(false).with_ansi(is_terminal).with_filter(filter()).boxed()
        }
    };
    // Spans of tasks are of the level of debugging, and wanted below a request whatever is logged.
    let own = own.layer().with_filter(filter_fn(move |metadata| {
        let is_ours = CRATES.iter().any(|name| metadata.target().split("::").next() == Some(name));
        is_ours && (metadata.is_span() || metadata.level() <= &own_level(level))
    }));
    tracing_subscriber::registry().with(lines).with(own).init();
}

/// Starts logging to standard error alone.
pub(crate) fn start_plain(level: LogLevel) {
    let level = level.as_str();
    let ours: String = CRATES.iter().map(|name| format!(",{name}={level}")).collect();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("warn{ours}")));
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .with_target(false)
        .with_ansi(is_terminal)
        .init();
}

fn own_level(name: &str) -> tracing::Level {
    name.parse().unwrap_or(tracing::Level::INFO)
}

/// Crates of ours, whose events follow `logging.level`; libraries stay at warnings.
const CRATES: &[&str] = &[
    "agent",
    "bellwether",
    "kit",
    "store",
    "db",
    "control",
    "probe",
    "query",
    "server",
    "promql",
    "ingest",
    "pipeline",
];
