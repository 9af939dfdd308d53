#![no_main]

use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1 << 20;

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (encoding, body) = input;
    let encodings = ["gzip", "zstd", "deflate", "snappy", "identity"];
    if let Ok(plain) = ingest::compress::decompress(encodings[usize::from(encoding) % 5], body, LIMIT) {
        assert!(plain.len() <= LIMIT);
    }
});
