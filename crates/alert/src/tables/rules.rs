//! Where rules stand: what a restart goes on from. What an evaluation changes is written in one transaction.

use sqlx::Row;

use super::events::{Event, EventFilter, EventState, state_fault, write_event, write_log};
use super::{TableError, Tables, from_text, to_text};
use crate::state::{Alert, Change, Phase};

/// A rule as it was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptRule {
    /// Its key.
    pub rule: String,
    /// When it was last evaluated, milliseconds since the epoch.
    pub evaluated_at: i64,
    /// Its alerts, each with its event if it fired.
    pub alerts: Vec<(Alert, Option<String>)>,
}

/// What an evaluation changed, ready to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The alert as it is now.
    pub alert: Alert,
    /// Hash of its labels, in hexadecimal.
    pub fingerprint: String,
    /// What changed.
    pub change: Change,
    /// Its event, from the moment it fires to its end.
    pub event: Option<Event>,
}

impl Tables {
    /// Writes what an evaluation changed, all or nothing. Without changes nothing is written.
    pub async fn record(&self, rule: &str, at: i64, outcomes: &[Outcome]) -> Result<(), TableError> {
        if outcomes.is_empty() {
            return Ok(());
        }
        let mut tx = self.scope.begin().await?;
        write_evaluated(&mut tx, rule, at).await?;
        for outcome in outcomes {
            if let Some(event) = &outcome.event {
                write_event(&mut tx, event).await?;
                if let Some((what, detail)) = entry(outcome) {
                    write_log(&mut tx, &event.id, at, what, event.resolved_by.as_deref(), detail.as_deref())
                        .await?;
                }
            }
            let gone = outcome.change == Change::Dropped && outcome.alert.phase == Phase::Pending;
            if gone {
                sqlx::query("DELETE FROM rule_alerts WHERE rule = $1 AND fingerprint = $2")
                    .bind(rule)
                    .bind(&outcome.fingerprint)
                    .execute(&mut *tx)
                    .await?;
                continue;
            }
            let open = outcome.event.as_ref().filter(|event| event.state != EventState::Resolved);
            sqlx::query(
                "INSERT INTO rule_alerts (rule, fingerprint, event_id, alert) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (rule, fingerprint) DO UPDATE SET event_id = excluded.event_id, alert = excluded.alert",
            )
            .bind(rule)
            .bind(&outcome.fingerprint)
            .bind(open.map(|event| event.id.as_str()))
            .bind(to_text(&outcome.alert, "rule_alerts.alert")?)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Writes down that rules were evaluated, so that a restart knows how long it was away.
    pub async fn record_evaluated(&self, rules: &[(String, i64)]) -> Result<(), TableError> {
        let mut tx = self.scope.begin().await?;
        for (rule, at) in rules {
            write_evaluated(&mut tx, rule, *at).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// A rule as it was kept; `None` for one that never changed anything.
    pub async fn kept(&self, rule: &str) -> Result<Option<KeptRule>, TableError> {
        let mut connection = self.scope.read().await?;
        let at = sqlx::query("SELECT evaluated_at FROM rule_states WHERE rule = $1")
            .bind(rule)
            .fetch_optional(&mut *connection)
            .await?;
        let Some(at) = at else { return Ok(None) };
        let rows =
            sqlx::query("SELECT event_id, alert FROM rule_alerts WHERE rule = $1 ORDER BY fingerprint")
                .bind(rule)
                .fetch_all(&mut *connection)
                .await?;
        let mut alerts = Vec::with_capacity(rows.len());
        for row in &rows {
            let alert: String = row.try_get("alert")?;
            alerts.push((from_text(&alert, "rule_alerts.alert")?, row.try_get("event_id")?));
        }
        let evaluated_at = at.try_get("evaluated_at")?;
        Ok(Some(KeptRule { rule: rule.to_owned(), evaluated_at, alerts }))
    }

    /// Forgets a rule that is gone: what fires of it is over, with a word why.
    pub async fn forget_rule(&self, rule: &str, why: &str, now: i64) -> Result<Vec<Event>, TableError> {
        let filter = EventFilter {
            states: vec![EventState::Firing, EventState::Acknowledged],
            rule: Some(rule.to_owned()),
            ..EventFilter::default()
        };
        let mut ended = Vec::new();
        // Page by page: what is ended is no longer found.
        loop {
            let open = self.events(&filter, super::PAGE_MAX).await?;
            if open.is_empty() {
                break;
            }
            let mut tx = self.scope.begin().await?;
            for mut event in open {
                (event.state, event.ends_at, event.updated_at) = (EventState::Resolved, Some(now), now);
                write_event(&mut tx, &event).await?;
                write_log(&mut tx, &event.id, now, "resolved", None, Some(why)).await?;
                ended.push(event);
            }
            tx.commit().await?;
        }
        let mut tx = self.scope.begin().await?;
        for statement in
            ["DELETE FROM rule_alerts WHERE rule = $1", "DELETE FROM rule_states WHERE rule = $1"]
        {
            sqlx::query(statement).bind(rule).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(ended)
    }

    /// Drops alerts whose cooldown is over.
    pub async fn drop_cooled(&self, rule: &str, fingerprints: &[String]) -> Result<(), TableError> {
        let mut tx = self.scope.begin().await?;
        for fingerprint in fingerprints {
            sqlx::query("DELETE FROM rule_alerts WHERE rule = $1 AND fingerprint = $2")
                .bind(rule)
                .bind(fingerprint)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Ends an event that no rule of ours holds, such as one that was sent to us.
    pub async fn resolve_event(&self, id: &str, who: Option<&str>, now: i64) -> Result<Event, TableError> {
        let mut event = self.event(id).await?;
        if event.state == EventState::Resolved {
            return Err(state_fault(id, event.state, "it is over already"));
        }
        (event.state, event.ends_at, event.updated_at) = (EventState::Resolved, Some(now), now);
        event.resolved_by = who.map(str::to_owned);
        let mut tx = self.scope.begin().await?;
        write_event(&mut tx, &event).await?;
        write_log(&mut tx, id, now, "resolved", who, None).await?;
        tx.commit().await?;
        Ok(event)
    }
}

async fn write_evaluated(tx: &mut db::Tx, rule: &str, at: i64) -> Result<(), TableError> {
    sqlx::query(
        "INSERT INTO rule_states (rule, evaluated_at, version) VALUES ($1, $2, '') \
         ON CONFLICT (rule) DO UPDATE SET evaluated_at = excluded.evaluated_at",
    )
    .bind(rule)
    .bind(at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What a change is called in the log of its event.
fn entry(outcome: &Outcome) -> Option<(&'static str, Option<String>)> {
    let alert = &outcome.alert;
    Some(match outcome.change {
        Change::Pending | Change::Dropped => return None,
        Change::Fired => ("fired", Some(format!("{} at {}", alert.severity, alert.value))),
        Change::Escalated { from, unacknowledged } => {
            let why = if unacknowledged { "nobody acknowledged it" } else { "its value is worse" };
            ("escalated", Some(format!("from {from} to {}: {why}", alert.severity)))
        }
        Change::Eased { from } => ("eased", Some(format!("from {from} to {}", alert.severity))),
        Change::Resolved => ("resolved", None),
    })
}
