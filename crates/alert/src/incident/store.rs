//! Incidents under a lock: each operation is one transaction with the entry of its timeline.
//!
//! Locks are taken in this order: the counter of incidents (where a key is taken), the incident, its escalations; so a
//! caller that writes an escalation and its incident in one transaction changes the incident first. The database's rows
//! are the locks; a statement that changes nothing takes one on PostgreSQL, and SQLite has one writer.

use sqlx::Row;

use super::timeline::Entry;
use super::{Incident, IncidentError, IncidentStatus, Operation};
use crate::escalation;
use crate::tables::{TableError, Tables, from_text, to_text};

impl Tables {
    /// Does something to an incident, and writes it down. Answers the incident as it then is.
    pub async fn change_incident(
        &self,
        id: &str,
        operation: &Operation,
        who: Option<&str>,
        now: i64,
    ) -> Result<Incident, IncidentError> {
        let mut tx = self.scope.begin().await?;
        let incident = self.change_incident_in(&mut tx, id, operation, who, now).await?;
        tx.commit().await?;
        Ok(incident)
    }

    /// The same within a transaction. After an error it must not be committed.
    pub async fn change_incident_in(
        &self,
        tx: &mut db::Tx,
        id: &str,
        operation: &Operation,
        who: Option<&str>,
        now: i64,
    ) -> Result<Incident, IncidentError> {
        let (incident, before) = change(tx, id, operation, who, now).await?;
        if incident.status != before {
            escalation::wake(tx, id, now).await?;
        }
        Ok(incident)
    }
}

/// Does something to an incident whose escalations the caller writes itself. Answers where it stood before, too.
pub(crate) async fn change(
    tx: &mut db::Tx,
    id: &str,
    operation: &Operation,
    who: Option<&str>,
    now: i64,
) -> Result<(Incident, IncidentStatus), IncidentError> {
    if matches!(operation, Operation::Reopen { .. }) {
        lock_counter(tx).await?;
    }
    let mut incident = locked(tx, id).await?;
    let before = incident.status;
    if let Some(entry) = incident.apply(operation, who, now)? {
        if before == IncidentStatus::Resolved && incident.status != before {
            key_is_free(tx, &incident).await?;
        }
        append(tx, &mut incident, &entry, who, now).await?;
        write(tx, &incident).await?;
    }
    Ok((incident, before))
}

/// Whoever takes a key goes through here, one after the other.
pub(super) async fn lock_counter(tx: &mut db::Tx) -> Result<(), IncidentError> {
    sqlx::query("UPDATE response_counters SET last = last WHERE name = 'incident'")
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// An incident that nobody else changes until the transaction ends.
pub(crate) async fn locked(tx: &mut db::Tx, id: &str) -> Result<Incident, IncidentError> {
    sqlx::query("UPDATE incidents SET updated_at = updated_at WHERE id = $1")
        .bind(id)
        .execute(&mut **tx)
        .await?;
    let row =
        sqlx::query("SELECT body FROM incidents WHERE id = $1").bind(id).fetch_optional(&mut **tx).await?;
    let row = row.ok_or_else(|| missing(id))?;
    Ok(from_text(&row.try_get::<String, _>("body")?, "incidents.body")?)
}

pub(super) fn missing(id: &str) -> TableError {
    TableError::Missing { what: "incident", id: id.chars().take(100).collect() }
}

/// Another incident may have begun with the key since this one was over.
async fn key_is_free(tx: &mut db::Tx, incident: &Incident) -> Result<(), IncidentError> {
    let Some(key) = &incident.key else { return Ok(()) };
    let other = sqlx::query("SELECT id FROM incidents WHERE open_key = $1 AND id <> $2")
        .bind(key)
        .bind(&incident.id)
        .fetch_optional(&mut **tx)
        .await?;
    match other {
        None => Ok(()),
        Some(_) => Err(TableError::State {
            what: "incident",
            id: incident.id.clone(),
            state: "resolved",
            remedy: "another one of the same alerts is open; go on there",
        }
        .into()),
    }
}

/// Adds to the timeline. The incident, which counts its entries, is to be written after it.
pub(super) async fn append(
    tx: &mut db::Tx,
    incident: &mut Incident,
    entry: &Entry,
    who: Option<&str>,
    now: i64,
) -> Result<(), IncidentError> {
    if incident.entries >= entry.kind.room() {
        return match entry.kind.may_be_left_out() {
            true => Ok(()),
            false => Err(IncidentError::Full { id: incident.id.clone() }),
        };
    }
    incident.entries += 1;
    sqlx::query(
        "INSERT INTO incident_timeline (incident_id, n, at, kind, who, text, data) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&incident.id)
    .bind(incident.entries)
    .bind(now)
    .bind(entry.kind.as_str())
    .bind(who)
    .bind(&entry.text)
    .bind(to_text(&entry.data, "incident_timeline.data")?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes down what others did for an incident.
pub(crate) async fn record(
    tx: &mut db::Tx,
    id: &str,
    entry: &Entry,
    who: Option<&str>,
    now: i64,
) -> Result<(), IncidentError> {
    let mut incident = locked(tx, id).await?;
    append(tx, &mut incident, entry, who, now).await?;
    incident.updated_at = now;
    write(tx, &incident).await
}

/// Writes an incident that is locked.
pub(super) async fn write(tx: &mut db::Tx, incident: &Incident) -> Result<(), IncidentError> {
    let open = incident.status != IncidentStatus::Resolved;
    sqlx::query(
        "UPDATE incidents SET open_key = $2, status = $3, severity = $4, resolved_at = $5, entries = $6, \
         events = $7, page = $8, body = $9, updated_at = $10 WHERE id = $1",
    )
    .bind(&incident.id)
    .bind(incident.key.as_deref().filter(|_| open))
    .bind(incident.status.as_str())
    .bind(incident.severity.as_str())
    .bind(incident.resolved_at)
    .bind(incident.entries)
    .bind(incident.events)
    .bind(incident.publication.as_ref().map(|publication| publication.page.as_str()))
    .bind(to_text(incident, "incidents.body")?)
    .bind(incident.updated_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
