//! What decoding costs: nanoseconds per sample of remote write 1.0 and 2.0 on one-sample series with ten
//! labels, without snappy. Run with `cargo run --release -p ingest --example decode_rate`.

use std::time::Instant;

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
