//! `GET /api/v1/services`: every part of the server with its state; restart by name.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kit::{HealthState, ServiceStatus};
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::SharedApp;
use crate::error::{ApiFault, Fault};
use crate::moment::Moment;
use crate::openapi::{Op, Routes};
use crate::word::Word;

/// For those who run the server.
pub(crate) fn routes() -> Routes {
    let base = "/api/v1/services";
    let service = &format!("{base}/{{name}}");
    Routes::new("Server")
        .get(
            base,
            list,
            Op::new("listServices", "Every part of the server with its state").gives::<Services>(),
        )
        .get(service, get, Op::new("getService", "A part of the server").gives::<Service>())
        .post(
            &format!("{service}/restart"),
            restart,
            Op::new("restartService", "Stops a part of the server and starts it anew")
                .about("`http`, by which the request came, is restarted afterwards: 202 without a body.")
                .gives::<Service>()
                .gives_nothing(202)
                .refuses(&[500]),
        )
}

/// Parts of the server.
#[derive(Serialize, JsonSchema)]
struct Services {
    services: Vec<Service>,
}

/// A part of the server.
#[derive(Serialize, JsonSchema)]
struct Service {
    name: String,
    description: String,
    status: Word<ServiceStatus>,
    /// Why it failed, or what the last health check had to say.
    message: Option<String>,
    /// Names of services.
    depends_on: Vec<String>,
    /// How often it was started anew.
    restarts: u64,
    health: Word<HealthState>,
    /// Since it last became ready.
    uptime_seconds: u64,
    registered_at: Moment,
    /// The time of registration until the first check.
    last_health_check: Moment,
    /// How long the last check took, milliseconds.
    response_time_ms: Option<f64>,
    operations: BTreeMap<String, ServiceOperation>,
    /// What the service itself measures, by name.
    gauges: BTreeMap<String, f64>,
}

/// What a service did of one kind.
#[derive(Serialize, JsonSchema)]
struct ServiceOperation {
    /// Finished, well or not.
    count: u64,
    /// Returned an error.
    errors: u64,
    /// Mean time, milliseconds.
    avg_ms: f64,
}

impl From<kit::ServiceInfo> for Service {
    fn from(info: kit::ServiceInfo) -> Self {
        let operation = |(name, done): (String, kit::OperationMetrics)| {
            (name, ServiceOperation { count: done.count, errors: done.errors, avg_ms: done.avg_ms })
        };
        Self {
            name: info.name,
            description: info.description,
            status: Word(info.status),
            message: info.message,
            depends_on: info.depends_on,
            restarts: info.restarts,
            health: Word(info.health),
            uptime_seconds: info.uptime_ms / 1000,
            registered_at: Moment(info.registered_at),
            last_health_check: Moment(info.last_health_check),
            response_time_ms: info.response_time_ms,
            operations: info.metrics.operations.into_iter().map(operation).collect(),
            gauges: info.metrics.gauges,
        }
    }
}

/// All services by name.
async fn list(State(app): State<SharedApp>) -> Json<Services> {
    Json(Services { services: app.registry().list().into_iter().map(Service::from).collect() })
}

/// One service.
async fn get(State(app): State<SharedApp>, Path(name): Path<String>) -> Result<Json<Service>, ApiFault> {
    let info = app.registry().info(&name).map_err(|error| Fault::NotFound(error.to_string()))?;
    Ok(Json(info.into()))
}

/// Stops a service and starts it anew.
async fn restart(State(app): State<SharedApp>, Path(name): Path<String>) -> Result<Response, ApiFault> {
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
    Ok(get(State(app), Path(name)).await?.into_response())
}
