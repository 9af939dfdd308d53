//! Incidents: opened by hand or by a route, listed, looked at, worked on.

use alert::incident::{
    Incident, IncidentFilter, IncidentStatus, NewIncident, Operation, Origin, Phase, Publication,
};
use alert::severity::Severity;
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::events::{place, words};
use super::incident_views::{Detail, EntryView, IncidentView};
use super::views::EventView;
use super::who;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::{Body, Optional};
use crate::openapi::{Op, Page, Routes, string, time};
use crate::prom::params::Params;
use crate::tenants_api::Paging;

/// Entries of a timeline that come with their incident.
const ENTRIES_MAX: u32 = 1_000;
/// Events that one call joins.
const EVENTS_MAX: usize = 1_000;
/// Runbooks of one incident.
const RUNBOOKS_MAX: usize = 10;

pub(super) fn routes() -> Routes {
    let base = "/api/v1/monitoring/incidents";
    let one = &format!("{base}/{{id}}");
    let change = |id, summary| Op::new(id, summary).gives::<IncidentView>().refuses(&[409]);
    let said = |id, summary| change(id, summary).takes::<Said>().body_is_optional();
    Routes::new("Incidents")
        .get(
            base,
            list,
            Op::new("listIncidents", "Incidents, the newest first")
                .params(&[
                    string(
                        "status",
                        "`open`, `acknowledged` or `resolved`, with commas between; all unless given.",
                    ),
                    string("severity", "`info`, `warning`, `error` or `critical`, with commas between."),
                    string("event", "Only those that this alert event belongs to."),
                    time("since", "That began at or after this time."),
                    time("until", "That began before this time."),
                ])
                .gives_page::<IncidentView>(),
        )
        .post(
            base,
            create,
            Op::new("createIncident", "Opens an incident by hand")
                .takes::<NewIncidentBody>()
                .creates::<IncidentView>(),
        )
        .get(one, get, Op::new("getIncident", "An incident with its timeline").gives::<Detail>())
        .patch(
            one,
            update,
            change("updateIncident", "Changes its title, its severity, or what the public sees of it")
                .takes::<IncidentChange>(),
        )
        .post(
            &format!("{one}/acknowledge"),
            acknowledge,
            said("acknowledgeIncident", "Somebody takes care of it and its alerts; nobody else is called"),
        )
        .post(&format!("{one}/resolve"), resolve, said("resolveIncident", "Ends it and its alerts"))
        .post(
            &format!("{one}/reopen"),
            reopen,
            said("reopenIncident", "It is not over: people are called again"),
        )
        .post(
            &format!("{one}/notes"),
            note,
            change("addIncidentNote", "Writes something into its timeline").takes::<NoteBody>(),
        )
        .post(
            &format!("{one}/assign"),
            assign,
            change("assignIncident", "Gives it, or a role in it, to a member or to nobody")
                .takes::<Assignment>(),
        )
        .get(
            &format!("{one}/events"),
            events,
            Op::new("listIncidentEvents", "Alert events that belong to it, by id").gives_page::<EventView>(),
        )
        .post(
            &format!("{one}/events"),
            join,
            change("joinIncidentEvents", "Has alert events belong to it").takes::<Joined>(),
        )
        .post(
            &format!("{one}/runbooks"),
            link,
            change("linkIncidentRunbook", "Has a runbook be worked through").takes::<Linked>(),
        )
}

/// An incident to be opened.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewIncident")]
struct NewIncidentBody {
    title: String,
    /// `warning` unless given.
    #[serde(default)]
    severity: Option<Severity>,
    /// Alert events that belong to it.
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
    /// The policy that calls people.
    #[serde(default)]
    escalation: Option<String>,
    /// Names of runbooks that are to be worked through.
    #[serde(default)]
    runbooks: Vec<String>,
}

/// What is changed; what is not given stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IncidentChange {
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    severity: Option<Severity>,
    /// What a status page shows of it.
    #[serde(default)]
    publication: Option<Publication>,
    /// True takes it off the status page.
    #[serde(default)]
    unpublish: bool,
    /// Tells the public and its subscribers something; for an incident that is on a status page.
    #[serde(default)]
    update: Option<PublicUpdateBody>,
}

/// Something that the public is told.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewPublicUpdate")]
struct PublicUpdateBody {
    phase: Phase,
    text: String,
}

/// What is said of it.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "IncidentRemark")]
struct Said {
    note: Option<String>,
}

/// What is written down.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IncidentNote")]
struct NoteBody {
    text: String,
}

/// Who does it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IncidentAssignment")]
struct Assignment {
    /// A member's e-mail address; nobody without one.
    #[serde(default)]
    person: Option<String>,
    /// A role such as `commander`; the incident itself without one.
    #[serde(default)]
    role: Option<String>,
}

/// Alert events.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IncidentEvents")]
struct Joined {
    events: Vec<String>,
}

/// A runbook.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IncidentRunbook")]
struct Linked {
    name: String,
}

fn status_of(word: &str) -> Option<IncidentStatus> {
    [IncidentStatus::Open, IncidentStatus::Acknowledged, IncidentStatus::Resolved]
        .into_iter()
        .find(|status| status.as_str() == word)
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Page<IncidentView>>, ApiFault> {
    let paging = Paging::read(&params)?;
    let mut filter = IncidentFilter {
        statuses: words(&params, "status", status_of, "open, acknowledged, resolved")?,
        severities: words(&params, "severity", Severity::parse, "info, warning, error, critical")?,
        since: params.time("since")?,
        until: params.time("until")?,
        page: None,
        event: params.get("event").map(str::to_owned),
        after: paging.after().map(place).transpose()?,
    };
    let engine = app.engine_of(&identity.tenant).await?;
    let reach = identity.reach();
    let (mut items, most) = (Vec::new(), paging.limit() as usize);
    // A role's selector may leave out whole pages.
    loop {
        let found = engine.tables().incidents(&filter, 1_000).await.map_err(Fault::from)?;
        let is_last = found.len() < 1_000;
        for incident in found {
            let at = (incident.created_at, incident.id.clone());
            if reach.shows(&incident.labels)? {
                if items.len() == most {
                    let next = filter.after.as_ref().map(|(at, id)| format!("{at}~{id}"));
                    return Ok(Json(Page { items, next }));
                }
                items.push(IncidentView::from(incident));
            }
            filter.after = Some(at);
        }
        if is_last {
            return Ok(Json(Page::whole(items)));
        }
    }
}

/// An incident that the caller may see.
pub(super) async fn seen(app: &SharedApp, identity: &Identity, id: &str) -> Result<Incident, Fault> {
    let missing =
        || Fault::NotFound(format!("there is no incident {:?}", id.chars().take(80).collect::<String>()));
    let incident = app.engine_of(&identity.tenant).await?.tables().incident(id).await?;
    if identity.reach().shows(&incident.labels)? { Ok(incident) } else { Err(missing()) }
}

async fn get(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<Detail>, ApiFault> {
    let incident = seen(&app, &identity, &id).await?;
    let engine = app.engine_of(&identity.tenant).await?;
    let entries = engine.tables().timeline(&id, &[], 0, ENTRIES_MAX).await.map_err(Fault::from)?;
    let timeline = entries.into_iter().map(EntryView::from).collect();
    Ok(Json(Detail { incident: incident.into(), timeline }))
}

/// Refuses what names nothing.
async fn check_named(app: &SharedApp, identity: &Identity, new: &NewIncidentBody) -> Result<(), Fault> {
    if new.runbooks.len() > RUNBOOKS_MAX {
        return Err(Fault::invalid("runbooks", format!("has more than {RUNBOOKS_MAX}")));
    }
    let setup = app.engine_of(&identity.tenant).await?.desk().setup().await;
    if let Some(policy) = new.escalation.as_ref().filter(|name| !setup.escalations.contains_key(*name)) {
        return Err(Fault::invalid("escalation", format!("there is no escalation policy {policy:?}")));
    }
    match new.runbooks.iter().position(|name| !setup.runbooks.contains_key(name)) {
        None => Ok(()),
        Some(n) => Err(Fault::invalid(&format!("runbooks[{n}]"), "there is no such runbook")),
    }
}

async fn create(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<NewIncidentBody>,
) -> Result<(StatusCode, Json<IncidentView>), ApiFault> {
    let body = body.0;
    check_named(&app, &identity, &body).await?;
    check_events(&app, &identity, &body.events).await?;
    let new = NewIncident {
        title: body.title,
        severity: body.severity.unwrap_or(Severity::Warning),
        key: None,
        origin: Origin::Person(who(&identity)),
        events: body.events,
        labels: body.labels,
        escalation: body.escalation,
        auto_resolve: false,
    };
    let engine = app.engine_of(&identity.tenant).await?;
    let incident = engine.open_incident(&new, &body.runbooks).await.map_err(Fault::from)?;
    Ok((StatusCode::CREATED, announced(&app, &identity, incident)))
}

/// Tells open pages that an incident changed.
fn announced(app: &SharedApp, identity: &Identity, incident: Incident) -> Json<IncidentView> {
    let view = IncidentView::from(incident);
    let told = serde_json::json!({ "id": view.id });
    app.hub().broadcast(&identity.tenant, "incident", &told, app.now_ms());
    // What the public sees may be something else now.
    app.response().pages.forget(&identity.tenant);
    Json(view)
}

/// Does something to an incident that the caller may see.
async fn operate(
    app: &SharedApp,
    identity: &Identity,
    id: &str,
    operations: &[Operation],
) -> Result<Json<IncidentView>, ApiFault> {
    let mut incident = seen(app, identity, id).await?;
    let engine = app.engine_of(&identity.tenant).await?;
    for operation in operations {
        incident = engine.change_incident(id, operation, &who(identity)).await.map_err(Fault::from)?;
    }
    Ok(announced(app, identity, incident))
}

async fn update(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    body: Body<IncidentChange>,
) -> Result<Json<IncidentView>, ApiFault> {
    let change = body.0;
    if change.publication.is_some() && change.unpublish {
        return Err(Fault::invalid("unpublish", "stands beside publication: write one of them").into());
    }
    if let Some(publication) = &change.publication {
        super::status_page::check_publication(&app, &identity.tenant, publication).await?;
    }
    let mut operations = Vec::new();
    operations.extend(change.title.map(Operation::Rename));
    operations.extend(change.severity.map(Operation::SetSeverity));
    operations.extend(change.publication.map(|publication| Operation::Publish(Some(publication))));
    operations.extend(change.unpublish.then_some(Operation::Publish(None)));
    let changed = operate(&app, &identity, &id, &operations).await?;
    let Some(told) = change.update else { return Ok(changed) };
    let engine = app.engine_of(&identity.tenant).await?;
    let page = engine.tables().incident(&id).await.map_err(Fault::from)?.publication;
    let page = page.map(|publication| publication.page).unwrap_or_default();
    let leave = super::subscriptions::leave_links(&app, &identity.tenant, &page)?;
    let by = who(&identity);
    let told = engine.tell_public(&id, (told.phase, &told.text), &by, &leave);
    let incident = told.await.map_err(Fault::from)?;
    Ok(announced(&app, &identity, incident))
}

async fn acknowledge(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    said: Optional<Said>,
) -> Result<Json<IncidentView>, ApiFault> {
    let note = said.0.unwrap_or_default().note;
    operate(&app, &identity, &id, &[Operation::Acknowledge { note }]).await
}

async fn resolve(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    said: Optional<Said>,
) -> Result<Json<IncidentView>, ApiFault> {
    let note = said.0.unwrap_or_default().note;
    operate(&app, &identity, &id, &[Operation::Resolve { note }]).await
}

async fn reopen(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    said: Optional<Said>,
) -> Result<Json<IncidentView>, ApiFault> {
    let reason = said.0.unwrap_or_default().note.unwrap_or_default();
    operate(&app, &identity, &id, &[Operation::Reopen { reason }]).await
}

async fn note(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    body: Body<NoteBody>,
) -> Result<Json<IncidentView>, ApiFault> {
    operate(&app, &identity, &id, &[Operation::Note(body.0.text)]).await
}

async fn assign(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    body: Body<Assignment>,
) -> Result<Json<IncidentView>, ApiFault> {
    let Assignment { person, role } = body.0;
    let operation = match role {
        Some(role) => Operation::SetRole { role, person },
        None => Operation::Assign(person),
    };
    operate(&app, &identity, &id, &[operation]).await
}

async fn events(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Page<EventView>>, ApiFault> {
    seen(&app, &identity, &id).await?;
    let paging = Paging::read(&params)?;
    let engine = app.engine_of(&identity.tenant).await?;
    let after = paging.after().unwrap_or_default();
    let found =
        engine.tables().incident_events(&id, false, after, paging.limit()).await.map_err(Fault::from)?;
    let last = found.last().cloned();
    let next = last.filter(|_| found.len() >= paging.limit() as usize);
    let mut items = Vec::with_capacity(found.len());
    for event in found {
        match engine.tables().event(&event).await {
            Ok(event) if identity.reach().shows(&event.labels)? => items.push(EventView::from(event)),
            // Out of reach, or removed since it is long over.
            Ok(_) | Err(alert::tables::TableError::Missing { .. }) => {}
            Err(error) => return Err(Fault::from(error).into()),
        }
    }
    Ok(Json(Page { items, next }))
}

/// Refuses events that are not there for the caller.
async fn check_events(app: &SharedApp, identity: &Identity, events: &[String]) -> Result<(), Fault> {
    if events.len() > EVENTS_MAX {
        return Err(Fault::invalid("events", format!("has more than {EVENTS_MAX}")));
    }
    let engine = app.engine_of(&identity.tenant).await?;
    for (n, id) in events.iter().enumerate() {
        let shown = match engine.tables().event(id).await {
            Ok(event) => identity.reach().shows(&event.labels)?,
            Err(alert::tables::TableError::Missing { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        if !shown {
            return Err(Fault::invalid(&format!("events[{n}]"), "there is no such alert event"));
        }
    }
    Ok(())
}

async fn join(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    body: Body<Joined>,
) -> Result<Json<IncidentView>, ApiFault> {
    seen(&app, &identity, &id).await?;
    check_events(&app, &identity, &body.0.events).await?;
    let engine = app.engine_of(&identity.tenant).await?;
    let by = who(&identity);
    let joined = engine.tables().join_incident(&id, &body.0.events, Some(&by), app.now_ms());
    let incident = joined.await.map_err(Fault::from)?;
    Ok(announced(&app, &identity, incident))
}

async fn link(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    body: Body<Linked>,
) -> Result<Json<IncidentView>, ApiFault> {
    let spec = super::runbooks::runbook(&app, &identity, &body.0.name).await?;
    let operation = Operation::LinkRunbook { name: body.0.name, steps: spec.titles() };
    operate(&app, &identity, &id, &[operation]).await
}
