//! Sum or mean of the histograms of one group.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};

use crate::eval::annotations::{HistogramOperation, Note};
use crate::eval::column::Column;
use crate::eval::native::{self, HistogramMean, HistogramSum};

enum Total {
    Sum(HistogramSum),
    Mean(HistogramMean),
    /// Exponential and custom buckets met.
    Incompatible,
}

/// One step.
struct Step {
    total: Total,
    reset_seen: bool,
    not_reset_seen: bool,
}

/// All steps of a group.
pub(super) struct Histograms {
    steps: Vec<Option<Box<Step>>>,
    mean: bool,
}

impl Histograms {
    pub(super) fn new(len: usize, mean: bool) -> Self {
        Self { steps: (0..len).map(|_| None).collect(), mean }
    }

    /// Adds the histogram of a series at a step.
    pub(super) fn add(&mut self, step: usize, h: &FloatHistogram, name: &str, note: &dyn Fn(Note<'_>)) {
        let mean = self.mean;
        let Some(state) = &mut self.steps[step] else {
            let total =
                if mean { Total::Mean(HistogramMean::new(h)) } else { Total::Sum(HistogramSum::new(h)) };
            let mut state = Step { total, reset_seen: false, not_reset_seen: false };
            state.see_hint(h);
            self.steps[step] = Some(Box::new(state));
            return;
        };
        let added = match &mut state.total {
            Total::Sum(sum) => sum.add(h),
            Total::Mean(mean) => mean.add(h),
            Total::Incompatible => return,
        };
        state.see_hint(h);
        if added.is_err() {
            note(Note::MixedExponentialCustom(name));
            state.total = Total::Incompatible;
        }
    }

    /// Puts the results into a column that has the floats. A step with both kinds has no result.
    pub(super) fn finish(self, column: &mut Column, note: &dyn Fn(Note<'_>)) {
        for (step, state) in self.steps.into_iter().enumerate() {
            let Some(state) = state else { continue };
            if column.floats.get(step) {
                note(Note::MixedFloatsHistogramsAggregation);
                column.floats.clear(step);
                continue;
            }
            let (reconciled, mut value) = match state.total {
                Total::Sum(sum) => (sum.reconciled, sum.value()),
                Total::Mean(mean) => (mean.reconciled, mean.value()),
                Total::Incompatible => continue,
            };
            if reconciled {
                note(Note::MismatchedCustomBuckets(HistogramOperation::Aggregation));
            }
            if state.reset_seen && state.not_reset_seen {
                note(Note::CounterResetCollision(HistogramOperation::Aggregation));
            }
            native::compact(&mut value);
            column.push_histogram(step, Arc::new(value));
        }
    }
}

impl Step {
    fn see_hint(&mut self, h: &FloatHistogram) {
        self.reset_seen |= h.counter_reset_hint == CounterResetHint::Reset;
        self.not_reset_seen |= h.counter_reset_hint == CounterResetHint::NotReset;
    }
}
