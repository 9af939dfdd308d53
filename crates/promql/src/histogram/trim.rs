//! The observations on one side of a bound. A bucket that the bound cuts keeps its share; the sum is then
//! estimated from the middles of what is left.

use model::FloatHistogram;

use super::buckets::{Bucket, buckets, lean_to_one_side, zero_bucket};
use super::layout::compact;

/// Keeps the observations up to a bound (`h </ bound`).
pub fn trim_upper(h: &mut FloatHistogram, bound: f64) {
    trim(h, bound, f64::INFINITY, keep_below);
}

/// Keeps the observations above a bound (`h >/ bound`).
pub fn trim_lower(h: &mut FloatHistogram, bound: f64) {
    trim(h, bound, f64::NEG_INFINITY, keep_above);
}

/// How many observations of a bucket are kept, and their mean.
type Kept = (f64, f64);

const NONE: Kept = (0.0, 0.0);

fn trim(h: &mut FloatHistogram, bound: f64, keeps_all: f64, keep: fn(&Bucket, f64, Spread) -> Kept) {
    if bound == keeps_all {
        return;
    }
    let mut parts = Vec::with_capacity(h.positive_buckets.len() + h.negative_buckets.len() + 1);
    let spread = if h.uses_custom_buckets() { Spread::Custom } else { Spread::Exponential };
    // An infinite bound on the other side keeps nothing.
    let kept = |b: &Bucket, spread| if bound == -keeps_all { NONE } else { keep(b, bound, spread) };
    let all = clipped(h);
    for b in &all {
        parts.push(kept(b, spread));
    }
    let zero = kept(&lean_to_one_side(zero_bucket(h), h), Spread::Zero);
    let zero = if h.zero_count == 0.0 { NONE } else { zero };
    let counts = |h: &FloatHistogram| -> Vec<f64> {
        h.negative_buckets.iter().rev().chain(&h.positive_buckets).copied().collect()
    };
    if zero.0 == h.zero_count && counts(h).iter().zip(&parts).all(|(count, part)| *count == part.0) {
        return;
    }
    let negative = h.negative_buckets.len();
    for (slot, part) in h.negative_buckets.iter_mut().rev().zip(&parts) {
        *slot = part.0;
    }
    for (slot, part) in h.positive_buckets.iter_mut().zip(&parts[negative.min(parts.len())..]) {
        *slot = part.0;
    }
    h.zero_count = zero.0;
    parts.push(zero);
    h.count = parts.iter().map(|part| part.0).sum();
    h.sum = parts.iter().filter(|part| part.0 != 0.0).map(|part| part.0 * part.1).sum();
    compact(h, 0);
}

/// The buckets without the zero bucket, ascending.
fn clipped(h: &FloatHistogram) -> Vec<Bucket> {
    let mut all = buckets(h);
    if h.zero_count > 0.0 && !h.uses_custom_buckets() && h.negative_buckets.len() < all.len() {
        all.remove(h.negative_buckets.len());
    }
    all
}

/// How the observations lie in their bucket.
#[derive(Clone, Copy, PartialEq)]
enum Spread {
    /// Evenly; the outermost buckets have no end.
    Custom,
    /// Evenly.
    Zero,
    /// Evenly by logarithm.
    Exponential,
}

impl Spread {
    fn share(self, b: &Bucket, bound: f64) -> f64 {
        if self == Self::Exponential { b.share_exponential(bound) } else { b.share_linear(bound) }
    }

    fn middle(self, lower: f64, upper: f64) -> f64 {
        if self == Self::Exponential { (lower * upper).sqrt().copysign(upper) } else { (lower + upper) / 2.0 }
    }
}

fn keep_below(b: &Bucket, bound: f64, spread: Spread) -> Kept {
    let mut b = *b;
    // What lies in a bucket without an end is unknown: only the whole range keeps the upper one.
    if b.upper == f64::INFINITY {
        return NONE;
    }
    if b.lower == f64::NEG_INFINITY {
        if b.upper <= 0.0 {
            return (b.count, bound.min(b.upper));
        }
        b.lower = 0.0;
    }
    if b.upper <= bound {
        return (b.count, spread.middle(b.lower, b.upper));
    }
    if b.lower < bound {
        return (b.count * spread.share(&b, bound), spread.middle(b.lower, bound));
    }
    NONE
}

fn keep_above(b: &Bucket, bound: f64, spread: Spread) -> Kept {
    let mut b = *b;
    if b.lower == f64::NEG_INFINITY {
        // Without an end below, unless it is taken to begin at zero and the bound is not below that.
        if b.upper <= 0.0 || b.upper == f64::INFINITY || bound < 0.0 {
            return NONE;
        }
        b.lower = 0.0;
    }
    if b.upper == f64::INFINITY {
        return (b.count, bound.max(b.lower));
    }
    if b.lower >= bound {
        return (b.count, spread.middle(b.lower, b.upper));
    }
    if b.upper > bound {
        return (b.count * (1.0 - spread.share(&b, bound)), spread.middle(bound, b.upper));
    }
    NONE
}
