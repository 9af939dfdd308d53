//! One file for each thing that is looked at.

mod custom; // what the caller answers: queries, heartbeats, commands, functions
mod dns; // records
mod grpc; // gRPC's health protocol
mod host; // disk and memory
mod http; // HTTP and its statements
mod icmp; // echo requests
mod mysql; // MySQL's protocol
mod postgres; // PostgreSQL's protocol
mod redis; // RESP
mod scram; // SCRAM-SHA-256
mod stream; // TCP, TLS, and what both share
mod websocket; // WebSocket

use super::reach::Facts;
use super::spec::{Check, Config, Endpoint, Target};
use super::trace::{Fault, Trace};

/// One attempt.
pub(super) async fn probe(mut trace: Trace<'_>, facts: &dyn Facts) -> Result<(), Fault> {
    let (check, trace) = (trace.check, &mut trace);
    match &check.config {
        Config::Http(plan) => http::probe(trace, plan).await,
        Config::Tcp(config) => stream::tcp(trace, endpoint(check)?, config).await,
        Config::Tls(config) => stream::tls(trace, endpoint(check)?, config).await,
        Config::Dns(config) => dns::probe(trace, config).await,
        Config::Icmp(config) => icmp::probe(trace, endpoint(check)?, config).await,
        Config::Grpc(config) => grpc::probe(trace, endpoint(check)?, config).await,
        Config::WebSocket(config) => websocket::probe(trace, config).await,
        Config::Postgresql(config) => postgres::probe(trace, endpoint(check)?, config).await,
        Config::Mysql(config) => mysql::probe(trace, endpoint(check)?, config).await,
        Config::Redis(config) => redis::probe(trace, endpoint(check)?, config).await,
        Config::Disk(config) => host::disk(trace, facts, config).await,
        Config::Memory(config) => host::memory(trace, facts, config).await,
        Config::Heartbeat(config) => custom::heartbeat(trace, facts, config).await,
        Config::Query(config) => custom::query(trace, facts, config).await,
        Config::Command(config) => custom::command(trace, facts, config).await,
        Config::Custom(config) => custom::function(trace, facts, config).await,
    }
}

fn endpoint(check: &Check) -> Result<&Endpoint, Fault> {
    match &check.target {
        Target::Endpoint(endpoint) => Ok(endpoint),
        Target::Url(_) | Target::Text => Err(Fault::unknown("the target names no host and port")),
    }
}
