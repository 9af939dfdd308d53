//! Reads segments of rows that earlier versions wrote. There is one folder under `fixtures` per version of the
//! format; what it holds is computed here, so that every value is compared.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_buffer::BooleanBuffer;
use model::record::log;
use model::{Field, Order, Predicate, Records, Scalar, Signal, TenantId, Test, TextMatch, Value};
use store::disk::{Disk, RealDisk};
use store::rows::segment::{RowSegment, write_rows};
use store::rows::{Chunk, Column, Cost, Filter};
use store::segment::{SegmentId, SegmentMeta, SegmentSpec, TableCache};

const START_NS: i64 = 1_700_000_000_000_000_000;
const ROWS: i64 = 5000;

fn body(n: i64) -> String {
    if n == 4321 { "Größe überschritten: \"quota\"".into() } else { format!("request {} served", n % 31) }
}

/// Of all kinds, with keys that have several and more keys than columns.
fn records() -> Records {
    let mut records = Records::new(Signal::Logs);
    for n in 0..ROWS {
        let first = records.attrs.len() as u32;
        let service = Value::Text(records.push_text(format!("service-{}", n % 3)));
        records.push_attr("service.name", service);
        let resource = records.end_resource(first);
        let first = records.attrs.len() as u32;
        let mixed = match n % 5 {
            0 => Value::Text(records.push_text("five")),
            1 => Value::Bool(true),
            2 => Value::Json(records.push_text("[1,{\"a\":null}]")),
            3 => Value::Double(0.5),
            _ => Value::Int(n),
        };
        records.push_attr("mixed", mixed);
        records.push_attr(format!("key-{}", n % 250), Value::Int(n));
        let mut fields = [Value::Null; 7];
        fields[log::TIMESTAMP] = Value::Int(START_NS + n);
        fields[log::BODY] = Value::Text(records.push_text(body(n)));
        if n % 7 == 0 {
            fields[log::TRACE_ID] = Value::Bytes(records.push_text((n as u128 + 1).to_be_bytes()));
        }
        records.push_row(n as u32, resource, first, &fields);
    }
    records
}

fn spec() -> SegmentSpec {
    SegmentSpec {
        id: SegmentId(1),
        tenant: TenantId::default_tenant(),
        signal: Signal::Logs,
        day: (START_NS / 86_400_000_000_000) as i32,
        level: 0,
        min_seq: 1,
        max_seq: 9,
        created_ms: 0,
        tombstones_applied: 0,
    }
}

/// What the manifest would say.
fn meta() -> SegmentMeta {
    let spec = spec();
    SegmentMeta {
        id: spec.id,
        tenant: spec.tenant,
        signal: spec.signal,
        day: spec.day,
        level: spec.level,
        min_t_ms: START_NS / 1_000_000,
        max_t_ms: START_NS / 1_000_000,
        min_seq: spec.min_seq,
        max_seq: spec.max_seq,
        series: 0,
        samples: ROWS as u64,
        bytes: 0,
        created_ms: spec.created_ms,
        tombstones_applied: 0,
    }
}

fn fixture(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/rows-v{version}"))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("fixture") {
        let entry = entry.expect("entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

/// Numbers of the rows that a predicate accepts, with what they say.
fn found(segment: &Arc<RowSegment>, predicate: &Predicate) -> Vec<(i64, String, String)> {
    let filter = Filter::new(Signal::Logs, predicate, i64::MIN, i64::MAX).expect("valid");
    let mut all = Vec::new();
    for slice in segment.slices(i64::MIN, i64::MAX, &Arc::default()).expect("slices") {
        let cost = &mut Cost::default();
        let rows = slice.select(&filter, cost).expect("selected");
        let body = Column::Field(Field::Fixed(log::BODY as u8));
        let columns = [Column::Field(Field::Fixed(0)), body, Column::Attributes];
        let arrays = slice.read(&columns, &rows, cost).expect("read");
        let times = arrays[0].as_primitive::<Int64Type>();
        let text = |at: usize, row: usize| arrays[at].as_string_view().value(row).to_owned();
        all.extend((0..times.len()).map(|row| (times.value(row) - START_NS, text(1, row), text(2, row))));
    }
    all.sort();
    all
}

fn wanted(n: i64) -> (i64, String, String) {
    let mixed = match n % 5 {
        0 => "\"five\"".into(),
        1 => "true".into(),
        2 => "[1,{\"a\":null}]".into(),
        3 => "0.5".into(),
        _ => n.to_string(),
    };
    (n, body(n), format!("{{\"key-{}\":{n},\"mixed\":{mixed}}}", n % 250))
}

#[test]
fn version_1_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    copy(&fixture(1), folder.path());
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).expect("lock"));
    let segment = Arc::new(RowSegment::open(disk, meta(), Arc::new(TableCache::new(1 << 20))));
    let all: Vec<_> = (0..ROWS).map(wanted).collect();
    assert_eq!(found(&segment, &Predicate::TRUE), all);
    // The hashes of the filters are part of the format.
    let phrase = Test::Text { how: TextMatch::Phrase, text: "GRÖSSE".into(), ignore_case: true };
    assert_eq!(found(&segment, &Predicate::Test(Field::Fixed(log::BODY as u8), phrase)), []);
    let phrase = Test::Text { how: TextMatch::Phrase, text: "GRÖßE".into(), ignore_case: true };
    assert_eq!(found(&segment, &Predicate::Test(Field::Fixed(log::BODY as u8), phrase)), [wanted(4321)]);
    let id = Scalar::Bytes(Arc::from((7u128 + 1).to_be_bytes().as_slice()));
    let id = Predicate::Test(Field::Fixed(log::TRACE_ID as u8), Test::Compare(Order::Equal, id));
    assert_eq!(found(&segment, &id), [wanted(7)]);
    let text = Test::Compare(Order::Equal, Scalar::Text("five".into()));
    let fives = found(&segment, &Predicate::Test(Field::Key("mixed".into()), text));
    assert_eq!(fives, (0..ROWS).step_by(5).map(wanted).collect::<Vec<_>>());
    let slices = segment.slices(i64::MIN, i64::MAX, &Arc::default()).expect("slices");
    let rows = slices[0].chunk(&BooleanBuffer::new_set(slices[0].rows())).expect("read").rows;
    assert_eq!(rows as i64, ROWS);
}

/// `WRITE_FIXTURES=1` keeps what is written here: run so once when the format gets a new version.
#[test]
fn the_fixture_of_this_version_stays_small() {
    let folder = tempfile::tempdir().expect("folder");
    let disk = RealDisk::open(folder.path()).expect("lock");
    let chunks = [Arc::new(Chunk::from_records(&records()))];
    let bytes = write_rows(&disk, &spec(), &chunks).expect("written").expect("has rows").bytes;
    assert!(bytes < 400 << 10, "{bytes}");
    if std::env::var_os("WRITE_FIXTURES").is_some() {
        copy(&folder.path().join("tenants"), &fixture(1).join("tenants"));
    }
}
