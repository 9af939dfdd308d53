//! Lists of incidents, their events and their timelines, page by page.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::store::missing;
use super::{EntryKind, Incident, IncidentError, IncidentStatus, TimelineEntry};
use crate::severity::Severity;
use crate::tables::{PAGE_MAX, TableError, Tables, from_text, word};

/// A place in a list: time of creation and id of the last one seen.
pub type IncidentPlace = (i64, String);

/// Which incidents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IncidentFilter {
    /// That stand so; any when empty.
    pub statuses: Vec<IncidentStatus>,
    /// Of one of these severities; of any when empty.
    pub severities: Vec<Severity>,
    /// Opened at or after this time.
    pub since: Option<i64>,
    /// Opened before this time.
    pub until: Option<i64>,
    /// Shown on the status page of this name.
    pub page: Option<String>,
    /// That this event joined.
    pub event: Option<String>,
    /// Behind this place.
    pub after: Option<IncidentPlace>,
}

impl Tables {
    /// One incident.
    pub async fn incident(&self, id: &str) -> Result<Incident, IncidentError> {
        let mut connection = self.scope.read().await?;
        let row = sqlx::query("SELECT body FROM incidents WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
        incident_of(&row.ok_or_else(|| missing(id))?)
    }

    /// Incidents, the newest first, at most `limit` (and 1000).
    pub async fn incidents(
        &self,
        filter: &IncidentFilter,
        limit: u32,
    ) -> Result<Vec<Incident>, IncidentError> {
        let mut statement =
            "SELECT body FROM incidents WHERE created_at >= $1 AND created_at < $2".to_owned();
        // Words of ours, never a caller's.
        if !filter.statuses.is_empty() {
            let each: Vec<String> = filter.statuses.iter().map(|one| format!("'{}'", one.as_str())).collect();
            statement += &format!(" AND status IN ({})", each.join(", "));
        }
        if !filter.severities.is_empty() {
            let each: Vec<String> = filter.severities.iter().map(|s| format!("'{}'", s.as_str())).collect();
            statement += &format!(" AND severity IN ({})", each.join(", "));
        }
        statement += " AND ($6 = '' OR page = $6) \
            AND ($7 = '' OR id IN (SELECT incident_id FROM incident_events WHERE event_id = $7)) \
            AND (created_at < $3 OR (created_at = $3 AND id > $4)) ORDER BY created_at DESC, id LIMIT $5";
        let (time, id) = filter.after.clone().unwrap_or((i64::MAX, String::new()));
        let mut connection = self.scope.read().await?;
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(filter.since.unwrap_or(i64::MIN))
            .bind(filter.until.unwrap_or(i64::MAX))
            .bind(time)
            .bind(id)
            .bind(i64::from(limit.min(PAGE_MAX)))
            .bind(filter.page.clone().unwrap_or_default())
            .bind(filter.event.clone().unwrap_or_default())
            .fetch_all(&mut *connection)
            .await?;
        rows.iter().map(incident_of).collect()
    }

    /// What happened to an incident, in order, behind entry number `after`, at most `limit` (and 1000); of some kinds
    /// only where any are given.
    pub async fn timeline(
        &self,
        id: &str,
        kinds: &[EntryKind],
        after: i64,
        limit: u32,
    ) -> Result<Vec<TimelineEntry>, IncidentError> {
        let mut statement =
            "SELECT n, at, kind, who, text, data FROM incident_timeline WHERE incident_id = $1 AND n > $2"
                .to_owned();
        if !kinds.is_empty() {
            let each: Vec<String> = kinds.iter().map(|kind| format!("'{}'", kind.as_str())).collect();
            statement += &format!(" AND kind IN ({})", each.join(", "));
        }
        statement += " ORDER BY n LIMIT $3";
        let mut connection = self.scope.read().await?;
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(id)
            .bind(after)
            .bind(i64::from(limit.min(PAGE_MAX)))
            .fetch_all(&mut *connection)
            .await?;
        rows.iter().map(entry_of).collect()
    }

    /// Ids of events that joined an incident, in the order of ids behind `after`, at most `limit` (and 1000); those
    /// that go on only, where asked.
    pub async fn incident_events(
        &self,
        id: &str,
        open_only: bool,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>, IncidentError> {
        let open = if open_only { "AND over_at IS NULL " } else { "" };
        let statement = format!(
            "SELECT event_id FROM incident_events WHERE incident_id = $1 AND event_id > $2 {open}ORDER BY event_id LIMIT $3"
        );
        let mut connection = self.scope.read().await?;
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(id)
            .bind(after)
            .bind(i64::from(limit.min(PAGE_MAX)))
            .fetch_all(&mut *connection)
            .await?;
        Ok(rows.iter().map(|row| row.try_get("event_id")).collect::<Result<_, _>>()?)
    }

    /// Removes incidents that were over before a time, with all that belongs to them. Answers how many.
    pub async fn sweep_incidents(&self, before: i64) -> Result<u64, IncidentError> {
        let mut tx = self.scope.begin().await?;
        let gone = sqlx::query("DELETE FROM incidents WHERE status = 'resolved' AND resolved_at < $1")
            .bind(before)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(gone.rows_affected())
    }
}

fn incident_of(row: &AnyRow) -> Result<Incident, IncidentError> {
    Ok(from_text(&row.try_get::<String, _>("body")?, "incidents.body")?)
}

fn entry_of(row: &AnyRow) -> Result<TimelineEntry, IncidentError> {
    let data: String = row.try_get("data")?;
    let kind: Result<EntryKind, TableError> = word(row.try_get("kind")?, "incident_timeline.kind");
    Ok(TimelineEntry {
        n: row.try_get("n")?,
        at: row.try_get("at")?,
        kind: kind?,
        who: row.try_get("who")?,
        text: row.try_get("text")?,
        data: from_text(&data, "incident_timeline.data")?,
    })
}
