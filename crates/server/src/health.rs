//! Health, readiness, version, own metrics, reload.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault, PromFault};
use crate::openapi::{Op, Routes, text};

/// What answers anyone.
pub(crate) fn public_routes() -> Routes {
    let plain = text("text/plain");
    let lives = |id| Op::new(id, "Whether the process answers").gives_content(plain);
    let of_ready = Op::new("isReady", "Whether writes are taken and queries answered")
        .gives_content(plain)
        .gives_status(503, plain);
    Routes::new("Server")
        .get("/healthz", healthy, lives("isAlive"))
        .get("/-/healthy", healthy, lives("isHealthy"))
        .get("/-/ready", ready, of_ready)
        .get("/version", version, Op::new("getVersion", "What runs here").gives::<Version>())
}

/// Own metrics, for a Prometheus.
pub(crate) fn metrics_routes() -> Routes {
    let op = Op::new("getOwnMetrics", "Metrics of the server itself as OpenMetrics text")
        .about("For tenant `default`, and whoever manages the platform.")
        .gives_content(text("application/openmetrics-text"));
    Routes::new("Server").get("/metrics", metrics, op)
}

/// What operators do.
pub(crate) fn operator_routes() -> Routes {
    let op = |id| Op::new(id, "Reads the configuration and the scrape file anew").gives_nothing(200);
    Routes::new("Server").post("/-/reload", reload, op("reload")).put("/-/reload", reload, op("reloadByPut"))
}

/// What runs here.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ServerVersion")]
struct Version {
    name: &'static str,
    version: &'static str,
    /// The commit it was built from; empty where that is not known.
    revision: &'static str,
}

/// The process answers.
async fn healthy() -> &'static str {
    "Bellwether is healthy.\n"
}

/// The log is open and the manifest loaded: writes are taken and queries answered.
async fn ready(State(app): State<SharedApp>) -> Response {
    if app.is_ready() {
        "Bellwether is ready.\n".into_response()
    } else {
        Fault::Unavailable("starting: services are being opened".into()).text()
    }
}

async fn version() -> Json<Version> {
    let revision = option_env!("BELLWETHER_REVISION").unwrap_or("");
    Json(Version { name: "bellwether", version: env!("CARGO_PKG_VERSION"), revision })
}

/// Own metrics as OpenMetrics text, for those who run the server: they are of all tenants.
async fn metrics(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, PromFault> {
    identity.reach().need_whole("figures of the server")?;
    if !identity.operates() {
        let why =
            "the server's own metrics are for those who run it: tenant default, and who manages the platform";
        return Err(Fault::Forbidden(why.to_owned()).into());
    }
    let mut response = app.own_metrics().into_response();
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// Reads the configuration and the scrape file anew. A bad one changes nothing and says why.
async fn reload(State(app): State<SharedApp>) -> Result<StatusCode, ApiFault> {
    app.reload().await?;
    Ok(StatusCode::OK)
}
