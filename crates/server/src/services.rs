//! `GET /api/v1/services`: every part of the server with its state; restart by name.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::app::SharedApp;
use crate::error::{ApiFault, Fault};
use crate::realtime::timestamp;

/// All services by name.
pub(crate) async fn list(State(app): State<SharedApp>) -> Response {
    let services: Vec<Value> = app.registry().list().iter().map(to_json).collect();
    Json(json!({ "services": services })).into_response()
}

/// One service.
pub(crate) async fn get(
    State(app): State<SharedApp>,
    Path(name): Path<String>,
) -> Result<Response, ApiFault> {
    let info = app.registry().info(&name).map_err(|error| Fault::NotFound(error.to_string()))?;
    Ok(Json(to_json(&info)).into_response())
}

/// Stops a service and starts it anew.
pub(crate) async fn restart(
    State(app): State<SharedApp>,
    Path(name): Path<String>,
) -> Result<Response, ApiFault> {
    app.registry().info(&name).map_err(|error| Fault::NotFound(error.to_string()))?;
    let (registry, service) = (app.registry().clone(), name.clone());
    // A task of its own, so that a caller that goes away leaves no service stopped halfway.
    let restarting = kit::spawn::spawn("restart service", async move {
        let outcome = registry.restart(&service).await;
        if let Err(error) = &outcome {
            tracing::error!(service, %error, "restart failed");
        }
        outcome
    });
    // The listener that this request came by waits for it to end.
    if name == "http" {
        return Ok(StatusCode::ACCEPTED.into_response());
    }
    restarting
        .await
        .map_err(|_| Fault::Internal("the restart ended abnormally; the log has the reason".into()))?
        .map_err(|error| Fault::Internal(error.to_string()))?;
    get(State(app), Path(name)).await
}

fn to_json(info: &kit::ServiceInfo) -> Value {
    let operations: Map<String, Value> = info
        .metrics
        .operations
        .iter()
        .map(|(name, op)| {
            (name.clone(), json!({ "count": op.count, "errors": op.errors, "avg_ms": op.avg_ms }))
        })
        .collect();
    json!({
        "name": info.name,
        "description": info.description,
        "status": info.status,
        "message": info.message,
        "depends_on": info.depends_on,
        "restarts": info.restarts,
        "health": info.health,
        "uptime_seconds": info.uptime_ms / 1000,
        "registered_at": timestamp(info.registered_at),
        "last_health_check": timestamp(info.last_health_check),
        "response_time_ms": info.response_time_ms,
        "operations": operations,
        "gauges": info.metrics.gauges,
    })
}
