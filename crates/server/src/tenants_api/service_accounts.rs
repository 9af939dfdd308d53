//! Programs with a role of their own.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use control::UserState;
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
use crate::word::Word;

pub(super) fn routes() -> Routes {
    let base = "/api/v1/tenants/{tenant}/service-accounts";
    let account = &format!("{base}/{{id}}");
    Routes::new("Keys")
        .get(
            base,
            list,
            Op::new("listServiceAccounts", "The service accounts of a tenant, by name")
                .gives_page::<ServiceAccount>(),
        )
        .post(
            base,
            create,
            Op::new("createServiceAccount", "A new service account")
                .takes::<NewServiceAccount>()
                .creates::<ServiceAccount>()
                .refuses(&[409]),
        )
        .patch(
            account,
            change,
            Op::new("updateServiceAccount", "Another name, role or state")
                .takes::<ServiceAccountChange>()
                .gives::<ServiceAccount>()
                .refuses(&[409]),
        )
        .delete(
            account,
            remove,
            Op::new("deleteServiceAccount", "Ends a service account and its keys").gives_nothing(204),
        )
}

/// A service account to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewServiceAccount {
    name: String,
    /// The name of a role.
    role: String,
}

/// What of a service account is to change.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ServiceAccountChange {
    name: Option<String>,
    /// The name of a role.
    role: Option<String>,
    state: Option<Word<UserState>>,
}

/// A program that has a role.
#[derive(Serialize, JsonSchema)]
struct ServiceAccount {
    id: String,
    name: String,
    role: String,
    /// Whether its keys work.
    state: Word<UserState>,
    created_at: Moment,
}

impl From<control::ServiceAccount> for ServiceAccount {
    fn from(account: control::ServiceAccount) -> Self {
        Self {
            id: account.id,
            name: account.name,
            role: account.role,
            state: Word(account.state),
            created_at: Moment(account.created_at),
        }
    }
}

async fn list(scope: InTenant, params: Params) -> Result<Json<Page<ServiceAccount>>, ApiFault> {
    let paging = Paging::read(&params)?;
    let found = scope.control.service_accounts(scope.id(), paging.after(), paging.limit()).await?;
    Ok(paging.page(found, |account| account.name.clone()))
}

async fn create(
    scope: InTenant,
    body: Body<NewServiceAccount>,
) -> Result<(StatusCode, Json<ServiceAccount>), ApiFault> {
    let NewServiceAccount { name, role } = &body.0;
    let made = scope.control.create_service_account(scope.id(), scope.by(), name, role).await?;
    scope.audited("service_accounts:create", &made.id, &json!({ "name": made.name, "role": made.role }));
    Ok((StatusCode::CREATED, Json(made.into())))
}

async fn change(
    scope: InTenant,
    Path((_, id)): Path<(String, String)>,
    body: Body<ServiceAccountChange>,
) -> Result<Json<ServiceAccount>, ApiFault> {
    let ServiceAccountChange { name, role, state } = &body.0;
    let change = control::ServiceAccountChange {
        name: name.as_deref(),
        role: role.as_deref(),
        state: state.map(|state| state.0),
    };
    let account = scope.control.change_service_account(scope.id(), scope.by(), &id, change).await?;
    let account = ServiceAccount::from(account);
    scope.audited("service_accounts:update", &id, &json!(account));
    Ok(Json(account))
}

/// Its keys go with it.
async fn remove(scope: InTenant, Path((_, id)): Path<(String, String)>) -> Result<StatusCode, ApiFault> {
    scope.control.delete_service_account(scope.id(), scope.by(), &id).await?;
    scope.audited("service_accounts:delete", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}
