#![no_main]

use ingest::otlp::Encoding;
use ingest::otlp::traces::decode;
use ingest::records::Context;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let decoded = decode(body.to_vec(), Encoding::Protobuf, &Context { received_at_ns: 1 });
    bellwether_fuzz::check_otlp_round_trip(&decoded);
    bellwether_fuzz::check_rows(body.len(), decoded);
});
