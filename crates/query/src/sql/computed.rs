//! SystemMetric and ApplicationMetric: rows computed from series, one per interval, never a second copy.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampNanosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use promql::{Engine, EngineOptions, QueryContext, Value as Answer};
use serde_json::{Map, Value, json};

use super::Tables;
use super::columns::time_type;
use super::scan::{Shared, external};
use crate::error::QueryFault;
use crate::source::StoreSource;

/// Distance of rows: the interval in which hosts are collected.
const STEP_MS: i64 = 60_000;
/// Rows of one statement; the newest where there could be more.
const ROWS_MAX: i64 = 10_000;

/// A table by its columns and what fills them.
pub(super) struct Definition {
    prefix: &'static str,
    columns: &'static [(&'static str, Kind)],
    fields: &'static [(&'static str, &'static str, &'static str)],
    /// A row without these columns is none.
    needed: &'static [&'static str],
}

/// What a column holds.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// An object of fields.
    Object,
    /// A list of objects, one for each value of a label.
    List,
    /// One whole number.
    Int,
}

/// Host metrics: cpu, memory, disk, network and process.
pub(super) fn system_metrics() -> Definition {
    Definition {
        prefix: "sm",
        columns: &[
            ("cpu", Kind::Object),
            ("memory", Kind::Object),
            ("disk", Kind::List),
            ("network", Kind::List),
            ("process", Kind::Object),
        ],
        fields: &[
            ("cpu", "usage", "100 * (1 - avg(rate(node_cpu_seconds_total{mode=\"idle\"}[2m])))"),
            ("cpu", "cores", "count(node_cpu_seconds_total{mode=\"idle\"})"),
            ("cpu", "load1", "max(node_load1)"),
            ("cpu", "load5", "max(node_load5)"),
            ("cpu", "load15", "max(node_load15)"),
            ("memory", "total", "sum(node_memory_MemTotal_bytes)"),
            ("memory", "free", "sum(node_memory_MemAvailable_bytes)"),
            ("memory", "used", "sum(node_memory_MemTotal_bytes) - sum(node_memory_MemAvailable_bytes)"),
            (
                "memory",
                "percentage",
                "100 * (1 - sum(node_memory_MemAvailable_bytes) / sum(node_memory_MemTotal_bytes))",
            ),
            ("disk", "total", "max by (mountpoint) (node_filesystem_size_bytes)"),
            ("disk", "available", "max by (mountpoint) (node_filesystem_avail_bytes)"),
            (
                "disk",
                "used",
                "max by (mountpoint) (node_filesystem_size_bytes) - max by (mountpoint) \
                 (node_filesystem_avail_bytes)",
            ),
            ("network", "receive_bytes", "max by (device) (node_network_receive_bytes_total)"),
            ("network", "transmit_bytes", "max by (device) (node_network_transmit_bytes_total)"),
            ("process", "resident_bytes", "max(process_resident_memory_bytes{job=\"bellwether\"})"),
            ("process", "cpu_seconds", "max(process_cpu_seconds_total{job=\"bellwether\"})"),
            ("process", "open_fds", "max(process_open_fds{job=\"bellwether\"})"),
            (
                "process",
                "threads",
                "max(process_threads{job=\"bellwether\"} or process_num_threads{job=\"bellwether\"})",
            ),
        ],
        needed: &["cpu", "memory"],
    }
}

/// Application metrics: requests, response times and errors from the usual server metrics, else from spans.
pub(super) fn application_metrics() -> Definition {
    Definition {
        prefix: "am",
        columns: &[
            ("requests", Kind::Object),
            ("response", Kind::Object),
            ("errors", Kind::Object),
            ("activeUsers", Kind::Int),
            ("activeSessions", Kind::Int),
        ],
        fields: &[
            (
                "requests",
                "rate",
                "sum(rate(http_server_request_duration_seconds_count[2m])) or \
                 sum(rate(traces_spanmetrics_calls_total{span_kind=\"SPAN_KIND_SERVER\"}[2m])) or \
                 sum(rate(traces_spanmetrics_calls_total{span_kind=\"server\"}[2m]))",
            ),
            (
                "response",
                "average_ms",
                "1000 * (sum(rate(http_server_request_duration_seconds_sum[2m])) / \
                 sum(rate(http_server_request_duration_seconds_count[2m])) or \
                 sum(rate(traces_spanmetrics_latency_sum[2m])) / \
                 sum(rate(traces_spanmetrics_latency_count[2m])))",
            ),
            (
                "response",
                "p95_ms",
                "1000 * histogram_quantile(0.95, \
                 sum by (le) (rate(http_server_request_duration_seconds_bucket[2m])) or \
                 sum by (le) (rate(traces_spanmetrics_latency_bucket[2m])))",
            ),
            (
                "errors",
                "rate",
                "sum(rate(http_server_request_duration_seconds_count{http_response_status_code=~\"5..\"}[2m])) \
                 or sum(rate(traces_spanmetrics_calls_total{status_code=~\"(?i).*error\"}[2m]))",
            ),
            ("activeUsers", "", "max(active_users)"),
            ("activeSessions", "", "max(active_sessions)"),
        ],
        needed: &["requests", "activeUsers", "activeSessions"],
    }
}

/// A table whose rows are computed when it is read.
pub(super) struct Computed {
    definition: Definition,
    source: StoreSource,
    shared: Shared,
    schema: SchemaRef,
}

impl Computed {
    pub(super) fn new(definition: Definition, tables: &Tables, shared: &Shared) -> Self {
        let mut fields =
            vec![Field::new("id", DataType::Utf8View, false), Field::new("timestamp", time_type(), false)];
        for (name, kind) in definition.columns {
            let data_type = if *kind == Kind::Int { DataType::Int64 } else { DataType::Utf8View };
            fields.push(Field::new(*name, data_type, false));
        }
        let source = StoreSource::new(tables.metrics.clone());
        Self { definition, source, shared: shared.clone(), schema: Arc::new(Schema::new(fields)) }
    }

    /// Rows by their time, milliseconds.
    fn rows(&self) -> std::result::Result<BTreeMap<i64, Row>, QueryFault> {
        let (start, end) = self.shared.range;
        let now_ms = jiff::Timestamp::now().as_millisecond();
        // An open end is now: nothing is collected ahead.
        let end_ms = (end.div_euclid(1_000_000)).min(now_ms);
        let last = end_ms - end_ms.rem_euclid(STEP_MS);
        let start_ms = start.div_euclid(1_000_000).max(last.saturating_sub(STEP_MS * (ROWS_MAX - 1)));
        let first = start_ms + (-start_ms).rem_euclid(STEP_MS);
        let mut rows: BTreeMap<i64, Row> = BTreeMap::new();
        if first > last {
            return Ok(rows);
        }
        let engine = Engine::new(EngineOptions::default());
        let context = QueryContext { deadline: self.shared.control.deadline, ..QueryContext::default() };
        for (column, field, expression) in self.definition.fields {
            self.shared.control.check()?;
            let answer = engine
                .range(&self.source, expression, (first, last), STEP_MS, &context)
                .map_err(|error| QueryFault::Storage(error.to_string()))?;
            let Answer::Matrix(series) = answer.value else { continue };
            for one in series {
                let entry = one.labels.iter().next().map(|(name, value)| (name.to_owned(), value.to_owned()));
                for point in one.floats.iter().filter(|point| point.value.is_finite()) {
                    rows.entry(point.t_ms).or_default().set(column, field, entry.as_ref(), point.value);
                }
            }
        }
        rows.retain(|_, row| self.definition.needed.iter().any(|column| row.has(column)));
        Ok(rows)
    }

    fn batch(&self) -> Result<RecordBatch> {
        let rows = self.rows().map_err(external)?;
        let ids = rows.keys().map(|t_ms| format!("{}{t_ms:x}", self.definition.prefix));
        let times = rows.keys().map(|t_ms| t_ms.saturating_mul(1_000_000));
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(StringViewArray::from_iter_values(ids)),
            Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC")),
        ];
        for (name, kind) in self.definition.columns {
            arrays.push(match kind {
                Kind::Int => Arc::new(Int64Array::from_iter_values(rows.values().map(|row| row.int(name)))),
                Kind::Object | Kind::List => {
                    let texts = rows.values().map(|row| row.json(name, *kind).to_string());
                    Arc::new(StringViewArray::from_iter_values(texts))
                }
            });
        }
        RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(DataFusionError::from)
    }
}

/// One row in the making: fields by column, and entries by label of columns that have several.
#[derive(Default)]
struct Row {
    fields: BTreeMap<&'static str, Map<String, Value>>,
    entries: BTreeMap<&'static str, BTreeMap<String, Map<String, Value>>>,
}

impl Row {
    fn set(&mut self, column: &'static str, field: &str, entry: Option<&(String, String)>, value: f64) {
        let fields = match entry {
            None => self.fields.entry(column).or_default(),
            Some((label, of)) => {
                let fields = self.entries.entry(column).or_default().entry(of.clone()).or_default();
                fields.insert(label.clone(), json!(of));
                fields
            }
        };
        fields.insert(field.to_owned(), json!(value));
    }

    fn has(&self, column: &str) -> bool {
        self.fields.contains_key(column)
    }

    fn int(&self, column: &str) -> i64 {
        let value = self.fields.get(column).and_then(|fields| fields.get("")).and_then(Value::as_f64);
        value.map_or(0, |value| value as i64)
    }

    fn json(&self, column: &str, kind: Kind) -> Value {
        if kind == Kind::List {
            let entries = self.entries.get(column).into_iter().flat_map(BTreeMap::values);
            return Value::Array(entries.cloned().map(Value::Object).collect());
        }
        Value::Object(self.fields.get(column).cloned().unwrap_or_default())
    }
}

impl Debug for Computed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Computed").field("prefix", &self.definition.prefix).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl TableProvider for Computed {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let batch = self.batch()?;
        let schema = Arc::clone(&self.schema);
        Ok(MemorySourceConfig::try_new_exec(&[vec![batch]], schema, projection.cloned())?)
    }
}
