//! What the program says about itself: its log lines and the spans of the requests it serves, written into its
//! own store, so that its pages show something true from the first minute.
//!
//! A [`Layer`] gathers both into a bounded buffer; a service drains it every second straight into the store.
//! The way there is itself never traced, logged on success, or counted against limits. A span is recorded only
//! below a request's, so background work costs nothing.

mod layer; // from `tracing` to the buffer
mod rows; // from the buffer to records
mod traceparent; // W3C Trace Context

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

pub use layer::Layer;
pub(crate) use layer::context_of_current;
pub(crate) use rows::{lines_to_records, spans_to_records};
pub(crate) use traceparent::{parse_traceparent, traceparent};

/// Lines and spans that wait for the store; beyond it the newest are lost and counted.
const WAITING_MAX: usize = 20_000;

/// Names of one trace and one span in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    /// Whether spans of the trace are kept.
    pub(crate) sampled: bool,
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FieldValue {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
}

/// A line of our own log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnLine {
    pub(crate) time_ns: i64,
    pub(crate) level: tracing::Level,
    pub(crate) target: &'static str,
    pub(crate) message: String,
    pub(crate) fields: Vec<(&'static str, FieldValue)>,
    pub(crate) context: Option<TraceContext>,
}

/// A span that ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnSpan {
    pub(crate) start_ns: i64,
    pub(crate) duration_ns: i64,
    pub(crate) name: String,
    pub(crate) context: TraceContext,
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) fields: Vec<(&'static str, FieldValue)>,
    /// Server for a request, internal below it.
    pub(crate) is_request: bool,
}

/// The buffer between the layer and the store; clones share it.
#[derive(Clone, Default)]
pub struct OwnTelemetry(Arc<Shared>);

struct Shared {
    lines: Mutex<Vec<OwnLine>>,
    spans: Mutex<Vec<OwnSpan>>,
    lost: AtomicU64,
    is_on: AtomicBool,
    /// Bits of the share of traces that are kept.
    rate: AtomicU64,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            lines: Mutex::default(),
            spans: Mutex::default(),
            lost: AtomicU64::new(0),
            is_on: AtomicBool::new(true),
            rate: AtomicU64::new(1f64.to_bits()),
        }
    }
}

impl OwnTelemetry {
    /// The layer that fills the buffer.
    pub fn layer(&self) -> Layer {
        Layer::new(self.clone())
    }

    /// Whether spans are recorded, and the share of traces that are.
    pub(crate) fn sample(&self, is_on: bool, rate: f64) {
        self.0.is_on.store(is_on, Ordering::Relaxed);
        self.0.rate.store(rate.to_bits(), Ordering::Relaxed);
    }

    /// Whether a trace that begins here is kept: the same answer for the same trace everywhere.
    fn keeps(&self, trace_id: &[u8; 16]) -> bool {
        if !self.0.is_on.load(Ordering::Relaxed) {
            return false;
        }
        let rate = f64::from_bits(self.0.rate.load(Ordering::Relaxed));
        let low = u64::from_be_bytes(trace_id[8..].try_into().expect("eight of sixteen bytes"));
        // The lowest 56 bits are the random part of a trace id (W3C Trace Context, level 2).
        let part = (low & ((1 << 56) - 1)) as f64 / (1u64 << 56) as f64;
        part < rate
    }

    fn push_line(&self, line: OwnLine) {
        self.push(&self.0.lines, line);
    }

    fn push_span(&self, span: OwnSpan) {
        self.push(&self.0.spans, span);
    }

    fn push<T>(&self, to: &Mutex<Vec<T>>, item: T) {
        let mut waiting = to.lock();
        if waiting.len() < WAITING_MAX {
            waiting.push(item);
        } else {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes everything that waits, and the number of lines and spans that found no room.
    pub(crate) fn take(&self) -> (Vec<OwnLine>, Vec<OwnSpan>, u64) {
        let lines = std::mem::take(&mut *self.0.lines.lock());
        let spans = std::mem::take(&mut *self.0.spans.lock());
        (lines, spans, self.0.lost.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_keeps_its_share_and_decides_by_trace() {
        let own = OwnTelemetry::default();
        own.sample(true, 0.25);
        let id = |i: u64| {
            let mut id = [0; 16];
            id[8..].copy_from_slice(&i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            id
        };
        let kept = (0..10_000).filter(|i| own.keeps(&id(*i))).count();
        assert!((2_300..2_700).contains(&kept), "{kept}");
        assert_eq!(own.keeps(&id(7)), own.keeps(&id(7)));
        own.sample(true, 0.0);
        assert!(!own.keeps(&id(1)));
        own.sample(false, 1.0);
        assert!(!own.keeps(&id(1)));
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let own = OwnTelemetry::default();
        let line = OwnLine {
            time_ns: 0,
            level: tracing::Level::INFO,
            target: "t",
            message: String::new(),
            fields: Vec::new(),
            context: None,
        };
        for _ in 0..WAITING_MAX + 3 {
            own.push_line(line.clone());
        }
        let (lines, _, lost) = own.take();
        assert_eq!((lines.len(), lost), (WAITING_MAX, 3));
    }
}
