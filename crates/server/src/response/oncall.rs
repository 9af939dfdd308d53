//! Who is on duty: now, between two times, and as a calendar that phones subscribe to.

use std::sync::Arc;

use alert::oncall::{Calendar, Schedule, ScheduleSpec, Shift, Source, calendar};
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use control::ObjectKind;
use model::TenantId;
use schemars::JsonSchema;
use serde::Serialize;

use super::setup::external_url;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::limits::Ask;
use crate::moment::Moment;
use crate::openapi::{Op, Page, Routes, string, text, time};
use crate::prom::params::Params;
use crate::visitor::Visitor;

/// How far a list of shifts reaches unless asked for otherwise: four weeks.
const SPAN_MS: i64 = 28 * 86_400_000;
/// What of the past and of the future a calendar holds.
const PAST_MS: i64 = 30 * 86_400_000;
const AHEAD_MS: i64 = 180 * 86_400_000;

/// Under which tokens of calendars are sealed.
const PURPOSE: &str = "calendar of a schedule";

pub(super) fn routes() -> Routes {
    let schedule = "/api/v1/monitoring/schedules/{name}";
    Routes::new("On-call")
        .get(
            "/api/v1/monitoring/on-call",
            now,
            Op::new("listOnCall", "Who is on call now, by every schedule").gives::<Page<OnCall>>(),
        )
        .get(
            &format!("{schedule}/shifts"),
            shifts,
            Op::new("listShifts", "Shifts of a schedule, in order; at most 5000 and 400 days")
                .params(&[
                    time("from", "From when; now unless given."),
                    time("until", "Until when; four weeks later unless given."),
                ])
                .gives::<Page<ShiftView>>(),
        )
        .get(
            &format!("{schedule}/calendar"),
            address,
            Op::new("getCalendarAddress", "The address by which a calendar subscribes to a schedule")
                .about("It holds a token; whoever has it sees the shifts. A schedule that is made anew has another.")
                .gives::<CalendarAddress>(),
        )
}

pub(super) fn public_routes() -> Routes {
    Routes::new("On-call").get(
        "/api/v1/monitoring/schedules/{name}/calendar.ics",
        ics,
        Op::new(
            "getCalendar",
            "The shifts of a schedule as iCalendar (RFC 5545), for whoever has its address",
        )
        .params(&[
            string("token", "From the address of the calendar.").required(),
            string("person", "Only the shifts of the member with this e-mail address."),
        ])
        .gives_content(text("text/calendar"))
        .refuses(&[404]),
    )
}

/// Who has a schedule now.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OnCall {
    schedule: String,
    /// E-mail address; `null` where nobody has it.
    person: Option<String>,
    /// When it goes over; `null` where that does not happen within 400 days.
    until: Option<Moment>,
    /// Who has it then.
    next: Option<String>,
}

/// Somebody's duty.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Shift")]
struct ShiftView {
    person: String,
    from: Moment,
    until: Moment,
    /// Number of the layer, from 0; `null` for an override.
    layer: Option<usize>,
    /// Number of the override, from 0; `null` for a layer.
    #[serde(rename = "override")]
    exception: Option<usize>,
}

/// Where a calendar is found.
#[derive(Serialize, JsonSchema)]
struct CalendarAddress {
    url: String,
}

impl From<Shift> for ShiftView {
    fn from(shift: Shift) -> Self {
        let (layer, exception) = match shift.source {
            Source::Layer(n) => (Some(n), None),
            Source::Override(n) => (None, Some(n)),
        };
        Self { person: shift.person, from: Moment(shift.from), until: Moment(shift.until), layer, exception }
    }
}

async fn now(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<Page<OnCall>>, ApiFault> {
    let setup = app.engine_of(&identity.tenant).await?.desk().setup().await;
    let now = app.now_ms();
    let one = |(name, schedule): (&String, &Arc<Schedule>)| {
        let handover = schedule.next_handover(now);
        OnCall {
            schedule: name.clone(),
            person: schedule.who(now).map(|duty| duty.person.to_owned()),
            until: handover.as_ref().map(|handover| Moment(handover.at)),
            next: handover.and_then(|handover| handover.to),
        }
    };
    Ok(Json(Page::whole(setup.schedules.iter().map(one).collect())))
}

/// A schedule with when it was made.
async fn schedule(app: &SharedApp, tenant: &TenantId, name: &str) -> Result<(Schedule, i64), Fault> {
    let object = app.control()?.object(tenant, ObjectKind::Schedule, name).await?;
    let unreadable = |error: String| Fault::Conflict(format!("the schedule {name:?} does not read: {error}"));
    let spec: ScheduleSpec =
        serde_json::from_value(object.spec).map_err(|error| unreadable(error.to_string()))?;
    let schedule = Schedule::new(&spec).map_err(|error| unreadable(error.to_string()))?;
    Ok((schedule, object.created_at))
}

async fn shifts(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Json<Page<ShiftView>>, ApiFault> {
    let (schedule, _) = schedule(&app, &identity.tenant, &name).await?;
    let from = params.time("from")?.unwrap_or_else(|| app.now_ms());
    let until = params.time("until")?.unwrap_or_else(|| from.saturating_add(SPAN_MS));
    if until <= from {
        return Err(Fault::invalid("until", "is not after from: write a later time").into());
    }
    let shifts = schedule.shifts(from, until).into_iter().map(ShiftView::from);
    Ok(Json(Page::whole(shifts.collect())))
}

async fn address(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
) -> Result<Json<CalendarAddress>, ApiFault> {
    let (_, made_at) = schedule(&app, &identity.tenant, &name).await?;
    let plain = format!("{}\n{made_at}\n{name}", identity.tenant);
    let token = app.control()?.keyring().seal(PURPOSE, plain.as_bytes())?;
    let mut url = url::Url::parse(&external_url(&app))
        .map_err(|error| Fault::Internal(format!("server.external_url: {error}")))?;
    url.path_segments_mut()
        .map_err(|()| Fault::Internal("server.external_url has no path".to_owned()))?
        .pop_if_empty()
        .extend(["api", "v1", "monitoring", "schedules", &name, "calendar.ics"]);
    url.query_pairs_mut().append_pair("token", &token);
    Ok(Json(CalendarAddress { url: url.into() }))
}

async fn ics(
    State(app): State<SharedApp>,
    visitor: Visitor,
    Path(name): Path<String>,
    params: Params,
) -> Result<impl IntoResponse, ApiFault> {
    visitor.count(&app, Ask::Page)?;
    let unknown = || Fault::NotFound("there is no calendar at this address: ask for it anew".to_owned());
    let control = app.control()?;
    let plain = control.keyring().unseal(PURPOSE, params.required("token")?).map_err(|_| unknown())?;
    let plain = String::from_utf8(plain).map_err(|_| unknown())?;
    let mut parts = plain.splitn(3, '\n');
    let (tenant, made_at) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if parts.next() != Some(name.as_str()) {
        return Err(unknown().into());
    }
    let tenant = TenantId::new(tenant).map_err(|_| unknown())?;
    control.active_tenant(&tenant).await.map_err(|_| unknown())?;
    let (schedule, found_at) = schedule(&app, &tenant, &name).await.map_err(|fault| match fault {
        Fault::NotFound(_) => unknown(),
        other => other,
    })?;
    if found_at.to_string() != made_at {
        return Err(unknown().into());
    }
    let now = app.now_ms();
    let shifts = schedule.shifts(now - PAST_MS, now + AHEAD_MS);
    let schedules = [(name.as_str(), shifts.as_slice())];
    let text =
        calendar(Calendar { name: &name, schedules: &schedules, person: params.get("person"), at: now });
    let headers = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8"),
        (header::CACHE_CONTROL, "private, max-age=300"),
    ];
    Ok((headers, text))
}
