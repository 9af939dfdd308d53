//! Sums, differences, products and quotients.

use std::cmp::Ordering;
use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};

use super::buckets::{negative_buckets, positive_buckets, upper_bound};
use super::layout::{Indexed, compact, from_indexed, indexed, merge, reduce};

/// What a sum or difference of two histograms leaves to warn about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Combined {
    /// One is known to be reset and the other known not to be.
    pub reset_collision: bool,
    /// Their custom bounds differed, so the result has those that both share.
    pub bounds_reconciled: bool,
}

/// An exponential histogram and one with custom bounds have no common buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("exponential histograms and histograms with custom buckets cannot be combined")]
pub struct IncompatibleSchemas;

/// Adds `other` to `h`. The coarser schema and the wider zero bucket win.
pub fn add(h: &mut FloatHistogram, other: &FloatHistogram) -> Result<Combined, IncompatibleSchemas> {
    accumulate(h, other, 1.0)
}

/// Subtracts `other` from `h`. The reset hint is treated as by [`add`]; the `-` operator makes the result a
/// gauge beside that.
pub fn sub(h: &mut FloatHistogram, other: &FloatHistogram) -> Result<Combined, IncompatibleSchemas> {
    accumulate(h, other, -1.0)
}

fn accumulate(
    h: &mut FloatHistogram,
    other: &FloatHistogram,
    factor: f64,
) -> Result<Combined, IncompatibleSchemas> {
    if h.uses_custom_buckets() != other.uses_custom_buckets() {
        return Err(IncompatibleSchemas);
    }
    let reset_collision = combine_hints(h, other);
    h.count += factor * other.count;
    h.sum += factor * other.sum;
    let join = |a: f64, b: f64| a + factor * b;
    if h.uses_custom_buckets() {
        let bounds_reconciled = h.custom_bounds != other.custom_bounds;
        let addend;
        let other = if bounds_reconciled {
            let shared = shared_bounds(&h.custom_bounds, &other.custom_bounds);
            map_to_bounds(h, &shared);
            addend = {
                let mut mapped = other.clone();
                map_to_bounds(&mut mapped, &shared);
                mapped
            };
            &addend
        } else {
            other
        };
        join_sides(h, Sides::of(other), join);
        return Ok(Combined { reset_collision, bounds_reconciled });
    }
    let other_zero_count = reconcile_zero_buckets(h, other, |_, _| {});
    h.zero_count += factor * other_zero_count;
    let sides = align(h, other, |_, _| {});
    join_sides(h, sides, join);
    Ok(Combined { reset_collision, bounds_reconciled: false })
}

/// The buckets of both sides, on the schema of whatever they are joined with.
pub(super) struct Sides {
    pub(super) positive: Indexed,
    pub(super) negative: Indexed,
}

impl Sides {
    pub(super) fn of(h: &FloatHistogram) -> Self {
        Self {
            positive: indexed(&h.positive_spans, &h.positive_buckets).collect(),
            negative: indexed(&h.negative_spans, &h.negative_buckets).collect(),
        }
    }

    pub(super) fn store(&self, h: &mut FloatHistogram) {
        (h.positive_spans, h.positive_buckets) = from_indexed(&self.positive);
        (h.negative_spans, h.negative_buckets) = from_indexed(&self.negative);
    }
}

/// Brings `h` to the coarser of two schemas and returns the buckets of `other` there, without those inside
/// the zero bucket of `h`. `also` is told when `h` changes its schema.
pub(super) fn align(
    h: &mut FloatHistogram,
    other: &FloatHistogram,
    also: impl FnOnce(&mut FloatHistogram, i8),
) -> Sides {
    if other.schema < h.schema {
        reduce_resolution(h, other.schema);
        also(h, other.schema);
    }
    let shift = schema_steps(other.schema, h.schema);
    // Before the resolution is lowered: afterwards a bucket may reach beyond the zero bucket that holds it.
    let outside = |list: Indexed| {
        let inside = |(index, _): &(i32, f64)| upper_bound(*index, other.schema) <= h.zero_threshold;
        reduce(list.into_iter().skip_while(inside), shift)
    };
    let sides = Sides::of(other);
    Sides { positive: outside(sides.positive), negative: outside(sides.negative) }
}

pub(super) fn schema_steps(from: i8, to: i8) -> u32 {
    u32::try_from(i32::from(from) - i32::from(to)).unwrap_or(0)
}

fn join_sides(h: &mut FloatHistogram, other: Sides, join: impl Fn(f64, f64) -> f64 + Copy) {
    let own = Sides::of(h);
    Sides {
        positive: merge(&own.positive, &other.positive, join),
        negative: merge(&own.negative, &other.negative, join),
    }
    .store(h);
}

/// The hint of a sum of two; true when they contradict each other.
pub(super) fn combine_hints(h: &mut FloatHistogram, other: &FloatHistogram) -> bool {
    use CounterResetHint::{Gauge, Unknown};
    match (h.counter_reset_hint, other.counter_reset_hint) {
        (own, theirs) if own == theirs => false,
        (Gauge | Unknown, theirs) => {
            if theirs == Gauge {
                h.counter_reset_hint = Gauge;
            }
            false
        }
        (_, hint @ (Gauge | Unknown)) => {
            h.counter_reset_hint = hint;
            false
        }
        _ => {
            h.counter_reset_hint = Unknown;
            true
        }
    }
}

/// Multiplies all counts and the sum. A negative factor makes a gauge.
pub fn mul(h: &mut FloatHistogram, factor: f64) {
    scale(h, |value| value * factor);
    if factor < 0.0 {
        h.counter_reset_hint = CounterResetHint::Gauge;
    }
}

/// Divides all counts and the sum. Zero as divisor leaves no buckets; a negative one makes a gauge.
pub fn div(h: &mut FloatHistogram, divisor: f64) {
    if divisor == 0.0 {
        h.positive_buckets.clear();
        h.positive_spans.clear();
        h.negative_buckets.clear();
        h.negative_spans.clear();
    }
    scale(h, |value| value / divisor);
    if divisor < 0.0 {
        h.counter_reset_hint = CounterResetHint::Gauge;
    }
}

fn scale(h: &mut FloatHistogram, by: impl Fn(f64) -> f64) {
    for value in [&mut h.zero_count, &mut h.count, &mut h.sum]
        .into_iter()
        .chain(&mut h.positive_buckets)
        .chain(&mut h.negative_buckets)
    {
        *value = by(*value);
    }
}

/// True when a count or the sum is infinite.
pub fn has_overflow(h: &FloatHistogram) -> bool {
    [h.zero_count, h.count, h.sum]
        .iter()
        .chain(&h.positive_buckets)
        .chain(&h.negative_buckets)
        .any(|value| value.is_infinite())
}

/// Lowers the resolution of an exponential histogram; a schema that is not lower, or custom bounds, change
/// nothing.
pub fn reduce_resolution(h: &mut FloatHistogram, schema: i8) {
    if h.uses_custom_buckets() || schema >= h.schema {
        return;
    }
    let shift = schema_steps(h.schema, schema);
    let sides = Sides::of(h);
    Sides { positive: reduce(sides.positive, shift), negative: reduce(sides.negative, shift) }.store(h);
    h.schema = schema;
}

/// Widens the zero bucket of `h` until it ends where that of `other` can end too, and returns the zero count
/// that `other` has there. `also` hears every new threshold of `h`.
pub(super) fn reconcile_zero_buckets(
    h: &mut FloatHistogram,
    other: &FloatHistogram,
    mut also: impl FnMut(&mut FloatHistogram, f64),
) -> f64 {
    let (mut count, mut threshold) = (other.zero_count, other.zero_threshold);
    // Each round moves a threshold up to a bucket's bound, so it ends; NaN has no order.
    while threshold.partial_cmp(&h.zero_threshold).is_some_and(Ordering::is_ne) {
        if h.zero_threshold > threshold {
            (count, threshold) = zero_count_at(other, h.zero_threshold);
        }
        if threshold > h.zero_threshold {
            (h.zero_count, h.zero_threshold) = zero_count_at(h, threshold);
            drop_buckets_in_zero(h);
            also(h, h.zero_threshold);
        }
    }
    count
}

/// The zero count with a threshold at least as large as given, moved up where it would cut a populated
/// bucket.
pub(super) fn zero_count_at(h: &FloatHistogram, wanted: f64) -> (f64, f64) {
    let mut threshold = wanted;
    if threshold <= h.zero_threshold {
        return (h.zero_count, h.zero_threshold);
    }
    loop {
        let mut count = h.zero_count;
        for b in positive_buckets(h).take_while(|b| b.lower < wanted.max(threshold)) {
            count += b.count;
            if b.upper > threshold {
                if b.count != 0.0 {
                    threshold = b.upper;
                }
                break;
            }
        }
        let mut moved = false;
        for b in negative_buckets(h).take_while(|b| b.upper > -threshold) {
            count += b.count;
            if b.lower < -threshold {
                if b.count != 0.0 {
                    threshold = -b.lower;
                    moved = true;
                }
                break;
            }
        }
        if !moved {
            return (count, threshold);
        }
    }
}

/// Removes the buckets that the zero bucket covers; their counts are in it already.
pub(super) fn drop_buckets_in_zero(h: &mut FloatHistogram) {
    let threshold = h.zero_threshold;
    let positive = positive_buckets(h).take_while(|b| b.lower < threshold).count();
    let negative = negative_buckets(h).take_while(|b| b.upper > -threshold).count();
    h.positive_buckets.iter_mut().take(positive).for_each(|count| *count = 0.0);
    h.negative_buckets.iter_mut().take(negative).for_each(|count| *count = 0.0);
    compact(h, 0);
}

/// The custom bounds that two histograms share.
pub(super) fn shared_bounds(a: &[f64], b: &[f64]) -> Arc<[f64]> {
    a.iter().copied().filter(|bound| b.binary_search_by(|other| other.total_cmp(bound)).is_ok()).collect()
}

/// Joins custom buckets until only the given bounds are left.
pub(super) fn map_to_bounds(h: &mut FloatHistogram, bounds: &Arc<[f64]>) {
    let mut list: Indexed = Vec::new();
    for (index, count) in indexed(&h.positive_spans, &h.positive_buckets) {
        let upper = usize::try_from(index).ok().and_then(|i| h.custom_bounds.get(i));
        let target = upper.map_or(bounds.len(), |upper| bounds.partition_point(|bound| bound < upper)) as i32;
        match list.last_mut() {
            Some(last) if last.0 == target => last.1 += count,
            _ => list.push((target, count)),
        }
    }
    (h.positive_spans, h.positive_buckets) = from_indexed(&list);
    h.custom_bounds = Arc::clone(bounds);
}
