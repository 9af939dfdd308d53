//! Exponential histograms to native ones.
//!
//! OpenTelemetry's bucket `i` of scale `s` covers `(base^i, base^(i+1)]` and Prometheus's bucket `i` of schema
//! `s` covers `(base^(i-1), base^i]`, with the same base: an index moves by one and the scale is the schema.
//! Scales finer than Prometheus's finest are merged, 2^n buckets into one.

use model::{FloatHistogram, HistogramSpan, Reason};

use super::point::{PointIn, Side};

/// Prometheus's finest and coarsest schemas.
const SCHEMA_MAX: i64 = 8;
const SCHEMA_MIN: i64 = -4;

/// The breadth of the zero bucket where the sender states none, as in Prometheus.
const ZERO_THRESHOLD: f64 = 1e-128;

/// Empty buckets between two filled ones that are cheaper to spell out than a new span.
const GAP_MAX: i64 = 2;

/// The native histogram of a point.
pub(super) fn native(point: &PointIn) -> Result<FloatHistogram, (Reason, String)> {
    if point.is_stale() {
        return Ok(FloatHistogram::stale());
    }
    if point.scale < SCHEMA_MIN {
        let text =
            format!("scale {} is below {SCHEMA_MIN}, the coarsest that native histograms have", point.scale);
        return Err((Reason::Unsupported, text));
    }
    if point.scale > i64::from(i32::MAX) {
        return Err((Reason::InvalidHistogram, format!("scale {} is out of range", point.scale)));
    }
    let merge = (point.scale - SCHEMA_MAX).max(0) as u32;
    let mut h = FloatHistogram {
        schema: point.scale.min(SCHEMA_MAX) as i8,
        zero_threshold: if point.zero_threshold > 0.0 { point.zero_threshold } else { ZERO_THRESHOLD },
        zero_count: point.zero_count as f64,
        count: point.count as f64,
        sum: point.sum.unwrap_or(0.0),
        ..FloatHistogram::default()
    };
    buckets(&point.positive, merge, &mut h.positive_spans, &mut h.positive_buckets)?;
    buckets(&point.negative, merge, &mut h.negative_spans, &mut h.negative_buckets)?;
    h.validate().map_err(|error| (Reason::InvalidHistogram, error.to_string()))?;
    Ok(h)
}

fn buckets(
    side: &Side,
    merge: u32,
    spans: &mut Vec<HistogramSpan>,
    counts: &mut Vec<f64>,
) -> Result<(), (Reason, String)> {
    // The index behind the last bucket written; `None` before the first.
    let mut next: Option<i64> = None;
    for (i, count) in side.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let fine = i64::from(side.offset) + i as i64;
        let index = (fine >> merge.min(63)) + 1;
        if next == Some(index + 1) {
            *counts.last_mut().expect("a bucket was written") += *count as f64;
            continue;
        }
        let gap = index - next.unwrap_or(0);
        match spans.last_mut() {
            Some(span) if gap <= GAP_MAX => {
                counts.extend(std::iter::repeat_n(0.0, gap as usize));
                span.length += gap as u32 + 1;
            }
            _ => {
                let offset = i32::try_from(gap)
                    .map_err(|_| (Reason::InvalidHistogram, "a bucket's index is out of range".to_owned()))?;
                spans.push(HistogramSpan { offset, length: 1 });
            }
        }
        counts.push(*count as f64);
        next = Some(index + 1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(scale: i64, offset: i32, counts: &[u64]) -> PointIn {
        let count = counts.iter().sum();
        PointIn { scale, count, positive: Side { offset, counts: counts.to_vec() }, ..PointIn::default() }
    }

    #[track_caller]
    fn check(scale: i64, offset: i32, counts: &[u64], schema: i8, spans: &[(i32, u32)], buckets: &[f64]) {
        let h = native(&point(scale, offset, counts)).expect("valid");
        let got: Vec<_> = h.positive_spans.iter().map(|s| (s.offset, s.length)).collect();
        assert_eq!((h.schema, got.as_slice(), h.positive_buckets.as_slice()), (schema, spans, buckets));
    }

    #[test]
    fn indexes_move_by_one() {
        check(2, 0, &[1, 2], 2, &[(1, 2)], &[1.0, 2.0]);
        check(2, -1, &[1, 2], 2, &[(0, 2)], &[1.0, 2.0]);
        check(0, 5, &[], 0, &[], &[]);
    }

    #[test]
    fn small_gaps_are_filled_and_large_ones_start_a_span() {
        check(0, 0, &[1, 0, 0, 1], 0, &[(1, 4)], &[1.0, 0.0, 0.0, 1.0]);
        check(0, 0, &[1, 0, 0, 0, 1], 0, &[(1, 1), (3, 1)], &[1.0, 1.0]);
        check(0, 0, &[0, 0, 0, 0, 1], 0, &[(5, 1)], &[1.0]);
    }

    #[test]
    fn scales_finer_than_eight_merge() {
        // Scale 10 to 8: four fine buckets to one, with indexes -4..4 in 0 and 1 after the shift by one.
        check(10, -4, &[1, 1, 1, 1, 2, 2, 2, 2], 8, &[(0, 2)], &[4.0, 8.0]);
        check(9, -1, &[1, 2, 3], 8, &[(0, 2)], &[1.0, 5.0]);
        check(70, 0, &[1, 1], 8, &[(1, 1)], &[2.0]);
    }

    #[test]
    fn what_cannot_be_native_is_refused() {
        assert_eq!(native(&point(-5, 0, &[1])).expect_err("too coarse").0, Reason::Unsupported);
        let edge = native(&point(0, i32::MAX, &[1])).expect_err("index overflows");
        assert_eq!(edge.0, Reason::InvalidHistogram);
    }
}
