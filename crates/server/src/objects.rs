//! Saved objects: named specifications of a kind, one schema in page and API. Their secrets are for administrators,
//! and for whoever needs them to work.

mod apply; // sets of objects from files
mod diff; // what changes
mod plan; // what a set would change
mod secrets; // masked, and kept when they come back so

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use control::{ControlError, ObjectKind};
use model::TenantId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

pub(crate) use secrets::{mask, restore};

use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::moment::Moment;
use crate::openapi::{Op, Param, Routes, count, string};
use crate::outbound::Policy;
use crate::prom::params::Params;

/// Objects of one page of a list at most.
const PAGE_MAX: usize = 1000;

const PAGING: [Param; 2] = [
    string("after", "Where the page before ended: its `next`."),
    count("limit", "Objects of a page: 1000 unless given, and at most. A page ends at 8 MiB, too."),
];

/// For whoever sees or changes saved objects.
pub(crate) fn routes() -> Routes {
    let base = "/api/v1/monitoring/objects/{kind}";
    let object = &format!("{base}/{{name}}");
    Routes::new("Objects")
        .get(
            base,
            list,
            Op::new("listObjects", "The saved objects of a kind, by name")
                .about(KINDS)
                .params(&PAGING)
                .gives::<Objects>(),
        )
        .get(
            object,
            get,
            Op::new("getObject", "A saved object")
                .about("Secrets are masked for whoever may not change settings. `ETag` is the version in quotes.")
                .gives::<Object>(),
        )
        .put(
            object,
            put,
            Op::new("putObject", "Creates or replaces a saved object")
                .about(
                    "The body is its specification. A masked secret that comes back as it is stays. With `If-Match`, \
                     the `ETag` that was read or `*` for any, only an object that is still so is replaced.",
                )
                .headers(&[string("If-Match", "The `ETag` of the version to be replaced, or `*` for any.")])
                .takes::<Map<String, Value>>()
                .gives::<Object>()
                .refuses(&[409, 412]),
        )
        .delete(
            object,
            delete,
            Op::new("deleteObject", "Removes a saved object").gives_nothing(204).refuses(&[409]),
        )
        .merge(apply::routes())
}

/// For agents: what they collect holds secrets, so it is for keys that send, not for those that only read.
pub(crate) fn agent_routes() -> Routes {
    Routes::new("Objects").get(
        "/api/v1/monitoring/agents/{host}/configuration",
        agent_configuration,
        Op::new("getAgentConfiguration", "What an agent collects: the object of its host, else everybody's")
            .gives::<Object>(),
    )
}

const KINDS: &str = "Kinds are `dashboard`, `saved_query`, `rule`, `check`, `channel`, `route`, `schedule`, \
    `escalation`, `runbook`, `status_page`, `slo`, `pipeline`, `preference`, `agent`, `rule_file`, `alertmanager`, \
    `inhibition` and `time_interval`.";

/// Saved objects of a kind.
#[derive(Serialize, JsonSchema)]
struct Objects {
    items: Vec<Object>,
    /// What to give as `after` for the page behind this one; `null` behind the last.
    next: Option<String>,
}

/// A saved object.
#[derive(Serialize, JsonSchema)]
struct Object {
    name: String,
    /// What is inside belongs to the kind.
    #[schemars(with = "Map<String, Value>")]
    spec: Value,
    /// 1, and one more with each change.
    version: i64,
    created_at: Moment,
    updated_at: Moment,
    /// The file that owns it, which `bellwether apply` alone changes; `null` for what people made.
    file: Option<String>,
}

impl From<control::Object> for Object {
    fn from(object: control::Object) -> Self {
        Self {
            name: object.name,
            spec: object.spec,
            version: object.version,
            created_at: Moment(object.created_at),
            updated_at: Moment(object.updated_at),
            file: object.file,
        }
    }
}

fn kind_of(name: &str) -> Result<ObjectKind, Fault> {
    ObjectKind::parse(name).ok_or_else(|| {
        let known: Vec<&str> = ObjectKind::ALL.into_iter().map(ObjectKind::as_str).collect();
        Fault::invalid("kind", format!("{name:?} is none of {}", known.join(", ")))
    })
}

/// An object as whoever asks may see it.
fn shown(mut object: control::Object, identity: &Identity) -> Object {
    if !identity.principal.may(control::Permission::SettingsManage) {
        mask(object.kind, &mut object.spec);
    }
    object.into()
}

/// An object with its version as `ETag`.
fn tagged(object: Object) -> impl IntoResponse {
    ([(header::ETAG, format!("\"{}\"", object.version))], Json(object))
}

/// A page of a kind, by name.
async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(kind): Path<String>,
    params: Params,
) -> Result<Json<Objects>, ApiFault> {
    let limit = params.count("limit")?.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX) as u32;
    let found = app.control()?.objects(&identity.tenant, kind_of(&kind)?, params.get("after"), limit).await?;
    let items = found.items.into_iter().map(|object| shown(object, &identity)).collect();
    Ok(Json(Objects { items, next: found.next }))
}

/// One by name.
async fn get(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((kind, name)): Path<(String, String)>,
) -> Result<impl IntoResponse, ApiFault> {
    let object = app.control()?.object(&identity.tenant, kind_of(&kind)?, &name).await?;
    Ok(tagged(shown(object, &identity)))
}

/// What an agent collects: the object of its host, else everybody's, with its secrets.
async fn agent_configuration(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(host): Path<String>,
) -> Result<Json<Object>, ApiFault> {
    let control = app.control()?;
    for name in [host.as_str(), "default"] {
        match control.object(&identity.tenant, ObjectKind::Agent, name).await {
            Ok(object) => return Ok(Json(object.into())),
            Err(ControlError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Fault::NotFound(format!("there is no object agent/{host:?} and no agent/default")).into())
}

/// Creates or replaces one.
async fn put(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((kind, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body<Value>,
) -> Result<impl IntoResponse, ApiFault> {
    if !body.0.is_object() {
        return Err(Fault::invalid("", "the body must be the object's specification, a JSON object").into());
    }
    let (kind, mut spec, control) = (kind_of(&kind)?, body.0, app.control()?);
    let old = match control.object(&identity.tenant, kind, &name).await {
        Ok(old) => Some(old),
        Err(ControlError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let expected = matched(&headers, old.as_ref().map(|old| old.version))?;
    restore(kind, &mut spec, old.as_ref().map(|old| &old.spec))?;
    check(&app, &identity.tenant, kind, &name, &spec)?;
    let put = control.put_object(&identity.tenant, kind, &name, &spec, expected).await;
    let object = put.map_err(|error| match error {
        // Somebody else was faster, between the look above and the change.
        ControlError::Changed { .. } => Fault::Stale(error.to_string()),
        error => error.into(),
    })?;
    announce(&app, &identity.tenant, kind, &name).await;
    Ok(tagged(shown(object, &identity)))
}

/// The version that a change is for, as `If-Match` says (RFC 9110, section 13.1.1); `None` without one. Tags are
/// compared strongly: a weak one never matches.
pub(crate) fn matched(headers: &HeaderMap, found: Option<i64>) -> Result<Option<i64>, Fault> {
    let mut tags = headers.get_all(header::IF_MATCH).iter().peekable();
    if tags.peek().is_none() {
        return Ok(None);
    }
    let own = found.map(|version| format!("\"{version}\""));
    let is_its = |tag: &str| own.is_some() && (tag == "*" || own.as_deref() == Some(tag));
    let mut tags = tags.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    if tags.any(|tag| is_its(tag.trim())) {
        return Ok(found);
    }
    Err(Fault::Stale(match found {
        Some(version) => {
            format!(
                "the object is at version {version}, not the one of If-Match: read it again and repeat the change"
            )
        }
        None => "there is no such object any more: leave If-Match out to create it".to_owned(),
    }))
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
        ObjectKind::Check => return crate::checks::check(app, tenant, name, spec),
        _ => return crate::response::check(app, tenant, kind, name, spec),
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
pub(crate) async fn announce(app: &SharedApp, tenant: &TenantId, kind: ObjectKind, name: &str) {
    match kind {
        ObjectKind::Pipeline => {
            if let Ok(signal) = crate::app::signal_of_pipeline(name) {
                app.pipeline_changed(tenant, signal).await;
            }
        }
        ObjectKind::Dashboard => {
            app.hub().broadcast(tenant, "dashboard_refresh", &json!({ "name": name }), app.now_ms());
        }
        ObjectKind::Check => app.checks().changed(tenant, kind),
        kind => app.response().changed(tenant, kind),
    }
}

/// Removes one.
async fn delete(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path((kind, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiFault> {
    let kind = kind_of(&kind)?;
    app.control()?.delete_object(&identity.tenant, kind, &name).await?;
    announce(&app, &identity.tenant, kind, &name).await;
    Ok(StatusCode::NO_CONTENT)
}
