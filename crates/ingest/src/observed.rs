//! Single observations gathered into a native histogram, for senders that report values one by one.

use std::collections::BTreeMap;

use model::{FloatHistogram, HistogramSpan};

/// Finest resolution: bounds grow by 2^(1/8), 9 %.
const SCHEMA: i8 = 3;
/// Coarsest resolution that native histograms have.
const SCHEMA_MIN: i8 = -4;
/// Filled buckets of both signs before the resolution is halved.
const BUCKETS_MAX: usize = 160;
/// Observations this close to zero are zero.
const ZERO_THRESHOLD: f64 = 1e-128;
/// Empty buckets between two filled ones that are cheaper to spell out than a new span.
const GAP_MAX: i32 = 2;

/// Observations by bucket. Bounded: where values spread too wide for the resolution, it halves.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    schema: i8,
    zero_count: f64,
    count: f64,
    sum: f64,
    positive: BTreeMap<i32, f64>,
    negative: BTreeMap<i32, f64>,
}

impl Default for Observed {
    fn default() -> Self {
        let (positive, negative) = Default::default();
        Self { schema: SCHEMA, zero_count: 0.0, count: 0.0, sum: 0.0, positive, negative }
    }
}

impl Observed {
    /// Adds a finite value that stands for `weight` observations.
    pub(crate) fn add(&mut self, value: f64, weight: f64) {
        self.count += weight;
        self.sum += value * weight;
        if value.abs() <= ZERO_THRESHOLD {
            self.zero_count += weight;
            return;
        }
        let index = index_of(value.abs(), self.schema);
        let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        *side.entry(index).or_default() += weight;
        while self.positive.len() + self.negative.len() > BUCKETS_MAX && self.schema > SCHEMA_MIN {
            self.halve();
        }
    }

    /// Sum of all observations.
    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    /// Number of observations.
    pub(crate) fn count(&self) -> f64 {
        self.count
    }

    fn halve(&mut self) {
        self.schema -= 1;
        for side in [&mut self.positive, &mut self.negative] {
            let mut coarse = BTreeMap::new();
            for (index, count) in std::mem::take(side) {
                *coarse.entry(((index - 1) >> 1) + 1).or_default() += count;
            }
            *side = coarse;
        }
    }

    /// The native histogram.
    pub(crate) fn histogram(&self) -> FloatHistogram {
        let (positive_spans, positive_buckets) = spans(&self.positive);
        let (negative_spans, negative_buckets) = spans(&self.negative);
        FloatHistogram {
            schema: self.schema,
            zero_threshold: ZERO_THRESHOLD,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            ..FloatHistogram::default()
        }
    }

    /// The value that a share of the observations does not exceed, to within the breadth of its bucket (the
    /// bucket's bound farther from zero). NaN without observations.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        if self.count <= 0.0 {
            return f64::NAN;
        }
        let bound = |index: i32| (f64::from(index) * (-f64::from(self.schema)).exp2()).exp2();
        let negative = self.negative.iter().rev().map(|(index, count)| (-bound(*index), *count));
        let positive = self.positive.iter().map(|(index, count)| (bound(*index), *count));
        let rank = quantile * self.count;
        let (mut seen, mut last) = (0.0, 0.0);
        for (value, count) in negative.chain([(0.0, self.zero_count)]).chain(positive) {
            if count <= 0.0 {
                continue;
            }
            seen += count;
            last = value;
            if seen >= rank {
                break;
            }
        }
        last
    }
}

/// The bucket of a positive value: the one whose upper bound it does not exceed.
fn index_of(value: f64, schema: i8) -> i32 {
    // Finite doubles stay within 1100 powers of two, times 8 at the finest resolution.
    (value.log2() * f64::from(schema).exp2()).ceil() as i32
}

fn spans(side: &BTreeMap<i32, f64>) -> (Vec<HistogramSpan>, Vec<f64>) {
    let (mut spans, mut counts): (Vec<HistogramSpan>, Vec<f64>) = Default::default();
    let mut next = 0;
    for (index, count) in side {
        let gap = index - next;
        match spans.last_mut() {
            Some(span) if gap <= GAP_MAX => {
                counts.extend(std::iter::repeat_n(0.0, gap as usize));
                span.length += gap as u32 + 1;
            }
            _ => spans.push(HistogramSpan { offset: gap, length: 1 }),
        }
        counts.push(*count);
        next = index + 1;
    }
    (spans, counts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_fall_into_the_bucket_that_they_do_not_exceed() {
        for (value, index) in [(1.0, 0), (1.01, 1), (2.0, 8), (0.5, -8), (0.49, -8), (2.1, 9)] {
            assert_eq!(index_of(value, SCHEMA), index, "{value}");
        }
    }

    #[test]
    fn quantiles_are_within_a_bucket() {
        let mut observed = Observed::default();
        (1..=100).for_each(|i| observed.add(f64::from(i), 1.0));
        for (quantile, value) in [(0.5, 50.0), (0.9, 90.0), (1.0, 100.0)] {
            let got = observed.quantile(quantile);
            assert!((value..value * 1.1).contains(&got), "{quantile}: {got}");
        }
        assert!(Observed::default().quantile(0.5).is_nan());
    }

    proptest! {
        #[test]
        fn any_values_make_a_valid_bounded_histogram(values in proptest::collection::vec(-1e300f64..1e300, 0..400)) {
            let mut observed = Observed::default();
            values.iter().for_each(|value| observed.add(*value, 1.0));
            let h = observed.histogram();
            prop_assert_eq!(h.validate(), Ok(()));
            prop_assert!(observed.positive.len() + observed.negative.len() <= BUCKETS_MAX + 300);
            let filled: f64 = h.positive_buckets.iter().chain(&h.negative_buckets).sum();
            prop_assert_eq!(filled + h.zero_count, values.len() as f64);
        }
    }
}
