//! Logs, spans and events as a table of the SQL engine, and the plan that reads their slices.

use std::any::Any;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SortOrderPushdownResult,
};
use model::Predicate;
use parking_lot::Mutex;
use store::rows::{Column, Cost, Filter, Slice};

use super::columns::{Origin, RowColumns, column_of, to_sql};
use super::ordered::Ordered;
use super::pushdown::{push, time_bounds};
use crate::control::Control;
use crate::error::QueryFault;
use crate::rows::{RowSource, ids};

/// Rows of a batch.
pub(super) const BATCH_ROWS: usize = 8192;
/// Streams that read side by side.
const PARTITIONS: usize = 2;

/// What all scans of a statement share.
#[derive(Clone)]
pub(super) struct Shared {
    /// Nanoseconds; the end is outside.
    pub(super) range: (i64, i64),
    pub(super) control: Control,
    pub(super) cost: Arc<Mutex<Cost>>,
}

impl Shared {
    pub(super) fn add_cost(&self, cost: &Cost) {
        *self.cost.lock() += *cost;
    }

    /// An error when the statement must stop.
    pub(super) fn check(&self) -> Result<()> {
        self.control.check().map_err(external)
    }
}

pub(super) fn external(fault: impl Into<QueryFault>) -> DataFusionError {
    DataFusionError::External(Box::new(fault.into()))
}

/// A signal's rows as a table.
pub(super) struct RowTable {
    columns: Arc<RowColumns>,
    source: Arc<dyn RowSource>,
    shared: Shared,
}

impl RowTable {
    pub(super) fn new(columns: RowColumns, source: Arc<dyn RowSource>, shared: Shared) -> Self {
        Self { columns: Arc::new(columns), source, shared }
    }
}

impl Debug for RowTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowTable").field("signal", &self.columns.signal).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl TableProvider for RowTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut predicate = Predicate::TRUE;
        for filter in filters {
            if let Some(pushed) = push(filter, &self.columns) {
                predicate = predicate.and(pushed.predicate);
            }
        }
        let (start, end) = time_bounds(&predicate, self.shared.range);
        let filter = Filter::new(self.columns.signal, &predicate, start, end)
            .map_err(|error| external(QueryFault::Invalid(error.to_string())))?;
        let slices = if start < end { self.source.slices(start, end) } else { Ok(Vec::new()) };
        let slices = slices.map_err(external)?;
        let projection = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.columns.origins.len()).collect(),
        };
        let schema = Arc::new(self.columns.schema.project(&projection)?);
        let work = Arc::new(Work {
            columns: Arc::clone(&self.columns),
            origins: projection.iter().map(|index| self.columns.origins[*index].clone()).collect(),
            schema,
            filter,
            slices,
            predicate,
            shared: self.shared.clone(),
        });
        Ok(Arc::new(RowScan::new(work, limit, None)))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let mut together = Predicate::TRUE;
        let mut support = |filter: &&Expr| {
            let Some(pushed) = push(filter, &self.columns) else {
                return TableProviderFilterPushDown::Unsupported;
            };
            let with = together.clone().and(pushed.predicate);
            if Filter::new(self.columns.signal, &with, i64::MIN, i64::MAX).is_err() {
                // Too large with those before.
                return TableProviderFilterPushDown::Unsupported;
            }
            together = with;
            if pushed.exact {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Inexact
            }
        };
        Ok(filters.iter().map(&mut support).collect())
    }
}

/// What a scan reads.
pub(super) struct Work {
    columns: Arc<RowColumns>,
    origins: Vec<Origin>,
    pub(super) schema: SchemaRef,
    filter: Filter,
    /// Newest first.
    pub(super) slices: Vec<Slice>,
    predicate: Predicate,
    pub(super) shared: Shared,
}

impl Work {
    /// The rows of a slice that pass the filter.
    pub(super) fn select(&self, slice: &Slice) -> Result<BooleanBuffer> {
        self.shared.check()?;
        let mut cost = Cost::default();
        let rows = slice.select(&self.filter, &mut cost).map_err(external);
        self.shared.add_cost(&cost);
        rows
    }

    /// Where the time is among the projected columns.
    pub(super) fn time_index(&self) -> Option<usize> {
        self.origins.iter().position(|origin| *origin == Origin::Fixed(0))
    }

    /// The projected columns of the selected rows.
    pub(super) fn read(&self, slice: &Slice, rows: &BooleanBuffer) -> Result<RecordBatch> {
        let count = rows.count_set_bits();
        let mut cost = Cost::default();
        let wanted: Vec<Column> = self.origins.iter().filter_map(column_of).collect();
        let read = if wanted.is_empty() {
            Vec::new()
        } else {
            slice.read(&wanted, rows, &mut cost).map_err(external)?
        };
        let mut read = read.into_iter();
        let mut arrays = Vec::with_capacity(self.origins.len());
        for origin in &self.origins {
            arrays.push(match origin {
                Origin::RowId => {
                    ids::of_slice(self.columns.signal, slice, rows, &mut cost).map_err(external)?
                }
                origin => {
                    let array = read.next().ok_or_else(|| {
                        DataFusionError::Internal("a slice returned fewer columns than asked for".into())
                    })?;
                    to_sql(self.columns.signal, origin, array)
                }
            });
        }
        self.shared.add_cost(&cost);
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?)
    }
}

/// Reads slices: in any order on several partitions, or in order of time on one.
pub(super) struct RowScan {
    work: Arc<Work>,
    fetch: Option<usize>,
    /// Whether rows come in order of time, and then whether the newest comes first.
    newest_first: Option<bool>,
    properties: Arc<PlanProperties>,
}

impl RowScan {
    fn new(work: Arc<Work>, fetch: Option<usize>, newest_first: Option<bool>) -> Self {
        let partitions = match newest_first {
            Some(_) => 1,
            None => work.slices.len().clamp(1, PARTITIONS),
        };
        let mut equivalence = EquivalenceProperties::new(Arc::clone(&work.schema));
        if let Some(newest_first) = newest_first
            && let Some(index) = work.time_index()
        {
            let column: Arc<dyn PhysicalExpr> =
                Arc::new(PhysicalColumn::new(work.schema.field(index).name(), index));
            let options = datafusion::arrow::compute::SortOptions {
                descending: newest_first,
                nulls_first: newest_first,
            };
            equivalence.add_ordering([PhysicalSortExpr::new(column, options)]);
        }
        let properties = PlanProperties::new(
            equivalence,
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { work, fetch, newest_first, properties: Arc::new(properties) }
    }
}

impl Debug for RowScan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowScan").field("slices", &self.work.slices.len()).finish_non_exhaustive()
    }
}

impl DisplayAs for RowScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.work.schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "RowScan: slices={}, columns=[{}]", self.work.slices.len(), names.join(", "))?;
        if self.work.predicate != Predicate::TRUE {
            write!(f, ", predicate={:?}", self.work.predicate)?;
        }
        if let Some(newest_first) = self.newest_first {
            write!(f, ", order={}", if newest_first { "newest first" } else { "oldest first" })?;
        }
        if let Some(fetch) = self.fetch {
            write!(f, ", fetch={fetch}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for RowScan {
    fn name(&self) -> &str {
        "RowScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_fetch(&self, fetch: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(Self::new(Arc::clone(&self.work), fetch, self.newest_first)))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        let [by] = order else { return Ok(SortOrderPushdownResult::Unsupported) };
        let column = (&*by.expr as &dyn Any).downcast_ref::<PhysicalColumn>();
        let is_time =
            column.is_some_and(|column| self.work.origins.get(column.index()) == Some(&Origin::Fixed(0)));
        if !is_time {
            return Ok(SortOrderPushdownResult::Unsupported);
        }
        let inner = Self::new(Arc::clone(&self.work), self.fetch, Some(by.options.descending));
        Ok(SortOrderPushdownResult::Exact { inner: Arc::new(inner) })
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut builder = RecordBatchReceiverStream::builder(Arc::clone(&self.work.schema), 2);
        let sender = builder.tx();
        let (work, fetch) = (Arc::clone(&self.work), self.fetch.unwrap_or(usize::MAX));
        let partitions = self.properties.partitioning.partition_count();
        let memory = MemoryConsumer::new("RowScan").register(context.memory_pool());
        let newest_first = self.newest_first;
        builder.spawn_blocking(move || {
            // An error here is that nobody reads any more.
            let mut send = |batch: RecordBatch| sender.blocking_send(Ok(batch)).is_ok();
            if let Some(newest_first) = newest_first {
                return Ordered::new(&work, newest_first, fetch, memory).run(&mut send);
            }
            let mut left = fetch;
            for slice in work.slices.iter().skip(partition).step_by(partitions) {
                let rows = work.select(slice)?;
                if rows.count_set_bits() == 0 {
                    continue;
                }
                let batch = work.read(slice, &rows)?;
                memory.try_resize(batch.get_array_memory_size())?;
                let batch = batch.slice(0, batch.num_rows().min(left));
                left -= batch.num_rows();
                if !send_parts(&batch, &mut send) || left == 0 {
                    break;
                }
            }
            Ok(())
        });
        Ok(builder.build())
    }
}

/// Sends a batch in parts; false when nobody reads any more.
pub(super) fn send_parts(batch: &RecordBatch, send: &mut dyn FnMut(RecordBatch) -> bool) -> bool {
    (0..batch.num_rows())
        .step_by(BATCH_ROWS)
        .all(|at| send(batch.slice(at, BATCH_ROWS.min(batch.num_rows() - at))))
}
