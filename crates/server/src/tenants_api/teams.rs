//! Who works together.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, put};
use axum::{Json, Router};
use control::Team;
use serde::Deserialize;
use serde_json::{Value, json};

use super::fields::{Paging, whole};
use super::tenant_of;
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::ApiFault;
use crate::json::Body;
use crate::prom::params::Params;
use crate::realtime::timestamp;

pub(super) fn routes() -> Router<SharedApp> {
    let base = "/api/v1/tenants/{tenant}/teams";
    Router::new()
        .route(base, get(list).post(create))
        .route(&format!("{base}/{{id}}"), patch(rename).delete(remove))
        .route(&format!("{base}/{{id}}/members"), get(members))
        .route(&format!("{base}/{{id}}/members/{{user}}"), put(join).delete(leave))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

fn team_json(team: &Team) -> Value {
    json!({ "id": team.id, "name": team.name, "created_at": timestamp(team.created_at) })
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    params: Params,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let paging = Paging::read(&params)?;
    let found = app.control()?.teams(&tenant.id, paging.after(), paging.limit()).await?;
    Ok(paging.answer(&found, team_json, |team| &team.name))
}

async fn create(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    body: Body<Named>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let team = app.control()?.create_team(&tenant.id, &body.0.name).await?;
    audited(&app, &identity, &tenant.id, "teams:create", &team.name, &Value::Null);
    Ok((StatusCode::CREATED, Json(team_json(&team))).into_response())
}

async fn rename(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
    body: Body<Named>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let team = app.control()?.rename_team(&tenant.id, &id, &body.0.name).await?;
    audited(&app, &identity, &tenant.id, "teams:rename", &id, &json!({ "name": team.name }));
    Ok(Json(team_json(&team)).into_response())
}

async fn remove(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    app.control()?.delete_team(&tenant.id, &id).await?;
    audited(&app, &identity, &tenant.id, "teams:delete", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

async fn members(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let found = app.control()?.team_members(&tenant.id, &id).await?;
    let item = |user: &control::User| json!({ "id": user.id, "name": user.name, "email": user.email });
    Ok(whole(found.iter().map(item).collect()))
}

async fn join(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id, user)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    app.control()?.add_team_member(&tenant.id, &id, &user).await?;
    audited(&app, &identity, &tenant.id, "teams:join", &id, &json!({ "user": user }));
    Ok(StatusCode::NO_CONTENT)
}

async fn leave(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id, user)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    app.control()?.remove_team_member(&tenant.id, &id, &user).await?;
    audited(&app, &identity, &tenant.id, "teams:leave", &id, &json!({ "user": user }));
    Ok(StatusCode::NO_CONTENT)
}
