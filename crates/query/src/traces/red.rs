//! Rate, errors and durations of services and their operations.
//!
//! A service is measured where work enters it: its server and consumer spans and its roots. A service that has
//! none of these is measured by all of its spans.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::latency::Latency;
use super::span::{SpanData, SpanKind};

/// Operations of one service that are told apart; names with ids in them would be without end.
const OPERATIONS_MAX: usize = 1000;
/// What the others are counted as.
const OTHER: &str = "(other operations)";

/// Calls, errors and durations.
#[derive(Clone, Debug, Default)]
struct Red {
    calls: u64,
    errors: u64,
    latency: Latency,
}

impl Red {
    fn add(&mut self, span: &SpanData) {
        self.calls += 1;
        self.errors += u64::from(span.is_error());
        self.latency.add(span.duration_ns);
    }
}

/// A service over the whole range.
#[derive(Clone, Debug)]
pub struct ServiceRow {
    /// The service.
    pub name: Arc<str>,
    /// What entered it.
    pub calls: u64,
    /// What of it ended badly.
    pub errors: u64,
    /// How long it took.
    pub latency: Latency,
    /// Number of operations.
    pub operations: u64,
    /// When its latest span began, nanoseconds since the Unix epoch.
    pub last_seen_ns: i64,
}

/// An operation over the whole range.
#[derive(Clone, Debug)]
pub struct OperationRow {
    /// The operation.
    pub name: Arc<str>,
    /// What its spans do.
    pub kind: SpanKind,
    /// Its spans.
    pub calls: u64,
    /// Those that ended badly.
    pub errors: u64,
    /// How long they took.
    pub latency: Latency,
}

/// Collects services.
#[derive(Clone, Debug, Default)]
pub struct RedTable {
    services: BTreeMap<Arc<str>, Service>,
}

#[derive(Clone, Debug, Default)]
struct Service {
    entries: Red,
    all: Red,
    operations: HashSet<Arc<str>>,
    last_seen_ns: i64,
}

impl RedTable {
    /// Counts a span.
    pub fn add(&mut self, span: &SpanData) {
        let service = match self.services.get_mut(&span.service) {
            Some(service) => service,
            None => self.services.entry(Arc::clone(&span.service)).or_default(),
        };
        service.all.add(span);
        if is_entry(span) {
            service.entries.add(span);
        }
        if service.operations.len() < OPERATIONS_MAX && !service.operations.contains(&span.name) {
            service.operations.insert(Arc::clone(&span.name));
        }
        service.last_seen_ns = service.last_seen_ns.max(span.start_ns);
    }

    /// The services by name.
    pub fn rows(self) -> Vec<ServiceRow> {
        let rows = self.services.into_iter().map(|(name, service)| {
            let red = if service.entries.calls > 0 { service.entries } else { service.all };
            ServiceRow {
                name,
                calls: red.calls,
                errors: red.errors,
                latency: red.latency,
                operations: service.operations.len() as u64,
                last_seen_ns: service.last_seen_ns,
            }
        });
        rows.collect()
    }
}

fn is_entry(span: &SpanData) -> bool {
    span.kind.is_entry() || span.parent_span_id.is_none()
}

/// One service over time, and its operations.
#[derive(Clone, Debug)]
pub struct RedSeries {
    start_ns: i64,
    step_ns: i64,
    entries: Vec<Red>,
    all: Vec<Red>,
    operations: HashMap<(Arc<str>, SpanKind), Red>,
}

impl RedSeries {
    /// A grid of times: where it begins and how wide a step is, nanoseconds, and how many steps there are.
    pub fn new(start_ns: i64, step_ns: i64, steps: usize) -> Self {
        let (step_ns, grid) = (step_ns.max(1), vec![Red::default(); steps]);
        Self { start_ns, step_ns, entries: grid.clone(), all: grid, operations: HashMap::new() }
    }

    /// Counts a span of the service.
    pub fn add(&mut self, span: &SpanData) {
        let offset = span.start_ns.saturating_sub(self.start_ns);
        let step = (offset / self.step_ns) as usize;
        if offset < 0 || step >= self.all.len() {
            return;
        }
        self.all[step].add(span);
        if is_entry(span) {
            self.entries[step].add(span);
        }
        let mut key = (Arc::clone(&span.name), span.kind);
        if self.operations.len() >= OPERATIONS_MAX && !self.operations.contains_key(&key) {
            key.0 = OTHER.into();
        }
        self.operations.entry(key).or_default().add(span);
    }

    fn steps(&self) -> &[Red] {
        if self.entries.iter().any(|red| red.calls > 0) { &self.entries } else { &self.all }
    }

    /// Calls of every step.
    pub fn calls(&self) -> Vec<u64> {
        self.steps().iter().map(|red| red.calls).collect()
    }

    /// Errors of every step.
    pub fn errors(&self) -> Vec<u64> {
        self.steps().iter().map(|red| red.errors).collect()
    }

    /// A quantile of the durations of every step, milliseconds; none where there were no calls.
    pub fn quantile_ms(&self, q: f64) -> Vec<Option<f64>> {
        self.steps().iter().map(|red| red.latency.quantile_ms(q)).collect()
    }

    /// The operations, most calls first.
    pub fn operations(&self) -> Vec<OperationRow> {
        let mut rows: Vec<OperationRow> = self
            .operations
            .iter()
            .map(|((name, kind), red)| OperationRow {
                name: Arc::clone(name),
                kind: *kind,
                calls: red.calls,
                errors: red.errors,
                latency: red.latency.clone(),
            })
            .collect();
        rows.sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| (&a.name, a.kind).cmp(&(&b.name, b.kind))));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::spans;
    use super::*;

    #[test]
    fn services_are_measured_where_work_enters_them() {
        let rows = "get 1 0 0 100 api server error, query 2 1 5 10 api client, tick 3 9 7 20 cron internal";
        let mut table = RedTable::default();
        spans(rows).iter().for_each(|span| table.add(span));
        let rows: Vec<_> = table
            .rows()
            .into_iter()
            .map(|row| (row.name.to_string(), row.calls, row.errors, row.operations, row.last_seen_ns))
            .collect();
        assert_eq!(rows, [("api".into(), 1, 1, 2, 5), ("cron".into(), 1, 0, 1, 7)]);
    }

    #[test]
    fn steps_hold_the_spans_that_begin_in_them() {
        let mut series = RedSeries::new(100, 10, 3);
        let rows =
            "a 1 0 99 5, a 2 0 100 1000000, b 3 0 109 3000000 s server error, a 4 0 129 1, a 5 0 130 1";
        spans(rows).iter().for_each(|span| series.add(span));
        assert_eq!(series.calls(), [2, 0, 1]);
        assert_eq!(series.errors(), [1, 0, 0]);
        assert_eq!(series.quantile_ms(1.0)[1], None);
        let operations: Vec<_> =
            series.operations().iter().map(|row| (row.name.to_string(), row.calls, row.errors)).collect();
        assert_eq!(operations, [("a".into(), 2, 0), ("b".into(), 1, 1)]);
    }
}
