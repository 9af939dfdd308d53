//! Commands that ask a running server: `query`, `tail`, `export`, `apply`, `audit verify`.

mod apply; // objects from files
mod audit; // is the audit log as it was written
mod client; // requests with the key
mod documents; // YAML files as documents
mod export; // rows and samples to a file
mod export_objects; // objects to files
mod query; // PromQL, search, SQL
mod table; // answers for people
mod tail; // rows as they come

use clap::Args;

use crate::args::{ApplyArguments, ExportTable, QueryLanguage, TailArguments, VerifyArguments};
use crate::compose::Failure;

/// Which server, as whom.
#[derive(Args, Clone, Debug)]
pub(crate) struct Remote {
    /// Address of the server
    #[arg(long, env = "BELLWETHER_URL", default_value = "http://127.0.0.1:4300", value_name = "URL")]
    pub(crate) url: String,

    /// API key with the query scope; not needed from this machine while auth.local is open
    #[arg(long, env = "BELLWETHER_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) key: Option<String>,
}

/// A span of time.
#[derive(Args, Clone, Debug)]
pub(crate) struct Span {
    /// Begin: RFC 3339, seconds since 1970, or an age such as 2h [default: an hour ago]
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,

    /// End, likewise [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) end: Option<String>,
}

/// `bellwether query …`
pub(crate) fn query(language: &QueryLanguage) -> Result<(), Failure> {
    run(query::run(language))
}

/// `bellwether tail …`
pub(crate) fn tail(arguments: &TailArguments) -> Result<(), Failure> {
    run(tail::run(arguments))
}

/// `bellwether export …`
pub(crate) fn export(export: &ExportTable) -> Result<(), Failure> {
    match export.what.table() {
        Some(table) => run(export::run(export, table)),
        None => run(export_objects::run(export)),
    }
}

/// `bellwether apply …`
pub(crate) fn apply(arguments: &ApplyArguments) -> Result<(), Failure> {
    run(apply::run(arguments))
}

/// `bellwether audit verify …`
pub(crate) fn verify_audit(arguments: &VerifyArguments) -> Result<(), Failure> {
    run(audit::run(arguments))
}

/// The route of a tenant's objects.
fn objects_path(tenant: &str) -> Result<String, Failure> {
    if tenant.is_empty() || !tenant.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return Err(format!("--tenant: {tenant:?} is no tenant").into());
    }
    Ok(format!("/api/v1/tenants/{tenant}/objects"))
}

fn run(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

impl Span {
    /// Begin and end in seconds since the Unix epoch.
    pub(crate) fn seconds(&self, now: f64) -> Result<(f64, f64), Failure> {
        let end = self.end.as_deref().map_or(Ok(now), |text| time(text, now))?;
        let start = self.start.as_deref().map_or(Ok(end - 3600.0), |text| time(text, now))?;
        if start > end {
            return Err("--start is after --end".into());
        }
        Ok((start, end))
    }
}

/// A point in time as people write it, in seconds since the Unix epoch.
pub(crate) fn time(text: &str, now: f64) -> Result<f64, Failure> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok(seconds);
    }
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Ok(timestamp.as_nanosecond() as f64 / 1e9);
    }
    let age = text.trim_start_matches('-').trim_end_matches(" ago");
    match age.parse::<jiff::SignedDuration>() {
        Ok(age) => Ok(now - age.as_secs_f64()),
        Err(_) => Err(format!("{text:?} is no time: write 2026-01-31T12:00:00Z, 1769860800, or 2h").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates_seconds_or_ages() {
        for (text, want) in [
            ("1000", Some(1000.0)),
            ("1970-01-01T00:01:00Z", Some(60.0)),
            ("2h", Some(10_000.0 - 7200.0)),
            ("-5m", Some(10_000.0 - 300.0)),
            ("yesterday", None),
        ] {
            assert_eq!(time(text, 10_000.0).ok(), want, "{text}");
        }
    }
}
