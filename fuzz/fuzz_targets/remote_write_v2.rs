#![no_main]

use ingest::remote_write::{Context, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    bellwether_fuzz::check(body.len(), Version::V2.decode(body.to_vec(), &Context::default()));
});
