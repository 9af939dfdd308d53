//! Our own log: to standard error, as text, or as JSON where the configuration says.

use std::io::IsTerminal;

use kit::Settings;
use kit::config::settings::LogFormat;
use tracing_subscriber::EnvFilter;

/// Starts logging. `RUST_LOG` wins over `logging.level`, for whoever looks into a problem.
pub(crate) fn start(settings: &Settings) {
    let level = settings.logging.level.as_str();
    let ours: String = CRATES.iter().map(|name| format!(",{name}={level}")).collect();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("warn{ours}")));
    // A log that nobody reads any more is no reason to panic, as reporting its failure would.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    match settings.logging.format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).init(),
    }
}

/// Crates of ours, whose events follow `logging.level`; libraries stay at warnings.
const CRATES: &[&str] =
    &["bellwether", "kit", "store", "db", "control", "probe", "query", "server", "promql", "ingest"];
