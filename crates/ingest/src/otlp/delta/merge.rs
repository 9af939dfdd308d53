//! Adding native histograms of different resolution and breadth of the zero bucket.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, HistogramSpan};

use super::Total;

/// Empty buckets between two filled ones that are cheaper to spell out than a new span.
const GAP_MAX: i64 = 2;

/// The sum of a total and an increment; `None` when they are of different kinds.
pub(super) fn sum(total: &Total, add: &Total) -> Option<Total> {
    match (total, add) {
        (Total::Float(total), Total::Float(add)) => Some(Total::Float(total + add)),
        (Total::Histogram(total), Total::Histogram(add)) => {
            Some(Total::Histogram(Arc::new(histograms(total, add)?)))
        }
        _ => None,
    }
}

/// Index and count of filled buckets, ascending.
type Buckets = Vec<(i64, f64)>;

/// The sum at the coarser of the two resolutions; `None` when custom bounds differ.
fn histograms(a: &FloatHistogram, b: &FloatHistogram) -> Option<FloatHistogram> {
    let custom = a.uses_custom_buckets() || b.uses_custom_buckets();
    if custom && (a.schema != b.schema || a.custom_bounds != b.custom_bounds) {
        return None;
    }
    let schema = a.schema.min(b.schema);
    let side = |h: &FloatHistogram, spans: &[HistogramSpan], counts: &[f64]| {
        let merge = (i32::from(h.schema) - i32::from(schema)).max(0) as u32;
        coarser(filled(spans, counts), merge)
    };
    let mut out = FloatHistogram {
        counter_reset_hint: CounterResetHint::Unknown,
        schema,
        zero_count: a.zero_count + b.zero_count,
        count: a.count + b.count,
        sum: a.sum + b.sum,
        custom_bounds: a.custom_bounds.clone(),
        ..FloatHistogram::default()
    };
    let mut positive = added(
        side(a, &a.positive_spans, &a.positive_buckets),
        side(b, &b.positive_spans, &b.positive_buckets),
    );
    let mut negative = added(
        side(a, &a.negative_spans, &a.negative_buckets),
        side(b, &b.negative_spans, &b.negative_buckets),
    );
    if !custom {
        out.zero_threshold = a.zero_threshold.max(b.zero_threshold);
        if a.zero_threshold != b.zero_threshold {
            widen_zero(&mut out, &mut positive, &mut negative);
        }
    }
    (out.positive_spans, out.positive_buckets) = spans(positive);
    (out.negative_spans, out.negative_buckets) = spans(negative);
    Some(out)
}

/// Moves what the zero bucket now covers into it. A bucket that it covers in part goes whole, and the
/// threshold grows to its end, so that no observation changes its bucket silently.
fn widen_zero(out: &mut FloatHistogram, positive: &mut Buckets, negative: &mut Buckets) {
    loop {
        let threshold = out.zero_threshold;
        for side in [&mut *positive, &mut *negative] {
            let end = side.partition_point(|(index, _)| lower_bound(out.schema, *index) < threshold);
            for (index, count) in side.drain(..end) {
                out.zero_count += count;
                out.zero_threshold = out.zero_threshold.max(upper_bound(out.schema, index));
            }
        }
        if out.zero_threshold == threshold {
            return;
        }
    }
}

fn upper_bound(schema: i8, index: i64) -> f64 {
    (index as f64 * (-f64::from(schema)).exp2()).exp2()
}

fn lower_bound(schema: i8, index: i64) -> f64 {
    upper_bound(schema, index - 1)
}

fn filled(spans: &[HistogramSpan], counts: &[f64]) -> Buckets {
    let mut buckets = Vec::with_capacity(counts.len());
    let mut counts = counts.iter();
    let mut index = 0;
    for span in spans {
        index += i64::from(span.offset);
        for count in counts.by_ref().take(span.length as usize) {
            if *count != 0.0 {
                buckets.push((index, *count));
            }
            index += 1;
        }
    }
    buckets
}

/// Merges 2^`merge` buckets into one: bucket `i` ends at the bound of the coarser bucket that it is in.
fn coarser(mut buckets: Buckets, merge: u32) -> Buckets {
    if merge == 0 {
        return buckets;
    }
    for (index, _) in &mut buckets {
        *index = ((*index - 1) >> merge) + 1;
    }
    added(buckets, Vec::new())
}

/// Both lists as one; equal indexes add.
fn added(mut a: Buckets, b: Buckets) -> Buckets {
    a.extend(b);
    a.sort_by_key(|(index, _)| *index);
    a.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    a
}

fn spans(buckets: Buckets) -> (Vec<HistogramSpan>, Vec<f64>) {
    let (mut spans, mut counts): (Vec<HistogramSpan>, Vec<f64>) = Default::default();
    let mut next = 0;
    for (index, count) in buckets {
        let gap = index - next;
        match spans.last_mut() {
            Some(span) if gap <= GAP_MAX => {
                counts.extend(std::iter::repeat_n(0.0, gap as usize));
                span.length += gap as u32 + 1;
            }
            // Indexes come from spans of 32-bit offsets, whose sums were checked to stay in range.
            _ => spans.push(HistogramSpan { offset: gap as i32, length: 1 }),
        }
        counts.push(count);
        next = index + 1;
    }
    (spans, counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(schema: i8, zero_threshold: f64, offset: i32, counts: &[f64]) -> FloatHistogram {
        FloatHistogram {
            schema,
            zero_threshold,
            count: counts.iter().sum(),
            sum: 1.0,
            positive_spans: vec![HistogramSpan { offset, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn equal_resolutions_add_bucket_by_bucket() {
        let sum = histograms(&histogram(2, 0.0, 1, &[1.0, 2.0]), &histogram(2, 0.0, 2, &[10.0, 20.0]));
        let sum = sum.expect("same kind");
        assert_eq!(sum.positive_buckets, [1.0, 12.0, 20.0]);
        assert_eq!((sum.count, sum.sum), (33.0, 2.0));
        assert_eq!(sum.validate(), Ok(()));
    }

    #[test]
    fn the_coarser_resolution_wins() {
        // Schema 1 has two buckets per schema-0 bucket: 1 and 2 end at 2, 3 and 4 at 4.
        let sum =
            histograms(&histogram(1, 0.0, 1, &[1.0, 2.0, 4.0, 8.0]), &histogram(0, 0.0, 1, &[0.5, 0.5]));
        let sum = sum.expect("same kind");
        assert_eq!((sum.schema, sum.positive_buckets.as_slice()), (0, &[3.5, 12.5][..]));
    }

    #[test]
    fn a_wider_zero_bucket_swallows_what_it_covers() {
        // Bucket 0 of schema 0 is (0.5, 1], bucket 1 (1, 2]; a threshold of 0.75 takes bucket 0 whole.
        let sum = histograms(&histogram(0, 0.0, 0, &[5.0, 7.0]), &histogram(0, 0.75, 1, &[1.0]));
        let sum = sum.expect("same kind");
        assert_eq!((sum.zero_count, sum.zero_threshold), (5.0, 1.0));
        assert_eq!(sum.positive_buckets, [8.0]);
    }

    #[test]
    fn different_custom_bounds_do_not_add() {
        let custom = |bounds: &[f64]| FloatHistogram {
            schema: model::CUSTOM_BUCKETS_SCHEMA,
            custom_bounds: bounds.into(),
            ..FloatHistogram::default()
        };
        assert!(histograms(&custom(&[1.0]), &custom(&[1.0])).is_some());
        assert!(histograms(&custom(&[1.0]), &custom(&[2.0])).is_none());
        assert!(histograms(&custom(&[1.0]), &histogram(0, 0.0, 0, &[1.0])).is_none());
    }
}
