//! Who was told: a row for each message and channel from before it is sent, and one for each attempt.

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::events::priority_text;
use super::{PAGE_MAX, TableError, Tables, from_text, to_text, word};
use crate::notify::{Event as Why, Message};
use crate::severity::Priority;

/// Bytes of an error that are kept.
const ERROR_CHARS_MAX: usize = 1_000;

/// Where a notification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotificationStatus {
    /// Written down, not yet handed to the queue.
    Pending,
    /// The queue has it.
    Queued,
    /// The receiver took it.
    Sent,
    /// It was given up.
    Failed,
    /// The channel does not want it, is off, or is gone.
    Skipped,
}

impl NotificationStatus {
    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// A message for a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The message's id, which each attempt carries.
    pub id: String,
    /// What it belongs to.
    pub group_key: String,
    /// The channel's name, or the JSON of one that is written out in a rule.
    pub channel: String,
    /// Why.
    pub event: Why,
    /// Where it stands.
    pub status: NotificationStatus,
    /// How soon.
    pub priority: Priority,
    /// What is told.
    pub message: Message,
    /// Attempts so far.
    pub attempts: i64,
    /// What the last attempt failed with.
    pub error: Option<String>,
    /// Milliseconds since the epoch.
    pub created_at: i64,
    /// When it was sent or given up.
    pub ended_at: Option<i64>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// From 1.
    pub attempt: i64,
    /// The channel that was tried, which is another one after a fallback.
    pub channel: String,
    /// Milliseconds since the epoch.
    pub at: i64,
    /// How long it took.
    pub duration_ms: i64,
    /// Whether the receiver took it.
    pub delivered: bool,
    /// Status of the answer over HTTP.
    pub status_code: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
}

const COLUMNS: &str =
    "id, group_key, channel, event, status, priority, message, attempts, error, created_at, ended_at";

impl Tables {
    /// Writes notifications within a transaction, so that what caused them and they are kept together.
    pub async fn write_notifications(
        &self,
        tx: &mut db::Tx,
        notifications: &[Notification],
        events: &[String],
    ) -> Result<(), TableError> {
        for one in notifications {
            sqlx::query(
                "INSERT INTO notifications (id, group_key, channel, event, status, priority, title, message, attempts, \
                 created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9) ON CONFLICT (id) DO NOTHING",
            )
            .bind(&one.id)
            .bind(&one.group_key)
            .bind(&one.channel)
            .bind(why_text(one.event)?)
            .bind(one.status.as_str())
            .bind(priority_text(one.priority))
            .bind(one.message.title.replace('\0', ""))
            .bind(to_text(&one.message, "notifications.message")?)
            .bind(one.created_at)
            .execute(&mut **tx)
            .await?;
            for event in events {
                sqlx::query(
                    "INSERT INTO notification_events (notification_id, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                )
                .bind(&one.id)
                .bind(event)
                .execute(&mut **tx)
                .await?;
            }
        }
        Ok(())
    }

    /// A transaction of the tenant's part.
    pub async fn begin(&self) -> Result<db::Tx, TableError> {
        Ok(self.scope.begin().await?)
    }

    /// One notification.
    pub async fn notification(&self, id: &str) -> Result<Notification, TableError> {
        let mut connection = self.scope.read().await?;
        let row = sqlx::query(
            "SELECT id, group_key, channel, event, status, priority, message, attempts, error, created_at, ended_at \
             FROM notifications WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
        let missing = || TableError::Missing { what: "notification", id: id.chars().take(80).collect() };
        notification_of(&row.ok_or_else(missing)?)
    }

    /// Notifications that no queue has, the oldest first: those that a stop left behind.
    pub async fn pending_notifications(&self, limit: u32) -> Result<Vec<Notification>, TableError> {
        self.list("WHERE status = 'pending' ORDER BY created_at, id LIMIT $1", i64::from(limit.min(PAGE_MAX)))
            .await
    }

    /// The newest notifications.
    pub async fn notifications(&self, limit: u32) -> Result<Vec<Notification>, TableError> {
        self.list("ORDER BY created_at DESC, id LIMIT $1", i64::from(limit.min(PAGE_MAX))).await
    }

    /// What was told of an event, the oldest first.
    pub async fn notifications_of(&self, event: &str) -> Result<Vec<Notification>, TableError> {
        let statement = format!(
            "SELECT {COLUMNS} FROM notifications WHERE id IN \
             (SELECT notification_id FROM notification_events WHERE event_id = $1) ORDER BY created_at, id LIMIT 1000"
        );
        let mut connection = self.scope.read().await?;
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(statement)).bind(event).fetch_all(&mut *connection).await?;
        rows.iter().map(notification_of).collect()
    }

    /// Ids of the events that a notification tells of.
    pub async fn events_of_notification(&self, id: &str) -> Result<Vec<String>, TableError> {
        let mut connection = self.scope.read().await?;
        let rows = sqlx::query(
            "SELECT event_id FROM notification_events WHERE notification_id = $1 ORDER BY event_id LIMIT 1000",
        )
        .bind(id)
        .fetch_all(&mut *connection)
        .await?;
        Ok(rows.iter().map(|row| row.try_get("event_id")).collect::<Result<_, sqlx::Error>>()?)
    }

    async fn list(&self, rest: &str, limit: i64) -> Result<Vec<Notification>, TableError> {
        let statement = format!("SELECT {COLUMNS} FROM notifications {rest}");
        let mut connection = self.scope.read().await?;
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(statement)).bind(limit).fetch_all(&mut *connection).await?;
        rows.iter().map(notification_of).collect()
    }

    /// The queue has these.
    pub async fn queued(&self, ids: &[String]) -> Result<(), TableError> {
        let mut tx = self.scope.begin().await?;
        for id in ids {
            sqlx::query("UPDATE notifications SET status = 'queued' WHERE id = $1 AND status = 'pending'")
                .bind(id)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Writes down an attempt and where the notification stands after it.
    pub async fn record_delivery(
        &self,
        id: &str,
        delivery: &Delivery,
        status: NotificationStatus,
    ) -> Result<(), TableError> {
        let error = delivery.error.as_deref().map(cut);
        let mut tx = self.scope.begin().await?;
        sqlx::query(
            "INSERT INTO deliveries (notification_id, attempt, channel, at, duration_ms, outcome, status_code, error) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (notification_id, attempt) DO NOTHING",
        )
        .bind(id)
        .bind(delivery.attempt)
        .bind(&delivery.channel)
        .bind(delivery.at)
        .bind(delivery.duration_ms)
        .bind(if delivery.delivered { "delivered" } else { "failed" })
        .bind(delivery.status_code)
        .bind(error.as_deref())
        .execute(&mut *tx)
        .await?;
        let ended = !matches!(status, NotificationStatus::Pending | NotificationStatus::Queued);
        sqlx::query(
            "UPDATE notifications SET status = $2, attempts = $3, error = $4, ended_at = $5 WHERE id = $1",
        )
        .bind(id)
        .bind(status.as_str())
        .bind(delivery.attempt)
        .bind(error.as_deref())
        .bind(ended.then_some(delivery.at + delivery.duration_ms))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends a notification that is not tried (any more), and says why.
    pub async fn end_notification(
        &self,
        id: &str,
        status: NotificationStatus,
        why: &str,
        now: i64,
    ) -> Result<(), TableError> {
        let mut tx = self.scope.begin().await?;
        sqlx::query("UPDATE notifications SET status = $2, error = $3, ended_at = $4 WHERE id = $1")
            .bind(id)
            .bind(status.as_str())
            .bind(cut(why))
            .bind(now)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The attempts at a notification, in order.
    pub async fn deliveries(&self, id: &str) -> Result<Vec<Delivery>, TableError> {
        let mut connection = self.scope.read().await?;
        let rows = sqlx::query(
            "SELECT attempt, channel, at, duration_ms, outcome, status_code, error FROM deliveries \
             WHERE notification_id = $1 ORDER BY attempt LIMIT 1000",
        )
        .bind(id)
        .fetch_all(&mut *connection)
        .await?;
        let delivery = |row: &AnyRow| -> Result<Delivery, sqlx::Error> {
            Ok(Delivery {
                attempt: row.try_get("attempt")?,
                channel: row.try_get("channel")?,
                at: row.try_get("at")?,
                duration_ms: row.try_get("duration_ms")?,
                delivered: row.try_get::<String, _>("outcome")? == "delivered",
                status_code: row.try_get("status_code")?,
                error: row.try_get("error")?,
            })
        };
        Ok(rows.iter().map(delivery).collect::<Result<_, _>>()?)
    }

    /// Removes notifications that ended before a time, with their attempts. Answers how many.
    pub async fn sweep_notifications(&self, before: i64) -> Result<u64, TableError> {
        let mut tx = self.scope.begin().await?;
        let gone = sqlx::query("DELETE FROM notifications WHERE ended_at < $1")
            .bind(before)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(gone.rows_affected())
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(ERROR_CHARS_MAX).collect()
}

fn why_text(why: Why) -> Result<String, TableError> {
    Ok(to_text(&why, "notifications.event")?.trim_matches('"').to_owned())
}

fn notification_of(row: &AnyRow) -> Result<Notification, TableError> {
    let message: String = row.try_get("message")?;
    Ok(Notification {
        id: row.try_get("id")?,
        group_key: row.try_get("group_key")?,
        channel: row.try_get("channel")?,
        event: word(row.try_get("event")?, "notifications.event")?,
        status: word(row.try_get("status")?, "notifications.status")?,
        priority: word(row.try_get("priority")?, "notifications.priority")?,
        message: from_text(&message, "notifications.message")?,
        attempts: row.try_get("attempts")?,
        error: row.try_get("error")?,
        created_at: row.try_get("created_at")?,
        ended_at: row.try_get("ended_at")?,
    })
}
