//! Lines and trends through the floats of a range.

use super::Kernel;
use crate::eval::annotations::Note;
use crate::eval::column::{Cell, Column};
use crate::eval::error::QueryError;
use crate::eval::format;
use crate::eval::kahan;
use crate::eval::window::Window;

/// Slope per second.
pub(super) fn deriv(k: &Kernel<'_>) -> Result<Column, QueryError> {
    // The first sample's time keeps the numbers small.
    two_floats(k, |_, window| Ok(line(window, window.t_ms[0]).0))
}

/// The line's value some seconds after the step.
pub(super) fn predict_linear(k: &Kernel<'_>) -> Result<Column, QueryError> {
    two_floats(k, |step, window| {
        let (slope, intercept) = line(window, k.grid.time(step));
        Ok(slope * k.scalars[0][step] + intercept)
    })
}

/// Exponential smoothing of value and trend (Holt).
pub(super) fn smoothing(k: &Kernel<'_>) -> Result<Column, QueryError> {
    let check = |what: &str, symbol: &str, value: f64| {
        if value <= 0.0 || value >= 1.0 {
            let got = format::fixed(value);
            return Err(QueryError::Execution(format!(
                "invalid {what} factor. Expected: 0 < {symbol} < 1, got: {got}"
            )));
        }
        Ok(())
    };
    k.each_window(|step, _| {
        check("smoothing", "sf", k.scalars[0][step])?;
        check("trend", "tf", k.scalars[1][step])?;
        Ok(None)
    })?;
    two_floats(k, |step, window| {
        let (sf, tf) = (k.scalars[0][step], k.scalars[1][step]);
        let values = window.values;
        let (mut before, mut smooth, mut trend) = (0.0, values[0], values[1] - values[0]);
        for (i, value) in values.iter().enumerate().skip(1) {
            if i > 1 {
                trend = tf * (smooth - before) + (1.0 - tf) * trend;
            }
            let next = sf * value + (1.0 - sf) * (smooth + trend);
            (before, smooth) = (smooth, next);
        }
        Ok(smooth)
    })
}

/// A column by a function of the windows with two floats or more.
fn two_floats<'a>(
    k: &Kernel<'a>,
    mut value: impl FnMut(usize, Window<'a>) -> Result<f64, QueryError>,
) -> Result<Column, QueryError> {
    k.each_window(|step, window| {
        if window.values.is_empty() {
            return Ok(None);
        }
        if !window.histograms.is_empty() {
            k.note(Note::IgnoredInMixedRange(k.name));
        }
        if window.values.len() < 2 { Ok(None) } else { value(step, window).map(|v| Some(Cell::Float(v))) }
    })
}

/// Least squares: slope per second, and value at an instant.
fn line(window: Window<'_>, intercept_ms: i64) -> (f64, f64) {
    let first = window.values[0];
    if window.values.iter().all(|v| *v == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let [mut x_sum, mut y_sum, mut xy_sum, mut x2_sum] = [(0.0, 0.0); 4];
    for (t_ms, y) in window.t_ms.iter().zip(window.values) {
        let x = (t_ms - intercept_ms) as f64 / 1e3;
        x_sum = kahan::add(x, x_sum.0, x_sum.1);
        y_sum = kahan::add(*y, y_sum.0, y_sum.1);
        xy_sum = kahan::add(x * y, xy_sum.0, xy_sum.1);
        x2_sum = kahan::add(x * x, x2_sum.0, x2_sum.1);
    }
    let [x, y, xy, x2] = [x_sum, y_sum, xy_sum, x2_sum].map(|(sum, c)| sum + c);
    let n = window.values.len() as f64;
    let slope = (xy - x * y / n) / (x2 - x * x / n);
    (slope, y / n - slope * x / n)
}
