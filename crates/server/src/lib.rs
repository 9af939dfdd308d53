//! Listeners, access, limits, routes, realtime, the embedded web application: the only place that knows
//! HTTP, gRPC and status codes.
//!
//! [`App`] is what handlers share; [`register`] makes every part of the server a service of the registry.

mod access; // how callers prove who they are
mod account; // signing in and out
mod alertmanager; // alerts of others, and for them
mod app; // what handlers share
mod audit; // what happened, stored and asked
mod audited; // rows of the audit log, filled in
mod body; // bounded bodies
mod chain; // what every request passes
mod checks; // health checks
mod dashboards; // what tenants begin with
mod error; // faults in every protocol's words
mod exports; // spans sent on
mod headers; // what every answer carries, other sites
mod health; // health, version, own metrics
mod jaeger; // Jaeger's read API
mod json; // JSON bodies of our own API
mod limits; // what tenants may use
mod listen; // sockets
mod mail; // letters
mod moment; // moments in JSON
mod monitoring; // /api/v1/monitoring
mod named; // names in paths
mod objects; // saved objects
mod openapi; // routes that say what they do
mod outbound; // requests to addresses that tenants name
mod own; // our own lines and spans
mod parts; // services
mod prom; // Prometheus's HTTP API
mod reach; // which telemetry a caller sees
mod realtime; // WebSocket
mod response; // rules, alerts and who is told
mod routes; // every path
mod rows_api; // logs, spans and events for explorers
mod security; // signs of an attack
mod services; // /api/v1/services
mod spans; // what the trace APIs share
mod sql; // /api/v1/sql
mod targets_json; // scrape targets on the wire
mod telemetry; // the server about itself
mod tempo; // Tempo's read API
mod tenants_api; // /api/v1/tenants
#[cfg(test)]
mod testing; // a server for tests
#[cfg(test)]
mod tests; // protocols, row by row
mod tls; // certificates of the listeners
mod traces_api; // traces and services for explorers
mod ui; // embedded pages
mod visitor; // whoever comes to a public route
mod word; // words of closed sets in JSON
mod write; // intakes

pub use app::{App, SharedApp};
pub use audit::{Tampered, VerifiedAudit, verify_offline};
pub use dashboards::defaults as tenant_defaults;
pub use limits::check_tenant_limits;
pub use listen::{ListenError, bind};
pub use own::{Layer as OwnLayer, OwnTelemetry};
pub use parts::{Listeners, open_control, register, secret_key_file};
pub use tls::own_fingerprint;

/// On the first start ever: an API key and the token of a sign-in link, shown once.
pub async fn bootstrap(app: &SharedApp) -> Result<Option<(String, String)>, control::ControlError> {
    let Ok(control) = app.control() else { return Ok(None) };
    dashboards::give(&control).await?;
    Ok(control
        .bootstrap()
        .await?
        .map(|first| (first.key.expose().to_owned(), first.link_token.expose().to_owned())))
}

/// Reads the configuration and the scrape file anew; the error says why they are not applied.
pub async fn reload(app: &SharedApp) -> Result<(), String> {
    app.reload().await.map_err(|fault| fault.message())
}
