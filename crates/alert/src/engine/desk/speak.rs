//! What a group says: decided for each channel, written down in one transaction, handed to the queue.

use db::jobs::NewJob;
use serde_json::json;

use super::super::EngineError;
use super::super::message::{self, Known};
use super::super::setup::QUEUE;
use super::{Desk, Inner, is_muted, known_of, suppression};
use crate::notify::Link;
use crate::routing::{Flush, FlushAlert, Inhibitor, LogEntry, decide};
use crate::severity::Priority;
use crate::tables::{Notification, NotificationStatus, new_id};

/// Attempts at one notification within its day: with waits that double up to ten minutes these last it.
const ATTEMPTS_MAX: u32 = 200;
/// Notifications that are handed to the queue at once.
const PAGE: u32 = 500;

impl Desk {
    /// Says what a group has to say. After an error nothing was said, and the group speaks again at its next turn.
    pub(super) async fn speak(&self, inner: &mut Inner, flush: &Flush) -> Result<(), EngineError> {
        let (mut notifications, mut entries) = (Vec::new(), Vec::new());
        if !is_muted(inner, flush) {
            self.remember(inner, flush).await?;
            // Before anybody is told, so that a stop between the two tells again and joins the same incident.
            let incident = self.incident(inner, flush).await?;
            self.decide(inner, flush, &mut notifications, &mut entries)?;
            if let Some(incident) = incident {
                let url = format!("{}/incidents/{}", inner.setup.external_url, incident.id);
                for one in &mut notifications {
                    let label = format!("Incident {}", incident.number);
                    one.message.links.push(Link { label, url: url.clone() });
                }
            }
        }
        let events = events_of(inner, flush);
        let mut tx = self.tables.begin().await?;
        self.tables.write_notifications(&mut tx, &notifications, &events).await?;
        self.tables.write_told(&mut tx, &entries).await?;
        tx.commit().await.map_err(crate::tables::TableError::from)?;
        for entry in entries {
            inner.told.insert((entry.group.clone(), entry.receiver.clone()), entry);
        }
        inner.dispatcher.told(flush);
        self.keep_groups(inner, std::slice::from_ref(&flush.group), flush.at).await?;
        self.publish(&notifications).await
    }

    fn decide(
        &self,
        inner: &Inner,
        flush: &Flush,
        notifications: &mut Vec<Notification>,
        entries: &mut Vec<LogEntry>,
    ) -> Result<(), EngineError> {
        let inhibitor = Inhibitor::new(&inner.dispatcher.routing().inhibitions, inner.active.values());
        let hidden =
            |alert: &FlushAlert| suppression(inner, &inhibitor, &alert.alert.labels, flush.at).is_some();
        let known = |alert: &FlushAlert| -> Known {
            inner.known.get(&alert.alert.identity).map(|(known, _)| known.clone()).unwrap_or_default()
        };
        for receiver in &flush.receivers {
            for (name, spec) in inner.setup.receivers.get(receiver).into_iter().flatten() {
                let entry = inner.told.get(&(flush.group.clone(), name.clone()));
                let decision = decide(flush, name, entry, spec.send_resolved, hidden);
                if let Some(alerts) = decision.send {
                    let id = new_id("ntf_")?;
                    let message = message::write(
                        flush,
                        &alerts,
                        &known,
                        id.clone(),
                        (name, spec),
                        &inner.setup.external_url,
                    );
                    if spec.takes(&message) {
                        notifications.push(Notification {
                            id,
                            group_key: flush.group.clone(),
                            channel: name.clone(),
                            event: message.event,
                            status: NotificationStatus::Pending,
                            priority: message.priority,
                            message,
                            attempts: 0,
                            error: None,
                            created_at: flush.at,
                            ended_at: None,
                        });
                    }
                }
                entries.extend(decision.log);
            }
        }
        Ok(())
    }

    /// Looks up what only events know of alerts that were over before this start.
    async fn remember(&self, inner: &mut Inner, flush: &Flush) -> Result<(), EngineError> {
        for alert in &flush.alerts {
            let identity = alert.alert.identity;
            if !inner.known.contains_key(&identity)
                && let Some(event) = self.tables.latest_event(identity).await?
            {
                inner.known.insert(identity, (known_of(&event), alert.resolved.then_some(flush.at)));
            }
        }
        Ok(())
    }

    /// Hands notifications to the queue. What it does not take now stays pending and is tried again.
    pub(in super::super) async fn publish(&self, notifications: &[Notification]) -> Result<(), EngineError> {
        if notifications.is_empty() {
            return Ok(());
        }
        let job = |one: &Notification| NewJob {
            priority: queue_priority(one.priority),
            key: Some(one.id.clone()),
            attempts_max: ATTEMPTS_MAX,
            ..NewJob::new(self.tenant.clone(), QUEUE, json!({"notification": one.id}))
        };
        let jobs: Vec<NewJob> = notifications.iter().map(job).collect();
        if let Err(error) = self.jobs.publish_all(&jobs).await {
            tracing::warn!(%error, tenant = %self.tenant, "notifications wait: the queue did not take them");
            return Ok(());
        }
        let ids: Vec<String> = notifications.iter().map(|one| one.id.clone()).collect();
        Ok(self.tables.queued(&ids).await?)
    }

    /// Hands over what a stop or a full queue left behind.
    pub(super) async fn publish_pending(&self) -> Result<(), EngineError> {
        let pending = self.tables.pending_notifications(PAGE).await?;
        self.publish(&pending).await
    }

    /// Writes a notification of its own, such as a test or a step of an escalation, and hands it over.
    pub async fn notify(&self, notification: Notification, events: &[String]) -> Result<(), EngineError> {
        let mut tx = self.tables.begin().await?;
        self.tables.write_notifications(&mut tx, std::slice::from_ref(&notification), events).await?;
        tx.commit().await.map_err(crate::tables::TableError::from)?;
        self.publish(std::slice::from_ref(&notification)).await
    }
}

fn events_of(inner: &Inner, flush: &Flush) -> Vec<String> {
    let event = |alert: &FlushAlert| {
        inner.known.get(&alert.alert.identity).and_then(|(known, _)| known.event.clone())
    };
    flush.alerts.iter().filter_map(event).collect()
}

fn queue_priority(priority: Priority) -> db::jobs::Priority {
    match priority {
        Priority::Low => db::jobs::Priority::Low,
        Priority::Normal => db::jobs::Priority::Normal,
        Priority::High => db::jobs::Priority::High,
        Priority::Critical => db::jobs::Priority::Critical,
    }
}
