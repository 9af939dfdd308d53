//! Who is called for an incident: a step of its escalation becomes notifications, written together with where it then
//! stands, so that a stop in between calls nobody twice and leaves nobody out.

use aws_lc_rs::digest::{SHA256, digest};

use super::setup::{MAIL, Setup};
use super::{Engine, EngineError};
use crate::Labels;
use crate::escalation::{RunningEscalation, Standing, Target};
use crate::incident::{Entry, EntryKind, Incident, IncidentStatus, Operation, change, locked, record};
use crate::notify::{Event as Why, Link, Message, Status};
use crate::tables::{Notification, NotificationStatus, TableError};

/// Events of an incident whose pages show who was called.
const EVENTS_MAX: u32 = 100;

impl Engine {
    /// Steps an escalation: who is to be called now is called, and all that were hear of the end.
    pub(super) async fn call(&self, mut running: RunningEscalation, now: i64) -> Result<(), EngineError> {
        let (tables, setup) = (&self.shared.tables, self.shared.desk.setup().await);
        let events = tables.incident_events(&running.incident, false, "", EVENTS_MAX).await?;
        let mut tx = tables.begin().await?;
        let incident = locked(&mut tx, &running.incident).await?;
        let id = incident.id.as_str();
        let mut told = Vec::new();
        let mut next = None;
        match setup.escalations.get(&running.policy) {
            None => {
                let text =
                    format!("escalation policy {:?} was removed: nobody else is called", running.policy);
                record(&mut tx, id, &Entry::new(EntryKind::Called, text), None, now).await?;
                running.state.end();
            }
            Some(policy) => {
                let step = running.state.step(policy, now, standing(&incident));
                next = step.next;
                if step.lapsed {
                    let lapsed = Operation::Unacknowledge;
                    change(&mut tx, id, &lapsed, None, now).await?;
                }
                for call in &step.calls {
                    let (channels, said) = reached(&setup, &call.targets, now);
                    let text = format!("level {} of {}: {}", call.level, running.policy, said.join(", "));
                    let entry = Entry::new(EntryKind::Called, text).with("level", call.level);
                    record(&mut tx, id, &entry.with("round", call.round), None, now).await?;
                    for channel in channels {
                        let key = format!("{} {} {channel}", running.id, call.number);
                        let why = format!("Level {} of {}", call.level, running.policy);
                        told.extend(notification(&setup, &incident, &channel, &key, &why, now));
                        running.state.tell(&channel);
                    }
                }
            }
        }
        if running.state.is_over() && incident.status == IncidentStatus::Resolved {
            for channel in running.state.told() {
                let key = format!("{} end {channel}", running.id);
                told.extend(notification(&setup, &incident, channel, &key, &running.policy, now));
            }
        }
        tables.write_notifications(&mut tx, &told, &events).await?;
        if !tables.write_escalation(&mut tx, &running, next, now).await? {
            // Another server, or a change of the incident, came first: it is stepped again.
            return Ok(());
        }
        tx.commit().await.map_err(TableError::from)?;
        self.shared.desk.publish(&told).await
    }
}

fn standing(incident: &Incident) -> Standing {
    match incident.status {
        IncidentStatus::Open => Standing::Open,
        IncidentStatus::Acknowledged => {
            Standing::Acknowledged(incident.acknowledged_at.unwrap_or(incident.updated_at))
        }
        IncidentStatus::Resolved => Standing::Resolved,
    }
}

/// Channels by which targets are reached, each once, and who that is.
fn reached(setup: &Setup, targets: &[Target], now: i64) -> (Vec<String>, Vec<String>) {
    let (mut channels, mut said) = (Vec::new(), Vec::new());
    for target in targets {
        let (channel, text) = match target {
            Target::Person(person) => (Some(format!("{MAIL}{person}")), person.clone()),
            Target::Channel(name) if setup.receivers.contains_key(name) => (Some(name.clone()), name.clone()),
            Target::Channel(name) => (None, format!("channel {name:?}, which is gone")),
            Target::Schedule(name) => match setup.schedules.get(name).map(|schedule| schedule.who(now)) {
                Some(Some(duty)) => {
                    (Some(format!("{MAIL}{}", duty.person)), format!("{} (on call by {name})", duty.person))
                }
                Some(None) => (None, format!("nobody is on call by {name}")),
                None => (None, format!("schedule {name:?}, which is gone")),
            },
        };
        channels.extend(channel.filter(|channel| !channels.contains(channel)));
        said.push(text);
    }
    (channels, said)
}

/// What a channel is told of an incident; `None` where it does not take that. The same key makes the same id, so that
/// what is written twice is one row.
fn notification(
    setup: &Setup,
    incident: &Incident,
    channel: &str,
    key: &str,
    why: &str,
    now: i64,
) -> Option<Notification> {
    let over = incident.status == IncidentStatus::Resolved;
    let hash = digest(&SHA256, key.as_bytes());
    let id: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let state = if over { "resolved".to_owned() } else { incident.severity.as_str().to_owned() };
    let mut lines = vec![match over {
        true => "It is over.".to_owned(),
        false => format!("{why}: nobody has taken care of it for {}.", waited(now - incident.created_at)),
    }];
    lines.extend(incident.labels.iter().take(20).map(|(name, value)| format!("{name}={value}")));
    let message = Message {
        id: format!("ntf_{id}"),
        key: incident.id.clone(),
        event: Why::Escalation,
        status: if over { Status::Resolved } else { Status::Firing },
        severity: incident.severity,
        priority: incident.severity.priority(),
        title: format!("Incident {} ({state}): {}", incident.number, incident.title),
        text: lines.join("\n"),
        alerts: Vec::new(),
        alerts_left_out: 0,
        group_labels: Labels::new(),
        common_labels: incident.labels.clone(),
        common_annotations: Labels::new(),
        receiver: channel.to_owned(),
        runbook: incident.runbooks.first().map(|runbook| runbook.name.clone()),
        links: vec![Link {
            label: "Open in Bellwether".to_owned(),
            url: format!("{}/incidents/{}", setup.external_url, incident.id),
        }],
        external_url: setup.external_url.clone(),
        at: now,
    };
    setup.channel(channel).filter(|spec| spec.takes(&message))?;
    Some(Notification {
        id: message.id.clone(),
        group_key: incident.id.clone(),
        channel: channel.to_owned(),
        event: message.event,
        status: NotificationStatus::Pending,
        priority: message.priority,
        message,
        attempts: 0,
        error: None,
        created_at: now,
        ended_at: None,
    })
}

fn waited(ms: i64) -> String {
    let minutes = ms.max(0) / 60_000;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{} s", ms.max(0) / 1_000),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
