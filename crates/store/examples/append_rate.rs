//! What storing a sample costs: staging with encoding, group commit with applying, bytes in the log, and
//! flushing; each in nanoseconds of this thread's CPU per sample, and the time with syncs beside it.
//!
//! `cargo run --release -p store --example append_rate [folder]`

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use model::{LabelSpan, MetricBatch, MetricLimits, Point, SampleColumns, SeriesRow, TenantId, TimeRange};
use store::disk::RealDisk;
use store::{Engine, Settings};

const SERIES: usize = 10_000;
const ROUNDS: i64 = 100;
/// As many series as Prometheus puts into one request.
const BATCH: usize = 2000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let scratch = std::env::temp_dir().join(format!("append-rate-{}", std::process::id()));
    let folder = std::env::args_os().nth(1).map_or(scratch, Into::into);
    let disk = Arc::new(RealDisk::open(&folder)?);
    let engine = Engine::open(disk, Settings { seed: 42, ..Settings::default() })?;
    engine.replay_all()?;
    let (tenant, limits) = (TenantId::default_tenant(), MetricLimits::default());
    let mut batches: Vec<MetricBatch> =
        (0..SERIES).step_by(BATCH).map(|first| batch(first..first + BATCH)).collect();
    let now_ms = 1_700_000_000_000;
    let (mut stage, mut commit) = (Cost::default(), Cost::default());
    for round in 0..ROUNDS {
        for batch in &mut batches {
            for (i, point) in batch.points.iter_mut().enumerate() {
                *point = Point { t_ms: now_ms + round * 15_000, value: (round * 7 + i as i64) as f64 * 0.1 };
            }
            // The first round declares the series.
            let counted = round > 0;
            stage.measure(counted, || engine.append(&tenant, batch, &limits, now_ms + round * 15_000))?;
            commit.measure(counted, || Ok::<_, Failure>(engine.commit_once()))?;
        }
    }
    let samples = (SERIES as i64 * (ROUNDS - 1)) as f64;
    let stats = engine.stats();
    let all = SERIES as f64 * ROUNDS as f64;
    writeln!(out, "stage and encode   {}", stage.per(samples))?;
    writeln!(out, "commit and apply   {}", commit.per(samples))?;
    writeln!(
        out,
        "log                {:.2} B/sample, declarations included",
        stats.wal_bytes_total as f64 / all
    )?;
    writeln!(out, "head               {:.1} B/sample", stats.head_bytes as f64 / all)?;
    writeln!(out, "series             {:.0} B/series", stats.series_bytes as f64 / SERIES as f64)?;
    let mut flush = Cost::default();
    flush.measure(true, || engine.flush_all(now_ms))?;
    writeln!(out, "flush              {}", flush.per(all))?;
    writeln!(out, "segment            {:.2} B/sample", engine.stats().segment_bytes as f64 / all)?;
    let mut read = Cost::default();
    let found = read.measure(true, || -> Result<usize, Failure> {
        let mut columns = SampleColumns::default();
        let mut found = 0;
        for series in engine.snapshot(&tenant).select(&[], TimeRange::ALL)? {
            series.read(TimeRange::ALL, &mut columns)?;
            found += columns.len();
        }
        Ok(found)
    })?;
    writeln!(out, "select and read    {} ({found} samples)", read.per(all))?;
    drop(engine);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Labels as a node exporter has them, with the framing that the protocol puts between.
fn batch(series: std::ops::Range<usize>) -> MetricBatch {
    let mut batch = MetricBatch::default();
    for (index, i) in series.enumerate() {
        let (name, instance) =
            (format!("node_metric_{}_total", i % 500), format!("host-{:04}:9100", i / 500));
        let device = format!("/dev/nvme{}n1", i % 7);
        let labels = [
            ("__name__", name.as_str()),
            ("cluster", "production-eu-west-1"),
            ("device", device.as_str()),
            ("instance", instance.as_str()),
            ("job", "node-exporter"),
            ("mode", "user"),
            ("namespace", "monitoring"),
            ("team", "platform-infrastructure"),
        ];
        let first = batch.labels.len() as u32;
        for (name, value) in labels {
            batch.push_text(b"\n..");
            let name = batch.push_text(name.as_bytes());
            batch.push_text(b"..");
            let value = batch.push_text(value.as_bytes());
            batch.labels.push(LabelSpan { name, value });
        }
        let index = index as u32;
        batch.series.push(SeriesRow {
            index,
            labels: first..batch.labels.len() as u32,
            points: index..index + 1,
            ..SeriesRow::default()
        });
        batch.points.push(Point { t_ms: 0, value: 0.0 });
    }
    batch
}

#[derive(Default)]
struct Cost {
    cpu_ns: u64,
    wall_ns: u64,
}

impl Cost {
    fn measure<T, E>(&mut self, counted: bool, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let (start, cpu) = (Instant::now(), cpu_ns());
        let done = work()?;
        if counted {
            self.cpu_ns += cpu_ns() - cpu;
            self.wall_ns += start.elapsed().as_nanos() as u64;
        }
        Ok(done)
    }

    fn per(&self, samples: f64) -> String {
        format!("{:.0} ns CPU, {:.0} ns", self.cpu_ns as f64 / samples, self.wall_ns as f64 / samples)
    }
}

/// CPU time of this thread.
fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
