//! Status pages: what the public sees without signing in, and the same for members.

use std::sync::Arc;

use alert::incident::{Impact, Phase, Publication};
use alert::status::{ComponentState, Day, PublicIncident, StatusPageSpec};
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use control::{ControlError, ObjectKind};
use hashbrown::HashMap;
use model::TenantId;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;

use super::status_state::{Measured, Seen, look, measure};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::limits::Ask;
use crate::moment::Moment;
use crate::openapi::{Op, Routes};
use crate::visitor::Visitor;

/// How long a page is shown as it was, and how long what checks measured counts: an hour's worth of a bar of a day.
const FRESH_MS: i64 = 15_000;
const MEASURED_MS: i64 = 3_600_000;
/// Pages kept.
const PAGES_MAX: usize = 1_000;

pub(super) fn public_routes() -> Routes {
    Routes::new("Status page").get(
        "/api/v1/monitoring/status-pages/{tenant}/{name}",
        public,
        Op::new("getStatusPage", "A public status page, as it was at most 15 seconds ago")
            .gives::<StatusPageView>()
            .refuses(&[404]),
    )
}

/// For whoever edits them.
pub(super) fn routes() -> Routes {
    Routes::new("Status page").get(
        "/api/v1/monitoring/status-page/{name}",
        preview,
        Op::new("previewStatusPage", "A status page as the public sees it or would")
            .gives::<StatusPageView>(),
    )
}

/// What the public sees.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "StatusPage")]
struct StatusPageView {
    title: String,
    description: Option<String>,
    /// The worst of its components.
    state: ComponentState,
    components: Vec<ComponentView>,
    /// Those that go on, and those of the last ninety days, the newest first.
    incidents: Vec<IncidentView>,
    /// Work that is planned, or was lately.
    maintenances: Vec<MaintenanceView>,
    updated_at: Moment,
}

/// A part of what is offered.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "StatusComponent")]
struct ComponentView {
    name: String,
    description: Option<String>,
    group: Option<String>,
    state: ComponentState,
    /// The last ninety days in UTC, the oldest first.
    days: Vec<DayView>,
}

/// A day of a component.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "StatusDay")]
struct DayView {
    from: Moment,
    /// The share of what is known of it that was well, 0 to 1; `null` where nothing is known.
    uptime: Option<f64>,
    outage_ms: i64,
    degraded_ms: i64,
    maintenance_ms: i64,
}

/// An incident as the public is told of it.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "StatusIncident")]
struct IncidentView {
    number: i64,
    title: String,
    phase: Phase,
    impact: Impact,
    components: Vec<String>,
    started_at: Moment,
    resolved_at: Option<Moment>,
    /// The newest first.
    updates: Vec<UpdateView>,
}

/// Something that was told.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "StatusUpdate")]
struct UpdateView {
    at: Moment,
    phase: Phase,
    text: String,
}

/// Work that was planned.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "StatusMaintenance")]
struct MaintenanceView {
    title: String,
    text: String,
    from: String,
    until: String,
    components: Vec<String>,
}

impl From<Day> for DayView {
    fn from(day: Day) -> Self {
        Self {
            from: Moment(day.from),
            uptime: day.uptime,
            outage_ms: day.outage_ms,
            degraded_ms: day.degraded_ms,
            maintenance_ms: day.maintenance_ms,
        }
    }
}

impl From<PublicIncident> for IncidentView {
    fn from(incident: PublicIncident) -> Self {
        let update = |update: alert::status::PublicUpdate| UpdateView {
            at: Moment(update.at),
            phase: update.phase,
            text: update.text,
        };
        Self {
            number: incident.number,
            title: incident.title,
            phase: incident.phase,
            impact: incident.impact,
            components: incident.components,
            started_at: Moment(incident.started_at),
            resolved_at: incident.resolved_at.map(Moment),
            updates: incident.updates.into_iter().map(update).collect(),
        }
    }
}

fn view(spec: StatusPageSpec, seen: Seen, now: i64) -> StatusPageView {
    let component = |(shown, days): (alert::status::ShownComponent, Vec<Day>)| ComponentView {
        name: shown.name,
        description: shown.description,
        group: shown.group,
        state: shown.state,
        days: days.into_iter().map(DayView::from).collect(),
    };
    let maintenance = |work: alert::status::MaintenanceSpec| MaintenanceView {
        title: work.title,
        text: work.text,
        from: work.from,
        until: work.until,
        components: work.components,
    };
    StatusPageView {
        title: spec.title,
        description: spec.description,
        state: seen.state,
        components: seen.components.into_iter().map(component).collect(),
        incidents: seen.incidents.into_iter().map(IncidentView::from).collect(),
        maintenances: spec.maintenances.into_iter().map(maintenance).collect(),
        updated_at: Moment(now),
    }
}

/// Pages as they were a short while ago, so that however many look at one it is made once.
#[derive(Default)]
pub(super) struct Pages {
    kept: Mutex<HashMap<(TenantId, String), Kept>>,
    /// One page is made at a time.
    making: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Kept {
    page: Arc<StatusPageView>,
    made_at: i64,
    measured: Arc<Measured>,
    measured_at: i64,
}

impl Pages {
    /// What the public was told changed.
    pub(super) fn forget(&self, tenant: &TenantId) {
        for (_, kept) in self.kept.lock().iter_mut().filter(|((of, _), _)| of == tenant) {
            kept.made_at = i64::MIN;
        }
    }

    fn fresh(&self, key: &(TenantId, String), now: i64) -> Option<Arc<StatusPageView>> {
        let kept = self.kept.lock().get(key).cloned()?;
        (now.saturating_sub(kept.made_at) < FRESH_MS).then_some(kept.page)
    }

    fn measured(&self, key: &(TenantId, String), now: i64) -> Option<(Arc<Measured>, i64)> {
        let kept = self.kept.lock().get(key).cloned()?;
        (now.saturating_sub(kept.measured_at) < MEASURED_MS).then_some((kept.measured, kept.measured_at))
    }

    fn keep(&self, key: (TenantId, String), kept: Kept) {
        let mut all = self.kept.lock();
        if all.len() >= PAGES_MAX && !all.contains_key(&key) {
            let oldest = all.iter().min_by_key(|(_, kept)| kept.made_at).map(|(key, _)| key.clone());
            oldest.map(|oldest| all.remove(&oldest));
        }
        all.insert(key, kept);
    }
}

/// There is no such page, or none for everybody.
fn missing(name: &str) -> Fault {
    let shown: String = name.chars().take(80).collect();
    Fault::NotFound(format!("there is no status page {shown:?}"))
}

/// A page that everybody sees, by tenant and name.
pub(super) async fn public_page(
    app: &SharedApp,
    tenant: &str,
    name: &str,
) -> Result<(TenantId, StatusPageSpec, i64), Fault> {
    let tenant = TenantId::new(tenant).map_err(|_| missing(name))?;
    let control = app.control()?;
    control.active_tenant(&tenant).await.map_err(|error| match error {
        ControlError::NotFound { .. } | ControlError::Forbidden { .. } => missing(name),
        other => other.into(),
    })?;
    let (spec, made_at) = page(app, &tenant, name).await?;
    if spec.public { Ok((tenant, spec, made_at)) } else { Err(missing(name)) }
}

/// A page of a tenant, and when it was made.
async fn page(app: &SharedApp, tenant: &TenantId, name: &str) -> Result<(StatusPageSpec, i64), Fault> {
    let object = app.control()?.object(tenant, ObjectKind::StatusPage, name).await;
    let object = object.map_err(|error| match error {
        ControlError::NotFound { .. } => missing(name),
        other => other.into(),
    })?;
    let spec = serde_json::from_value(object.spec)
        .map_err(|error| Fault::Conflict(format!("the status page {name:?} does not read: {error}")))?;
    Ok((spec, object.created_at))
}

/// Refuses an incident on a page that is not there, or with components that it does not have.
pub(super) async fn check_publication(
    app: &SharedApp,
    tenant: &TenantId,
    publication: &Publication,
) -> Result<(), Fault> {
    let (spec, _) = page(app, tenant, &publication.page).await.map_err(|fault| match fault {
        Fault::NotFound(message) => Fault::invalid("publication.page", message),
        other => other,
    })?;
    let known = |name: &String| spec.components.iter().any(|component| component.name == *name);
    match publication.components.iter().position(|name| !known(name)) {
        None => Ok(()),
        Some(n) => {
            Err(Fault::invalid(&format!("publication.components[{n}]"), "is no component of this page"))
        }
    }
}

async fn public(
    State(app): State<SharedApp>,
    visitor: Visitor,
    Path((tenant, name)): Path<(String, String)>,
) -> Result<impl IntoResponse, ApiFault> {
    visitor.count(&app, Ask::Page)?;
    let (tenant, spec, made_at) = public_page(&app, &tenant, &name).await?;
    let pages = &app.response().pages;
    let key = (tenant, name);
    let headers = [(header::CACHE_CONTROL, "public, max-age=15")];
    if let Some(page) = pages.fresh(&key, app.now_ms()) {
        return Ok((headers, Json(page)));
    }
    let _one = pages.making.lock().await;
    let now = app.now_ms();
    if let Some(page) = pages.fresh(&key, now) {
        return Ok((headers, Json(page)));
    }
    let (measured, measured_at) = match pages.measured(&key, now) {
        Some(known) => known,
        None => (Arc::new(measure(&app, &key.0, &spec).await), now),
    };
    let seen = look(&app, &key.0, (&key.1, &spec), &measured, made_at).await?;
    let page = Arc::new(view(spec, seen, now));
    pages.keep(key, Kept { page: Arc::clone(&page), made_at: now, measured, measured_at });
    Ok((headers, Json(page)))
}

async fn preview(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
) -> Result<Json<StatusPageView>, ApiFault> {
    identity.reach().need_whole("status pages")?;
    let (spec, made_at) = page(&app, &identity.tenant, &name).await?;
    let measured = measure(&app, &identity.tenant, &spec).await;
    let seen = look(&app, &identity.tenant, (&name, &spec), &measured, made_at).await?;
    Ok(Json(view(spec, seen, app.now_ms())))
}
