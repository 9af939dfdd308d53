//! Whether a counter histogram started anew between two samples.

use model::{CounterResetHint, FloatHistogram};

use super::buckets::upper_bound;
use super::combine::{map_to_bounds, schema_steps, shared_bounds, zero_count_at};
use super::layout::{Indexed, indexed, reduce};

/// True when `current` cannot have grown out of `previous`: a count fell, a populated bucket is gone, the
/// resolution rose, or the hint says so.
pub fn detect_reset(current: &FloatHistogram, previous: &FloatHistogram) -> bool {
    match current.counter_reset_hint {
        CounterResetHint::Reset => return true,
        CounterResetHint::NotReset => return false,
        CounterResetHint::Unknown | CounterResetHint::Gauge => {}
    }
    if current.count < previous.count || current.uses_custom_buckets() != previous.uses_custom_buckets() {
        return true;
    }
    if current.uses_custom_buckets() {
        if current.custom_bounds == previous.custom_bounds {
            let side = |h: &FloatHistogram| indexed(&h.positive_spans, &h.positive_buckets).collect();
            return any_fell(&side(current), &side(previous));
        }
        let shared = shared_bounds(&current.custom_bounds, &previous.custom_bounds);
        let mapped = |h: &FloatHistogram| -> Indexed {
            let mut h = h.clone();
            map_to_bounds(&mut h, &shared);
            indexed(&h.positive_spans, &h.positive_buckets).collect()
        };
        return any_fell(&mapped(current), &mapped(previous));
    }
    if current.schema > previous.schema || current.zero_threshold < previous.zero_threshold {
        return true;
    }
    let (previous_zero, threshold) = zero_count_at(previous, current.zero_threshold);
    if threshold != current.zero_threshold || current.zero_count < previous_zero {
        return true;
    }
    let outside = |h: &FloatHistogram, positive: bool| -> Indexed {
        let (spans, buckets) = if positive {
            (&h.positive_spans, &h.positive_buckets)
        } else {
            (&h.negative_spans, &h.negative_buckets)
        };
        let inside = |(index, _): &(i32, f64)| upper_bound(*index, h.schema) <= current.zero_threshold;
        reduce(indexed(spans, buckets).skip_while(inside), schema_steps(h.schema, current.schema))
    };
    [true, false].into_iter().any(|side| any_fell(&outside(current, side), &outside(previous, side)))
}

/// True when a bucket of `previous` has more than the same bucket of `current`.
fn any_fell(current: &Indexed, previous: &Indexed) -> bool {
    let mut current = current.iter().peekable();
    previous.iter().any(|(index, count)| {
        while current.next_if(|(i, _)| i < index).is_some() {}
        let now = current.peek().filter(|(i, _)| i == index).map(|(_, now)| *now);
        match now {
            Some(now) => now < *count,
            None => *count != 0.0,
        }
    })
}
