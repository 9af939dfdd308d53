//! Sums of many histograms, each number with a compensation for what rounding lost.

use model::FloatHistogram;

use super::combine::{
    Combined, IncompatibleSchemas, Sides, align, combine_hints, div, map_to_bounds, mul,
    reconcile_zero_buckets, reduce_resolution, shared_bounds,
};
use super::layout::{Indexed, merge};

/// A running sum.
#[derive(Clone, Debug)]
pub struct KahanHistogram {
    sum: FloatHistogram,
    /// What rounding lost, in the same buckets as `sum`.
    lost: FloatHistogram,
}

/// Adds with Neumaier's correction; returns the sum and what is lost.
fn increment(value: f64, sum: f64, lost: f64) -> (f64, f64) {
    let total = sum + value;
    let lost = if total.is_infinite() {
        0.0
    } else if sum.abs() >= value.abs() {
        lost + ((sum - total) + value)
    } else {
        lost + ((value - total) + sum)
    };
    (total, lost)
}

impl KahanHistogram {
    /// A sum of one.
    pub fn new(h: FloatHistogram) -> Self {
        let mut lost = h.clone();
        mul(&mut lost, 0.0);
        // Nothing is lost yet, also where the value is infinite or no number.
        for value in [&mut lost.zero_count, &mut lost.count, &mut lost.sum]
            .into_iter()
            .chain(&mut lost.positive_buckets)
            .chain(&mut lost.negative_buckets)
        {
            *value = 0.0;
        }
        Self { sum: h, lost }
    }

    /// The sum without what was lost.
    pub fn sum(&self) -> &FloatHistogram {
        &self.sum
    }

    /// Adds a histogram.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<Combined, IncompatibleSchemas> {
        let Self { sum, lost } = self;
        if sum.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(IncompatibleSchemas);
        }
        let reset_collision = combine_hints(sum, other);
        let mut bounds_reconciled = false;
        let addend;
        let sides = if sum.uses_custom_buckets() {
            bounds_reconciled = sum.custom_bounds != other.custom_bounds;
            if bounds_reconciled {
                let shared = shared_bounds(&sum.custom_bounds, &other.custom_bounds);
                map_to_bounds(sum, &shared);
                map_to_bounds(lost, &shared);
                addend = {
                    let mut mapped = other.clone();
                    map_to_bounds(&mut mapped, &shared);
                    mapped
                };
                Sides::of(&addend)
            } else {
                Sides::of(other)
            }
        } else {
            let zero_count = reconcile_zero_buckets(sum, other, |_, threshold| absorb(lost, threshold));
            (sum.zero_count, lost.zero_count) = increment(zero_count, sum.zero_count, lost.zero_count);
            align(sum, other, |_, schema| reduce_resolution(lost, schema))
        };
        (sum.count, lost.count) = increment(other.count, sum.count, lost.count);
        (sum.sum, lost.sum) = increment(other.sum, sum.sum, lost.sum);
        let (own, kept) = (Sides::of(sum), Sides::of(lost));
        let (positive, positive_lost) = add_side(&own.positive, &kept.positive, &sides.positive);
        let (negative, negative_lost) = add_side(&own.negative, &kept.negative, &sides.negative);
        Sides { positive, negative }.store(sum);
        Sides { positive: positive_lost, negative: negative_lost }.store(lost);
        Ok(Combined { reset_collision, bounds_reconciled })
    }

    /// Multiplies everything.
    pub fn mul(&mut self, factor: f64) {
        mul(&mut self.sum, factor);
        mul(&mut self.lost, factor);
    }

    /// Divides everything.
    pub fn div(&mut self, divisor: f64) {
        div(&mut self.sum, divisor);
        div(&mut self.lost, divisor);
    }

    /// The sum with what was lost.
    pub fn finish(self) -> FloatHistogram {
        let Self { mut sum, lost } = self;
        sum.zero_count += lost.zero_count;
        sum.count += lost.count;
        sum.sum += lost.sum;
        let (own, kept) = (Sides::of(&sum), Sides::of(&lost));
        let join = |a: f64, b: f64| a + b;
        Sides {
            positive: merge(&own.positive, &kept.positive, join),
            negative: merge(&own.negative, &kept.negative, join),
        }
        .store(&mut sum);
        sum
    }
}

/// One side of the sum and of what is lost, after adding a side.
fn add_side(sum: &Indexed, lost: &Indexed, added: &Indexed) -> (Indexed, Indexed) {
    let all = merge(&merge(sum, added, |_, _| 0.0), lost, |_, _| 0.0);
    let spread = |list: &Indexed| merge(list, &all, |value, _| value);
    let (sum, lost, added) = (spread(sum), spread(lost), spread(added));
    let steps = sum.iter().zip(&added).zip(&lost);
    steps
        .map(|((sum, added), lost)| {
            let (total, rest) = increment(added.1, sum.1, lost.1);
            ((sum.0, total), (sum.0, rest))
        })
        .unzip()
}

/// Follows a zero bucket that grew, whatever the counts.
fn absorb(lost: &mut FloatHistogram, threshold: f64) {
    use super::buckets::{negative_buckets, positive_buckets};
    let inside = positive_buckets(lost).take_while(|b| b.lower < threshold).map(|b| b.count).sum::<f64>()
        + negative_buckets(lost).take_while(|b| b.upper > -threshold).map(|b| b.count).sum::<f64>();
    lost.zero_count += inside;
    lost.zero_threshold = threshold;
    super::combine::drop_buckets_in_zero(lost);
}
