//! `anchored` and `smoothed`: ranges whose edges have values, from the sample before (anchored) or by a line
//! between the samples on both sides (smoothed).

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, SampleColumns};

use super::annotations::{HistogramOperation, Note};
use super::column::{Cell, Column, Grid};
use super::error::QueryError;
use super::functions::RangeFunction;
use super::native;
use super::plan::When;
use super::range::Kernel;
use super::window::{Window, Windows, drop_stale};
use crate::histogram::IncompatibleSchemas as Incompatible;

/// `rate`, `increase` and `delta` without extrapolation: from edge to edge.
pub(crate) fn rate(k: &Kernel<'_>, smoothed: bool) -> Result<Column, QueryError> {
    let counter = k.call.function != RangeFunction::Delta;
    let per = if k.call.function == RangeFunction::Rate { k.range_seconds() } else { 1.0 };
    k.each_window(|step, window| {
        let edges = k.edges(step);
        Ok(match (window.values.is_empty(), window.histograms.is_empty()) {
            (false, false) => {
                k.note(Note::MixedFloatsHistograms(k.name));
                None
            }
            (false, true) => float_rise(window, edges, smoothed, counter).map(|rise| Cell::Float(rise / per)),
            (true, _) => histogram_rise(k, window, edges, smoothed, counter).map(|mut rise| {
                native::div(&mut rise, per);
                rise.counter_reset_hint = CounterResetHint::Gauge;
                native::compact(&mut rise);
                Cell::Histogram(Arc::new(rise))
            }),
        })
    })
}

/// First and last sample that matter between two edges; `None` when nothing lies after the left one, or (for
/// smoothed) nothing before the right one.
fn bounds(t_ms: &[i64], edges: (i64, i64), smoothed: bool) -> Option<(usize, usize)> {
    let mut last = t_ms.len() - 1;
    let first = t_ms[..last].partition_point(|t| *t <= edges.0).saturating_sub(1);
    if smoothed {
        last = t_ms[..last].partition_point(|t| *t < edges.1);
    }
    (t_ms[last] > edges.0 && !(smoothed && t_ms[first] > edges.1)).then_some((first, last))
}

fn float_rise(window: Window<'_>, edges: (i64, i64), smoothed: bool, counter: bool) -> Option<f64> {
    let (t_ms, values) = (window.t_ms, window.values);
    let (mut first, last) = bounds(t_ms, edges, smoothed)?;
    let left = if smoothed && t_ms[first] < edges.0 {
        interpolate(window, first, edges.0, counter)
    } else {
        values[first]
    };
    let right = if smoothed && last > 0 && t_ms[last] > edges.1 {
        interpolate(window, last - 1, edges.1, counter)
    } else {
        values[last]
    };
    let mut rise = right - left;
    if counter {
        // Samples on the edges or beyond are in `left` and `right` already.
        if t_ms[first] <= edges.0 {
            first += 1;
        }
        let end = if t_ms[last] >= edges.1 { last } else { last + 1 };
        let mut correction = 0.0;
        let mut before = left;
        for value in values.get(first..end).unwrap_or(&[]).iter().chain([&right]) {
            if *value < before {
                correction += before;
            }
            before = *value;
        }
        rise += correction;
    }
    Some(rise)
}

/// The value at an instant on the line from a sample to the next. A counter that was reset between them is
/// taken to begin at zero with the first.
fn interpolate(window: Window<'_>, i: usize, t_ms: i64, counter: bool) -> f64 {
    let (a, b) = (window.values[i], window.values[i + 1]);
    let from = if counter && b < a { 0.0 } else { a };
    let (start, end) = (window.t_ms[i], window.t_ms[i + 1]);
    from + (b - from) * (t_ms - start) as f64 / (end - start) as f64
}

fn histogram_rise(
    k: &Kernel<'_>,
    window: Window<'_>,
    edges: (i64, i64),
    smoothed: bool,
    counter: bool,
) -> Option<FloatHistogram> {
    let (t_ms, all) = (window.histogram_t_ms, window.histograms);
    let (first, last) = bounds(t_ms, edges, smoothed)?;
    let note = |note: Note<'_>| k.note(note);
    let gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    let custom = all[first].uses_custom_buckets();
    for h in &all[first..=last] {
        if h.uses_custom_buckets() != custom {
            note(Note::MixedExponentialCustom(k.name));
            return None;
        }
        if counter && gauge(h) {
            note(Note::NotCounter(k.name));
        }
    }
    let at = |i: usize, t: i64| {
        let pair = [(t_ms[i], all[i].as_ref()), (t_ms[i + 1], all[i + 1].as_ref())];
        interpolate_histograms(pair, t, counter, &note)
            .map_err(|Incompatible| note(Note::MixedExponentialCustom(k.name)))
            .ok()
    };
    let left =
        if smoothed && t_ms[first] < edges.0 { at(first, edges.0)? } else { all[first].as_ref().clone() };
    let right = if smoothed && last > 0 && t_ms[last] > edges.1 {
        at(last - 1, edges.1)?
    } else {
        all[last].as_ref().clone()
    };
    let gauges = gauge(&left) && gauge(&right);
    if !counter && !gauges {
        note(Note::NotGauge(k.name));
    }
    let mut rise = right.clone();
    if !native::sub_noting(&mut rise, &left, &note, k.name) {
        return None;
    }
    if !counter {
        return Some(rise);
    }
    // What lies between the two samples that the edges come from. A reset right after the first is part of
    // `left` when that was interpolated across it.
    let mut inner = first + 1;
    let mut before = &left;
    if smoothed && t_ms[first] < edges.0 && native::detect_reset(&all[first + 1], &all[first]) {
        before = &all[first + 1];
        inner += 1;
    }
    if inner > last {
        return Some(rise);
    }
    for h in all[inner..last].iter().map(Arc::as_ref).chain([&right]) {
        if native::detect_reset(h, before) && !native::add_noting(&mut rise, before, &note, k.name) {
            return None;
        }
        before = h;
    }
    Some(rise)
}

/// The histogram at an instant between two others.
fn interpolate_histograms(
    [(t0, a), (t1, b)]: [(i64, &FloatHistogram); 2],
    t_ms: i64,
    counter: bool,
    note: &dyn Fn(Note<'_>),
) -> Result<FloatHistogram, Incompatible> {
    if t_ms == t0 {
        return Ok(a.clone());
    }
    let mut result = b.clone();
    if t_ms == t1 {
        return Ok(result);
    }
    let fraction = (t_ms - t0) as f64 / (t1 - t0) as f64;
    if counter && native::detect_reset(b, a) {
        native::mul(&mut result, fraction);
        return Ok(result);
    }
    if native::sub(&mut result, a)?.bounds_reconciled {
        note(Note::MismatchedCustomBuckets(HistogramOperation::Subtraction));
    }
    native::mul(&mut result, fraction);
    if native::add(&mut result, a)?.bounds_reconciled {
        note(Note::MismatchedCustomBuckets(HistogramOperation::Addition));
    }
    Ok(result)
}

/// Floats and histograms, by time.
type Samples = (Vec<(i64, f64)>, Vec<(i64, Arc<FloatHistogram>)>);

/// The samples between two edges, with one on each edge. Nothing where a window has both kinds.
pub(crate) fn with_edges(
    window: Window<'_>,
    edges: (i64, i64),
    smoothed: bool,
    note: &dyn Fn(Note<'_>),
    name: &str,
) -> Samples {
    let inside = |t: i64| edges.0 < t && t < edges.1;
    if !window.values.is_empty() && !window.histograms.is_empty() {
        note(Note::MixedFloatsHistograms(name));
        return Samples::default();
    }
    if !window.values.is_empty() {
        let Some((left, right)) = float_edges(window, edges, smoothed) else { return Samples::default() };
        let samples = window.t_ms.iter().copied().zip(window.values.iter().copied());
        let mut floats = vec![(edges.0, left)];
        floats.extend(samples.filter(|(t, _)| inside(*t)));
        floats.push((edges.1, right));
        return (floats, Vec::new());
    }
    let (t_ms, all) = (window.histogram_t_ms, window.histograms);
    if all.is_empty() {
        return Samples::default();
    }
    let Some((first, last)) = bounds(t_ms, edges, smoothed) else { return Samples::default() };
    let at = |i: usize, edge: i64, use_line: bool| {
        if !use_line {
            return Some(all[i].clone());
        }
        let pair = [(t_ms[i], all[i].as_ref()), (t_ms[i + 1], all[i + 1].as_ref())];
        interpolate_histograms(pair, edge, false, note).ok().map(Arc::new)
    };
    let left = at(first, edges.0, smoothed && t_ms[first] < edges.0);
    let beyond = smoothed && last > 0 && t_ms[last] > edges.1;
    let right = if beyond { at(last - 1, edges.1, true) } else { at(last, edges.1, false) };
    let (Some(left), Some(right)) = (left, right) else {
        note(Note::MixedExponentialCustom(name));
        return Samples::default();
    };
    let mut histograms = vec![(edges.0, left)];
    histograms.extend(t_ms.iter().copied().zip(all.iter().cloned()).filter(|(t, _)| inside(*t)));
    histograms.push((edges.1, right));
    (Vec::new(), histograms)
}

/// The values on the edges.
fn float_edges(window: Window<'_>, edges: (i64, i64), smoothed: bool) -> Option<(f64, f64)> {
    let (t_ms, values) = (window.t_ms, window.values);
    let (first, last) = bounds(t_ms, edges, smoothed)?;
    let before = smoothed && t_ms[first] < edges.0;
    let left = if before { interpolate(window, first, edges.0, false) } else { values[first] };
    let beyond = smoothed && last > 0 && t_ms[last] > edges.1;
    let right = if beyond { interpolate(window, last - 1, edges.1, false) } else { values[last] };
    Some((left, right))
}

/// A smoothed instant selector: the value at each step on the line between the samples around it, or that of
/// the sample before while none follows within the lookback.
pub(crate) fn smooth(
    samples: &mut SampleColumns,
    grid: &Grid,
    when: When,
    lookback_ms: i64,
    note: &dyn Fn(Note<'_>),
    name: &str,
) -> Column {
    drop_stale(samples);
    let mut windows = Windows::default();
    windows.slide(samples, grid, when, lookback_ms, lookback_ms);
    let mut column = Column::empty(grid.len);
    for step in 0..grid.len {
        let window = windows.at(samples, step);
        let at = when.resolve(grid.time(step));
        if !window.values.is_empty() && !window.histograms.is_empty() {
            note(Note::MixedFloatsHistograms(name));
        } else if !window.values.is_empty() {
            let i = window.t_ms.partition_point(|t| *t < at);
            if window.t_ms.get(i) == Some(&at) {
                column.set_float(step, window.values[i]);
            } else if i > 0 && i < window.values.len() {
                column.set_float(step, interpolate(window, i - 1, at, false));
            } else if i > 0 {
                column.set_float(step, window.values[i - 1]);
            }
        } else if let Some(h) = smooth_histogram(window, at, note, name) {
            column.push_histogram(step, Arc::new(h));
        }
    }
    column
}

fn smooth_histogram(
    window: Window<'_>,
    at: i64,
    note: &dyn Fn(Note<'_>),
    name: &str,
) -> Option<FloatHistogram> {
    let (t_ms, all) = (window.histogram_t_ms, window.histograms);
    let i = t_ms.partition_point(|t| *t < at);
    if t_ms.get(i) == Some(&at) {
        return Some(all[i].as_ref().clone());
    }
    let before = i.checked_sub(1)?;
    if i == all.len() {
        // The hint is about neighbours, not about the value carried forward.
        let hint = CounterResetHint::Unknown;
        return Some(FloatHistogram { counter_reset_hint: hint, ..all[before].as_ref().clone() });
    }
    let (a, b) = (all[before].as_ref(), all[i].as_ref());
    let gauges = [a, b].iter().all(|h| h.counter_reset_hint == CounterResetHint::Gauge);
    let compatible = a.uses_custom_buckets() == b.uses_custom_buckets();
    let pair = [(t_ms[before], a), (t_ms[i], b)];
    let value = compatible.then(|| interpolate_histograms(pair, at, !gauges, note)).and_then(Result::ok);
    if value.is_none() {
        note(Note::MixedExponentialCustom(name));
    }
    value
}
