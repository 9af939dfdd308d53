//! What outlives the program, in each tenant's part of the database: the states of checks as they last changed, and
//! the last reports of heartbeats. Results are telemetry and are not here.

use std::collections::BTreeMap;

use db::{DbError, Migration, MigrationSet, Scope};
use sqlx::Row;

use super::reach::Report;
use super::state::State;

/// In each tenant's part. A step that was released is never edited; a change is a new step.
pub const TENANT: MigrationSet = MigrationSet { name: "checks", migrations: &[FIRST] };

const FIRST: Migration = Migration {
    version: 1,
    name: "states of checks, reports of heartbeats",
    up: r#"
CREATE TABLE check_states (
    check_id TEXT PRIMARY KEY,
    state TEXT NOT NULL
);
CREATE TABLE check_reports (
    check_id TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    started_at BIGINT,
    failed TEXT
);
"#,
    down: "DROP TABLE check_reports; DROP TABLE check_states;",
};

/// Bytes of what a report says failed; the rest is cut.
const FAILED_BYTES_MAX: usize = 500;

/// What is kept of one check.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeptCheck {
    /// As it last changed.
    pub state: Option<State>,
    /// Of a heartbeat.
    pub report: Option<Report>,
    /// When the run began that has not ended yet, milliseconds since the Unix epoch.
    pub started_at: Option<i64>,
}

/// The tables of one tenant.
#[derive(Clone, Debug)]
pub struct Tables {
    scope: Scope,
}

impl Tables {
    /// Those of this part, which [`TENANT`] made.
    pub fn new(scope: Scope) -> Self {
        Self { scope }
    }

    /// What is kept of every check, by id. A state that does not read is left out: the next results make a new one.
    pub async fn all(&self) -> Result<BTreeMap<String, KeptCheck>, DbError> {
        let mut kept: BTreeMap<String, KeptCheck> = BTreeMap::new();
        let mut connection = self.scope.read().await?;
        for row in sqlx::query("SELECT check_id, state FROM check_states").fetch_all(&mut *connection).await?
        {
            let state: String = row.try_get("state")?;
            kept.entry(row.try_get("check_id")?).or_default().state = serde_json::from_str(&state).ok();
        }
        let reports = sqlx::query("SELECT check_id, at, started_at, failed FROM check_reports");
        for row in reports.fetch_all(&mut *connection).await? {
            let kept = kept.entry(row.try_get("check_id")?).or_default();
            // A run that began before anything was reported has no report yet.
            let at: i64 = row.try_get("at")?;
            kept.report = (at > 0).then_some(Report { at, failed: row.try_get("failed")? });
            kept.started_at = row.try_get("started_at")?;
        }
        Ok(kept)
    }

    /// Writes states that changed, all or nothing.
    pub async fn put_states(&self, states: &[(String, State)]) -> Result<(), DbError> {
        let mut tx = self.scope.begin().await?;
        for (id, state) in states {
            let state = serde_json::to_string(state).expect("a state is numbers and words");
            sqlx::query(
                "INSERT INTO check_states (check_id, state) VALUES ($1, $2) \
                 ON CONFLICT (check_id) DO UPDATE SET state = excluded.state",
            )
            .bind(id)
            .bind(state)
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Writes a report down. It is kept when this returns.
    pub async fn put_report(&self, id: &str, report: &Report) -> Result<(), DbError> {
        let mut tx = self.scope.begin().await?;
        let failed = report.failed.as_deref().map(|text| &text[..text.floor_char_boundary(FAILED_BYTES_MAX)]);
        sqlx::query(
            "INSERT INTO check_reports (check_id, at, started_at, failed) VALUES ($1, $2, NULL, $3) \
             ON CONFLICT (check_id) DO UPDATE SET at = excluded.at, started_at = NULL, failed = excluded.failed",
        )
        .bind(id)
        .bind(report.at)
        .bind(failed)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Writes down that a run began, whose end will be reported.
    pub async fn put_started(&self, id: &str, at: i64) -> Result<(), DbError> {
        let mut tx = self.scope.begin().await?;
        sqlx::query(
            "INSERT INTO check_reports (check_id, at, started_at) VALUES ($1, 0, $2) \
             ON CONFLICT (check_id) DO UPDATE SET started_at = excluded.started_at",
        )
        .bind(id)
        .bind(at)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Forgets a check that is gone.
    pub async fn remove(&self, id: &str) -> Result<(), DbError> {
        let mut tx = self.scope.begin().await?;
        for statement in
            ["DELETE FROM check_states WHERE check_id = $1", "DELETE FROM check_reports WHERE check_id = $1"]
        {
            sqlx::query(statement).bind(id).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use db::testing::each_backend;
    use model::TenantId;

    use super::*;
    use crate::check::{CheckStatus, Policy, Tracker};

    #[tokio::test]
    async fn states_and_reports_are_kept_until_the_check_is_gone() {
        each_backend(async |f| {
            let scope = f.db.create_tenant(&TenantId::default_tenant(), &[&TENANT]).await.unwrap();
            let tables = Tables::new(scope);
            let mut tracker = Tracker::new(Policy { failures: 1, successes: 1 }, State::default());
            tracker.observe(5, CheckStatus::Unhealthy);
            let down = *tracker.state();
            tracker.observe(9, CheckStatus::Healthy);
            tables.put_states(&[("a".into(), down), ("b".into(), down)]).await.unwrap();
            tables.put_states(&[("a".into(), *tracker.state())]).await.unwrap();
            tables.put_started("c", 7).await.unwrap();
            let kept = tables.all().await.unwrap();
            assert_eq!(kept["a"].state, Some(*tracker.state()));
            assert_eq!(kept["b"].state, Some(down));
            assert_eq!((kept["c"].report.as_ref(), kept["c"].started_at), (None, Some(7)));

            for failed in [Some("é".repeat(400)), None] {
                tables.put_report("c", &Report { at: 10, failed: failed.clone() }).await.unwrap();
                let kept = tables.all().await.unwrap();
                let report = kept["c"].report.clone().expect("there is one");
                assert_eq!((report.at, kept["c"].started_at), (10, None), "the end of a run ends it");
                assert_eq!(report.failed.map(|text| text.len()), failed.map(|_| FAILED_BYTES_MAX));
            }
            for id in ["a", "c", "unheard of"] {
                tables.remove(id).await.unwrap();
            }
            assert_eq!(tables.all().await.unwrap().into_keys().collect::<Vec<_>>(), ["b"]);
        })
        .await;
    }
}
