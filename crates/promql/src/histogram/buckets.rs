//! Buckets with their bounds.

use std::fmt;

use model::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram};

use super::layout::indexed;
use crate::syntax::format_compact;

/// One bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Whether an observation equal to the lower bound is inside.
    pub lower_inclusive: bool,
    /// Whether an observation equal to the upper bound is inside.
    pub upper_inclusive: bool,
    /// Observations.
    pub count: f64,
}

impl Bucket {
    /// The part of the observations to the left of a value inside the bucket, spread evenly.
    pub(super) fn share_linear(&self, value: f64) -> f64 {
        (value - self.lower) / (self.upper - self.lower)
    }

    /// The same, spread evenly over the logarithm of the distance to zero.
    pub(super) fn share_exponential(&self, value: f64) -> f64 {
        let log = |v: f64| v.abs().log2();
        let (lower, upper, value_log) = (log(self.lower), log(self.upper), log(value));
        if value > 0.0 {
            (value_log - lower) / (upper - lower)
        } else {
            1.0 - (value_log - upper) / (lower - upper)
        }
    }

    /// True when zero is inside or on a bound.
    pub(super) fn spans_zero(&self) -> bool {
        self.lower <= 0.0 && self.upper >= 0.0
    }
}

impl fmt::Display for Bucket {
    /// `(1,2]:3`; brackets say which bounds are inside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{},{}{}:{}",
            if self.lower_inclusive { '[' } else { '(' },
            format_compact(self.lower),
            format_compact(self.upper),
            if self.upper_inclusive { ']' } else { ')' },
            format_compact(self.count)
        )
    }
}

/// The upper bound of a positive bucket of an exponential schema; for negative buckets, the lower bound
/// with the other sign.
pub fn upper_bound(index: i32, schema: i8) -> f64 {
    /// Buckets end at this power of two, and what is above is in one more bucket up to infinity.
    const EXPONENT_MAX: i32 = 1024;
    let (exponent, fraction) = if schema <= 0 {
        let shift = (-i32::from(schema)) as u32;
        (i64::from(index) << shift.min(31), 0.0)
    } else {
        let shift = schema.min(30) as u32;
        let steps = index & ((1 << shift) - 1);
        (i64::from(index >> shift), f64::from(steps) / f64::from(1 << shift))
    };
    let exponent = exponent.clamp(-2000, 2000) as i32;
    if exponent == EXPONENT_MAX && fraction == 0.0 {
        return f64::MAX;
    }
    // Two factors, for powers that are only reached through subnormal numbers.
    let half = exponent / 2;
    fraction.exp2() * f64::from(half).exp2() * f64::from(exponent - half).exp2()
}

fn bound(index: i32, h: &FloatHistogram) -> f64 {
    if h.schema != CUSTOM_BUCKETS_SCHEMA {
        return upper_bound(index, h.schema);
    }
    match usize::try_from(index) {
        Ok(i) => h.custom_bounds.get(i).copied().unwrap_or(f64::INFINITY),
        Err(_) => f64::NEG_INFINITY,
    }
}

/// The positive buckets, ascending; with custom bounds, all of them.
pub fn positive_buckets(h: &FloatHistogram) -> impl Iterator<Item = Bucket> + '_ {
    let custom = h.uses_custom_buckets();
    indexed(&h.positive_spans, &h.positive_buckets).map(move |(index, count)| {
        let (lower, upper) = (bound(index.wrapping_sub(1), h), bound(index, h));
        let lower_inclusive = if custom { index == 0 } else { lower < 0.0 };
        Bucket { lower, upper, lower_inclusive, upper_inclusive: custom || upper > 0.0, count }
    })
}

/// The negative buckets, from zero downwards.
pub fn negative_buckets(h: &FloatHistogram) -> impl Iterator<Item = Bucket> + '_ {
    indexed(&h.negative_spans, &h.negative_buckets).map(move |(index, count)| Bucket {
        lower: -bound(index, h),
        upper: -bound(index.wrapping_sub(1), h),
        lower_inclusive: true,
        upper_inclusive: false,
        count,
    })
}

/// The zero bucket.
pub(super) fn zero_bucket(h: &FloatHistogram) -> Bucket {
    Bucket {
        lower: -h.zero_threshold,
        upper: h.zero_threshold,
        lower_inclusive: true,
        upper_inclusive: true,
        count: h.zero_count,
    }
}

/// All buckets, ascending. Those beside the zero bucket end where it begins.
pub fn buckets(h: &FloatHistogram) -> Vec<Bucket> {
    let zero = h.zero_threshold;
    let clip = |mut b: Bucket| {
        if b.upper < 0.0 && b.upper > -zero {
            b.upper = -zero;
        } else if b.lower > 0.0 && b.lower < zero {
            b.lower = zero;
        }
        b
    };
    let mut out: Vec<Bucket> = negative_buckets(h).map(clip).collect();
    out.reverse();
    if h.zero_count > 0.0 && !h.uses_custom_buckets() {
        out.push(zero_bucket(h));
    }
    out.extend(positive_buckets(h).map(clip));
    out
}

/// The zero bucket of a histogram whose other buckets are all on one side ends at zero on the other.
pub(super) fn lean_to_one_side(mut bucket: Bucket, h: &FloatHistogram) -> Bucket {
    match (h.negative_buckets.is_empty(), h.positive_buckets.is_empty()) {
        (true, false) => bucket.lower = 0.0,
        (false, true) => bucket.upper = 0.0,
        _ => {}
    }
    bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_powers_of_two_and_their_roots() {
        for (index, schema, want) in [
            (0, 0, 1.0),
            (1, 0, 2.0),
            (-1, 0, 0.5),
            (1024, 0, f64::MAX),
            (1025, 0, f64::INFINITY),
            (-1074, 0, f64::from_bits(1)),
            (1, 1, std::f64::consts::SQRT_2),
            (2, 1, 2.0),
            (-1, 1, std::f64::consts::FRAC_1_SQRT_2),
            (1, -2, 16.0),
            (256, 8, 2.0),
            (256 * 1024, 8, f64::MAX),
            (i32::MAX, 8, f64::INFINITY),
            (i32::MIN, -4, 0.0),
        ] {
            let got = upper_bound(index, schema);
            assert!(got == want || (got / want - 1.0).abs() < 1e-15, "{index} {schema}: {got} {want}");
        }
    }
}
