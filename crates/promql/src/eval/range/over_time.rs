//! Aggregations over time.

use super::Kernel;
use super::over_time_histograms;
use crate::eval::annotations::Note;
use crate::eval::column::{Cell, Column};
use crate::eval::error::QueryError;
use crate::eval::kahan;
use crate::eval::window::Window;

/// Above this an integer cannot be told from its neighbour.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Running sums of all samples, when every one of them is exact: then the sum of any window is a
/// difference of two, to the last bit what compensated summation gives.
fn exact_sums(values: &[f64], sums: &mut Vec<f64>) -> bool {
    sums.clear();
    sums.push(0.0);
    let (mut sum, mut size) = (0.0, 0.0);
    for value in values {
        sum += value;
        size += value.abs();
        let integer = value.trunc() == *value && !(*value == 0.0 && value.is_sign_negative());
        if !integer || size.is_nan() || size >= EXACT_MAX {
            return false;
        }
        sums.push(sum);
    }
    true
}

pub(super) fn sum(k: &Kernel<'_>, sums: &mut Vec<f64>) -> Result<Column, QueryError> {
    let of = Fold {
        of_exact: |sum, _| sum,
        of_running: |sum, c, _| sum + c,
        of_floats: kahan::sum,
        with_first: false,
    };
    fold(k, sums, &of, over_time_histograms::sum)
}

pub(super) fn avg(k: &Kernel<'_>, sums: &mut Vec<f64>) -> Result<Column, QueryError> {
    let of = Fold {
        of_exact: |sum, count| sum / count,
        of_running: |sum, c, count| sum / count + c / count,
        of_floats: kahan::mean,
        with_first: true,
    };
    fold(k, sums, &of, over_time_histograms::mean)
}

/// A sum or a mean, in the ways it can be had.
struct Fold {
    /// From an exact sum and a count.
    of_exact: fn(f64, f64) -> f64,
    /// From a compensated sum and a count.
    of_running: fn(f64, f64, f64) -> f64,
    /// From the values, where the sum overflows.
    of_floats: fn(&[f64]) -> f64,
    /// The compensated sum begins with the first value, not with zero.
    with_first: bool,
}

fn fold(
    k: &Kernel<'_>,
    sums: &mut Vec<f64>,
    of: &Fold,
    of_histograms: impl Fn(&Kernel<'_>, Window<'_>) -> Option<Cell>,
) -> Result<Column, QueryError> {
    let mut column = Column::empty(k.grid.len);
    let mut steps = Vec::with_capacity(k.grid.len);
    for step in 0..k.grid.len {
        let (lo, hi) = k.windows.float_bounds(step);
        let (hlo, hhi) = k.windows.histogram_bounds(step);
        if hlo == hhi {
            if lo < hi {
                steps.push(step);
            }
        } else if lo < hi {
            k.note(Note::MixedFloatsHistograms(k.name));
        } else if let Some(cell) = of_histograms(k, k.windows.at(k.samples, step)) {
            column.set(step, cell);
        }
    }
    if exact_sums(&k.samples.values, sums) {
        for step in steps {
            let (lo, hi) = k.windows.float_bounds(step);
            column.set_float(step, (of.of_exact)(sums[hi] - sums[lo], (hi - lo) as f64));
        }
        return Ok(column);
    }
    let values = |step: usize| {
        let (lo, hi) = k.windows.float_bounds(step);
        &k.samples.values[lo..hi]
    };
    for steps in steps.chunks(kahan::LANES) {
        let mut slices = [&[][..]; kahan::LANES];
        for (slice, step) in slices.iter_mut().zip(steps) {
            *slice = values(*step);
        }
        let running = kahan::sums(slices, of.with_first);
        for ((step, slice), (sum, c)) in steps.iter().zip(slices).zip(running) {
            let value = if sum.is_finite() {
                (of.of_running)(sum, c, slice.len() as f64)
            } else {
                (of.of_floats)(slice)
            };
            column.set_float(*step, value);
        }
    }
    Ok(column)
}

/// The greatest or least value: the first of those that `better` does not replace. NaN only when there is
/// nothing else.
pub(super) fn extreme(
    k: &Kernel<'_>,
    queue: &mut Vec<u32>,
    better: impl Fn(f64, f64) -> bool,
) -> Result<Column, QueryError> {
    let values = &k.samples.values;
    // Samples that are the answer of some window still to come, the best first.
    queue.clear();
    let (mut head, mut taken) = (0, 0);
    let mut column = Column::empty(k.grid.len);
    for step in 0..k.grid.len {
        let (lo, hi) = k.windows.float_bounds(step);
        for i in taken.max(lo)..hi {
            if values[i].is_nan() {
                continue;
            }
            while queue.len() > head && queue.last().is_some_and(|q| better(values[i], values[*q as usize])) {
                queue.pop();
            }
            queue.push(i as u32);
        }
        taken = taken.max(hi);
        while queue.get(head).is_some_and(|q| (*q as usize) < lo) {
            head += 1;
        }
        if lo == hi {
            continue;
        }
        let (hlo, hhi) = k.windows.histogram_bounds(step);
        if hlo < hhi {
            k.note(Note::IgnoredInMixedRange(k.name));
        }
        column.set_float(step, queue.get(head).map_or(f64::NAN, |q| values[*q as usize]));
    }
    Ok(column)
}

/// When the greatest or least value was, in seconds.
pub(super) fn time_of(k: &Kernel<'_>, better: impl Fn(f64, f64) -> bool) -> Result<Column, QueryError> {
    k.each_floats(|_, window| {
        let (mut best, mut at) = (window.values[0], window.t_ms[0]);
        for (value, t_ms) in window.values.iter().zip(window.t_ms) {
            if better(*value, best) || best.is_nan() {
                (best, at) = (*value, *t_ms);
            }
        }
        Ok(at as f64 / 1000.0)
    })
}

pub(super) fn variance(k: &Kernel<'_>, of: impl Fn(f64) -> f64) -> Result<Column, QueryError> {
    k.each_floats(|_, window| {
        let (mut mean, mut mean_c, mut sum, mut sum_c) = (0.0, 0.0, 0.0, 0.0);
        let mut count = 0.0;
        for value in window.values {
            count += 1.0;
            let delta = value - (mean + mean_c);
            (mean, mean_c) = kahan::add(delta / count, mean, mean_c);
            (sum, sum_c) = kahan::add(delta * (value - (mean + mean_c)), sum, sum_c);
        }
        Ok(of((sum + sum_c) / count))
    })
}

pub(super) fn count(k: &Kernel<'_>) -> Result<Column, QueryError> {
    k.each_window(|_, window| Ok(Some(Cell::Float((window.values.len() + window.histograms.len()) as f64))))
}

pub(super) fn present(k: &Kernel<'_>) -> Result<Column, QueryError> {
    k.each_window(|_, _| Ok(Some(Cell::Float(1.0))))
}

pub(super) fn first(k: &Kernel<'_>) -> Result<Column, QueryError> {
    k.each_window(|_, window| {
        let histogram = window.histogram_t_ms.first();
        Ok(Some(match window.t_ms.first() {
            Some(t_ms) if histogram.is_none_or(|h| t_ms < h) => Cell::Float(window.values[0]),
            _ => Cell::Histogram(window.histograms[0].clone()),
        }))
    })
}

pub(super) fn last(k: &Kernel<'_>) -> Result<Column, QueryError> {
    k.each_window(|_, window| {
        let histogram = window.histogram_t_ms.last();
        Ok(Some(match window.t_ms.last() {
            Some(t_ms) if histogram.is_none_or(|h| t_ms > h) => {
                Cell::Float(window.values[window.values.len() - 1])
            }
            _ => Cell::Histogram(window.histograms[window.histograms.len() - 1].clone()),
        }))
    })
}

pub(super) fn time_of_first(k: &Kernel<'_>) -> Result<Column, QueryError> {
    k.each_window(|_, window| {
        let first = window.t_ms.first().into_iter().chain(window.histogram_t_ms.first()).min();
        Ok(first.map(|t_ms| Cell::Float(*t_ms as f64 / 1000.0)))
    })
}

pub(super) fn time_of_last(k: &Kernel<'_>) -> Result<Column, QueryError> {
    k.each_window(|_, window| {
        let last = window.t_ms.last().into_iter().chain(window.histogram_t_ms.last()).max();
        Ok(last.map(|t_ms| Cell::Float(*t_ms as f64 / 1000.0)))
    })
}
