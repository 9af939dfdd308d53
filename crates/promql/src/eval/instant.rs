//! Functions over instant vectors and scalars.

use rayon::prelude::*;

use super::annotations::Note;
use super::bits::Bits;
use super::column::{Column, Grid, Series};
use super::context::Frame;
use super::dates::Civil;
use super::error::QueryError;
use super::evaluate::Outcome;
use super::functions::{InstantFunction, max_of, min_of};
use super::plan::{Plan, PlanKind};
use super::range::{absent_labels, absent_series};
use super::sort;

impl Frame<'_> {
    pub(crate) fn instant_call(
        &self,
        function: InstantFunction,
        args: &[Plan],
        grid: &Grid,
    ) -> Result<Outcome, QueryError> {
        let vector = match function {
            InstantFunction::Time => {
                return Ok(Outcome::Scalar(grid.times().map(|t| t as f64 / 1000.0).collect()));
            }
            InstantFunction::MaxOf => return self.of_two(args, grid, max_of),
            InstantFunction::MinOf => return self.of_two(args, grid, min_of),
            InstantFunction::Scalar => {
                return Ok(Outcome::Scalar(single_floats(&self.vector(arg(args, 0)?, grid)?, grid)));
            }
            InstantFunction::Vector => {
                let column = Column::full(self.scalar(arg(args, 0)?, grid)?);
                vec![Series { labels: model::Labels::empty(), drop_name: false, column }]
            }
            InstantFunction::Map(map) => self.map_floats(arg(args, 0)?, grid, |_, v| map(v))?,
            InstantFunction::HistogramMap { map, .. } => {
                let mut series = self.vector(arg(args, 0)?, grid)?;
                series.par_iter_mut().for_each(|one| {
                    let mut column = Column::empty(grid.len);
                    for (step, h) in &one.column.histograms {
                        column.set_float(*step as usize, map(h));
                    }
                    one.column = column;
                });
                named_away(series)
            }
            InstantFunction::Round => {
                let nearest = match args.get(1) {
                    Some(plan) => self.scalar(plan, grid)?,
                    None => vec![1.0; grid.len],
                };
                self.map_floats(arg(args, 0)?, grid, |step, v| {
                    let inverse = 1.0 / nearest[step];
                    (v * inverse + 0.5).floor() / inverse
                })?
            }
            InstantFunction::Clamp => {
                let (min, max) = (self.scalar(arg(args, 1)?, grid)?, self.scalar(arg(args, 2)?, grid)?);
                self.clamp(arg(args, 0)?, grid, &min, &max)?
            }
            InstantFunction::ClampMax => {
                let max = self.scalar(arg(args, 1)?, grid)?;
                self.clamp(arg(args, 0)?, grid, &vec![f64::NEG_INFINITY; grid.len], &max)?
            }
            InstantFunction::ClampMin => {
                let min = self.scalar(arg(args, 1)?, grid)?;
                self.clamp(arg(args, 0)?, grid, &min, &vec![f64::INFINITY; grid.len])?
            }
            InstantFunction::Date(field) => self.dates(field, args, grid)?,
            InstantFunction::Timestamp => self.timestamps(arg(args, 0)?, grid)?,
            InstantFunction::Absent => self.absent(arg(args, 0)?, grid)?,
            InstantFunction::Sort { descending } => {
                let mut series = self.vector(arg(args, 0)?, grid)?;
                for one in &mut series {
                    one.column.histograms.clear();
                }
                series.retain(|one| !one.column.is_empty());
                sort::by_value(&mut series, descending);
                series
            }
            InstantFunction::SortByLabel { descending } => {
                let names = self.strings(&args[1..])?;
                let mut series = self.vector(arg(args, 0)?, grid)?;
                sort::by_labels(&mut series, &names, descending);
                series
            }
            InstantFunction::LabelReplace => self.label_replace(args, grid)?,
            InstantFunction::LabelJoin => self.label_join(args, grid)?,
            InstantFunction::HistogramQuantile => self.histogram_quantile(args, grid)?,
            InstantFunction::HistogramQuantiles => self.histogram_quantiles(args, grid)?,
            InstantFunction::HistogramFraction => self.histogram_fraction(args, grid)?,
            InstantFunction::Info => self.info(args, grid)?,
        };
        Ok(Outcome::Vector(vector))
    }

    /// The texts of arguments that are string literals.
    pub(crate) fn strings(&self, args: &[Plan]) -> Result<Vec<String>, QueryError> {
        args.iter()
            .map(|plan| match &plan.kind {
                PlanKind::String(text) => Ok(text.clone()),
                _ => Err(QueryError::execution("expected a string literal")),
            })
            .collect()
    }

    fn of_two(&self, args: &[Plan], grid: &Grid, of: fn(f64, f64) -> f64) -> Result<Outcome, QueryError> {
        let (a, b) = (self.scalar(arg(args, 0)?, grid)?, self.scalar(arg(args, 1)?, grid)?);
        Ok(Outcome::Scalar(a.into_iter().zip(b).map(|(a, b)| of(a, b)).collect()))
    }

    /// Maps the floats of a vector, by step; histograms go.
    fn map_floats(
        &self,
        plan: &Plan,
        grid: &Grid,
        map: impl Fn(usize, f64) -> f64 + Sync,
    ) -> Result<Vec<Series>, QueryError> {
        let mut series = self.vector(plan, grid)?;
        series.par_iter_mut().for_each(|one| {
            one.column.histograms.clear();
            for (step, value) in one.column.values.iter_mut().enumerate() {
                *value = map(step, *value);
            }
        });
        Ok(named_away(series))
    }

    fn clamp(&self, plan: &Plan, grid: &Grid, min: &[f64], max: &[f64]) -> Result<Vec<Series>, QueryError> {
        let mut series = self.map_floats(plan, grid, |step, v| max_of(min[step], min_of(max[step], v)))?;
        let mut possible = Bits::all(grid.len);
        for step in (0..grid.len).filter(|step| max[*step] < min[*step]) {
            possible.clear(step);
        }
        for one in &mut series {
            one.column.retain_steps(&possible);
        }
        series.retain(|one| !one.column.is_empty());
        Ok(series)
    }

    fn dates(&self, field: fn(&Civil) -> i64, args: &[Plan], grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let value = |seconds: i64| field(&Civil::from_unix(seconds)) as f64;
        match args.first() {
            Some(plan) => self.map_floats(plan, grid, |_, v| value(v as i64)),
            None => {
                let column = Column::full(grid.times().map(|t| value(t / 1000)).collect());
                Ok(vec![Series { labels: model::Labels::empty(), drop_name: false, column }])
            }
        }
    }

    /// When the samples of a selector were taken; for other expressions, the instant of the evaluation.
    fn timestamps(&self, plan: &Plan, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let series = match &plan.kind {
            PlanKind::Selector(selector) => {
                let range = self.instant_range(selector.when, grid, 0);
                self.sample_times(selector, grid, range, true)?
            }
            _ => {
                let mut series = self.vector(plan, grid)?;
                for one in &mut series {
                    let mut column = Column::empty(grid.len);
                    for step in one.column.presence().ones() {
                        column.set_float(step, grid.time(step) as f64 / 1000.0);
                    }
                    one.column = column;
                }
                series
            }
        };
        Ok(named_away(series))
    }

    fn absent(&self, plan: &Plan, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let mut seen = Bits::none(grid.len);
        self.stream(plan, grid, &mut |part| {
            for one in &part {
                seen.union(&one.column.presence());
            }
            Ok(())
        })?;
        let labels = match &plan.kind {
            PlanKind::Selector(selector) => absent_labels(selector),
            _ => model::Labels::empty(),
        };
        Ok(absent_series(&seen, labels, grid))
    }

    /// Says that sorting a range query is in vain.
    pub(crate) fn note_sort_in_range(&self, plan: &Plan) {
        if let PlanKind::Call(InstantFunction::Sort { .. } | InstantFunction::SortByLabel { .. }, _) =
            plan.kind
        {
            self.note(plan.pos, Note::SortInRangeQuery);
        }
    }
}

/// The argument at an index; the parser has checked that it is there.
pub(crate) fn arg(args: &[Plan], i: usize) -> Result<&Plan, QueryError> {
    args.get(i).ok_or_else(|| QueryError::Execution(format!("argument {} is missing", i + 1)))
}

/// The value of the only float series at each step, else NaN.
fn single_floats(series: &[Series], grid: &Grid) -> Vec<f64> {
    let mut values = vec![f64::NAN; grid.len];
    let mut seen = Bits::none(grid.len);
    for one in series {
        for step in one.column.floats.ones() {
            values[step] = if seen.get(step) { f64::NAN } else { one.column.values[step] };
            seen.set(step);
        }
    }
    values
}

/// Series whose name no longer says what they are; without the empty ones.
pub(crate) fn named_away(mut series: Vec<Series>) -> Vec<Series> {
    series.retain(|one| !one.column.is_empty());
    for one in &mut series {
        one.drop_name = true;
    }
    series
}
