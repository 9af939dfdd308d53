//! Native histograms of targets: made coarser where they have more buckets than the job allows.

use model::{FloatHistogram, HistogramSpan};

use super::error::ScrapeError;

/// The coarsest schema.
const SCHEMA_MIN: i8 = -4;
/// The finest schema.
const SCHEMA_MAX: i8 = 8;

/// The finest schema whose buckets grow by at least this factor.
pub(crate) fn schema_of_factor(factor: f64) -> i8 {
    if factor <= 1.0 {
        return SCHEMA_MAX;
    }
    let schema = (-factor.log2().log2()).floor();
    schema.clamp(f64::from(SCHEMA_MIN), f64::from(SCHEMA_MAX)) as i8
}

/// True when a histogram is within both limits as it is; 0 is no limit.
pub(crate) fn fits(histogram: &FloatHistogram, buckets_max: u64, schema_max: i8) -> bool {
    (histogram.uses_custom_buckets() || histogram.schema <= schema_max)
        && (buckets_max == 0 || buckets(histogram) as u64 <= buckets_max)
}

fn buckets(histogram: &FloatHistogram) -> usize {
    histogram.positive_buckets.len() + histogram.negative_buckets.len()
}

/// Makes a histogram coarser until it is within both limits.
pub(crate) fn limit(
    mut histogram: FloatHistogram,
    buckets_max: u64,
    schema_max: i8,
) -> Result<FloatHistogram, ScrapeError> {
    if !histogram.uses_custom_buckets() && histogram.schema > schema_max {
        reduce(&mut histogram, schema_max);
    }
    while !fits(&histogram, buckets_max, schema_max) {
        if histogram.uses_custom_buckets() || histogram.schema <= SCHEMA_MIN {
            return Err(ScrapeError::BucketLimit { buckets: buckets(&histogram), limit: buckets_max });
        }
        let coarser = histogram.schema - 1;
        reduce(&mut histogram, coarser);
    }
    Ok(histogram)
}

/// Merges buckets into those of a coarser schema.
fn reduce(histogram: &mut FloatHistogram, schema: i8) {
    let shift = u32::from((histogram.schema - schema).unsigned_abs());
    for (spans, counts) in [
        (&mut histogram.positive_spans, &mut histogram.positive_buckets),
        (&mut histogram.negative_spans, &mut histogram.negative_buckets),
    ] {
        let merged = merge(spans, counts, shift);
        (*spans, *counts) = merged;
    }
    histogram.schema = schema;
}

fn merge(spans: &[HistogramSpan], counts: &[f64], shift: u32) -> (Vec<HistogramSpan>, Vec<f64>) {
    let (mut new_spans, mut new_counts): (Vec<HistogramSpan>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut counts = counts.iter();
    let mut index = 0i64;
    let mut last: Option<i64> = None;
    for span in spans {
        index += i64::from(span.offset);
        for _ in 0..span.length {
            let Some(count) = counts.next() else { return (new_spans, new_counts) };
            // Bucket i holds (base^(i-1), base^i], so its upper bound decides where it goes.
            let target = ((index - 1) >> shift) + 1;
            match last {
                Some(last) if last == target => {
                    if let Some(sum) = new_counts.last_mut() {
                        *sum += count;
                    }
                }
                _ => {
                    let gap = target - last.map_or(0, |last| last + 1);
                    match new_spans.last_mut().filter(|_| gap == 0 && last.is_some()) {
                        Some(span) => span.length += 1,
                        None => {
                            new_spans.push(HistogramSpan { offset: gap as i32, length: 1 });
                        }
                    }
                    new_counts.push(*count);
                    last = Some(target);
                }
            }
            index += 1;
        }
    }
    (new_spans, new_counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(offset: i32, length: u32) -> HistogramSpan {
        HistogramSpan { offset, length }
    }

    fn histogram(schema: i8, spans: &[HistogramSpan], counts: &[f64]) -> FloatHistogram {
        FloatHistogram {
            schema,
            positive_spans: spans.to_vec(),
            positive_buckets: counts.to_vec(),
            count: counts.iter().sum(),
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn factors_name_the_finest_schema_that_grows_at_least_so_fast() {
        for (factor, want) in [(0.0, 8), (1.0, 8), (1.1, 2), (1.5, 0), (2.0, 0), (4.0, -1), (1e30, -4)] {
            assert_eq!(schema_of_factor(factor), want, "{factor}");
        }
    }

    #[test]
    fn buckets_merge_by_their_upper_bound() {
        // Buckets 0, 1, 2, 3 and 6 of schema 1 become 0, 1, 2 and 3 of schema 0.
        let fine = histogram(1, &[span(0, 4), span(2, 1)], &[1.0, 2.0, 3.0, 4.0, 5.0]);
        let coarse = limit(fine.clone(), 4, 8).expect("fits when coarser");
        assert_eq!((coarse.schema, &coarse.positive_buckets[..]), (0, &[1.0, 5.0, 4.0, 5.0][..]));
        assert_eq!(coarse.positive_spans, [span(0, 4)]);
        assert_eq!(coarse.validate(), Ok(()));
        assert_eq!(limit(fine.clone(), 0, 0).expect("coarser").schema, 0);
        assert!(fits(&fine, 5, 1) && !fits(&fine, 4, 1) && !fits(&fine, 5, 0));
    }

    #[test]
    fn negative_indexes_and_gaps_survive() {
        let fine = histogram(2, &[span(-7, 1), span(20, 2)], &[1.0, 2.0, 3.0]);
        let coarse = limit(fine, 2, 8).expect("fits when coarser");
        // -7 becomes -1 two schemas down; 14 and 15 become 4.
        assert_eq!((coarse.schema, coarse.positive_spans), (0, vec![span(-1, 1), span(4, 1)]));
        assert_eq!(coarse.positive_buckets, [1.0, 5.0]);
    }

    #[test]
    fn what_cannot_be_made_coarser_is_refused() {
        let wide = histogram(0, &[span(-1000, 1), span(1000, 1), span(1000, 1)], &[1.0, 1.0, 1.0]);
        assert!(matches!(limit(wide, 2, 8), Err(ScrapeError::BucketLimit { buckets: 3, limit: 2 })));
        let mut custom = histogram(model::CUSTOM_BUCKETS_SCHEMA, &[span(0, 2)], &[1.0, 1.0]);
        custom.custom_bounds = vec![1.0, 2.0].into();
        assert!(limit(custom, 1, 8).is_err());
    }
}
