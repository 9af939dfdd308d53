//! What people and programs of a tenant may do: roles that come with the product, roles of its own.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use control::{CustomRole, Permission, Permissions, RoleSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::scope::InTenant;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::moment::Moment;
use crate::openapi::{Op, Page, Routes};
use crate::word::Word;

pub(super) fn routes() -> Routes {
    let base = "/api/v1/tenants/{tenant}/roles";
    let role = &format!("{base}/{{name}}");
    Routes::new("Roles")
        .get(
            "/api/v1/tenants/{tenant}/permissions",
            permissions,
            Op::new("listPermissions", "What a role may permit").gives::<Page<DescribedPermission>>(),
        )
        .get(
            base,
            list,
            Op::new("listRoles", "The built-in roles, then the tenant's own").gives::<Page<Role>>(),
        )
        .post(
            base,
            create,
            Op::new("createRole", "A new role").takes::<NewRole>().creates::<Role>().refuses(&[409]),
        )
        .put(
            role,
            replace,
            Op::new("replaceRole", "Replaces what a role permits, at once for everyone who carries it")
                .takes::<NewRole>()
                .gives::<Role>(),
        )
        .delete(role, remove, Op::new("deleteRole", "Ends a role that nobody carries").gives_nothing(204))
}

/// A role to be made, or what one is to become.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRole {
    /// In a replacement it may be left out, since the path says it.
    name: Option<String>,
    #[serde(default)]
    description: String,
    #[schemars(with = "Vec<Word<Permission>>")]
    permissions: Vec<String>,
    /// Which telemetry the role shows, as label matchers such as `namespace=~"team-a-.*"`; without one, all.
    selector: Option<String>,
}

impl NewRole {
    /// The role as files spell it, in one spelling.
    pub(crate) fn spec(&self) -> Result<RoleSpec, Fault> {
        if self.name.is_some() {
            return Err(Fault::invalid("name", "belongs beside spec, not into it"));
        }
        Ok(RoleSpec::new(&self.description, self.permitted()?, self.selector()?))
    }

    /// The selector, if it is one; an empty text is none.
    fn selector(&self) -> Result<Option<&str>, Fault> {
        let selector = self.selector.as_deref().map(str::trim).filter(|text| !text.is_empty());
        if let Some(text) = selector {
            query::Selector::parse(text).map_err(|error| {
                let shown: String = text.chars().take(100).collect();
                Fault::invalid("selector", format!("{shown:?}: {error}"))
            })?;
        }
        Ok(selector)
    }

    fn permitted(&self) -> Result<Permissions, Fault> {
        Ok(Permissions::parse(self.permissions.iter().map(String::as_str))?)
    }

    /// The role that is meant.
    fn named<'a>(&'a self, name: &'a str) -> Result<control::NewRole<'a>, Fault> {
        Ok(control::NewRole {
            name,
            description: &self.description,
            permissions: self.permitted()?,
            selector: self.selector()?,
        })
    }
}

/// A role: one that comes with the product, or one of the tenant's own.
#[derive(Serialize, JsonSchema)]
struct Role {
    name: String,
    description: String,
    permissions: Vec<Word<Permission>>,
    /// Which telemetry it shows; `null` shows all.
    selector: Option<String>,
    /// Whether it comes with the product.
    builtin: bool,
    /// Of the tenant's own roles only.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Moment>,
    /// Of the tenant's own roles only.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Moment>,
}

impl From<CustomRole> for Role {
    fn from(role: CustomRole) -> Self {
        Self {
            name: role.name,
            description: role.description,
            permissions: words(role.permissions),
            selector: role.selector,
            builtin: false,
            created_at: Some(Moment(role.created_at)),
            updated_at: Some(Moment(role.updated_at)),
        }
    }
}

impl From<control::Role> for Role {
    fn from(role: control::Role) -> Self {
        use control::Role as BuiltIn;
        let description = match role {
            BuiltIn::Viewer => "Sees everything but the audit log.",
            BuiltIn::Responder => "Acknowledges and silences alerts, too.",
            BuiltIn::Editor => "Changes dashboards, rules and other objects and sends telemetry, too.",
            BuiltIn::Admin => "May do everything within the organisation.",
            BuiltIn::PlatformAdmin => "May do everything, other organisations included.",
        };
        Self {
            name: role.as_str().to_owned(),
            description: description.to_owned(),
            permissions: words(role.permissions()),
            selector: None,
            builtin: true,
            created_at: None,
            updated_at: None,
        }
    }
}

fn words(permissions: Permissions) -> Vec<Word<Permission>> {
    permissions.iter().map(Word).collect()
}

/// A permission, in words.
#[derive(Serialize, JsonSchema)]
struct DescribedPermission {
    name: Word<Permission>,
    description: &'static str,
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

async fn permissions(_: InTenant) -> Json<Page<DescribedPermission>> {
    let item = |name: Permission| DescribedPermission { name: Word(name), description: described(name) };
    Json(Page::whole(Permission::ALL.into_iter().map(item).collect()))
}

async fn list(scope: InTenant) -> Result<Json<Page<Role>>, ApiFault> {
    let own = scope.control.roles(scope.id()).await?;
    let built_in = control::Role::ALL.into_iter().map(Role::from);
    Ok(Json(Page::whole(built_in.chain(own.into_iter().map(Role::from)).collect())))
}

async fn create(scope: InTenant, body: Body<NewRole>) -> Result<(StatusCode, Json<Role>), ApiFault> {
    let given = body.0;
    let name = given.name.as_deref().ok_or_else(|| Fault::invalid("name", "is missing"))?;
    let new = given.named(name)?;
    let role = scope.control.create_role(scope.id(), scope.by(), new).await?;
    scope.audited("roles:create", &role.name, &detail(&role));
    Ok((StatusCode::CREATED, Json(role.into())))
}

/// Replaces what a role permits and shows, at once for everyone who carries it.
async fn replace(
    scope: InTenant,
    Path((_, name)): Path<(String, String)>,
    body: Body<NewRole>,
) -> Result<Json<Role>, ApiFault> {
    let given = body.0;
    if given.name.as_deref().is_some_and(|other| other != name) {
        return Err(Fault::invalid("name", "is not the one in the path; a role keeps its name").into());
    }
    let role = scope.control.update_role(scope.id(), scope.by(), given.named(&name)?).await?;
    scope.app.tokens()?.forget_tenant(scope.id());
    scope.audited("roles:update", &role.name, &detail(&role));
    Ok(Json(role.into()))
}

async fn remove(scope: InTenant, Path((_, name)): Path<(String, String)>) -> Result<StatusCode, ApiFault> {
    scope.control.delete_role(scope.id(), scope.by(), &name).await?;
    scope.audited("roles:delete", &name, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

fn detail(role: &CustomRole) -> Value {
    json!({ "permissions": role.permissions.names(), "selector": role.selector })
}
