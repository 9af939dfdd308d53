//! `/api/v1/status/*`, and which Alertmanagers are notified.

use axum::extract::{Extension, State};
use axum::response::Response;
use model::TimeRange;
use serde_json::{Value, json};

use super::answers::{
    Alertmanagers, BuildInfo, Configuration, Flags, RuntimeInfo, Success, TsdbStatus, WalReplay,
};
use super::params::Params;
use super::{blocking, success};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::PromFault;
use crate::openapi::{Op, Routes, count};

/// The version of Prometheus whose API this is: clients switch features by it. Ours is beside it.
const PROMETHEUS_VERSION: &str = "3.8.0";

/// What runs here.
pub(super) fn routes() -> Routes {
    let of_tsdb = Op::new("getTsdbStatus", "How many series there are, and of what")
        .params(&[count("limit", "Entries of each list: 10 unless given, and for 0; at most 10000.")])
        .gives::<Success<TsdbStatus>>()
        .refuses(&[422]);
    let op = Op::new;
    Routes::new("Prometheus")
        .get(
            "/api/v1/alertmanagers",
            alertmanagers,
            op("listAlertmanagers", "Who is notified").gives::<Success<Alertmanagers>>(),
        )
        .get(
            "/api/v1/status/buildinfo",
            buildinfo,
            op("getBuildInfo", "The version of Prometheus whose API this is, and ours")
                .gives::<Success<BuildInfo>>(),
        )
        .get(
            "/api/v1/status/config",
            config,
            op("getConfiguration", "The configuration in force, without secrets")
                .gives::<Success<Configuration>>(),
        )
        .get("/api/v1/status/flags", flags, op("getFlags", "Settings by name").gives::<Success<Flags>>())
        .get(
            "/api/v1/status/runtimeinfo",
            runtimeinfo,
            op("getRuntimeInfo", "When it started and how much it holds").gives::<Success<RuntimeInfo>>(),
        )
        .get("/api/v1/status/tsdb", tsdb, of_tsdb)
        .get(
            "/api/v1/status/walreplay",
            walreplay,
            op("getWalReplay", "How far the log is replayed").gives::<Success<WalReplay>>(),
        )
}

/// Versions. `features` stays away: Grafana takes a non-empty one for Mimir.
async fn buildinfo() -> Response {
    success(&json!({
        "version": PROMETHEUS_VERSION,
        "revision": option_env!("BELLWETHER_REVISION").unwrap_or(""),
        "branch": "main",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": "bellwether",
        "applicationVersion": env!("CARGO_PKG_VERSION"),
    }))
}

/// The configuration in force, without secrets; nothing of it for whoever does not run the server.
async fn config(State(app): State<SharedApp>, Extension(identity): Extension<Identity>) -> Response {
    let yaml = if identity.operates() { app.config_text() } else { String::new() };
    success(&json!({ "yaml": yaml }))
}

/// Settings by name, as upstream's flags are.
async fn flags(State(app): State<SharedApp>, Extension(identity): Extension<Identity>) -> Response {
    let rows = if identity.operates() { app.config_rows() } else { Vec::new() };
    let flags: serde_json::Map<String, Value> =
        rows.into_iter().map(|(key, value)| (key, Value::String(value))).collect();
    success(&Value::Object(flags))
}

/// When it started and how much it holds; only how long metrics are kept for whoever does not run the server.
async fn runtimeinfo(State(app): State<SharedApp>, Extension(identity): Extension<Identity>) -> Response {
    if !identity.operates() {
        return success(&json!({ "storageRetention": app.retention_text() }));
    }
    success(&json!({
        "startTime": crate::realtime::timestamp(app.started_ms()),
        "CWD": "",
        "hostname": "",
        "serverTime": crate::realtime::timestamp(app.now_ms()),
        "reloadConfigSuccess": app.config_is_good(),
        "lastConfigTime": crate::realtime::timestamp(app.started_ms()),
        "corruptionCount": 0,
        "goroutineCount": 0,
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": app.memory_limit(),
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": app.retention_text(),
    }))
}

/// How many series there are, and of what.
async fn tsdb(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, PromFault> {
    let limit = params.count("limit")?.filter(|n| *n > 0).unwrap_or(10).min(10_000);
    let reader = app.reader(&identity.reach()).await?;
    // What a Prometheus would have in its head: the last two to three hours.
    let range = TimeRange { start_ms: app.now_ms() - 3 * 3600 * 1000, end_ms: i64::MAX };
    let stats =
        blocking(&app, &identity.tenant, "tsdb status", move || reader.cardinality(range, limit)).await?;
    let rows = |list: &[(String, u64)]| -> Vec<Value> {
        list.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
    };
    Ok(success(&json!({
        "headStats": {
            "numSeries": stats.series,
            "numLabelPairs": stats.label_pairs,
            "chunkCount": stats.chunks,
            "minTime": stats.min_ms,
            "maxTime": stats.max_ms,
        },
        "seriesCountByMetricName": rows(&stats.series_by_metric),
        "labelValueCountByLabelName": rows(&stats.values_by_label),
        "memoryInBytesByLabelName": rows(&stats.bytes_by_label),
        "seriesCountByLabelValuePair": rows(&stats.series_by_pair),
    })))
}

/// Replay of the log: done once the server is ready for all rows.
async fn walreplay(State(app): State<SharedApp>) -> Response {
    let state = if app.is_replayed() { "done" } else { "in progress" };
    success(&json!({ "min": 0, "max": 0, "current": 0, "state": state }))
}

/// No Alertmanager is notified.
async fn alertmanagers() -> Response {
    success(&json!({ "activeAlertmanagers": [], "droppedAlertmanagers": [] }))
}
