//! Saved objects: named specifications of a kind, one schema in page and API.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use control::ObjectKind;
use serde_json::{Value, json};

use crate::access::{Identity, denied};
use crate::app::SharedApp;
use crate::error::{ApiFault, Fault};
use crate::realtime::timestamp;

/// Objects of one page of a list.
const PAGE: u32 = 1000;

fn kind_of(name: &str) -> Result<ObjectKind, Fault> {
    ObjectKind::parse(name).ok_or_else(|| {
        let known: Vec<&str> = ObjectKind::ALL.into_iter().map(ObjectKind::as_str).collect();
        Fault::invalid("kind", format!("{name:?} is none of {}", known.join(", ")))
    })
}

fn to_json(object: &control::Object) -> Value {
    json!({
        "name": object.name,
        "spec": object.spec,
        "version": object.version,
        "created_at": timestamp(object.created_at),
        "updated_at": timestamp(object.updated_at),
    })
}

/// All of a kind, by name.
pub(crate) async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(kind): Path<String>,
) -> Result<Response, ApiFault> {
    let objects = app
        .control()?
        .objects(&identity.tenant, kind_of(&kind)?, None, PAGE)
        .await
        .map_err(|e| denied(&e))?;
    let items: Vec<Value> = objects.iter().map(to_json).collect();
    Ok(Json(json!({ "items": items })).into_response())
}

/// One by name.
pub(crate) async fn get(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((kind, name)): Path<(String, String)>,
) -> Result<Response, ApiFault> {
    let object =
        app.control()?.object(&identity.tenant, kind_of(&kind)?, &name).await.map_err(|e| denied(&e))?;
    Ok(Json(to_json(&object)).into_response())
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
    if kind_of(&kind)? == ObjectKind::Pipeline {
        crate::app::compile_pipeline(crate::app::signal_of_pipeline(&name)?, &body.0)?;
    }
    let object = app
        .control()?
        .put_object(&identity.tenant, kind_of(&kind)?, &name, &body.0, None)
        .await
        .map_err(|e| denied(&e))?;
    announce(&app, &identity, &kind, &name);
    Ok(Json(to_json(&object)).into_response())
}

/// Tells open pages that a dashboard changed. A changed pipeline holds from the next write on.
async fn announce(app: &SharedApp, identity: &Identity, kind: &str, name: &str) {
    if kind == ObjectKind::Pipeline.as_str()
        && let Ok(signal) = crate::app::signal_of_pipeline(name)
    {
        app.pipeline_changed(&identity.tenant, signal).await;
    }
    if kind == "dashboard" {
        app.hub().broadcast(&identity.tenant, "dashboard_refresh", &json!({ "name": name }), app.now_ms());
    }
}

/// Removes one.
pub(crate) async fn delete(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((kind, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    app.control()?.delete_object(&identity.tenant, kind_of(&kind)?, &name).await.map_err(|e| denied(&e))?;
    announce(&app, &identity, &kind, &name).await;
    Ok(StatusCode::NO_CONTENT)
}
