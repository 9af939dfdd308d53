//! `/api/v1/targets` and its relatives: what is scraped, and what a file asks for that is not supported. The file is
//! the server's and what is scraped is tenant `default`'s, so other tenants have no targets.

use axum::extract::{Extension, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::answers::{ScrapePools, Success, TargetMetadata, Targets};
use super::params::Params;
use super::success;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::PromFault;
use crate::openapi::{Op, Routes, choice, count, string};

/// What is scraped.
pub(super) fn routes() -> Routes {
    let of_targets = Op::new("listTargets", "What is scraped, and jobs that cannot be")
        .params(&[
            choice("state", &["any", "active", "dropped"], "Which targets; `any` unless given."),
            string("scrapePool", "Targets of this job only."),
        ])
        .gives::<Success<Targets>>();
    let of_metadata =
        Op::new("listTargetMetadata", "Metadata as targets stated it when they were last scraped")
            .params(&[
                string("metric", "This metric only."),
                count("limit", "Entries at most: 10000 unless given, and for 0."),
            ])
            .gives::<Success<TargetMetadata>>();
    let of_pools = Op::new("listScrapePools", "Names of scrape jobs").gives::<Success<ScrapePools>>();
    Routes::new("Prometheus")
        .get("/api/v1/targets", targets, of_targets)
        .get("/api/v1/targets/metadata", metadata, of_metadata)
        .get("/api/v1/scrape_pools", pools, of_pools)
}

/// Active and dropped targets, and jobs whose discovery we lack.
async fn targets(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, PromFault> {
    identity.reach().need_whole("targets")?;
    let state = params.get("state").unwrap_or("any");
    let pool = params.get("scrapePool");
    let mut data = app.targets_json(&identity, pool);
    if state == "active" {
        data["droppedTargets"] = Value::Array(Vec::new());
    }
    if state == "dropped" {
        data["activeTargets"] = Value::Array(Vec::new());
    }
    Ok(success(&data))
}

/// Metadata as targets stated it when they were last scraped.
async fn metadata(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, PromFault> {
    identity.reach().need_whole("targets")?;
    let limit = params.count("limit").ok().flatten().filter(|n| *n > 0).unwrap_or(10_000);
    Ok(success(&Value::Array(app.targets_metadata_json(&identity, params.get("metric"), limit))))
}

/// Names of jobs.
async fn pools(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, PromFault> {
    identity.reach().need_whole("targets")?;
    Ok(success(&json!({ "scrapePools": app.scrape_pools(&identity) })))
}
