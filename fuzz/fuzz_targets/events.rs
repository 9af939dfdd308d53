#![no_main]

use ingest::events::decode;
use ingest::records::Context;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    bellwether_fuzz::check_rows(body.len(), decode(body, &Context { received_at_ns: 1 }));
});
