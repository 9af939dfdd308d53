#![no_main]

use ingest::json::{Context, decode, decode_one};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let context =
        Context { received_at_ms: 1, future_ms_max: 1, default_tags: vec![("a".into(), "b".into())] };
    bellwether_fuzz::check(body.len(), decode(body, &context).map(|request| request.decoded));
    bellwether_fuzz::check(body.len(), decode_one(body, &context));
});
