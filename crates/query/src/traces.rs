//! Traces out of spans: the tree of one, summaries of many, who calls whom, and how fast and how well.
//!
//! Everything tolerates what really arrives: parents that never came, several roots, parents in a circle,
//! children that outlive their parent, spans sent twice.

mod analysis; // self time, critical path, totals
mod find; // traces that have something
mod heatmap; // durations over time
mod impact; // who is affected by whom, and the map as DOT
mod latency; // quantiles in little memory
mod red; // rate, errors and durations of services and operations
mod source; // where spans come from
mod span; // one span
mod summary; // one trace in a line
mod topology; // services and their calls
mod tree; // spans in the order of their tree

pub use analysis::{Analysis, OperationTotal, ServiceTotal};
pub(crate) use find::{AROUND_NS, CANDIDATES_MAX};
pub use find::{Find, TraceOrder, find_traces};
pub use heatmap::{Heatmap, HeatmapSpec};
pub use impact::{Impact, Reached, dot, impact};
pub use latency::Latency;
pub use red::{OperationRow, RedSeries, RedTable, ServiceRow};
pub use source::{Batch, Keys, Scan, SpanSource, Visit, Want, load_traces};
pub use span::{
    Attributes, SERVICE_NAME, SpanData, SpanEvent, SpanId, SpanKind, SpanLink, SpanStatus, TraceId, hex,
    parse_span_id, parse_trace_id,
};
pub use summary::{ServiceCount, Summary};
pub use topology::{Edge, EdgeKind, Health, Node, Topology, TopologyBuilder};
pub use tree::{Trace, TreeNode};

/// Spans of one trace that are read; more say that ids are not random.
pub const SPANS_PER_TRACE_MAX: usize = 200_000;

#[cfg(test)]
pub(crate) mod testing; // spans and a source in memory
