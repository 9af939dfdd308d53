//! `_created` lines of OpenMetrics: they carry no sample but the start of the series with the same labels.

use model::{LabelSpan, MetricBatch, Span};

use crate::rows::Texts;

/// Starts of one family that are still looking for their series, and the rows that may be them.
#[derive(Debug, Default)]
pub(super) struct Created {
    /// First row of the family at hand.
    first_row: usize,
    /// A `_created` line that came before its series.
    pending: Option<(Vec<LabelSpan>, i64)>,
}

impl Created {
    /// Begins a family at the end of the batch.
    pub(super) fn begin_family(&mut self, batch: &MetricBatch) {
        self.first_row = batch.series.len();
        self.pending = None;
    }

    /// Takes a `_created` line. The rows of one metric are neighbours, so the search ends at the first that
    /// is about something else.
    pub(super) fn take(
        &mut self,
        batch: &mut MetricBatch,
        texts: &Texts<'_>,
        labels: &[LabelSpan],
        start_ms: i64,
    ) {
        if start_ms == 0 {
            return;
        }
        let mut found = false;
        for row in (self.first_row..batch.series.len()).rev() {
            let row = batch.series[row].clone();
            let of_row = &batch.labels[row.labels.start as usize..row.labels.end as usize];
            let known = batch.starts_ms.get(row.points.start as usize).is_some_and(|start| *start != 0);
            // Also where a start is known already, so that no row is looked at twice.
            if known || !is_same_metric(texts, labels, of_row) {
                break;
            }
            found = true;
            batch.starts_ms.resize(batch.points.len(), 0);
            batch.starts_ms[row.points.start as usize..row.points.end as usize].fill(start_ms);
        }
        if !found {
            self.pending = Some((labels.to_vec(), start_ms));
        }
    }

    /// The start of a series whose `_created` line came first; 0 when there was none.
    pub(super) fn start_of(&self, texts: &Texts<'_>, labels: &[LabelSpan]) -> i64 {
        match &self.pending {
            Some((of_line, start_ms)) if is_same_metric(texts, of_line, labels) => *start_ms,
            _ => 0,
        }
    }
}

/// True when the labels agree but for those that tell the series of one metric apart.
fn is_same_metric(texts: &Texts<'_>, a: &[LabelSpan], b: &[LabelSpan]) -> bool {
    let own = |span: &LabelSpan| !matches!(texts.of(span.name), b"__name__" | b"le" | b"quantile");
    let equal = |a: Span, b: Span| texts.of(a) == texts.of(b);
    let mut a = a.iter().filter(|l| own(l));
    let mut b = b.iter().filter(|l| own(l));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if equal(a.name, b.name) && equal(a.value, b.value) => {}
            _ => return false,
        }
    }
}
