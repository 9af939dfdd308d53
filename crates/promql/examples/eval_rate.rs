//! Times range queries over series in memory: 6 hours at 60 s, samples every 15 s.
//!
//! `cargo run --release -p promql --example eval_rate [TEXT]` runs the queries that contain the text.

use std::io::Write;
use std::time::Instant;

use model::{Labels, SampleColumns, TimeRange};
use promql::source::{SelectRequest, SeriesHandle, SeriesSource, SourceError};
use promql::{Engine, EngineOptions, QueryContext, Value};

const INTERVAL_MS: i64 = 15_000;
const HOUR_MS: i64 = 3_600_000;
const RUNS: usize = 30;

/// A series with samples from 0 on.
#[derive(Clone)]
struct Series {
    labels: Labels,
    t_ms: std::sync::Arc<Vec<i64>>,
    values: std::sync::Arc<Vec<f64>>,
}

impl SeriesHandle for Series {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, range: TimeRange, out: &mut SampleColumns) -> Result<(), SourceError> {
        out.clear();
        let from = self.t_ms.partition_point(|t| *t < range.start_ms);
        let to = self.t_ms.partition_point(|t| *t < range.end_ms);
        out.t_ms.extend_from_slice(&self.t_ms[from..to]);
        out.values.extend_from_slice(&self.values[from..to]);
        Ok(())
    }
}

#[derive(Default)]
struct Memory(Vec<Series>);

impl SeriesSource for Memory {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Box<dyn SeriesHandle>>, SourceError> {
        let matches = |series: &&Series| {
            request.matchers.iter().all(|m| m.matches(series.labels.get(&m.name).unwrap_or("")))
        };
        Ok(self.0.iter().filter(matches).map(|s| Box::new(s.clone()) as Box<dyn SeriesHandle>).collect())
    }
}

impl Memory {
    /// Adds a series whose values rise by a varying amount, or wander when it is no counter.
    fn push(&mut self, pairs: &[(&str, &str)], scale: f64, counter: bool, samples: usize) {
        let seed = self.0.len() as u64 + 1;
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut value = 0.0;
        let values = (0..samples)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let step = (state >> 40) as f64 / (1u64 << 24) as f64 * scale;
                value = if counter { value + step } else { step };
                value
            })
            .collect();
        let t_ms = (0..samples as i64).map(|i| i * INTERVAL_MS).collect();
        let labels = Labels::from_pairs(pairs.iter().copied()).expect("valid labels");
        self.0.push(Series { labels, t_ms: std::sync::Arc::new(t_ms), values: std::sync::Arc::new(values) });
    }
}

fn source() -> Memory {
    let mut memory = Memory::default();
    let samples = (7 * HOUR_MS / INTERVAL_MS) as usize;
    for host in 0..100 {
        let instance = format!("host-{host}:9100");
        for mode in ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"] {
            let pairs = [("__name__", "cpu_seconds_total"), ("instance", &instance), ("mode", mode)];
            memory.push(&pairs, 15.0, true, samples);
        }
        memory.push(&[("__name__", "load1"), ("instance", &instance)], 4.0, false, samples);
        for le in ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"] {
            let pairs = [("__name__", "latency_seconds_bucket"), ("instance", &instance), ("le", le)];
            let scale =
                if le == "+Inf" { 100.0 } else { le.parse::<f64>().expect("a number").min(9.0) * 10.0 };
            memory.push(&pairs, scale, true, samples);
        }
    }
    memory
}

fn main() {
    let source = source();
    let engine = Engine::new(EngineOptions::default());
    let context = QueryContext::default();
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    for query in [
        "sum by (mode) (rate(cpu_seconds_total[5m]))",
        "rate(cpu_seconds_total[5m])",
        "topk(5, rate(cpu_seconds_total[5m]))",
        "histogram_quantile(0.9, rate(latency_seconds_bucket[5m]))",
        "histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[5m])))",
        "avg_over_time(load1[1h])",
        "max_over_time(load1[1h])",
        "quantile_over_time(0.9, load1[1h])",
        "cpu_seconds_total{instance=\"host-1:9100\", mode=\"idle\"}",
        "cpu_seconds_total / on (instance) group_left () load1",
    ] {
        if !query.contains(&wanted) {
            continue;
        }
        let mut best = f64::INFINITY;
        let mut line = String::new();
        for _ in 0..RUNS {
            let begin = Instant::now();
            let result = engine
                .range(&source, query, (HOUR_MS, 7 * HOUR_MS), 60_000, &context)
                .expect("the query has a value");
            best = best.min(begin.elapsed().as_secs_f64() * 1e3);
            let series = if let Value::Matrix(series) = &result.value { series.len() } else { 0 };
            line = format!("{series:5} series, {:8} samples read", result.stats.samples_read);
        }
        writeln!(out, "{best:8.2} ms  {line}  {query}").expect("stdout");
    }
}
