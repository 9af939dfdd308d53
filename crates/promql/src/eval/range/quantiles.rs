//! `quantile_over_time` and `mad_over_time`.

use super::Kernel;
use crate::eval::annotations::Note;
use crate::eval::column::Column;
use crate::eval::error::QueryError;
use crate::eval::quantile::quantile;

pub(super) fn quantile_over_time(k: &Kernel<'_>, sorted: &mut Vec<f64>) -> Result<Column, QueryError> {
    k.each_floats(|step, window| {
        let q = k.scalars[0][step];
        if !(0.0..=1.0).contains(&q) {
            k.note(Note::InvalidQuantile(q));
        }
        sorted.clear();
        sorted.extend_from_slice(window.values);
        Ok(quantile(q, sorted))
    })
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
