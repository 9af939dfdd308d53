//! A trace in a line of a list.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::span::TraceId;
use super::tree::Trace;

/// What lists of traces show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The trace.
    pub trace_id: TraceId,
    /// Service of the root, or of the earliest span while the root has not arrived.
    pub root_service: Arc<str>,
    /// Operation of the same span.
    pub root_name: Arc<str>,
    /// When the earliest span began, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// From the earliest start to the latest end.
    pub duration_ns: i64,
    /// Number of spans.
    pub spans: u64,
    /// Number of those that ended badly.
    pub errors: u64,
    /// Number of those whose parent is missing.
    pub orphans: u64,
    /// Services by name.
    pub services: Vec<ServiceCount>,
    /// Whether there is one root and no parent is missing.
    pub complete: bool,
}

/// How much of a trace is a service's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceCount {
    /// The service.
    pub name: Arc<str>,
    /// Its spans.
    pub spans: u64,
    /// Those that ended badly.
    pub errors: u64,
}

impl Summary {
    /// Summarises a trace.
    pub fn of(trace: &Trace) -> Self {
        let mut services: BTreeMap<&Arc<str>, ServiceCount> = BTreeMap::new();
        for span in &trace.spans {
            let count = services.entry(&span.service).or_default();
            count.spans += 1;
            count.errors += u64::from(span.is_error());
        }
        let services: Vec<ServiceCount> = services
            .into_iter()
            .map(|(name, count)| ServiceCount { name: Arc::clone(name), ..count })
            .collect();
        let first = trace.first();
        let orphans = trace.tops().filter(|at| trace.spans[*at].parent_span_id.is_some()).count();
        Self {
            trace_id: trace.trace_id,
            root_service: first.map_or_else(|| "".into(), |span| Arc::clone(&span.service)),
            root_name: first.map_or_else(|| "".into(), |span| Arc::clone(&span.name)),
            start_ns: trace.start_ns(),
            duration_ns: trace.duration_ns(),
            spans: trace.spans.len() as u64,
            errors: services.iter().map(|service| service.errors).sum(),
            orphans: orphans as u64,
            services,
            complete: trace.is_complete(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::spans;
    use super::*;

    #[test]
    fn a_trace_without_its_root_is_named_after_its_earliest_span() {
        let rows = "db 3 2 5 2 store client error, handle 2 9 4 6 api server";
        let summary = Summary::of(&Trace::assemble(spans(rows)));
        assert_eq!((&*summary.root_service, &*summary.root_name), ("api", "handle"));
        assert_eq!((summary.start_ns, summary.duration_ns), (4, 6));
        assert_eq!((summary.spans, summary.errors, summary.orphans), (2, 1, 1));
        assert_eq!(summary.services.len(), 2);
        assert!(!summary.complete);
    }
}
