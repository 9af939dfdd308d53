//! The way in: queries at one instant, and over a range of instants.

use std::sync::Arc;

use model::{Labels, Point, SampleColumns};
use rayon::prelude::*;

use super::column::{Grid, Series, drop_metadata};
use super::context::{Frame, QueryContext};
use super::error::QueryError;
use super::evaluate::Outcome;
use super::matching::Merged;
use super::plan::{Plan, PlanKind, RangePlan, RangeSource};
use super::prepare::Preparation;
use super::select::Handle;
use super::stats_only;
use super::value::{MatrixSeries, QueryResult, SampleValue, Value, VectorSample};
use super::window::{Windows, drop_stale};
use crate::source::SeriesSource;
use crate::syntax;
use crate::syntax::ast::{Expr, ValueType};

/// Settings of an engine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How far back an instant selector looks for a sample, milliseconds.
    pub lookback_ms: i64,
    /// Most samples that a query may hold in memory at a time.
    pub samples_max: u64,
    /// Step of subqueries that state none, milliseconds.
    pub subquery_step_ms: i64,
    /// Threads that compute series in parallel; 0 shares those of the process.
    pub parallelism: usize,
    /// Tell resets of histograms by their start timestamps too. Upstream's storage does not keep these, so
    /// its results are those without.
    pub histogram_start_timestamps: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            samples_max: 50_000_000,
            subquery_step_ms: 60_000,
            parallelism: 0,
            histogram_start_timestamps: false,
        }
    }
}

/// Evaluates queries. Cheap to clone.
#[derive(Clone, Default)]
pub struct Engine {
    options: EngineOptions,
    pool: Option<Arc<rayon::ThreadPool>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine with these settings. Where its own threads cannot be started, it shares those of the process.
    pub fn new(options: EngineOptions) -> Self {
        let pool = (options.parallelism > 0)
            .then(|| {
                rayon::ThreadPoolBuilder::new()
                    .num_threads(options.parallelism)
                    .thread_name(|i| format!("promql-{i}"))
                    .build()
                    .ok()
            })
            .flatten();
        Self { options, pool: pool.map(Arc::new) }
    }

    /// The settings.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The value of a query at one instant.
    pub fn instant(
        &self,
        source: &dyn SeriesSource,
        query: &str,
        t_ms: i64,
        context: &QueryContext,
    ) -> Result<QueryResult, QueryError> {
        let expr = parse(query)?;
        self.instant_of(source, &expr, query, t_ms, context)
    }

    /// The same for a query that is parsed already; `text` is what it was parsed from, for the places that
    /// annotations name.
    pub fn instant_of(
        &self,
        source: &dyn SeriesSource,
        expr: &Expr,
        text: &str,
        t_ms: i64,
        context: &QueryContext,
    ) -> Result<QueryResult, QueryError> {
        let preparation = self.preparation(t_ms, t_ms, 0);
        self.run(source, context, text, |frame| {
            let mut plan = preparation.plan(expr)?;
            stats_only::mark(&mut plan);
            frame.instant_value(&plan, t_ms)
        })
    }

    /// The value of a query at every instant from first to last, one step apart. `step_ms` is above zero.
    pub fn range(
        &self,
        source: &dyn SeriesSource,
        query: &str,
        range: (i64, i64),
        step_ms: i64,
        context: &QueryContext,
    ) -> Result<QueryResult, QueryError> {
        let expr = parse(query)?;
        self.range_of(source, &expr, query, range, step_ms, context)
    }

    /// The same for a query that is parsed already.
    pub fn range_of(
        &self,
        source: &dyn SeriesSource,
        expr: &Expr,
        text: &str,
        (start_ms, end_ms): (i64, i64),
        step_ms: i64,
        context: &QueryContext,
    ) -> Result<QueryResult, QueryError> {
        if step_ms <= 0 {
            return Err(QueryError::Execution(format!("step {step_ms} ms must be above zero")));
        }
        let value_type = expr.value_type();
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            return Err(QueryError::Parse(format!(
                "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
                value_type.as_str()
            )));
        }
        let preparation = self.preparation(start_ms, end_ms, step_ms);
        self.run(source, context, text, |frame| {
            let mut plan = preparation.plan(expr)?;
            stats_only::mark(&mut plan);
            frame.range_value(&plan, &Grid::between(start_ms, end_ms, step_ms))
        })
    }

    fn preparation(&self, start_ms: i64, end_ms: i64, step_ms: i64) -> Preparation {
        Preparation { start_ms, end_ms, step_ms, subquery_step_ms: self.options.subquery_step_ms }
    }

    fn run(
        &self,
        source: &dyn SeriesSource,
        context: &QueryContext,
        text: &str,
        work: impl FnOnce(&Frame<'_>) -> Result<Value, QueryError> + Send,
    ) -> Result<QueryResult, QueryError> {
        let frame = Frame::new(
            source,
            context,
            self.options.lookback_ms,
            self.options.samples_max,
            self.options.histogram_start_timestamps,
        );
        let value = match &self.pool {
            Some(pool) => pool.install(|| work(&frame)),
            None => work(&frame),
        }?;
        let (warnings, infos) = frame.annotations.render(text);
        Ok(QueryResult { value, warnings, infos, stats: frame.stats() })
    }
}

fn parse(query: &str) -> Result<Expr, QueryError> {
    syntax::parse(query).map_err(|error| QueryError::Parse(error.to_string()))
}

impl Frame<'_> {
    fn instant_value(&self, plan: &Plan, t_ms: i64) -> Result<Value, QueryError> {
        let grid = Grid::instant(t_ms);
        if let PlanKind::Range(range) = &plan.kind {
            return Ok(Value::Matrix(self.raw_series(range, &grid)?));
        }
        match self.evaluate(plan, &grid)? {
            Outcome::Scalar(values) => {
                let value = values.first().copied().unwrap_or(f64::NAN);
                Ok(Value::Scalar(Point { t_ms, value }))
            }
            Outcome::String(value) => Ok(Value::String { t_ms, value }),
            Outcome::Vector(series) => {
                let series = finish_names(series)?;
                self.check_result(series.len() as u64)?;
                let samples = series.into_iter().filter_map(|one| {
                    let value = match one.column.cell(0)? {
                        super::column::Cell::Float(value) => SampleValue::Float(value),
                        super::column::Cell::Histogram(h) => SampleValue::Histogram(h),
                    };
                    Some(VectorSample { labels: one.labels, t_ms, value })
                });
                Ok(Value::Vector(samples.collect()))
            }
        }
    }

    fn range_value(&self, plan: &Plan, grid: &Grid) -> Result<Value, QueryError> {
        self.check_grid(grid)?;
        if grid.len == 0 {
            return Ok(Value::Matrix(Vec::new()));
        }
        let series = match self.evaluate(plan, grid)? {
            Outcome::Vector(series) => finish_names(series)?,
            Outcome::Scalar(values) => {
                let column = super::column::Column::full(values);
                vec![Series { labels: Labels::empty(), drop_name: false, column }]
            }
            Outcome::String(_) => return Err(QueryError::execution("a string has no range of values")),
        };
        self.check_result(series.iter().map(|one| one.column.samples()).sum())?;
        Ok(Value::Matrix(matrix(series, grid)))
    }

    /// Refuses grids that no limit of samples could hold.
    pub(crate) fn check_grid(&self, grid: &Grid) -> Result<(), QueryError> {
        let held = self.held();
        self.hold(grid.len as u64)?;
        self.release_to(held);
        Ok(())
    }

    /// The samples of a range vector, for instant queries that ask for nothing else.
    fn raw_series(&self, range: &RangePlan, grid: &Grid) -> Result<Vec<MatrixSeries>, QueryError> {
        match &range.source {
            RangeSource::Selector(selector) => {
                if selector.anchored || selector.smoothed {
                    return self.extended_series(range, selector, grid);
                }
                let time = self.range_of(range, selector, grid);
                let handles = self.select(selector, time, grid.step_ms)?;
                let read = |handle: &Handle| {
                    self.check()?;
                    let mut samples = SampleColumns::default();
                    self.read(handle.as_ref(), time, &mut samples)?;
                    drop_stale(&mut samples);
                    let mut windows = Windows::default();
                    windows.slide(&samples, grid, selector.when, range.range_ms, 0);
                    let window = windows.at(&samples, 0);
                    self.hold((window.values.len() + window.histograms.len()) as u64)?;
                    let points = window.t_ms.iter().zip(window.values);
                    let histograms = window.histogram_t_ms.iter().zip(window.histograms);
                    Ok(MatrixSeries {
                        labels: handle.labels().clone(),
                        floats: points.map(|(t_ms, value)| Point { t_ms: *t_ms, value: *value }).collect(),
                        histograms: histograms.map(|(t_ms, h)| (*t_ms, h.clone())).collect(),
                    })
                };
                let mut all: Vec<MatrixSeries> =
                    handles.par_iter().map(read).collect::<Result<_, QueryError>>()?;
                all.retain(|one| !one.floats.is_empty() || !one.histograms.is_empty());
                self.check_result(
                    all.iter().map(|one| (one.floats.len() + one.histograms.len()) as u64).sum(),
                )?;
                Ok(all)
            }
            RangeSource::Subquery { expr, step_ms, when } => {
                let (inner, series) = self.subquery(expr, range.range_ms, *step_ms, *when, grid)?;
                let series = finish_names(series)?;
                self.check_result(series.iter().map(|one| one.column.samples()).sum())?;
                Ok(matrix(series, &inner))
            }
        }
    }
}

/// Drops the names that have lost their meaning, and unites series that were told apart by them alone.
fn finish_names(mut series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    if !series.iter().any(|one| one.drop_name) {
        return Ok(series);
    }
    series.par_iter_mut().filter(|one| one.drop_name).for_each(|one| {
        one.labels = drop_metadata(&one.labels);
    });
    let mut merged = Merged::default();
    for one in series {
        merged.push(one)?;
    }
    Ok(merged.series)
}

/// Series with their points, sorted by labels.
fn matrix(series: Vec<Series>, grid: &Grid) -> Vec<MatrixSeries> {
    let mut all: Vec<MatrixSeries> = series
        .into_par_iter()
        .filter(|one| !one.column.is_empty())
        .map(|one| {
            let column = one.column;
            let floats =
                column.floats.ones().map(|i| Point { t_ms: grid.time(i), value: column.values[i] }).collect();
            let histograms = column.histograms.into_iter().map(|(i, h)| (grid.time(i as usize), h)).collect();
            MatrixSeries { labels: one.labels, floats, histograms }
        })
        .collect();
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all
}
