//! Quantiles of plain numbers.

use std::cmp::Ordering;

/// NaN first, then by value.
pub(crate) fn nan_first(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// NaN first, then by value, zeros by sign: equal only when alike.
pub(crate) fn total(a: &f64, b: &f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => a.total_cmp(b),
        (a, b) => b.cmp(&a),
    }
}

/// The quantile of values, which get sorted.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    values.sort_unstable_by(total);
    quantile_of_sorted(q, values)
}

/// The quantile of values in order: between two values, their weighted mean. NaN for no values or a NaN
/// quantile, infinite outside 0 to 1.
pub(crate) fn quantile_of_sorted(q: f64, values: &[f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor().max(0.0);
    let upper = (lower as usize + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower as usize] * (1.0 - weight) + values[upper] * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_and_put_nan_first() {
        for (q, values, want) in [
            (0.5, &[3.0, 1.0, 2.0][..], 2.0),
            (0.75, &[0.0, 1.0, 2.0, 3.0], 2.25),
            (1.0, &[f64::NAN, 5.0], 5.0),
            (-0.1, &[1.0], f64::NEG_INFINITY),
            (1.1, &[1.0], f64::INFINITY),
        ] {
            assert_eq!(quantile(q, &mut values.to_vec()), want, "{q} of {values:?}");
        }
        assert!(quantile(0.0, &mut [5.0, f64::NAN]).is_nan());
        assert!(quantile(f64::NAN, &mut [5.0]).is_nan() && quantile(0.5, &mut []).is_nan());
    }
}
