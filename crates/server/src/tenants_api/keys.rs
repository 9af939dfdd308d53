//! API keys of a tenant: made, rotated with an overlap, revoked.

use axum::extract::{Extension, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use control::{ApiKey, KeyChange, KeyGrant, KeyScope, KeyScopes, NewKey, Secret};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fields::{Moment, Paging, given, moment};
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
        .route("/api/v1/tenants/{tenant}/keys", get(list).post(create))
        .route("/api/v1/tenants/{tenant}/keys/{id}", patch(change).delete(revoke))
        .route("/api/v1/tenants/{tenant}/keys/{id}/rotate", post(rotate))
}

/// Scopes of its own, or a service account's identifier.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    scopes: Option<Vec<String>>,
    service_account: Option<String>,
    expires_at: Option<Moment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    scopes: Option<Vec<String>>,
    /// `null` never expires.
    #[serde(default, deserialize_with = "given")]
    expires_at: Option<Option<Moment>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    /// How long the secret before works beside the new one.
    #[serde(default)]
    overlap_seconds: u32,
}

pub(super) fn key_json(key: &ApiKey) -> Value {
    let (scopes, account): (Vec<&str>, Option<&str>) = match &key.grant {
        KeyGrant::Scopes(scopes) => (scopes.iter().map(KeyScope::as_str).collect(), None),
        KeyGrant::ServiceAccount(id) => (Vec::new(), Some(id)),
    };
    json!({
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": scopes,
        "service_account": account,
        "created_at": timestamp(key.created_at),
        "created_by": Some(&key.created_by).filter(|name| !name.is_empty()),
        "rotated_at": moment(key.rotated_at),
        "old_expires_at": moment(key.old_expires_at),
        "expires_at": moment(key.expires_at),
        "last_used_at": moment(key.last_used_at),
        "revoked_at": moment(key.revoked_at),
    })
}

/// With the key itself, which is shown this once.
fn issued(key: &ApiKey, secret: &Secret) -> Response {
    let mut answer = key_json(key);
    answer["key"] = json!(secret.expose());
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::CREATED, headers, Json(answer)).into_response()
}

fn scopes_of(names: &[String]) -> Result<KeyScopes, Fault> {
    let parse = |name: &String| {
        KeyScope::parse(name).ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            Fault::invalid("scopes", format!("{shown:?} is none of ingest, query, admin"))
        })
    };
    let scopes = names.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    KeyScopes::of(&scopes)
        .ok_or_else(|| Fault::invalid("scopes", "name at least one of ingest, query, admin"))
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    params: Params,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let paging = Paging::read(&params)?;
    let found = app.control()?.keys(&tenant.id, paging.after(), paging.limit()).await?;
    Ok(paging.answer(&found, key_json, |key| &key.id))
}

async fn create(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    body: Body<New>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let New { name, scopes, service_account, expires_at } = body.0;
    let grant = match (scopes, service_account) {
        (Some(scopes), None) => KeyGrant::Scopes(scopes_of(&scopes)?),
        (None, Some(account)) => KeyGrant::ServiceAccount(account),
        _ => return Err(Fault::invalid("scopes", "give either scopes or a service_account").into()),
    };
    let new = NewKey { name: &name, grant, expires_at: expires_at.map(|at| at.0) };
    let (key, secret) = app.control()?.create_key(&tenant.id, &identity.principal, new).await?;
    audited(&app, &identity, &tenant.id, "keys:create", &key.id, &key_json(&key));
    Ok(issued(&key, &secret))
}

async fn change(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
    body: Body<Change>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let Change { name, scopes, expires_at } = body.0;
    let change = KeyChange {
        name: name.as_deref(),
        scopes: scopes.as_deref().map(scopes_of).transpose()?,
        expires_at: expires_at.map(|at| at.map(|at| at.0)),
    };
    let key = app.control()?.change_key(&tenant.id, &identity.principal, &id, change).await?;
    audited(&app, &identity, &tenant.id, "keys:update", &key.id, &key_json(&key));
    Ok(Json(key_json(&key)).into_response())
}

async fn revoke(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    app.control()?.revoke_key(&tenant.id, &identity.principal, &id).await?;
    audited(&app, &identity, &tenant.id, "keys:revoke", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

async fn rotate(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, id)): Path<(String, String)>,
    body: Body<Rotate>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let overlap_ms = i64::from(body.0.overlap_seconds) * 1000;
    let (key, secret) = app.control()?.rotate_key(&tenant.id, &identity.principal, &id, overlap_ms).await?;
    let detail = json!({ "overlap_seconds": body.0.overlap_seconds });
    audited(&app, &identity, &tenant.id, "keys:rotate", &key.id, &detail);
    Ok(issued(&key, &secret))
}
