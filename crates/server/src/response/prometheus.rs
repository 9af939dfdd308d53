//! Rule files and the `alertmanager.yml` of a tenant over the API: saved as they are written.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body as RawBody;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use control::{ControlError, ObjectKind};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::files::{SavedAlertmanager, SavedRules, read_rules, read_saved};
use super::setup::all;
use crate::app::SharedApp;
use crate::body;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::objects::mask;
use crate::openapi::{Op, Page, Param, Routes, string, text};

/// Bytes of one file; an object holds no more.
const BYTES_MAX: usize = 1 << 20;
/// The media type of YAML (RFC 9512).
const YAML: &str = "application/yaml";
/// The only `alertmanager.yml` of a tenant.
const ALERTMANAGER: &str = "alertmanager";
/// What the file is called.
const NAME: Param = string("name", "What the file is called.").required();

pub(super) fn routes() -> Routes {
    let rules = "/api/v1/monitoring/prometheus/rules";
    let one = &format!("{rules}/{{name}}");
    let alertmanager = "/api/v1/monitoring/prometheus/alertmanager";
    Routes::new("Alerts")
        .get(
            rules,
            list,
            Op::new("listRuleFiles", "Saved rule files of Prometheus, by name").gives::<Page<RuleFileView>>(),
        )
        .post(
            rules,
            save,
            Op::new("saveRuleFile", "Saves a rule file of Prometheus, which replaces one of its name")
                .about("The body is the file as Prometheus reads it. What it would refuse is refused with its line.")
                .params(&[NAME])
                .takes_content(text(YAML))
                .gives::<RuleFileView>()
                .creates::<RuleFileView>()
                .refuses(&[409]),
        )
        .get(one, get, Op::new("getRuleFile", "A rule file as it was saved").gives_content(text(YAML)))
        .delete(
            one,
            remove,
            Op::new("deleteRuleFile", "Removes a rule file; what fires of its rules is over")
                .gives_nothing(204)
                .refuses(&[409]),
        )
        .get(
            alertmanager,
            get_alertmanager,
            Op::new("getAlertmanagerFile", "The tenant's `alertmanager.yml` as it was saved")
                .about("Its text is masked for whoever may not change settings.")
                .gives_content(text(YAML))
                .refuses(&[404]),
        )
        .post(
            alertmanager,
            save_alertmanager,
            Op::new("saveAlertmanagerFile", "Saves the tenant's `alertmanager.yml`")
                .about("The body is the file as Alertmanager reads it. Routes and channels of ours hold beside it.")
                .takes_content(text(YAML))
                .gives_nothing(204)
                .refuses(&[409]),
        )
        .delete(
            alertmanager,
            remove_alertmanager,
            Op::new("deleteAlertmanagerFile", "Removes the tenant's `alertmanager.yml`")
                .gives_nothing(204)
                .refuses(&[404, 409]),
        )
}

/// A saved rule file.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RuleFile")]
struct RuleFileView {
    name: String,
    /// Names of its groups, each with the number of its rules.
    groups: BTreeMap<String, usize>,
}

fn view(name: String, text: &str) -> Result<RuleFileView, Fault> {
    let read = read_rules(&name, text)?;
    let groups = read.groups.iter().map(|group| (group.name.clone(), group.rules.len())).collect();
    Ok(RuleFileView { name, groups })
}

async fn text_of(body: RawBody) -> Result<String, Fault> {
    let bytes = body::read(body, BYTES_MAX).await?;
    let text = String::from_utf8(bytes).map_err(|_| Fault::invalid("", "the file is not UTF-8"))?;
    if text.contains('\0') {
        return Err(Fault::invalid("", "the file must not hold the character U+0000"));
    }
    Ok(text)
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<Page<RuleFileView>>, ApiFault> {
    let saved = all::<SavedRules>(&app, &identity.tenant, ObjectKind::RuleFile).await?;
    // One that does not read any more, since it was put there another way, has no groups.
    let items = saved.into_iter().map(|(name, saved)| {
        view(name.clone(), &saved.text).unwrap_or(RuleFileView { name, groups: BTreeMap::new() })
    });
    Ok(Json(Page::whole(items.collect())))
}

async fn save(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Query(params): Query<BTreeMap<String, String>>,
    body: RawBody,
) -> Result<(StatusCode, Json<RuleFileView>), ApiFault> {
    let name = params.get("name").filter(|name| !name.is_empty());
    let name = name.cloned().ok_or_else(|| Fault::invalid("name", "it is required"))?;
    let text = text_of(body).await?;
    let shown = view(name.clone(), &text)?;
    let spec = json!({ "text": text });
    let (control, kind) = (app.control()?, ObjectKind::RuleFile);
    let saved = control.put_object(&identity.tenant, kind, &name, &spec, None).await?;
    app.response().changed(&identity.tenant, kind);
    // Its rules stand when the answer says that they are saved.
    app.engine_of(&identity.tenant).await?;
    let status = if saved.version == 1 { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(shown)))
}

async fn get(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
) -> Result<impl IntoResponse, ApiFault> {
    let object = app.control()?.object(&identity.tenant, ObjectKind::RuleFile, &name).await?;
    Ok(yaml(&object.spec))
}

/// The text of a saved file.
fn yaml(spec: &serde_json::Value) -> impl IntoResponse + use<> {
    let text = spec.get("text").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    ([(header::CONTENT_TYPE, YAML)], text)
}

async fn remove(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiFault> {
    delete(&app, &identity, ObjectKind::RuleFile, &name).await
}

async fn delete(
    app: &SharedApp,
    identity: &Identity,
    kind: ObjectKind,
    name: &str,
) -> Result<StatusCode, ApiFault> {
    app.control()?.delete_object(&identity.tenant, kind, name).await?;
    app.response().changed(&identity.tenant, kind);
    // What fires of it is over when the answer says that it is gone.
    app.engine_of(&identity.tenant).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn get_alertmanager(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<impl IntoResponse, ApiFault> {
    let mut object = app.control()?.object(&identity.tenant, ObjectKind::Alertmanager, ALERTMANAGER).await?;
    if !identity.principal.may(control::Permission::SettingsManage) {
        mask(object.kind, &mut object.spec);
    }
    Ok(yaml(&object.spec))
}

async fn save_alertmanager(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: RawBody,
) -> Result<StatusCode, ApiFault> {
    let (control, kind) = (app.control()?, ObjectKind::Alertmanager);
    // Its template files stay: those are changed with the object.
    let templates = match control.object(&identity.tenant, kind, ALERTMANAGER).await {
        Ok(object) => object.spec.get("templates").cloned(),
        Err(ControlError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let templates = templates.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
    let saved = SavedAlertmanager { text: text_of(body).await?, templates };
    read_saved(ALERTMANAGER, &saved)?;
    let spec = serde_json::to_value(&saved).map_err(|error| Fault::Internal(error.to_string()))?;
    control.put_object(&identity.tenant, kind, ALERTMANAGER, &spec, None).await?;
    app.response().changed(&identity.tenant, kind);
    app.engine_of(&identity.tenant).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_alertmanager(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<StatusCode, ApiFault> {
    delete(&app, &identity, ObjectKind::Alertmanager, ALERTMANAGER).await
}
