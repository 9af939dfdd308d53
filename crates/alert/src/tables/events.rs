//! What fired: one row from the moment it fires to its end, and what happened to it in between.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::{PAGE_MAX, TableError, Tables, from_text, to_text, word};
use crate::Labels;
use crate::rule::ChannelRef;
use crate::severity::{Priority, Severity};

/// Entries of one event's log; the oldest of a longer one stay, since they say how it began.
const LOG_MAX: i64 = 1_000;

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventState {
    /// Nobody takes care of it yet.
    Firing,
    /// Somebody does.
    Acknowledged,
    /// It is over.
    Resolved,
}

impl EventState {
    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

/// Something that fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Starts with `evt_`.
    pub id: String,
    /// Key of the rule that fired, or of whoever sent it.
    pub rule: String,
    /// The label `alertname`.
    pub name: String,
    /// Hash of its labels, in hexadecimal.
    pub fingerprint: String,
    /// Where it stands.
    pub state: EventState,
    /// How bad it is.
    pub severity: Severity,
    /// How soon it is delivered.
    pub priority: Priority,
    /// The last value; NaN where there is none.
    pub value: f64,
    /// What tells it apart.
    pub labels: Labels,
    /// What its rule says of it.
    pub annotations: Labels,
    /// A runbook's name, or an address.
    pub runbook: Option<String>,
    /// Whom its rule tells, beside what the routes say.
    pub channels: Vec<ChannelRef>,
    /// Where it came from: `rule`, `prometheus` or `api`.
    pub source: String,
    /// When the breach began, milliseconds since the epoch.
    pub starts_at: i64,
    /// When it fired.
    pub fired_at: i64,
    /// When it was over.
    pub ends_at: Option<i64>,
    /// When somebody took care of it.
    pub acknowledged_at: Option<i64>,
    /// Who.
    pub acknowledged_by: Option<String>,
    /// Who ended it; `None` when it ended by itself.
    pub resolved_by: Option<String>,
    /// When anything of it changed.
    pub updated_at: i64,
}

/// Something that happened to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// `fired`, `escalated`, `eased`, `acknowledged`, `unacknowledged`, `resolved` and the like.
    pub what: String,
    /// Who did it; `None` for the server.
    pub who: Option<String>,
    /// What was said of it.
    pub detail: Option<String>,
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventFilter {
    /// In one of these states; in any when empty.
    pub states: Vec<EventState>,
    /// Of one of these severities; of any when empty.
    pub severities: Vec<Severity>,
    /// Of the rule with this key.
    pub rule: Option<String>,
    /// That fired at or after this time.
    pub since: Option<i64>,
    /// That fired before this time.
    pub until: Option<i64>,
    /// After this one in the order of the list: time it fired and id of the last one seen.
    pub after: Option<(i64, String)>,
}

const COLUMNS: &str = r#""id", "rule", "name", "fingerprint", "state", "severity", "priority", "value", "labels",
    "annotations", "runbook", "channels", "source", "startsAt", "firedAt", "endsAt", "acknowledgedAt",
    "acknowledgedBy", "resolvedBy", "updatedAt""#;

impl Tables {
    /// One event.
    pub async fn event(&self, id: &str) -> Result<Event, TableError> {
        let mut connection = self.scope.read().await?;
        let statement = format!(r#"SELECT {COLUMNS} FROM "AlertEvent" WHERE "id" = $1"#);
        let row = sqlx::query(AssertSqlSafe(statement)).bind(id).fetch_optional(&mut *connection).await?;
        event_of(&row.ok_or_else(|| missing(id))?)
    }

    /// Events, the newest first, at most `limit` (and 1000).
    pub async fn events(&self, filter: &EventFilter, limit: u32) -> Result<Vec<Event>, TableError> {
        let mut statement =
            format!(r#"SELECT {COLUMNS} FROM "AlertEvent" WHERE "firedAt" >= $1 AND "firedAt" < $2"#);
        // Words of ours, never a caller's.
        if !filter.states.is_empty() {
            let states: Vec<String> =
                filter.states.iter().map(|state| format!("'{}'", state.as_str())).collect();
            statement += &format!(r#" AND "state" IN ({})"#, states.join(", "));
        }
        if !filter.severities.is_empty() {
            let each: Vec<String> = filter.severities.iter().map(|s| format!("'{}'", s.as_str())).collect();
            statement += &format!(r#" AND "severity" IN ({})"#, each.join(", "));
        }
        statement += r#" AND ($3 = '' OR "rule" = $3) AND ("firedAt" < $4 OR ("firedAt" = $4 AND "id" > $5))
            ORDER BY "firedAt" DESC, "id" LIMIT $6"#;
        let (time, id) = filter.after.clone().unwrap_or((i64::MAX, String::new()));
        let mut connection = self.scope.read().await?;
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(filter.since.unwrap_or(i64::MIN))
            .bind(filter.until.unwrap_or(i64::MAX))
            .bind(filter.rule.clone().unwrap_or_default())
            .bind(time)
            .bind(id)
            .bind(i64::from(limit.min(PAGE_MAX)))
            .fetch_all(&mut *connection)
            .await?;
        rows.iter().map(event_of).collect()
    }

    /// What happened to an event, in order.
    pub async fn event_log(&self, id: &str) -> Result<Vec<LogEntry>, TableError> {
        let mut connection = self.scope.read().await?;
        let rows =
            sqlx::query("SELECT at, what, who, detail FROM alert_event_log WHERE event_id = $1 ORDER BY n")
                .bind(id)
                .fetch_all(&mut *connection)
                .await?;
        let entry = |row: &AnyRow| -> Result<LogEntry, sqlx::Error> {
            Ok(LogEntry {
                at: row.try_get("at")?,
                what: row.try_get("what")?,
                who: row.try_get("who")?,
                detail: row.try_get("detail")?,
            })
        };
        Ok(rows.iter().map(entry).collect::<Result<_, _>>()?)
    }

    /// Somebody takes care of an event. A second call changes nothing and answers the event as it is.
    pub async fn acknowledge(
        &self,
        id: &str,
        who: &str,
        note: Option<&str>,
        now: i64,
    ) -> Result<Event, TableError> {
        let mut tx = self.scope.begin().await?;
        let changed = sqlx::query(
            r#"UPDATE "AlertEvent" SET "state" = 'acknowledged', "acknowledgedAt" = $2, "acknowledgedBy" = $3,
               "updatedAt" = $2 WHERE "id" = $1 AND "state" = 'firing'"#,
        )
        .bind(id)
        .bind(now)
        .bind(who)
        .execute(&mut *tx)
        .await?;
        if changed.rows_affected() == 1 {
            write_log(&mut tx, id, now, "acknowledged", Some(who), note).await?;
        }
        tx.commit().await?;
        let event = self.event(id).await?;
        if event.state == EventState::Resolved {
            return Err(state_fault(id, event.state, "it is over, so there is nothing to take care of"));
        }
        Ok(event)
    }

    /// Nobody takes care of an event any more.
    pub async fn unacknowledge(&self, id: &str, who: &str, now: i64) -> Result<Event, TableError> {
        let mut tx = self.scope.begin().await?;
        let changed = sqlx::query(
            r#"UPDATE "AlertEvent" SET "state" = 'firing', "acknowledgedAt" = NULL, "acknowledgedBy" = NULL,
               "updatedAt" = $2 WHERE "id" = $1 AND "state" = 'acknowledged'"#,
        )
        .bind(id)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        if changed.rows_affected() == 1 {
            write_log(&mut tx, id, now, "unacknowledged", Some(who), None).await?;
        }
        tx.commit().await?;
        self.event(id).await
    }

    /// Writes an event that others raised.
    pub(crate) async fn insert_event(&self, event: Event) -> Result<Event, TableError> {
        let mut tx = self.scope.begin().await?;
        write_event(&mut tx, &event).await?;
        write_log(&mut tx, &event.id, event.fired_at, "fired", None, None).await?;
        tx.commit().await?;
        Ok(event)
    }

    /// Removes events that were over before a time, with their logs. Answers how many.
    pub async fn sweep_events(&self, before: i64) -> Result<u64, TableError> {
        let mut tx = self.scope.begin().await?;
        let gone = sqlx::query(r#"DELETE FROM "AlertEvent" WHERE "state" = 'resolved' AND "endsAt" < $1"#)
            .bind(before)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(gone.rows_affected())
    }
}

/// Writes an event that is new or changed.
pub(super) async fn write_event(tx: &mut db::Tx, event: &Event) -> Result<(), TableError> {
    let finite = |value: f64| value.is_finite().then_some(value);
    sqlx::query(
        r#"INSERT INTO "AlertEvent" ("id", "rule", "name", "fingerprint", "state", "severity", "priority", "value",
           "labels", "annotations", "runbook", "channels", "source", "startsAt", "firedAt", "endsAt",
           "acknowledgedAt", "acknowledgedBy", "resolvedBy", "updatedAt")
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
           ON CONFLICT ("id") DO UPDATE SET "state" = excluded."state", "severity" = excluded."severity",
           "priority" = excluded."priority", "value" = excluded."value", "annotations" = excluded."annotations",
           "endsAt" = excluded."endsAt", "resolvedBy" = excluded."resolvedBy", "updatedAt" = excluded."updatedAt""#,
    )
    .bind(&event.id)
    .bind(&event.rule)
    .bind(event.name.replace('\0', ""))
    .bind(&event.fingerprint)
    .bind(event.state.as_str())
    .bind(event.severity.as_str())
    .bind(priority_text(event.priority))
    .bind(finite(event.value))
    .bind(to_text(&event.labels, "AlertEvent.labels")?)
    .bind(to_text(&event.annotations, "AlertEvent.annotations")?)
    .bind(event.runbook.as_deref())
    .bind(to_text(&event.channels, "AlertEvent.channels")?)
    .bind(&event.source)
    .bind(event.starts_at)
    .bind(event.fired_at)
    .bind(event.ends_at)
    .bind(event.acknowledged_at)
    .bind(event.acknowledged_by.as_deref())
    .bind(event.resolved_by.as_deref())
    .bind(event.updated_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Adds to an event's log.
pub(super) async fn write_log(
    tx: &mut db::Tx,
    id: &str,
    at: i64,
    what: &str,
    who: Option<&str>,
    detail: Option<&str>,
) -> Result<(), TableError> {
    let detail = detail.map(|text| text.chars().filter(|c| *c != '\0').take(4_000).collect::<String>());
    sqlx::query(
        "INSERT INTO alert_event_log (event_id, n, at, what, who, detail) \
         SELECT $1, next, $2, $3, $4, $5 FROM \
         (SELECT COALESCE(MAX(n), 0) + 1 AS next FROM alert_event_log WHERE event_id = $1) AS numbered \
         WHERE next <= $6",
    )
    .bind(id)
    .bind(at)
    .bind(what)
    .bind(who)
    .bind(detail)
    .bind(LOG_MAX)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) fn priority_text(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
        Priority::Critical => "critical",
    }
}

pub(super) fn event_of(row: &AnyRow) -> Result<Event, TableError> {
    let labels: String = row.try_get("labels")?;
    let annotations: String = row.try_get("annotations")?;
    let channels: String = row.try_get("channels")?;
    Ok(Event {
        id: row.try_get("id")?,
        rule: row.try_get("rule")?,
        name: row.try_get("name")?,
        fingerprint: row.try_get("fingerprint")?,
        state: word(row.try_get("state")?, "AlertEvent.state")?,
        severity: word(row.try_get("severity")?, "AlertEvent.severity")?,
        priority: word(row.try_get("priority")?, "AlertEvent.priority")?,
        value: row.try_get::<Option<f64>, _>("value")?.unwrap_or(f64::NAN),
        labels: from_text(&labels, "AlertEvent.labels")?,
        annotations: from_text(&annotations, "AlertEvent.annotations")?,
        runbook: row.try_get("runbook")?,
        channels: from_text(&channels, "AlertEvent.channels")?,
        source: row.try_get("source")?,
        starts_at: row.try_get("startsAt")?,
        fired_at: row.try_get("firedAt")?,
        ends_at: row.try_get("endsAt")?,
        acknowledged_at: row.try_get("acknowledgedAt")?,
        acknowledged_by: row.try_get("acknowledgedBy")?,
        resolved_by: row.try_get("resolvedBy")?,
        updated_at: row.try_get("updatedAt")?,
    })
}

fn missing(id: &str) -> TableError {
    TableError::Missing { what: "alert event", id: id.chars().take(80).collect() }
}

pub(super) fn state_fault(id: &str, state: EventState, remedy: &'static str) -> TableError {
    TableError::State { what: "alert event", id: id.to_owned(), state: state.as_str(), remedy }
}
