//! `quantile_over_time` and `mad_over_time`.

use super::Kernel;
use crate::eval::annotations::Note;
use crate::eval::column::Column;
use crate::eval::error::QueryError;
use crate::eval::quantile::{quantile, quantile_of_sorted, total};

pub(super) fn quantile_over_time(k: &Kernel<'_>, sorted: &mut Vec<f64>) -> Result<Column, QueryError> {
    sorted.clear();
    let mut inside = (0, 0);
    k.each_floats(|step, _| {
        let q = k.scalars[0][step];
        if !(0.0..=1.0).contains(&q) {
            k.note(Note::InvalidQuantile(q));
        }
        let bounds = k.windows.float_bounds(step);
        slide(&k.samples.values, sorted, inside, bounds);
        inside = bounds;
        Ok(quantile_of_sorted(q, sorted))
    })
}

/// Makes `sorted`, which has the values inside some bounds in order, those inside others. Where most stay, a
/// few moves cost less than to sort.
fn slide(values: &[f64], sorted: &mut Vec<f64>, from: (usize, usize), to: (usize, usize)) {
    let moves = to.0.saturating_sub(from.0) + to.1.saturating_sub(from.1);
    let forward = from.0 <= to.0 && from.1 <= to.1 && to.0 < from.1;
    if !forward || moves > (to.1 - to.0) / 4 {
        sorted.clear();
        sorted.extend_from_slice(&values[to.0..to.1]);
        sorted.sort_unstable_by(total);
        return;
    }
    let place = |sorted: &[f64], value: &f64| sorted.partition_point(|v| total(v, value).is_lt());
    for value in &values[from.0..to.0] {
        sorted.remove(place(sorted, value));
    }
    for value in &values[from.1..to.1] {
        sorted.insert(place(sorted, value), *value);
    }
}

/// The median of the distances from the median.
pub(super) fn mad_over_time(k: &Kernel<'_>, sorted: &mut Vec<f64>) -> Result<Column, QueryError> {
    k.each_floats(|_, window| {
        if window.values.iter().any(|v| v.is_nan()) {
            return Ok(f64::NAN);
        }
        sorted.clear();
        sorted.extend_from_slice(window.values);
        let median = quantile(0.5, sorted);
        for value in sorted.iter_mut() {
            *value = (*value - median).abs();
        }
        Ok(quantile(0.5, sorted))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sliding_keeps_what_sorting_would_give() {
        let values: Vec<f64> =
            (0..64).map(|i| if i % 9 == 0 { f64::NAN } else { f64::from(i * 37 % 23 - 11) * 0.0 }).collect();
        let mut sorted = Vec::new();
        let mut inside = (0, 0);
        for (lo, hi) in [(0, 20), (1, 22), (3, 22), (5, 30), (40, 60), (41, 61), (41, 41), (50, 64)] {
            slide(&values, &mut sorted, inside, (lo, hi));
            inside = (lo, hi);
            let mut want = values[lo..hi].to_vec();
            want.sort_unstable_by(total);
            let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&sorted), bits(&want), "{lo}..{hi}");
        }
    }
}
