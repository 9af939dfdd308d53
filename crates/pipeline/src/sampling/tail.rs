//! Sampling by whole traces within a window: whoever has gathered spans for a while (a head about to be
//! flushed) asks for all of them at once.
//!
//! A trace may go on after that. One kept for what happened in it is remembered for a window, so that its later
//! spans are kept too; one kept by its hash needs no memory.

use hashbrown::HashMap;

use super::{Kept, Samplers, SpanFacts, TraceId};

/// Decisions with a memory. One for each tenant.
#[derive(Debug)]
pub struct TailSampler {
    samplers: Samplers,
    window_ms: i64,
    /// Traces kept for what happened in them, and when they were last seen, in milliseconds.
    remembered: HashMap<TraceId, i64>,
}

impl TailSampler {
    /// Traces that are remembered; a busy server with one error in a hundred traces fills this in a minute.
    pub const TRACES_MAX: usize = 100_000;

    /// Decides as these samplers do, and remembers for so many milliseconds.
    pub fn new(samplers: Samplers, window_ms: i64) -> Self {
        Self { samplers, window_ms, remembered: HashMap::new() }
    }

    /// Which spans are kept, one bit each; `None` when all are.
    pub fn decide(&mut self, spans: &SpanFacts<'_>, now_ms: i64) -> Option<Vec<bool>> {
        if self.samplers.keep_all() {
            return None;
        }
        self.remembered.retain(|_, seen_ms| now_ms.saturating_sub(*seen_ms) <= self.window_ms);
        let mut traces = self.samplers.decide_traces(spans);
        for (id, kept) in &mut traces {
            if *kept == Kept::No && self.remembered.contains_key(id) {
                *kept = Kept::ByFacts;
            }
            // Beyond the limit a trace is decided anew by each batch of its spans.
            if *kept == Kept::ByFacts
                && (self.remembered.len() < Self::TRACES_MAX || self.remembered.contains_key(id))
            {
                self.remembered.insert(*id, now_ms);
            }
        }
        Some(spans.trace_ids.iter().map(|id| traces.get(id).is_some_and(|kept| *kept != Kept::No)).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(number: u128) -> TraceId {
        number.to_be_bytes()
    }

    #[test]
    fn a_trace_that_failed_keeps_its_later_spans_within_the_window() {
        let samplers =
            Samplers::from_config(&json!([{"type":"rate","rate":0},{"type":"errors"}])).expect("samplers");
        let mut tail = TailSampler::new(samplers, 1000);
        let mut decide = |ids: &[u128], errors: &[bool], now_ms| {
            let trace_ids: Vec<_> = ids.iter().map(|n| id(*n)).collect();
            let durations_ns = vec![0; ids.len()];
            tail.decide(&SpanFacts { trace_ids: &trace_ids, errors, durations_ns: &durations_ns }, now_ms)
        };
        assert_eq!(decide(&[1, 2, 1], &[false, false, true], 0), Some(vec![true, false, true]));
        assert_eq!(decide(&[1, 2], &[false, false], 900), Some(vec![true, false]));
        assert_eq!(decide(&[1], &[false], 1800), Some(vec![true]), "seen again, remembered anew");
        assert_eq!(decide(&[1], &[false], 2801), Some(vec![false]));
    }

    #[test]
    fn samplers_that_keep_all_ask_nothing() {
        let mut tail = TailSampler::new(Samplers::default(), 1000);
        let facts = SpanFacts { trace_ids: &[id(1)], errors: &[false], durations_ns: &[0] };
        assert_eq!(tail.decide(&facts, 0), None);
    }

    #[test]
    fn its_memory_is_bounded() {
        let mut tail = TailSampler::new(Samplers(vec![super::super::Sampler::Errors]), i64::MAX);
        let ids: Vec<_> = (0..TailSampler::TRACES_MAX as u128 + 10).map(id).collect();
        let facts =
            SpanFacts { trace_ids: &ids, errors: &vec![true; ids.len()], durations_ns: &vec![0; ids.len()] };
        assert_eq!(tail.decide(&facts, 0).map(|kept| kept.iter().all(|k| *k)), Some(true));
        assert_eq!(tail.remembered.len(), TailSampler::TRACES_MAX);
    }
}
