//! Samples as a table: one row each, with the labels as columns and together as JSON.

use std::collections::BTreeSet;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float64Builder, RecordBatch, RecordBatchOptions, StringViewBuilder, TimestampNanosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use model::{FloatHistogram, Labels, METRIC_NAME, MatchOp, Matcher, SampleColumns, TimeRange, is_stale};
use serde_json::json;
use store::rows::Cost;
use store::{MetricSnapshot, StoredSeries};

use super::columns::time_type;
use super::scan::{BATCH_ROWS, Shared, external};

/// Columns that are no labels.
const FIXED: [&str; 5] = ["timestamp", "name", "value", "histogram", "labels"];
/// Streams that read side by side.
const PARTITIONS: usize = 2;
const NS_PER_MS: i64 = 1_000_000;

/// A tenant's samples as a table.
pub(super) struct MetricTable {
    snapshot: MetricSnapshot,
    schema: SchemaRef,
    shared: Shared,
}

impl MetricTable {
    /// The table, with a column for each of these labels.
    pub(super) fn new(snapshot: MetricSnapshot, labels: &BTreeSet<String>, shared: Shared) -> Self {
        let mut fields = vec![
            ArrowField::new("timestamp", time_type(), false),
            ArrowField::new("name", DataType::Utf8View, false),
            ArrowField::new("value", DataType::Float64, true),
            ArrowField::new("histogram", DataType::Utf8View, true),
            ArrowField::new("labels", DataType::Utf8View, false),
        ];
        for name in labels {
            if name != METRIC_NAME && !FIXED.contains(&name.as_str()) {
                fields.push(ArrowField::new(name, DataType::Utf8View, true));
            }
        }
        Self { snapshot, schema: Arc::new(Schema::new(fields)), shared }
    }
}

impl Debug for MetricTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricTable").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl TableProvider for MetricTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
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
        let mut pushed = Pushed { range: self.shared.range, matchers: Vec::new() };
        filters.iter().for_each(|filter| pushed.add(filter));
        let range = TimeRange {
            start_ms: ceil_ms(pushed.range.0),
            end_ms: if pushed.range.1 == i64::MAX { i64::MAX } else { ceil_ms(pushed.range.1) },
        };
        let series = if range.is_empty() {
            Vec::new()
        } else {
            self.snapshot.select(&pushed.matchers, range).map_err(external)?
        };
        let projection = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        let schema = Arc::new(self.schema.project(&projection)?);
        let work = Work { series, range, schema, shared: self.shared.clone() };
        Ok(Arc::new(MetricScan::new(Arc::new(work), limit)))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| {
                let mut pushed = Pushed { range: (i64::MIN, i64::MAX), matchers: Vec::new() };
                pushed.add(filter);
                let any = !pushed.matchers.is_empty() || pushed.range != (i64::MIN, i64::MAX);
                if any {
                    TableProviderFilterPushDown::Inexact
                } else {
                    TableProviderFilterPushDown::Unsupported
                }
            })
            .collect())
    }
}

/// The first millisecond that is not before an instant in nanoseconds.
fn ceil_ms(ns: i64) -> i64 {
    ns.div_euclid(NS_PER_MS) + i64::from(ns.rem_euclid(NS_PER_MS) != 0)
}

/// What filters say of series and times. It never leaves out what they accept.
struct Pushed {
    range: (i64, i64),
    matchers: Vec<Matcher>,
}

impl Pushed {
    fn add(&mut self, filter: &Expr) {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                self.add(left);
                self.add(right);
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let (Expr::Column(column), Expr::Literal(value, _)) = (&**left, &**right) else { return };
                self.compare(&column.name, *op, value);
            }
            Expr::InList(InList { expr, list, negated: false }) => {
                let Expr::Column(column) = &**expr else { return };
                let values: Option<Vec<String>> =
                    list.iter().map(|value| text(value).map(regex::escape)).collect();
                if let (Some(label), Some(values)) = (label(&column.name), values) {
                    self.matcher(label, MatchOp::Regex, &values.join("|"));
                }
            }
            Expr::Between(between) if !between.negated => {
                let Expr::Column(column) = &*between.expr else { return };
                if let (Expr::Literal(low, _), Expr::Literal(high, _)) = (&*between.low, &*between.high) {
                    self.compare(&column.name, Operator::GtEq, low);
                    self.compare(&column.name, Operator::LtEq, high);
                }
            }
            _ => {}
        }
    }

    fn compare(&mut self, column: &str, op: Operator, value: &ScalarValue) {
        if let (FIXED_TIME, ScalarValue::TimestampNanosecond(Some(ns), _)) = (column, value) {
            let (start, end) = &mut self.range;
            match op {
                Operator::Eq => {
                    *start = (*start).max(*ns);
                    *end = (*end).min(ns.saturating_add(1));
                }
                Operator::Lt => *end = (*end).min(*ns),
                Operator::LtEq => *end = (*end).min(ns.saturating_add(1)),
                Operator::Gt => *start = (*start).max(ns.saturating_add(1)),
                Operator::GtEq => *start = (*start).max(*ns),
                _ => {}
            }
            return;
        }
        let text = match value {
            ScalarValue::Utf8(Some(text))
            | ScalarValue::Utf8View(Some(text))
            | ScalarValue::LargeUtf8(Some(text)) => text,
            _ => return,
        };
        let Some(label) = label(column) else { return };
        match op {
            Operator::Eq => self.matcher(label, MatchOp::Equal, text),
            Operator::NotEq => self.matcher(label, MatchOp::NotEqual, text),
            // SQL's expressions match anywhere inside.
            Operator::RegexMatch => self.matcher(label, MatchOp::Regex, &format!(".*(?:{text}).*")),
            _ => {}
        }
    }

    fn matcher(&mut self, label: &str, op: MatchOp, value: &str) {
        // An expression that cannot be read here is judged by the filter above.
        if let Ok(matcher) = Matcher::new(label, op, value) {
            self.matchers.push(matcher);
        }
    }
}

const FIXED_TIME: &str = "timestamp";

/// The label behind a column.
fn label(column: &str) -> Option<&str> {
    match column {
        "name" => Some(METRIC_NAME),
        column if FIXED.contains(&column) => None,
        column => Some(column),
    }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(
            ScalarValue::Utf8(Some(text))
            | ScalarValue::Utf8View(Some(text))
            | ScalarValue::LargeUtf8(Some(text)),
            _,
        ) => Some(text),
        _ => None,
    }
}

struct Work {
    series: Vec<StoredSeries>,
    range: TimeRange,
    schema: SchemaRef,
    shared: Shared,
}

/// Reads series on several partitions.
struct MetricScan {
    work: Arc<Work>,
    fetch: Option<usize>,
    properties: Arc<PlanProperties>,
}

impl MetricScan {
    fn new(work: Arc<Work>, fetch: Option<usize>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&work.schema)),
            Partitioning::UnknownPartitioning(work.series.len().clamp(1, PARTITIONS)),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { work, fetch, properties: Arc::new(properties) }
    }
}

impl Debug for MetricScan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricScan").field("series", &self.work.series.len()).finish_non_exhaustive()
    }
}

impl DisplayAs for MetricScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "MetricScan: series={}", self.work.series.len())?;
        self.fetch.map_or(Ok(()), |fetch| write!(f, ", fetch={fetch}"))
    }
}

impl ExecutionPlan for MetricScan {
    fn name(&self) -> &str {
        "MetricScan"
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
        Some(Arc::new(Self::new(Arc::clone(&self.work), fetch)))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut builder = RecordBatchReceiverStream::builder(Arc::clone(&self.work.schema), 2);
        let sender = builder.tx();
        let (work, fetch) = (Arc::clone(&self.work), self.fetch.unwrap_or(usize::MAX));
        let partitions = self.properties.partitioning.partition_count();
        builder.spawn_blocking(move || {
            let mut samples = SampleColumns::default();
            let mut batch = Batch::new(&work.schema);
            let mut left = fetch;
            for series in work.series.iter().skip(partition).step_by(partitions) {
                work.shared.check()?;
                series.read(work.range, &mut samples).map_err(external)?;
                work.shared.add_cost(&cost_of(&samples));
                for row in rows_of(&samples) {
                    if left == 0 {
                        break;
                    }
                    left -= 1;
                    batch.push(series.labels(), &row);
                    if batch.rows == BATCH_ROWS && sender.blocking_send(batch.take()).is_err() {
                        return Ok(());
                    }
                }
                if left == 0 {
                    break;
                }
            }
            if batch.rows > 0 {
                // An error is that nobody reads any more.
                let _ = sender.blocking_send(batch.take());
            }
            Ok(())
        });
        Ok(builder.build())
    }
}

fn cost_of(samples: &SampleColumns) -> Cost {
    let rows = (samples.t_ms.len() + samples.histogram_t_ms.len()) as u64;
    Cost { rows, bytes: rows * 16, slices: 1, ..Cost::default() }
}

/// A sample.
struct Row<'a> {
    t_ms: i64,
    value: Option<f64>,
    histogram: Option<&'a FloatHistogram>,
}

/// The samples of a series but its stale markers, floats before histograms.
fn rows_of(samples: &SampleColumns) -> impl Iterator<Item = Row<'_>> {
    let floats = samples.t_ms.iter().zip(&samples.values).filter(|(_, value)| !is_stale(**value));
    let floats = floats.map(|(t_ms, value)| Row { t_ms: *t_ms, value: Some(*value), histogram: None });
    let histograms = samples.histogram_t_ms.iter().zip(&samples.histograms);
    let histograms = histograms.filter(|(_, histogram)| !is_stale(histogram.sum));
    floats.chain(histograms.map(|(t_ms, histogram)| Row {
        t_ms: *t_ms,
        value: None,
        histogram: Some(&**histogram),
    }))
}

enum Builder {
    Time(TimestampNanosecondBuilder),
    Name(StringViewBuilder),
    Value(Float64Builder),
    Histogram(StringViewBuilder),
    Labels(StringViewBuilder),
    Label(String, StringViewBuilder),
}

/// A batch in the making.
struct Batch {
    schema: SchemaRef,
    builders: Vec<Builder>,
    rows: usize,
}

impl Batch {
    fn new(schema: &SchemaRef) -> Self {
        let texts = || StringViewBuilder::new().with_deduplicate_strings();
        let builder = |field: &Arc<ArrowField>| match field.name().as_str() {
            "timestamp" => Builder::Time(TimestampNanosecondBuilder::new().with_timezone("UTC")),
            "name" => Builder::Name(texts()),
            "value" => Builder::Value(Float64Builder::new()),
            "histogram" => Builder::Histogram(StringViewBuilder::new()),
            "labels" => Builder::Labels(texts()),
            label => Builder::Label(label.to_owned(), texts()),
        };
        Self { schema: Arc::clone(schema), builders: schema.fields().iter().map(builder).collect(), rows: 0 }
    }

    fn push(&mut self, labels: &Labels, row: &Row<'_>) {
        self.rows += 1;
        for builder in &mut self.builders {
            match builder {
                Builder::Time(out) => out.append_value(row.t_ms.saturating_mul(NS_PER_MS)),
                Builder::Name(out) => out.append_value(labels.get(METRIC_NAME).unwrap_or("")),
                Builder::Value(out) => out.append_option(row.value),
                Builder::Histogram(out) => out.append_option(row.histogram.map(histogram_json)),
                Builder::Labels(out) => out.append_value(labels_json(labels)),
                Builder::Label(name, out) => out.append_option(labels.get(name)),
            }
        }
    }

    fn take(&mut self) -> Result<RecordBatch> {
        let arrays = self.builders.iter_mut().map(|builder| match builder {
            Builder::Time(out) => Arc::new(out.finish()) as ArrayRef,
            Builder::Value(out) => Arc::new(out.finish()),
            Builder::Name(out) | Builder::Histogram(out) | Builder::Labels(out) | Builder::Label(_, out) => {
                Arc::new(out.finish())
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays.collect(), &options)
            .map_err(DataFusionError::from)
    }
}

fn labels_json(labels: &Labels) -> String {
    let labels = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    let map: serde_json::Map<_, _> =
        labels.map(|(name, value)| (name.to_owned(), serde_json::Value::from(value))).collect();
    serde_json::Value::Object(map).to_string()
}

/// `{"count":…,"sum":…,"buckets":[[lower,upper,count],…]}` with the buckets that are not empty, ascending; a bound
/// that is infinite is null.
fn histogram_json(histogram: &FloatHistogram) -> String {
    let buckets = promql::histogram::buckets(histogram);
    let buckets = buckets.iter().filter(|bucket| bucket.count != 0.0);
    let buckets: Vec<_> = buckets.map(|bucket| json!([bucket.lower, bucket.upper, bucket.count])).collect();
    json!({ "count": histogram.count, "sum": histogram.sum, "buckets": buckets }).to_string()
}
