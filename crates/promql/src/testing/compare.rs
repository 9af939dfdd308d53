//! When two values are the same, for tests.

use model::{FloatHistogram, is_stale};

use crate::histogram::compact;

/// Relative difference that is none.
const EPSILON: f64 = 0.000_001;

/// True for values whose relative difference is below a millionth. NaN is equal to NaN, the stale marker only
/// to itself.
pub fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

/// True for histograms with the same populated buckets and almost equal numbers; hints count where asked.
pub fn same_histogram(want: &FloatHistogram, got: &FloatHistogram, with_hint: bool) -> bool {
    let (mut want, mut got) = (want.clone(), got.clone());
    compact(&mut want, 0);
    compact(&mut got, 0);
    let lists =
        |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| almost_equal(*a, *b));
    want.schema == got.schema
        && almost_equal(want.count, got.count)
        && almost_equal(want.sum, got.sum)
        && want.zero_threshold == got.zero_threshold
        && almost_equal(want.zero_count, got.zero_count)
        && (!want.uses_custom_buckets() || want.custom_bounds == got.custom_bounds)
        // Spans of compact histograms are unique.
        && want.positive_spans == got.positive_spans
        && want.negative_spans == got.negative_spans
        && lists(&want.positive_buckets, &got.positive_buckets)
        && lists(&want.negative_buckets, &got.negative_buckets)
        && (!with_hint || want.counter_reset_hint == got.counter_reset_hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::STALE_NAN;

    #[test]
    fn nearness_is_relative_and_nan_is_itself() {
        for (a, b, want) in [
            (1.0, 1.0 + 1e-7, true),
            (1.0, 1.0 + 1e-5, false),
            (1e300, 1e300 * (1.0 + 1e-7), true),
            (0.0, 1e-300, false),
            (f64::NAN, f64::NAN, true),
            (f64::NAN, STALE_NAN, false),
            (STALE_NAN, STALE_NAN, true),
            (f64::INFINITY, f64::INFINITY, true),
            (f64::INFINITY, f64::NEG_INFINITY, false),
        ] {
            assert_eq!(almost_equal(a, b), want, "{a} {b}");
        }
    }
}
