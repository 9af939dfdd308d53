//! What a tenant works on.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch};
use axum::{Json, Router};
use control::{NewProject, Project};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fields::{Paging, given};
use super::tenant_of;
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::ApiFault;
use crate::json::Body;
use crate::prom::params::Params;
use crate::realtime::timestamp;

pub(super) fn routes() -> Router<SharedApp> {
    Router::new()
        .route("/api/v1/tenants/{tenant}/projects", get(list).post(create))
        .route("/api/v1/tenants/{tenant}/projects/{id}", patch(change).delete(remove))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    #[serde(default)]
    description: String,
    team: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    description: Option<String>,
    /// `null` takes the team away.
    #[serde(default, deserialize_with = "given")]
    team: Option<Option<String>>,
}

fn project_json(project: &Project) -> Value {
    json!({
        "id": project.id,
        "name": project.name,
        "description": project.description,
        "team": project.team,
        "created_at": timestamp(project.created_at),
        "updated_at": timestamp(project.updated_at),
    })
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    params: Params,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let paging = Paging::read(&params)?;
    let found = app.control()?.projects(&tenant.id, paging.after(), paging.limit()).await?;
    Ok(paging.answer(&found, project_json, |project| &project.name))
}

async fn create(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    body: Body<New>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let New { name, description, team } = &body.0;
    let new = NewProject { name, description, team: team.as_deref() };
    let project = app.control()?.create_project(&tenant.id, new).await?;
    audited(&app, &identity, &tenant.id, "projects:create", &project.name, &Value::Null);
    Ok((StatusCode::CREATED, Json(project_json(&project))).into_response())
}

async fn change(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
    body: Body<Change>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let control = app.control()?;
    let before = control.project(&tenant.id, &id).await?;
    let Change { name, description, team } = body.0;
    let team = team.unwrap_or(before.team);
    let new = NewProject {
        name: name.as_deref().unwrap_or(&before.name),
        description: description.as_deref().unwrap_or(&before.description),
        team: team.as_deref(),
    };
    let project = control.update_project(&tenant.id, &id, new).await?;
    let detail = json!({ "name": project.name, "team": project.team });
    audited(&app, &identity, &tenant.id, "projects:update", &id, &detail);
    Ok(Json(project_json(&project)).into_response())
}

async fn remove(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    app.control()?.delete_project(&tenant.id, &id).await?;
    audited(&app, &identity, &tenant.id, "projects:delete", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}
