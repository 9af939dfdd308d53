//! Native histograms as the evaluator combines them: arithmetic of [`crate::histogram`] with the notes that
//! go with it.

use std::sync::Arc;

use model::{FloatHistogram, HistogramSpan};

use super::annotations::{HistogramOperation, Note};
use crate::histogram::{self, Combined, IncompatibleSchemas, KahanHistogram};

pub(crate) use crate::histogram::{add, detect_reset, div, mul, sub};

/// Drops empty buckets.
pub(crate) fn compact(h: &mut FloatHistogram) {
    histogram::compact(h, 0);
}

/// A histogram times a number.
pub(crate) fn scaled(h: &FloatHistogram, factor: f64) -> Arc<FloatHistogram> {
    let mut scaled = h.clone();
    mul(&mut scaled, factor);
    Arc::new(scaled)
}

/// A histogram at a resolution at most as high.
pub(crate) fn to_schema(h: &FloatHistogram, schema: i8) -> FloatHistogram {
    let mut reduced = h.clone();
    histogram::reduce_resolution(&mut reduced, schema);
    reduced
}

/// Adds, and says what had to be reconciled; false when the two do not fit.
pub(crate) fn add_noting(
    h: &mut FloatHistogram,
    other: &FloatHistogram,
    note: &dyn Fn(Note<'_>),
    name: &str,
) -> bool {
    noting(add(h, other), HistogramOperation::Addition, note, name)
}

/// Subtracts, and says what had to be reconciled; false when the two do not fit.
pub(crate) fn sub_noting(
    h: &mut FloatHistogram,
    other: &FloatHistogram,
    note: &dyn Fn(Note<'_>),
    name: &str,
) -> bool {
    noting(sub(h, other), HistogramOperation::Subtraction, note, name)
}

/// Resets are looked for where rates are computed, so colliding hints say nothing here.
fn noting(
    result: Result<Combined, IncompatibleSchemas>,
    operation: HistogramOperation,
    note: &dyn Fn(Note<'_>),
    name: &str,
) -> bool {
    match result {
        Ok(combined) => {
            if combined.bounds_reconciled {
                note(Note::MismatchedCustomBuckets(operation));
            }
            true
        }
        Err(IncompatibleSchemas) => {
            note(Note::MixedExponentialCustom(name));
            false
        }
    }
}

/// A sum of histograms.
#[derive(Clone, Debug)]
pub(crate) struct HistogramSum {
    sum: KahanHistogram,
    /// Custom bounds differed, and were reduced to those in common.
    pub(crate) reconciled: bool,
}

impl HistogramSum {
    pub(crate) fn new(first: &FloatHistogram) -> Self {
        Self { sum: KahanHistogram::new(first.clone()), reconciled: false }
    }

    pub(crate) fn add(&mut self, h: &FloatHistogram) -> Result<(), IncompatibleSchemas> {
        self.reconciled |= self.sum.add(h)?.bounds_reconciled;
        Ok(())
    }

    pub(crate) fn value(self) -> FloatHistogram {
        self.sum.finish()
    }
}

/// A mean of histograms: the sum divided, or an incremental mean once the sum overflows.
#[derive(Clone, Debug)]
pub(crate) struct HistogramMean {
    acc: KahanHistogram,
    count: f64,
    incremental: bool,
    pub(crate) reconciled: bool,
}

impl HistogramMean {
    pub(crate) fn new(first: &FloatHistogram) -> Self {
        let acc = KahanHistogram::new(first.clone());
        Self { acc, count: 1.0, incremental: false, reconciled: false }
    }

    pub(crate) fn add(&mut self, h: &FloatHistogram) -> Result<(), IncompatibleSchemas> {
        self.count += 1.0;
        if !self.incremental {
            if self.cannot_overflow(h) {
                self.reconciled |= self.acc.add(h)?.bounds_reconciled;
                return Ok(());
            }
            let mut next = self.acc.clone();
            self.reconciled |= next.add(h)?.bounds_reconciled;
            if !histogram::has_overflow(next.sum()) {
                self.acc = next;
                return Ok(());
            }
            self.incremental = true;
            self.acc.div(self.count - 1.0);
        }
        self.acc.mul((self.count - 1.0) / self.count);
        let mut part = h.clone();
        div(&mut part, self.count);
        self.reconciled |= self.acc.add(&part)?.bounds_reconciled;
        Ok(())
    }

    /// Saves a copy where the numbers are ordinary: no bucket is near the largest float when the count is not.
    fn cannot_overflow(&self, h: &FloatHistogram) -> bool {
        const FAR: f64 = 1e300;
        let sum = self.acc.sum();
        [sum.count, sum.sum, h.count, h.sum].iter().all(|v| v.abs() < FAR)
    }

    pub(crate) fn value(mut self) -> FloatHistogram {
        if !self.incremental {
            self.acc.div(self.count);
        }
        self.acc.finish()
    }
}

/// Equal in everything that is observed; hints do not count. Both are compact.
pub(crate) fn equals(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let scalars = |h: &FloatHistogram| [h.zero_threshold, h.zero_count, h.count, h.sum].map(f64::to_bits);
    a.schema == b.schema
        && scalars(a) == scalars(b)
        && bits(&a.custom_bounds) == bits(&b.custom_bounds)
        && bits(&a.positive_buckets) == bits(&b.positive_buckets)
        && bits(&a.negative_buckets) == bits(&b.negative_buckets)
        && runs(&a.positive_spans) == runs(&b.positive_spans)
        && runs(&a.negative_spans) == runs(&b.negative_spans)
}

/// Runs of buckets by first index and length, neighbours united.
fn runs(spans: &[HistogramSpan]) -> Vec<(i64, i64)> {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    let mut index = 0;
    for span in spans {
        index += i64::from(span.offset);
        let length = i64::from(span.length);
        match runs.last_mut() {
            Some((first, len)) if *first + *len == index => *len += length,
            _ if length > 0 => runs.push((index, length)),
            _ => {}
        }
        index += length;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(offset: i32, length: u32) -> HistogramSpan {
        HistogramSpan { offset, length }
    }

    #[test]
    fn equality_looks_at_observations_not_at_hints_or_spelling() {
        let a = FloatHistogram {
            count: 3.0,
            positive_spans: vec![span(1, 2)],
            positive_buckets: vec![1.0, 2.0],
            ..FloatHistogram::default()
        };
        let b = FloatHistogram {
            counter_reset_hint: model::CounterResetHint::Gauge,
            positive_spans: vec![span(1, 1), span(0, 1), span(3, 0)],
            ..a.clone()
        };
        assert!(equals(&a, &b));
        let other = FloatHistogram { positive_spans: vec![span(1, 1), span(1, 1)], ..a.clone() };
        assert!(!equals(&a, &other));
    }

    #[test]
    fn a_mean_survives_an_overflowing_sum() {
        let h = FloatHistogram { count: f64::MAX, sum: f64::MAX, ..FloatHistogram::default() };
        let mut mean = HistogramMean::new(&h);
        mean.add(&h).expect("same layout");
        assert_eq!(mean.value().count, f64::MAX);
    }
}
