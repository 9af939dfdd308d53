//! Documents on record.

use serde::Serialize;
use sqlx::Row;

use crate::fault::check_text;
use crate::incident::IncidentError;
use crate::tables::{TableError, Tables};

/// Bytes of a document.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// A document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Postmortem {
    /// Whose.
    pub incident: String,
    /// 1, and one more with each change.
    pub version: i64,
    /// Markdown.
    pub text: String,
    /// Who wrote it last.
    pub updated_by: String,
    /// When, milliseconds since the epoch.
    pub updated_at: i64,
}

impl Tables {
    /// The document of an incident, if there is one.
    pub async fn postmortem(&self, incident: &str) -> Result<Option<Postmortem>, IncidentError> {
        let mut connection = self.scope.read().await?;
        let row = sqlx::query(
            "SELECT incident_id, version, text, updated_by, updated_at FROM postmortems WHERE incident_id = $1",
        )
        .bind(incident)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Postmortem {
            incident: row.try_get("incident_id")?,
            version: row.try_get("version")?,
            text: row.try_get("text")?,
            updated_by: row.try_get("updated_by")?,
            updated_at: row.try_get("updated_at")?,
        }))
    }

    /// Writes the document of an incident where its version is still `expected`; 0 stands for none yet. Answers the new
    /// version.
    pub async fn put_postmortem(
        &self,
        incident: &str,
        text: &str,
        who: &str,
        expected: i64,
        now: i64,
    ) -> Result<i64, IncidentError> {
        check_text("text", text, DOCUMENT_BYTES_MAX)?;
        self.incident(incident).await?;
        let mut tx = self.scope.begin().await?;
        let statement = match expected {
            0 => {
                "INSERT INTO postmortems (incident_id, version, text, updated_by, updated_at) \
                 VALUES ($1, $2 + 1, $3, $4, $5) ON CONFLICT (incident_id) DO NOTHING"
            }
            _ => {
                "UPDATE postmortems SET version = version + 1, text = $3, updated_by = $4, updated_at = $5 \
                 WHERE incident_id = $1 AND version = $2"
            }
        };
        let written = sqlx::query(statement)
            .bind(incident)
            .bind(expected)
            .bind(text)
            .bind(who)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        if written.rows_affected() == 0 {
            return Err(TableError::State {
                what: "post-mortem of incident",
                id: incident.chars().take(100).collect(),
                state: "changed since it was read",
                remedy: "read it again and put both changes together",
            }
            .into());
        }
        tx.commit().await?;
        Ok(expected + 1)
    }
}
