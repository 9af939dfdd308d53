//! SQL over one tenant's telemetry.
//!
//! `logs`, `spans`, `events` and `metrics` are tables; `LogEntry`, `SystemMetric`, `ApplicationMetric` and
//! `command_executions` are views. A statement sees the tenant's tables and nothing else: no files, no settings,
//! no other statement's results. It may only ask. Every table is cut to the range of time of the request.
//!
//! `"key"` is the record's attribute, else the resource's; `attr."key"` and `resource."key"` are exact; a dotted
//! name that is no table's needs no quotes. Names without quotes are looked up in lower case, then as written.

mod catalog; // tables by name
mod columns; // columns of logs, spans and events
mod computed; // tables that are computed at once
mod csv; // results as CSV
mod error; // the engine's errors in our words
mod json; // results as JSON
mod lenient; // comparisons that do not fail
mod metrics; // samples as a table
mod ordered; // rows in order of time
mod plan; // from a statement to a plan
mod pushdown; // filters as predicates
mod scan; // logs, spans and events as tables
mod statement; // what may be asked, and the names in it

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use model::TenantId;
use parking_lot::Mutex;
use store::MetricSnapshot;
use store::rows::Cost;
use tokio::runtime::Runtime;

pub(crate) use columns::hex;
pub use csv::push_csv_record;

use crate::control::Control;
use crate::error::QueryFault;
use crate::rows::RowSource;

/// What statements may take.
#[derive(Clone, Debug)]
pub struct SqlLimits {
    /// Bytes that all statements together may hold for sorting, grouping and joining.
    pub memory_bytes_max: usize,
    /// Rows of an answer, whatever the request says.
    pub rows_max: usize,
    /// Bytes of an answer in memory.
    pub result_bytes_max: usize,
    /// Statements that run side by side; others wait.
    pub parallelism: usize,
}

impl Default for SqlLimits {
    fn default() -> Self {
        Self { memory_bytes_max: 256 << 20, rows_max: 100_000, result_bytes_max: 64 << 20, parallelism: 2 }
    }
}

/// A statement, and the time it is about.
#[derive(Clone, Debug)]
pub struct SqlRequest {
    /// The statement.
    pub query: String,
    /// First time inside, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// First time that is not inside any more; `i64::MAX` for no end.
    pub end_ns: i64,
    /// Rows of the answer at most; the engine's own limit where none is given or it is lower.
    pub limit: Option<usize>,
}

/// What a statement can see.
#[derive(Clone)]
pub struct Tables {
    /// Whose telemetry it is.
    pub tenant: TenantId,
    /// Log records.
    pub logs: Arc<dyn RowSource>,
    /// Spans.
    pub spans: Arc<dyn RowSource>,
    /// Events.
    pub events: Arc<dyn RowSource>,
    /// Runs of health checks.
    pub checks: Arc<dyn RowSource>,
    /// Series.
    pub metrics: MetricSnapshot,
}

/// The answer to a statement.
#[derive(Clone, Debug)]
pub struct SqlResult {
    /// Names and types of the columns.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// Whether there were more rows than the limit.
    pub truncated: bool,
    /// What was looked at.
    pub cost: Cost,
}

impl SqlResult {
    /// Names of the columns.
    pub fn columns(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Types of the columns: `timestamp`, `bigint`, `double`, `boolean`, `varchar`, or the engine's own name.
    pub fn types(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| type_name(field.data_type())).collect()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The rows as JSON arrays: times as RFC 3339 with nanoseconds, NaN and infinities as null.
    pub fn json_rows(&self) -> Vec<serde_json::Value> {
        self.batches.iter().flat_map(json::rows).collect()
    }

    /// The result as CSV by RFC 4180 with a header; see [`csv`] for cells that a spreadsheet would compute.
    pub fn csv(&self) -> String {
        csv::text(&self.schema, &self.batches)
    }

    /// The result as an Arrow IPC stream.
    pub fn arrow_stream(&self) -> Result<Vec<u8>, QueryFault> {
        let write = || {
            let mut writer = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &self.schema)?;
            self.batches.iter().try_for_each(|batch| writer.write(batch))?;
            writer.into_inner()
        };
        write().map_err(|error| QueryFault::Storage(error.to_string()))
    }
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Timestamp(..) => "timestamp".into(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => "bigint".into(),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => "bigint".into(),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "double".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "varchar".into(),
        other => other.to_string().to_lowercase(),
    }
}

/// Runs statements on threads of its own, within one share of memory.
pub struct SqlEngine {
    limits: SqlLimits,
    environment: Arc<RuntimeEnv>,
    /// Taken when the engine goes.
    runtime: Option<Runtime>,
}

impl SqlEngine {
    /// An engine with its threads.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(limits: SqlLimits) -> Result<Self, QueryFault> {
        // Nothing is written to disk: a statement that needs more memory is refused.
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(limits.memory_bytes_max)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(error::fault)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(limits.parallelism.max(1))
            .max_blocking_threads(4 * limits.parallelism.max(1))
            .thread_name("sql")
            .enable_time()
            .build()
            .map_err(|error| QueryFault::Storage(format!("cannot start threads for SQL: {error}")))?;
        Ok(Self { limits, environment, runtime: Some(runtime) })
    }

    /// Runs a statement and waits for its answer. Call it where blocking is allowed.
    ///
    /// # Errors
    /// What is wrong with the statement, which limit it meets, or that its time is up.
    pub fn run(
        &self,
        request: &SqlRequest,
        tables: &Tables,
        control: &Control,
    ) -> Result<SqlResult, QueryFault> {
        let runtime = self.runtime.as_ref().expect("the runtime is only taken when the engine goes");
        let task = self.answer(request, tables, control);
        runtime.block_on(async {
            tokio::select! {
                result = task => result,
                fault = stopped(control) => Err(fault),
            }
        })
    }

    async fn answer(
        &self,
        request: &SqlRequest,
        tables: &Tables,
        control: &Control,
    ) -> Result<SqlResult, QueryFault> {
        let shared = scan::Shared {
            range: (request.start_ns, request.end_ns),
            control: control.clone(),
            cost: Arc::new(Mutex::new(Cost::default())),
        };
        let rows_max = request.limit.unwrap_or(usize::MAX).min(self.limits.rows_max);
        let (state, plan) =
            plan::plan(&request.query, tables, &shared, &self.environment, rows_max + 1).await?;
        let physical = state.create_physical_plan(&plan).await.map_err(error::fault)?;
        let schema = physical.schema();
        let mut stream = execute_stream(physical, SessionState::task_ctx(&state)).map_err(error::fault)?;
        let mut result = SqlResult { schema, batches: Vec::new(), truncated: false, cost: Cost::default() };
        let (mut rows, mut bytes) = (0, 0);
        while let Some(batch) = stream.next().await {
            control.check()?;
            let batch = batch.map_err(error::fault)?;
            bytes += batch.columns().iter().map(shown_bytes).sum::<usize>();
            let taken = batch.num_rows().min(rows_max - rows);
            if taken < batch.num_rows() || bytes > self.limits.result_bytes_max {
                result.truncated = true;
            }
            rows += taken;
            if taken > 0 {
                result.batches.push(batch.slice(0, taken));
            }
            if result.truncated {
                break;
            }
        }
        drop(stream);
        result.cost = *shared.cost.lock();
        Ok(result)
    }
}

/// Bytes of the values of an array: it may be a small part of what its buffers hold.
fn shown_bytes(array: &ArrayRef) -> usize {
    match array.as_string_view_opt() {
        Some(texts) => 16 * texts.len() + texts.total_buffer_bytes_used(),
        None => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    }
}

impl Drop for SqlEngine {
    fn drop(&mut self) {
        // Without waiting: it may be dropped where waiting is not allowed.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How often it is looked whether somebody still waits for the answer.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// Ends when the statement must stop.
async fn stopped(control: &Control) -> QueryFault {
    loop {
        if let Err(fault) = control.check() {
            return fault;
        }
        let left = control.deadline.map_or(CANCEL_POLL, |at| at.saturating_duration_since(Instant::now()));
        tokio::time::sleep(left.min(CANCEL_POLL)).await;
    }
}
