//! `/api/v1/targets` and its relatives: what is scraped, and what a file asks for that is not supported.

use axum::extract::{Extension, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::params::Params;
use super::success;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::PromFault;

/// Active and dropped targets, and jobs whose discovery we lack.
pub(crate) async fn targets(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, PromFault> {
    identity.reach().need_whole("targets")?;
    let state = params.get("state").unwrap_or("any");
    let pool = params.get("scrapePool");
    let mut data = app.targets_json(pool);
    if state == "active" {
        data["droppedTargets"] = Value::Array(Vec::new());
    }
    if state == "dropped" {
        data["activeTargets"] = Value::Array(Vec::new());
    }
    Ok(success(&data))
}

/// Metadata as targets stated it when they were last scraped.
pub(crate) async fn metadata(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, PromFault> {
    identity.reach().need_whole("targets")?;
    let limit = params.count("limit").ok().flatten().filter(|n| *n > 0).unwrap_or(10_000);
    Ok(success(&Value::Array(app.targets_metadata_json(params.get("metric"), limit))))
}

/// Names of jobs.
pub(crate) async fn pools(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, PromFault> {
    identity.reach().need_whole("targets")?;
    Ok(success(&json!({ "scrapePools": app.scrape_pools() })))
}
