//! What a group opens: an incident with its alerts, the policy that calls people for it, and the runbooks of its rules.

use std::sync::atomic::Ordering;

use super::super::EngineError;
use super::super::message::{common, heading};
use super::super::setup::Setup;
use super::{Desk, Inner, suppression};
use crate::Labels;
use crate::incident::{
    Entry, EntryKind, Incident, IncidentError, NewIncident, Opened, Operation, Origin, record,
};
use crate::routing::{Flush, FlushAlert, Inhibitor};
use crate::runbook::{RunError, RunRequest, RunbookSpec};
use crate::severity::Severity;

/// Alerts that join at once; those of a larger group join when it speaks again.
const JOINED_MAX: usize = 1_000;
/// Runbooks that one call links.
const RUNBOOKS_MAX: usize = 10;

impl Desk {
    /// Opens the incident of a group that speaks, or has its alerts join the one that is open; `None` where its route
    /// opens none, or nobody would be told of any of its alerts.
    pub(super) async fn incident(
        &self,
        inner: &Inner,
        flush: &Flush,
    ) -> Result<Option<Incident>, EngineError> {
        if !flush.incident && flush.escalation.is_none() {
            return Ok(None);
        }
        let routing = inner.dispatcher.routing();
        let inhibitor = Inhibitor::new(&routing.inhibitions, inner.active.values());
        let counts = |alert: &&FlushAlert| {
            let hidden = || suppression(inner, &inhibitor, &alert.alert.labels, flush.at).is_some();
            !alert.resolved && !alert.moved && !hidden()
        };
        let firing: Vec<&FlushAlert> = flush.alerts.iter().filter(counts).take(JOINED_MAX).collect();
        let known =
            || firing.iter().filter_map(|one| inner.known.get(&one.alert.identity)).map(|(known, _)| known);
        let events: Vec<String> = known().filter_map(|known| known.event.clone()).collect();
        if events.is_empty() {
            return Ok(None);
        }
        let mut runbooks: Vec<String> = known().filter_map(|known| known.runbook.clone()).collect();
        runbooks.sort_unstable();
        runbooks.dedup();
        let labels = common(firing.iter().map(|one| &one.alert.labels));
        let annotations = common(firing.iter().map(|one| &one.alert.annotations));
        let route = routing.routes().get(flush.route).map(|route| (route.name.clone(), route.key.clone()));
        let (name, key) = route.unwrap_or_default();
        let severities = firing.iter().filter_map(|one| Severity::of(&one.alert.labels));
        let new = NewIncident {
            title: heading(&labels, &annotations),
            severity: severities.max().unwrap_or(Severity::Warning),
            key: Some(flush.group.clone()),
            origin: Origin::Route(name.unwrap_or(key)),
            events,
            labels,
            escalation: flush.escalation.clone(),
            auto_resolve: true,
        };
        match self.open_incident(&inner.setup, &new, &runbooks, flush.at).await {
            Ok(opened) => {
                self.opened.store(true, Ordering::Relaxed);
                Ok(Some(opened.incident))
            }
            // People are told all the same.
            Err(EngineError::Incident(error @ (IncidentError::Invalid(_) | IncidentError::Full { .. }))) => {
                tracing::warn!(tenant = %self.tenant, group = flush.group, %error, "no incident was opened");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens an incident, starts its policy and links runbooks, all or nothing.
    pub(in super::super) async fn open_incident(
        &self,
        setup: &Setup,
        new: &NewIncident,
        runbooks: &[String],
        now: i64,
    ) -> Result<Opened, EngineError> {
        let mut tx = self.tables.begin().await?;
        let mut opened = self.tables.open_incident_in(&mut tx, new, now).await?;
        let id = opened.incident.id.clone();
        if let Some(policy) = &new.escalation
            && let Some(spec) = setup.escalations.get(policy)
        {
            self.tables.start_escalation(&mut tx, &id, (policy, spec), now).await?;
        }
        for name in runbooks.iter().take(RUNBOOKS_MAX) {
            let linked = opened.incident.runbooks.iter().any(|linked| linked.name == *name);
            // An address is shown as it is; there is nothing to tick.
            let Some(spec) = setup.runbooks.get(name).filter(|_| !linked) else { continue };
            if opened.incident.runbooks.len() >= RUNBOOKS_MAX {
                break;
            }
            let link = Operation::LinkRunbook { name: name.clone(), steps: spec.titles() };
            opened.incident = self.tables.change_incident_in(&mut tx, &id, &link, None, now).await?;
            let labels = opened.incident.labels.clone();
            self.remedy(&mut tx, (&id, &labels), (name, spec), now).await?;
        }
        tx.commit().await.map_err(crate::tables::TableError::from)?;
        Ok(opened)
    }

    /// Asks for what a runbook does by itself. What may not run is written down with the reason.
    async fn remedy(
        &self,
        tx: &mut db::Tx,
        (incident, labels): (&str, &Labels),
        (runbook, spec): (&str, &RunbookSpec),
        now: i64,
    ) -> Result<(), EngineError> {
        for (step, one) in spec.steps.iter().enumerate() {
            let Some(action) = one.action.as_ref().filter(|action| action.automatic) else { continue };
            let who = format!("runbook {runbook}");
            let who: String = who.chars().filter(|c| !c.is_control()).take(100).collect();
            let request = RunRequest { runbook, step, action, incident: Some(incident), labels, who: &who };
            match self.tables.request_run_in(tx, &request, now).await {
                Ok(_) => {}
                Err(error @ (RunError::TooOften { .. } | RunError::Invalid(_))) => {
                    let text = format!("{}: not asked for: {error}", one.title);
                    record(tx, incident, &Entry::new(EntryKind::Action, text), None, now).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
