//! Classic histograms: quantiles and fractions of cumulative bucket counts.

/// Relative difference of two counts that is taken for rounding.
const SMALL_DELTA: f64 = 1e-12;

/// The count of observations up to a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ClassicBucket {
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

/// Counts that had to be raised because a smaller bound had more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Forced {
    pub(crate) bounds: (f64, f64),
    pub(crate) diff_max: f64,
}

/// The quantile of buckets that are sorted by bound. They get united where bounds are equal, and their counts
/// corrected. NaN without a `+Inf` bucket, with fewer than two, or without observations.
pub(crate) fn bucket_quantile(q: f64, buckets: &mut Vec<ClassicBucket>) -> (f64, Option<Forced>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return (f64::NAN, None);
    }
    unite(buckets);
    let forced = correct(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if buckets.len() < 2 || observations == 0.0 || observations.is_nan() {
        return (f64::NAN, forced);
    }
    let rank = q * observations;
    let found = buckets[..last].partition_point(|b| b.count < rank || b.count.is_nan());
    if found == last {
        return (buckets[last - 1].upper, forced);
    }
    if found == 0 && buckets[0].upper <= 0.0 {
        return (buckets[0].upper, forced);
    }
    let (lower, below) = match found.checked_sub(1) {
        Some(before) => (buckets[before].upper, buckets[before].count),
        None => (0.0, 0.0),
    };
    let ClassicBucket { upper, count } = buckets[found];
    (lower + (upper - lower) * ((rank - below) / (count - below)), forced)
}

/// The share of the observations between two values, from buckets that are sorted by bound.
pub(crate) fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<ClassicBucket>) -> f64 {
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return f64::NAN;
    }
    unite(buckets);
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank = |value| bucket_rank(value, buckets).unwrap_or(count).min(count);
    (rank(upper) - rank(lower)) / count
}

/// How many observations lie below a value; `None` when it is above all bounds.
fn bucket_rank(value: f64, buckets: &[ClassicBucket]) -> Option<f64> {
    // Buckets that begin above zero are taken to have no negative observations.
    let mut lower = if buckets[0].upper > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    let mut below = 0.0;
    for bucket in buckets {
        if lower >= value {
            return Some(below);
        }
        if bucket.upper > value {
            if lower == f64::NEG_INFINITY {
                return Some(bucket.count);
            }
            return Some(below + (bucket.count - below) * (value - lower) / (bucket.upper - lower));
        }
        (lower, below) = (bucket.upper, bucket.count);
    }
    None
}

/// Adds up buckets with equal bounds.
fn unite(buckets: &mut Vec<ClassicBucket>) {
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
}

/// Makes counts ascend. Differences as small as rounding are ignored in silence, others reported.
fn correct(buckets: &mut [ClassicBucket]) -> Option<Forced> {
    let mut forced: Option<Forced> = None;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if almost_equal(before, count) {
            bucket.count = before;
        } else if count < before {
            bucket.count = before;
            let upper = bucket.upper;
            let entry = forced.get_or_insert(Forced { bounds: (upper, upper), diff_max: 0.0 });
            entry.bounds = (entry.bounds.0.min(upper), entry.bounds.1.max(upper));
            entry.diff_max = entry.diff_max.max(before - count);
        } else {
            before = count;
        }
    }
    forced
}

/// Equal but for rounding, relative to their size.
fn almost_equal(a: f64, b: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, diff) = (a.abs() + b.abs(), (a - b).abs());
    if diff > 1e-6 * sum {
        return false; // most are, and a division is slow
    }
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < SMALL_DELTA
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<ClassicBucket> {
        pairs.iter().map(|(upper, count)| ClassicBucket { upper: *upper, count: *count }).collect()
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn quantiles_interpolate_between_bounds() {
        for (q, pairs, want) in [
            (0.5, &[(1.0, 2.0), (2.0, 4.0), (INF, 4.0)][..], 1.0),
            (0.75, &[(1.0, 2.0), (2.0, 4.0), (INF, 4.0)], 1.5),
            (1.0, &[(1.0, 2.0), (INF, 4.0)], 1.0),
            (0.1, &[(-1.0, 2.0), (INF, 4.0)], -1.0),
            (0.25, &[(1.0, 1.0), (1.0, 1.0), (INF, 4.0)], 0.5),
        ] {
            assert_eq!(bucket_quantile(q, &mut buckets(pairs)), (want, None), "{q} of {pairs:?}");
        }
        for pairs in [&[][..], &[(1.0, 1.0)], &[(INF, 1.0)], &[(1.0, 0.0), (INF, 0.0)]] {
            assert!(bucket_quantile(0.5, &mut buckets(pairs)).0.is_nan(), "{pairs:?}");
        }
    }

    #[test]
    fn falling_counts_are_raised_and_reported() {
        let mut falling = buckets(&[(1.0, 5.0), (2.0, 3.0), (3.0, 4.0), (INF, 10.0)]);
        let (_, forced) = bucket_quantile(0.5, &mut falling);
        assert_eq!(forced, Some(Forced { bounds: (2.0, 3.0), diff_max: 2.0 }));
        let mut rounded = buckets(&[(1.0, 5.0), (2.0, 5.0 - 1e-14), (INF, 10.0)]);
        assert_eq!(bucket_quantile(0.5, &mut rounded).1, None);
    }

    #[test]
    fn fractions_are_the_inverse() {
        let pairs = [(1.0, 2.0), (2.0, 4.0), (INF, 4.0)];
        for (lower, upper, want) in
            [(0.0, 1.0, 0.5), (0.5, 1.5, 0.5), (f64::NEG_INFINITY, INF, 1.0), (3.0, 2.0, 0.0)]
        {
            assert_eq!(bucket_fraction(lower, upper, &mut buckets(&pairs)), want);
        }
    }
}
