//! The running aggregation of one group, for all steps at once.

use super::histograms::Histograms;
use crate::eval::annotations::Note;
use crate::eval::bits::Bits;
use crate::eval::column::{Column, Series, metric_name};
use crate::eval::kahan::{self, Mean};
use crate::syntax::ast::AggregateOp;

/// What is kept per step.
enum Running {
    /// Sum and what rounding lost.
    Sum {
        sums: Vec<f64>,
        lost: Vec<f64>,
    },
    Avg(Vec<Mean>),
    Count(Vec<f64>),
    Group,
    Extreme {
        values: Vec<f64>,
        max: bool,
    },
    Variance(Vec<Spread>),
}

/// Welford's running variance.
#[derive(Clone, Copy, Default)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

/// One group.
pub(super) struct Accumulator {
    op: AggregateOp,
    running: Running,
    /// Steps with a value so far; for sums and means, with a float.
    seen: Bits,
    /// Sums and means of histograms.
    histograms: Option<Histograms>,
    drop_name: bool,
}

impl Accumulator {
    pub(super) fn new(op: AggregateOp, len: usize) -> Self {
        let running = match op {
            AggregateOp::Sum => Running::Sum { sums: vec![0.0; len], lost: vec![0.0; len] },
            AggregateOp::Avg => Running::Avg(vec![Mean::new(0.0); len]),
            AggregateOp::Count => Running::Count(vec![0.0; len]),
            AggregateOp::Max => Running::Extreme { values: vec![0.0; len], max: true },
            AggregateOp::Min => Running::Extreme { values: vec![0.0; len], max: false },
            AggregateOp::Stddev | AggregateOp::Stdvar => Running::Variance(vec![Spread::default(); len]),
            _ => Running::Group,
        };
        Self { op, running, seen: Bits::none(len), histograms: None, drop_name: false }
    }

    /// Adds a series.
    pub(super) fn add(&mut self, series: &Series, note: &dyn Fn(Note<'_>)) {
        self.drop_name |= series.drop_name;
        let column = &series.column;
        self.add_floats(column);
        if column.histograms.is_empty() {
            return;
        }
        match (&mut self.running, self.op) {
            (_, AggregateOp::Sum | AggregateOp::Avg) => {
                let mean = self.op == AggregateOp::Avg;
                let all = self.histograms.get_or_insert_with(|| Histograms::new(column.len(), mean));
                let name = metric_name(&series.labels);
                for (step, h) in &column.histograms {
                    all.add(*step as usize, h, name, note);
                }
            }
            (Running::Count(counts), _) => {
                for (step, _) in &column.histograms {
                    counts[*step as usize] += 1.0;
                    self.seen.set(*step as usize);
                }
            }
            (Running::Group, _) => {
                for (step, _) in &column.histograms {
                    self.seen.set(*step as usize);
                }
            }
            _ => note(Note::IgnoredInAggregation(self.op.as_str())),
        }
    }

    fn add_floats(&mut self, column: &Column) {
        let full = column.floats.is_full() && self.seen.is_full();
        let seen = &self.seen;
        match &mut self.running {
            // The common case, without a look at each bit.
            Running::Sum { sums, lost } if full => {
                for ((sum, lost), value) in sums.iter_mut().zip(lost).zip(&column.values) {
                    (*sum, *lost) = kahan::add(*value, *sum, *lost);
                }
            }
            Running::Sum { sums, lost } => {
                for step in column.floats.ones() {
                    let value = column.values[step];
                    (sums[step], lost[step]) =
                        if seen.get(step) { kahan::add(value, sums[step], lost[step]) } else { (value, 0.0) };
                }
            }
            Running::Avg(means) => {
                for step in column.floats.ones() {
                    let value = column.values[step];
                    if seen.get(step) { means[step].add(value) } else { means[step] = Mean::new(value) }
                }
            }
            Running::Count(counts) => {
                for step in column.floats.ones() {
                    counts[step] += 1.0;
                }
            }
            Running::Group => {}
            Running::Extreme { values, max } => {
                for step in column.floats.ones() {
                    let (value, best) = (column.values[step], values[step]);
                    let better = if *max { best < value } else { best > value };
                    if better || best.is_nan() || !seen.get(step) {
                        values[step] = value;
                    }
                }
            }
            Running::Variance(spreads) => {
                for step in column.floats.ones() {
                    spreads[step].add(column.values[step]);
                }
            }
        }
        self.seen.union(&column.floats);
    }

    /// The column of the group, and whether its name has lost its meaning.
    pub(super) fn finish(self, note: &dyn Fn(Note<'_>)) -> (Column, bool) {
        let len = self.seen_len();
        let values = match self.running {
            Running::Sum { mut sums, lost } => {
                sums.iter_mut().zip(lost).for_each(|(sum, lost)| *sum += lost);
                sums
            }
            Running::Avg(means) => means.iter().map(Mean::value).collect(),
            Running::Count(counts) => counts,
            Running::Group => vec![1.0; len],
            Running::Extreme { values, .. } => values,
            Running::Variance(spreads) => {
                let variances = spreads.iter().map(|s| s.squares / s.count);
                if self.op == AggregateOp::Stddev {
                    variances.map(f64::sqrt).collect()
                } else {
                    variances.collect()
                }
            }
        };
        let mut column = Column { values, floats: self.seen, histograms: Vec::new() };
        if let Some(histograms) = self.histograms {
            histograms.finish(&mut column, note);
        }
        (column, self.drop_name)
    }

    fn seen_len(&self) -> usize {
        self.seen.len()
    }
}

impl Spread {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.mean = value;
            self.squares = if value.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }
}
