//! `rate`, `increase` and `delta`: the difference over a range, extrapolated to its edges.

use std::sync::Arc;

use super::Kernel;
use crate::eval::annotations::Note;
use crate::eval::column::{Cell, Column};
use crate::eval::error::QueryError;
use crate::eval::functions::RangeFunction;
use crate::eval::native;
use crate::eval::range_histograms::increase;
use crate::eval::window::Window;

pub(super) fn extrapolated(k: &Kernel<'_>, resets: &mut Vec<u32>) -> Result<Column, QueryError> {
    let counter = k.call.function != RangeFunction::Delta;
    let samples = k.samples;
    resets.clear();
    if counter {
        find_resets(&samples.t_ms, &samples.values, &samples.starts_ms, resets);
    }
    let mut next_reset = 0;
    let mut column = Column::empty(k.grid.len);
    for step in 0..k.grid.len {
        let (lo, hi) = k.windows.float_bounds(step);
        let (hlo, hhi) = k.windows.histogram_bounds(step);
        if hlo < hhi {
            let window = k.windows.at(samples, step);
            if lo < hi {
                k.note(Note::MixedFloatsHistograms(k.name));
            } else if let Some(cell) = histograms(k, step, window, counter) {
                column.set(step, cell);
            }
            continue;
        }
        if lo == hi {
            continue;
        }
        let first = samples.values[lo];
        let mut rise = samples.values[hi - 1] - first;
        while resets.get(next_reset).is_some_and(|i| *i as usize <= lo) {
            next_reset += 1;
        }
        for i in resets[next_reset..].iter().map(|i| *i as usize).take_while(|i| *i < hi) {
            rise += samples.values[i - 1];
        }
        let span = Span {
            first_ms: samples.t_ms[lo],
            last_ms: samples.t_ms[hi - 1],
            gaps: hi - 1 - lo,
            start_ms: if counter { samples.starts_ms.get(lo).copied().unwrap_or(0) } else { 0 },
        };
        let edges = k.edges(step);
        if span.starts_inside(edges.0) {
            rise += first;
        } else if span.gaps == 0 {
            continue;
        }
        let factor = span.factor(edges, counter, first, rise) / per(k);
        column.set_float(step, rise * factor);
    }
    Ok(column)
}

/// What to divide by: the range's length for `rate`, else 1.
fn per(k: &Kernel<'_>) -> f64 {
    if k.call.function == RangeFunction::Rate { k.range_seconds() } else { 1.0 }
}

fn histograms(k: &Kernel<'_>, step: usize, window: Window<'_>, counter: bool) -> Option<Cell> {
    let starts = window.histogram_starts_ms;
    let times = window.histogram_t_ms;
    let mut rise = None;
    if times.len() > 1 {
        rise = Some(increase(k, window, counter)?);
    }
    let span = Span {
        first_ms: times[0],
        last_ms: times[times.len() - 1],
        gaps: times.len() - 1,
        start_ms: if counter { starts.first().copied().unwrap_or(0) } else { 0 },
    };
    let edges = k.edges(step);
    if span.starts_inside(edges.0) {
        match &mut rise {
            None => rise = Some(window.histograms[0].as_ref().clone()),
            Some(rise) => {
                if !native::add_noting(rise, &window.histograms[0], &|note| k.note(note), k.name) {
                    return None;
                }
            }
        }
    }
    let mut rise = rise?;
    let factor = span.factor(edges, counter, window.histograms[0].count, rise.count);
    native::mul(&mut rise, factor / per(k));
    Some(Cell::Histogram(Arc::new(rise)))
}

/// Where the samples of a window begin and end.
struct Span {
    first_ms: i64,
    last_ms: i64,
    /// Samples less one.
    gaps: usize,
    /// Start timestamp of the first sample, 0 when unknown.
    start_ms: i64,
}

impl Span {
    /// The series began at zero inside the range and before its first sample, so nothing need be guessed on
    /// the left.
    fn starts_inside(&self, range_start_ms: i64) -> bool {
        self.start_ms != 0 && self.start_ms > range_start_ms && self.start_ms < self.first_ms
    }

    /// By how much the rise between the samples is stretched to the edges of the range. Samples close to an
    /// edge (within 110 % of their mean distance) are taken to continue up to it; else the series is taken
    /// to begin or end half a distance beyond. A counter is not stretched to where it would be negative.
    fn factor(&self, edges: (i64, i64), counter: bool, first: f64, rise: f64) -> f64 {
        let mut to_start = (self.first_ms - edges.0) as f64 / 1000.0;
        let mut to_end = (edges.1 - self.last_ms) as f64 / 1000.0;
        let mut sampled = (self.last_ms - self.first_ms) as f64 / 1000.0;
        let distance = if self.gaps > 0 { sampled / self.gaps as f64 } else { 0.0 };
        let threshold = distance * 1.1;
        if self.starts_inside(edges.0) {
            to_start = 0.0;
            sampled = (self.last_ms - self.start_ms) as f64 / 1000.0;
        } else {
            if to_start >= threshold {
                to_start = distance / 2.0;
            }
            if counter && rise > 0.0 && first >= 0.0 {
                let to_zero = sampled * (first / rise);
                if to_zero < to_start {
                    to_start = to_zero;
                }
            }
        }
        if to_end >= threshold {
            to_end = distance / 2.0;
        }
        if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled }
    }
}

/// The samples before which a counter was reset.
fn find_resets(t_ms: &[i64], values: &[f64], starts_ms: &[i64], out: &mut Vec<u32>) {
    if starts_ms.len() != values.len() {
        let falls = values.windows(2).enumerate().filter(|(_, two)| two[1] < two[0]);
        out.extend(falls.map(|(i, _)| i as u32 + 1));
        return;
    }
    for i in 1..values.len() {
        let by_start = is_start_reset(starts_ms[i - 1], t_ms[i - 1], starts_ms[i], t_ms[i]);
        if values[i] < values[i - 1] || by_start {
            out.push(i as u32);
        }
    }
}

/// Tells from start timestamps whether a counter was reset between two samples. Unknown (0), unknown as
/// OpenTelemetry writes it (equal to the sample's time) and invalid starts say nothing. A start at the
/// previous sample is a delta's, unless that sample's own start is unknown.
pub(crate) fn is_start_reset(before_start_ms: i64, before_ms: i64, start_ms: i64, t_ms: i64) -> bool {
    if start_ms == 0 || start_ms >= t_ms || start_ms < before_ms {
        return false;
    }
    start_ms > before_ms || (before_start_ms != 0 && before_start_ms < before_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_tell_resets_only_where_they_are_known_and_valid() {
        for (before_start, before, start, t, want) in [
            (0, 10, 0, 20, false),
            (0, 10, 15, 20, true),
            (5, 10, 5, 20, false),
            (5, 10, 10, 20, true),
            (0, 10, 10, 20, false),
            (10, 10, 10, 20, false),
            (11, 10, 10, 20, false),
            (0, 10, 20, 20, false),
            (0, 10, 21, 20, false),
        ] {
            assert_eq!(
                is_start_reset(before_start, before, start, t),
                want,
                "{before_start} {before} {start} {t}"
            );
        }
    }
}
