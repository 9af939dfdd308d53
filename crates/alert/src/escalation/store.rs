//! Running escalations in the tenant's part.
//!
//! A step and what follows from it are written in one transaction of the caller: it reads what is due, steps, and
//! writes the state together with the notifications of the calls ([`Tables::write_escalation`]). Of two servers that do
//! so at once one is told that it came too late, and rolls back.

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::machine::{Escalation, Step};
use super::spec::EscalationSpec;
use crate::tables::{PAGE_MAX, TableError, Tables, from_text, new_id, to_text, word};

/// What people are called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// An incident, by its id.
    Incident,
    /// A group of alerts, by its key.
    Group,
}

impl Subject {
    /// The spelling in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incident => "incident",
            Self::Group => "group",
        }
    }
}

/// An escalation with what it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningEscalation {
    /// Starts with `esc_`.
    pub id: String,
    /// What kind of thing it is for.
    pub subject: Subject,
    /// Which one.
    pub subject_id: String,
    /// Name of the policy.
    pub policy: String,
    /// Where it stands.
    pub state: Escalation,
    /// When it is stepped next; `None` while only a change of standing leads on.
    pub due_at: Option<i64>,
    /// One more with each change.
    version: i64,
}

const COLUMNS: &str = "id, subject, subject_id, policy, state, due_at, version";

impl Tables {
    /// Starts a policy for something, unless the same one runs for it already. Answers the running one.
    pub async fn start_escalation(
        &self,
        tx: &mut db::Tx,
        subject: (Subject, &str),
        (policy, spec): (&str, &EscalationSpec),
        now: i64,
    ) -> Result<RunningEscalation, TableError> {
        let state = Escalation::start(spec, now);
        sqlx::query(
            "INSERT INTO escalations (id, subject, subject_id, policy, state, due_at, version, started_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, 1, $6, $6) ON CONFLICT (subject, subject_id, policy) DO NOTHING",
        )
        .bind(new_id("esc_")?)
        .bind(subject.0.as_str())
        .bind(subject.1)
        .bind(policy)
        .bind(to_text(&state, "escalations.state")?)
        // Due at once: the first step says when the first call is.
        .bind(now)
        .execute(&mut **tx)
        .await?;
        let row = sqlx::query(
            "SELECT id, subject, subject_id, policy, state, due_at, version FROM escalations \
             WHERE subject = $1 AND subject_id = $2 AND policy = $3",
        )
        .bind(subject.0.as_str())
        .bind(subject.1)
        .bind(policy)
        .fetch_one(&mut **tx)
        .await?;
        escalation_of(&row)
    }

    /// Escalations whose next step is due, the longest overdue first.
    pub async fn due_escalations(&self, now: i64, limit: u32) -> Result<Vec<RunningEscalation>, TableError> {
        let mut connection = self.scope.read().await?;
        let statement =
            format!("SELECT {COLUMNS} FROM escalations WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(now)
            .bind(i64::from(limit.min(PAGE_MAX)))
            .fetch_all(&mut *connection)
            .await?;
        rows.iter().map(escalation_of).collect()
    }

    /// When the next step of any escalation is due.
    pub async fn next_escalation(&self) -> Result<Option<i64>, TableError> {
        let mut connection = self.scope.read().await?;
        let row =
            sqlx::query("SELECT MIN(due_at) AS due FROM escalations").fetch_one(&mut *connection).await?;
        Ok(row.try_get("due")?)
    }

    /// What runs for something.
    pub async fn escalations_of(
        &self,
        subject: Subject,
        id: &str,
    ) -> Result<Vec<RunningEscalation>, TableError> {
        let mut connection = self.scope.read().await?;
        let statement = format!(
            "SELECT {COLUMNS} FROM escalations WHERE subject = $1 AND subject_id = $2 ORDER BY started_at, id LIMIT 100"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(subject.as_str())
            .bind(id)
            .fetch_all(&mut *connection)
            .await?;
        rows.iter().map(escalation_of).collect()
    }

    /// Writes what a step made of an escalation; one that is over is removed. Answers false where another came first:
    /// then the transaction must not be committed.
    pub async fn write_escalation(
        &self,
        tx: &mut db::Tx,
        running: &RunningEscalation,
        step: &Step,
        now: i64,
    ) -> Result<bool, TableError> {
        let written = if running.state.is_over() {
            sqlx::query("DELETE FROM escalations WHERE id = $1 AND version = $2")
                .bind(&running.id)
                .bind(running.version)
                .execute(&mut **tx)
                .await?
        } else {
            sqlx::query(
                "UPDATE escalations SET state = $3, due_at = $4, version = version + 1, updated_at = $5 \
                 WHERE id = $1 AND version = $2",
            )
            .bind(&running.id)
            .bind(running.version)
            .bind(to_text(&running.state, "escalations.state")?)
            .bind(step.next)
            .bind(now)
            .execute(&mut **tx)
            .await?
        };
        Ok(written.rows_affected() == 1)
    }

    /// Has the escalations of something stepped soon, since it was acknowledged, left or ended.
    pub async fn wake_escalations(
        &self,
        tx: &mut db::Tx,
        subject: Subject,
        id: &str,
        now: i64,
    ) -> Result<u64, TableError> {
        wake(tx, subject, id, now).await
    }
}

/// The same within this crate.
pub(crate) async fn wake(tx: &mut db::Tx, subject: Subject, id: &str, now: i64) -> Result<u64, TableError> {
    let woken = sqlx::query(
        "UPDATE escalations SET due_at = $3, version = version + 1 WHERE subject = $1 AND subject_id = $2",
    )
    .bind(subject.as_str())
    .bind(id)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(woken.rows_affected())
}

fn escalation_of(row: &AnyRow) -> Result<RunningEscalation, TableError> {
    let state: String = row.try_get("state")?;
    Ok(RunningEscalation {
        id: row.try_get("id")?,
        subject: word(row.try_get("subject")?, "escalations.subject")?,
        subject_id: row.try_get("subject_id")?,
        policy: row.try_get("policy")?,
        state: from_text(&state, "escalations.state")?,
        due_at: row.try_get("due_at")?,
        version: row.try_get("version")?,
    })
}
