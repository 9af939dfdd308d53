//! Who carries runs out: agents that poll for commands, and the server's own sender of webhooks.

use sqlx::Row;

use super::RunError;
use super::run::{Run, RunKind, bounded, invalid};
use super::store::{locked, tell, write};
use crate::Labels;
use crate::tables::{Tables, from_text};

/// Runs looked at for one agent: those that wait the longest.
const LOOKED_AT_MAX: i64 = 500;
const COMMANDS_MAX: usize = 1_000;
const AGENT_BYTES_MAX: usize = 200;

/// What whoever carries a run out says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It began.
    Started,
    /// It ended by itself.
    Ended {
        /// 0 is good; a webhook has 0 or its status.
        exit_code: i64,
        /// What it wrote.
        output: String,
    },
    /// It could not be done.
    Failed {
        /// Why.
        error: String,
        /// What it wrote.
        output: String,
    },
    /// It was stopped, since it took too long.
    TimedOut {
        /// What it wrote until then.
        output: String,
    },
}

impl Report {
    fn output(&self) -> Option<&str> {
        match self {
            Self::Started => None,
            Self::Ended { output, .. } | Self::Failed { output, .. } | Self::TimedOut { output } => {
                Some(output)
            }
        }
    }
}

impl Tables {
    /// Gives an agent the run that waits the longest and that suits it, if there is one; each run is given once. The
    /// agent has `agent` and what `labels` say; `commands` are those that its own file allows.
    pub async fn claim_run(
        &self,
        agent: &str,
        labels: &Labels,
        commands: &[String],
        now: i64,
    ) -> Result<Option<Run>, RunError> {
        if agent.is_empty() || agent.len() > AGENT_BYTES_MAX || commands.len() > COMMANDS_MAX {
            return Err(invalid("agent", "has no name, a long one, or more than 1000 commands"));
        }
        let mut labels = labels.clone();
        labels.insert("agent".to_owned(), agent.to_owned());
        self.claim(agent, now, |run| run.suits(&labels, commands, now)).await
    }

    /// Gives the server's sender the webhook that waits the longest; each is given once.
    pub async fn claim_webhook(&self, sender: &str, now: i64) -> Result<Option<Run>, RunError> {
        self.claim(sender, now, |run| run.kind == RunKind::Webhook).await
    }

    async fn claim(
        &self,
        agent: &str,
        now: i64,
        suits: impl Fn(&Run) -> bool,
    ) -> Result<Option<Run>, RunError> {
        // Most polls find nothing, and take no lock.
        let rows = {
            let mut connection = self.scope.read().await?;
            sqlx::query(
                "SELECT id, body FROM runs WHERE status = 'approved' AND due_at > $1 ORDER BY requested_at, id LIMIT $2",
            )
            .bind(now)
            .bind(LOOKED_AT_MAX)
            .fetch_all(&mut *connection)
            .await?
        };
        for row in rows {
            let run: Run = from_text(&row.try_get::<String, _>("body")?, "runs.body")?;
            if !suits(&run) {
                continue;
            }
            let mut tx = self.scope.begin().await?;
            let mut run = locked(&mut tx, &run.id).await?;
            // Another may have been quicker.
            if run.status != super::RunStatus::Approved {
                continue;
            }
            run.send(agent, now);
            write(&mut tx, &run, None).await?;
            tell(&mut tx, &run, &format!("sent to {agent}"), None, now).await?;
            tx.commit().await?;
            return Ok(Some(run));
        }
        Ok(None)
    }

    /// Takes what the one who has a run says of it. What was said before changes nothing.
    pub async fn report_run(
        &self,
        id: &str,
        agent: &str,
        report: &Report,
        now: i64,
    ) -> Result<Run, RunError> {
        let mut tx = self.scope.begin().await?;
        let mut run = locked(&mut tx, id).await?;
        if run.report(agent, report, now)? {
            let output = report.output().map(bounded);
            write(&mut tx, &run, output.as_deref()).await?;
            if run.status.is_over() {
                tell(&mut tx, &run, run.status.as_str(), None, now).await?;
            }
        }
        tx.commit().await?;
        Ok(run)
    }

    /// When the next run is over if nothing happens.
    pub async fn next_run(&self) -> Result<Option<i64>, RunError> {
        let mut connection = self.scope.read().await?;
        let row = sqlx::query("SELECT MIN(due_at) AS due FROM runs").fetch_one(&mut *connection).await?;
        Ok(row.try_get("due")?)
    }

    /// Ends runs that nobody approved, took or finished in time. Answers them.
    pub async fn expire_runs(&self, now: i64) -> Result<Vec<Run>, RunError> {
        let rows = {
            let mut connection = self.scope.read().await?;
            sqlx::query("SELECT id FROM runs WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2")
                .bind(now)
                .bind(LOOKED_AT_MAX)
                .fetch_all(&mut *connection)
                .await?
        };
        let mut ended = Vec::new();
        for row in rows {
            let mut tx = self.scope.begin().await?;
            let mut run = locked(&mut tx, &row.try_get::<String, _>("id")?).await?;
            if run.expire(now) {
                write(&mut tx, &run, None).await?;
                tell(&mut tx, &run, run.status.as_str(), None, now).await?;
                tx.commit().await?;
                ended.push(run);
            }
        }
        Ok(ended)
    }
}
