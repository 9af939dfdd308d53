//! How an incident begins, what joins it, and what is over.

use aws_lc_rs::digest::{SHA256, digest};
use sqlx::Row;

use super::operation::{Operation, TITLE_BYTES_MAX};
use super::store::{append, lock_counter, locked, write};
use super::timeline::{Entry, EntryKind};
use super::{EVENTS_MAX, Incident, IncidentError, IncidentStatus, Origin};
use crate::Labels;
use crate::escalation;
use crate::fault::{check_count, check_line};
use crate::severity::Severity;
use crate::tables::{EventState, TableError, Tables, new_id, to_text, word};

const KEY_BYTES_MAX: usize = 1_024;
const LABELS_MAX: usize = 64;
/// Events joined in one call.
const EVENTS_PER_CALL_MAX: usize = 1_000;

/// An incident to be opened.
#[derive(Clone, Debug, PartialEq)]
pub struct NewIncident {
    /// One line.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// While an incident with the same key is open, that one takes the events.
    pub key: Option<String>,
    /// Who opens it.
    pub origin: Origin,
    /// Ids of events that join it.
    pub events: Vec<String>,
    /// What its alerts have in common.
    pub labels: Labels,
    /// The escalation policy that calls people for it.
    pub escalation: Option<String>,
    /// Whether it ends when all its events have.
    pub auto_resolve: bool,
}

/// An incident with the key.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// As it now is.
    pub incident: Incident,
    /// Whether it began here; otherwise the events joined it.
    pub is_new: bool,
}

impl Tables {
    /// Opens an incident, or has the open one of the same key take the events; the worse severity stays.
    pub async fn open_incident(&self, new: &NewIncident, now: i64) -> Result<Opened, IncidentError> {
        let mut tx = self.scope.begin().await?;
        let opened = self.open_incident_in(&mut tx, new, now).await?;
        tx.commit().await?;
        Ok(opened)
    }

    /// The same within a transaction. After an error it must not be committed.
    pub async fn open_incident_in(
        &self,
        tx: &mut db::Tx,
        new: &NewIncident,
        now: i64,
    ) -> Result<Opened, IncidentError> {
        if matches!(new.origin, Origin::Person(_)) {
            check_line("title", &new.title, TITLE_BYTES_MAX)?;
        }
        let new = &fitted(new);
        let by_itself = matches!(new.origin, Origin::Route(_));
        lock_counter(tx).await?;
        if let Some(id) = open_one(tx, new).await? {
            let mut incident = locked(tx, &id).await?;
            // It may have ended while its lock was waited for.
            if incident.status != IncidentStatus::Resolved {
                if new.severity > incident.severity {
                    let worse = incident.apply(&Operation::SetSeverity(new.severity), None, now)?;
                    if let Some(entry) = worse {
                        match append(tx, &mut incident, &entry, None, now).await {
                            // It is as bad as it is, also where nobody can write that down.
                            Ok(()) | Err(IncidentError::Full { .. }) => {}
                            Err(error) => return Err(error),
                        }
                    }
                }
                join(tx, &mut incident, &new.events, (None, by_itself), now).await?;
                write(tx, &incident).await?;
                return Ok(Opened { incident, is_new: false });
            }
        }
        let row = sqlx::query(
            "UPDATE response_counters SET last = last + 1 WHERE name = 'incident' RETURNING last",
        )
        .fetch_one(&mut **tx)
        .await?;
        let mut incident = begun(new, new_id("inc_")?, row.try_get("last")?, now);
        insert(tx, &incident).await?;
        let who = match &new.origin {
            Origin::Person(person) => Some(person.as_str()),
            Origin::Route(_) => None,
        };
        let text = match &new.origin {
            Origin::Person(_) => new.title.clone(),
            Origin::Route(route) => format!("{} (route {route:?})", new.title),
        };
        append(tx, &mut incident, &Entry::new(EntryKind::Opened, text), who, now).await?;
        join(tx, &mut incident, &new.events, (None, by_itself), now).await?;
        write(tx, &incident).await?;
        Ok(Opened { incident, is_new: true })
    }

    /// Has events join an incident that is not over. Those that joined before are left as they are.
    pub async fn join_incident(
        &self,
        id: &str,
        events: &[String],
        who: Option<&str>,
        now: i64,
    ) -> Result<Incident, IncidentError> {
        let mut tx = self.scope.begin().await?;
        let mut incident = locked(&mut tx, id).await?;
        if incident.status == IncidentStatus::Resolved {
            let (id, state) = (incident.id, incident.status.as_str());
            let remedy = "it is over; reopen it first";
            return Err(TableError::State { what: "incident", id, state, remedy }.into());
        }
        join(&mut tx, &mut incident, events, (who, false), now).await?;
        write(&mut tx, &incident).await?;
        tx.commit().await?;
        Ok(incident)
    }

    /// Writes down that events are over. An incident ends with the last of them where it was opened so. Answers the
    /// incidents that the events belong to and that were not over, as they now are.
    pub async fn events_over(&self, events: &[String], now: i64) -> Result<Vec<Incident>, IncidentError> {
        let mut tx = self.scope.begin().await?;
        let changed = self.events_over_in(&mut tx, events, now).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Joined events that have ended and were not written down as over: at most 1000. They are found in the tables, so
    /// that a stop between the two loses nothing.
    pub async fn ended_events(&self) -> Result<Vec<String>, IncidentError> {
        let mut connection = self.scope.read().await?;
        let rows = sqlx::query(
            r#"SELECT DISTINCT event_id FROM incident_events JOIN "AlertEvent" ON "id" = event_id
               WHERE over_at IS NULL AND "state" = 'resolved' ORDER BY event_id LIMIT 1000"#,
        )
        .fetch_all(&mut *connection)
        .await?;
        Ok(rows.iter().map(|row| row.try_get("event_id")).collect::<Result<_, _>>()?)
    }

    /// The same within a transaction.
    pub async fn events_over_in(
        &self,
        tx: &mut db::Tx,
        events: &[String],
        now: i64,
    ) -> Result<Vec<Incident>, IncidentError> {
        let mut found = std::collections::BTreeMap::<String, Vec<&String>>::new();
        for event in events {
            let rows = sqlx::query(
                "SELECT incident_id FROM incident_events WHERE event_id = $1 AND over_at IS NULL",
            )
            .bind(event)
            .fetch_all(&mut **tx)
            .await?;
            for row in rows {
                found.entry(row.try_get("incident_id")?).or_default().push(event);
            }
        }
        let mut changed = Vec::new();
        // In order of their ids, so that two servers cannot wait for each other.
        for (id, events) in found {
            let mut incident = match locked(tx, &id).await {
                Err(IncidentError::Table(TableError::Missing { .. })) => continue,
                other => other?,
            };
            let was_open = incident.status != IncidentStatus::Resolved;
            for event in events {
                over(tx, &mut incident, event, now).await?;
            }
            if was_open && incident.auto_resolve && all_over(tx, &id).await? {
                let note = Some("all its events are over".to_owned());
                let entry = incident.apply(&Operation::Resolve { note }, None, now)?;
                if let Some(entry) = entry {
                    append(tx, &mut incident, &entry, None, now).await?;
                }
                escalation::wake(tx, &id, now).await?;
            }
            write(tx, &incident).await?;
            if was_open {
                changed.push(incident);
            }
        }
        Ok(changed)
    }
}

/// What alerts bring with them may be anything; an incident is opened all the same.
fn fitted(new: &NewIncident) -> NewIncident {
    let plain: String = new.title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let title = plain[..plain.floor_char_boundary(TITLE_BYTES_MAX)].trim();
    let key = new.key.clone().map(|key| match key.len() > KEY_BYTES_MAX || key.contains('\0') {
        false => key,
        true => {
            let hash = digest(&SHA256, key.as_bytes());
            hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
        }
    });
    let labels = new.labels.iter().take(LABELS_MAX).map(|(name, value)| (name.clone(), value.clone()));
    NewIncident {
        title: if title.is_empty() { "incident".to_owned() } else { title.to_owned() },
        key,
        labels: labels.collect(),
        ..new.clone()
    }
}

fn begun(new: &NewIncident, id: String, number: i64, now: i64) -> Incident {
    Incident {
        id,
        number,
        key: new.key.clone(),
        title: new.title.clone(),
        severity: new.severity,
        status: IncidentStatus::Open,
        origin: new.origin.clone(),
        labels: new.labels.clone(),
        escalation: new.escalation.clone(),
        auto_resolve: new.auto_resolve,
        assignee: None,
        roles: std::collections::BTreeMap::new(),
        runbooks: Vec::new(),
        publication: None,
        phase: None,
        created_at: now,
        first_acknowledged_at: None,
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
        reopened: 0,
        entries: 0,
        events: 0,
        events_left_out: 0,
        updated_at: now,
    }
}

async fn insert(tx: &mut db::Tx, incident: &Incident) -> Result<(), IncidentError> {
    sqlx::query(
        "INSERT INTO incidents (id, number, open_key, status, severity, created_at, entries, events, body, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $6)",
    )
    .bind(&incident.id)
    .bind(incident.number)
    .bind(incident.key.as_deref())
    .bind(incident.status.as_str())
    .bind(incident.severity.as_str())
    .bind(incident.created_at)
    .bind(to_text(incident, "incidents.body")?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The open incident that takes the events of a new one: that of its key, or one that an event of it belongs to, so
/// that an alert which several routes take is one incident.
async fn open_one(tx: &mut db::Tx, new: &NewIncident) -> Result<Option<String>, IncidentError> {
    if let Some(key) = &new.key {
        let row = sqlx::query("SELECT id FROM incidents WHERE open_key = $1")
            .bind(key)
            .fetch_optional(&mut **tx)
            .await?;
        if let Some(row) = row {
            return Ok(Some(row.try_get("id")?));
        }
    }
    if matches!(new.origin, Origin::Person(_)) {
        return Ok(None);
    }
    for event in &new.events {
        let row = sqlx::query(
            "SELECT incident_id FROM incident_events JOIN incidents ON id = incident_id \
             WHERE event_id = $1 AND status <> 'resolved' ORDER BY created_at, incident_id LIMIT 1",
        )
        .bind(event)
        .fetch_optional(&mut **tx)
        .await?;
        if let Some(row) = row {
            return Ok(Some(row.try_get("incident_id")?));
        }
    }
    Ok(None)
}

/// Has events join an incident that is locked. Where nobody named them, those that were removed meanwhile are left out.
async fn join(
    tx: &mut db::Tx,
    incident: &mut Incident,
    events: &[String],
    (who, by_itself): (Option<&str>, bool),
    now: i64,
) -> Result<(), IncidentError> {
    check_count("events", events.len(), 0, EVENTS_PER_CALL_MAX)?;
    for event in events {
        let row = sqlx::query(r#"SELECT "name", "severity", "state" FROM "AlertEvent" WHERE "id" = $1"#)
            .bind(event)
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = row else {
            if by_itself {
                continue;
            }
            return Err(TableError::Missing { what: "event", id: event.chars().take(100).collect() }.into());
        };
        if incident.events >= EVENTS_MAX {
            incident.events_left_out += 1;
            continue;
        }
        let state: EventState = word(row.try_get("state")?, "AlertEvent.state")?;
        let joined = sqlx::query(
            "INSERT INTO incident_events (incident_id, event_id, joined_at, over_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (incident_id, event_id) DO NOTHING",
        )
        .bind(&incident.id)
        .bind(event)
        .bind(now)
        .bind((state == EventState::Resolved).then_some(now))
        .execute(&mut **tx)
        .await?;
        if joined.rows_affected() == 1 {
            incident.events += 1;
            incident.updated_at = now;
            let (name, severity): (String, String) = (row.try_get("name")?, row.try_get("severity")?);
            let entry = Entry::new(EntryKind::EventJoined, format!("{name} ({severity})"));
            append(tx, incident, &entry.with("event", event.as_str()), who, now).await?;
        }
    }
    Ok(())
}

async fn over(tx: &mut db::Tx, incident: &mut Incident, event: &str, now: i64) -> Result<(), IncidentError> {
    let ended = sqlx::query(
        "UPDATE incident_events SET over_at = $3 WHERE incident_id = $1 AND event_id = $2 AND over_at IS NULL",
    )
    .bind(&incident.id)
    .bind(event)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    if ended.rows_affected() == 0 {
        return Ok(());
    }
    let row = sqlx::query(r#"SELECT "name" FROM "AlertEvent" WHERE "id" = $1"#)
        .bind(event)
        .fetch_optional(&mut **tx)
        .await?;
    let name = row.map(|row| row.try_get::<String, _>("name")).transpose()?.unwrap_or_default();
    incident.updated_at = now;
    let entry = Entry::new(EntryKind::EventOver, name).with("event", event);
    append(tx, incident, &entry, None, now).await
}

async fn all_over(tx: &mut db::Tx, id: &str) -> Result<bool, IncidentError> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS open FROM incident_events WHERE incident_id = $1 AND over_at IS NULL",
    )
    .bind(id)
    .fetch_one(&mut **tx)
    .await?;
    Ok(row.try_get::<i64, _>("open")? == 0)
}
