//! Prometheus's HTTP API, complete for Grafana's stock data source; one module per kind of question.

pub(crate) mod admin; // delete series
pub(crate) mod export; // CSV and text
pub(crate) mod federate; // latest values as text
pub(crate) mod metadata; // labels, series, metadata, exemplars
mod number; // numbers in JSON
pub(crate) mod params; // what was asked
pub(crate) mod query; // instant and range queries
pub(crate) mod remote_read; // samples for other evaluators
mod result; // results in JSON
pub(crate) mod status; // what runs here
pub(crate) mod targets; // what is scraped
pub(crate) mod text; // queries as text and tree

use axum::Json;
use axum::response::{IntoResponse, Response};
use model::TenantId;
use serde_json::{Value, json};

use crate::app::SharedApp;
use crate::error::Fault;

/// `{"status": "success", "data": …}`.
pub(crate) fn success(data: &Value) -> Response {
    Json(json!({ "status": "success", "data": data })).into_response()
}

/// The same with warnings, which are left out when there are none.
pub(crate) fn success_with(data: &Value, warnings: &[String]) -> Response {
    if warnings.is_empty() {
        return success(data);
    }
    Json(json!({ "status": "success", "data": data, "warnings": warnings })).into_response()
}

/// Runs a look-up that reads files on a thread that may block, in a query's slot.
pub(crate) async fn blocking<T: Send + 'static>(
    app: &SharedApp,
    tenant: &TenantId,
    name: &'static str,
    work: impl FnOnce() -> Result<T, ::query::QueryFault> + Send + 'static,
) -> Result<T, Fault> {
    app.in_slot(tenant, name, app.query_deadline(tenant), move || Ok(work()?)).await
}
