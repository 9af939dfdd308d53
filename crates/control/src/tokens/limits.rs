//! How many pairs a person is issued within a window, counted in the database, so for all processes at once.

use db::Tx;
use sqlx::Row;

use crate::error::ControlError;
use crate::tokens::Tokens;

impl Tokens {
    /// Counts one issue. Refuses it above the limit; the count then stands, as the transaction is dropped.
    pub(super) async fn count_issue(&self, tx: &mut Tx, user_id: &str) -> Result<(), ControlError> {
        let settings = &self.shared.settings;
        let now = self.now();
        let window_ms = i64::try_from(settings.issue_window.as_millis()).unwrap_or(i64::MAX);
        let row = sqlx::query(
            "INSERT INTO token_issues (user_id, window_start, issued) VALUES ($1, $2, 1) \
             ON CONFLICT (user_id) DO UPDATE SET \
             issued = CASE WHEN token_issues.window_start <= $3 THEN 1 ELSE token_issues.issued + 1 END, \
             window_start = CASE WHEN token_issues.window_start <= $3 THEN $2 ELSE token_issues.window_start END \
             RETURNING window_start, issued",
        )
        .bind(user_id)
        .bind(now)
        .bind(now.saturating_sub(window_ms))
        .fetch_one(&mut **tx)
        .await?;
        let (window_start, issued): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if issued <= i64::from(settings.issue_max) {
            return Ok(());
        }
        let retry_after_ms = window_start.saturating_add(window_ms).saturating_sub(now).max(1);
        Err(ControlError::Throttled { retry_after_ms })
    }
}
