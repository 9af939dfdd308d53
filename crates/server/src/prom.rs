//! Prometheus's HTTP API, complete for Grafana's stock data source; one module per kind of question.

mod admin; // delete series
mod answers; // what answers look like
mod export; // CSV and text
mod federate; // latest values as text
pub(crate) mod metadata; // labels, series, metadata, exemplars
mod number; // numbers in JSON
pub(crate) mod params; // what was asked
pub(crate) mod query; // instant and range queries
mod remote_read; // samples for other evaluators
mod result; // results in JSON
pub(crate) mod rules; // rules and alerts
mod status; // what runs here
mod targets; // what is scraped
mod text; // queries as text and tree

use axum::Json;
use axum::response::{IntoResponse, Response};
use model::TenantId;
use serde_json::{Value, json};

use crate::app::SharedApp;
use crate::error::Fault;
use crate::openapi::Routes;

/// The prefix under which everything is served a second time.
const PREFIX: &str = "/prometheus";
/// What identifiers of the routes under the prefix end in.
const SUFFIX: &str = "BelowPrometheus";

/// The read API, at the root and under `/prometheus`.
pub(crate) fn routes() -> Routes {
    let read = || {
        query::routes()
            .merge(metadata::routes())
            .merge(text::routes())
            .merge(status::routes())
            .merge(rules::routes())
            .merge(targets::routes())
            .merge(federate::routes())
    };
    read().nest(PREFIX, SUFFIX, read())
}

/// Remote read, which refuses in plain text, at both places.
pub(crate) fn remote_read_routes() -> Routes {
    remote_read::routes().nest(PREFIX, SUFFIX, remote_read::routes())
}

/// What Prometheus keeps behind a flag, at both places.
pub(crate) fn admin_routes() -> Routes {
    admin::routes().nest(PREFIX, SUFFIX, admin::routes())
}

/// Remote write, which passes the chain itself, at both places.
pub(crate) fn intakes() -> Routes {
    let write = || crate::write::remote_write::routes().merge(crate::write::otlp::prometheus_routes());
    write().nest(PREFIX, SUFFIX, write())
}

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
