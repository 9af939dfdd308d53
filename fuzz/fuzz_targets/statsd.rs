#![no_main]

use ingest::Decoded;
use ingest::statsd::{StatsdSettings, StatsdState, Timers, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| {
    for timers in [Timers::Native, Timers::Summary(vec![0.5, 0.99])] {
        let mut state =
            StatsdState::new(StatsdSettings { timers, series_max: 16, ..StatsdSettings::default() });
        parse(packet, |index, op| drop(state.apply(index, &op, 0)));
        bellwether_fuzz::check(packet.len(), Ok(Decoded { batch: state.flush(1), ..Decoded::default() }));
    }
});
