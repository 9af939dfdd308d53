//! Counts and times the operations of one service.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

use crate::clock::Clock;
use crate::status::{OperationMetrics, ServiceMetrics};

/// Distinct operations of one service. Names come from code, so this only guards against a name built
/// from input; what is above shares the name `other`.
const OPERATIONS_MAX: usize = 256;

/// Operations by name. Recording costs a shared lock and a few atomic additions.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    cells: RwLock<HashMap<String, Arc<Cell>>>,
}

#[derive(Debug, Default)]
struct Cell {
    count: AtomicU64,
    errors: AtomicU64,
    cancelled: AtomicU64,
    in_flight: AtomicU64,
    total_ns: AtomicU64,
    max_ns: AtomicU64,
}

impl Operations {
    /// Notes that an operation begins. Dropping the result without [`Running::finish`] counts it as
    /// cancelled.
    pub(crate) fn begin<'a>(&self, operation: &str, clock: &'a dyn Clock) -> Running<'a> {
        let cell = self.cell(operation);
        cell.in_flight.fetch_add(1, Ordering::Relaxed);
        Running { cell, clock, started: clock.monotonic(), finished: false }
    }

    /// Totals and per-operation figures; uptime and gauges are left to the caller.
    pub(crate) fn snapshot(&self) -> ServiceMetrics {
        let cells = self.cells.read();
        let operations: BTreeMap<_, _> =
            cells.iter().map(|(name, cell)| (name.clone(), cell.read())).collect();
        let request_count = operations.values().map(|op| op.count).sum();
        let error_count = operations.values().map(|op| op.errors).sum();
        let total_response_time = operations.values().map(|op| op.total_ms).sum();
        ServiceMetrics {
            request_count,
            error_count,
            error_rate: ratio(error_count as f64, request_count),
            total_response_time,
            avg_response_time: ratio(total_response_time, request_count),
            uptime: 0,
            operations,
            gauges: BTreeMap::new(),
        }
    }

    fn cell(&self, operation: &str) -> Arc<Cell> {
        if let Some(cell) = self.cells.read().get(operation) {
            return cell.clone();
        }
        let mut cells = self.cells.write();
        let name = if cells.len() < OPERATIONS_MAX { operation } else { "other" };
        cells.entry(name.to_owned()).or_default().clone()
    }
}

fn ratio(sum: f64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum / count as f64 }
}

impl Cell {
    fn read(&self) -> OperationMetrics {
        let ms = |ns: &AtomicU64| ns.load(Ordering::Relaxed) as f64 / 1e6;
        let count = self.count.load(Ordering::Relaxed);
        let total_ms = ms(&self.total_ns);
        OperationMetrics {
            count,
            errors: self.errors.load(Ordering::Relaxed),
            cancelled: self.cancelled.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            total_ms,
            avg_ms: ratio(total_ms, count),
            max_ms: ms(&self.max_ns),
        }
    }
}

/// An operation under way.
pub(crate) struct Running<'a> {
    cell: Arc<Cell>,
    clock: &'a dyn Clock,
    started: Duration,
    finished: bool,
}

impl Running<'_> {
    /// Notes that it ended, well or not.
    pub(crate) fn finish(mut self, succeeded: bool) {
        self.finished = true;
        let took = self.clock.monotonic().saturating_sub(self.started);
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.cell.count.fetch_add(1, Ordering::Relaxed);
        self.cell.errors.fetch_add(u64::from(!succeeded), Ordering::Relaxed);
        self.cell.total_ns.fetch_add(ns, Ordering::Relaxed);
        self.cell.max_ns.fetch_max(ns, Ordering::Relaxed);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.cell.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !self.finished {
            self.cell.cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn counts_errors_and_times_add_up() {
        let clock = ManualClock::at(0);
        let operations = Operations::default();
        for (name, ms, ok) in [("write", 10, true), ("write", 30, false), ("read", 20, true)] {
            let running = operations.begin(name, &clock);
            clock.advance(Duration::from_millis(ms));
            running.finish(ok);
        }
        drop(operations.begin("read", &clock));
        let metrics = operations.snapshot();
        assert_eq!((metrics.request_count, metrics.error_count), (3, 1));
        assert_eq!((metrics.total_response_time, metrics.avg_response_time), (60.0, 20.0));
        let write = &metrics.operations["write"];
        assert_eq!((write.count, write.errors, write.avg_ms, write.max_ms), (2, 1, 20.0, 30.0));
        assert_eq!(metrics.operations["read"].cancelled, 1);
    }

    #[test]
    fn without_requests_the_error_rate_is_zero() {
        let metrics = Operations::default().snapshot();
        assert_eq!((metrics.error_rate, metrics.avg_response_time), (0.0, 0.0));
    }

    #[test]
    fn names_are_bounded() {
        let clock = ManualClock::at(0);
        let operations = Operations::default();
        for n in 0..1000 {
            operations.begin(&format!("op{n}"), &clock).finish(true);
        }
        let metrics = operations.snapshot();
        assert_eq!(metrics.operations.len(), OPERATIONS_MAX + 1);
        assert_eq!(metrics.request_count, 1000);
    }
}
