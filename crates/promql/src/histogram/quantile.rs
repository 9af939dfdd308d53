//! What the buckets say about the observations.

use model::FloatHistogram;

use super::buckets::{Bucket, buckets, lean_to_one_side};

/// The mean of the observations.
pub fn average(h: &FloatHistogram) -> f64 {
    h.sum / h.count
}

/// The value below which the share `q` of the observations lies, interpolated inside its bucket: evenly in
/// custom buckets and the zero bucket, by logarithm elsewhere. NaN observations count as above all others.
pub fn quantile(q: f64, h: &FloatHistogram) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if h.count == 0.0 || q.is_nan() {
        return f64::NAN;
    }
    // From the nearer end, for precision; but the upper end is unknown when there are NaN observations.
    let forward = h.sum.is_nan() || q < 0.5;
    let mut rank = if forward { q } else { 1.0 - q } * h.count;
    let mut all = buckets(h);
    if !forward {
        all.reverse();
    }
    let mut count = 0.0;
    let mut found: Option<Bucket> = None;
    for b in all.into_iter().filter(|b| b.count != 0.0) {
        count += b.count;
        found = Some(b);
        if count >= rank {
            break;
        }
    }
    let Some(mut b) = found else {
        return if h.sum.is_nan() { f64::NAN } else { 0.0 };
    };
    let custom = h.uses_custom_buckets();
    if custom {
        if b.lower == f64::NEG_INFINITY {
            if b.upper <= 0.0 {
                return b.upper;
            }
            b.lower = 0.0;
        } else if b.upper == f64::INFINITY {
            return b.lower;
        }
    } else if b.lower < 0.0 && b.upper > 0.0 {
        b = lean_to_one_side(b, h);
    }
    // Rounding may have pushed it beyond.
    let count = count.min(h.count);
    if count < rank {
        return if h.sum.is_nan() { f64::NAN } else { b.upper };
    }
    rank = if forward { rank - (count - b.count) } else { count - rank };
    let share = rank / b.count;
    if custom || b.spans_zero() {
        return b.lower + (b.upper - b.lower) * share;
    }
    let (lower, upper) = (b.lower.abs().log2(), b.upper.abs().log2());
    if b.lower > 0.0 {
        return (lower + (upper - lower) * share).exp2();
    }
    -(upper + (lower - upper) * (1.0 - share)).exp2()
}

/// The share of the observations between two values. NaN observations are in no share.
pub fn fraction(lower: f64, upper: f64, h: &FloatHistogram) -> f64 {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let all = buckets(h);
    let total = if h.sum.is_nan() { all.iter().map(|b| b.count).sum() } else { h.count };
    let rank = |value: f64| rank_of(value, &all, h).unwrap_or(total).min(total);
    (rank(upper) - rank(lower)) / h.count
}

/// Observations below a value; `None` when all are.
fn rank_of(value: f64, all: &[Bucket], h: &FloatHistogram) -> Option<f64> {
    let custom = h.uses_custom_buckets();
    let mut rank = 0.0;
    for b in all {
        let mut b = *b;
        if custom {
            if b.lower == f64::NEG_INFINITY && b.upper > 0.0 {
                b.lower = 0.0;
            }
        } else if b.spans_zero() {
            b = lean_to_one_side(b, h);
        }
        if b.lower >= value {
            return Some(rank);
        }
        if b.upper > value {
            let share = if b.lower == f64::NEG_INFINITY {
                1.0
            } else if b.upper == f64::INFINITY {
                0.0
            } else if custom || b.spans_zero() {
                b.share_linear(value)
            } else {
                b.share_exponential(value)
            };
            return Some(rank + b.count * share);
        }
        rank += b.count;
    }
    None
}

/// The variance of the observations, each taken as the middle of its bucket: the arithmetic mean of custom
/// bounds, zero in the zero bucket, the geometric mean elsewhere.
pub fn variance(h: &FloatHistogram) -> f64 {
    let mean = average(h);
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for b in buckets(h).into_iter().filter(|b| b.count != 0.0) {
        let middle = if h.uses_custom_buckets() {
            (b.upper + b.lower) / 2.0
        } else if b.spans_zero() {
            0.0
        } else {
            (b.upper * b.lower).sqrt().copysign(b.upper)
        };
        let value = b.count * (middle - mean) * (middle - mean);
        let total = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - total) + value } else { (value - total) + sum };
        sum = total;
    }
    (if sum.is_infinite() { sum } else { sum + lost }) / h.count
}
