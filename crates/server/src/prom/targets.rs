//! `/api/v1/targets` and its relatives: what is scraped, and what a file asks for that is not supported. The file is
//! the server's and what is scraped is tenant `default`'s, so other tenants have no targets.

use axum::extract::{Extension, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::params::Params;
use super::success;
use crate::app::SharedApp;
use crate::chain::Identity;

/// Active and dropped targets, and jobs whose discovery we lack.
pub(crate) async fn targets(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Response {
    let state = params.get("state").unwrap_or("any");
    let pool = params.get("scrapePool");
    let mut data = app.targets_json(&identity, pool);
    if state == "active" {
        data["droppedTargets"] = Value::Array(Vec::new());
    }
    if state == "dropped" {
        data["activeTargets"] = Value::Array(Vec::new());
    }
    success(&data)
}

/// Metadata as targets stated it when they were last scraped.
pub(crate) async fn metadata(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Response {
    let limit = params.count("limit").ok().flatten().filter(|n| *n > 0).unwrap_or(10_000);
    success(&Value::Array(app.targets_metadata_json(&identity, params.get("metric"), limit)))
}

/// Names of jobs.
pub(crate) async fn pools(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Response {
    success(&json!({ "scrapePools": app.scrape_pools(&identity) }))
}
