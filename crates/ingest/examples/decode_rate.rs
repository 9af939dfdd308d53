//! What decoding costs: nanoseconds per sample of remote write 1.0 and 2.0 on one-sample series with ten
//! labels, without snappy, and per record of OTLP logs with ten attributes, protobuf and JSON. Run with
//! `cargo run --release -p ingest --example decode_rate`.

use std::time::Instant;

use ingest::otlp::{self, Encoding};
use ingest::records;
use ingest::remote_write::{Context, Version};

const SERIES: usize = 10_000;
const ROUNDS: usize = 50;

fn main() {
    let labels = labels();
    for (name, version, body) in [("v1", Version::V1, v1(&labels)), ("v2", Version::V2, v2(&labels))] {
        let context = Context::default();
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let body = body.clone();
            let start = Instant::now();
            let decoded = version.decode(body, &context).expect("a good body");
            let took = start.elapsed();
            assert_eq!((decoded.batch.samples(), decoded.batch.labels.len()), (SERIES, 10 * SERIES));
            best = best.min(took.as_secs_f64() * 1e9 / SERIES as f64);
        }
        report(&format!("remote write {name}: {best:.0} ns/sample, {} bytes/sample", body.len() / SERIES));
    }
    logs(&labels);
}

/// OTLP logs; JSON is what our own encoder makes of the same records.
fn logs(labels: &[Vec<(String, String)>]) {
    let context = records::Context { received_at_ns: 1 };
    let protobuf = otlp_logs(labels);
    let decoded = otlp::logs::decode(protobuf.clone(), Encoding::Protobuf, &context).expect("a good body");
    let json = otlp::encode::encode(&decoded.records, Encoding::Json);
    for (name, encoding, body) in [("protobuf", Encoding::Protobuf, protobuf), ("JSON", Encoding::Json, json)]
    {
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let body = body.clone();
            let start = Instant::now();
            let decoded = otlp::logs::decode(body, encoding, &context).expect("a good body");
            let took = start.elapsed();
            assert_eq!(decoded.records.len(), SERIES);
            best = best.min(took.as_secs_f64() * 1e9 / SERIES as f64);
        }
        report(&format!("OTLP logs {name}: {best:.0} ns/record, {} bytes/record", body.len() / SERIES));
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]
fn report(line: &str) {
    println!("{line}");
}

/// Ten labels per series, like those of a node_exporter in a cluster.
fn labels() -> Vec<Vec<(String, String)>> {
    let series = |i: usize| {
        let names =
            ["__name__", "cluster", "cpu", "env", "instance", "job", "mode", "namespace", "node", "region"];
        names.iter().map(|name| (name.to_string(), format!("{name}-value-{}", i % 97))).collect()
    };
    (0..SERIES).map(series).collect()
}

fn field(out: &mut Vec<u8>, number: u8, body: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, body.len() as u64);
    out.extend_from_slice(body);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn sample(i: usize) -> Vec<u8> {
    let mut out = vec![1 << 3 | 1];
    out.extend_from_slice(&(i as f64).to_le_bytes());
    out.push(2 << 3);
    varint(&mut out, 1_700_000_000_000);
    out
}

fn v1(all: &[Vec<(String, String)>]) -> Vec<u8> {
    let mut request = Vec::new();
    for (i, labels) in all.iter().enumerate() {
        let mut series = Vec::new();
        for (name, value) in labels {
            let mut label = Vec::new();
            field(&mut label, 1, name.as_bytes());
            field(&mut label, 2, value.as_bytes());
            field(&mut series, 1, &label);
        }
        field(&mut series, 2, &sample(i));
        field(&mut request, 1, &series);
    }
    request
}

fn v2(all: &[Vec<(String, String)>]) -> Vec<u8> {
    let mut symbols: Vec<&str> = vec![""];
    let mut known = std::collections::HashMap::new();
    let mut series = Vec::new();
    for (i, labels) in all.iter().enumerate() {
        let mut refs = Vec::new();
        for text in labels.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]) {
            let symbol = *known.entry(text).or_insert_with(|| {
                symbols.push(text);
                symbols.len() - 1
            });
            varint(&mut refs, symbol as u64);
        }
        let mut one = Vec::new();
        field(&mut one, 1, &refs);
        field(&mut one, 2, &sample(i));
        field(&mut series, 5, &one);
    }
    let mut request = Vec::new();
    for symbol in symbols {
        field(&mut request, 4, symbol.as_bytes());
    }
    request.extend(series);
    request
}

fn otlp_logs(all: &[Vec<(String, String)>]) -> Vec<u8> {
    let key_value = |key: &str, value: &str| {
        let (mut any, mut out) = (Vec::new(), Vec::new());
        field(&mut any, 1, value.as_bytes());
        field(&mut out, 1, key.as_bytes());
        field(&mut out, 2, &any);
        out
    };
    let mut of_scope = Vec::new();
    for (i, attributes) in all.iter().enumerate() {
        let mut record = vec![1 << 3 | 1];
        record.extend_from_slice(&(1_700_000_000_000_000_000 + i as u64).to_le_bytes());
        record.extend_from_slice(&[2 << 3, 9]);
        let mut body = Vec::new();
        field(&mut body, 1, format!("request {i} of user 4711 completed in {} ms", i % 97).as_bytes());
        field(&mut record, 5, &body);
        for (key, value) in attributes {
            field(&mut record, 6, &key_value(key, value));
        }
        field(&mut record, 9, &[7; 16]);
        field(&mut record, 10, &[7; 8]);
        field(&mut of_scope, 2, &record);
    }
    let (mut of_resource, mut resource, mut request) = (Vec::new(), Vec::new(), Vec::new());
    field(&mut resource, 1, &key_value("service.name", "shop"));
    field(&mut of_resource, 1, &resource);
    field(&mut of_resource, 2, &of_scope);
    field(&mut request, 1, &of_resource);
    request
}
