//! From a statement to a plan over the tables that it names.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SessionState, SessionStateDefaults};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use model::{METRIC_NAME, Signal, TimeRange};
use store::rows::KeyInfo;

use super::catalog::{
    CATALOG, COMMAND_EXECUTIONS, COMMAND_KEYS, Catalog, LOG_ENTRY, LOG_ENTRY_KEYS, SCHEMA, TABLES,
    Tables as CatalogTables,
};
use super::columns::{ATTRIBUTES, KEYS_MAX, Named, RESOURCE_ATTRIBUTES, RowColumns};
use super::computed::{Computed, application_metrics, system_metrics};
use super::lenient::Lenient;
use super::metrics::MetricTable;
use super::scan::{BATCH_ROWS, RowTable, Shared};
use super::statement::{Names, names, parse, settle};
use super::{Tables, error};
use crate::error::QueryFault;
use crate::rows::RowSource;

/// Streams that a plan works on side by side.
const PARTITIONS: usize = 2;

/// The plan of a statement, optimised, whose answer has at most `rows_max` rows.
pub(super) async fn plan(
    sql: &str,
    tables: &Tables,
    shared: &Shared,
    environment: &Arc<RuntimeEnv>,
    rows_max: usize,
) -> Result<(SessionState, LogicalPlan), QueryFault> {
    let mut statement = parse(sql)?;
    let names = names(&mut statement)?;
    let known = Known::new(&names, tables, shared)?;
    settle(&mut statement, &names, &|name| known.has(name));
    let is_query = matches!(&statement, Statement::Statement(inner)
        if matches!(**inner, datafusion::sql::sqlparser::ast::Statement::Query(_)));
    let state = state(tables, shared, environment, &known).await.map_err(error::fault)?;
    let plan = state.statement_to_plan(statement).await.map_err(error::fault)?;
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(&plan).map_err(error::fault)?;
    let plan = if is_query {
        let limited = LogicalPlanBuilder::from(plan).limit(0, Some(rows_max)).and_then(|plan| plan.build());
        limited.map_err(error::fault)?
    } else {
        plan
    };
    Ok((state, plan))
}

/// What is known of the columns of the tables that a statement names.
struct Known {
    /// Fixed columns of those tables and columns of views.
    fixed: BTreeSet<&'static str>,
    logs: Vec<KeyInfo>,
    spans: Vec<KeyInfo>,
    events: Vec<KeyInfo>,
    checks: Vec<KeyInfo>,
    labels: BTreeSet<String>,
    /// Names in the statement that no table has: keys that no row has in this range.
    missing: BTreeSet<String>,
    /// Names of keys in the statement, with and without rows.
    scoped: BTreeSet<String>,
    /// All names in the statement, as they are looked up and as they are written.
    used: BTreeSet<String>,
}

impl Known {
    fn new(names: &Names, tables: &Tables, shared: &Shared) -> Result<Self, QueryFault> {
        let (start, end) = shared.range;
        // Statements about the tables themselves name one that lists all, or none.
        let all = !TABLES.iter().any(|table| names.uses(table));
        let uses = |table: &str| all || names.uses(table);
        let keys = |source: &Arc<dyn RowSource>, table| {
            if uses(table) { source.keys(start, end, &shared.control) } else { Ok(Vec::new()) }
        };
        let mut known = Self {
            fixed: fixed_columns(uses),
            logs: keys(&tables.logs, "logs")?,
            spans: keys(&tables.spans, "spans")?,
            events: keys(&tables.events, "events")?,
            checks: keys(&tables.checks, "checks")?,
            labels: BTreeSet::new(),
            missing: BTreeSet::new(),
            scoped: BTreeSet::new(),
            used: names.columns.iter().flat_map(|(name, written)| [name.clone(), written.clone()]).collect(),
        };
        if uses("metrics") {
            known.labels = tables.metrics.label_names(&[], range_ms(shared.range))?;
            known.labels.remove(METRIC_NAME);
        }
        for (name, written) in &names.columns {
            if name.starts_with("attr.") || name.starts_with("resource.") {
                known.scoped.insert(name.clone());
            } else if !known.has(name) && !known.has(written) {
                known.missing.insert(name.clone());
            }
        }
        Ok(known)
    }

    /// True when a table has this column.
    fn has(&self, name: &str) -> bool {
        let key = |keys: &[KeyInfo]| keys.iter().any(|info| &*info.key == name);
        self.fixed.contains(name)
            || key(&self.logs)
            || key(&self.spans)
            || key(&self.events)
            || key(&self.checks)
            || self.labels.contains(name)
            || self.missing.contains(name)
    }

    fn named(&self) -> Named {
        Named { used: self.used.clone(), added: self.missing.union(&self.scoped).cloned().collect() }
    }

    /// The labels that are columns: the first ones, and all that the statement names.
    fn label_columns(&self) -> BTreeSet<String> {
        let named = self.labels.intersection(&self.used).chain(&self.missing);
        self.labels.iter().take(KEYS_MAX).chain(named).cloned().collect()
    }
}

/// The columns that tables have whatever is in them.
fn fixed_columns(uses: impl Fn(&str) -> bool) -> BTreeSet<&'static str> {
    let mut fixed = BTreeSet::new();
    for (table, signal) in [
        ("logs", Signal::Logs),
        ("spans", Signal::Traces),
        ("events", Signal::Events),
        ("checks", Signal::Checks),
    ] {
        if uses(table) {
            fixed.extend(model::record::columns(signal).iter().map(|column| column.name));
            fixed.extend([ATTRIBUTES, RESOURCE_ATTRIBUTES]);
        }
    }
    for (table, columns) in OTHER_COLUMNS {
        if uses(table) {
            fixed.extend(columns);
        }
    }
    fixed
}

/// Columns of views and of the table of samples.
const OTHER_COLUMNS: [(&str, &[&str]); 5] = [
    ("metrics", &["timestamp", "name", "value", "histogram", "labels"]),
    ("LogEntry", &["id", "level", "message", "timestamp", "service", "metadata", "trace"]),
    ("SystemMetric", &["id", "timestamp", "cpu", "memory", "disk", "network", "process"]),
    (
        "ApplicationMetric",
        &["id", "timestamp", "requests", "response", "errors", "activeUsers", "activeSessions"],
    ),
    (
        "command_executions",
        &[
            "id",
            "organization_id",
            "user_id",
            "team_id",
            "project_id",
            "session_id",
            "command",
            "started_at",
            "duration_ms",
            "success",
            "error",
            "metadata",
        ],
    ),
];

fn range_ms((start, end): (i64, i64)) -> TimeRange {
    let start_ms = start.div_euclid(1_000_000);
    let end_ms = if end == i64::MAX { i64::MAX } else { end.div_euclid(1_000_000) + 1 };
    TimeRange { start_ms, end_ms }
}

async fn state(
    tables: &Tables,
    shared: &Shared,
    environment: &Arc<RuntimeEnv>,
    known: &Known,
) -> datafusion::common::Result<SessionState> {
    let named = known.named();
    let rows = |source: &Arc<dyn RowSource>, keys: &[KeyInfo], named: &Named, row_id: bool| {
        let columns = RowColumns::new(source.signal(), keys, named, row_id);
        Arc::new(RowTable::new(columns, Arc::clone(source), shared.clone()))
    };
    let owned = |keys: &[&str]| {
        let added = keys.iter().map(|key| (*key).to_owned()).collect();
        Named { added, ..Named::default() }
    };
    let mut catalog = CatalogTables::default();
    catalog.add("logs_with_id", rows(&tables.logs, &[], &owned(&LOG_ENTRY_KEYS), true));
    catalog.add("events_with_id", rows(&tables.events, &[], &owned(&COMMAND_KEYS), true));
    let inner = builder(environment, catalog).build();
    let commands = COMMAND_EXECUTIONS.replace("{tenant}", &tables.tenant.as_str().replace('\'', "''"));
    let log_entry = inner.create_logical_plan(LOG_ENTRY).await?;
    let commands = inner.create_logical_plan(&commands).await?;

    let mut catalog = CatalogTables::default();
    catalog.add("logs", rows(&tables.logs, &known.logs, &named, false));
    catalog.add("spans", rows(&tables.spans, &known.spans, &named, false));
    catalog.add("events", rows(&tables.events, &known.events, &named, false));
    catalog.add("checks", rows(&tables.checks, &known.checks, &named, false));
    let metrics = MetricTable::new(tables.metrics.clone(), &known.label_columns(), shared.clone());
    catalog.add("metrics", Arc::new(metrics));
    catalog.add("LogEntry", Arc::new(ViewTable::new(log_entry, None)));
    catalog.add("command_executions", Arc::new(ViewTable::new(commands, None)));
    catalog.add("SystemMetric", Arc::new(Computed::new(system_metrics(), tables, shared)));
    catalog.add("ApplicationMetric", Arc::new(Computed::new(application_metrics(), tables, shared)));
    Ok(builder(environment, catalog).build())
}

/// A session that knows the catalog and the functions, and no files.
fn builder(environment: &Arc<RuntimeEnv>, tables: CatalogTables) -> SessionStateBuilder {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_target_partitions(PARTITIONS)
        .with_batch_size(BATCH_ROWS);
    let options = config.options_mut();
    options.execution.time_zone = Some("UTC".into());
    options.execution.collect_statistics = false;
    // What is read ahead of a limit, and set aside for a sort that cannot go to disk.
    options.execution.sort_pushdown_buffer_capacity = 1 << 20;
    options.execution.sort_spill_reservation_bytes = 0;
    let catalogs = datafusion::catalog::MemoryCatalogProviderList::new();
    use datafusion::catalog::CatalogProviderList;
    catalogs.register_catalog(CATALOG.to_owned(), Arc::new(Catalog::new(tables)));
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(Arc::clone(environment))
        .with_catalog_list(Arc::new(catalogs))
        .with_analyzer_rules(Lenient::with_others())
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(SessionStateDefaults::default_scalar_functions())
        .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
        .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .with_table_function_list(SessionStateDefaults::default_table_functions())
}
