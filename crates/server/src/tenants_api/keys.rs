//! API keys of a tenant: made, rotated with an overlap, revoked.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use control::{KeyGrant, KeyScope, KeyScopes, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fields::{Paging, given};
use super::scope::InTenant;
use crate::error::{ApiFault, Fault};
use crate::json::{Body, Unkept};
use crate::moment::Moment;
use crate::openapi::{Op, Page, Routes};
use crate::prom::params::Params;
use crate::word::Word;

pub(super) fn routes() -> Routes {
    let base = "/api/v1/tenants/{tenant}/keys";
    let key = &format!("{base}/{{id}}");
    Routes::new("Keys")
        .get(base, list, Op::new("listKeys", "The keys of a tenant, by identifier").gives_page::<ApiKey>())
        .post(
            base,
            create,
            Op::new("createKey", "A new key")
                .about("Either with scopes of its own or with the role of a service account.")
                .takes::<NewKey>()
                .creates::<IssuedKey>(),
        )
        .patch(
            key,
            change,
            Op::new("updateKey", "Another name, other scopes, another end")
                .takes::<KeyChange>()
                .gives::<ApiKey>(),
        )
        .delete(key, revoke, Op::new("revokeKey", "Ends a key at once").gives_nothing(204))
        .post(
            &format!("{key}/rotate"),
            rotate,
            Op::new("rotateKey", "Another secret; the one before works on for a while")
                .takes::<KeyRotation>()
                .creates::<IssuedKey>(),
        )
}

/// A key to be made: with scopes of its own, or a service account's identifier.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
    #[schemars(with = "Option<Vec<Word<KeyScope>>>")]
    scopes: Option<Vec<String>>,
    /// The identifier of a service account.
    service_account: Option<String>,
    /// Without it the key never expires.
    expires_at: Option<Moment>,
}

/// What of a key is to change.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KeyChange {
    name: Option<String>,
    #[schemars(with = "Option<Vec<Word<KeyScope>>>")]
    scopes: Option<Vec<String>>,
    /// `null` never expires.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<Moment>")]
    expires_at: Option<Option<Moment>>,
}

/// How a key's secret is replaced.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KeyRotation {
    /// How long the secret before works beside the new one.
    #[serde(default)]
    overlap_seconds: u32,
}

/// A key, without its secret.
#[derive(Serialize, JsonSchema)]
pub(super) struct ApiKey {
    id: String,
    name: String,
    /// The beginning of the key.
    prefix: String,
    /// Empty for the key of a service account.
    scopes: Vec<Word<KeyScope>>,
    /// The identifier of the service account whose role it has.
    service_account: Option<String>,
    /// Which telemetry it shows; `null` for all.
    selector: Option<String>,
    created_at: Moment,
    /// As the audit log names them.
    created_by: Option<String>,
    rotated_at: Option<Moment>,
    /// Until when the secret before works, too.
    old_expires_at: Option<Moment>,
    expires_at: Option<Moment>,
    /// Behind by up to ten seconds.
    last_used_at: Option<Moment>,
    revoked_at: Option<Moment>,
}

impl From<control::ApiKey> for ApiKey {
    fn from(key: control::ApiKey) -> Self {
        let (scopes, service_account) = match key.grant {
            KeyGrant::Scopes(scopes) => (scopes.iter().map(Word).collect(), None),
            KeyGrant::ServiceAccount(id) => (Vec::new(), Some(id)),
        };
        Self {
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            scopes,
            service_account,
            selector: key.selector,
            created_at: Moment(key.created_at),
            created_by: Some(key.created_by).filter(|name| !name.is_empty()),
            rotated_at: key.rotated_at.map(Moment),
            old_expires_at: key.old_expires_at.map(Moment),
            expires_at: key.expires_at.map(Moment),
            last_used_at: key.last_used_at.map(Moment),
            revoked_at: key.revoked_at.map(Moment),
        }
    }
}

/// A key with its secret.
#[derive(Serialize, JsonSchema)]
struct IssuedKey {
    #[serde(flatten)]
    about: ApiKey,
    /// The key itself, which is shown this once.
    key: String,
}

impl IssuedKey {
    fn of(about: ApiKey, secret: &Secret) -> Self {
        Self { about, key: secret.expose().to_owned() }
    }
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

async fn list(scope: InTenant, params: Params) -> Result<Json<Page<ApiKey>>, ApiFault> {
    let paging = Paging::read(&params)?;
    let found = scope.control.keys(scope.id(), paging.after(), paging.limit()).await?;
    Ok(paging.page(found, |key| key.id.clone()))
}

async fn create(scope: InTenant, body: Body<NewKey>) -> Result<(StatusCode, Unkept<IssuedKey>), ApiFault> {
    let NewKey { name, scopes, service_account, expires_at } = body.0;
    let grant = match (scopes, service_account) {
        (Some(scopes), None) => KeyGrant::Scopes(scopes_of(&scopes)?),
        (None, Some(account)) => KeyGrant::ServiceAccount(account),
        _ => return Err(Fault::invalid("scopes", "give either scopes or a service_account").into()),
    };
    let new = control::NewKey { name: &name, grant, expires_at: expires_at.map(|at| at.0) };
    let (key, secret) = scope.control.create_key(scope.id(), scope.by(), new).await?;
    let key = ApiKey::from(key);
    scope.audited("keys:create", &key.id, &json!(key));
    Ok((StatusCode::CREATED, Unkept(IssuedKey::of(key, &secret))))
}

async fn change(
    scope: InTenant,
    Path((_, id)): Path<(String, String)>,
    body: Body<KeyChange>,
) -> Result<Json<ApiKey>, ApiFault> {
    let KeyChange { name, scopes, expires_at } = body.0;
    let change = control::KeyChange {
        name: name.as_deref(),
        scopes: scopes.as_deref().map(scopes_of).transpose()?,
        expires_at: expires_at.map(|at| at.map(|at| at.0)),
    };
    let key = ApiKey::from(scope.control.change_key(scope.id(), scope.by(), &id, change).await?);
    scope.audited("keys:update", &key.id, &json!(key));
    Ok(Json(key))
}

async fn revoke(scope: InTenant, Path((_, id)): Path<(String, String)>) -> Result<StatusCode, ApiFault> {
    scope.control.revoke_key(scope.id(), scope.by(), &id).await?;
    scope.audited("keys:revoke", &id, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

async fn rotate(
    scope: InTenant,
    Path((_, id)): Path<(String, String)>,
    body: Body<KeyRotation>,
) -> Result<(StatusCode, Unkept<IssuedKey>), ApiFault> {
    let KeyRotation { overlap_seconds } = body.0;
    let overlap_ms = i64::from(overlap_seconds) * 1000;
    let (key, secret) = scope.control.rotate_key(scope.id(), scope.by(), &id, overlap_ms).await?;
    scope.audited("keys:rotate", &key.id, &json!({ "overlap_seconds": overlap_seconds }));
    Ok((StatusCode::CREATED, Unkept(IssuedKey::of(key.into(), &secret))))
}
