//! The parts of the server as services of the registry: opened in order of need, supervised, listed.

mod collectors; // host, own metrics, scraping, StatsD
mod listeners; // HTTP and OTLP
pub(crate) mod stores; // telemetry and control data

use std::path::PathBuf;
use std::sync::Arc;

use kit::{Registration, ServiceError};
use tokio::net::TcpListener;

pub use stores::{open_control, secret_key_file};

use crate::app::SharedApp;

/// Listeners, bound before anything is opened, so that a taken port is known at once.
#[derive(Debug)]
pub struct Listeners {
    /// Web application and every HTTP API.
    pub http: TcpListener,
    /// OTLP over gRPC.
    pub otlp_grpc: Option<TcpListener>,
    /// OTLP over HTTP.
    pub otlp_http: Option<TcpListener>,
}

/// Registers every part. `data` is the folder of storage and database.
pub fn register(app: &SharedApp, data: PathBuf, listeners: Listeners) -> Result<(), ServiceError> {
    let registry = app.registry();
    registry.register(
        Registration::instance("store", Arc::new(stores::StorePart::new(app.clone(), data.clone())))
            .describe("write-ahead log, heads, segments, compaction, retention"),
    )?;
    registry.register(
        Registration::instance("control", Arc::new(stores::ControlPart::new(app.clone(), data.clone())))
            .describe("keys, sign-in links, sessions, saved objects"),
    )?;
    let audited = app.clone();
    registry.register(
        Registration::task("audit", move |stop| crate::audit::run(audited.clone(), stop))
            .describe("what happened, chained and stored"),
    )?;
    registry.register(
        Registration::instance("notifier", Arc::new(crate::response::AlertingPart::new(app.clone())))
            .depends_on(["control"])
            .describe("notifications: the queue, and those who send what it hands out"),
    )?;
    let alerted = app.clone();
    registry.register(
        Registration::task("alerting", move |stop| crate::response::alerting(alerted.clone(), stop))
            .depends_on(["store", "control", "notifier"])
            .describe("rules are evaluated, groups of alerts speak"),
    )?;
    let checked = app.clone();
    registry.register(
        Registration::task("checks", move |stop| crate::checks::run(checked.clone(), stop))
            .depends_on(["store", "control"])
            .describe("health checks are carried out, their results stored"),
    )?;
    let tenants = app.clone();
    registry.register(
        Registration::task("tenants", move |stop| crate::tenants_api::tend(tenants.clone(), stop))
            .describe("half-made tenants undone, deleted ones removed"),
    )?;
    app.exports().keep_in(&data);
    let exporting = app.clone();
    registry.register(
        Registration::task("exporter", move |stop| crate::exports::run(exporting.clone(), stop))
            .describe("spans sent on to files and other servers"),
    )?;
    let watched = app.clone();
    registry.register(
        Registration::task("configuration", move |stop| {
            collectors::watch_configuration(watched.clone(), stop)
        })
        .describe("reads settings anew when a file changes"),
    )?;
    registry.register(
        Registration::instance("tls", Arc::new(crate::tls::TlsPart::new(app.clone(), data.clone())))
            .describe("certificates of the listeners, read anew when they change"),
    )?;
    if crate::mail::is_on(app) {
        registry.register(
            Registration::instance("mail", Arc::new(crate::mail::MailPart::new(app.clone())))
                .depends_on(["control"])
                .describe("letters: invitations, forgotten passwords"),
        )?;
    }
    listeners::register(app, listeners)?;
    collectors::register(app)
}
