//! How the components of a status page are: from what checks found, kept as `probe_success`, and from incidents.

use std::collections::BTreeMap;

use alert::Labels;
use alert::engine::{Ask, Grid};
use alert::incident::{EntryKind, Impact, Incident, IncidentFilter, TimelineEntry};
use alert::rule::{Asked, Question};
use alert::status::{
    CheckSeen, CheckState, ComponentState, DAYS, Day, Downtime, MaintenanceSpec, Page, PublicIncident,
    ShownComponent, StatusPageSpec, days, public_incident,
};
use alert::tables::Tables;
use jiff::Timestamp;
use model::TenantId;

use super::ask::Asker;
use crate::app::SharedApp;
use crate::error::Fault;

const DAY: i64 = 86_400_000;
/// Incidents of a page that are looked at, and entries of what was told of each.
const INCIDENTS_MAX: u32 = 200;
const UPDATES_MAX: u32 = 200;

/// What probes find: 1 or 0, with the check's name in the label `check`.
const FOUND: &str = "probe_success";
/// The share of a day that was well.
const OF_A_DAY: &str = "avg_over_time(probe_success[1d])";

/// A page as it is at a moment.
pub(super) struct Seen {
    pub(super) state: ComponentState,
    pub(super) components: Vec<(ShownComponent, Vec<Day>)>,
    /// The newest first.
    pub(super) incidents: Vec<PublicIncident>,
}

/// The shares of days that checks measured: labels of a series with its shares by day.
pub(super) type Measured = Vec<(Labels, BTreeMap<i64, f64>)>;

/// Looks at everything that a page shows.
pub(super) async fn look(
    app: &SharedApp,
    tenant: &TenantId,
    (name, spec): (&str, &StatusPageSpec),
    measured: &Measured,
    made_at: i64,
) -> Result<Seen, Fault> {
    let now = app.now_ms();
    let tables = Tables::new(app.control()?.scope(tenant).await?);
    let filter = IncidentFilter {
        page: Some(name.to_owned()),
        since: Some(now.saturating_sub(DAYS as i64 * DAY)),
        ..IncidentFilter::default()
    };
    let incidents = tables.incidents(&filter, INCIDENTS_MAX).await?;
    let mut told = Vec::with_capacity(incidents.len());
    for incident in &incidents {
        let entries: Vec<TimelineEntry> =
            tables.timeline(&incident.id, &[EntryKind::Update], 0, UPDATES_MAX).await?;
        told.extend(public_incident(incident, &entries, name));
    }
    let page = Page::new(name, spec);
    let found = if watches(spec) { ask(app, tenant, now).await } else { Vec::new() };
    let checks: Vec<CheckSeen<'_>> = found
        .iter()
        .map(|(labels, state)| CheckSeen { name: check_of(labels), labels, state: *state })
        .collect();
    let components = page.components(&checks, &incidents, now);
    let known: Vec<CheckSeen<'_>> = measured
        .iter()
        .map(|(labels, _)| CheckSeen { name: check_of(labels), labels, state: CheckState::Unknown })
        .collect();
    let bars = |place: usize, component: &ShownComponent| {
        let downtimes = downtimes(&component.name, &incidents, &spec.maintenances, now);
        let mut bars = days(&downtimes, made_at, now);
        let mine = page.checks_of(place, &known);
        for day in &mut bars {
            let shares = measured.iter().filter(|(labels, _)| mine.contains(check_of(labels)));
            let shares: Vec<f64> = shares.filter_map(|(_, days)| days.get(&day.from)).copied().collect();
            if shares.is_empty() {
                continue;
            }
            // What was measured and what was told: the worse of the two.
            let share = shares.iter().sum::<f64>() / shares.len() as f64;
            day.uptime = Some(day.uptime.map_or(share, |told| told.min(share)));
        }
        bars
    };
    let state = Page::overall(&components);
    let components = components.into_iter().enumerate().map(|(place, component)| {
        let bars = bars(place, &component);
        (component, bars)
    });
    Ok(Seen { state, components: components.collect(), incidents: told })
}

/// What checks measured of the last ninety days; nothing where that cannot be asked, since a page is shown all the same.
pub(super) async fn measure(app: &SharedApp, tenant: &TenantId, spec: &StatusPageSpec) -> Measured {
    if !watches(spec) {
        return Vec::new();
    }
    let today = app.now_ms().div_euclid(DAY);
    // Each day is asked for at its last moment, of which today's lies ahead.
    let end = (today + 1) * DAY - 1;
    let grid = Grid { start: end - (DAYS as i64 - 1) * DAY, end, step: DAY };
    match Asker(app.clone()).ask_range(tenant, &asked(OF_A_DAY), grid).await {
        Ok(series) => series
            .into_iter()
            .map(|(labels, points)| {
                let share = |point: &alert::rule::Point| (point.at.div_euclid(DAY) * DAY, point.value);
                (labels, points.iter().map(share).collect())
            })
            .collect(),
        Err(error) => {
            tracing::warn!(%tenant, %error, "a status page shows no uptime of checks");
            Vec::new()
        }
    }
}

fn watches(spec: &StatusPageSpec) -> bool {
    spec.components.iter().any(|component| !component.checks.is_empty() || !component.matchers.is_empty())
}

fn asked(expression: &str) -> Asked {
    Asked { field: "components".to_owned(), question: Question::PromQl(expression.to_owned()), history: None }
}

/// What each check found last. Where that cannot be asked nothing is known.
async fn ask(app: &SharedApp, tenant: &TenantId, now: i64) -> Vec<(Labels, CheckState)> {
    match Asker(app.clone()).ask(tenant, &asked(FOUND), now).await {
        Ok(answers) => answers
            .into_iter()
            .map(|answer| {
                let state = match answer.value {
                    value if value.is_nan() => CheckState::Unknown,
                    value if value >= 1.0 => CheckState::Up,
                    value if value > 0.0 => CheckState::Degraded,
                    _ => CheckState::Down,
                };
                (answer.labels, state)
            })
            .collect(),
        Err(error) => {
            tracing::warn!(%tenant, %error, "a status page knows nothing of its checks");
            Vec::new()
        }
    }
}

fn check_of(labels: &Labels) -> &str {
    labels.get("check").map_or("", String::as_str)
}

/// When a component was not well, as the public was told.
fn downtimes(
    name: &String,
    incidents: &[Incident],
    maintenances: &[MaintenanceSpec],
    now: i64,
) -> Vec<Downtime> {
    let of_incident = |incident: &Incident| {
        let public = incident.publication.as_ref().filter(|public| public.components.contains(name))?;
        let state = match public.impact {
            Impact::None => return None,
            Impact::Degraded => ComponentState::Degraded,
            Impact::Outage => ComponentState::Outage,
        };
        Some(Downtime { from: incident.created_at, until: incident.resolved_at.unwrap_or(now), state })
    };
    let of_work = |work: &MaintenanceSpec| {
        let moment = |text: &str| text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
        let state = ComponentState::Maintenance;
        let (from, until) = (moment(&work.from)?, moment(&work.until)?);
        work.components.contains(name).then_some(Downtime { from, until, state })
    };
    incidents.iter().filter_map(of_incident).chain(maintenances.iter().filter_map(of_work)).collect()
}
