//! The tenants themselves: created, changed, limited, suspended, deleted.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use control::sso::SSO_ONLY;
use control::{Permission, TenantState};
use model::TenantId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::fields::Paging;
use super::scope::InTenant;
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::limits::TenantLimits;
use crate::moment::Moment;
use crate::openapi::{Op, Page, Routes, json_as};
use crate::prom::params::Params;
use crate::visitor::Visitor;
use crate::word::Word;

/// The name of the key that a new tenant begins with.
const FIRST_KEY: &str = "first";

/// For whoever manages the platform.
pub(super) fn platform_routes() -> Routes {
    let base = "/api/v1/tenants";
    let tenant = &format!("{base}/{{tenant}}");
    Routes::new("Tenants")
        .get(base, list, Op::new("listTenants", "Every tenant, by identifier").gives_page::<Tenant>())
        .post(
            base,
            create,
            Op::new("createTenant", "A new tenant, ready to be used")
                .about("With a link for its first administrator and a first key, both shown once.")
                .takes::<NewTenant>()
                .creates::<CreatedTenant>()
                .refuses(&[409]),
        )
        .delete(
            tenant,
            remove,
            Op::new("deleteTenant", "Ends a tenant at once, and removes its data in the background")
                .gives_status(202, json_as::<TenantDeletion>("application/json")),
        )
        .put(
            &format!("{tenant}/limits"),
            put_limits,
            Op::new("setTenantLimits", "Replaces what a tenant may use")
                .takes::<TenantLimits>()
                .gives::<Tenant>(),
        )
        .post(
            &format!("{tenant}/suspend"),
            suspend,
            Op::new("suspendTenant", "Answers nobody of a tenant any more; everything is kept")
                .gives::<Tenant>(),
        )
        .post(
            &format!("{tenant}/activate"),
            activate,
            Op::new("activateTenant", "Ends a suspension").gives::<Tenant>(),
        )
}

/// For whoever sees or manages a tenant's settings.
pub(super) fn routes() -> Routes {
    let tenant = "/api/v1/tenants/{tenant}";
    Routes::new("Tenants").get(tenant, show, Op::new("getTenant", "A tenant").gives::<Tenant>()).patch(
        tenant,
        change,
        Op::new("updateTenant", "Another name, other settings").takes::<TenantChange>().gives::<Tenant>(),
    )
}

/// A tenant to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewTenant {
    /// Lower-case letters, digits and dashes; also its subdomain.
    id: String,
    name: String,
    #[serde(default = "empty")]
    #[schemars(with = "Map<String, Value>")]
    settings: Value,
    #[serde(default = "empty")]
    #[schemars(with = "TenantLimits")]
    limits: Value,
    admin: FirstAdmin,
}

/// Who administers a tenant first.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FirstAdmin {
    email: String,
    name: String,
}

/// What of a tenant is to change.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TenantChange {
    name: Option<String>,
    /// All of them: those that are left out are gone.
    #[schemars(with = "Option<Map<String, Value>>")]
    settings: Option<Value>,
}

fn empty() -> Value {
    json!({})
}

/// A tenant, which is an organisation.
#[derive(Serialize, JsonSchema)]
pub(super) struct Tenant {
    /// Also its subdomain.
    id: String,
    name: String,
    state: Word<TenantState>,
    /// The tenant's own, but for `sso_only`, which leaves only providers to sign in with.
    #[schemars(with = "Map<String, Value>")]
    settings: Value,
    #[schemars(with = "TenantLimits")]
    limits: Value,
    created_at: Moment,
    updated_at: Moment,
}

impl From<control::Tenant> for Tenant {
    fn from(tenant: control::Tenant) -> Self {
        Self {
            id: tenant.id.to_string(),
            name: tenant.name,
            state: Word(tenant.state),
            settings: tenant.settings,
            limits: tenant.limits,
            created_at: Moment(tenant.created_at),
            updated_at: Moment(tenant.updated_at),
        }
    }
}

/// A tenant that was made.
#[derive(Serialize, JsonSchema)]
struct CreatedTenant {
    tenant: Tenant,
    /// What was done, in order.
    steps: Vec<ProvisionStep>,
    /// How the first administrator signs in: works once, within seven days, and is in this answer alone.
    sign_in_link: String,
    /// The first key, which is in this answer alone.
    key: Option<String>,
}

/// A step of making a tenant.
#[derive(Serialize, JsonSchema)]
struct ProvisionStep {
    name: &'static str,
    at: Moment,
}

/// A tenant that is being removed.
#[derive(Serialize, JsonSchema)]
struct TenantDeletion {
    /// `deleting`.
    state: Word<TenantState>,
}

async fn list(State(app): State<SharedApp>, params: Params) -> Result<Json<Page<Tenant>>, ApiFault> {
    let paging = Paging::read(&params)?;
    let wrong = |error: model::InvalidTenantId| Fault::invalid("after", error.to_string());
    let after = paging.after().map(TenantId::new).transpose().map_err(wrong)?;
    let found = app.control()?.tenants(after.as_ref(), paging.limit()).await?;
    Ok(paging.page(found, |tenant| tenant.id.to_string()))
}

/// A tenant, ready to be used, with a link for its first administrator and a first key, both shown once.
async fn create(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    visitor: Visitor,
    body: Body<NewTenant>,
) -> Result<(StatusCode, Json<CreatedTenant>), ApiFault> {
    let NewTenant { id, name, settings, limits, admin } = body.0;
    let id = TenantId::new(&id).map_err(|error| Fault::invalid("id", error.to_string()))?;
    TenantLimits::parse(&limits)?;
    check_settings(&settings)?;
    let new = control::NewTenant {
        id,
        name,
        settings,
        limits,
        admin_email: admin.email,
        admin_name: admin.name,
        key_name: Some(FIRST_KEY.to_owned()),
    };
    let control = app.control()?;
    // One that is there is refused below, and keeps what is known of it.
    if control.tenant(&new.id).await.is_err() {
        // Rows without a tenant are someone's, put there by other hands or not removed yet: no one else may read them.
        if app.store()?.engine().tenants().contains(&new.id) {
            let message = format!(
                "telemetry of a tenant {:?} lies in the store: take another id, or try again in a minute if it was \
                 deleted just now",
                new.id.as_str()
            );
            return Err(Fault::Conflict(message).into());
        }
        app.forget_tenant(&new.id);
    }
    let made = control.create_tenant(new, crate::dashboards::defaults()).await?;
    // The first one moves the server's own telemetry; a look of the server does it where this fails.
    let _ = app.find_own_tenant().await;
    let id = &made.tenant.id;
    let detail = json!({ "name": made.tenant.name, "admin": made.admin.email });
    audited(&app, &identity, id, "tenants:create", id.as_str(), &detail);
    let step = |step: control::ProvisionStep| ProvisionStep { name: step.name, at: Moment(step.done_at_ms) };
    let base = visitor.public_url(&app);
    let answer = CreatedTenant {
        tenant: made.tenant.into(),
        steps: made.steps.into_iter().map(step).collect(),
        sign_in_link: format!("{base}/signin?token={}", made.link.token.expose()),
        key: made.key.map(|key| key.expose().to_owned()),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

async fn show(scope: InTenant) -> Json<Tenant> {
    Json(control::Tenant::clone(&scope.tenant).into())
}

async fn change(scope: InTenant, body: Body<TenantChange>) -> Result<Json<Tenant>, ApiFault> {
    let TenantChange { name, settings } = body.0;
    if let Some(settings) = &settings {
        check_settings(settings)?;
    }
    let after = scope.control.change_tenant(scope.id(), name.as_deref(), settings.as_ref()).await?;
    scope.audited("tenants:update", scope.id().as_str(), &json!({ "name": name, "settings": settings }));
    Ok(Json(after.into()))
}

/// Settings are the tenant's own, but for those that the server acts on.
pub(crate) fn check_settings(settings: &Value) -> Result<(), Fault> {
    match settings.get(SSO_ONLY) {
        None | Some(Value::Bool(_)) => Ok(()),
        Some(_) => Err(Fault::invalid("settings.sso_only", "must be true or false")),
    }
}

async fn put_limits(scope: InTenant, body: Body<Value>) -> Result<Json<Tenant>, ApiFault> {
    TenantLimits::parse(&body.0)?;
    let after = scope.control.put_tenant_limits(scope.id(), &body.0).await?;
    scope.audited("tenants:limit", scope.id().as_str(), &json!({ "limits": body.0 }));
    Ok(Json(after.into()))
}

async fn suspend(scope: InTenant) -> Result<Json<Tenant>, ApiFault> {
    let after = scope.control.suspend_tenant(scope.id()).await?;
    scope.app.hub().close(scope.id());
    scope.audited("tenants:suspend", scope.id().as_str(), &Value::Null);
    Ok(Json(after.into()))
}

async fn activate(scope: InTenant) -> Result<Json<Tenant>, ApiFault> {
    let after = scope.control.activate_tenant(scope.id()).await?;
    scope.audited("tenants:activate", scope.id().as_str(), &Value::Null);
    Ok(Json(after.into()))
}

/// From now on nobody of the tenant is answered. Its data goes next, by the same work that finishes deletions
/// which a stop of the server cut short. The trail of who did it is that of whoever did, since the tenant's
/// own goes with it.
async fn remove(scope: InTenant) -> Result<(StatusCode, Json<TenantDeletion>), ApiFault> {
    let InTenant { app, identity, .. } = &scope;
    identity.need(Permission::PlatformManage)?;
    scope.control.begin_delete(scope.id()).await?;
    app.forget_tenant(scope.id());
    audited(app, identity, &identity.tenant, "tenants:delete", scope.id().as_str(), &Value::Null);
    Ok((StatusCode::ACCEPTED, Json(TenantDeletion { state: Word(TenantState::Deleting) })))
}
