//! Where the time of a trace went.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tree::Trace;

/// Times of a trace's spans, by position, and totals.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// Nanoseconds in which a span ran and none of its children did.
    pub self_ns: Vec<i64>,
    /// Nanoseconds in which the whole trace waited for this very span.
    pub critical_ns: Vec<i64>,
    /// Positions of the spans on the critical path, by when it first passes them.
    pub critical_path: Vec<u32>,
    /// By service, most self time first.
    pub services: Vec<ServiceTotal>,
    /// By service and operation, most self time first.
    pub operations: Vec<OperationTotal>,
}

/// A service's part in a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceTotal {
    /// The service.
    pub name: Arc<str>,
    /// Its spans.
    pub spans: u64,
    /// Those that ended badly.
    pub errors: u64,
    /// Self time of all of them, nanoseconds.
    pub self_ns: i64,
}

/// An operation's part in a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperationTotal {
    /// The service.
    pub service: Arc<str>,
    /// The operation.
    pub name: Arc<str>,
    /// Its spans.
    pub count: u64,
    /// Self time of all of them, nanoseconds.
    pub self_ns: i64,
    /// Duration of all of them, nanoseconds.
    pub total_ns: i64,
}

impl Analysis {
    /// Looks at every span. Self times of all spans are the sum of those of the services, and of those of the
    /// operations. Where children do not overlap nor outlive their parent, they sum up to the root's duration.
    pub fn of(trace: &Trace) -> Self {
        let self_ns: Vec<i64> = (0..trace.spans.len()).map(|at| self_time(trace, at)).collect();
        let (critical_ns, critical_path) = critical(trace);
        let mut services: BTreeMap<&Arc<str>, ServiceTotal> = BTreeMap::new();
        let mut operations: BTreeMap<(&Arc<str>, &Arc<str>), OperationTotal> = BTreeMap::new();
        for (span, self_ns) in trace.spans.iter().zip(&self_ns) {
            let total = services.entry(&span.service).or_default();
            total.spans += 1;
            total.errors += u64::from(span.is_error());
            total.self_ns = total.self_ns.saturating_add(*self_ns);
            let total = operations.entry((&span.service, &span.name)).or_default();
            total.count += 1;
            total.self_ns = total.self_ns.saturating_add(*self_ns);
            total.total_ns = total.total_ns.saturating_add(span.duration_ns);
        }
        let mut services: Vec<_> = services
            .into_iter()
            .map(|(name, total)| ServiceTotal { name: Arc::clone(name), ..total })
            .collect();
        let mut operations: Vec<_> = operations
            .into_iter()
            .map(|((service, name), total)| OperationTotal {
                service: Arc::clone(service),
                name: Arc::clone(name),
                ..total
            })
            .collect();
        services.sort_by_key(|total| std::cmp::Reverse(total.self_ns));
        operations.sort_by_key(|total| std::cmp::Reverse(total.self_ns));
        Self { self_ns, critical_ns, critical_path, services, operations }
    }
}

/// The span's duration without what its children cover of it. Children come by start.
fn self_time(trace: &Trace, at: usize) -> i64 {
    let span = &trace.spans[at];
    let (mut covered, mut until) = (0i64, span.start_ns);
    for child in trace.children(at).map(|child| &trace.spans[child]) {
        let end = child.end_ns().min(span.end_ns());
        let start = child.start_ns.max(until);
        if end > start {
            covered += end - start;
            until = end;
        }
    }
    span.duration_ns.saturating_sub(covered)
}

/// A stretch of time to account for: a span (none for the trace as a whole) between two times.
type Stretch = (Option<usize>, i64, i64);

/// Walks back from the end: whatever ended last is what was waited for; before it began, whatever ended last
/// before that. What overlaps it ran beside and cost nothing.
fn critical(trace: &Trace) -> (Vec<i64>, Vec<u32>) {
    let mut critical_ns = vec![0i64; trace.spans.len()];
    let mut passed: Vec<(i64, u32)> = Vec::new();
    let start = trace.start_ns();
    let mut stack: Vec<Stretch> = vec![(None, start, start.saturating_add(trace.duration_ns()))];
    while let Some((at, start, end)) = stack.pop() {
        let mut children: Vec<(i64, i64, usize)> = match at {
            Some(at) => inside(trace, trace.children(at), start, end),
            None => inside(trace, trace.tops(), start, end),
        };
        children.sort_unstable_by_key(|(child_start, child_end, _)| {
            std::cmp::Reverse((*child_end, *child_start))
        });
        let (mut cursor, mut own) = (end, 0);
        for (child_start, child_end, child) in children {
            if child_end <= cursor {
                own += cursor - child_end;
                stack.push((Some(child), child_start, child_end));
                cursor = child_start;
            }
        }
        own += cursor - start;
        if let Some(at) = at {
            critical_ns[at] = own;
            passed.push((start, at as u32));
        }
    }
    passed.sort_unstable();
    (critical_ns, passed.into_iter().map(|(_, at)| at).collect())
}

/// The parts of spans that lie between two times: start, end, position. Those that last no time are left out.
fn inside(trace: &Trace, spans: impl Iterator<Item = usize>, start: i64, end: i64) -> Vec<(i64, i64, usize)> {
    spans
        .map(|at| (trace.spans[at].start_ns.max(start), trace.spans[at].end_ns().min(end), at))
        .filter(|(start, end, _)| start < end)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::spans;
    use super::*;

    /// Rows are `name id parent start duration`; wanted are `name:self/critical` in tree order.
    fn check(text: &str, want: &str) {
        let trace = Trace::assemble(spans(text));
        let analysis = Analysis::of(&trace);
        let got: Vec<String> = (0..trace.spans.len())
            .map(|at| {
                format!("{}:{}/{}", trace.spans[at].name, analysis.self_ns[at], analysis.critical_ns[at])
            })
            .collect();
        assert_eq!(got.join(" "), want, "{text}");
    }

    #[test]
    fn time_belongs_to_whoever_was_waited_for() {
        check("a 1 0 0 10", "a:10/10");
        check("a 1 0 0 10, b 2 1 2 3", "a:7/7 b:3/3");
        check("a 1 0 0 10, b 2 1 2 3, c 3 1 5 4", "a:3/3 b:3/3 c:4/4");
        // Beside each other: the one that ended last was waited for.
        check("a 1 0 0 10, b 2 1 1 5, c 3 1 2 7", "a:2/3 b:5/0 c:7/7");
        // A child that outlives its parent counts within it only for the parent.
        check("a 1 0 0 10, b 2 1 8 10", "a:8/8 b:10/2");
        check("a 1 0 0 10, b 2 1 20 5", "a:10/10 b:5/0");
        // Several tops, and a gap between them that is nobody's.
        check("a 1 9 0 4, b 2 9 6 4", "a:4/4 b:4/4");
        check("a 1 0 0 0", "a:0/0");
    }

    proptest! {
        #[test]
        fn nothing_is_accounted_twice(rows in prop::collection::vec((0u8..12, 0i64..50, 0i64..50), 1..12)) {
            let text: Vec<String> = rows
                .iter()
                .enumerate()
                .map(|(n, (parent, start, duration))| format!("s {} {parent} {start} {duration}", n + 1))
                .collect();
            let trace = Trace::assemble(spans(&text.join(", ")));
            let analysis = Analysis::of(&trace);
            let critical: i64 = analysis.critical_ns.iter().sum();
            prop_assert!(critical <= trace.duration_ns());
            for (at, span) in trace.spans.iter().enumerate() {
                prop_assert!((0..=span.duration_ns).contains(&analysis.self_ns[at]));
                prop_assert!((0..=span.duration_ns).contains(&analysis.critical_ns[at]));
            }
            let self_ns: i64 = analysis.self_ns.iter().sum();
            prop_assert_eq!(analysis.services.iter().map(|s| s.self_ns).sum::<i64>(), self_ns);
            prop_assert_eq!(analysis.operations.iter().map(|o| o.self_ns).sum::<i64>(), self_ns);
        }

        /// Calls one after another within their parents: self times are the whole.
        #[test]
        fn self_times_of_nested_calls_sum_up_to_the_root(cuts in prop::collection::vec(1i64..20, 1..10)) {
            let mut text = vec![];
            let (mut start, mut end) = (0, 1000);
            for (n, cut) in cuts.iter().enumerate() {
                text.push(format!("s {} {n} {start} {}", n + 1, end - start));
                (start, end) = (start + cut, end - cut);
            }
            let trace = Trace::assemble(spans(&text.join(", ")));
            let analysis = Analysis::of(&trace);
            prop_assert_eq!(analysis.self_ns.iter().sum::<i64>(), 1000);
            prop_assert_eq!(analysis.critical_ns.iter().sum::<i64>(), 1000);
        }
    }
}
