//! Where the chunks of a series begin and end.
//!
//! A chunk holds up to some thousand samples, enough for dense codes and few enough that a short range reads
//! little. Boundaries lie on absolute times, so that series with the same timestamps share them even when
//! they began at different times.

use std::ops::Range;
use std::sync::Arc;

use model::{Exemplar, FloatHistogram};

use super::chunk::{Effort, SAMPLES_MAX};

/// Widths that a chunk may have, milliseconds, each a multiple of the one before.
const WIDTHS_MS: [i64; 9] = [
    1_000,
    10_000,
    60_000,
    600_000,
    3_600_000,
    4 * 3_600_000,
    24 * 3_600_000,
    7 * 86_400_000,
    28 * 86_400_000,
];
/// Samples that a chunk aims not to exceed: a day at an interval of 15 seconds.
const SAMPLES_AIM: usize = 6_000;
const _: () = assert!(SAMPLES_AIM <= SAMPLES_MAX);
/// Numbers of all the histograms of a chunk.
const HISTOGRAM_NUMBERS_AIM: usize = 1 << 17;
/// Bytes of the labels of all the exemplars of a chunk.
const EXEMPLAR_BYTES_AIM: usize = 256 << 10;

/// Ranges of float samples, each for one chunk.
pub(crate) fn float_chunks(times: &[i64], effort: Effort) -> Vec<Range<usize>> {
    split(times, effort, |_| 1, SAMPLES_AIM)
}

/// Ranges of histogram samples, each for one chunk.
pub(crate) fn histogram_chunks(
    times: &[i64],
    histograms: &[Arc<FloatHistogram>],
    effort: Effort,
) -> Vec<Range<usize>> {
    let numbers = |i: usize| histograms[i].positive_buckets.len() + histograms[i].negative_buckets.len() + 4;
    split(times, effort, numbers, HISTOGRAM_NUMBERS_AIM)
}

/// Exemplars, each slice for one chunk.
pub(crate) fn exemplar_chunks(exemplars: &[Exemplar]) -> impl Iterator<Item = &[Exemplar]> {
    let mut rest = exemplars;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |e: &&Exemplar| {
            bytes += e.labels.bytes();
            bytes <= EXEMPLAR_BYTES_AIM
        };
        let count = rest.iter().take(SAMPLES_AIM).take_while(fits).count().max(1);
        let (chunk, after) = rest.split_at_checked(count)?;
        rest = after;
        Some(chunk)
    })
}

fn split(
    times: &[i64],
    effort: Effort,
    weight: impl Fn(usize) -> usize,
    weight_max: usize,
) -> Vec<Range<usize>> {
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return Vec::new() };
    let span = i128::from(last) - i128::from(first);
    let width = width_ms(times.len(), span);
    // A flushed head is short-lived: its chunks need no common boundaries.
    let aligned = effort == Effort::Dense || times.len() > SAMPLES_AIM;
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut weighed = 0;
    for i in 0..times.len() {
        let crosses = aligned && i > start && times[i].div_euclid(width) != times[i - 1].div_euclid(width);
        let heavy = i > start && (weighed + weight(i) > weight_max || i - start == SAMPLES_AIM);
        if crosses || heavy {
            ranges.push(start..i);
            start = i;
            weighed = 0;
        }
        weighed += weight(i);
    }
    ranges.push(start..times.len());
    ranges
}

/// The largest width in which samples at this average distance stay below the aim.
fn width_ms(samples: usize, span_ms: i128) -> i64 {
    let fits = |width: &&i64| i128::from(**width) * samples as i128 <= span_ms.max(1) * SAMPLES_AIM as i128;
    *WIDTHS_MS.iter().rev().find(fits).unwrap_or(&WIDTHS_MS[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;

    fn regular(count: i64, step_ms: i64) -> Vec<i64> {
        (0..count).map(|i| 1_700_000_000_000 + i * step_ms).collect()
    }

    #[test]
    fn chunks_hold_thousands_of_samples_and_end_on_common_boundaries() {
        let hour = 3_600_000;
        for (count, step_ms, width) in
            [(5_760 * 3, 15_000, 24 * hour), (86_400, 1_000, hour), (600, 60_000, 24 * hour)]
        {
            let times = regular(count, step_ms);
            let chunks = float_chunks(&times, Effort::Dense);
            assert!(chunks.iter().all(|c| c.len() <= SAMPLES_AIM), "{step_ms}");
            for two in chunks.windows(2) {
                assert_eq!(two[0].end, two[1].start);
                assert_ne!(times[two[0].end - 1].div_euclid(width), times[two[1].start].div_euclid(width));
            }
            let same_day =
                |c: &Range<usize>| times[c.start].div_euclid(width) == times[c.end - 1].div_euclid(width);
            assert!(chunks.iter().all(same_day), "{step_ms}");
        }
    }

    #[test]
    fn a_flushed_head_keeps_a_series_in_one_chunk() {
        let chunks = float_chunks(&regular(120, 15_000), Effort::Quick);
        assert_eq!(chunks, vec![0..120]);
        assert!(float_chunks(&[], Effort::Quick).is_empty());
        assert_eq!(float_chunks(&[i64::MIN, i64::MAX], Effort::Dense).len(), 2);
    }

    #[test]
    fn crowded_times_are_split_by_count() {
        let mut times = regular(10_000, 1);
        times.push(i64::MAX);
        assert!(float_chunks(&times, Effort::Dense).iter().all(|c| c.len() <= SAMPLES_AIM));
    }

    #[test]
    fn wide_histograms_and_long_exemplars_make_short_chunks() {
        let histogram =
            Arc::new(FloatHistogram { positive_buckets: vec![1.0; 5_000], ..FloatHistogram::default() });
        let histograms = vec![histogram; 100];
        let chunks = histogram_chunks(&regular(100, 15_000), &histograms, Effort::Quick);
        assert_eq!(chunks.iter().map(|c| c.len()).sum::<usize>(), 100);
        assert!(chunks.iter().all(|c| c.len() * 5_004 <= HISTOGRAM_NUMBERS_AIM));
        let labels = Labels::from_pairs([("text", "x".repeat(100_000).as_str())]).expect("labels");
        let exemplars = vec![Exemplar { t_ms: 0, value: 1.0, labels }; 7];
        let sizes: Vec<usize> = exemplar_chunks(&exemplars).map(<[_]>::len).collect();
        assert_eq!(sizes, [2, 2, 2, 1]);
        assert_eq!(exemplar_chunks(&[]).count(), 0);
    }
}
