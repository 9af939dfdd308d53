#![no_main]

use ingest::otlp::metrics::{Context, Encoding, Settings, Translation, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for translation in [Translation::UnderscoresAndSuffixes, Translation::Off] {
        let settings =
            Settings { promote_all: true, promote_scope: true, translation, ..Settings::default() };
        let context = Context { received_at_ms: 1, settings };
        bellwether_fuzz::check(body.len(), decode(body.to_vec(), Encoding::Json, &context));
    }
});
