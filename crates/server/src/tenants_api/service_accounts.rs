//! Programs with a role of their own.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch};
use axum::{Json, Router};
use control::{ServiceAccount, ServiceAccountChange, UserState};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fields::Paging;
use super::tenant_of;
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::prom::params::Params;
use crate::realtime::timestamp;

pub(super) fn routes() -> Router<SharedApp> {
    Router::new()
        .route("/api/v1/tenants/{tenant}/service-accounts", get(list).post(create))
        .route("/api/v1/tenants/{tenant}/service-accounts/{id}", patch(change).delete(remove))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    role: Option<String>,
    state: Option<String>,
}

fn account_json(account: &ServiceAccount) -> Value {
    json!({
        "id": account.id,
        "name": account.name,
        "role": account.role,
        "state": account.state.as_str(),
        "created_at": timestamp(account.created_at),
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
    let found = app.control()?.service_accounts(&tenant.id, paging.after(), paging.limit()).await?;
    Ok(paging.answer(&found, account_json, |account| &account.name))
}

async fn create(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    body: Body<New>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let New { name, role } = &body.0;
    let made = app.control()?.create_service_account(&tenant.id, &identity.principal, name, role).await?;
    let detail = json!({ "name": made.name, "role": made.role });
    audited(&app, &identity, &tenant.id, "service_accounts:create", &made.id, &detail);
    Ok((StatusCode::CREATED, Json(account_json(&made))).into_response())
}

async fn change(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
    body: Body<Change>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let Change { name, role, state } = &body.0;
    let unknown = || Fault::invalid("state", "is neither active nor disabled");
    let state = match state {
        Some(text) => Some(UserState::parse(text).ok_or_else(unknown)?),
        None => None,
    };
    let change = ServiceAccountChange { name: name.as_deref(), role: role.as_deref(), state };
    let control = app.control()?;
    let account = control.change_service_account(&tenant.id, &identity.principal, &id, change).await?;
    audited(&app, &identity, &tenant.id, "service_accounts:update", &id, &account_json(&account));
    Ok(Json(account_json(&account)).into_response())
}

/// Its keys go with it.
async fn remove(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    app.control()?.delete_service_account(&tenant.id, &identity.principal, &id).await?;
    audited(&app, &identity, &tenant.id, "service_accounts:delete", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}
