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

/// Spans that are held at once; with their attributes some hundred megabytes.
const SPANS_HELD_MAX: usize = 500_000;

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

/// Loads whole traces: of each the spans between two times, at most [`SPANS_PER_TRACE_MAX`] of them. Traces
/// without spans are left out; the others come in the order asked for.
pub fn load_traces(
    source: &dyn SpanSource,
    ids: &[TraceId],
    range_ns: (i64, i64),
    want: &Want,
    control: &Control,
) -> Result<Vec<Trace>, QueryFault> {
    let scalars = ids.iter().map(|id| Scalar::Bytes(id.as_slice().into())).collect();
    let predicate = Predicate::Test(Field::Fixed(span::TRACE_ID as u8), Test::OneOf(scalars));
    let mut by_id: HashMap<TraceId, Vec<SpanData>> = ids.iter().map(|id| (*id, Vec::new())).collect();
    let mut held = 0usize;
    let scan = Scan { predicate: &predicate, start_ns: range_ns.0, end_ns: range_ns.1, want, control };
    source.scan(&scan, &mut |batch| {
        held += batch.spans.len();
        if held > SPANS_HELD_MAX {
            return Err(QueryFault::Limit(format!(
                "the traces have more than {SPANS_HELD_MAX} spans: ask for fewer traces or a shorter range"
            )));
        }
        for span in batch.spans {
            if let Some(spans) = by_id.get_mut(&span.trace_id)
                && spans.len() < SPANS_PER_TRACE_MAX
            {
                spans.push(span);
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let found = ids.iter().filter_map(|id| by_id.remove(id)).filter(|spans| !spans.is_empty());
    Ok(found.map(Trace::assemble).collect())
}
