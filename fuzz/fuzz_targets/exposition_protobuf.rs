#![no_main]

use ingest::text::{Context, Format, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let import = Context { keep_classic: true, ..Context::import(Format::Protobuf, 1) };
    let imported = decode(body.to_vec(), &import);
    // What a scrape accepts, an import accepts without a refused sample.
    if decode(body.to_vec(), &Context { strict: true, ..import }).is_ok() {
        assert_eq!(imported.as_ref().map(|decoded| decoded.refusals.items()), Ok(0));
    }
    bellwether_fuzz::check(body.len(), imported);
});
