//! Groups of alerts, what was told, silences: what the desk goes on from.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::events::event_of;
use super::{Event, TableError, Tables, from_text, to_text};
use crate::routing::{GroupSnapshot, LogEntry, Silence};

impl Tables {
    /// Every group as it was kept.
    pub(crate) async fn groups(&self) -> Result<Vec<GroupSnapshot>, TableError> {
        let mut connection = self.scope.read().await?;
        let rows = sqlx::query("SELECT state FROM alert_groups ORDER BY group_key")
            .fetch_all(&mut *connection)
            .await?;
        rows.iter().map(|row| read(row, "state", "alert_groups.state")).collect()
    }

    /// Writes groups; `None` removes one.
    pub(crate) async fn keep_groups(
        &self,
        groups: &[(String, Option<GroupSnapshot>)],
        now: i64,
    ) -> Result<(), TableError> {
        let mut tx = self.scope.begin().await?;
        for (key, group) in groups {
            match group {
                None => {
                    sqlx::query("DELETE FROM alert_groups WHERE group_key = $1")
                        .bind(clean(key))
                        .execute(&mut *tx)
                        .await?;
                }
                Some(group) => {
                    sqlx::query(
                        "INSERT INTO alert_groups (group_key, state, updated_at) VALUES ($1, $2, $3) \
                         ON CONFLICT (group_key) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at",
                    )
                    .bind(clean(key))
                    .bind(to_text(group, "alert_groups.state")?)
                    .bind(now)
                    .execute(&mut *tx)
                    .await?;
                }
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// What was told and still counts.
    pub(crate) async fn told(&self, now: i64) -> Result<Vec<LogEntry>, TableError> {
        let mut connection = self.scope.read().await?;
        let rows = sqlx::query("SELECT entry FROM alert_told WHERE expires_at > $1")
            .bind(now)
            .fetch_all(&mut *connection)
            .await?;
        rows.iter().map(|row| read(row, "entry", "alert_told.entry")).collect()
    }

    /// Writes down what is told, in the transaction of its notifications.
    pub(crate) async fn write_told(&self, tx: &mut db::Tx, entries: &[LogEntry]) -> Result<(), TableError> {
        for entry in entries {
            sqlx::query(
                "INSERT INTO alert_told (group_key, receiver, entry, expires_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (group_key, receiver) DO UPDATE SET entry = excluded.entry, expires_at = excluded.expires_at",
            )
            .bind(clean(&entry.group))
            .bind(clean(&entry.receiver))
            .bind(to_text(entry, "alert_told.entry")?)
            .bind(entry.expires_at)
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    /// Forgets what no longer counts.
    pub(crate) async fn forget_told(&self, now: i64) -> Result<(), TableError> {
        let mut tx = self.scope.begin().await?;
        sqlx::query("DELETE FROM alert_told WHERE expires_at <= $1").bind(now).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whether there are groups that hold alerts or wait, so that somebody has to look after them.
    pub async fn has_open_groups(&self) -> Result<bool, TableError> {
        let mut connection = self.scope.read().await?;
        let row = sqlx::query("SELECT group_key FROM alert_groups LIMIT 1");
        Ok(row.fetch_optional(&mut *connection).await?.is_some())
    }

    /// Silences, those over included that were not swept yet.
    pub(crate) async fn silences(&self) -> Result<Vec<Silence>, TableError> {
        let mut connection = self.scope.read().await?;
        let rows = sqlx::query("SELECT spec FROM silences ORDER BY id").fetch_all(&mut *connection).await?;
        rows.iter().map(|row| read(row, "spec", "silences.spec")).collect()
    }

    /// Writes silences, all or none.
    pub(crate) async fn keep_silences(&self, silences: &[Silence]) -> Result<(), TableError> {
        let mut tx = self.scope.begin().await?;
        for silence in silences {
            sqlx::query(
                "INSERT INTO silences (id, spec, starts_at, ends_at, updated_at) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (id) DO UPDATE SET spec = excluded.spec, starts_at = excluded.starts_at, \
                 ends_at = excluded.ends_at, updated_at = excluded.updated_at",
            )
            .bind(&silence.id)
            .bind(to_text(silence, "silences.spec")?)
            .bind(silence.starts_at)
            .bind(silence.ends_at)
            .bind(silence.updated_at)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Removes silences that were over before a time.
    pub(crate) async fn sweep_silences(&self, before: i64) -> Result<(), TableError> {
        let mut tx = self.scope.begin().await?;
        sqlx::query("DELETE FROM silences WHERE ends_at < $1").bind(before).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The newest event of an alert's identity.
    pub async fn latest_event(&self, identity: u64) -> Result<Option<Event>, TableError> {
        let mut connection = self.scope.read().await?;
        let row = sqlx::query(
            r#"SELECT * FROM "AlertEvent" WHERE "fingerprint" = $1 ORDER BY "firedAt" DESC, "updatedAt" DESC LIMIT 1"#,
        )
        .bind(format!("{identity:016x}"))
        .fetch_optional(&mut *connection)
        .await?;
        row.as_ref().map(event_of).transpose()
    }
}

fn read<T: serde::de::DeserializeOwned>(
    row: &AnyRow,
    column: &str,
    what: &'static str,
) -> Result<T, TableError> {
    let text: String = row.try_get(column)?;
    from_text(&text, what)
}

/// What PostgreSQL's TEXT can hold.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
