//! Spans as time series.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use hashbrown::HashMap;

use super::ast::{Function, MetricsQuery, Query};
use super::eval::Subject;
use super::matching::matching;
use super::value::Value;
use crate::control::Control;
use crate::error::QueryFault;
use crate::traces::{Latency, SpanSource, TraceId};

/// Points of an answer, all series together.
const POINTS_MAX: usize = 2_000_000;
/// Series of an answer.
const SERIES_MAX: usize = 10_000;
/// Traces shown as examples, all series together.
const EXEMPLARS_MAX: usize = 100;
/// Numbers that are no durations are counted in parts as small as this.
const PARTS: f64 = 1e6;

/// The steps of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Where the first step begins, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// Where the last one ends.
    pub end_ns: i64,
    /// How long one is; at least 1.
    pub step_ns: i64,
}

impl Grid {
    fn steps(&self) -> usize {
        let length = self.end_ns.saturating_sub(self.start_ns).max(0);
        (length as u64).div_ceil(self.step_ns.max(1) as u64) as usize
    }

    fn step_of(&self, t_ns: i64) -> Option<u32> {
        let inside = (self.start_ns..self.end_ns).contains(&t_ns);
        inside.then(|| ((t_ns - self.start_ns) / self.step_ns.max(1)) as u32)
    }

    fn time_ms(&self, step: usize) -> i64 {
        self.start_ns.saturating_add(self.step_ns.saturating_mul(step as i64)) / 1_000_000
    }
}

/// A time series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What its spans have in common.
    pub labels: Vec<(String, Value)>,
    /// Beginnings of steps in milliseconds and their values. Durations are seconds.
    pub samples: Vec<(i64, f64)>,
    /// Some of the spans: trace, time in milliseconds, duration in seconds.
    pub exemplars: Vec<(TraceId, i64, f64)>,
}

/// Makes time series of the spans that come out of the query's pipeline.
pub fn metrics(
    source: &dyn SpanSource,
    query: &Query,
    grid: Grid,
    control: &Control,
) -> Result<Vec<Series>, QueryFault> {
    let Some(metrics) = &query.metrics else {
        let example = "{ status = error } | rate()";
        return Err(QueryFault::Invalid(format!(
            "the query finds traces: add a function over time, as in {example}"
        )));
    };
    if grid.steps() > POINTS_MAX {
        return Err(QueryFault::Limit(format!("more than {POINTS_MAX} points: ask for a longer step")));
    }
    let mut table = Table { metrics, grid, series: HashMap::new(), points: 0, exemplars: 0 };
    let want = query.want();
    matching(source, query, (grid.start_ns, grid.end_ns), &want, control, None, &mut |subject| {
        table.add(subject)?;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(table.finish())
}

/// What has been counted in one step of one series.
#[derive(Clone, Debug)]
struct Cell {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    latency: Latency,
}

impl Default for Cell {
    fn default() -> Self {
        Self { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, latency: Latency::default() }
    }
}

#[derive(Clone, Debug, Default)]
struct Cells {
    labels: Vec<(String, Value)>,
    by_step: BTreeMap<u32, Cell>,
    exemplars: Vec<(TraceId, i64, f64)>,
    /// Numbers of a series are all durations or none is.
    is_duration: bool,
}

struct Table<'a> {
    metrics: &'a MetricsQuery,
    grid: Grid,
    series: HashMap<String, Cells>,
    points: usize,
    exemplars: usize,
}

impl Table<'_> {
    fn add(&mut self, subject: Subject<'_>) -> Result<(), QueryFault> {
        let Some(step) = self.grid.step_of(subject.span.start_ns) else { return Ok(()) };
        let value = match &self.metrics.function {
            Function::Rate | Function::CountOverTime => Value::Int(1),
            Function::MinOverTime(expr)
            | Function::MaxOverTime(expr)
            | Function::AvgOverTime(expr)
            | Function::SumOverTime(expr)
            | Function::QuantileOverTime(expr, _)
            | Function::HistogramOverTime(expr) => expr.value(subject),
        };
        let Some(number) = value.number() else { return Ok(()) };
        let is_duration = matches!(value, Value::Duration(_));
        let mut labels: Vec<(String, Value)> =
            self.metrics.by.iter().map(|field| (field.text(), field.value(subject))).collect();
        if matches!(self.metrics.function, Function::HistogramOverTime(_)) {
            labels.push(("__bucket".to_owned(), Value::Float(bucket_of(number, is_duration))));
        }
        let key: String = labels.iter().map(|(_, value)| format!("{value:?}\0")).collect();
        if !self.series.contains_key(&key) && self.series.len() == SERIES_MAX {
            return Err(QueryFault::Limit(format!(
                "more than {SERIES_MAX} series: group by fields with fewer values"
            )));
        }
        let cells = self.series.entry(key).or_insert_with(|| Cells { labels, ..Cells::default() });
        cells.is_duration |= is_duration;
        let known = cells.by_step.len();
        let cell = cells.by_step.entry(step).or_default();
        cell.count += 1;
        cell.sum += number;
        cell.min = cell.min.min(number);
        cell.max = cell.max.max(number);
        if matches!(self.metrics.function, Function::QuantileOverTime(..)) {
            cell.latency.add(if is_duration { number as i64 } else { (number * PARTS) as i64 });
        }
        let is_new = cells.by_step.len() > known;
        if is_new && self.exemplars < EXEMPLARS_MAX {
            let span = subject.span;
            let (time_ms, seconds) = (span.start_ns / 1_000_000, span.duration_ns as f64 / 1e9);
            cells.exemplars.push((span.trace_id, time_ms, seconds));
            self.exemplars += 1;
        }
        self.points += usize::from(is_new);
        if self.points > POINTS_MAX {
            let message = format!("more than {POINTS_MAX} points: ask for a longer step or group by less");
            return Err(QueryFault::Limit(message));
        }
        Ok(())
    }

    fn finish(self) -> Vec<Series> {
        let mut all: Vec<Series> = self.series.values().flat_map(|cells| self.series_of(cells)).collect();
        all.sort_by_cached_key(|series| format!("{:?}", series.labels));
        if let Some(rank) = self.metrics.rank {
            keep_ranked(&mut all, rank.top, rank.count);
        }
        if let Some((op, limit)) = self.metrics.keep {
            let holds = |value: f64| Value::Float(value).compare(op, &Value::Float(limit));
            all.iter_mut().for_each(|series| series.samples.retain(|(_, value)| holds(*value)));
        }
        all.retain(|series| !series.samples.is_empty());
        all
    }

    fn series_of(&self, cells: &Cells) -> Vec<Series> {
        let scale = if cells.is_duration { 1e-9 } else { 1.0 };
        let seconds = self.grid.step_ns as f64 / 1e9;
        let value: &dyn Fn(&Cell) -> f64 = match &self.metrics.function {
            Function::Rate => &|cell| cell.count as f64 / seconds,
            Function::CountOverTime | Function::HistogramOverTime(_) => &|cell| cell.count as f64,
            Function::MinOverTime(_) => &|cell| cell.min * scale,
            Function::MaxOverTime(_) => &|cell| cell.max * scale,
            Function::AvgOverTime(_) => &|cell| cell.sum / cell.count as f64 * scale,
            Function::SumOverTime(_) => &|cell| cell.sum * scale,
            Function::QuantileOverTime(_, parts) => {
                let scale = if cells.is_duration { 1e-9 } else { 1.0 / PARTS };
                return parts.iter().map(|q| self.quantile(cells, *q, scale)).collect();
            }
        };
        // Where nothing is counted, the count is known to be zero.
        let counts = matches!(
            self.metrics.function,
            Function::Rate | Function::CountOverTime | Function::HistogramOverTime(_)
        );
        let dense = counts && self.grid.steps().saturating_mul(self.series.len()) <= POINTS_MAX;
        let samples = if dense {
            let at = |step: usize| cells.by_step.get(&(step as u32)).map_or(0.0, value);
            (0..self.grid.steps()).map(|step| (self.grid.time_ms(step), at(step))).collect()
        } else {
            let time_ms = |step: &u32| self.grid.time_ms(*step as usize);
            cells.by_step.iter().map(|(step, cell)| (time_ms(step), value(cell))).collect()
        };
        let mut labels = cells.labels.clone();
        if labels.is_empty() {
            labels.push(("__name__".to_owned(), Value::Text(self.metrics.function.name().into())));
        }
        vec![Series { labels, samples, exemplars: cells.exemplars.clone() }]
    }

    fn quantile(&self, cells: &Cells, q: f64, scale: f64) -> Series {
        let mut labels = cells.labels.clone();
        labels.push(("p".to_owned(), Value::Float(q)));
        let samples = cells.by_step.iter().filter_map(|(step, cell)| {
            Some((self.grid.time_ms(*step as usize), cell.latency.quantile_ns(q)? * scale))
        });
        Series { labels, samples: samples.collect(), exemplars: cells.exemplars.clone() }
    }
}

/// The power of two that a number does not exceed; of durations in seconds, of a number of nanoseconds.
fn bucket_of(number: f64, is_duration: bool) -> f64 {
    let power = if number <= 1.0 { 1.0 } else { 2f64.powi((number.log2() - 1e-12).ceil() as i32) };
    if is_duration { power / 1e9 } else { power }
}

/// Keeps of every time the greatest or the least.
fn keep_ranked(all: &mut [Series], top: bool, count: usize) {
    let mut by_time: BTreeMap<i64, Vec<(f64, usize)>> = BTreeMap::new();
    for (at, series) in all.iter().enumerate() {
        for (t_ms, value) in &series.samples {
            by_time.entry(*t_ms).or_default().push((*value, at));
        }
    }
    for values in by_time.values_mut() {
        values.sort_by(|a, b| if top { b.0.total_cmp(&a.0) } else { a.0.total_cmp(&b.0) });
        values.truncate(count);
        values.sort_by_key(|(_, at)| *at);
    }
    for (at, series) in all.iter_mut().enumerate() {
        series.samples.retain(|(t_ms, _)| {
            by_time.get(t_ms).is_some_and(|kept| kept.binary_search_by_key(&at, |(_, at)| *at).is_ok())
        });
    }
}

impl Function {
    /// As it is written.
    fn name(&self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::CountOverTime => "count_over_time",
            Self::MinOverTime(_) => "min_over_time",
            Self::MaxOverTime(_) => "max_over_time",
            Self::AvgOverTime(_) => "avg_over_time",
            Self::SumOverTime(_) => "sum_over_time",
            Self::QuantileOverTime(..) => "quantile_over_time",
            Self::HistogramOverTime(_) => "histogram_over_time",
        }
    }
}
