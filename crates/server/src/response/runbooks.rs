//! Runbooks at work: the steps of one in an incident are ticked, or asked for.

use alert::incident::Operation;
use alert::runbook::{RunRequest, RunbookSpec};
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use control::ObjectKind;
use schemars::JsonSchema;
use serde::Deserialize;

use super::incident_views::IncidentView;
use super::incidents::seen;
use super::remediation::RunView;
use super::who;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::openapi::{Op, Routes};

pub(super) fn routes() -> Routes {
    Routes::new("Incidents")
        .post(
            "/api/v1/monitoring/runbooks/{name}/runs",
            run,
            Op::new("runRunbookStep", "Asks for what a step of a runbook does")
                .about("A command waits for an agent that allows it, a webhook is sent; both wait for approval first where the step says so.")
                .takes::<NewRun>()
                .creates::<RunView>()
                .refuses(&[409, 429]),
        )
        .put(
            "/api/v1/monitoring/incidents/{id}/runbooks/{name}/steps/{n}",
            tick,
            Op::new("tickRunbookStep", "Ticks a step of an incident's runbook, or takes the tick away")
                .takes::<Tick>()
                .gives::<IncidentView>()
                .refuses(&[409]),
        )
}

/// What is asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewRun {
    /// Which step, from 0.
    step: usize,
    /// The incident it is for, whose labels the arguments may name.
    #[serde(default)]
    incident: Option<String>,
}

/// Whether it is done.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RunbookTick")]
struct Tick {
    done: bool,
}

/// A runbook of the tenant.
pub(super) async fn runbook(app: &SharedApp, identity: &Identity, name: &str) -> Result<RunbookSpec, Fault> {
    let object = app.control()?.object(&identity.tenant, ObjectKind::Runbook, name).await?;
    serde_json::from_value(object.spec)
        .map_err(|error| Fault::Conflict(format!("the runbook {name:?} does not read: {error}")))
}

async fn run(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
    body: Body<NewRun>,
) -> Result<(StatusCode, Json<RunView>), ApiFault> {
    let NewRun { step, incident } = body.0;
    let spec = runbook(&app, &identity, &name).await?;
    let count = spec.steps.len();
    let found = spec.steps.get(step).ok_or_else(|| {
        Fault::invalid("step", format!("{step} is none of its {count} steps, which begin with 0"))
    })?;
    let action = found.action.as_ref().ok_or_else(|| {
        Fault::invalid("step", format!("step {step} has no action: tick it when it is done"))
    })?;
    let labels = match &incident {
        Some(id) => seen(&app, &identity, id).await?.labels,
        None => alert::Labels::new(),
    };
    let who = who(&identity);
    let request = RunRequest {
        runbook: &name,
        step,
        action,
        incident: incident.as_deref(),
        labels: &labels,
        who: &who,
    };
    let engine = app.engine_of(&identity.tenant).await?;
    let run = engine.request_run(&request).await.map_err(Fault::from)?;
    Ok((StatusCode::CREATED, Json(run.into())))
}

async fn tick(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((id, runbook, n)): Path<(String, String, String)>,
    body: Body<Tick>,
) -> Result<Json<IncidentView>, ApiFault> {
    seen(&app, &identity, &id).await?;
    let step =
        n.parse().map_err(|_| Fault::NotFound(format!("{n:?} is no step: steps are counted from 0")))?;
    let engine = app.engine_of(&identity.tenant).await?;
    let operation = Operation::Tick { runbook, step, done: body.0.done };
    let incident = engine.change_incident(&id, &operation, &who(&identity)).await.map_err(Fault::from)?;
    Ok(Json(incident.into()))
}
