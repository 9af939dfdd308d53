//! Where spans come from: newest first, with no more of each than is asked for.

use std::ops::ControlFlow;
use std::sync::Arc;

use hashbrown::HashMap;
use model::predicate::{Field, Predicate, Scalar, Test};
use model::record::span;

use super::SPANS_PER_TRACE_MAX;
use super::span::{SpanData, TraceId};
use super::tree::Trace;
use crate::control::Control;
use crate::error::QueryFault;

/// How many spans are held at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Of several traces together; with their attributes some hundred megabytes.
    all: usize,
    /// Of each trace.
    trace: usize,
}

pub(super) const ROOM: Room = Room { all: 500_000, trace: SPANS_PER_TRACE_MAX };
// While a trace is gathered it may have twice what is kept of it.
const _: () = assert!(ROOM.all >= 2 * ROOM.trace);

/// Which attributes are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// None.
    #[default]
    None,
    /// Those of these keys.
    Some(Vec<Arc<str>>),
    /// All.
    All,
}

impl Keys {
    /// One more key.
    pub fn add(&mut self, key: &Arc<str>) {
        match self {
            Self::None => *self = Self::Some(vec![Arc::clone(key)]),
            Self::Some(keys) if !keys.contains(key) => keys.push(Arc::clone(key)),
            Self::Some(_) | Self::All => {}
        }
    }
}

/// What is read of spans beside ids, times, name, service, kind and status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// The spans' own attributes.
    pub attributes: Keys,
    /// Their resources' attributes.
    pub resource: Keys,
    /// Their events.
    pub events: bool,
    /// Their links.
    pub links: bool,
}

impl Want {
    /// All there is.
    pub fn everything() -> Self {
        Self { attributes: Keys::All, resource: Keys::All, events: true, links: true }
    }
}

/// Which spans, and what of them.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    /// Those that fulfil this.
    pub predicate: &'a Predicate,
    /// Those that begin at this time or later, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// Those that begin before this time.
    pub end_ns: i64,
    /// What is read of them.
    pub want: &'a Want,
    /// When to stop.
    pub control: &'a Control,
}

/// Some of the spans.
#[derive(Debug)]
pub struct Batch {
    /// The spans, in no order.
    pub spans: Vec<SpanData>,
    /// No span of a later batch begins after this time; the least time when there is no later batch.
    pub older_ns: i64,
}

/// What looks at batches; it may say that it has seen enough.
pub type Visit<'a> = dyn FnMut(Batch) -> Result<ControlFlow<()>, QueryFault> + 'a;

/// Something that has spans.
pub trait SpanSource: Sync {
    /// Shows the spans in batches, the newest first.
    fn scan(&self, scan: &Scan<'_>, visit: &mut Visit<'_>) -> Result<(), QueryFault>;
}

/// Loads whole traces: of each the spans between two times, the first [`SPANS_PER_TRACE_MAX`] of them. Traces
/// without spans are left out; the others come in the order asked for.
pub fn load_traces(
    source: &dyn SpanSource,
    ids: &[TraceId],
    range_ns: (i64, i64),
    want: &Want,
    control: &Control,
) -> Result<Vec<Trace>, QueryFault> {
    load_if_few(source, ids, range_ns, want, control, ROOM)?.ok_or_else(|| {
        let most = ROOM.all;
        QueryFault::Limit(format!(
            "the traces have more than {most} spans: ask for fewer traces or a shorter range"
        ))
    })
}

/// As [`load_traces`]; `None` where several traces together have more spans than are held at once.
pub(super) fn load_if_few(
    source: &dyn SpanSource,
    ids: &[TraceId],
    range_ns: (i64, i64),
    want: &Want,
    control: &Control,
    room: Room,
) -> Result<Option<Vec<Trace>>, QueryFault> {
    let scalars = ids.iter().map(|id| Scalar::Bytes(id.as_slice().into())).collect();
    let predicate = Predicate::Test(Field::Fixed(span::TRACE_ID as u8), Test::OneOf(scalars));
    let mut by_id: HashMap<TraceId, Spans> = ids.iter().map(|id| (*id, Spans::default())).collect();
    let mut held = 0usize;
    let scan = Scan { predicate: &predicate, start_ns: range_ns.0, end_ns: range_ns.1, want, control };
    source.scan(&scan, &mut |batch| {
        for span in batch.spans {
            if let Some(spans) = by_id.get_mut(&span.trace_id) {
                held -= spans.kept.len();
                spans.push(span, room.trace);
                held += spans.kept.len();
            }
        }
        let is_much = held > room.all && by_id.len() > 1;
        Ok(if is_much { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    if held > room.all && by_id.len() > 1 {
        return Ok(None);
    }
    let found = ids.iter().filter_map(|id| by_id.remove(id)).filter(|spans| !spans.kept.is_empty());
    Ok(Some(found.map(|spans| spans.assemble(room.trace)).collect()))
}

/// Spans of one trace while they are gathered.
#[derive(Default)]
struct Spans {
    kept: Vec<SpanData>,
    left_out: usize,
}

impl Spans {
    fn push(&mut self, span: SpanData, most: usize) {
        self.kept.push(span);
        if self.kept.len() >= 2 * most {
            self.cut(most);
        }
    }

    /// Keeps the first ones.
    fn cut(&mut self, most: usize) {
        if self.kept.len() > most {
            self.kept.select_nth_unstable_by_key(most, |span| (span.start_ns, span.span_id));
            self.left_out += self.kept.len() - most;
            self.kept.truncate(most);
        }
    }

    fn assemble(mut self, most: usize) -> Trace {
        self.cut(most);
        Trace { left_out: self.left_out, ..Trace::assemble(self.kept) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Memory, spans};
    use super::*;

    /// Spans loaded and left out of each trace; `None` where there are too many.
    fn loaded(source: &Memory, ids: &[u8], room: Room) -> Option<Vec<(Vec<i64>, usize)>> {
        let ids: Vec<TraceId> = ids.iter().map(|id| [*id; 16]).collect();
        let (want, control) = (Want::default(), Control::default());
        let found = load_if_few(source, &ids, (0, i64::MAX), &want, &control, room).expect("loaded");
        let starts = |trace: &Trace| trace.spans.iter().map(|span| span.start_ns).collect();
        found.map(|all| all.iter().map(|trace| (starts(trace), trace.left_out)).collect())
    }

    #[test]
    fn only_spans_that_are_kept_count_and_one_trace_always_fits() {
        let mut all = Vec::new();
        for (trace, count) in [(1u8, 3), (2, 9)] {
            let rows: Vec<String> = (1..=count).map(|at| format!("a {at} 0 {at} 1")).collect();
            let of_trace = spans(&rows.join(", ")).into_iter();
            all.extend(of_trace.map(|span| SpanData { trace_id: [trace; 16], ..span }));
        }
        let source = Memory { spans: all, slice: 2 };
        let room = |all, trace| Room { all, trace };
        assert_eq!(loaded(&source, &[1], room(2, 100)), Some(vec![(vec![1, 2, 3], 0)]));
        assert_eq!(loaded(&source, &[2], room(8, 4)), Some(vec![(vec![1, 2, 3, 4], 5)]));
        assert_eq!(loaded(&source, &[1, 2], room(11, 100)), None);
        let both = Some(vec![(vec![1, 2, 3], 0), (vec![1, 2, 3, 4], 5)]);
        assert_eq!(loaded(&source, &[1, 2], room(11, 4)), both);
    }
}
