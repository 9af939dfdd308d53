//! What tenants send and ask, drawn from a seed.

mod rows; // logs and spans

use std::sync::Arc;

use model::{
    CounterResetHint, FloatHistogram, HistogramSpan, Labels, MatchOp, Matcher, Metadata, MetricBatch,
    MetricType, Point, TimeRange,
};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::oracle::Value;
pub(crate) use rows::{number_field, of_group, rows};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Time between samples of a series, so that equal timestamps come up.
const STEP_MS: i64 = 15_000;

/// How a run's data looks.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Series that are sent at a time.
    pub(crate) series: u32,
    /// Samples of a batch, at most.
    pub(crate) samples_max: usize,
    /// How far back most samples lie, milliseconds.
    pub(crate) window_ms: i64,
    /// Thousandths of samples that are days old.
    pub(crate) old: u32,
    /// Thousandths of series that send histograms.
    pub(crate) histograms: u32,
    /// Thousandths of batches whose samples have start timestamps.
    pub(crate) starts: u32,
}

impl Shape {
    /// Draws a shape.
    pub(crate) fn draw(rng: &mut StdRng) -> Self {
        Self {
            series: rng.random_range(1..=16),
            samples_max: *pick(rng, &[1, 4, 20, 60]),
            window_ms: *pick(rng, &[2 * MINUTE_MS, 30 * MINUTE_MS, 6 * HOUR_MS, 2 * DAY_MS]),
            old: *pick(rng, &[0, 0, 20, 200]),
            histograms: *pick(rng, &[0, 100, 500]),
            starts: *pick(rng, &[0, 0, 300]),
        }
    }
}

/// One of several.
pub(crate) fn pick<'a, T>(rng: &mut StdRng, items: &'a [T]) -> &'a T {
    &items[rng.random_range(0..items.len())]
}

/// One write: what is sent, and what of it must be accepted.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// What the store gets.
    pub(crate) batch: MetricBatch,
    /// Samples that are well-formed, in the order in which later ones win.
    pub(crate) samples: Vec<(Labels, i64, Value)>,
    /// Samples and series that must be refused whatever the time.
    pub(crate) malformed: usize,
}

/// Makes writes; each value is used once.
#[derive(Debug, Default)]
pub(crate) struct Sender {
    values: u64,
    /// Grows as series come and go.
    pub(crate) generation: u64,
}

impl Sender {
    /// Draws a write of a tenant.
    pub(crate) fn batch(&mut self, rng: &mut StdRng, shape: &Shape, now_ms: i64) -> Sent {
        let mut sent = Sent::default();
        let has_starts = rng.random_range(0..1000) < shape.starts;
        let mut histograms = Vec::new();
        let mut left = rng.random_range(1..=shape.samples_max);
        while left > 0 {
            let of_series = rng.random_range(1..=left.min(6));
            left -= of_series;
            let labels = self.series(rng, shape);
            let mut pairs: Vec<(&str, &str)> = labels.iter().collect();
            if rng.random_range(0..8) == 0 {
                pairs.push(("empty", ""));
                pairs.shuffle(rng);
            }
            let row = sent.batch.begin_series(pairs);
            for _ in 0..of_series {
                let t_ms = time(rng, shape, now_ms);
                let start_ms =
                    if has_starts && rng.random() { t_ms - rng.random_range(0..HOUR_MS) } else { 0 };
                self.values += 1;
                let is_histogram = rng.random_range(0..1000) < shape.histograms;
                if is_histogram {
                    let histogram = Arc::new(histogram(self.values));
                    sent.batch.histograms.push((t_ms, Arc::clone(&histogram)));
                    if has_starts {
                        sent.batch.histogram_starts_ms.push(start_ms);
                    }
                    histograms.push((labels.clone(), t_ms, Value::Histogram { histogram, start_ms }));
                } else {
                    let value = float(self.values);
                    sent.batch.points.push(Point { t_ms, value });
                    if has_starts {
                        sent.batch.starts_ms.push(start_ms);
                    }
                    let value = Value::Float { bits: value.to_bits(), start_ms };
                    sent.samples.push((labels.clone(), t_ms, value));
                }
            }
            sent.batch.end_series(row);
        }
        // In one write, histograms come after floats.
        sent.samples.append(&mut histograms);
        if rng.random_range(0..12) == 0 {
            sent.malform(now_ms, has_starts);
        }
        if rng.random_range(0..6) == 0 {
            let metric = format!("m{}", rng.random_range(0..3));
            self.values += 1;
            sent.batch.metadata.push(Metadata {
                metric,
                kind: *pick(rng, &MetricType::ALL),
                unit: "seconds".into(),
                help: format!("Help {}.", self.values),
            });
        }
        sent
    }

    fn series(&self, rng: &mut StdRng, shape: &Shape) -> Labels {
        let n = self.generation + u64::from(rng.random_range(0..shape.series));
        let (name, instance) = (format!("m{}", n % 3), format!("host-{}", n / 3));
        let job = if n.is_multiple_of(2) { "node" } else { "api" };
        let mut pairs = vec![("__name__", name.as_str()), ("instance", &instance)];
        if !n.is_multiple_of(5) {
            pairs.push(("job", job));
        }
        Labels::from_pairs(pairs).expect("names are unique")
    }
}

impl Sent {
    /// Adds a series without a name: its sample is refused and its neighbours are not.
    fn malform(&mut self, now_ms: i64, has_starts: bool) {
        let row = self.batch.begin_series([("job", "nameless")]);
        self.batch.points.push(Point { t_ms: now_ms, value: 0.0 });
        if has_starts {
            self.batch.starts_ms.push(0);
        }
        self.batch.end_series(row);
        self.malformed += 1;
    }
}

fn time(rng: &mut StdRng, shape: &Shape, now_ms: i64) -> i64 {
    let far = rng.random_range(0..1000);
    let back =
        if far < shape.old { rng.random_range(0..10 * DAY_MS) } else { rng.random_range(0..shape.window_ms) };
    let t_ms = now_ms - back;
    // Most lie on a grid, some up to a little ahead, a few too far ahead.
    match rng.random_range(0..100) {
        0 => now_ms + 25 * HOUR_MS,
        1..4 => now_ms + rng.random_range(0..MINUTE_MS),
        4..14 => t_ms,
        _ => t_ms.div_euclid(STEP_MS) * STEP_MS,
    }
}

/// Different for each number, and of every kind that has enough different values.
fn float(n: u64) -> f64 {
    match n % 7 {
        0 => n as f64 * 0.1,
        1 => -(n as f64),
        2 => f64::from_bits(0x7ff8_0000_0000_0000 | n),
        3 => f64::from_bits(n),
        4 => n as f64 * 1e100,
        _ => n as f64,
    }
}

fn histogram(n: u64) -> FloatHistogram {
    let sum = n as f64;
    let buckets: Vec<f64> = (0..1 + n % 5).map(|i| (n + i) as f64).collect();
    let spans = vec![HistogramSpan { offset: (n % 9) as i32, length: buckets.len() as u32 }];
    let count = buckets.iter().sum();
    if n.is_multiple_of(4) {
        let bounds: Vec<f64> = (0..20).map(f64::from).collect();
        return FloatHistogram {
            schema: model::CUSTOM_BUCKETS_SCHEMA,
            sum,
            count,
            positive_spans: spans,
            positive_buckets: buckets,
            custom_bounds: bounds.into(),
            ..FloatHistogram::default()
        };
    }
    FloatHistogram {
        counter_reset_hint: if n.is_multiple_of(3) {
            CounterResetHint::NotReset
        } else {
            CounterResetHint::Unknown
        },
        schema: (n % 3) as i8,
        zero_threshold: 0.5,
        zero_count: (n % 2) as f64,
        sum,
        count,
        negative_spans: if n.is_multiple_of(2) { spans.clone() } else { Vec::new() },
        negative_buckets: if n.is_multiple_of(2) { buckets.clone() } else { Vec::new() },
        positive_spans: spans,
        positive_buckets: buckets,
        custom_bounds: Arc::default(),
    }
}

/// Draws zero to three conditions; at least one with `some`.
pub(crate) fn matchers(rng: &mut StdRng, like: Option<&Labels>, some: bool) -> Vec<Matcher> {
    let count = rng.random_range(usize::from(some)..=3);
    let one = |rng: &mut StdRng| {
        let name = *pick(rng, &["__name__", "instance", "job", "absent"]);
        let op = *pick(
            rng,
            &[MatchOp::Equal, MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex],
        );
        let known = like.and_then(|labels| labels.get(name)).unwrap_or("");
        let value = match (op, rng.random_range(0..4)) {
            (MatchOp::Regex | MatchOp::NotRegex, 0) => ".*".into(),
            (MatchOp::Regex | MatchOp::NotRegex, 1) => format!("{known}|host-1.*|m[01]"),
            (MatchOp::Regex | MatchOp::NotRegex, 2) => ".+".into(),
            (_, 3) => String::new(),
            _ => known.into(),
        };
        Matcher::new(name, op, &value).expect("the patterns are valid")
    };
    (0..count).map(|_| one(rng)).collect()
}

/// Draws a range of time, perhaps all of it, perhaps an empty one.
pub(crate) fn range(rng: &mut StdRng, around_ms: i64) -> TimeRange {
    if rng.random_range(0..3) == 0 {
        return TimeRange::ALL;
    }
    let reach = *pick(rng, &[1, STEP_MS, 10 * MINUTE_MS, 5 * HOUR_MS, 3 * DAY_MS]);
    let start_ms = around_ms - rng.random_range(0..reach);
    TimeRange { start_ms, end_ms: around_ms + rng.random_range(0..=reach) }
}
