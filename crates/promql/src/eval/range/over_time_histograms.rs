//! Sum and mean of the histograms of a window.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};

use super::Kernel;
use crate::eval::annotations::{HistogramOperation, Note};
use crate::eval::column::Cell;
use crate::eval::native::{HistogramMean, HistogramSum};
use crate::eval::window::Window;
use crate::histogram::IncompatibleSchemas;

pub(super) fn sum(k: &Kernel<'_>, window: Window<'_>) -> Option<Cell> {
    fold(k, window, |all| {
        let mut sum = HistogramSum::new(&all[0]);
        for h in &all[1..] {
            sum.add(h)?;
        }
        Ok((sum.reconciled, sum.value()))
    })
}

pub(super) fn mean(k: &Kernel<'_>, window: Window<'_>) -> Option<Cell> {
    fold(k, window, |all| {
        let mut mean = HistogramMean::new(&all[0]);
        for h in &all[1..] {
            mean.add(h)?;
        }
        Ok((mean.reconciled, mean.value()))
    })
}

fn fold(
    k: &Kernel<'_>,
    window: Window<'_>,
    of: impl Fn(&[Arc<FloatHistogram>]) -> Result<(bool, FloatHistogram), IncompatibleSchemas>,
) -> Option<Cell> {
    let all = window.histograms;
    let Ok((reconciled, value)) = of(all) else {
        k.note(Note::MixedExponentialCustom(k.name));
        return None;
    };
    let hinted = |hint| all.iter().any(|h| h.counter_reset_hint == hint);
    if hinted(CounterResetHint::Reset) && hinted(CounterResetHint::NotReset) {
        k.note(Note::CounterResetCollision(HistogramOperation::Aggregation));
    }
    if reconciled {
        k.note(Note::MismatchedCustomBuckets(HistogramOperation::Aggregation));
    }
    Some(Cell::Histogram(Arc::new(value)))
}
