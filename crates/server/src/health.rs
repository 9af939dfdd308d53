//! Health, readiness, version, own metrics, reload.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault, PromFault};

/// The process answers.
pub(crate) async fn healthy() -> &'static str {
    "Bellwether is healthy.\n"
}

/// The log is open and the manifest loaded: writes are taken and queries answered.
pub(crate) async fn ready(State(app): State<SharedApp>) -> Response {
    if app.is_ready() {
        "Bellwether is ready.\n".into_response()
    } else {
        Fault::Unavailable("starting: services are being opened".into()).text()
    }
}

/// What runs here.
pub(crate) async fn version() -> Response {
    let revision = option_env!("BELLWETHER_REVISION").unwrap_or("");
    Json(json!({ "name": "bellwether", "version": env!("CARGO_PKG_VERSION"), "revision": revision }))
        .into_response()
}

/// Own metrics as OpenMetrics text, for those who run the server: they are of all tenants.
pub(crate) async fn metrics(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, PromFault> {
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
pub(crate) async fn reload(State(app): State<SharedApp>) -> Result<StatusCode, ApiFault> {
    app.reload().await?;
    Ok(StatusCode::OK)
}
