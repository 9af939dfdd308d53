//! Checks by their ids: `/api/v1/monitoring/health-checks`.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use control::{ControlError, Projected};
use probe::check::aggregate::overall;
use probe::check::{CheckSpec, CheckStatus, CheckType, Warning};
use schemars::JsonSchema;
use serde_json::Value;

use super::seat::Seat;
use super::spec::{KIND, judge, split, stored};
use super::views::{CheckView, ChecksView, ResultView, StateView, SummaryView, WarningView};
use super::{heartbeat, run};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::moment::Moment;
use crate::objects::{mask, matched, restore};
use crate::openapi::{Op, Routes, choice, count, string};
use crate::prom::params::Params;
use crate::tenants_api::Paging;
use crate::word::Word;

const TYPES: [&str; 18] = CheckType::NAMES;
const STATUSES: [&str; 3] = ["healthy", "unhealthy", "unknown"];

pub(super) fn routes() -> Routes {
    let base = "/api/v1/monitoring/health-checks";
    let one = &format!("{base}/{{id}}");
    Routes::new("Health checks")
        .get(
            base,
            list,
            Op::new(
                "listHealthChecks",
                "The health checks of the tenant, by name, and how they are together",
            )
            .params(&[
                choice("type", &TYPES, "Only checks of this type."),
                choice("status", &STATUSES, "Only checks that count as this."),
                choice("isActive", &["true", "false"], "Only those that run, or do not."),
                string("search", "Only those whose name or target holds this text, in any case."),
                string("after", "Where the page before ended: its `next`."),
                count("limit", "Checks of a page: 100 unless given, at most 1000."),
            ])
            .gives::<ChecksView>(),
        )
        .post(
            base,
            create,
            Op::new("createHealthCheck", "A new health check, which runs within half a minute")
                .takes::<NewCheck>()
                .creates::<CheckView>()
                .refuses(&[409]),
        )
        .post(
            &format!("{base}/test"),
            test,
            Op::new("testHealthCheck", "Carries a check out once without storing anything")
                .takes::<NewCheck>()
                .gives::<ResultView>()
                .refuses(&[409]),
        )
        .get(
            one,
            get,
            Op::new("getHealthCheck", "A health check")
                .about("`ETag` is the version in quotes.")
                .gives::<CheckView>(),
        )
        .put(
            one,
            replace,
            Op::new("replaceHealthCheck", "Replaces a health check; its history stays")
                .headers(&[string("If-Match", "The `ETag` of the version to be replaced, or `*` for any.")])
                .takes::<NewCheck>()
                .gives::<CheckView>()
                .refuses(&[409, 412]),
        )
        .delete(
            one,
            remove,
            Op::new("deleteHealthCheck", "Removes a health check").gives_nothing(204).refuses(&[409]),
        )
        .post(
            &format!("{one}/run"),
            run_now,
            Op::new("runHealthCheck", "Runs a check now; the result counts as every other")
                .gives::<ResultView>()
                .refuses(&[409]),
        )
}

/// A check with its name. Only described here; it is read as a specification, so that faults name their fields.
#[derive(JsonSchema)]
#[schemars(rename = "NewHealthCheck")]
#[expect(dead_code, reason = "it describes the body")]
struct NewCheck {
    name: String,
    #[schemars(flatten)]
    spec: CheckSpec,
}

/// A check as it is shown: secrets only to those who may change settings.
fn view(
    app: &SharedApp,
    identity: &Identity,
    seat: &Seat,
    found: Projected,
    warnings: Vec<Warning>,
) -> Result<CheckView, Fault> {
    let Projected { id, mut object, .. } = found;
    if !identity.principal.may(control::Permission::SettingsManage) {
        mask(KIND, &mut object.spec);
    }
    let spec = CheckSpec::parse(&object.spec)
        .map_err(|error| Fault::Internal(format!("the check {:?} does not read: {error}", object.name)))?;
    let (state, last) = seat.by_id(&id).map(|entry| entry.now()).unwrap_or_default();
    let may_push = identity.principal.may(control::Permission::ObjectsWrite);
    let push_url = (spec.kind == CheckType::Heartbeat && may_push)
        .then(|| heartbeat::url(app, &identity.tenant, &id))
        .transpose()?;
    Ok(CheckView {
        state: StateView::new(&state, last.as_ref()),
        id,
        name: object.name,
        spec,
        created_at: Moment(object.created_at),
        updated_at: Moment(object.updated_at),
        version: object.version,
        file: object.file,
        push_url,
        warnings: warnings.into_iter().map(|w| WarningView { field: w.field, message: w.text }).collect(),
    })
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<ChecksView>, ApiFault> {
    let paging = Paging::read(&params)?;
    let kind = params.get("type").map(|text| {
        let wrong = || Fault::invalid("type", format!("{text:?} is no type of checks"));
        CheckType::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(wrong)
    });
    let kind = kind.transpose()?;
    let status = params.get("status").map(|text| {
        let wrong = || Fault::invalid("status", format!("{text:?} is none of {}", STATUSES.join(", ")));
        CheckStatus::parse(text).ok_or_else(wrong)
    });
    let status = status.transpose()?;
    let active = params.get("isActive").map(|text| text == "true");
    let search = params.get("search").map(str::to_lowercase);
    let (control, seat) = (app.control()?, app.checks_of(&identity.tenant).await?);
    let fits = |found: &Projected| {
        let spec = &found.object.spec;
        let text = |name: &str| spec.get(name).and_then(Value::as_str).unwrap_or_default();
        let is_active = spec.get("isActive").and_then(Value::as_bool).unwrap_or(true);
        let holds = |wanted: &String| {
            let of = |text: &str| text.to_lowercase().contains(wanted.as_str());
            of(&found.object.name) || of(text("target"))
        };
        let now = || seat.by_id(&found.id).map_or(CheckStatus::Unknown, |entry| entry.now().0.status);
        kind.is_none_or(|kind| text("type") == kind.as_str())
            && active.is_none_or(|active| is_active == active)
            && search.as_ref().is_none_or(holds)
            && status.is_none_or(|status| now() == status)
    };
    let (mut items, mut after) = (Vec::new(), paging.after().map(str::to_owned));
    let most = paging.limit() as usize;
    // Filters may leave out whole pages, so more are read until this one is full.
    let next = 'pages: loop {
        let found = control.projected(&identity.tenant, KIND, after.as_deref(), 1_000).await?;
        let is_last = found.len() < 1_000;
        for one in found {
            let name = one.object.name.clone();
            if fits(&one) {
                if items.len() == most {
                    break 'pages after;
                }
                items.push(view(&app, &identity, &seat, one, Vec::new())?);
            }
            after = Some(name);
        }
        if is_last {
            break None;
        }
    };
    Ok(Json(ChecksView { items, next, summary: summary(&seat) }))
}

fn summary(seat: &Seat) -> SummaryView {
    let active = seat.entries().filter(|entry| entry.is_active());
    let whole = overall(active.map(|entry| (entry.check.spec().critical, entry.now().0.status)));
    SummaryView {
        status: Word(whole.status),
        healthy: whole.healthy,
        unhealthy: whole.unhealthy,
        unknown: whole.unknown,
        paused: seat.entries().filter(|entry| !entry.is_active()).count(),
    }
}

async fn get(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiFault> {
    let seat = app.checks_of(&identity.tenant).await?;
    let found = app.control()?.projected_by_id(&identity.tenant, KIND, &id).await?;
    let tag = [(header::ETAG, format!("\"{}\"", found.object.version))];
    Ok((tag, Json(view(&app, &identity, &seat, found, Vec::new())?)))
}

async fn create(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<Value>,
) -> Result<(StatusCode, Json<CheckView>), ApiFault> {
    let (name, spec) = split(body.0, None)?;
    let (check, warnings) = judge(&app, &identity.tenant, &name, &spec).await?;
    let control = app.control()?;
    let put = control.put_object(&identity.tenant, KIND, &name, &stored(&check)?, Some(0)).await;
    let object = put.map_err(|error| match error {
        ControlError::Changed { .. } => Fault::Conflict(format!(
            "there is a check {name:?} already: choose another name, or change that one"
        )),
        error => error.into(),
    })?;
    app.checks().changed(&identity.tenant, KIND);
    let id = control.projected_id(&identity.tenant, KIND, &name).await?;
    let seat = app.checks_of(&identity.tenant).await?;
    let found = Projected { id, object, last_triggered: None };
    Ok((StatusCode::CREATED, Json(view(&app, &identity, &seat, found, warnings)?)))
}

/// Carries out what may not be stored yet. A heartbeat has nothing to carry out.
async fn test(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<Value>,
) -> Result<Json<ResultView>, ApiFault> {
    let (name, mut spec) = split(body.0, Some("test"))?;
    let control = app.control()?;
    let known = control.object(&identity.tenant, KIND, &name).await.ok();
    restore(KIND, &mut spec, known.as_ref().map(|object| &object.spec))?;
    let (check, _) = judge(&app, &identity.tenant, &name, &spec).await?;
    let seat = app.checks_of(&identity.tenant).await?;
    Ok(Json(seat.attempt(&check).await.into()))
}

async fn replace(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body<Value>,
) -> Result<impl IntoResponse, ApiFault> {
    let control = app.control()?;
    let before = control.projected_by_id(&identity.tenant, KIND, &id).await?;
    let expected = matched(&headers, Some(before.object.version))?;
    let (name, mut spec) = split(body.0, Some(&before.object.name))?;
    restore(KIND, &mut spec, Some(&before.object.spec))?;
    let (check, warnings) = judge(&app, &identity.tenant, &name, &spec).await?;
    if name != before.object.name {
        control.rename_object(&identity.tenant, KIND, &before.object.name, &name).await?;
    }
    control.put_object(&identity.tenant, KIND, &name, &stored(&check)?, expected).await?;
    app.checks().changed(&identity.tenant, KIND);
    let seat = app.checks_of(&identity.tenant).await?;
    let found = control.projected_by_id(&identity.tenant, KIND, &id).await?;
    let tag = [(header::ETAG, format!("\"{}\"", found.object.version))];
    Ok((tag, Json(view(&app, &identity, &seat, found, warnings)?)))
}

async fn remove(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFault> {
    let control = app.control()?;
    let found = control.projected_by_id(&identity.tenant, KIND, &id).await?;
    control.delete_object(&identity.tenant, KIND, &found.object.name).await?;
    app.checks().changed(&identity.tenant, KIND);
    // It runs no more when the answer says it is gone.
    app.checks_of(&identity.tenant).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn run_now(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<ResultView>, ApiFault> {
    let found = app.control()?.projected_by_id(&identity.tenant, KIND, &id).await?;
    let seat = app.checks_of(&identity.tenant).await?;
    let entry = seat.by_id(&found.id).ok_or_else(|| {
        Fault::Conflict(format!("the check {:?} does not read: replace it first", found.object.name))
    })?;
    let result = seat.attempt(&entry.check).await;
    run::conclude(&app, &seat, &entry, result.clone());
    run::store(&app).await;
    Ok(Json(result.into()))
}
