//! Orders of vectors, for instant queries.

use std::cmp::Ordering;

use super::column::Series;
use super::quantile::nan_first;

/// By value, NaN last either way; equal values keep their order.
pub(crate) fn by_value(series: &mut [Series], descending: bool) {
    let value = |s: &Series| s.column.float(0).unwrap_or(f64::NAN);
    series.sort_by(|a, b| {
        let (a, b) = (value(a), value(b));
        match (a.is_nan(), b.is_nan()) {
            (false, false) if descending => nan_first(&b, &a),
            (false, false) => nan_first(&a, &b),
            (a, b) => a.cmp(&b),
        }
    });
}

/// By the values of labels in natural order, then by all labels.
pub(crate) fn by_labels(series: &mut [Series], names: &[String], descending: bool) {
    series.sort_by(|a, b| {
        let by_name = names
            .iter()
            .map(|name| natural(a.labels.get(name).unwrap_or(""), b.labels.get(name).unwrap_or("")));
        let order = by_name.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels));
        if descending { order.reverse() } else { order }
    });
}

/// Natural order: runs of digits compare as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_runs, mut b_runs) = (runs(a), runs(b));
    loop {
        let order = match (a_runs.next(), b_runs.next()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(x), Some(y)) => compare_runs(x, y),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_runs(a: &str, b: &str) -> Ordering {
    let number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    if number(a) && number(b) {
        let (x, y) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
        return x.len().cmp(&y.len()).then_with(|| x.cmp(y));
    }
    a.cmp(b)
}

/// Pieces that are all digits or have none.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let digits = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_compare_as_numbers() {
        let mut texts = ["node10", "node2", "node1", "node", "4.5.0-10", "4.5.0-9", "a01", "a1"];
        texts.sort_by(|a, b| natural(a, b));
        assert_eq!(texts, ["4.5.0-9", "4.5.0-10", "a01", "a1", "node", "node1", "node2", "node10"]);
    }
}
