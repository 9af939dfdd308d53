//! Lists of what a tenant has, page by page.

use model::TenantId;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::control::Control;
use crate::error::ControlError;

/// Rows listed at once.
pub(crate) const LIST_MAX: u32 = 1_000;

impl Control {
    /// A tenant's rows of a table in order of the unique column `by`, after `after` if given, at most `limit` (and
    /// 1000). The names are ours, never a caller's.
    pub(crate) async fn list(
        &self,
        columns: &str,
        table: &str,
        by: &str,
        tenant: &TenantId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AnyRow>, ControlError> {
        let mut connection = self.read().await?;
        let statement = format!(
            "SELECT {columns} FROM {table} WHERE tenant_id = $1 AND {by} > $2 ORDER BY {by} LIMIT $3"
        );
        let rows =
            sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).bind(after.unwrap_or_default());
        Ok(rows.bind(i64::from(limit.min(LIST_MAX))).fetch_all(&mut *connection).await?)
    }
}
