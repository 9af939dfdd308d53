//! Quantiles and fractions of classic and native histograms.

use std::collections::HashMap;

use model::{FloatHistogram, Labels};
use rayon::prelude::*;

use super::annotations::{ForcedBuckets, Note};
use super::classic::{ClassicBucket, Forced, bucket_fraction, bucket_quantile};
use super::column::{Column, Grid, Series, filter_labels, metric_name};
use super::context::Frame;
use super::error::QueryError;
use super::format::open_metrics;
use super::instant::arg;
use super::matching::Merged;
use super::plan::Plan;
use crate::histogram;
use crate::syntax::ast::Pos;

/// The label that holds a bucket's upper bound.
const BUCKET_LABEL: &str = "le";

/// One classic histogram: its labels without the bound, and its buckets, sorted by bound.
struct Classic {
    labels: Labels,
    /// Bound, and index of the series.
    buckets: Vec<(f64, usize)>,
    /// The series of native histograms with the same labels.
    native: Option<usize>,
}

/// A vector taken apart.
struct Inputs {
    series: Vec<Series>,
    classics: Vec<Classic>,
    /// Series that have native histograms, with the classic one of the same labels.
    natives: Vec<(usize, Option<usize>)>,
}

/// What to compute of a histogram at a step.
trait Statistic: Sync {
    fn classic(&self, step: usize, buckets: &mut Vec<ClassicBucket>) -> (f64, Option<Forced>);
    fn native(&self, step: usize, h: &FloatHistogram, note: &dyn Fn(Note<'static>, bool)) -> f64;
}

struct Quantile<'a>(&'a [f64]);

struct Fraction<'a> {
    lower: &'a [f64],
    upper: &'a [f64],
}

impl Statistic for Quantile<'_> {
    fn classic(&self, step: usize, buckets: &mut Vec<ClassicBucket>) -> (f64, Option<Forced>) {
        bucket_quantile(self.0[step], buckets)
    }

    fn native(&self, step: usize, h: &FloatHistogram, note: &dyn Fn(Note<'static>, bool)) -> f64 {
        let q = self.0[step];
        let value = histogram::quantile(q, h);
        if h.sum.is_nan() && h.count != 0.0 && (0.0..=1.0).contains(&q) {
            note_nans(q, h, note);
        }
        value
    }
}

impl Statistic for Fraction<'_> {
    fn classic(&self, step: usize, buckets: &mut Vec<ClassicBucket>) -> (f64, Option<Forced>) {
        (bucket_fraction(self.lower[step], self.upper[step], buckets), None)
    }

    fn native(&self, step: usize, h: &FloatHistogram, note: &dyn Fn(Note<'static>, bool)) -> f64 {
        let (lower, upper) = (self.lower[step], self.upper[step]);
        let computed = h.count != 0.0 && lower < upper;
        if computed && h.sum.is_nan() && bucket_total(h) < h.count {
            note(Note::FractionNans(""), true);
        }
        histogram::fraction(lower, upper, h)
    }
}

fn bucket_total(h: &FloatHistogram) -> f64 {
    histogram::buckets(h).iter().map(|b| b.count).sum()
}

/// NaN observations are in no bucket, yet count as the highest. The quantile either falls among them or is
/// pushed up by them.
fn note_nans(q: f64, h: &FloatHistogram, note: &dyn Fn(Note<'static>, bool)) {
    let buckets = histogram::buckets(h);
    let total: f64 = buckets.iter().map(|b| b.count).sum();
    let rank = q * h.count;
    if h.uses_custom_buckets() {
        // A quantile in an open bucket is that bucket's bound, whatever the observations.
        let mut below = 0.0;
        let hit = buckets.iter().filter(|b| b.count != 0.0).find(|b| {
            below += b.count;
            below >= rank
        });
        let hit = hit.or(buckets.last());
        if hit.is_some_and(|b| b.upper == f64::INFINITY || (b.lower == f64::NEG_INFINITY && b.upper <= 0.0)) {
            return;
        }
    }
    if total.min(h.count) < rank {
        note(Note::QuantileNanResult(""), true);
    } else if total < h.count {
        note(Note::QuantileNanSkew(""), true);
    }
}

impl Frame<'_> {
    pub(crate) fn histogram_quantile(&self, args: &[Plan], grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let (q, vector) = (arg(args, 0)?, arg(args, 1)?);
        let qs = self.scalar(q, grid)?;
        self.note_invalid_quantiles(&qs, q.pos);
        let inputs = self.take_apart(vector, grid)?;
        let series = self.statistics(&inputs, &Quantile(&qs), vector.pos, grid);
        merged(series)
    }

    pub(crate) fn histogram_quantiles(&self, args: &[Plan], grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let vector = arg(args, 0)?;
        let label = self.strings(&args[1..2])?.remove(0);
        let mut all_qs = Vec::new();
        for q in &args[2..] {
            let qs = self.scalar(q, grid)?;
            self.note_invalid_quantiles(&qs, q.pos);
            all_qs.push(qs);
        }
        let inputs = self.take_apart(vector, grid)?;
        let mut result = Merged::default();
        for qs in all_qs {
            self.check()?;
            for one in self.statistics(&inputs, &Quantile(&qs), vector.pos, grid) {
                // The quantile may change from step to step, and its label with it.
                for (text, column) in split_by_quantile(&qs, one.column) {
                    self.hold(grid.len as u64)?;
                    let labels = one.labels.to_builder().set(&label, &text).build();
                    result.push(Series { labels, drop_name: true, column })?;
                }
            }
        }
        Ok(result.series)
    }

    pub(crate) fn histogram_fraction(&self, args: &[Plan], grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let vector = arg(args, 2)?;
        let lower = self.scalar(arg(args, 0)?, grid)?;
        let upper = self.scalar(arg(args, 1)?, grid)?;
        let inputs = self.take_apart(vector, grid)?;
        let fraction = Fraction { lower: &lower, upper: &upper };
        merged(self.statistics(&inputs, &fraction, vector.pos, grid))
    }

    fn note_invalid_quantiles(&self, qs: &[f64], pos: Pos) {
        for q in qs {
            if !(0.0..=1.0).contains(q) {
                self.note(pos, Note::InvalidQuantile(*q));
            }
        }
    }

    /// Groups buckets by the labels beside the bound, once for all steps.
    fn take_apart(&self, plan: &Plan, grid: &Grid) -> Result<Inputs, QueryError> {
        let series = self.vector(plan, grid)?;
        let mut classics: Vec<Classic> = Vec::new();
        let mut index: HashMap<Labels, usize> = HashMap::new();
        for (i, one) in series.iter().enumerate() {
            if one.column.floats.is_empty() {
                continue;
            }
            let bound = one.labels.get(BUCKET_LABEL).unwrap_or("");
            let Ok(upper) = bound.parse::<f64>() else {
                let name = metric_name(&one.labels);
                self.note(plan.pos, Note::BadBucketLabel { name, label: bound });
                continue;
            };
            let labels = filter_labels(&one.labels, |name| name != BUCKET_LABEL);
            let at = *index.entry(labels).or_insert_with_key(|labels| {
                classics.push(Classic { labels: labels.clone(), buckets: Vec::new(), native: None });
                classics.len() - 1
            });
            classics[at].buckets.push((upper, i));
        }
        for classic in &mut classics {
            classic.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        let mut natives = Vec::new();
        for (i, one) in series.iter().enumerate().filter(|(_, one)| !one.column.histograms.is_empty()) {
            let same = index.get(&one.labels).copied();
            if let Some(classic) = same {
                classics[classic].native = Some(i);
                if one.column.histograms.iter().any(|(step, _)| {
                    let buckets = &classics[classic].buckets;
                    buckets.iter().any(|(_, b)| series[*b].column.floats.get(*step as usize))
                }) {
                    self.note(plan.pos, Note::MixedClassicNative(metric_name(&one.labels)));
                }
            }
            natives.push((i, same));
        }
        Ok(Inputs { series, classics, natives })
    }

    /// A statistic of every histogram. The place is the vector.
    fn statistics(&self, inputs: &Inputs, statistic: &impl Statistic, pos: Pos, grid: &Grid) -> Vec<Series> {
        let mut all: Vec<Series> = inputs
            .natives
            .par_iter()
            .map(|(i, classic)| {
                let one = &inputs.series[*i];
                let name = metric_name(&one.labels);
                let mut column = Column::empty(grid.len);
                for (step, h) in &one.column.histograms {
                    let step = *step as usize;
                    let mixed = classic.is_some_and(|c| inputs.has_buckets(c, step));
                    if !mixed {
                        let note = |note: Note<'static>, _| self.note(pos, named(&note, name));
                        column.set_float(step, statistic.native(step, h, &note));
                    }
                }
                Series { labels: one.labels.clone(), drop_name: true, column }
            })
            .collect();
        let classics: Vec<Series> = inputs
            .classics
            .par_iter()
            .map(|classic| {
                let mut column = Column::empty(grid.len);
                let mut buckets = Vec::with_capacity(classic.buckets.len());
                let mut all_forced: Option<ForcedBuckets> = None;
                for step in 0..grid.len {
                    buckets.clear();
                    buckets.extend(classic.buckets.iter().filter_map(|(upper, i)| {
                        let count = inputs.series[*i].column.float(step)?;
                        Some(ClassicBucket { upper: *upper, count })
                    }));
                    let mixed =
                        classic.native.is_some_and(|i| inputs.series[i].column.histogram(step).is_some());
                    if buckets.is_empty() || mixed {
                        continue;
                    }
                    let (value, forced) = statistic.classic(step, &mut buckets);
                    if let Some(Forced { bounds, diff_max }) = forced {
                        let t_ms = grid.time(step);
                        let forced = ForcedBuckets { t_ms: (t_ms, t_ms), bounds, diff_max, samples: 1 };
                        match &mut all_forced {
                            Some(all) => all.widen(&forced),
                            None => all_forced = Some(forced),
                        }
                    }
                    column.set_float(step, value);
                }
                if let Some(forced) = all_forced {
                    self.annotations.add_forced(pos, metric_name(&classic.labels), forced);
                }
                Series { labels: classic.labels.clone(), drop_name: true, column }
            })
            .collect();
        all.extend(classics);
        all.retain(|one| !one.column.is_empty());
        all
    }
}

impl Inputs {
    fn has_buckets(&self, classic: usize, step: usize) -> bool {
        self.classics[classic].buckets.iter().any(|(_, i)| self.series[*i].column.floats.get(step))
    }
}

/// The note about a metric.
fn named<'a>(note: &Note<'static>, name: &'a str) -> Note<'a> {
    match note {
        Note::QuantileNanResult(_) => Note::QuantileNanResult(name),
        Note::QuantileNanSkew(_) => Note::QuantileNanSkew(name),
        _ => Note::FractionNans(name),
    }
}

fn merged(series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    let mut result = Merged::default();
    for one in series {
        result.push(one)?;
    }
    Ok(result.series)
}

/// A column in parts by the text of the quantile at each step.
fn split_by_quantile(qs: &[f64], column: Column) -> Vec<(String, Column)> {
    if qs.windows(2).all(|two| two[0].to_bits() == two[1].to_bits()) {
        return qs.first().map(|q| vec![(open_metrics(*q), column)]).unwrap_or_default();
    }
    let mut parts: Vec<(u64, Column)> = Vec::new();
    for step in column.floats.ones() {
        let bits = qs[step].to_bits();
        let at = parts.iter().position(|(known, _)| *known == bits).unwrap_or_else(|| {
            parts.push((bits, Column::empty(column.len())));
            parts.len() - 1
        });
        parts[at].1.set_float(step, column.values[step]);
    }
    parts.into_iter().map(|(bits, column)| (open_metrics(f64::from_bits(bits)), column)).collect()
}
