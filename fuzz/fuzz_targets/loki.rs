#![no_main]

use ingest::loki::Format;
use ingest::records::Context;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for format in [Format::Json, Format::Protobuf] {
        bellwether_fuzz::check_rows(body.len(), format.decode(body.to_vec(), &Context { received_at_ns: 1 }));
    }
});
