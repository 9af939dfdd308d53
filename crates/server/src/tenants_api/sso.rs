//! Identity providers of a tenant: set up, changed, tried.

mod config; // what bodies say of a provider

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use control::sso::{Provider, ProviderConfig, Sso};
use serde_json::{Value, json};

use self::config::Given;
use super::fields::whole;
use super::tenant_of;
use crate::account::find_provider;
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::realtime::timestamp;

pub(super) fn routes() -> Router<SharedApp> {
    let base = "/api/v1/tenants/{tenant}/sso";
    Router::new()
        .route(base, get(list).post(create))
        .route(&format!("{base}/{{name}}"), put(replace).delete(remove))
        .route(&format!("{base}/{{name}}/test"), post(test))
}

/// A provider as the API shows it: never the client secret, only whether there is one. With `sso` the addresses
/// that the provider must be told are in it, too.
pub(super) fn provider_json(provider: &Provider, sso: Option<&Sso>) -> Value {
    let (config, preset) = match &provider.config {
        ProviderConfig::Oidc(oidc) => {
            let mut config = json!(oidc);
            config["client_secret_set"] = json!(provider.has_secret);
            (config, config::preset_of(&oidc.issuer).map(|(preset, _)| preset.as_str()))
        }
        ProviderConfig::Saml(saml) => (json!(saml), None),
    };
    json!({
        "id": provider.id,
        "name": provider.name,
        "kind": provider.config.kind().as_str(),
        "preset": preset,
        "enabled": provider.enabled,
        "config": config,
        "role_mapping": provider.role_mapping,
        "default_role": provider.default_role,
        "domains": provider.domains,
        "sign_in_url": format!("/api/v1/auth/sso/{}/{}", provider.tenant, provider.id),
        "callback_url": sso.map(|sso| sso.callback_url(&provider.id)),
        "acs_url": sso.map(|sso| sso.acs_url(&provider.id)),
        "metadata_url": sso.map(|sso| sso.entity_id(&provider.id)),
        "created_at": timestamp(provider.created_at),
        "updated_at": timestamp(provider.updated_at),
    })
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let all = app.control()?.sso_providers(&tenant.id).await?;
    let sso = app.sso().ok();
    Ok(whole(all.iter().map(|provider| provider_json(provider, sso.as_ref())).collect()))
}

async fn create(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    body: Body<Given>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let new = body.0.provider(&app, &tenant.id, None).await?;
    let made = app.control()?.create_sso_provider(&identity.principal, &tenant.id, &new).await?;
    let answer = provider_json(&made, app.sso().ok().as_ref());
    audited(&app, &identity, &tenant.id, "sso:create", &made.name, &provider_json(&made, None));
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn replace(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, name)): Path<(String, String)>,
    body: Body<Given>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let before = find_provider(&app, &tenant.id, &name).await?;
    let new = body.0.provider(&app, &tenant.id, Some(&before)).await?;
    let control = app.control()?;
    let after = control.update_sso_provider(&identity.principal, &tenant.id, &before.id, &new).await?;
    let answer = provider_json(&after, app.sso().ok().as_ref());
    audited(&app, &identity, &tenant.id, "sso:update", &after.name, &provider_json(&after, None));
    Ok(Json(answer).into_response())
}

async fn remove(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let found = find_provider(&app, &tenant.id, &name).await?;
    app.control()?.delete_sso_provider(&identity.principal, &tenant.id, &found.id).await?;
    audited(&app, &identity, &tenant.id, "sso:delete", &found.name, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

/// Asks whether the provider answers as it should, without signing anyone in.
async fn test(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((tenant, name)): Path<(String, String)>,
) -> Result<Response, ApiFault> {
    let tenant = tenant_of(&app, &identity, &tenant).await?;
    let found = find_provider(&app, &tenant.id, &name).await?;
    let answer = match app.sso()?.check_provider(&found).await {
        Ok(facts) => {
            let check = |(name, fact): (&String, &Value)| {
                let detail = fact.as_str().map_or_else(|| fact.to_string(), str::to_owned);
                json!({ "name": name, "ok": true, "detail": detail })
            };
            let checks: Vec<Value> = facts.as_object().into_iter().flatten().map(check).collect();
            json!({ "ok": true, "checks": checks })
        }
        Err(error) => {
            let fault = match &error {
                // In its own words; the rest is ours, and not for the page.
                control::ControlError::Sso(_) => error.to_string(),
                _ => Fault::from(error).message(),
            };
            json!({ "ok": false, "checks": [{ "name": "provider", "ok": false, "detail": fault }] })
        }
    };
    Ok(Json(answer).into_response())
}
