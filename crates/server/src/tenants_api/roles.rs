//! What people and programs of a tenant may do: roles that come with the product, roles of its own.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use control::{CustomRole, NewRole, Permission, Permissions, Role, RoleSpec};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fields::whole;
use super::tenant_of;
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::realtime::timestamp;

pub(super) fn routes() -> Router<SharedApp> {
    Router::new()
        .route("/api/v1/tenants/{tenant}/permissions", get(permissions))
        .route("/api/v1/tenants/{tenant}/roles", get(list).post(create))
        .route("/api/v1/tenants/{tenant}/roles/{name}", put(replace).delete(remove))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Given {
    /// In a replacement it may be left out, since the path says it.
    name: Option<String>,
    #[serde(default)]
    description: String,
    permissions: Vec<String>,
    /// Which telemetry the role shows; without one, all.
    selector: Option<String>,
}

impl Given {
    /// The role as files spell it, in one spelling.
    pub(crate) fn spec(&self) -> Result<RoleSpec, Fault> {
        if self.name.is_some() {
            return Err(Fault::invalid("name", "belongs beside spec, not into it"));
        }
        Ok(RoleSpec::new(&self.description, self.permissions()?, self.selector()?))
    }

    /// The selector, if it is one; an empty text is none.
    fn selector(&self) -> Result<Option<&str>, Fault> {
        let selector = self.selector.as_deref().map(str::trim).filter(|text| !text.is_empty());
        if let Some(text) = selector {
            promql::syntax::parse_selector(text)
                .map_err(|error| Fault::invalid("selector", error.to_string()))?;
            // What queries do not enforce must not look as if they did.
            let why = "queries do not enforce selectors of roles yet, so none is accepted: leave it out";
            return Err(Fault::invalid("selector", why));
        }
        Ok(selector)
    }

    fn permissions(&self) -> Result<Permissions, Fault> {
        Ok(Permissions::parse(self.permissions.iter().map(String::as_str))?)
    }
}

fn role_json(role: &CustomRole) -> Value {
    json!({
        "name": role.name,
        "description": role.description,
        "permissions": role.permissions.names(),
        "selector": role.selector,
        "builtin": false,
        "created_at": timestamp(role.created_at),
        "updated_at": timestamp(role.updated_at),
    })
}

fn built_in_json(role: Role) -> Value {
    let description = match role {
        Role::Viewer => "Sees everything but the audit log.",
        Role::Responder => "Acknowledges and silences alerts, too.",
        Role::Editor => "Changes dashboards, rules and other objects and sends telemetry, too.",
        Role::Admin => "May do everything within the organisation.",
        Role::PlatformAdmin => "May do everything, other organisations included.",
    };
    json!({
        "name": role.as_str(),
        "description": description,
        "permissions": role.permissions().names(),
        "selector": null,
        "builtin": true,
    })
}

/// What a permission is for, in words.
fn described(permission: Permission) -> &'static str {
    match permission {
        Permission::TelemetryRead => "Ask for metrics, logs, traces and events",
        Permission::TelemetryWrite => "Send telemetry",
        Permission::ObjectsRead => "See dashboards, rules and other saved objects",
        Permission::ObjectsWrite => "Change dashboards, rules and other saved objects",
        Permission::AlertsRespond => "Acknowledge and silence alerts, work on incidents",
        Permission::MembersRead => "See people, teams, projects and roles",
        Permission::MembersManage => "Invite, change and remove people, teams, projects and roles",
        Permission::KeysManage => "Create, rotate and revoke API keys and service accounts",
        Permission::SettingsRead => "See settings and how much is used",
        Permission::SettingsManage => "Change settings, single sign-on included",
        Permission::AuditRead => "Read the audit log",
        Permission::DataDelete => "Delete telemetry and export everything there is",
        Permission::PlatformManage => "Create, limit, suspend and delete organisations",
    }
}

async fn permissions(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
) -> Result<Response, ApiFault> {
    tenant_of(&app, &identity, &tenant).await?;
    let item =
        |permission: Permission| json!({ "name": permission.as_str(), "description": described(permission) });
    Ok(whole(Permission::ALL.into_iter().map(item).collect()))
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let own = app.control()?.roles(&tenant.id).await?;
    let built_in = Role::ALL.into_iter().map(built_in_json);
    Ok(whole(built_in.chain(own.iter().map(role_json)).collect()))
}

async fn create(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    body: Body<Given>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let given = body.0;
    let name = given.name.as_deref().ok_or_else(|| Fault::invalid("name", "is missing"))?;
    let new = NewRole {
        name,
        description: &given.description,
        permissions: given.permissions()?,
        selector: given.selector()?,
    };
    let role = app.control()?.create_role(&tenant.id, &identity.principal, new).await?;
    audited(&app, &identity, &tenant.id, "roles:create", &role.name, &detail(&role));
    Ok((StatusCode::CREATED, Json(role_json(&role))).into_response())
}

/// Replaces what a role permits and shows, at once for everyone who carries it.
async fn replace(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, name)): Path<(String, String)>,
    body: Body<Given>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let given = body.0;
    if given.name.as_deref().is_some_and(|other| other != name) {
        return Err(Fault::invalid("name", "is not the one in the path; a role keeps its name").into());
    }
    let new = NewRole {
        name: &name,
        description: &given.description,
        permissions: given.permissions()?,
        selector: given.selector()?,
    };
    let role = app.control()?.update_role(&tenant.id, &identity.principal, new).await?;
    audited(&app, &identity, &tenant.id, "roles:update", &role.name, &detail(&role));
    Ok(Json(role_json(&role)).into_response())
}

async fn remove(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    app.control()?.delete_role(&tenant.id, &identity.principal, &name).await?;
    audited(&app, &identity, &tenant.id, "roles:delete", &name, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

fn detail(role: &CustomRole) -> Value {
    json!({ "permissions": role.permissions.names(), "selector": role.selector })
}
