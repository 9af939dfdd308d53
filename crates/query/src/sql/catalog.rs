//! The tables and views of one tenant, as one statement sees them. There is nothing else to find.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::Result;

/// Every name that can stand behind FROM.
pub(super) const TABLES: [&str; 9] = [
    "logs",
    "spans",
    "events",
    "checks",
    "metrics",
    "LogEntry",
    "SystemMetric",
    "ApplicationMetric",
    "command_executions",
];

/// The view of logs: levels by name, attributes as metadata, the trace's ids together.
pub(super) const LOG_ENTRY: &str = r#"
SELECT _id AS id,
  CASE WHEN severity_number >= 21 THEN 'fatal' WHEN severity_number >= 17 THEN 'error'
    WHEN severity_number >= 13 THEN 'warn' WHEN severity_number >= 9 THEN 'info'
    WHEN severity_number >= 5 THEN 'debug' WHEN severity_number >= 1 THEN 'trace'
    ELSE coalesce(lower(severity_text), 'unset') END AS level,
  body AS message, "timestamp", "service.name" AS service,
  nullif(attributes, '{}') AS metadata,
  CASE WHEN trace_id IS NOT NULL THEN concat('{"traceId":"', trace_id, '","spanId":',
    CASE WHEN span_id IS NULL THEN 'null' ELSE concat('"', span_id, '"') END, '}') END AS trace
FROM logs_with_id"#;

/// The view of events that are commands. `{tenant}` is the tenant as a literal's inside.
pub(super) const COMMAND_EXECUTIONS: &str = r#"
SELECT _id AS id, coalesce("organization_id", '{tenant}') AS organization_id, user_id, team_id, project_id,
  session_id, coalesce("command", name) AS command, "timestamp" AS started_at,
  coalesce(try_cast("duration_ms" AS DOUBLE), value) AS duration_ms,
  try_cast("success" AS BOOLEAN) AS success, "error", nullif(attributes, '{}') AS metadata
FROM events_with_id WHERE kind = 'command'"#;

/// Keys that a view names.
pub(super) const LOG_ENTRY_KEYS: [&str; 1] = ["service.name"];
pub(super) const COMMAND_KEYS: [&str; 5] = ["organization_id", "command", "duration_ms", "success", "error"];

/// The only catalog, with the only schema.
#[derive(Debug)]
pub(super) struct Catalog {
    schema: Arc<dyn SchemaProvider>,
}

impl Catalog {
    pub(super) fn new(schema: Tables) -> Self {
        Self { schema: Arc::new(schema) }
    }
}

impl CatalogProvider for Catalog {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        (name == SCHEMA).then(|| Arc::clone(&self.schema))
    }
}

/// Name of the catalog.
pub(super) const CATALOG: &str = "bellwether";
/// Name of the schema.
pub(super) const SCHEMA: &str = "public";

/// Tables by name, whatever its case.
#[derive(Default)]
pub(super) struct Tables {
    names: BTreeSet<&'static str>,
    by_lower_name: BTreeMap<String, Arc<dyn TableProvider>>,
}

impl Tables {
    /// Adds a table. Only those of [`TABLES`] are listed.
    pub(super) fn add(&mut self, name: &'static str, table: Arc<dyn TableProvider>) {
        if TABLES.contains(&name) {
            self.names.insert(name);
        }
        self.by_lower_name.insert(name.to_ascii_lowercase(), table);
    }
}

impl Debug for Tables {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.names).finish()
    }
}

#[async_trait::async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        self.names.iter().map(|name| (*name).to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.by_lower_name.get(&name.to_ascii_lowercase()).cloned())
    }

    fn table_exist(&self, name: &str) -> bool {
        self.by_lower_name.contains_key(&name.to_ascii_lowercase())
    }
}
