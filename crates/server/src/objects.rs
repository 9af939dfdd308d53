//! Saved objects: named specifications of a kind, one schema in page and API. Their secrets are for administrators,
//! and for whoever needs them to work.

mod apply; // sets of objects from files
mod diff; // what changes
mod plan; // what a set would change
mod secrets; // masked, and kept when they come back so

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use control::{ControlError, ObjectKind};
use model::TenantId;
use serde_json::{Value, json};

pub(crate) use apply::{apply, export};

use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::outbound::Policy;
use crate::realtime::timestamp;

/// Objects of one page of a list.
const PAGE: u32 = 1000;

fn kind_of(name: &str) -> Result<ObjectKind, Fault> {
    ObjectKind::parse(name).ok_or_else(|| {
        let known: Vec<&str> = ObjectKind::ALL.into_iter().map(ObjectKind::as_str).collect();
        Fault::invalid("kind", format!("{name:?} is none of {}", known.join(", ")))
    })
}

/// An object as whoever asks may see it.
fn shown(mut object: control::Object, identity: &Identity) -> Value {
    if !identity.principal.may(control::Permission::SettingsManage) {
        secrets::mask(object.kind, &mut object.spec);
    }
    to_json(&object)
}

fn to_json(object: &control::Object) -> Value {
    json!({
        "name": object.name,
        "spec": object.spec,
        "version": object.version,
        "created_at": timestamp(object.created_at),
        "updated_at": timestamp(object.updated_at),
        "file": object.file,
    })
}

/// All of a kind, by name.
pub(crate) async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(kind): Path<String>,
) -> Result<Response, ApiFault> {
    let objects = app.control()?.objects(&identity.tenant, kind_of(&kind)?, None, PAGE).await?;
    let items: Vec<Value> = objects.into_iter().map(|object| shown(object, &identity)).collect();
    Ok(Json(json!({ "items": items })).into_response())
}

/// One by name.
pub(crate) async fn get(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((kind, name)): Path<(String, String)>,
) -> Result<Response, ApiFault> {
    let object = app.control()?.object(&identity.tenant, kind_of(&kind)?, &name).await?;
    Ok(Json(shown(object, &identity)).into_response())
}

/// What an agent collects: the object of its host, else everybody's, with its secrets.
pub(crate) async fn agent_configuration(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(host): Path<String>,
) -> Result<Response, ApiFault> {
    let control = app.control()?;
    for name in [host.as_str(), "default"] {
        match control.object(&identity.tenant, ObjectKind::Agent, name).await {
            Ok(object) => return Ok(Json(to_json(&object)).into_response()),
            Err(ControlError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Fault::NotFound(format!("there is no object agent/{host:?} and no agent/default")).into())
}

/// Creates or replaces one.
pub(crate) async fn put(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((kind, name)): Path<(String, String)>,
    body: crate::json::Body<Value>,
) -> Result<Response, ApiFault> {
    if !body.0.is_object() {
        return Err(Fault::invalid("", "the body must be the object's specification, a JSON object").into());
    }
    let (kind, mut spec, control) = (kind_of(&kind)?, body.0, app.control()?);
    let old = match control.object(&identity.tenant, kind, &name).await {
        Ok(old) => Some(old.spec),
        Err(ControlError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    secrets::restore(kind, &mut spec, old.as_ref())?;
    check(&app, &identity.tenant, kind, &name, &spec)?;
    let object = control.put_object(&identity.tenant, kind, &name, &spec, None).await?;
    announce(&app, &identity.tenant, kind, &name).await;
    Ok(Json(shown(object, &identity)).into_response())
}

/// Checks what the server itself acts on.
fn check(
    app: &SharedApp,
    tenant: &TenantId,
    kind: ObjectKind,
    name: &str,
    spec: &Value,
) -> Result<(), Fault> {
    match kind {
        ObjectKind::Pipeline => {}
        ObjectKind::Dashboard => return crate::dashboards::check(spec),
        _ => return Ok(()),
    }
    let processing = crate::app::compile_pipeline(crate::app::signal_of_pipeline(name)?, spec)?;
    let policy = Policy::of(tenant, app.outbound_ranges());
    for endpoint in processing.endpoints() {
        let judged = url::Url::parse(endpoint)
            .map_err(|error| error.to_string())
            .and_then(|url| policy.judge_url(&url).map_err(|refused| refused.to_string()));
        judged.map_err(|reason| Fault::invalid("spec.exporters.endpoint", reason))?;
    }
    Ok(())
}

/// Tells open pages that a dashboard changed. A changed pipeline holds from the next write on.
async fn announce(app: &SharedApp, tenant: &TenantId, kind: ObjectKind, name: &str) {
    match kind {
        ObjectKind::Pipeline => {
            if let Ok(signal) = crate::app::signal_of_pipeline(name) {
                app.pipeline_changed(tenant, signal).await;
            }
        }
        ObjectKind::Dashboard => {
            app.hub().broadcast(tenant, "dashboard_refresh", &json!({ "name": name }), app.now_ms());
        }
        _ => {}
    }
}

/// Removes one.
pub(crate) async fn delete(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((kind, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let kind = kind_of(&kind)?;
    app.control()?.delete_object(&identity.tenant, kind, &name).await?;
    announce(&app, &identity.tenant, kind, &name).await;
    Ok(StatusCode::NO_CONTENT)
}
