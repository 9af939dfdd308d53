//! The rise of a native histogram over a window.

use model::{CounterResetHint, FloatHistogram};

use super::annotations::Note;
use super::native;
use super::range::Kernel;
use super::window::Window;

/// Last minus first, with what was there before each reset added. `None`, with a note, when the histograms
/// do not fit together. The window has two histograms or more.
pub(crate) fn increase(k: &Kernel<'_>, window: Window<'_>, counter: bool) -> Option<FloatHistogram> {
    let all = window.histograms;
    let last = all.last()?.as_ref();
    let gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    if counter && all.iter().any(|h| gauge(h)) {
        k.note(Note::NotCounter(k.name));
    }
    // Nothing of the first counts when the counter was reset after it, not even its layout.
    let empty;
    let mut first = all[0].as_ref();
    if counter && is_reset(window, 1, first) {
        empty = FloatHistogram {
            schema: all[1].schema,
            custom_bounds: all[1].custom_bounds.clone(),
            ..FloatHistogram::default()
        };
        first = &empty;
    }
    let custom = first.uses_custom_buckets();
    let others = if counter { &all[1..] } else { &all[all.len() - 1..] };
    if others.iter().any(|h| h.uses_custom_buckets() != custom) {
        k.note(Note::MixedExponentialCustom(k.name));
        return None;
    }
    let schema = others.iter().map(|h| h.schema).min().map_or(first.schema, |s| s.min(first.schema));
    let mut rise = native::to_schema(last, schema);
    let note = |note: Note<'_>| k.note(note);
    if !native::sub_noting(&mut rise, first, &note, k.name) {
        return None;
    }
    if counter {
        let mut before = first;
        for (i, h) in all.iter().enumerate().skip(1) {
            if is_reset(window, i, before) && !native::add_noting(&mut rise, before, &note, k.name) {
                return None;
            }
            before = h;
        }
    } else if !gauge(&all[0]) || !gauge(last) {
        k.note(Note::NotGauge(k.name));
    }
    rise.counter_reset_hint = CounterResetHint::Gauge;
    native::compact(&mut rise);
    Some(rise)
}

/// Whether the counter was reset before the histogram at an index, by start timestamps or by its counts.
fn is_reset(window: Window<'_>, i: usize, before: &FloatHistogram) -> bool {
    let (starts, times) = (window.histogram_starts_ms, window.histogram_t_ms);
    let by_start = starts.len() == times.len()
        && super::range::is_start_reset(starts[i - 1], times[i - 1], starts[i], times[i]);
    by_start || native::detect_reset(&window.histograms[i], before)
}
