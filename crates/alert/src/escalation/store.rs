//! Running escalations in the tenant's part.
//!
//! A step and what follows from it are written in one transaction of the caller: it reads what is due, steps, and
//! writes the state together with the notifications of the calls ([`Tables::write_escalation`]). Of two servers that do
//! so at once one is told that it came too late, and rolls back.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::machine::Escalation;
use super::spec::EscalationSpec;
use crate::tables::{PAGE_MAX, TableError, Tables, from_text, new_id, to_text};

/// An escalation with what it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningEscalation {
    /// Starts with `esc_`.
    pub id: String,
    /// The incident that people are called for.
    pub incident: String,
    /// Name of the policy.
    pub policy: String,
    /// Where it stands.
    pub state: Escalation,
    /// When it is stepped next; `None` while only a change of the incident leads on.
    pub due_at: Option<i64>,
    /// One more with each change.
    version: i64,
}

const COLUMNS: &str = "id, incident_id, policy, state, due_at, version";

impl Tables {
    /// Starts a policy for an incident, unless it runs for it already. Answers the running one.
    pub async fn start_escalation(
        &self,
        tx: &mut db::Tx,
        incident: &str,
        (policy, spec): (&str, &EscalationSpec),
        now: i64,
    ) -> Result<RunningEscalation, TableError> {
        let state = Escalation::start(spec, now);
        sqlx::query(
            "INSERT INTO escalations (id, incident_id, policy, state, due_at, version, started_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, 1, $5, $5) ON CONFLICT (incident_id, policy) DO NOTHING",
        )
        .bind(new_id("esc_")?)
        .bind(incident)
        .bind(policy)
        .bind(to_text(&state, "escalations.state")?)
        // Due at once: the first step says when the first call is.
        .bind(now)
        .execute(&mut **tx)
        .await?;
        let statement = format!("SELECT {COLUMNS} FROM escalations WHERE incident_id = $1 AND policy = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(incident)
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

    /// What runs for an incident.
    pub async fn escalations_of(&self, incident: &str) -> Result<Vec<RunningEscalation>, TableError> {
        let mut connection = self.scope.read().await?;
        let statement = format!(
            "SELECT {COLUMNS} FROM escalations WHERE incident_id = $1 ORDER BY started_at, id LIMIT 100"
        );
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(statement)).bind(incident).fetch_all(&mut *connection).await?;
        rows.iter().map(escalation_of).collect()
    }

    /// Writes what a step made of an escalation, and when it is stepped next; one that is over is removed. Answers false
    /// where another came first: then the transaction must not be committed.
    pub async fn write_escalation(
        &self,
        tx: &mut db::Tx,
        running: &RunningEscalation,
        next: Option<i64>,
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
            .bind(next)
            .bind(now)
            .execute(&mut **tx)
            .await?
        };
        Ok(written.rows_affected() == 1)
    }
}

/// Has the escalations of an incident stepped soon, since it was acknowledged, left or ended.
pub(crate) async fn wake(tx: &mut db::Tx, incident: &str, now: i64) -> Result<(), TableError> {
    sqlx::query("UPDATE escalations SET due_at = $2, version = version + 1 WHERE incident_id = $1")
        .bind(incident)
        .bind(now)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn escalation_of(row: &AnyRow) -> Result<RunningEscalation, TableError> {
    let state: String = row.try_get("state")?;
    Ok(RunningEscalation {
        id: row.try_get("id")?,
        incident: row.try_get("incident_id")?,
        policy: row.try_get("policy")?,
        state: from_text(&state, "escalations.state")?,
        due_at: row.try_get("due_at")?,
        version: row.try_get("version")?,
    })
}
