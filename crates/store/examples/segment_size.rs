//! Measures what segments cost: bytes per sample of chunks and of the index, and how fast they are written
//! and read.
//!
//! The load is synthetic: 100 hosts with 100 series each, as a node exporter has them, at an interval of 15
//! seconds for 4 hours, with and without jitter of a few milliseconds per host. It is flushed as 8 segments
//! of level 0 (30 minutes each) and merged into one. Beside it stand the bytes that differences as varints
//! under zstd take, which is how other stores write the same samples.
//!
//! `cargo run --release -p store --example segment_size`

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use model::{Labels, SampleColumns, Signal, TenantId, TimeRange};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use store::StoreError;
use store::disk::{Disk, RealDisk};
use store::segment::{
    MergePlan, MergeSlice, Segment, SegmentId, SegmentMeta, SegmentSpec, SeriesInput, TableCache,
    merge_segments, write_segment,
};

const HOSTS: usize = 100;
const SERIES: usize = 100;
const SAMPLES: usize = 960;
const FLUSHES: usize = 8;
const INTERVAL_MS: i64 = 15_000;
const START_MS: i64 = 1_760_000_000_000;

/// How the values of a series come about.
#[derive(Clone, Copy)]
enum Shape {
    /// Grows by a random whole number each time.
    BusyCounter(u32),
    /// Seconds of CPU time with two decimals.
    SecondsCounter,
    /// Grows now and then.
    SlowCounter,
    /// Percents and loads with two decimals.
    Gauge,
    /// Bytes of memory: multiples of 4096 that wander.
    MemoryBytes,
    /// Bytes of a disk that change rarely.
    DiskBytes,
    /// Never changes.
    Constant,
}

/// The shapes of a host's series: 30 counters, 20 gauges, 10 memory and 10 disk sizes, 10 slow counters and
/// 20 constants.
fn shape(series: usize) -> Shape {
    match series {
        0..10 => Shape::BusyCounter(100),
        10..20 => Shape::BusyCounter(100_000),
        20..30 => Shape::SecondsCounter,
        30..50 => Shape::Gauge,
        50..60 => Shape::MemoryBytes,
        60..70 => Shape::DiskBytes,
        70..80 => Shape::SlowCounter,
        _ => Shape::Constant,
    }
}

/// A scrape of a real node exporter is mostly what rests: its shares, of the same shapes.
fn scrape_shape(series: usize) -> Shape {
    match series {
        0..6 => Shape::BusyCounter(1_000),
        6..12 => Shape::SecondsCounter,
        12..16 => Shape::Gauge,
        16..24 => Shape::MemoryBytes,
        24..40 => Shape::SlowCounter,
        40..44 => Shape::DiskBytes,
        _ => Shape::Constant,
    }
}

fn values(shape: Shape, random: &mut SmallRng) -> Vec<f64> {
    let mut value = f64::from(random.random_range(0..1_000_000u32));
    let mut ticks = random.random_range(0..100_000_000u64);
    let mut next = || match shape {
        Shape::BusyCounter(step) => {
            value += f64::from(random.random_range(0..step));
            value
        }
        Shape::SecondsCounter => {
            ticks += random.random_range(0..1_500u64);
            ticks as f64 / 100.0
        }
        Shape::SlowCounter => {
            value += if random.random_range(0..20u32) == 0 {
                f64::from(random.random_range(1..10u32))
            } else {
                0.0
            };
            value
        }
        Shape::Gauge => {
            ticks = (ticks % 10_000 + random.random_range(0..200u64)).saturating_sub(100);
            ticks as f64 / 100.0
        }
        Shape::MemoryBytes => {
            value = (value + f64::from(random.random_range(-64..=64i32))).max(0.0);
            value * 4096.0
        }
        Shape::DiskBytes => {
            if random.random_range(0..30u32) == 0 {
                value += f64::from(random.random_range(-5..50i32));
            }
            value * 4096.0
        }
        Shape::Constant => value,
    };
    (0..SAMPLES).map(|_| next()).collect()
}

fn load(shapes: fn(usize) -> Shape, jitter_ms: i64) -> Vec<SeriesInput> {
    let mut random = SmallRng::seed_from_u64(7);
    let mut all = Vec::with_capacity(HOSTS * SERIES);
    for host in 0..HOSTS {
        let offset = random.random_range(0..INTERVAL_MS);
        let times: Vec<i64> = (0..SAMPLES as i64)
            .map(|i| START_MS + offset + i * INTERVAL_MS + random.random_range(0..=jitter_ms))
            .collect();
        for series in 0..SERIES {
            let name = format!("node_example_{:02}_total", series / 4);
            let instance = format!("host-{host:03}.example:9100");
            let device = format!("device{}", series % 4);
            let labels = Labels::from_pairs([
                ("__name__", name.as_str()),
                ("instance", &instance),
                ("job", "node"),
                ("device", &device),
            ])
            .expect("valid labels");
            let columns = SampleColumns {
                t_ms: times.clone(),
                values: values(shapes(series), &mut random),
                ..SampleColumns::default()
            };
            all.push(SeriesInput { labels, columns, exemplars: Vec::new() });
        }
    }
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all
}

fn part(all: &[SeriesInput], flush: usize) -> Vec<SeriesInput> {
    let samples = flush * SAMPLES / FLUSHES..(flush + 1) * SAMPLES / FLUSHES;
    all.iter()
        .map(|s| SeriesInput {
            labels: s.labels.clone(),
            columns: SampleColumns {
                t_ms: s.columns.t_ms[samples.clone()].to_vec(),
                values: s.columns.values[samples.clone()].to_vec(),
                ..SampleColumns::default()
            },
            exemplars: Vec::new(),
        })
        .collect()
}

fn spec(id: u64) -> SegmentSpec {
    SegmentSpec {
        id: SegmentId(id),
        tenant: TenantId::default_tenant(),
        signal: Signal::Metrics,
        day: (START_MS / 86_400_000) as i32,
        level: 0,
        min_seq: id,
        max_seq: id,
        created_ms: START_MS,
        tombstones_applied: 0,
    }
}

/// Data as differences of differences (counters) or differences (gauges) of scaled integers, as varints, zstd
/// per series: a stand-in for how VictoriaMetrics writes a block.
fn peer_bytes(all: &[SeriesInput]) -> usize {
    let varints = |numbers: &[i64]| {
        let mut out = Vec::new();
        for number in numbers {
            let mut zigzag = ((number << 1) ^ (number >> 63)) as u64;
            while zigzag >= 0x80 {
                out.push(zigzag as u8 | 0x80);
                zigzag >>= 7;
            }
            out.push(zigzag as u8);
        }
        let packed = zstd::bulk::compress(&out, 5).expect("into memory");
        packed.len().min(out.len())
    };
    let differences = |n: &[i64]| n.windows(2).map(|w| w[1] - w[0]).collect::<Vec<i64>>();
    let all = all.iter().map(|s| {
        let integers: Vec<i64> = s.columns.values.iter().map(|v| (v * 100.0).round() as i64).collect();
        let whole = integers.iter().all(|v| v % 100 == 0);
        let integers: Vec<i64> = integers.iter().map(|v| if whole { v / 100 } else { *v }).collect();
        let once = differences(&integers);
        if once.iter().all(|d| *d == once[0]) {
            8
        } else {
            varints(&once).min(varints(&differences(&once))) + 16
        }
    });
    all.sum()
}

struct Report<W: Write>(W);

impl<W: Write> Report<W> {
    fn sizes(
        &mut self,
        name: &str,
        disk: &dyn Disk,
        segments: &[Arc<Segment>],
    ) -> Result<(), Box<dyn Error>> {
        let (mut index, mut data) = (0, 0);
        for segment in segments {
            let [table, chunks] = segment.paths();
            index += disk.open(table)?.len()?;
            data += disk.open(chunks)?.len()?;
        }
        let samples: u64 = segments.iter().map(|s| s.meta().samples).sum();
        let series: u64 = segments.iter().map(|s| s.meta().series).sum();
        let per_sample = |bytes: u64| bytes as f64 / samples as f64;
        writeln!(
            self.0,
            "  {name:<10} {:.3} B/sample: data {:.3}, index {:.3} ({:.1} B/series)",
            per_sample(index + data),
            per_sample(data),
            per_sample(index),
            index as f64 / series as f64
        )?;
        Ok(())
    }

    fn rate(&mut self, name: &str, start: Instant, samples: usize) -> std::io::Result<()> {
        let seconds = start.elapsed().as_secs_f64();
        writeln!(self.0, "  {name:<10} {:.1} M samples/s ({seconds:.2} s)", samples as f64 / seconds / 1e6)
    }
}

fn open(disk: &Arc<dyn Disk>, cache: &Arc<TableCache>, meta: SegmentMeta) -> Arc<Segment> {
    Arc::new(Segment::open(disk.clone(), meta, cache.clone()))
}

fn read_all(segments: &[Arc<Segment>]) -> Result<usize, StoreError> {
    let mut samples = 0;
    let mut columns = SampleColumns::default();
    for segment in segments {
        let mut reader = segment.reader()?;
        for row in 0..reader.rows() {
            columns.clear();
            reader.read(row, TimeRange::ALL, &mut columns)?;
            samples += columns.len();
        }
    }
    Ok(samples)
}

fn measure(title: &str, all: &[SeriesInput]) -> Result<(), Box<dyn Error>> {
    let mut report = Report(std::io::stdout().lock());
    let folder = tempfile::tempdir()?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path())?);
    let cache = Arc::new(TableCache::new(256 << 20));
    writeln!(report.0, "{title}")?;
    let peer = peer_bytes(all) as f64 / (HOSTS * SERIES * SAMPLES) as f64;
    writeln!(report.0, "  varints    {peer:.3} B/sample of values alone: differences as varints under zstd")?;
    let mut flushed = Vec::new();
    let flushes: Vec<Vec<SeriesInput>> = (0..FLUSHES).map(|flush| part(all, flush)).collect();
    let start = Instant::now();
    for (flush, input) in flushes.into_iter().enumerate() {
        let meta = write_segment(&*disk, &spec(1 + flush as u64), &mut input.into_iter().map(Ok), &[])?;
        flushed.extend(meta.map(|meta| open(&disk, &cache, meta)));
    }
    report.rate("flush", start, HOSTS * SERIES * SAMPLES)?;
    report.sizes("level 0", &*disk, &flushed)?;
    read_all(&flushed)?;
    let start = Instant::now();
    report.rate("read", start, read_all(&flushed)?)?;
    let slice = MergeSlice { id: SegmentId(100), day: 0, end_ms: i64::MAX };
    let plan = MergePlan { level: 1, created_ms: START_MS, oldest_t_ms: i64::MIN, slices: vec![slice] };
    let start = Instant::now();
    let metas = merge_segments(&*disk, &flushed, &[], &plan)?;
    report.rate("merge", start, HOSTS * SERIES * SAMPLES)?;
    let merged: Vec<Arc<Segment>> = metas.into_iter().map(|meta| open(&disk, &cache, meta)).collect();
    report.sizes("merged", &*disk, &merged)?;
    read_all(&merged)?;
    let start = Instant::now();
    report.rate("read", start, read_all(&merged)?)?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    measure("mixed load, no jitter", &load(shape, 0))?;
    measure("mixed load, jitter of 5 ms by host", &load(shape, 5))?;
    measure("mostly resting series, jitter of 5 ms by host", &load(scrape_shape, 5))?;
    Ok(())
}
