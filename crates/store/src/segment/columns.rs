//! Joining columns of samples: appending pieces, and merging what several sources have of one series.

use std::sync::Arc;

use model::{FloatHistogram, SampleColumns};

/// Keeps the rule that starts are either for all samples or for none.
fn append_starts(all: &mut Vec<i64>, before: usize, starts: Option<&[i64]>, added: usize) {
    match starts.filter(|s| !s.is_empty()) {
        Some(starts) => {
            all.resize(before, 0);
            all.extend_from_slice(starts);
        }
        None if !all.is_empty() => all.resize(before + added, 0),
        None => {}
    }
}

/// Appends float samples; `starts` is empty or as long as `times`.
pub(crate) fn append_floats(out: &mut SampleColumns, times: &[i64], values: &[f64], starts: Option<&[i64]>) {
    append_starts(&mut out.starts_ms, out.t_ms.len(), starts, times.len());
    out.t_ms.extend_from_slice(times);
    out.values.extend_from_slice(values);
}

/// Appends histogram samples; `starts` is empty or as long as `times`.
pub(crate) fn append_histograms(
    out: &mut SampleColumns,
    times: &[i64],
    histograms: &[Arc<FloatHistogram>],
    starts: Option<&[i64]>,
) {
    append_starts(&mut out.histogram_starts_ms, out.histogram_t_ms.len(), starts, times.len());
    out.histogram_t_ms.extend_from_slice(times);
    out.histograms.extend_from_slice(histograms);
}

/// Appends all samples of `part`.
fn append(out: &mut SampleColumns, part: &SampleColumns) {
    append_floats(out, &part.t_ms, &part.values, Some(&part.starts_ms));
    append_histograms(out, &part.histogram_t_ms, &part.histograms, Some(&part.histogram_starts_ms));
}

/// First and last time of the samples.
pub(crate) fn time_span(columns: &SampleColumns) -> Option<(i64, i64)> {
    let firsts = [columns.t_ms.first(), columns.histogram_t_ms.first()];
    let lasts = [columns.t_ms.last(), columns.histogram_t_ms.last()];
    let min = firsts.into_iter().flatten().min()?;
    let max = lasts.into_iter().flatten().max()?;
    Some((*min, *max))
}

/// Merges what several sources have of one series: of samples at the same time, whatever their kind, the one
/// of the last source wins. Each source is sorted by time and unique in it.
pub fn merge_columns(parts: &[SampleColumns]) -> SampleColumns {
    let mut out = SampleColumns::default();
    if in_order(parts) {
        parts.iter().for_each(|part| append(&mut out, part));
        return out;
    }
    /// Time, source, position, whether a histogram.
    type Sample = (i64, usize, usize, bool);
    let mut samples: Vec<Sample> = Vec::with_capacity(parts.iter().map(SampleColumns::len).sum());
    for (source, part) in parts.iter().enumerate() {
        samples.extend(part.t_ms.iter().enumerate().map(|(i, &t)| (t, source, i, false)));
        samples.extend(part.histogram_t_ms.iter().enumerate().map(|(i, &t)| (t, source, i, true)));
    }
    samples.sort_unstable();
    let start = |starts: &[i64], i: usize| starts.get(i).copied().unwrap_or(0);
    let has_starts = parts.iter().any(|p| !p.starts_ms.is_empty());
    let has_histogram_starts = parts.iter().any(|p| !p.histogram_starts_ms.is_empty());
    for (at, &(t_ms, source, i, is_histogram)) in samples.iter().enumerate() {
        if samples.get(at + 1).is_some_and(|next| next.0 == t_ms) {
            continue;
        }
        let part = &parts[source];
        if is_histogram {
            out.histogram_t_ms.push(t_ms);
            out.histograms.push(part.histograms[i].clone());
            if has_histogram_starts {
                out.histogram_starts_ms.push(start(&part.histogram_starts_ms, i));
            }
        } else {
            out.t_ms.push(t_ms);
            out.values.push(part.values[i]);
            if has_starts {
                out.starts_ms.push(start(&part.starts_ms, i));
            }
        }
    }
    out
}

/// True when each source ends before the next begins.
fn in_order(parts: &[SampleColumns]) -> bool {
    let mut last = None;
    parts.iter().filter_map(time_span).all(|(min, max)| {
        let after = last.is_none_or(|last| last < min);
        last = Some(max);
        after
    })
}

/// Removes the samples whose time the predicate refuses.
pub fn retain_times(columns: &mut SampleColumns, keep: impl Fn(i64) -> bool) {
    fn filter<T>(items: &mut Vec<T>, kept: &[bool]) {
        if !items.is_empty() {
            let mut kept = kept.iter();
            items.retain(|_| *kept.next().expect("one for each"));
        }
    }
    let kept: Vec<bool> = columns.t_ms.iter().map(|&t| keep(t)).collect();
    filter(&mut columns.values, &kept);
    filter(&mut columns.starts_ms, &kept);
    filter(&mut columns.t_ms, &kept);
    let kept: Vec<bool> = columns.histogram_t_ms.iter().map(|&t| keep(t)).collect();
    filter(&mut columns.histograms, &kept);
    filter(&mut columns.histogram_starts_ms, &kept);
    filter(&mut columns.histogram_t_ms, &kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn floats(samples: &[(i64, f64)], starts: &[i64]) -> SampleColumns {
        SampleColumns {
            t_ms: samples.iter().map(|s| s.0).collect(),
            values: samples.iter().map(|s| s.1).collect(),
            starts_ms: starts.to_vec(),
            ..SampleColumns::default()
        }
    }

    #[test]
    fn starts_are_for_all_or_for_none() {
        let parts = [floats(&[(1, 1.0)], &[]), floats(&[(2, 2.0)], &[7]), floats(&[(3, 3.0)], &[])];
        assert_eq!(merge_columns(&parts), floats(&[(1, 1.0), (2, 2.0), (3, 3.0)], &[0, 7, 0]));
        let overlapping = [parts[1].clone(), floats(&[(1, 5.0), (3, 6.0)], &[])];
        assert_eq!(merge_columns(&overlapping), floats(&[(1, 5.0), (2, 2.0), (3, 6.0)], &[0, 7, 0]));
    }

    #[test]
    fn a_later_histogram_replaces_a_float_of_the_same_time() {
        let histogram = SampleColumns {
            histogram_t_ms: vec![2],
            histograms: vec![Arc::new(FloatHistogram::default())],
            ..SampleColumns::default()
        };
        let merged = merge_columns(&[floats(&[(1, 1.0), (2, 2.0)], &[]), histogram]);
        assert_eq!((merged.t_ms, merged.histogram_t_ms), (vec![1], vec![2]));
    }

    proptest! {
        #[test]
        fn the_last_source_wins(
            parts in prop::collection::vec(prop::collection::btree_map(0i64..30, 0u32..1000, 0..20), 0..5)
        ) {
            let columns: Vec<SampleColumns> = parts
                .iter()
                .map(|p| floats(&p.iter().map(|(t, v)| (*t, f64::from(*v))).collect::<Vec<_>>(), &[]))
                .collect();
            let want: BTreeMap<i64, u32> = parts.into_iter().flatten().collect();
            let mut merged = merge_columns(&columns);
            prop_assert_eq!(&merged.t_ms, &want.keys().copied().collect::<Vec<_>>());
            prop_assert_eq!(&merged.values, &want.values().map(|v| f64::from(*v)).collect::<Vec<_>>());
            retain_times(&mut merged, |t| t % 2 == 0);
            prop_assert!(merged.t_ms.iter().all(|t| t % 2 == 0) && merged.t_ms.len() == merged.values.len());
        }
    }
}
