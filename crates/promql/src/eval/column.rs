//! What an expression yields: series of values over a grid of steps, by column.

use std::sync::Arc;

use model::{FloatHistogram, Labels, METRIC_NAME};

use super::bits::Bits;

/// The instants of an evaluation: `start_ms`, `start_ms + step_ms`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) len: usize,
}

impl Grid {
    /// From first to last instant, both inside. Empty when the last is before the first.
    pub(crate) fn between(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let step_ms = step_ms.max(1);
        let span = i128::from(end_ms) - i128::from(start_ms);
        let len = if span < 0 { 0 } else { (span / i128::from(step_ms)) as usize + 1 };
        Self { start_ms, step_ms, len }
    }

    /// A single instant.
    pub(crate) fn instant(t_ms: i64) -> Self {
        Self { start_ms: t_ms, step_ms: 1, len: 1 }
    }

    /// The first instant alone.
    pub(crate) fn first(&self) -> Self {
        Self { len: self.len.min(1), ..*self }
    }

    pub(crate) fn time(&self, i: usize) -> i64 {
        self.start_ms.saturating_add(self.step_ms.saturating_mul(i as i64))
    }

    pub(crate) fn end_ms(&self) -> i64 {
        self.time(self.len.saturating_sub(1))
    }

    pub(crate) fn times(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.len).map(|i| self.time(i))
    }
}

/// The value of one series at one step.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

/// The values of one series over a grid. Floats are dense with a set of the steps that have one;
/// histograms are a list by step. No step has both.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) values: Vec<f64>,
    pub(crate) floats: Bits,
    pub(crate) histograms: Vec<(u32, Arc<FloatHistogram>)>,
}

impl Column {
    /// Nothing at any step.
    pub(crate) fn empty(len: usize) -> Self {
        Self { values: vec![0.0; len], floats: Bits::none(len), histograms: Vec::new() }
    }

    /// A float at every step.
    pub(crate) fn full(values: Vec<f64>) -> Self {
        let floats = Bits::all(values.len());
        Self { values, floats, histograms: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// True when no step has a value.
    pub(crate) fn is_empty(&self) -> bool {
        self.histograms.is_empty() && self.floats.is_empty()
    }

    pub(crate) fn set_float(&mut self, i: usize, value: f64) {
        self.values[i] = value;
        self.floats.set(i);
    }

    /// Sets the histogram of a step after all those already set.
    pub(crate) fn push_histogram(&mut self, i: usize, value: Arc<FloatHistogram>) {
        self.histograms.push((i as u32, value));
    }

    pub(crate) fn set(&mut self, i: usize, cell: Cell) {
        match cell {
            Cell::Float(value) => self.set_float(i, value),
            Cell::Histogram(value) => self.push_histogram(i, value),
        }
    }

    pub(crate) fn float(&self, i: usize) -> Option<f64> {
        self.floats.get(i).then(|| self.values[i])
    }

    pub(crate) fn histogram(&self, i: usize) -> Option<&Arc<FloatHistogram>> {
        if self.histograms.is_empty() {
            return None;
        }
        let at = self.histograms.binary_search_by_key(&(i as u32), |(step, _)| *step).ok()?;
        Some(&self.histograms[at].1)
    }

    pub(crate) fn cell(&self, i: usize) -> Option<Cell> {
        match self.float(i) {
            Some(value) => Some(Cell::Float(value)),
            None => self.histogram(i).map(|h| Cell::Histogram(h.clone())),
        }
    }

    pub(crate) fn is_present(&self, i: usize) -> bool {
        self.floats.get(i) || self.histogram(i).is_some()
    }

    /// The steps that have a value of either kind.
    pub(crate) fn presence(&self) -> Bits {
        let mut bits = self.floats.clone();
        for (step, _) in &self.histograms {
            bits.set(*step as usize);
        }
        bits
    }

    /// Keeps the values at the given steps alone.
    pub(crate) fn retain_steps(&mut self, keep: &Bits) {
        self.floats.intersect(keep);
        self.histograms.retain(|(step, _)| keep.get(*step as usize));
    }

    /// Samples as limits count them: a histogram stands for as many floats as it takes memory.
    pub(crate) fn samples(&self) -> u64 {
        self.floats.count() as u64 + self.histograms.iter().map(|(_, h)| histogram_size(h)).sum::<u64>()
    }

    /// Takes over the values of a column that shares no step with this one. False, and nothing changed, when
    /// the two overlap.
    pub(crate) fn absorb(&mut self, other: Self) -> bool {
        if self.presence().overlaps(&other.presence()) {
            return false;
        }
        for i in other.floats.ones() {
            self.set_float(i, other.values[i]);
        }
        if !other.histograms.is_empty() {
            self.histograms.extend(other.histograms);
            self.histograms.sort_by_key(|(step, _)| *step);
        }
        true
    }

    /// The single value of a one-step column at every step of a longer grid.
    pub(crate) fn broadcast(&self, len: usize) -> Self {
        match self.cell(0) {
            Some(Cell::Float(value)) => Self::full(vec![value; len]),
            Some(Cell::Histogram(h)) => {
                let mut column = Self::empty(len);
                column.histograms = (0..len as u32).map(|i| (i, h.clone())).collect();
                column
            }
            None => Self::empty(len),
        }
    }
}

/// How many samples a histogram counts for: its memory in units of a sample's 16 bytes, as upstream counts.
pub(crate) fn histogram_size(h: &FloatHistogram) -> u64 {
    (168 + 8 + h.heap_bytes() as u64 + 8 * h.custom_bounds.len() as u64) / 16
}

/// One series of a vector over a grid.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// The name is no longer meaningful, and goes when the query ends (so that functions in between can
    /// still look at it).
    pub(crate) drop_name: bool,
    pub(crate) column: Column,
}

/// Labels that say what a metric is, and are wrong once a value has been computed from it.
pub(crate) fn is_metadata_label(name: &str) -> bool {
    matches!(name, METRIC_NAME | "__type__" | "__unit__")
}

/// The labels without name, type and unit.
pub(crate) fn drop_metadata(labels: &Labels) -> Labels {
    if labels.iter().any(|(name, _)| is_metadata_label(name)) {
        filter_labels(labels, |name| !is_metadata_label(name))
    } else {
        labels.clone()
    }
}

/// The labels whose name the predicate accepts.
pub(crate) fn filter_labels(labels: &Labels, mut keep: impl FnMut(&str) -> bool) -> Labels {
    Labels::from_pairs(labels.iter().filter(|(name, _)| keep(name))).expect("a part of valid labels is valid")
}

/// The name, or nothing.
pub(crate) fn metric_name(labels: &Labels) -> &str {
    labels.metric_name().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_include_both_ends_that_they_reach() {
        for (start, end, step, want) in
            [(0, 10, 5, 3), (0, 14, 5, 3), (5, 5, 5, 1), (10, 5, 5, 0), (i64::MIN, i64::MIN, 1, 1)]
        {
            assert_eq!(Grid::between(start, end, step).len, want, "{start}..{end} by {step}");
        }
    }

    #[test]
    fn columns_merge_only_where_they_do_not_overlap() {
        let mut a = Column::empty(4);
        a.set_float(0, 1.0);
        let mut b = Column::empty(4);
        b.set_float(2, 3.0);
        b.push_histogram(3, Arc::default());
        assert!(a.absorb(b.clone()));
        assert_eq!((a.float(0), a.float(1), a.float(2)), (Some(1.0), None, Some(3.0)));
        assert!(a.histogram(3).is_some() && !a.absorb(b));
    }
}
