//! `changes` and `resets`: how often a series changed, or began anew.

use std::sync::Arc;

use model::FloatHistogram;

use super::Kernel;
use super::rate::is_start_reset;
use crate::eval::column::{Cell, Column};
use crate::eval::error::QueryError;
use crate::eval::native;
use crate::eval::window::Window;

/// A sample next to another.
#[derive(Clone, Copy)]
struct Sample<'a> {
    t_ms: i64,
    start_ms: i64,
    value: Result<f64, &'a Arc<FloatHistogram>>,
}

pub(super) fn changes(k: &Kernel<'_>, anchored: bool) -> Result<Column, QueryError> {
    count(k, anchored, |a, b| match (a.value, b.value) {
        (Ok(a), Ok(b)) => a != b && !(a.is_nan() && b.is_nan()),
        (Err(a), Err(b)) => !native::equals(b, a),
        _ => true,
    })
}

pub(super) fn resets(k: &Kernel<'_>, anchored: bool) -> Result<Column, QueryError> {
    count(k, anchored, |a, b| match (a.value, b.value) {
        (Ok(x), Ok(y)) => y < x || is_start_reset(a.start_ms, a.t_ms, b.start_ms, b.t_ms),
        (Err(x), Err(y)) => {
            is_start_reset(a.start_ms, a.t_ms, b.start_ms, b.t_ms) || native::detect_reset(y, x)
        }
        _ => true,
    })
}

/// Counts the neighbours of each window that the predicate tells apart.
fn count(
    k: &Kernel<'_>,
    anchored: bool,
    differs: impl Fn(&Sample<'_>, &Sample<'_>) -> bool,
) -> Result<Column, QueryError> {
    if k.samples.histograms.is_empty() {
        return Ok(count_floats(k, anchored, differs));
    }
    k.each_window(|step, window| {
        let (open, _) = k.edges(step);
        let all: Vec<Sample<'_>> = merged(window).collect();
        let from = if anchored { anchor(all.len(), open, |i| all[i].t_ms) } else { Some(0) };
        let count = |from: usize| all[from..].windows(2).filter(|two| differs(&two[0], &two[1])).count();
        Ok(from.map(|from| Cell::Float(count(from) as f64)))
    })
}

/// The same for a series of floats: how many neighbours differ up to each sample gives every window by
/// subtraction.
fn count_floats(
    k: &Kernel<'_>,
    anchored: bool,
    differs: impl Fn(&Sample<'_>, &Sample<'_>) -> bool,
) -> Column {
    let samples = k.samples;
    let sample = |i: usize| Sample {
        t_ms: samples.t_ms[i],
        start_ms: samples.starts_ms.get(i).copied().unwrap_or(0),
        value: Ok(samples.values[i]),
    };
    let mut before = Vec::with_capacity(samples.values.len());
    let mut seen = 0u32;
    for i in 0..samples.values.len() {
        seen += u32::from(i > 0 && differs(&sample(i - 1), &sample(i)));
        before.push(seen);
    }
    let mut column = Column::empty(k.grid.len);
    for step in 0..k.grid.len {
        let (lo, hi) = k.windows.float_bounds(step);
        if lo == hi {
            continue;
        }
        let from =
            if anchored { anchor(hi - lo, k.edges(step).0, |i| samples.t_ms[lo + i]) } else { Some(0) };
        if let Some(from) = from {
            column.set_float(step, f64::from(before[hi - 1] - before[lo + from]));
        }
    }
    column
}

/// The sample that an anchored range begins with: the last at or before its left edge. `None` when nothing
/// lies after the edge.
fn anchor(len: usize, open_ms: i64, t_ms: impl Fn(usize) -> i64) -> Option<usize> {
    let after = (0..len).find(|i| t_ms(*i) > open_ms)?;
    Some(after.saturating_sub(1))
}

/// The samples of both kinds by time.
fn merged(window: Window<'_>) -> impl Iterator<Item = Sample<'_>> {
    let (mut f, mut h) = (0, 0);
    std::iter::from_fn(move || {
        let float = window.t_ms.get(f).copied();
        let histogram = window.histogram_t_ms.get(h).copied();
        match (float, histogram) {
            (Some(t_ms), other) if other.is_none_or(|o| t_ms < o) => {
                let start_ms = window.starts_ms.get(f).copied().unwrap_or(0);
                f += 1;
                Some(Sample { t_ms, start_ms, value: Ok(window.values[f - 1]) })
            }
            (_, Some(t_ms)) => {
                let start_ms = window.histogram_starts_ms.get(h).copied().unwrap_or(0);
                h += 1;
                Some(Sample { t_ms, start_ms, value: Err(&window.histograms[h - 1]) })
            }
            _ => None,
        }
    })
}
