//! Aggregation: what was counted, set and observed since the last flush, and running totals.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use model::{Labels, METRIC_NAME, Metadata, MetricBatch, MetricType, Point, Reason, Refusal, STALE_NAN};

use super::{Op, OpKind};
use crate::observed::Observed;
use crate::rows;

/// Members of one set counted exactly per flush; beyond it the count stays there.
const SET_MEMBERS_MAX: usize = 100_000;

/// How timers and histograms are stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Timers {
    /// One native histogram per series.
    Native,
    /// A summary: these quantiles of the last flush interval (to within 9 %), and running `_sum` and `_count`.
    Summary(Vec<f64>),
}

/// Options and bounds of the aggregation.
#[derive(Clone, Debug, PartialEq)]
pub struct StatsdSettings {
    /// How timers and histograms are stored.
    pub timers: Timers,
    /// Series held at once; operations on further ones are refused.
    pub series_max: usize,
    /// A series without an operation for this long ends with a stale marker, milliseconds.
    pub idle_ms: i64,
}

impl Default for StatsdSettings {
    fn default() -> Self {
        Self { timers: Timers::Native, series_max: 100_000, idle_ms: 300_000 }
    }
}

/// What was sent and not forgotten. Counters and timers are totals since they were first seen.
#[derive(Debug, Default)]
pub struct StatsdState {
    settings: StatsdSettings,
    series: HashMap<Labels, Slot>,
    hasher: RandomState,
    /// Metadata of series first seen since the last flush.
    fresh: Vec<Metadata>,
}

#[derive(Debug)]
struct Slot {
    value: Value,
    start_ms: i64,
    used_ms: i64,
}

#[derive(Debug)]
enum Value {
    Counter(f64),
    Gauge { value: f64, t_ms: Option<i64> },
    Timer { total: Box<Observed>, interval: Box<Observed> },
    Set(HashSet<u64>),
}

impl Value {
    fn new(kind: OpKind<'_>) -> Self {
        match kind {
            OpKind::Count(_) => Self::Counter(0.0),
            OpKind::Gauge(_) | OpKind::GaugeAdd(_) => Self::Gauge { value: 0.0, t_ms: None },
            OpKind::Observe(_) => Self::Timer { total: Box::default(), interval: Box::default() },
            OpKind::Member(_) => Self::Set(HashSet::new()),
        }
    }
}

impl StatsdState {
    /// An empty state.
    pub fn new(settings: StatsdSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Series held.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// True when nothing is held.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Applies an operation; `index` is the line it came from, for the refusal.
    pub fn apply(&mut self, index: usize, op: &Op<'_>, now_ms: i64) -> Result<(), Refusal> {
        let refusal = |field: &str, reason, message: String| {
            Err(Refusal { index, field: field.into(), reason, message, items: 1 })
        };
        let labels = labels(op);
        if !self.series.contains_key(&labels) {
            if self.series.len() >= self.settings.series_max {
                let max = self.settings.series_max;
                let text =
                    format!("{max} StatsD series are active, the most allowed; send fewer distinct tags");
                return refusal("tags", Reason::SeriesLimit, text);
            }
            let slot = Slot { value: Value::new(op.kind), start_ms: now_ms, used_ms: now_ms };
            self.fresh.push(metadata(&labels, &slot.value, &self.settings.timers));
            self.series.insert(labels.clone(), slot);
        }
        let Some(slot) = self.series.get_mut(&labels) else { return Ok(()) };
        slot.used_ms = now_ms;
        match (&mut slot.value, op.kind) {
            (Value::Counter(total), OpKind::Count(count)) => *total += count,
            (Value::Gauge { value, t_ms }, OpKind::Gauge(new)) => (*value, *t_ms) = (new, op.t_ms),
            (Value::Gauge { value, t_ms }, OpKind::GaugeAdd(change)) => {
                (*value, *t_ms) = (*value + change, op.t_ms);
            }
            (Value::Timer { total, interval }, OpKind::Observe(value)) => {
                total.add(value, op.weight);
                interval.add(value, op.weight);
            }
            (Value::Set(members), OpKind::Member(member)) => {
                if members.len() < SET_MEMBERS_MAX {
                    members.insert(self.hasher.hash_one(member));
                }
            }
            _ => {
                let text = format!("{labels} has another type already; give the metric another name");
                return refusal("type", Reason::TypeConflict, text);
            }
        }
        Ok(())
    }

    /// Everything held, as samples at `now_ms`. Sets begin anew, idle series end.
    pub fn flush(&mut self, now_ms: i64) -> MetricBatch {
        let mut batch = MetricBatch { metadata: std::mem::take(&mut self.fresh), ..MetricBatch::default() };
        let Self { settings, series, .. } = self;
        series.retain(|labels, slot| {
            let ended = now_ms.saturating_sub(slot.used_ms) >= settings.idle_ms;
            flush_one(&mut batch, labels, slot, &settings.timers, now_ms, ended);
            !ended
        });
        batch
    }
}

fn flush_one(
    batch: &mut MetricBatch,
    labels: &Labels,
    slot: &mut Slot,
    timers: &Timers,
    now_ms: i64,
    ended: bool,
) {
    let start_ms = slot.start_ms;
    let mut emit = |name_suffix: &str, quantile: Option<f64>, t_ms: i64, value: f64, start_ms: i64| {
        let value = if ended { STALE_NAN } else { value };
        let row = begin(batch, labels, name_suffix, quantile);
        rows::push_point(batch, Point { t_ms, value }, start_ms);
        batch.end_series(row);
    };
    match (&mut slot.value, timers) {
        (Value::Counter(total), _) => emit("", None, now_ms, *total, start_ms),
        (Value::Gauge { value, t_ms }, _) => {
            let t_ms = if ended { now_ms } else { t_ms.take().unwrap_or(now_ms) };
            emit("", None, t_ms, *value, 0);
        }
        (Value::Set(members), _) => {
            emit("", None, now_ms, members.len() as f64, 0);
            members.clear();
        }
        (Value::Timer { total, .. }, Timers::Native) => {
            let histogram = if ended { model::FloatHistogram::stale() } else { total.histogram() };
            let row = begin(batch, labels, "", None);
            rows::push_histogram(batch, now_ms, histogram, start_ms);
            batch.end_series(row);
        }
        (Value::Timer { total, interval }, Timers::Summary(quantiles)) => {
            emit("_sum", None, now_ms, total.sum(), start_ms);
            emit("_count", None, now_ms, total.count(), start_ms);
            for quantile in quantiles {
                emit("", Some(*quantile), now_ms, interval.quantile(*quantile), 0);
            }
            **interval = Observed::default();
        }
    }
}

fn begin(batch: &mut MetricBatch, labels: &Labels, suffix: &str, quantile: Option<f64>) -> model::SeriesRow {
    let name = format!("{}{suffix}", labels.metric_name().unwrap_or_default());
    let quantile = quantile.map(crate::float::plain);
    let own = labels.iter().filter(|(label, _)| *label != METRIC_NAME && *label != "quantile");
    let pairs = [(METRIC_NAME, name.as_str())].into_iter().chain(own);
    batch.begin_series(pairs.chain(quantile.as_deref().map(|q| ("quantile", q))))
}

fn metadata(labels: &Labels, value: &Value, timers: &Timers) -> Metadata {
    let kind = match (value, timers) {
        (Value::Counter(_), _) => MetricType::Counter,
        (Value::Gauge { .. } | Value::Set(_), _) => MetricType::Gauge,
        (Value::Timer { .. }, Timers::Native) => MetricType::Histogram,
        (Value::Timer { .. }, Timers::Summary(_)) => MetricType::Summary,
    };
    let metric = labels.metric_name().unwrap_or_default().to_owned();
    Metadata { metric, kind, ..Metadata::default() }
}

/// The series of an operation. Tags of one name are joined with `;`.
fn labels(op: &Op<'_>) -> Labels {
    let mut builder = model::LabelsBuilder::new();
    for (tag, value) in &op.tags {
        let name = plain(tag, false);
        let joined = builder.get(&name).map(|before| format!("{before};{value}"));
        builder.set(&name, joined.as_deref().unwrap_or(value));
    }
    builder.set(METRIC_NAME, &plain(op.name, true)).build()
}

/// A name of letters, digits and `_`, not beginning with a digit; `__` in front is left to us.
fn plain(name: &str, colons: bool) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    let mut plain: String = name.chars().map(|c| if keep(c) { c } else { '_' }).collect();
    if plain.is_empty() || plain.starts_with(|c: char| c.is_ascii_digit()) || plain.starts_with("__") {
        plain.insert_str(0, if colons { "metric_" } else { "tag_" });
    }
    plain
}
