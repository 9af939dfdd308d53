//! Runs on record. What happens to one is written into its incident's timeline in the same transaction.
//!
//! Locks are taken in this order: where a run is asked for its incident, then the counter of runs; else the run, then its
//! incident.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::RunError;
use super::run::{Run, RunRequest, RunStatus, retry_at};
use crate::incident::{self, Entry, EntryKind, IncidentError};
use crate::tables::{PAGE_MAX, TableError, Tables, from_text, new_id, to_text};

/// A place in a list: time of the request and id of the last one seen.
pub type RunPlace = (i64, String);

/// Which runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunFilter {
    /// That stand so; any when empty.
    pub statuses: Vec<RunStatus>,
    /// For this incident.
    pub incident: Option<String>,
    /// Behind this place.
    pub after: Option<RunPlace>,
}

impl Tables {
    /// Asks for a run, unless the action ran too often.
    pub async fn request_run(&self, request: &RunRequest<'_>, now: i64) -> Result<Run, RunError> {
        let mut tx = self.scope.begin().await?;
        let run = self.request_run_in(&mut tx, request, now).await?;
        tx.commit().await?;
        Ok(run)
    }

    /// The same within a transaction. One that ran too often, or that cannot be, has changed nothing: the transaction may
    /// go on.
    pub(crate) async fn request_run_in(
        &self,
        tx: &mut db::Tx,
        request: &RunRequest<'_>,
        now: i64,
    ) -> Result<Run, RunError> {
        if let Some(incident) = request.incident {
            sqlx::query("UPDATE incidents SET updated_at = updated_at WHERE id = $1")
                .bind(incident)
                .execute(&mut **tx)
                .await?;
        }
        // Runs are asked for one after the other, so that two cannot both be the last that the limit lets.
        sqlx::query("UPDATE response_counters SET last = last + 1 WHERE name = 'run'")
            .execute(&mut **tx)
            .await?;
        let run = Run::new(new_id("run_")?, request, now)?;
        let limit = request.action.limit;
        let times = sqlx::query(
            "SELECT requested_at FROM runs WHERE kind = $1 AND action = $2 AND requested_at > $3 AND status <> 'refused' \
             ORDER BY requested_at DESC LIMIT $4",
        )
        .bind(run.kind.as_str())
        .bind(&run.action)
        .bind(now.saturating_sub(limit.per.millis()))
        .bind(i64::from(limit.times))
        .fetch_all(&mut **tx)
        .await?;
        let mut times: Vec<i64> =
            times.iter().map(|row| row.try_get("requested_at")).collect::<Result<_, _>>()?;
        times.reverse();
        if let Some(retry_at) = retry_at(&times, limit.times, limit.per.millis()) {
            let (action, seconds) = (run.action, limit.per.millis() / 1_000);
            return Err(RunError::TooOften { action, times: limit.times, seconds, retry_at });
        }
        sqlx::query(
            "INSERT INTO runs (id, kind, action, status, incident_id, requested_at, due_at, body, output, \
             updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', $6)",
        )
        .bind(&run.id)
        .bind(run.kind.as_str())
        .bind(&run.action)
        .bind(run.status.as_str())
        .bind(run.incident.as_deref())
        .bind(now)
        .bind(run.due_at)
        .bind(to_text(&run, "runs.body")?)
        .execute(&mut **tx)
        .await?;
        tell(tx, &run, "asked for", Some(request.who), now).await?;
        Ok(run)
    }

    /// Lets a run begin. Whether `who` may do such things at all is for the caller to know.
    pub async fn approve_run(&self, id: &str, who: &str, now: i64) -> Result<Run, RunError> {
        self.decide_run(id, who, true, now).await
    }

    /// Says no to a run.
    pub async fn refuse_run(&self, id: &str, who: &str, now: i64) -> Result<Run, RunError> {
        self.decide_run(id, who, false, now).await
    }

    async fn decide_run(&self, id: &str, who: &str, yes: bool, now: i64) -> Result<Run, RunError> {
        let mut tx = self.scope.begin().await?;
        let mut run = locked(&mut tx, id).await?;
        run.decide(who, yes, now)?;
        write(&mut tx, &run, None).await?;
        tell(&mut tx, &run, if yes { "approved" } else { "refused" }, Some(who), now).await?;
        tx.commit().await?;
        Ok(run)
    }

    /// One run with its output, of at most [`super::OUTPUT_BYTES_MAX`] bytes.
    pub async fn run(&self, id: &str) -> Result<(Run, String), RunError> {
        let mut connection = self.scope.read().await?;
        let row = sqlx::query("SELECT body, output FROM runs WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
        let row = row.ok_or_else(|| missing(id))?;
        Ok((run_of(&row)?, row.try_get("output")?))
    }

    /// Runs, the newest first, at most `limit` (and 1000).
    pub async fn runs(&self, filter: &RunFilter, limit: u32) -> Result<Vec<Run>, RunError> {
        let mut statement = "SELECT body FROM runs WHERE ($1 = '' OR incident_id = $1)".to_owned();
        if !filter.statuses.is_empty() {
            // Words of ours, never a caller's.
            let each: Vec<String> = filter.statuses.iter().map(|one| format!("'{}'", one.as_str())).collect();
            statement += &format!(" AND status IN ({})", each.join(", "));
        }
        statement += " AND (requested_at < $2 OR (requested_at = $2 AND id > $3)) \
            ORDER BY requested_at DESC, id LIMIT $4";
        let (time, id) = filter.after.clone().unwrap_or((i64::MAX, String::new()));
        let mut connection = self.scope.read().await?;
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(filter.incident.clone().unwrap_or_default())
            .bind(time)
            .bind(id)
            .bind(i64::from(limit.min(PAGE_MAX)))
            .fetch_all(&mut *connection)
            .await?;
        rows.iter().map(run_of).collect()
    }

    /// Removes runs that were over before a time. Answers how many.
    pub async fn sweep_runs(&self, before: i64) -> Result<u64, RunError> {
        let mut tx = self.scope.begin().await?;
        // What is over waits for nothing.
        let gone = sqlx::query("DELETE FROM runs WHERE due_at IS NULL AND updated_at < $1")
            .bind(before)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(gone.rows_affected())
    }
}

/// A run that nobody else changes until the transaction ends.
pub(super) async fn locked(tx: &mut db::Tx, id: &str) -> Result<Run, RunError> {
    sqlx::query("UPDATE runs SET updated_at = updated_at WHERE id = $1").bind(id).execute(&mut **tx).await?;
    let row = sqlx::query("SELECT body FROM runs WHERE id = $1").bind(id).fetch_optional(&mut **tx).await?;
    run_of(&row.ok_or_else(|| missing(id))?)
}

/// Writes a run that is locked, with its output where there is new one.
pub(super) async fn write(tx: &mut db::Tx, run: &Run, output: Option<&str>) -> Result<(), RunError> {
    sqlx::query(
        "UPDATE runs SET status = $2, agent = $3, due_at = $4, body = $5, output = COALESCE($6, output), \
         updated_at = $7 WHERE id = $1",
    )
    .bind(&run.id)
    .bind(run.status.as_str())
    .bind(run.agent.as_deref())
    .bind(run.due_at)
    .bind(to_text(run, "runs.body")?)
    .bind(output)
    .bind(run.updated_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes what happened into the timeline of the run's incident, if it has one that still exists.
pub(super) async fn tell(
    tx: &mut db::Tx,
    run: &Run,
    what: &str,
    who: Option<&str>,
    now: i64,
) -> Result<(), RunError> {
    let Some(id) = &run.incident else { return Ok(()) };
    let why = run.error.as_deref().map(|error| format!(" ({error})")).unwrap_or_default();
    let entry = Entry::new(EntryKind::Action, format!("{}: {what}{why}", run.action))
        .with("run", run.id.as_str())
        .with("status", run.status.as_str())
        .with("exitCode", run.exit_code);
    match incident::record(tx, id, &entry, who, now).await {
        // A run goes on and ends also where its incident was removed or has no more room.
        Ok(()) | Err(IncidentError::Table(TableError::Missing { .. }) | IncidentError::Full { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn missing(id: &str) -> TableError {
    TableError::Missing { what: "run", id: id.chars().take(100).collect() }
}

fn run_of(row: &AnyRow) -> Result<Run, RunError> {
    Ok(from_text(&row.try_get::<String, _>("body")?, "runs.body")?)
}
