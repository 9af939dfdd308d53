use model::{Records, Value, record};
use proptest::prelude::*;

use super::*;
use crate::rows::chunk::testing;

fn bytes_of(chunks: &[Arc<Chunk>]) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(encode(chunks, -7, &mut out));
    out
}

fn check(chunks: &[Arc<Chunk>]) {
    let (received_ms, got) = decode(Signal::Logs, &bytes_of(chunks)).expect("decoded");
    assert_eq!((received_ms, got.len()), (-7, chunks.len()));
    for (got, want) in got.iter().zip(chunks) {
        testing::assert_equal(got, want);
    }
}

fn chunk() -> impl Strategy<Value = Arc<Chunk>> {
    testing::decoded(8, 12).prop_map(|records| Arc::new(Chunk::from_records(&records)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn chunks_round_trip(chunks in prop::collection::vec(chunk(), 0..3)) {
        check(&chunks);
    }

    #[test]
    fn chunks_with_an_overflow_round_trip(records in testing::decoded(400, 80)) {
        check(&[Arc::new(Chunk::from_records(&records))]);
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes: Vec<u8>) {
        let _ = decode(Signal::Logs, &bytes);
        bytes.insert(0, VERSION);
        let _ = decode(Signal::Logs, &bytes);
        // As if they had been compressed.
        let mut whole = vec![VERSION];
        put_varint(&mut whole, bytes.len() as u64);
        whole.extend_from_slice(&lz4_flex::block::compress(&bytes));
        let _ = decode(Signal::Traces, &whole);
    }

    #[test]
    fn a_changed_byte_never_panics(records in testing::decoded(8, 12), at: prop::sample::Index, byte: u8) {
        let mut raw = Vec::new();
        put_zigzag(&mut raw, 0);
        put_varint(&mut raw, 1);
        put_chunk(&mut raw, &Chunk::from_records(&records));
        let at = at.index(raw.len());
        raw[at] = byte;
        let mut whole = vec![VERSION];
        put_varint(&mut whole, raw.len() as u64);
        whole.extend_from_slice(&lz4_flex::block::compress(&raw));
        let _ = decode(Signal::Logs, &whole);
    }
}

#[test]
fn attributes_of_a_resource_are_written_once() {
    let mut records = Records::new(Signal::Logs);
    let long = records.push_text("x".repeat(5000));
    records.push_attr("k8s.annotation", Value::Text(long));
    let resource = records.end_resource(0);
    for i in 0..10_000 {
        let mut fields = [Value::Null; 7];
        fields[record::log::TIMESTAMP] = Value::Int(i);
        let first = records.attrs.len() as u32;
        records.push_row(i as u32, resource, first, &fields);
    }
    let mut raw = Vec::new();
    put_chunk(&mut raw, &Chunk::from_records(&records));
    assert!(raw.len() < 30_000, "{}", raw.len());
}
