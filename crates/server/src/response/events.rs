//! What fired: listed, looked at, acknowledged, ended.

use alert::severity::Severity;
use alert::tables::{Event, EventFilter, EventState};
use axum::Json;
use axum::extract::{Extension, Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::views::{EntryView, EventView, NotificationView};
use super::who;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Optional;
use crate::openapi::{Op, Page, Routes, count, string, time};
use crate::prom::params::Params;
use crate::tenants_api::Paging;

pub(super) fn routes() -> Routes {
    let base = "/api/v1/monitoring/alerts/events";
    let one = &format!("{base}/{{id}}");
    let changes = |id, summary| Op::new(id, summary).gives::<EventView>().refuses(&[409]);
    Routes::new("Alerts")
        .get(
            base,
            list,
            Op::new("listAlertEvents", "What fired, the newest first")
                .params(&[
                    string(
                        "state",
                        "`firing`, `acknowledged` or `resolved`, with commas between; all unless given.",
                    ),
                    string("severity", "`info`, `warning`, `error` or `critical`, with commas between."),
                    string("rule", "Key of a rule, such as `rule/High CPU`."),
                    time("since", "That fired at or after this time."),
                    time("until", "That fired before this time."),
                ])
                .gives_page::<EventView>(),
        )
        .get(one, get, Op::new("getAlertEvent", "An event with its log and who was told").gives::<Detail>())
        .post(
            &format!("{one}/acknowledge"),
            acknowledge,
            changes("acknowledgeAlertEvent", "Somebody takes care of it; a second call changes nothing")
                .takes::<Note>()
                .body_is_optional(),
        )
        .post(
            &format!("{one}/unacknowledge"),
            unacknowledge,
            changes("unacknowledgeAlertEvent", "Nobody takes care of it any more"),
        )
        .post(
            &format!("{one}/resolve"),
            resolve,
            changes("resolveAlertEvent", "Ends it; its rule fires again only after its cooldown"),
        )
        .get(
            "/api/v1/monitoring/notifications",
            notifications,
            Op::new("listNotifications", "Who was told lately, the newest first; at most 1000")
                .params(&[count("limit", "How many: 100 unless given.")])
                .gives::<Page<NotificationView>>(),
        )
}

/// What is said of it.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "AlertNote")]
struct Note {
    note: Option<String>,
}

/// An event with all that happened to it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AlertEventDetail")]
struct Detail {
    #[serde(flatten)]
    event: EventView,
    log: Vec<EntryView>,
    notifications: Vec<NotificationView>,
}

/// Reads words with commas between.
pub(super) fn words<T>(
    params: &Params,
    name: &str,
    read: impl Fn(&str) -> Option<T>,
    known: &str,
) -> Result<Vec<T>, Fault> {
    let Some(text) = params.get(name) else { return Ok(Vec::new()) };
    let each = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    each.map(|word| read(word).ok_or_else(|| Fault::invalid(name, format!("{word:?} is none of {known}"))))
        .collect()
}

fn state_of(word: &str) -> Option<EventState> {
    [EventState::Firing, EventState::Acknowledged, EventState::Resolved]
        .into_iter()
        .find(|s| s.as_str() == word)
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Page<EventView>>, ApiFault> {
    let paging = Paging::read(&params)?;
    let mut filter = EventFilter {
        states: words(&params, "state", state_of, "firing, acknowledged, resolved")?,
        severities: words(&params, "severity", Severity::parse, "info, warning, error, critical")?,
        rule: params.get("rule").map(str::to_owned),
        since: params.time("since")?,
        until: params.time("until")?,
        after: paging.after().map(place).transpose()?,
    };
    let engine = app.engine_of(&identity.tenant).await?;
    let reach = identity.reach();
    let (mut items, most) = (Vec::new(), paging.limit() as usize);
    // A role's selector may leave out whole pages.
    let next = loop {
        let found = engine.tables().events(&filter, 1_000).await.map_err(Fault::from)?;
        let is_last = found.len() < 1_000;
        let mut full = false;
        for event in found {
            let at = (event.fired_at, event.id.clone());
            if reach.shows(&event.labels)? {
                if items.len() == most {
                    full = true;
                    break;
                }
                items.push(EventView::from(event));
            }
            filter.after = Some(at);
        }
        if full || is_last {
            break full.then(|| filter.after.as_ref().map(|(at, id)| format!("{at}~{id}"))).flatten();
        }
    };
    Ok(Json(Page { items, next }))
}

/// Where a page ended: time and id.
pub(super) fn place(text: &str) -> Result<(i64, String), Fault> {
    let read = text.split_once('~').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    read.ok_or_else(|| Fault::invalid("after", "is not the `next` of a page"))
}

/// An event that the caller may see.
async fn seen(app: &SharedApp, identity: &Identity, id: &str) -> Result<Event, Fault> {
    let event = app.engine_of(&identity.tenant).await?.tables().event(id).await?;
    match identity.reach().shows(&event.labels)? {
        true => Ok(event),
        false => Err(Fault::NotFound(format!("there is no alert event {id:?}"))),
    }
}

async fn get(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<Detail>, ApiFault> {
    let event = seen(&app, &identity, &id).await?;
    let engine = app.engine_of(&identity.tenant).await?;
    let tables = engine.tables();
    let log = tables.event_log(&id).await.map_err(Fault::from)?.into_iter().map(EntryView::from).collect();
    let mut notifications = Vec::new();
    for one in tables.notifications_of(&id).await.map_err(Fault::from)? {
        let deliveries = tables.deliveries(&one.id).await.map_err(Fault::from)?;
        notifications.push(NotificationView::of(one, deliveries));
    }
    Ok(Json(Detail { event: event.into(), log, notifications }))
}

async fn changed(app: &SharedApp, identity: &Identity, event: Event) -> Result<Json<EventView>, ApiFault> {
    let seat = app.seat_of(&identity.tenant).await?;
    super::run::announce(app, &seat, std::slice::from_ref(&event)).await;
    Ok(Json(event.into()))
}

async fn acknowledge(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    said: Optional<Note>,
) -> Result<Json<EventView>, ApiFault> {
    seen(&app, &identity, &id).await?;
    let engine = app.engine_of(&identity.tenant).await?;
    let event = engine
        .acknowledge(&id, &who(&identity), said.0.and_then(|said| said.note).as_deref())
        .await
        .map_err(Fault::from)?;
    changed(&app, &identity, event).await
}

async fn unacknowledge(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<EventView>, ApiFault> {
    seen(&app, &identity, &id).await?;
    let engine = app.engine_of(&identity.tenant).await?;
    let event = engine.unacknowledge(&id, &who(&identity)).await.map_err(Fault::from)?;
    changed(&app, &identity, event).await
}

async fn resolve(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<EventView>, ApiFault> {
    seen(&app, &identity, &id).await?;
    let engine = app.engine_of(&identity.tenant).await?;
    let event = engine.resolve(&id, &who(&identity)).await.map_err(Fault::from)?;
    changed(&app, &identity, event).await
}

async fn notifications(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Page<NotificationView>>, ApiFault> {
    identity.reach().need_whole("notifications")?;
    let limit = params.count("limit")?.unwrap_or(100).clamp(1, 1_000) as u32;
    let engine = app.engine_of(&identity.tenant).await?;
    let mut items = Vec::new();
    for one in engine.tables().notifications(limit).await.map_err(Fault::from)? {
        let deliveries = engine.tables().deliveries(&one.id).await.map_err(Fault::from)?;
        items.push(NotificationView::of(one, deliveries));
    }
    Ok(Json(Page::whole(items)))
}
