//! The program on a host without the server: collects this machine's metrics, files and journal, takes in OTLP,
//! Loki, Zipkin, remote write, syslog and StatsD on loopback, and keeps everything on disk until the server has
//! it.
//!
//! One outward connection, one scoped key. What an intake acknowledged survives SIGKILL and a day without the
//! server, within the bound of the buffer; then intakes refuse and files wait. Configuration comes live from
//! the server: the saved object `agent/<host>`, else `agent/default`, looked at every half minute.

mod files; // log files
mod forward; // to the server
mod intake; // loopback
mod journal; // journald
mod outbox; // rows and samples to parcels
mod remediation; // commands of runbooks
mod remote_config; // what the server says to collect
mod sources; // syslog, StatsD, host, scraping
mod spool; // parcels on disk
mod state_file; // what is remembered between runs

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kit::{SharedClock, Shutdown};

pub(crate) use outbox::Outbox;
pub use remediation::{Allowed, read_allowed};
pub use remote_config::Collect;
pub use spool::{Parcel, Position, Spool, SpoolError};

/// How the agent runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server.
    pub url: String,
    /// A key of the server with the scope ingest.
    pub token: String,
    /// Folder of the buffer and of places in files.
    pub folder: PathBuf,
    /// Bytes that may wait for the server.
    pub buffer_bytes: u64,
    /// Loopback intakes over HTTP, OTLP over gRPC among them.
    pub listen: Vec<SocketAddr>,
    /// Syslog over UDP and TCP.
    pub syslog: Option<SocketAddr>,
    /// StatsD over UDP.
    pub statsd: Option<SocketAddr>,
    /// What is collected unless the server says otherwise.
    pub collect: Collect,
    /// Commands that runbooks may have run here; the server is not asked without any.
    pub commands: Allowed,
}

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The buffer.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The way to the server.
    #[error("cannot prepare requests: {0}")]
    Http(#[from] reqwest::Error),
    /// An address.
    #[error("cannot listen on {address}: {source}; choose another address")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Bytes of one parcel of ours, about: far below what a server takes in one request.
pub(crate) const PARCEL_BYTES: usize = 4 << 20;

/// Time between two looks at what the server says to collect.
const CONFIG_EVERY: Duration = Duration::from_secs(30);

/// Runs until asked to stop; what was acknowledged is on disk then.
pub async fn run(settings: Settings, clock: SharedClock, stop: Shutdown) -> Result<(), AgentError> {
    let spool = Spool::open(&settings.folder.join("buffer"), settings.buffer_bytes)?;
    let outbox = Outbox::new(spool.clone(), clock.clone());
    let mut tasks = tokio::task::JoinSet::new();
    for address in settings.listen.clone() {
        let (spool, stop) = (spool.clone(), stop.clone());
        tasks.spawn(async move {
            let served = intake::serve(address, spool, stop).await;
            served.map_err(|source| AgentError::Listen { address, source })
        });
    }
    if let Some(address) = settings.syslog {
        let (outbox, stop) = (outbox.clone(), stop.clone());
        tasks.spawn(async move {
            let served = sources::syslog(address, outbox, stop).await;
            served.map_err(|source| AgentError::Listen { address, source })
        });
    }
    if let Some(address) = settings.statsd {
        let (outbox, stop) = (outbox.clone(), stop.clone());
        tasks.spawn(async move {
            let served = sources::statsd(address, outbox, stop).await;
            served.map_err(|source| AgentError::Listen { address, source })
        });
    }
    let collector = sources::Collector::new(outbox, clock, settings.folder.clone());
    let remote = remote_config::Remote::new(&settings.url, &settings.token, collector.host())?;
    if !settings.commands.is_empty() {
        let host = collector.host();
        let remediation =
            remediation::Remediation::new(&settings.url, &settings.token, host, settings.commands.clone())?;
        let stop = stop.clone();
        tasks.spawn(async move {
            remediation.run(&stop).await;
            Ok(())
        });
    }
    let wanted = settings.collect.clone();
    let of_collector = stop.clone();
    tasks.spawn(async move {
        collector.run(remote, wanted, CONFIG_EVERY, of_collector).await;
        Ok(())
    });
    let forwarder = forward::Forwarder::new(&settings.url, &settings.token)?;
    let of_forwarder = (spool.clone(), stop.clone());
    tasks.spawn(async move { Ok(forwarder.run(&of_forwarder.0, &of_forwarder.1).await?) });
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(outcome) => outcome?,
            Err(error) => tracing::error!(%error, "a part of the agent ended abnormally"),
        }
    }
    spool.close();
    Ok(())
}
