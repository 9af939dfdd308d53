//! Who works together.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fields::Paging;
use super::scope::InTenant;
use crate::error::ApiFault;
use crate::json::Body;
use crate::moment::Moment;
use crate::openapi::{Op, Page, Routes};
use crate::prom::params::Params;

pub(super) fn routes() -> Routes {
    let base = "/api/v1/tenants/{tenant}/teams";
    let (team, members) = (&format!("{base}/{{id}}"), &format!("{base}/{{id}}/members"));
    let member = &format!("{members}/{{user}}");
    Routes::new("Teams")
        .get(base, list, Op::new("listTeams", "The teams of a tenant, by name").gives_page::<Team>())
        .post(
            base,
            create,
            Op::new("createTeam", "A new team").takes::<TeamName>().creates::<Team>().refuses(&[409]),
        )
        .patch(
            team,
            rename,
            Op::new("renameTeam", "Another name").takes::<TeamName>().gives::<Team>().refuses(&[409]),
        )
        .delete(team, remove, Op::new("deleteTeam", "Ends a team; its members stay").gives_nothing(204))
        .get(
            members,
            list_members,
            Op::new("listTeamMembers", "Who is in a team").gives::<Page<TeamMember>>(),
        )
        .put(member, join, Op::new("addTeamMember", "Takes somebody in").gives_nothing(204))
        .delete(member, leave, Op::new("removeTeamMember", "Lets somebody go").gives_nothing(204))
}

/// What a team is called.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TeamName {
    name: String,
}

/// A team.
#[derive(Serialize, JsonSchema)]
struct Team {
    id: String,
    name: String,
    created_at: Moment,
}

impl From<control::Team> for Team {
    fn from(team: control::Team) -> Self {
        Self { id: team.id, name: team.name, created_at: Moment(team.created_at) }
    }
}

/// Somebody in a team.
#[derive(Serialize, JsonSchema)]
struct TeamMember {
    id: String,
    name: String,
    email: String,
}

async fn list(scope: InTenant, params: Params) -> Result<Json<Page<Team>>, ApiFault> {
    let paging = Paging::read(&params)?;
    let found = scope.control.teams(scope.id(), paging.after(), paging.limit()).await?;
    Ok(paging.page(found, |team| team.name.clone()))
}

async fn create(scope: InTenant, body: Body<TeamName>) -> Result<(StatusCode, Json<Team>), ApiFault> {
    let team = scope.control.create_team(scope.id(), &body.0.name).await?;
    scope.audited("teams:create", &team.name, &Value::Null);
    Ok((StatusCode::CREATED, Json(team.into())))
}

async fn rename(
    scope: InTenant,
    Path((_, id)): Path<(String, String)>,
    body: Body<TeamName>,
) -> Result<Json<Team>, ApiFault> {
    let team = scope.control.rename_team(scope.id(), &id, &body.0.name).await?;
    scope.audited("teams:rename", &id, &json!({ "name": team.name }));
    Ok(Json(team.into()))
}

async fn remove(scope: InTenant, Path((_, id)): Path<(String, String)>) -> Result<StatusCode, ApiFault> {
    scope.control.delete_team(scope.id(), &id).await?;
    scope.audited("teams:delete", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

async fn list_members(
    scope: InTenant,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Page<TeamMember>>, ApiFault> {
    let found = scope.control.team_members(scope.id(), &id).await?;
    let member = |user: control::User| TeamMember { id: user.id, name: user.name, email: user.email };
    Ok(Json(Page::whole(found.into_iter().map(member).collect())))
}

async fn join(
    scope: InTenant,
    Path((_, id, user)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiFault> {
    scope.control.add_team_member(scope.id(), &id, &user).await?;
    scope.audited("teams:join", &id, &json!({ "user": user }));
    Ok(StatusCode::NO_CONTENT)
}

async fn leave(
    scope: InTenant,
    Path((_, id, user)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiFault> {
    scope.control.remove_team_member(scope.id(), &id, &user).await?;
    scope.audited("teams:leave", &id, &json!({ "user": user }));
    Ok(StatusCode::NO_CONTENT)
}
