//! Incidents as the public sees them: what was written for it, and nothing else of the incident.

use serde::Serialize;

use crate::incident::{EntryKind, Impact, Incident, Phase, TimelineEntry};

/// Something that was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicUpdate {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// How far the work is.
    pub phase: Phase,
    /// What was told.
    pub text: String,
}

/// An incident as the public sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicIncident {
    /// Its number.
    pub number: i64,
    /// Its title on the page.
    pub title: String,
    /// How far the work is.
    pub phase: Phase,
    /// How much it hurts.
    pub impact: Impact,
    /// Names of the components that are hurt.
    pub components: Vec<String>,
    /// When it began.
    pub started_at: i64,
    /// When it was over.
    pub resolved_at: Option<i64>,
    /// What was told, the newest first.
    pub updates: Vec<PublicUpdate>,
}

/// What the page of this name shows of an incident, given its timeline; `None` where it is not on it.
pub fn public_incident(
    incident: &Incident,
    timeline: &[TimelineEntry],
    page: &str,
) -> Option<PublicIncident> {
    let public = incident.publication.as_ref().filter(|public| public.page == page)?;
    let update = |entry: &TimelineEntry| {
        let phase = serde_json::from_value(entry.data.get("phase")?.clone()).ok()?;
        Some(PublicUpdate { at: entry.at, phase, text: entry.text.clone() })
    };
    let told = timeline.iter().filter(|entry| entry.kind == EntryKind::Update);
    let mut updates: Vec<PublicUpdate> = told.filter_map(update).collect();
    updates.reverse();
    let phase = match incident.resolved_at {
        Some(_) => Phase::Resolved,
        None => incident.phase.unwrap_or(Phase::Investigating),
    };
    Some(PublicIncident {
        number: incident.number,
        title: public.title.clone(),
        phase,
        impact: public.impact,
        components: public.components.clone(),
        started_at: incident.created_at,
        resolved_at: incident.resolved_at,
        updates,
    })
}
