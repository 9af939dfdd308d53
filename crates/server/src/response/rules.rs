//! Rules by their ids: `/api/v1/monitoring/alerts`.

use alert::engine::RuleView as Live;
use alert::rule::{RuleSpec, RuleType};
use alert::severity::Severity;
use alert::state::Phase;
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use control::{ObjectKind, Projected};
use schemars::JsonSchema;
use serde_json::Value;

use super::setup::check_rule;
use super::views::{RuleView, Warning, evaluated};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::moment::Moment;
use crate::openapi::{Op, Page, Routes, choice, string};
use crate::prom::params::Params;
use crate::tenants_api::Paging;

const KIND: ObjectKind = ObjectKind::Rule;

const TYPES: [&str; 9] = [
    "threshold",
    "anomaly",
    "error_rate",
    "downtime",
    "performance",
    "absence",
    "composite",
    "slo",
    "custom",
];

pub(super) fn routes() -> Routes {
    let base = "/api/v1/monitoring/alerts";
    let one = &format!("{base}/{{id}}");
    Routes::new("Alerts")
        .get(
            base,
            list,
            Op::new("listAlertRules", "The rules of the tenant, by name")
                .params(&[
                    choice("type", &TYPES, "Only rules of this type."),
                    choice("severity", &["info", "warning", "error", "critical"], "Only of this severity."),
                    choice("isActive", &["true", "false"], "Only those that are evaluated, or are not."),
                    string("search", "Only those whose name holds this text, in any case."),
                ])
                .gives_page::<RuleView>(),
        )
        .post(
            base,
            create,
            Op::new("createAlertRule", "A new rule").takes::<NewRule>().creates::<RuleView>().refuses(&[409]),
        )
        .get(one, get, Op::new("getAlertRule", "A rule").gives::<RuleView>())
        .put(
            one,
            replace,
            Op::new("replaceAlertRule", "Replaces a rule; its alerts stay")
                .takes::<NewRule>()
                .gives::<RuleView>()
                .refuses(&[409]),
        )
        .delete(
            one,
            remove,
            Op::new("deleteAlertRule", "Removes a rule; what fires of it is over")
                .gives_nothing(204)
                .refuses(&[409]),
        )
}

/// A rule with its name. Only described here; it is read as a specification, so that faults name their fields.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes the body")]
struct NewRule {
    name: String,
    #[schemars(flatten)]
    spec: RuleSpec,
}

/// Reads a body: the name, and a specification in its one spelling.
fn read(body: Value, otherwise: Option<&str>) -> Result<(String, RuleSpec), Fault> {
    let Value::Object(mut members) = body else {
        return Err(Fault::invalid("", "the body must be a rule, a JSON object"));
    };
    let name = match members.remove("name") {
        Some(Value::String(name)) => name,
        Some(_) => return Err(Fault::invalid("name", "must be a text")),
        None => otherwise
            .map(str::to_owned)
            .ok_or_else(|| Fault::invalid("name", "is missing: write what the rule is called"))?,
    };
    let mut spec: RuleSpec = super::setup::parse(&Value::Object(members))?;
    spec.severity = Some(spec.severity());
    spec.cooldown = Some(spec.cooldown_seconds());
    Ok((name, spec))
}

fn spec_value(spec: &RuleSpec) -> Result<Value, Fault> {
    serde_json::to_value(spec).map_err(|error| Fault::invalid("", error.to_string()))
}

async fn view(app: &SharedApp, identity: &Identity, found: Projected) -> Result<RuleView, Fault> {
    let live = match app.engine_of(&identity.tenant).await {
        Ok(engine) => engine.rule(&format!("rule/{}", found.object.name)),
        Err(_) => None,
    };
    shown(identity, found, live.as_ref())
}

fn shown(identity: &Identity, found: Projected, live: Option<&Live>) -> Result<RuleView, Fault> {
    let Projected { id, mut object, last_triggered } = found;
    if !identity.principal.may(control::Permission::SettingsManage) {
        crate::objects::mask(KIND, &mut object.spec);
    }
    let spec: RuleSpec = serde_json::from_value(object.spec)
        .map_err(|error| Fault::Internal(format!("the rule {:?} does not read: {error}", object.name)))?;
    let count =
        |phase: Phase| live.map_or(0, |live| live.alerts.iter().filter(|(a, _)| a.phase == phase).count());
    let (firing, pending) = (count(Phase::Firing), count(Phase::Pending));
    let state = match (spec.is_active, firing, pending) {
        (false, ..) => "inactive",
        (_, 1.., _) => "firing",
        (_, _, 1..) => "pending",
        _ => "ok",
    };
    let warnings =
        spec.warnings().into_iter().map(|w| Warning { field: w.field, message: w.message }).collect();
    Ok(RuleView {
        id,
        name: object.name,
        spec,
        last_triggered: last_triggered.map(Moment),
        created_at: Moment(object.created_at),
        updated_at: Moment(object.updated_at),
        version: object.version,
        file: object.file,
        state: state.to_owned(),
        firing,
        evaluated_at: live.and_then(|live| evaluated(&live.health)),
        error: live.and_then(|live| live.health.error.clone()),
        warnings,
    })
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Page<RuleView>>, ApiFault> {
    let paging = Paging::read(&params)?;
    let kind = params.get("type").map(|text| {
        RuleType::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| Fault::invalid("type", format!("{text:?} is none of {}", TYPES.join(", "))))
    });
    let kind = kind.transpose()?;
    let severity = params.get("severity").map(|text| {
        let wrong =
            || Fault::invalid("severity", format!("{text:?} is none of info, warning, error, critical"));
        Severity::parse(text).ok_or_else(wrong)
    });
    let severity = severity.transpose()?;
    let active = params.get("isActive").map(|text| text == "true");
    let search = params.get("search").map(str::to_lowercase);
    let (control, engine) = (app.control()?, app.engine_of(&identity.tenant).await?);
    let (mut items, mut after) = (Vec::new(), paging.after().map(str::to_owned));
    let most = paging.limit() as usize;
    // Filters may leave out whole pages, so more are read until this one is full.
    let next = 'pages: loop {
        let found = control.projected(&identity.tenant, KIND, after.as_deref(), 1_000).await?;
        let is_last = found.len() < 1_000;
        for one in found {
            let name = one.object.name.clone();
            let live = engine.rule(&format!("rule/{name}"));
            let rule = shown(&identity, one, live.as_ref())?;
            let fits = kind.is_none_or(|kind| rule.spec.kind == kind)
                && severity.is_none_or(|severity| rule.spec.severity() == severity)
                && active.is_none_or(|active| rule.spec.is_active == active)
                && search.as_ref().is_none_or(|text| rule.name.to_lowercase().contains(text));
            if !fits {
                after = Some(name);
                continue;
            }
            if items.len() == most {
                break 'pages after;
            }
            after = Some(name);
            items.push(rule);
        }
        if is_last {
            break None;
        }
    };
    Ok(Json(Page { items, next }))
}

async fn get(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<RuleView>, ApiFault> {
    let found = app.control()?.projected_by_id(&identity.tenant, KIND, &id).await?;
    Ok(Json(view(&app, &identity, found).await?))
}

async fn create(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<Value>,
) -> Result<(StatusCode, Json<RuleView>), ApiFault> {
    let (name, spec) = read(body.0, None)?;
    check_rule(&app, &identity.tenant, &name, &spec)?;
    let control = app.control()?;
    let put = control.put_object(&identity.tenant, KIND, &name, &spec_value(&spec)?, Some(0)).await;
    put.map_err(|error| match error {
        control::ControlError::Changed { .. } => Fault::Conflict(format!(
            "there is a rule {name:?} already: choose another name, or change that one"
        )),
        error => error.into(),
    })?;
    app.response().changed(&identity.tenant, KIND);
    let found = by_name(&app, &identity, &name).await?;
    Ok((StatusCode::CREATED, Json(view(&app, &identity, found).await?)))
}

async fn replace(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    body: Body<Value>,
) -> Result<Json<RuleView>, ApiFault> {
    let control = app.control()?;
    let before = control.projected_by_id(&identity.tenant, KIND, &id).await?;
    let mut body = body.0;
    crate::objects::restore(KIND, &mut body, Some(&with_name(&before)))?;
    let (name, spec) = read(body, Some(&before.object.name))?;
    check_rule(&app, &identity.tenant, &name, &spec)?;
    if name != before.object.name {
        control.rename_object(&identity.tenant, KIND, &before.object.name, &name).await?;
    }
    control.put_object(&identity.tenant, KIND, &name, &spec_value(&spec)?, None).await?;
    app.response().changed(&identity.tenant, KIND);
    let found = control.projected_by_id(&identity.tenant, KIND, &id).await?;
    Ok(Json(view(&app, &identity, found).await?))
}

fn with_name(found: &Projected) -> Value {
    let mut spec = found.object.spec.clone();
    if let Value::Object(members) = &mut spec {
        members.insert("name".to_owned(), found.object.name.clone().into());
    }
    spec
}

async fn remove(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFault> {
    let control = app.control()?;
    let found = control.projected_by_id(&identity.tenant, KIND, &id).await?;
    control.delete_object(&identity.tenant, KIND, &found.object.name).await?;
    app.response().changed(&identity.tenant, KIND);
    // What fires of it is over when the answer says it is gone.
    app.engine_of(&identity.tenant).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn by_name(app: &SharedApp, identity: &Identity, name: &str) -> Result<Projected, Fault> {
    // The page that begins right before the name.
    let control = app.control()?;
    let object = control.object(&identity.tenant, KIND, name).await?;
    let id = control.projected_id(&identity.tenant, KIND, name).await?;
    Ok(Projected { id, object, last_triggered: None })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_a_name_and_a_specification_in_its_one_spelling() {
        let (name, spec) =
            read(json!({"name": "cpu", "type": "threshold", "severity": "High", "condition": {}}), None)
                .map_or_else(|fault| (fault.message(), None), |(name, spec)| (name, Some(spec)));
        assert!(name.contains("High") && spec.is_none(), "{name}");
        let good =
            json!({"name": "cpu", "type": "threshold", "condition": {"metric": "cpu", "threshold": 80}});
        let (name, spec) = read(good, None).expect("reads");
        assert_eq!(
            (name.as_str(), spec.severity, spec.cooldown),
            ("cpu", Some(Severity::Warning), Some(300))
        );
        let nameless = json!({"type": "threshold", "condition": {}});
        assert!(read(nameless.clone(), None).is_err());
        assert_eq!(read(nameless, Some("old")).expect("reads").0, "old");
        assert!(read(json!({}), Some("x")).is_err());
    }
}
