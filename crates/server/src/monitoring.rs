//! `/api/v1/monitoring/*`: health, system metrics rows, collection on request.

mod hosts; // who sends metrics of a machine
mod rows; // views over stored series

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use control::Permission;
use model::TenantId;
use schemars::JsonSchema;
use serde::Serialize;

use self::rows::{NamedSample, SystemMetric};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::moment::Moment;
use crate::openapi::{Op, Routes, count, json_as, string, time};
use crate::prom::params::Params;
use crate::reach::Reach;

/// Rows of one answer; `limit` may only lower it.
const ROWS_MAX: usize = 1000;
const ROWS_DEFAULT: usize = 100;
/// Rows of one instant that a cursor may pass over.
const SKIP_MAX: usize = 200_000;
/// The last moment that every zone's calendar has, in the year 9999.
const T_MS_MAX: i64 = 253_402_207_199_999;

/// What answers anyone.
pub(crate) fn public_routes() -> Routes {
    let op = Op::new("getHealth", "How the server is, in a word")
        .gives::<Health>()
        .gives_status(503, json_as::<Health>("application/json"));
    Routes::new("Server").get("/api/v1/monitoring/health", health, op)
}

/// Reads.
pub(crate) fn routes() -> Routes {
    let of_metrics =
        Op::new("listSystemMetrics", "Figures of this host, or samples of a metric; the newest first")
            .params(&[
                string("name", "A metric whose samples are asked for, instead of the figures of this host."),
                time("start", "First time: Unix seconds or RFC 3339. All time unless given."),
                time("end", "Last time, likewise. Now unless given."),
                count("limit", "Rows of a page: 100 unless given, at most 1000."),
                string("cursor", "Where the page before ended: its `nextCursor`."),
            ])
            .gives::<MetricPage>()
            .refuses(&[422]);
    let of_hosts =
        Op::new("listHosts", "Hosts that sent metrics within a week, by name").gives::<hosts::Hosts>();
    Routes::new("Hosts").get("/api/v1/monitoring/metrics", metrics, of_metrics).get(
        "/api/v1/monitoring/hosts",
        hosts::list,
        of_hosts,
    )
}

/// Collection on request.
pub(crate) fn collect_routes() -> Routes {
    let op = Op::new("collectMetrics", "Collects figures of this host now")
        .about("For tenant `default`, whose figures they are, and whoever manages the platform.")
        .creates::<Collected>()
        .refuses(&[422]);
    Routes::new("Hosts").post("/api/v1/monitoring/metrics/collect", collect, op)
}

/// How the whole server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ServerStatus")]
pub(crate) enum Overall {
    /// Everything works.
    Healthy,
    /// Something works badly that the rest can do without.
    Degraded,
    /// Something is down that the rest needs.
    Unhealthy,
}

/// How the server is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ServerHealth")]
struct Health {
    status: Overall,
    /// When it was asked.
    timestamp: Moment,
}

/// One word for the whole server, no details.
async fn health(State(app): State<SharedApp>) -> (StatusCode, Json<Health>) {
    let (status, code) = app.overall_health();
    (code, Json(Health { status, timestamp: Moment(app.now_ms()) }))
}

/// Figures of this host, or samples of the metric that was asked for.
#[derive(Serialize, JsonSchema)]
struct MetricPage {
    /// Always true.
    success: bool,
    data: Vec<MetricRow>,
    /// What to give as `cursor` for the page behind this one; `null` behind the last.
    #[serde(rename = "nextCursor")]
    next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum MetricRow {
    System(SystemMetric),
    Named(NamedSample),
}

/// What was collected.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CollectedMetrics")]
struct Collected {
    /// Always true.
    success: bool,
    /// `null` where nothing could be collected.
    data: Option<SystemMetric>,
}

/// SystemMetric rows, newest first: a view over the host's own series, with `start`, `end`, `limit` and
/// `cursor`; `name` selects any metric instead and answers its latest samples.
async fn metrics(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<MetricPage>, ApiFault> {
    let limit = params.count("limit")?.unwrap_or(ROWS_DEFAULT).clamp(1, ROWS_MAX);
    let bounded = |t_ms: i64| t_ms.clamp(-T_MS_MAX, T_MS_MAX);
    let cursor = params.get("cursor").map(parse_cursor).transpose()?;
    let end_ms = match cursor {
        Some((t_ms, _)) => t_ms,
        None => params.time("end")?.unwrap_or_else(|| app.now_ms()),
    };
    // Rows that an earlier page showed of the instant that this one starts at.
    let skip = cursor.map_or(0, |(_, skip)| skip);
    let (start_ms, end_ms) = (bounded(params.time("start")?.unwrap_or(i64::MIN)), bounded(end_ms));
    if start_ms > end_ms {
        return Err(Fault::invalid("end", "it must not be before start").into());
    }
    let wanted = limit + 1 + skip;
    let reach = &identity.reach();
    let rows: Vec<(i64, MetricRow)> = match params.get("name") {
        Some(name) => {
            let samples = rows::named(&app, reach, name, start_ms, end_ms, wanted).await?;
            samples.into_iter().map(|(t_ms, sample)| (t_ms, MetricRow::Named(sample))).collect()
        }
        None => {
            let rows = rows::system(&app, reach, start_ms, end_ms, wanted).await?;
            rows.into_iter().map(|(t_ms, row)| (t_ms, MetricRow::System(row))).collect()
        }
    };
    let next_cursor = rows.get(skip + limit).map(|(t_ms, _)| {
        let shown = rows[..skip + limit].iter().rev().take_while(|(t, _)| t == t_ms).count();
        format!("{t_ms}.{shown}")
    });
    let data = rows.into_iter().skip(skip).take(limit).map(|(_, row)| row).collect();
    Ok(Json(MetricPage { success: true, data, next_cursor }))
}

/// `<milliseconds>.<rows of that instant already shown>`.
fn parse_cursor(text: &str) -> Result<(i64, usize), Fault> {
    let parsed = text.split_once('.').and_then(|(t, n)| Some((t.parse().ok()?, n.parse().ok()?)));
    parsed.filter(|(_, shown)| *shown <= SKIP_MAX).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        Fault::invalid("cursor", format!("{shown:?} is not a cursor of an earlier answer"))
    })
}

/// Collects now; the row is stored and answered.
async fn collect(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<(StatusCode, Json<Collected>), ApiFault> {
    // What is read is the machine the server runs on, whose metrics belong to those who run it.
    let tenant = TenantId::default_tenant();
    let mut reach = identity.reach();
    if identity.tenant != tenant {
        identity.need(Permission::PlatformManage)?;
        reach = Reach::whole(&tenant);
    }
    let t_ms = app.collect_host(&tenant).await?;
    let data = rows::system(&app, &reach, t_ms, t_ms, 1).await?.into_iter().next().map(|(_, row)| row);
    Ok((StatusCode::CREATED, Json(Collected { success: true, data })))
}
