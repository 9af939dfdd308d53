//! Functions over range vectors: each series is read, its windows slide over the decoded columns, and its
//! samples are gone before the next one is read.

mod changes; // changes, resets
mod instant_rate; // irate, idelta
mod over_time; // *_over_time on floats
mod over_time_histograms; // sum and mean of histograms
mod quantiles; // quantile_over_time, mad_over_time
mod rate; // rate, increase, delta
mod regression; // deriv, predict_linear, double_exponential_smoothing
#[cfg(test)]
mod tests;

pub(crate) use self::rate::is_start_reset;
use model::{Labels, MatchOp, SampleColumns, TimeRange};

use super::annotations::Note;
use super::bits::Bits;
use super::column::{Cell, Column, Grid, Series, metric_name};
use super::context::Frame;
use super::error::QueryError;
use super::extended;
use super::functions::RangeFunction;
use super::plan::{Plan, RangeCall, RangePlan, RangeSource, Selector, When};
use super::select::{Handle, Scratch};
use super::window::{Window, Windows, drop_stale, samples_of};
use crate::syntax::ast::Pos;

/// What a function needs to compute the column of one series.
pub(crate) struct Kernel<'a> {
    pub(crate) frame: &'a Frame<'a>,
    pub(crate) call: &'a RangeCall,
    pub(crate) grid: &'a Grid,
    /// The scalar arguments at every step.
    pub(crate) scalars: &'a [Vec<f64>],
    /// The name of the metric, for annotations.
    pub(crate) name: &'a str,
    pub(crate) samples: &'a SampleColumns,
    pub(crate) windows: &'a Windows,
}

impl<'a> Kernel<'a> {
    pub(crate) fn when(&self) -> When {
        self.call.range.when()
    }

    /// Steps with the part of the series that each looks at.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (usize, Window<'a>)> + use<'a> {
        let (windows, samples, len) = (self.windows, self.samples, self.grid.len);
        (0..len).map(move |step| (step, windows.at(samples, step)))
    }

    /// Left and right edge of a step's range, milliseconds.
    pub(crate) fn edges(&self, step: usize) -> (i64, i64) {
        let end = self.when().resolve(self.grid.time(step));
        (end.saturating_sub(self.call.range.range_ms), end)
    }

    /// The length of the range in seconds.
    pub(crate) fn range_seconds(&self) -> f64 {
        seconds(self.call.range.range_ms)
    }

    pub(crate) fn note(&self, note: Note<'_>) {
        self.frame.note(self.call.first_pos, note);
    }

    /// A column by a function of each window that is not empty.
    pub(crate) fn each_window(
        &self,
        mut value: impl FnMut(usize, Window<'a>) -> Result<Option<Cell>, QueryError>,
    ) -> Result<Column, QueryError> {
        let mut column = Column::empty(self.grid.len);
        for (step, window) in self.steps() {
            if window.values.is_empty() && window.histograms.is_empty() {
                continue;
            }
            if let Some(cell) = value(step, window)? {
                column.set(step, cell);
            }
        }
        Ok(column)
    }

    /// A column by a function of the floats of each window that has some; says so where a window has
    /// histograms too.
    pub(crate) fn each_floats(
        &self,
        mut value: impl FnMut(usize, Window<'a>) -> Result<f64, QueryError>,
    ) -> Result<Column, QueryError> {
        self.each_window(|step, window| {
            if window.values.is_empty() {
                return Ok(None);
            }
            if !window.histograms.is_empty() {
                self.note(Note::IgnoredInMixedRange(self.name));
            }
            Ok(Some(Cell::Float(value(step, window)?)))
        })
    }

    fn column(&self, scratch: &mut Vec<f64>, indices: &mut Vec<u32>) -> Result<Column, QueryError> {
        let extended = self.call.range.selector().filter(|s| s.anchored || s.smoothed);
        match self.call.function {
            RangeFunction::Rate | RangeFunction::Increase | RangeFunction::Delta => match extended {
                Some(selector) => extended::rate(self, selector.smoothed),
                None => rate::extrapolated(self, indices),
            },
            RangeFunction::Irate => instant_rate::column(self, true),
            RangeFunction::Idelta => instant_rate::column(self, false),
            RangeFunction::Changes => changes::changes(self, extended.is_some()),
            RangeFunction::Resets => changes::resets(self, extended.is_some()),
            RangeFunction::Deriv => regression::deriv(self),
            RangeFunction::PredictLinear => regression::predict_linear(self),
            RangeFunction::DoubleExponentialSmoothing => regression::smoothing(self),
            RangeFunction::Quantile => quantiles::quantile_over_time(self, scratch),
            RangeFunction::Mad => quantiles::mad_over_time(self, scratch),
            RangeFunction::Sum => over_time::sum(self, scratch),
            RangeFunction::Avg => over_time::avg(self, scratch),
            RangeFunction::Min => over_time::extreme(self, indices, |a, b| a < b),
            RangeFunction::Max => over_time::extreme(self, indices, |a, b| a > b),
            RangeFunction::TsOfMin => over_time::time_of(self, |a, b| a <= b),
            RangeFunction::TsOfMax => over_time::time_of(self, |a, b| a >= b),
            RangeFunction::Stddev => over_time::variance(self, f64::sqrt),
            RangeFunction::Stdvar => over_time::variance(self, |v| v),
            RangeFunction::Count => over_time::count(self),
            RangeFunction::Present | RangeFunction::Absent => over_time::present(self),
            RangeFunction::First => over_time::first(self),
            RangeFunction::Last => over_time::last(self),
            RangeFunction::TsOfFirst => over_time::time_of_first(self),
            RangeFunction::TsOfLast => over_time::time_of_last(self),
        }
    }
}

/// Milliseconds in seconds, summed from whole and broken seconds as upstream's durations are.
fn seconds(ms: i64) -> f64 {
    (ms / 1000) as f64 + (ms % 1000 * 1_000_000) as f64 / 1e9
}

impl Frame<'_> {
    pub(crate) fn stream_range_call(
        &self,
        call: &RangeCall,
        grid: &Grid,
        sink: &mut dyn FnMut(Vec<Series>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        if grid.len == 0 {
            return Ok(());
        }
        if call.function == RangeFunction::Absent {
            return sink(self.absent_over_time(call, grid)?);
        }
        self.range_columns(call, grid, sink)
    }

    fn range_columns(
        &self,
        call: &RangeCall,
        grid: &Grid,
        sink: &mut dyn FnMut(Vec<Series>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let scalars =
            call.scalars.iter().map(|plan| self.scalar(plan, grid)).collect::<Result<Vec<_>, _>>()?;
        match &call.range.source {
            RangeSource::Selector(selector) => {
                let range = self.range_of(&call.range, selector, grid);
                let handles = self.select(selector, range, grid.step_ms)?;
                let compute = |handle: &Handle, scratch: &mut Scratch| {
                    self.read_for(selector, handle.as_ref(), range, &mut scratch.samples)?;
                    if !self.histogram_start_timestamps {
                        scratch.samples.histogram_starts_ms.clear();
                    }
                    self.range_series(call, grid, &scalars, handle.labels(), false, scratch)
                };
                self.for_each_part(&handles, grid, compute, sink)
            }
            RangeSource::Subquery { expr, step_ms, when } => {
                let (inner, series) = self.subquery(expr, call.range.range_ms, *step_ms, *when, grid)?;
                let compute = |one: &Series, scratch: &mut Scratch| {
                    samples_of(&one.column, &inner, &mut scratch.samples);
                    self.range_series(call, grid, &scalars, &one.labels, one.drop_name, scratch)
                };
                self.for_each_part(&series, grid, compute, sink)
            }
        }
    }

    /// One series of the result. `scratch.samples` holds its samples.
    fn range_series(
        &self,
        call: &RangeCall,
        grid: &Grid,
        scalars: &[Vec<f64>],
        labels: &Labels,
        drop_name: bool,
        scratch: &mut Scratch,
    ) -> Result<Option<Series>, QueryError> {
        let Scratch { samples, windows, values, indices } = scratch;
        drop_stale(samples);
        let (back, ahead) = reach(call.range.selector(), self.lookback_ms);
        let range_ms = call.range.range_ms;
        windows.slide(samples, grid, call.range.when(), range_ms.saturating_add(back), ahead);
        let held = samples.len() as u64;
        self.hold(held)?;
        let name = metric_name(labels);
        let kernel = Kernel { frame: self, call, grid, scalars, name, samples, windows };
        let column = kernel.column(values, indices)?;
        self.release(held);
        if matches!(call.function, RangeFunction::Rate | RangeFunction::Increase)
            && !name.is_empty()
            && !column.floats.is_empty()
        {
            self.note_non_counter(labels, name, call.first_pos);
        }
        let drop_name = drop_name || !call.function.keeps_name();
        Ok((!column.is_empty()).then(|| Series { labels: labels.clone(), drop_name, column }))
    }

    /// Rates of what is not a counter are usually a mistake. A type label decides where there is one.
    fn note_non_counter(&self, labels: &Labels, name: &str, pos: Pos) {
        match labels.get("__type__") {
            Some("counter" | "histogram") => {}
            Some(kind) => self.note(pos, Note::PossibleNonCounterLabel { name, kind }),
            None => {
                if !["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) {
                    self.note(pos, Note::PossibleNonCounter(name));
                }
            }
        }
    }

    /// The series of a subquery, and the grid on which they are: multiples of the step inside all ranges.
    pub(crate) fn subquery(
        &self,
        expr: &Plan,
        range_ms: i64,
        step_ms: i64,
        when: When,
        grid: &Grid,
    ) -> Result<(Grid, Vec<Series>), QueryError> {
        let (first, last) = (when.resolve(grid.start_ms), when.resolve(grid.end_ms()));
        let open = first.saturating_sub(range_ms);
        let mut start = open / step_ms * step_ms;
        if start <= open {
            start = start.saturating_add(step_ms);
        }
        let inner = Grid::between(start, last, step_ms);
        if inner.len == 0 {
            return Ok((inner, Vec::new()));
        }
        self.check_grid(&inner)?;
        match self.evaluate(expr, &inner)? {
            super::evaluate::Outcome::Vector(series) => Ok((inner, series)),
            super::evaluate::Outcome::Scalar(values) => {
                let column = Column::full(values);
                Ok((inner, vec![Series { labels: Labels::empty(), drop_name: false, column }]))
            }
            super::evaluate::Outcome::String(_) => {
                Err(QueryError::execution("subquery is only allowed on instant vector, got string instead"))
            }
        }
    }

    /// What a range selector needs to see.
    pub(crate) fn range_of(&self, range: &RangePlan, selector: &Selector, grid: &Grid) -> TimeRange {
        let (back, ahead) = reach(Some(selector), self.lookback_ms);
        let (first, last) = (selector.when.resolve(grid.start_ms), selector.when.resolve(grid.end_ms()));
        TimeRange {
            start_ms: first.saturating_sub(range.range_ms).saturating_sub(back).saturating_add(1),
            end_ms: last.saturating_add(ahead).saturating_add(1),
        }
    }

    /// 1 at the steps where no series has a sample in its range.
    fn absent_over_time(&self, call: &RangeCall, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let mut seen = Bits::none(grid.len);
        self.range_columns(call, grid, &mut |part| {
            for series in &part {
                seen.union(&series.column.presence());
            }
            Ok(())
        })?;
        let labels = call.range.selector().map_or_else(Labels::empty, absent_labels);
        Ok(absent_series(&seen, labels, grid))
    }
}

/// How far a selector looks beyond the edges of its range: back and ahead.
fn reach(selector: Option<&Selector>, lookback_ms: i64) -> (i64, i64) {
    match selector {
        Some(selector) if selector.anchored => (lookback_ms, 0),
        Some(selector) if selector.smoothed => (lookback_ms, lookback_ms),
        _ => (0, 0),
    }
}

/// A series of 1 at the steps that are not set; none at all when every step is.
pub(crate) fn absent_series(seen: &Bits, labels: Labels, grid: &Grid) -> Vec<Series> {
    let mut floats = Bits::all(grid.len);
    floats.subtract(seen);
    if floats.is_empty() {
        return Vec::new();
    }
    let column = Column { values: vec![1.0; grid.len], floats, histograms: Vec::new() };
    vec![Series { labels, drop_name: false, column }]
}

/// The labels that a selector pins down: those with one equality matcher and no other.
pub(crate) fn absent_labels(selector: &Selector) -> Labels {
    let mut builder = model::LabelsBuilder::new();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in selector.matchers.iter().filter(|m| m.name != model::METRIC_NAME) {
        if matcher.op == MatchOp::Equal && !seen.contains(&matcher.name.as_str()) {
            builder.set(&matcher.name, &matcher.value);
            seen.push(&matcher.name);
        } else {
            builder.remove(&matcher.name);
        }
    }
    builder.build()
}
