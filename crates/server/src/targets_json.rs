//! Scrape targets in the shape of Prometheus's API, with what it lacks: jobs that are not supported here.

use probe::scrape::{TargetMetadata, TargetStatus, Targets};
use serde_json::{Value, json};

use crate::prom::metadata::labels_json;
use crate::realtime::timestamp;

/// Upstream's zero time, for a target that was not scraped yet.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The data of `/api/v1/targets`, of one pool where it is named.
pub(crate) fn targets(all: &Targets, pool: Option<&str>) -> Value {
    let of_pool = |name: &str| pool.is_none_or(|pool| pool == name);
    let active: Vec<Value> = all.active.iter().filter(|t| of_pool(&t.scrape_pool)).map(active).collect();
    let dropped: Vec<Value> = all
        .dropped
        .iter()
        .filter(|t| of_pool(&t.scrape_pool))
        .map(
            |t| json!({ "discoveredLabels": labels_json(&t.discovered_labels), "scrapePool": t.scrape_pool }),
        )
        .collect();
    let unsupported: Vec<Value> =
        all.unsupported.iter().map(|job| json!({ "job": job.name, "reason": job.reason })).collect();
    let problems: Vec<Value> =
        all.problems.iter().map(|(job, reason)| json!({ "job": job, "reason": reason })).collect();
    json!({
        "activeTargets": active,
        "droppedTargets": dropped,
        "droppedTargetCounts": all.dropped_counts,
        "unsupportedJobs": unsupported,
        "discoveryProblems": problems,
    })
}

fn active(target: &TargetStatus) -> Value {
    json!({
        "discoveredLabels": labels_json(&target.discovered_labels),
        "labels": labels_json(&target.labels),
        "scrapePool": target.scrape_pool,
        "scrapeUrl": target.scrape_url,
        "globalUrl": target.global_url,
        "lastError": target.last_error,
        "lastScrape": target.last_scrape_ms.map_or_else(|| NEVER.to_owned(), timestamp),
        "lastScrapeDuration": target.last_scrape_duration.as_secs_f64(),
        "health": target.health.as_str(),
        "scrapeInterval": target.scrape_interval.to_string(),
        "scrapeTimeout": target.scrape_timeout.to_string(),
    })
}

/// The data of `/api/v1/targets/metadata`, of one metric where it is named.
pub(crate) fn metadata(all: &[TargetMetadata], metric: Option<&str>, limit: usize) -> Vec<Value> {
    all.iter()
        .filter(|one| metric.is_none_or(|name| name == one.metadata.metric))
        .take(limit)
        .map(|one| {
            json!({
                "target": labels_json(&one.target),
                "metric": one.metadata.metric,
                "type": one.metadata.kind.as_str(),
                "help": one.metadata.help,
                "unit": one.metadata.unit,
            })
        })
        .collect()
}
