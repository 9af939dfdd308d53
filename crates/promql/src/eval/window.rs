//! Sliding windows over the samples of one series.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, SampleColumns, is_stale};

use super::column::{Column, Grid};
use super::plan::When;

/// The parts of a series' columns that each step of a grid looks at.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    /// Per step: first float inside, first after.
    pub(crate) floats: Vec<(u32, u32)>,
    /// Per step: first histogram inside, first after. Empty when the series has none.
    pub(crate) histograms: Vec<(u32, u32)>,
}

/// One step's part of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) t_ms: &'a [i64],
    pub(crate) values: &'a [f64],
    /// Start timestamps of the floats; empty when unknown.
    pub(crate) starts_ms: &'a [i64],
    pub(crate) histogram_t_ms: &'a [i64],
    pub(crate) histograms: &'a [Arc<FloatHistogram>],
    pub(crate) histogram_starts_ms: &'a [i64],
}

impl Windows {
    /// Windows that end at each step and are open on the left: `before_ms` reaches back, `after_ms` ahead.
    pub(crate) fn slide(
        &mut self,
        samples: &SampleColumns,
        grid: &Grid,
        when: When,
        before_ms: i64,
        after_ms: i64,
    ) {
        slide(&mut self.floats, &samples.t_ms, grid, when, before_ms, after_ms);
        self.histograms.clear();
        if !samples.histograms.is_empty() {
            slide(&mut self.histograms, &samples.histogram_t_ms, grid, when, before_ms, after_ms);
        }
    }

    pub(crate) fn histogram_bounds(&self, step: usize) -> (usize, usize) {
        self.histograms.get(step).map_or((0, 0), |(lo, hi)| (*lo as usize, *hi as usize))
    }

    pub(crate) fn float_bounds(&self, step: usize) -> (usize, usize) {
        let (lo, hi) = self.floats[step];
        (lo as usize, hi as usize)
    }

    pub(crate) fn at<'a>(&self, samples: &'a SampleColumns, step: usize) -> Window<'a> {
        let (lo, hi) = self.float_bounds(step);
        let (hlo, hhi) = self.histogram_bounds(step);
        Window {
            t_ms: &samples.t_ms[lo..hi],
            values: &samples.values[lo..hi],
            starts_ms: samples.starts_ms.get(lo..hi).unwrap_or(&[]),
            histogram_t_ms: &samples.histogram_t_ms[hlo..hhi],
            histograms: &samples.histograms[hlo..hhi],
            histogram_starts_ms: samples.histogram_starts_ms.get(hlo..hhi).unwrap_or(&[]),
        }
    }
}

fn slide(out: &mut Vec<(u32, u32)>, times: &[i64], grid: &Grid, when: When, before_ms: i64, after_ms: i64) {
    out.clear();
    let (mut lo, mut hi) = (0, 0);
    for t_ms in grid.times() {
        let at = when.resolve(t_ms);
        let (open, close) = (at.saturating_sub(before_ms), at.saturating_add(after_ms));
        while hi < times.len() && times[hi] <= close {
            hi += 1;
        }
        while lo < hi && times[lo] <= open {
            lo += 1;
        }
        out.push((lo as u32, hi as u32));
    }
}

/// Removes stale markers: ranges do not see them.
pub(crate) fn drop_stale(samples: &mut SampleColumns) {
    if samples.values.iter().any(|v| is_stale(*v)) {
        let keep: Vec<bool> = samples.values.iter().map(|v| !is_stale(*v)).collect();
        retain(&mut samples.t_ms, &keep);
        retain(&mut samples.starts_ms, &keep);
        retain(&mut samples.values, &keep);
    }
    if samples.histograms.iter().any(|h| h.is_stale()) {
        let keep: Vec<bool> = samples.histograms.iter().map(|h| !h.is_stale()).collect();
        retain(&mut samples.histogram_t_ms, &keep);
        retain(&mut samples.histogram_starts_ms, &keep);
        retain(&mut samples.histograms, &keep);
    }
}

/// Keeps the elements marked; a column that is left out stays so.
fn retain<T>(column: &mut Vec<T>, keep: &[bool]) {
    let mut marks = keep.iter();
    column.retain(|_| marks.next().copied().unwrap_or(true));
}

/// The values of a subquery as samples of a series. What is known about resets does not carry over: samples
/// between the steps of the subquery are not seen, or one is seen twice.
pub(crate) fn samples_of(column: &Column, grid: &Grid, out: &mut SampleColumns) {
    out.clear();
    for step in column.floats.ones() {
        out.t_ms.push(grid.time(step));
        out.values.push(column.values[step]);
    }
    for (step, h) in &column.histograms {
        out.histogram_t_ms.push(grid.time(*step as usize));
        out.histograms.push(match h.counter_reset_hint {
            CounterResetHint::Reset | CounterResetHint::NotReset => {
                let hint = CounterResetHint::Unknown;
                Arc::new(FloatHistogram { counter_reset_hint: hint, ..FloatHistogram::clone(h) })
            }
            CounterResetHint::Unknown | CounterResetHint::Gauge => h.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_open_on_the_left_and_closed_on_the_right() {
        let samples = SampleColumns {
            t_ms: vec![0, 10, 20, 30, 40],
            values: vec![0.0, 1.0, 2.0, 3.0, 4.0],
            ..SampleColumns::default()
        };
        let mut windows = Windows::default();
        windows.slide(&samples, &Grid::between(0, 60, 20), When::default(), 20, 0);
        assert_eq!(windows.floats, [(0, 1), (1, 3), (3, 5), (5, 5)]);
        let fixed = When { offset_ms: 10, at_ms: Some(30) };
        windows.slide(&samples, &Grid::between(0, 20, 20), fixed, 20, 10);
        assert_eq!(windows.floats, [(1, 4), (1, 4)]);
        assert_eq!(windows.at(&samples, 1).values, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn stale_markers_leave_with_their_times() {
        let mut samples = SampleColumns {
            t_ms: vec![0, 10, 20],
            values: vec![1.0, model::STALE_NAN, f64::NAN],
            histogram_t_ms: vec![5, 15],
            histograms: vec![Arc::new(FloatHistogram::stale()), Arc::default()],
            ..SampleColumns::default()
        };
        drop_stale(&mut samples);
        assert_eq!((samples.t_ms.as_slice(), samples.histogram_t_ms.as_slice()), (&[0, 20][..], &[15][..]));
        assert!(samples.starts_ms.is_empty() && samples.values[1].is_nan());
    }
}
