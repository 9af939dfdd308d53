//! What storing and asking log records costs: columns, writing a segment, merging, and questions; CPU of this
//! thread and time beside it.
//!
//! `cargo run --release -p store --example row_rate [millions of records] [folder]`

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use model::record::log;
use model::{Field, Order, Predicate, Records, Scalar, Signal, TenantId, Test, TextMatch, Value};
use store::disk::{Disk, RealDisk};
use store::rows::segment::{RowMerge, RowMergeInput, RowSegment, merge_rows, write_rows};
use store::rows::{Chunk, Column, Cost, Filter, ValueKind};
use store::segment::{MergeSlice, SegmentId, SegmentMeta, SegmentSpec, TableCache};

/// Records of one request.
const REQUEST: usize = 1000;
/// Records of a head when it is flushed.
const HEAD: usize = 500_000;
const SERVICES: usize = 30;
const START_NS: i64 = 1_700_000_000_000_000_000;
const DAY: i32 = (START_NS / 86_400_000_000_000) as i32;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let millions: f64 = std::env::args().nth(1).map_or(Ok(1.0), |text| text.parse())?;
    let scratch = std::env::temp_dir().join(format!("row-rate-{}", std::process::id()));
    let folder = std::env::args_os().nth(2).map_or(scratch, Into::into);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&folder)?);
    let count = (millions * 1e6) as usize;
    let cache = Arc::new(TableCache::new(256 << 20));
    let (mut columns, mut write, mut merge) = (Clock::default(), Clock::default(), Clock::default());
    let mut inputs = Vec::new();
    let (mut text_bytes, mut flushed_bytes) = (0, 0);
    for (id, head) in (0..count).step_by(HEAD).enumerate() {
        let mut chunks = Vec::new();
        for first in (head..count.min(head + HEAD)).step_by(REQUEST) {
            let records = request(first);
            text_bytes += records.text.len();
            chunks.push(columns.measure(|| Ok(Chunk::from_records(&records)))?);
        }
        // Heads join small chunks; the joined ones are what a flush sees.
        let joined = chunks.chunks(64).map(|some| {
            let some: Vec<&Chunk> = some.iter().collect();
            columns.measure(|| Ok(Arc::new(Chunk::concat(Signal::Logs, &some))))
        });
        let joined = joined.collect::<Result<Vec<_>, _>>()?;
        let meta = write.measure(|| Ok(write_rows(&*disk, &spec(id as u64 + 1), &joined)?))?;
        let meta = meta.ok_or("no rows")?;
        flushed_bytes += meta.bytes;
        inputs.push(RowMergeInput { segment: open(&disk, meta, &cache), hidden: Arc::default() });
    }
    let plan = RowMerge {
        level: 1,
        created_ms: 0,
        tombstones_applied: 0,
        oldest_ns: i64::MIN,
        rules: Vec::new(),
        slices: vec![MergeSlice { id: SegmentId(1 << 32), day: DAY, end_ms: i64::MAX }],
    };
    let merged = merge.measure(|| Ok(merge_rows(&*disk, &inputs, &plan)?))?;
    let merged_bytes: u64 = merged.iter().map(|meta| meta.bytes).sum();
    let per = |bytes: u64| bytes as f64 / count as f64;
    writeln!(out, "columns    {}", columns.per(millions))?;
    writeln!(out, "write      {}, {:.1} B a record", write.per(millions), per(flushed_bytes))?;
    writeln!(out, "merge      {}, {:.1} B a record", merge.per(millions), per(merged_bytes))?;
    writeln!(out, "as texts   {:.1} B a record", per(text_bytes as u64))?;
    let segments: Vec<Arc<RowSegment>> = merged.into_iter().map(|meta| open(&disk, meta, &cache)).collect();
    for _ in 0..2 {
        for (name, predicate) in questions(count) {
            let (mut cost, mut found, mut clock) = (Cost::default(), 0, Clock::default());
            clock.measure(|| {
                let filter = Filter::new(Signal::Logs, &predicate, i64::MIN, i64::MAX)?;
                for segment in &segments {
                    for slice in segment.slices(i64::MIN, i64::MAX, &Arc::default())? {
                        let rows = slice.select(&filter, &mut cost)?;
                        found += rows.count_set_bits();
                        if found < 1000 {
                            slice.read(&shown(), &rows, &mut cost)?;
                        }
                    }
                }
                Ok(())
            })?;
            writeln!(out, "{name:<34} {found:>8} rows {} {cost:?}", clock.per(1.0))?;
        }
        writeln!(out, "again")?;
    }
    drop(inputs);
    drop(segments);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn shown() -> [Column; 4] {
    let field = |at: usize| Field::Fixed(at as u8);
    [
        Column::Field(field(log::TIMESTAMP)),
        Column::FieldAs(field(log::BODY), ValueKind::Text),
        Column::Attributes,
        Column::ResourceAttributes,
    ]
}

fn questions(count: usize) -> Vec<(&'static str, Predicate)> {
    let body = |how, text: &str| {
        let test = Test::Text { how, text: text.into(), ignore_case: true };
        Predicate::Test(Field::Fixed(log::BODY as u8), test)
    };
    let key =
        |key: &str, order, wanted| Predicate::Test(Field::Key(key.into()), Test::Compare(order, wanted));
    let id = Scalar::Bytes(trace_id(count / 2).into());
    let of_trace = Predicate::Test(Field::Fixed(log::TRACE_ID as u8), Test::Compare(Order::Equal, id));
    vec![
        ("rare phrase", body(TextMatch::Phrase, "segment corrupted")),
        ("absent word", body(TextMatch::Phrase, "zebra")),
        ("trace id", of_trace),
        ("service", key("service.name", Order::Equal, Scalar::Text("service-7".into()))),
        ("status >= 500", key("http.status_code", Order::GreaterOrEqual, Scalar::Int(500))),
        ("user", key("user.id", Order::Equal, Scalar::Text("user-4711".into()))),
        ("frequent word", body(TextMatch::Phrase, "served")),
        ("substring", body(TextMatch::Contains, "ervice call")),
        ("all", Predicate::TRUE),
    ]
}

/// Scatters numbers.
fn scattered(n: usize) -> u64 {
    (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn trace_id(n: usize) -> [u8; 16] {
    let (low, high) = (scattered(n), scattered(n ^ 0x5555_5555));
    (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
}

/// A request of one service, as a collector sends it.
fn request(first: usize) -> Records {
    let mut records = Records::new(Signal::Logs);
    let service = (first / REQUEST) % SERVICES;
    let start = records.attrs.len() as u32;
    for (key, value) in [
        ("service.name", format!("service-{service}")),
        ("host.name", format!("node-{}", service % 7)),
        ("deployment.environment", "production".into()),
    ] {
        let value = Value::Text(records.push_text(value));
        records.push_attr(key, value);
    }
    let resource = records.end_resource(start);
    for n in first..first + REQUEST {
        let random = scattered(n);
        let is_error = random.is_multiple_of(50);
        let start = records.attrs.len() as u32;
        let texts = [
            ("http.method", ["GET", "POST", "PUT"][(random >> 8) as usize % 3].to_owned()),
            ("http.route", format!("/api/v1/resource-{}", (random >> 16) % 40)),
            ("user.id", format!("user-{}", (random >> 24) % 100_000)),
            ("thread", format!("worker-{}", (random >> 32) % 16)),
        ];
        for (key, value) in texts {
            let value = Value::Text(records.push_text(value));
            records.push_attr(key, value);
        }
        records.push_attr("http.status_code", Value::Int(if is_error { 500 } else { 200 }));
        let body = match random % 100_000 {
            7 => format!("cannot open file: segment corrupted at byte {}", random >> 40),
            _ => format!(
                "request {:08x} served in {} ms by service call {} with {} rows",
                random >> 32,
                (random >> 12) % 900,
                (random >> 20) % 60,
                (random >> 28) % 5000
            ),
        };
        let mut fields = [Value::Null; 7];
        let t_ns = START_NS + n as i64 * 100_000 + (random % 90_000) as i64;
        fields[log::TIMESTAMP] = Value::Int(t_ns);
        fields[log::OBSERVED_TIMESTAMP] = Value::Int(t_ns + 5_000_000);
        fields[log::SEVERITY_NUMBER] = Value::Int(if is_error { 17 } else { 9 });
        fields[log::SEVERITY_TEXT] = Value::Text(records.push_text(if is_error { "ERROR" } else { "INFO" }));
        fields[log::BODY] = Value::Text(records.push_text(body));
        fields[log::TRACE_ID] = Value::Bytes(records.push_text(trace_id(n)));
        fields[log::SPAN_ID] = Value::Bytes(records.push_text(random.to_le_bytes()));
        records.push_row(n as u32, resource, start, &fields);
    }
    records
}

fn spec(id: u64) -> SegmentSpec {
    SegmentSpec {
        id: SegmentId(id),
        tenant: TenantId::default_tenant(),
        signal: Signal::Logs,
        day: DAY,
        level: 0,
        min_seq: id,
        max_seq: id,
        created_ms: 0,
        tombstones_applied: 0,
    }
}

fn open(disk: &Arc<dyn Disk>, meta: SegmentMeta, cache: &Arc<TableCache>) -> Arc<RowSegment> {
    Arc::new(RowSegment::open(Arc::clone(disk), meta, Arc::clone(cache)))
}

#[derive(Default)]
struct Clock {
    cpu_ns: u64,
    wall_ns: u64,
}

impl Clock {
    fn measure<T>(&mut self, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let (start, cpu) = (Instant::now(), cpu_ns());
        let done = work()?;
        self.cpu_ns += cpu_ns() - cpu;
        self.wall_ns += start.elapsed().as_nanos() as u64;
        Ok(done)
    }

    fn per(&self, count: f64) -> String {
        let ms = |ns: u64| ns as f64 / 1e6 / count;
        format!("{:>8.1} ms CPU, {:>8.1} ms", ms(self.cpu_ns), ms(self.wall_ns))
    }
}

/// CPU time of this thread.
fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
