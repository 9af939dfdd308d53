#![no_main]

use ingest::bulk::{answer, decode};
use ingest::records::Context;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(bulk) = decode(body, None, &Context { received_at_ns: 1 }) else { return };
    assert_eq!(bulk.items.len(), bulk.decoded.records.len() + bulk.decoded.refusals.items());
    answer(bulk.items, &Default::default(), 1);
    bellwether_fuzz::check_rows(body.len(), Ok(bulk.decoded));
});
