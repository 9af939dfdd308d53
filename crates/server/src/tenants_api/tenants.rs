//! The tenants themselves: created, changed, limited, suspended, deleted.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use control::sso::SSO_ONLY;
use control::{Defaults, NewTenant, Permission, Tenant};
use model::TenantId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::fields::Paging;
use super::tenant_of;
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::limits::TenantLimits;
use crate::prom::params::Params;
use crate::realtime::timestamp;
use crate::visitor::Visitor;

/// The name of the key that a new tenant begins with.
const FIRST_KEY: &str = "first";

/// For whoever manages the platform.
pub(super) fn platform_routes() -> Router<SharedApp> {
    Router::new()
        .route("/api/v1/tenants", get(list).post(create))
        .route("/api/v1/tenants/{tenant}", delete(remove))
        .route("/api/v1/tenants/{tenant}/limits", put(put_limits))
        .route("/api/v1/tenants/{tenant}/suspend", post(suspend))
        .route("/api/v1/tenants/{tenant}/activate", post(activate))
}

/// For whoever sees or manages a tenant's settings.
pub(super) fn routes() -> Router<SharedApp> {
    Router::new().route("/api/v1/tenants/{tenant}", get(show).patch(change))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    id: String,
    name: String,
    #[serde(default = "empty")]
    settings: Value,
    #[serde(default = "empty")]
    limits: Value,
    admin: Admin,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Admin {
    email: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    settings: Option<Value>,
}

fn empty() -> Value {
    json!({})
}

/// A tenant as the API shows it.
pub(super) fn tenant_json(tenant: &Tenant) -> Value {
    json!({
        "id": tenant.id.as_str(),
        "name": tenant.name,
        "state": tenant.state.as_str(),
        "settings": tenant.settings,
        "limits": tenant.limits,
        "created_at": timestamp(tenant.created_at),
        "updated_at": timestamp(tenant.updated_at),
    })
}

async fn list(State(app): State<SharedApp>, params: Params) -> Result<Response, ApiFault> {
    let paging = Paging::read(&params)?;
    let wrong = |error: model::InvalidTenantId| Fault::invalid("after", error.to_string());
    let after = paging.after().map(TenantId::new).transpose().map_err(wrong)?;
    let found = app.control()?.tenants(after.as_ref(), paging.limit()).await?;
    Ok(paging.answer(&found, tenant_json, |tenant| tenant.id.as_str()))
}

/// A tenant, ready to be used, with a link for its first administrator and a first key, both shown once.
async fn create(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    visitor: Visitor,
    body: Body<New>,
) -> Result<Response, ApiFault> {
    let New { id, name, settings, limits, admin } = body.0;
    let id = TenantId::new(&id).map_err(|error| Fault::invalid("id", error.to_string()))?;
    TenantLimits::parse(&limits)?;
    check_settings(&settings)?;
    let new = NewTenant {
        id,
        name,
        settings,
        limits,
        admin_email: admin.email,
        admin_name: admin.name,
        key_name: Some(FIRST_KEY.to_owned()),
    };
    // Rows without a tenant are someone's, put there by other hands or not removed yet: no one else may read them.
    if app.store()?.engine().tenants().contains(&new.id) {
        let message = format!(
            "telemetry of a tenant {:?} lies in the store: take another id, or try again in a minute if it was deleted just now",
            new.id.as_str()
        );
        return Err(Fault::Conflict(message).into());
    }
    app.forget_tenant(&new.id);
    let made = app.control()?.create_tenant(new, Defaults::default()).await?;
    let tenant = &made.tenant;
    let detail = json!({ "name": tenant.name, "admin": made.admin.email });
    audited(&app, &identity, &tenant.id, "tenants:create", tenant.id.as_str(), &detail);
    let steps: Vec<Value> = made
        .steps
        .iter()
        .map(|step| json!({ "name": step.name, "at": timestamp(step.done_at_ms) }))
        .collect();
    let base = app.public_url(visitor.headers());
    let answer = json!({
        "tenant": tenant_json(tenant),
        "steps": steps,
        "sign_in_link": format!("{base}/signin?token={}", made.link.token.expose()),
        "key": made.key.as_ref().map(control::Secret::expose),
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn show(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    Ok(Json(tenant_json(&tenant)).into_response())
}

async fn change(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    body: Body<Change>,
) -> Result<Response, ApiFault> {
    let before = tenant_of(&app, &identity, &tenant).await?;
    let Change { name, settings } = body.0;
    if let Some(settings) = &settings {
        check_settings(settings)?;
    }
    let after = app.control()?.change_tenant(&before.id, name.as_deref(), settings.as_ref()).await?;
    let detail = json!({ "name": name, "settings": settings });
    audited(&app, &identity, &after.id, "tenants:update", after.id.as_str(), &detail);
    Ok(Json(tenant_json(&after)).into_response())
}

/// Settings are the tenant's own, but for those that the server acts on.
fn check_settings(settings: &Value) -> Result<(), Fault> {
    match settings.get(SSO_ONLY) {
        None | Some(Value::Bool(_)) => Ok(()),
        Some(_) => Err(Fault::invalid("settings.sso_only", "must be true or false")),
    }
}

async fn put_limits(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    body: Body<Value>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    TenantLimits::parse(&body.0)?;
    let after = app.control()?.put_tenant_limits(&tenant.id, &body.0).await?;
    audited(&app, &identity, &tenant.id, "tenants:limit", tenant.id.as_str(), &json!({ "limits": body.0 }));
    Ok(Json(tenant_json(&after)).into_response())
}

async fn suspend(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let after = app.control()?.suspend_tenant(&tenant.id).await?;
    app.hub().close(&tenant.id);
    audited(&app, &identity, &tenant.id, "tenants:suspend", tenant.id.as_str(), &Value::Null);
    Ok(Json(tenant_json(&after)).into_response())
}

async fn activate(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let after = app.control()?.activate_tenant(&tenant.id).await?;
    audited(&app, &identity, &tenant.id, "tenants:activate", tenant.id.as_str(), &Value::Null);
    Ok(Json(tenant_json(&after)).into_response())
}

/// From now on nobody of the tenant is answered. Its data goes next, by the same work that finishes deletions
/// which a stop of the server cut short. The trail of who did it is that of whoever did, since the tenant's
/// own goes with it.
async fn remove(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
) -> Result<Response, ApiFault> {
    identity.need(Permission::PlatformManage)?;
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    app.control()?.begin_delete(&tenant.id).await?;
    app.forget_tenant(&tenant.id);
    audited(&app, &identity, &identity.tenant, "tenants:delete", tenant.id.as_str(), &Value::Null);
    Ok((StatusCode::ACCEPTED, Json(json!({ "state": "deleting" }))).into_response())
}
