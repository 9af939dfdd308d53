//! `irate` and `idelta`: the difference of the last two samples of a range.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};

use super::Kernel;
use super::rate::is_start_reset;
use crate::eval::annotations::Note;
use crate::eval::column::{Cell, Column};
use crate::eval::error::QueryError;
use crate::eval::native;
use crate::eval::window::Window;

/// A sample with what tells a reset.
#[derive(Clone, Copy)]
struct Last<'a> {
    t_ms: i64,
    start_ms: i64,
    value: Result<f64, &'a Arc<FloatHistogram>>,
}

pub(super) fn column(k: &Kernel<'_>, rate: bool) -> Result<Column, QueryError> {
    k.each_window(|_, window| {
        let Some((before, last)) = last_two(window) else { return Ok(None) };
        let interval_ms = last.t_ms - before.t_ms;
        if interval_ms == 0 {
            return Ok(None);
        }
        let seconds = interval_ms as f64 / 1000.0;
        let by_start = is_start_reset(before.start_ms, before.t_ms, last.start_ms, last.t_ms);
        Ok(match (before.value, last.value) {
            (Ok(a), Ok(b)) => {
                let rise = if rate && (b < a || by_start) { b } else { b - a };
                Some(Cell::Float(if rate { rise / seconds } else { rise }))
            }
            (Err(a), Err(b)) => histograms(k, a, b, by_start, rate).map(|mut rise| {
                if rate {
                    native::div(&mut rise, seconds);
                }
                Cell::Histogram(Arc::new(rise))
            }),
            _ => {
                k.note(Note::MixedFloatsHistograms(k.name));
                None
            }
        })
    })
}

fn histograms(
    k: &Kernel<'_>,
    before: &FloatHistogram,
    last: &FloatHistogram,
    by_start: bool,
    rate: bool,
) -> Option<FloatHistogram> {
    let gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    let (before_gauge, last_gauge) = (gauge(before), gauge(last));
    if rate && (before_gauge || last_gauge) {
        k.note(Note::NotCounter(k.name));
    }
    let gauges = before_gauge && last_gauge;
    if !rate && !gauges {
        k.note(Note::NotGauge(k.name));
    }
    let mut rise = last.clone();
    if (!rate || (!by_start && !native::detect_reset(last, before)))
        && !native::sub_noting(&mut rise, before, &|note| k.note(note), k.name)
    {
        return None;
    }
    rise.counter_reset_hint = CounterResetHint::Gauge;
    native::compact(&mut rise);
    Some(rise)
}

/// The last two samples of either kind.
fn last_two(window: Window<'_>) -> Option<(Last<'_>, Last<'_>)> {
    let float = |back: usize| {
        let i = window.values.len().checked_sub(back)?;
        let start_ms = window.starts_ms.get(i).copied().unwrap_or(0);
        Some(Last { t_ms: window.t_ms[i], start_ms, value: Ok(window.values[i]) })
    };
    let histogram = |back: usize| {
        let i = window.histograms.len().checked_sub(back)?;
        let start_ms = window.histogram_starts_ms.get(i).copied().unwrap_or(0);
        Some(Last { t_ms: window.histogram_t_ms[i], start_ms, value: Err(&window.histograms[i]) })
    };
    let mut all: Vec<Last<'_>> =
        [float(2), float(1), histogram(2), histogram(1)].into_iter().flatten().collect();
    all.sort_by_key(|last| last.t_ms);
    match all[..] {
        [.., before, last] => Some((before, last)),
        _ => None,
    }
}
