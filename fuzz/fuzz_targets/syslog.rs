#![no_main]

use ingest::records::Context;
use ingest::syslog::{Batch, Framer, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|stream: &[u8]| {
    let context = Context { received_at_ns: 1_700_000_000_000_000_000 };
    bellwether_fuzz::check_rows(stream.len(), Ok(decode(stream, &context)));
    // Where the pieces of a stream end makes no difference.
    let rows = |step: usize| {
        let (mut framer, mut batch) = (Framer::default(), Batch::default());
        for piece in stream.chunks(step) {
            framer.push(piece, |message, cut| batch.push(message, cut, &context));
        }
        framer.finish(|message, cut| batch.push(message, cut, &context));
        let decoded = batch.take();
        let count = decoded.records.len();
        bellwether_fuzz::check_rows(stream.len(), Ok(decoded));
        (count, framer.truncated())
    };
    assert_eq!(rows(7), rows(stream.len().max(1)));
});
