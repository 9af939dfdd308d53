//! What the public is told: those who asked for it, and those who subscribed to a status page.

use super::setup::{HOOK, MAIL};
use super::{Engine, EngineError};
use crate::Labels;
use crate::incident::{Incident, Operation, Phase};
use crate::notify::{Event as Why, Link, Message, Status};
use crate::severity::{Priority, Severity};
use crate::status::{Asked, Subscriber, SubscriptionKind};
use crate::tables::{Notification, NotificationStatus, PAGE_MAX, TableError, new_id};

impl Engine {
    /// Tells the public something of an incident that is on a status page: its timeline and a message for each
    /// subscriber are written together. `leave` makes the address by which a subscription, given by its id, is left.
    pub async fn tell_public(
        &self,
        id: &str,
        (phase, text): (Phase, &str),
        who: &str,
        leave: &(dyn Fn(&str) -> String + Sync),
    ) -> Result<Incident, EngineError> {
        let (tables, now) = (&self.shared.tables, self.shared.clock.now_ms());
        let external_url = self.shared.desk.external_url().await;
        let page = tables.incident(id).await?.publication.map(|public| public.page).unwrap_or_default();
        let (mut subscribers, mut after) = (Vec::new(), String::new());
        loop {
            let found = tables.subscriptions(&page, &after, PAGE_MAX).await?;
            let Some(last) = found.last() else { break };
            after.clone_from(&last.id);
            subscribers.extend(found);
        }
        let mut tx = tables.begin().await?;
        let operation = Operation::Update { phase, text: text.to_owned() };
        let incident = tables.change_incident_in(&mut tx, id, &operation, Some(who), now).await?;
        let mut told = Vec::with_capacity(subscribers.len());
        if let Some(public) = incident.publication.as_ref().filter(|public| public.page == page) {
            for one in subscribers {
                let message = Message {
                    status: if phase == Phase::Resolved { Status::Resolved } else { Status::Firing },
                    links: vec![Link { label: "Unsubscribe".to_owned(), url: leave(&one.id) }],
                    key: incident.id.clone(),
                    ..letter(
                        format!("{}: {}", public.title, phase.as_str()),
                        text.to_owned(),
                        &external_url,
                        now,
                    )?
                };
                told.push(notification(message, channel(one.kind, &one.address)));
            }
        }
        tables.write_notifications(&mut tx, &told, &[]).await?;
        tx.commit().await.map_err(TableError::from)?;
        self.shared.desk.publish(&told).await?;
        Ok(incident)
    }

    /// Asks somebody to confirm that they want to be told of a page. `confirm` makes the address that does so of a token.
    /// Whoever is subscribed already, or was asked a short while ago, hears nothing.
    pub async fn subscribe(
        &self,
        subscriber: &Subscriber<'_>,
        title: &str,
        confirm: &(dyn Fn(&str) -> String + Sync),
    ) -> Result<(), EngineError> {
        let now = self.shared.clock.now_ms();
        let Asked::Confirm { token } = self.shared.tables.subscribe(subscriber, now).await? else {
            return Ok(());
        };
        let external_url = self.shared.desk.external_url().await;
        let title = format!("Confirm that you want to be told of {title}");
        let text = "Somebody, most likely you, asked for messages of a status page at this address. They begin when \
                    you confirm it with the link below; if it was not you, do nothing.";
        let links = vec![Link { label: "Confirm".to_owned(), url: confirm(&token) }];
        let message = Message { links, ..letter(title, text.to_owned(), &external_url, now)? };
        let address = match subscriber.kind {
            SubscriptionKind::Email => subscriber.address.to_lowercase(),
            SubscriptionKind::Webhook => subscriber.address.to_owned(),
        };
        self.shared.desk.notify(notification(message, channel(subscriber.kind, &address)), &[]).await
    }
}

fn channel(kind: SubscriptionKind, address: &str) -> String {
    match kind {
        SubscriptionKind::Email => format!("{MAIL}{address}"),
        SubscriptionKind::Webhook => format!("{HOOK}{address}"),
    }
}

/// A message without alerts.
fn letter(title: String, text: String, external_url: &str, now: i64) -> Result<Message, TableError> {
    let id = new_id("ntf_")?;
    Ok(Message {
        key: id.clone(),
        id,
        event: Why::Status,
        status: Status::Firing,
        severity: Severity::Info,
        priority: Priority::Normal,
        title,
        text,
        alerts: Vec::new(),
        alerts_left_out: 0,
        group_labels: Labels::new(),
        common_labels: Labels::new(),
        common_annotations: Labels::new(),
        receiver: String::new(),
        runbook: None,
        links: Vec::new(),
        external_url: external_url.to_owned(),
        at: now,
    })
}

fn notification(message: Message, channel: String) -> Notification {
    Notification {
        id: message.id.clone(),
        group_key: message.key.clone(),
        channel,
        event: message.event,
        status: NotificationStatus::Pending,
        priority: message.priority,
        created_at: message.at,
        message,
        attempts: 0,
        error: None,
        ended_at: None,
    }
}
