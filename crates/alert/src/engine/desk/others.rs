//! Alerts that others raise, as Prometheus does over Alertmanager's API: they last until their end, which each report
//! moves away.

use super::super::{EngineError, is_open};
use super::{Desk, Inner, known_of};
use crate::routing::Alert;
use crate::severity::Severity;
use crate::tables::{Event, EventState, new_id};

/// The key under which events of others stand instead of a rule's.
pub(super) const RULE: &str = "api";

impl Desk {
    /// Takes alerts that others raise. Answers the events that changed.
    pub(in super::super) async fn receive(
        &self,
        alerts: Vec<Alert>,
        source: &str,
        now: i64,
    ) -> Result<Vec<Event>, EngineError> {
        let mut inner = self.inner.lock().await;
        let (mut changed, mut taken) = (Vec::new(), Vec::with_capacity(alerts.len()));
        let mut refused = 0;
        for alert in alerts {
            let before = inner.active.get(&alert.identity).cloned();
            if before.is_none() && inner.active.len() >= super::OTHERS_MAX {
                refused += 1;
                continue;
            }
            let alert = match before {
                Some(before) => Alert::merged(&before, alert),
                None => alert,
            };
            let open = self.tables.latest_event(alert.identity).await?.filter(is_open);
            let over = alert.is_resolved(now);
            let event = match (open, over) {
                (Some(event), true) => Some(self.tables.resolve_event(&event.id, None, now).await?),
                (None, false) => Some(self.tables.insert_event(event_of(&alert, source, now)?).await?),
                (Some(event), false) => {
                    inner.known.entry(alert.identity).or_insert_with(|| (known_of(&event), None));
                    None
                }
                (None, true) => None,
            };
            if let Some(event) = event {
                inner.known.insert(alert.identity, (known_of(&event), over.then_some(now)));
                changed.push(event);
            }
            taken.push(alert);
        }
        self.insert(&mut inner, taken, now).await?;
        if refused > 0 {
            tracing::warn!(tenant = %self.tenant, refused, "alerts of others were refused: there are too many");
        }
        Ok(changed)
    }

    /// Ends events of others that were not heard of again.
    pub(super) async fn end_unheard(&self, inner: &mut Inner, now: i64) -> Result<Vec<Event>, EngineError> {
        let over: Vec<Alert> =
            inner.active.values().filter(|alert| alert.is_resolved(now)).cloned().collect();
        let mut ended = Vec::with_capacity(over.len());
        for alert in &over {
            if let Some(event) = self.tables.latest_event(alert.identity).await?.filter(is_open) {
                let event = self.tables.resolve_event(&event.id, None, now).await?;
                inner.known.insert(alert.identity, (known_of(&event), Some(now)));
                ended.push(event);
            }
        }
        self.insert(inner, over, now).await?;
        Ok(ended)
    }
}

fn event_of(alert: &Alert, source: &str, now: i64) -> Result<Event, EngineError> {
    let severity = Severity::of(&alert.labels).unwrap_or(Severity::Warning);
    Ok(Event {
        id: new_id("evt_")?,
        rule: RULE.to_owned(),
        name: alert.labels.get("alertname").cloned().unwrap_or_default(),
        fingerprint: format!("{:016x}", alert.identity),
        state: EventState::Firing,
        severity,
        priority: severity.priority(),
        value: f64::NAN,
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        runbook: alert.annotations.get("runbook_url").cloned(),
        channels: Vec::new(),
        source: source.to_owned(),
        starts_at: alert.starts_at,
        fired_at: now,
        ends_at: None,
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_by: None,
        updated_at: now,
    })
}
