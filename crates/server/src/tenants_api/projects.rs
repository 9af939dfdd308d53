//! What a tenant works on.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fields::{Paging, given};
use super::scope::InTenant;
use crate::error::ApiFault;
use crate::json::Body;
use crate::moment::Moment;
use crate::openapi::{Op, Page, Routes};
use crate::prom::params::Params;

pub(super) fn routes() -> Routes {
    let base = "/api/v1/tenants/{tenant}/projects";
    let project = &format!("{base}/{{id}}");
    Routes::new("Projects")
        .get(base, list, Op::new("listProjects", "The projects of a tenant, by name").gives_page::<Project>())
        .post(
            base,
            create,
            Op::new("createProject", "A new project")
                .takes::<NewProject>()
                .creates::<Project>()
                .refuses(&[409]),
        )
        .patch(
            project,
            change,
            Op::new("updateProject", "Another name, description or team")
                .takes::<ProjectChange>()
                .gives::<Project>()
                .refuses(&[409]),
        )
        .delete(project, remove, Op::new("deleteProject", "Ends a project").gives_nothing(204))
}

/// A project to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewProject {
    name: String,
    #[serde(default)]
    description: String,
    /// The identifier of the team that owns it.
    team: Option<String>,
}

/// What of a project is to change.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProjectChange {
    name: Option<String>,
    description: Option<String>,
    /// `null` takes the team away.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<String>")]
    team: Option<Option<String>>,
}

/// A project.
#[derive(Serialize, JsonSchema)]
struct Project {
    id: String,
    name: String,
    description: String,
    /// The identifier of the team that owns it.
    team: Option<String>,
    created_at: Moment,
    updated_at: Moment,
}

impl From<control::Project> for Project {
    fn from(project: control::Project) -> Self {
        Self {
            id: project.id,
            name: project.name,
            description: project.description,
            team: project.team,
            created_at: Moment(project.created_at),
            updated_at: Moment(project.updated_at),
        }
    }
}

async fn list(scope: InTenant, params: Params) -> Result<Json<Page<Project>>, ApiFault> {
    let paging = Paging::read(&params)?;
    let found = scope.control.projects(scope.id(), paging.after(), paging.limit()).await?;
    Ok(paging.page(found, |project| project.name.clone()))
}

async fn create(scope: InTenant, body: Body<NewProject>) -> Result<(StatusCode, Json<Project>), ApiFault> {
    let NewProject { name, description, team } = &body.0;
    let new = control::NewProject { name, description, team: team.as_deref() };
    let project = scope.control.create_project(scope.id(), new).await?;
    scope.audited("projects:create", &project.name, &Value::Null);
    Ok((StatusCode::CREATED, Json(project.into())))
}

async fn change(
    scope: InTenant,
    Path((_, id)): Path<(String, String)>,
    body: Body<ProjectChange>,
) -> Result<Json<Project>, ApiFault> {
    let before = scope.control.project(scope.id(), &id).await?;
    let ProjectChange { name, description, team } = body.0;
    let team = team.unwrap_or(before.team);
    let new = control::NewProject {
        name: name.as_deref().unwrap_or(&before.name),
        description: description.as_deref().unwrap_or(&before.description),
        team: team.as_deref(),
    };
    let project = scope.control.update_project(scope.id(), &id, new).await?;
    scope.audited("projects:update", &id, &json!({ "name": project.name, "team": project.team }));
    Ok(Json(project.into()))
}

async fn remove(scope: InTenant, Path((_, id)): Path<(String, String)>) -> Result<StatusCode, ApiFault> {
    scope.control.delete_project(scope.id(), &id).await?;
    scope.audited("projects:delete", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}
