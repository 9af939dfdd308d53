//! The counter reset hints that a storage derives from the samples it holds.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};

use super::detect_reset;

/// Gives a histogram the hint that follows from the sample before it, `None` where that is no histogram.
/// Gauges stay gauges and a reset that was given stays one. A counter that may have grown out of the one
/// before was not reset. Of all others nothing is known: upstream's storage begins a chunk with them, and says
/// nothing of the first sample of a chunk.
pub fn set_hint(h: &mut Arc<FloatHistogram>, before: Option<&FloatHistogram>) {
    let hint = derive(h, before);
    if hint != h.counter_reset_hint {
        Arc::make_mut(h).counter_reset_hint = hint;
    }
}

fn derive(h: &FloatHistogram, before: Option<&FloatHistogram>) -> CounterResetHint {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    if matches!(h.counter_reset_hint, Gauge | Reset) {
        return h.counter_reset_hint;
    }
    let Some(previous) = before else { return Unknown };
    if previous.counter_reset_hint == Gauge {
        return Unknown;
    }
    if h.is_stale() {
        return NotReset;
    }
    if previous.is_stale() {
        return Unknown;
    }
    if h.schema != previous.schema
        || h.zero_threshold != previous.zero_threshold
        || h.custom_bounds != previous.custom_bounds
    {
        return Unknown;
    }
    let plain = FloatHistogram { counter_reset_hint: Unknown, ..h.clone() };
    if detect_reset(&plain, previous) { Unknown } else { NotReset }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{SequenceValue, parse_series_description};

    #[test]
    fn hints_follow_from_the_sample_before() {
        use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
        let text = "m {{count:1 buckets:[1]}} {{count:2 buckets:[2]}} {{count:1 buckets:[1]}} {{schema:1 count:3 buckets:[3]}} \
                    {{schema:1 count:4 buckets:[2 2]}} {{schema:1 count:5 counter_reset_hint:gauge}} {{schema:1 count:6}} \
                    {{schema:1 count:7 counter_reset_hint:reset}}";
        let series = parse_series_description(text).expect("reads");
        let mut before = None;
        let mut hints = Vec::new();
        for value in &series.values {
            if let SequenceValue::Histogram(h, _) = value {
                let mut hinted = Arc::clone(h);
                set_hint(&mut hinted, before);
                hints.push(hinted.counter_reset_hint);
                before = Some(&**h);
            }
        }
        assert_eq!(hints, [Unknown, NotReset, Unknown, Unknown, Unknown, Gauge, Unknown, Reset]);
    }
}
