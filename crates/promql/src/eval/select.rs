//! Instant selectors: the latest sample of each series at each step.

use model::{SampleColumns, TimeRange, is_stale};
use rayon::prelude::*;

use super::annotations::Note;
use super::column::{Cell, Column, Grid, Series, metric_name};
use super::context::Frame;
use super::error::QueryError;
use super::extended;
use super::plan::{Selector, When};
use super::stats_only;
use crate::source::{SelectRequest, SeriesHandle};
use crate::syntax::ast::Pos;

/// Cells of the series that are computed together; it bounds the memory of a query that aggregates.
const PART_CELLS: usize = 4 << 20;

/// A series that a source has found.
pub(crate) type Handle = Box<dyn SeriesHandle>;

impl Frame<'_> {
    /// The series that match, sorted by labels so that every run gives the same result.
    pub(crate) fn select(
        &self,
        selector: &Selector,
        range: TimeRange,
        step_ms: i64,
    ) -> Result<Vec<Handle>, QueryError> {
        let request = SelectRequest { matchers: &selector.matchers, range, step_ms };
        let mut handles = self.source.select(&request)?;
        self.count_series(handles.len())?;
        handles.sort_by(|a, b| a.labels().cmp(b.labels()));
        Ok(handles)
    }

    /// Computes a column for each series, in parallel, and hands them on part by part.
    pub(crate) fn for_each_part<T: Sync>(
        &self,
        inputs: &[T],
        grid: &Grid,
        compute: impl Fn(&T, &mut Scratch) -> Result<Option<Series>, QueryError> + Sync,
        sink: &mut dyn FnMut(Vec<Series>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let part = (PART_CELLS / grid.len.max(1)).max(64);
        for inputs in inputs.chunks(part) {
            let before = self.held();
            let series: Vec<Option<Series>> = inputs
                .par_iter()
                .map_init(Scratch::default, |scratch, input| {
                    self.check()?;
                    let series = compute(input, scratch)?;
                    if let Some(series) = &series {
                        self.hold(super::evaluate::column_weight(&series.column))?;
                    }
                    Ok(series)
                })
                .collect::<Result<_, QueryError>>()?;
            self.release_to(before);
            sink(series.into_iter().flatten().collect())?;
        }
        Ok(())
    }

    /// Collects the parts of a vector.
    pub(crate) fn keep(&self, part: Vec<Series>, all: &mut Vec<Series>) -> Result<(), QueryError> {
        self.hold(part.iter().map(|s| super::evaluate::column_weight(&s.column)).sum())?;
        all.extend(part);
        Ok(())
    }

    pub(crate) fn stream_selector(
        &self,
        selector: &Selector,
        pos: Pos,
        grid: &Grid,
        sink: &mut dyn FnMut(Vec<Series>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        if grid.len == 0 {
            return Ok(());
        }
        let ahead = if selector.smoothed { self.lookback_ms } else { 0 };
        let range = self.instant_range(selector.when, grid, ahead);
        let handles = self.select(selector, range, grid.step_ms)?;
        let compute = |handle: &Handle, scratch: &mut Scratch| {
            self.read_for(selector, handle.as_ref(), range, &mut scratch.samples)?;
            let column = if selector.smoothed {
                let name = metric_name(handle.labels());
                extended::smooth(
                    &mut scratch.samples,
                    grid,
                    selector.when,
                    self.lookback_ms,
                    &|note: Note<'_>| {
                        self.note(pos, note);
                    },
                    name,
                )
            } else {
                self.latest(&scratch.samples, grid, selector.when, |cell, _| cell)
            };
            Ok(series(handle.as_ref(), column))
        };
        self.for_each_part(&handles, grid, compute, sink)
    }

    /// The times of the samples that an instant selector looks at, in seconds, in place of their values; where
    /// histograms are not asked for, they stay as they are. Only samples inside `range` are looked at.
    pub(crate) fn sample_times(
        &self,
        selector: &Selector,
        grid: &Grid,
        range: TimeRange,
        histograms_too: bool,
    ) -> Result<Vec<Series>, QueryError> {
        if grid.len == 0 {
            return Ok(Vec::new());
        }
        let handles = self.select(selector, range, grid.step_ms)?;
        let mut all = Vec::new();
        let compute = |handle: &Handle, scratch: &mut Scratch| {
            self.read(handle.as_ref(), range, &mut scratch.samples)?;
            let time = |cell, t_ms: i64| match cell {
                Cell::Histogram(h) if !histograms_too => Cell::Histogram(h),
                _ => Cell::Float(t_ms as f64 / 1000.0),
            };
            Ok(series(handle.as_ref(), self.latest(&scratch.samples, grid, selector.when, time)))
        };
        self.for_each_part(&handles, grid, compute, &mut |part| self.keep(part, &mut all))?;
        Ok(all)
    }

    /// What an instant selector needs to see.
    pub(crate) fn instant_range(&self, when: When, grid: &Grid, ahead_ms: i64) -> TimeRange {
        let (first, last) = (when.resolve(grid.start_ms), when.resolve(grid.end_ms()));
        TimeRange {
            start_ms: first.saturating_sub(self.lookback_ms - 1),
            end_ms: last.saturating_add(ahead_ms).saturating_add(1),
        }
    }

    /// Reads what a selector needs of a series.
    pub(crate) fn read_for(
        &self,
        selector: &Selector,
        handle: &dyn SeriesHandle,
        range: TimeRange,
        out: &mut SampleColumns,
    ) -> Result<(), QueryError> {
        self.read(handle, range, out)?;
        if selector.stats_only && !out.histograms.is_empty() {
            stats_only::reduce(out);
        }
        Ok(())
    }

    /// Reads the samples of a series.
    pub(crate) fn read(
        &self,
        handle: &dyn SeriesHandle,
        range: TimeRange,
        out: &mut SampleColumns,
    ) -> Result<(), QueryError> {
        handle.read(range, out)?;
        self.count_read(out.len() as u64);
        Ok(())
    }

    /// The latest sample at each step that is not older than the lookback nor a stale marker.
    fn latest(
        &self,
        samples: &SampleColumns,
        grid: &Grid,
        when: When,
        cell: impl Fn(Cell, i64) -> Cell,
    ) -> Column {
        let mut column = Column::empty(grid.len);
        let (mut f, mut h) = (0, 0);
        for (step, t_ms) in grid.times().enumerate() {
            let at = when.resolve(t_ms);
            while samples.t_ms.get(f).is_some_and(|t| *t <= at) {
                f += 1;
            }
            while samples.histogram_t_ms.get(h).is_some_and(|t| *t <= at) {
                h += 1;
            }
            let float = f.checked_sub(1).map(|i| (samples.t_ms[i], i));
            let histogram = h.checked_sub(1).map(|i| (samples.histogram_t_ms[i], i));
            let oldest = at.saturating_sub(self.lookback_ms);
            match (float, histogram) {
                (Some((t, i)), other) if t > oldest && other.is_none_or(|(o, _)| o < t) => {
                    let value = samples.values[i];
                    if !is_stale(value) {
                        column.set(step, cell(Cell::Float(value), t));
                    }
                }
                (_, Some((t, i))) if t > oldest => {
                    let h = &samples.histograms[i];
                    if !h.is_stale() {
                        column.set(step, cell(Cell::Histogram(h.clone()), t));
                    }
                }
                _ => {}
            }
        }
        column
    }
}

fn series(handle: &dyn SeriesHandle, column: Column) -> Option<Series> {
    (!column.is_empty()).then(|| Series { labels: handle.labels().clone(), drop_name: false, column })
}

/// Memory that a worker uses for one series after another.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) samples: SampleColumns,
    pub(crate) windows: super::window::Windows,
    pub(crate) values: Vec<f64>,
    pub(crate) indices: Vec<u32>,
}
