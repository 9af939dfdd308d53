use model::Reason;
use proptest::prelude::*;

use super::*;
use crate::Decoded;
use crate::testing::lines;

/// Applies packets at 1000 ms and flushes at 2000 ms.
fn flushed(state: &mut StatsdState, packet: &str) -> (Vec<String>, Vec<Reason>) {
    let mut refused = Vec::new();
    let refusals = parse(packet.as_bytes(), |index, op| {
        if let Err(refusal) = state.apply(index, &op, 1000) {
            refused.push(refusal.reason);
        }
    });
    refused.extend(refusals.detailed().iter().map(|r| r.reason));
    (sorted(state, 2000), refused)
}

fn sorted(state: &mut StatsdState, now_ms: i64) -> Vec<String> {
    let mut lines = lines(&Decoded { batch: state.flush(now_ms), ..Decoded::default() });
    lines.sort();
    lines
}

#[track_caller]
fn check(packet: &str, want: &[&str]) {
    assert_eq!(
        flushed(&mut StatsdState::default(), packet),
        (want.iter().map(|w| w.to_string()).collect(), vec![])
    );
}

#[test]
fn lines_of_every_type() {
    check("a.b-c:1|c", &["a_b_c 1@2000<1000"]);
    check("a:1|c\na:2|c|@0.5\n\n", &["a 5@2000<1000"]);
    check("a:1:2:3|c", &["a 6@2000<1000"]);
    check("a:5|g\na:7|g", &["a 7@2000"]);
    check("a:5|g\na:+2|g\na:-1|g", &["a 6@2000"]);
    check("a:5|g|T7", &["a 5@7000"]);
    check("a:x|s\na:y|s\na:x|s\na:p:q|s", &["a 3@2000"]);
    check("a:2000|ms", &["a h(1,2)@2000<1000"]);
    check("a:2:4|h|@0.5\nb:1|d", &["a h(4,12)@2000<1000", "b h(1,1)@2000<1000"]);
    check("a:1|c|#env:prod,x,v:a:b|c:in-123|future", &["a{env=\"prod\", v=\"a:b\", x=\"true\"} 1@2000<1000"]);
    check("a:1|c|#t:1,t:2,__x:1,1:1", &["a{t=\"1;2\", tag_1=\"1\", tag___x=\"1\"} 1@2000<1000"]);
    check("0a:1|c", &["metric_0a 1@2000<1000"]);
}

#[test]
fn a_bad_line_costs_itself() {
    for (bad, reason) in [
        ("a", Reason::Malformed),
        ("a:1", Reason::Malformed),
        (":1|c", Reason::Malformed),
        ("a:x|c", Reason::Malformed),
        ("a:NaN|g", Reason::InvalidValue),
        ("a:inf|ms", Reason::InvalidValue),
        ("a:-1|c", Reason::InvalidValue),
        ("a:1:x|c", Reason::Malformed),
        ("a:1|q", Reason::Unsupported),
        ("a:1|c|@0", Reason::Malformed),
        ("a:1|c|@2", Reason::Malformed),
        ("a:1|c|@NaN", Reason::Malformed),
        ("a:1|g|Tx", Reason::Malformed),
        ("_e{5,4}:title|text", Reason::Unsupported),
        ("_sc|check|0", Reason::Unsupported),
    ] {
        let got = flushed(&mut StatsdState::default(), &format!("{bad}\ngood:1|g"));
        assert_eq!(got, (vec!["good 1@2000".to_owned()], vec![reason]), "{bad}");
    }
}

#[test]
fn counters_and_timers_run_on_and_sets_begin_anew() {
    let mut state = StatsdState::default();
    flushed(&mut state, "c:1|c\nt:1|h\ns:x|s");
    let (lines, _) = flushed(&mut state, "c:2|c\nt:1|h");
    assert_eq!(lines, ["c 3@2000<1000", "s 0@2000", "t h(2,2)@2000<1000"]);
}

#[test]
fn timers_can_be_summaries() {
    let timers = Timers::Summary(vec![0.5, 1.0]);
    let mut state = StatsdState::new(StatsdSettings { timers, ..StatsdSettings::default() });
    let want = [
        "a_count 2@2000<1000",
        "a_sum 3@2000<1000",
        "a{quantile=\"0.5\"} 1@2000",
        "a{quantile=\"1\"} 2@2000",
    ];
    assert_eq!(flushed(&mut state, "a:1:2|h").0, want);
    assert!(sorted(&mut state, 3000)[2].contains("NaN"), "nothing was observed since");
}

#[test]
fn a_name_keeps_its_type() {
    let (lines, refused) = flushed(&mut StatsdState::default(), "a:1|c\na:1|g");
    assert_eq!((lines.len(), refused), (1, vec![Reason::TypeConflict]));
}

#[test]
fn the_state_is_bounded_and_idle_series_end() {
    let mut state = StatsdState::new(StatsdSettings { series_max: 2, ..StatsdSettings::default() });
    let (_, refused) = flushed(&mut state, "a:1|c\nb:1|h\nc:1|g\na:1|c");
    assert_eq!((state.len(), refused), (2, vec![Reason::SeriesLimit]));
    assert_eq!(sorted(&mut state, 301_000), ["a stale@301000<1000", "b stale@301000<1000"]);
    assert!(state.is_empty());
}

#[test]
fn metadata_comes_with_the_first_flush() {
    let mut state = StatsdState::default();
    parse(b"a:1|c", |index, op| state.apply(index, &op, 0).expect("applied"));
    assert_eq!(state.flush(0).metadata.len(), 1);
    assert!(state.flush(0).metadata.is_empty());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(packet: Vec<u8>) {
        let mut state = StatsdState::default();
        parse(&packet, |index, op| drop(state.apply(index, &op, 0)));
        state.flush(0);
    }

    #[test]
    fn no_text_of_the_alphabet_makes_it_panic(packet in "[a0:|@#,.cgmshdT+-]{0,40}") {
        let mut state = StatsdState::default();
        parse(packet.as_bytes(), |index, op| drop(state.apply(index, &op, 0)));
        state.flush(0);
    }
}
