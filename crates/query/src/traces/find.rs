//! Whole traces that have a span of some kind, newest or slowest first.

use std::ops::ControlFlow;

use hashbrown::{HashMap, HashSet};
use model::predicate::Predicate;

use super::source::{ROOM, Scan, SpanSource, Want, load_if_few};
use super::span::TraceId;
use super::tree::Trace;
use crate::control::Control;
use crate::error::QueryFault;

/// How long before and after a span the others of its trace are looked for.
pub(crate) const AROUND_NS: i64 = 3_600_000_000_000;
/// Traces loaded at once.
const LOADED_MIN: usize = 20;
const LOADED_MAX: usize = 200;
/// Traces looked at; a search answers with what it has found among so many.
pub(crate) const CANDIDATES_MAX: usize = 100_000;

/// Which traces come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceOrder {
    /// Those that began last.
    #[default]
    Recent,
    /// Those that took longest.
    Slowest,
}

/// Which traces, and how many.
#[derive(Clone, Debug)]
pub struct Find<'a> {
    /// They have a span that fulfils this.
    pub predicate: &'a Predicate,
    /// The span begins at this time or later, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// The span begins before this time.
    pub end_ns: i64,
    /// What of their spans is read.
    pub want: &'a Want,
    /// Which come first.
    pub order: TraceOrder,
    /// How many.
    pub limit: usize,
    /// When to stop.
    pub control: &'a Control,
}

/// Loads the traces and asks `accept` what to make of each; those of which it makes nothing do not count.
pub fn find_traces<T>(
    source: &dyn SpanSource,
    find: &Find<'_>,
    accept: &mut dyn FnMut(Trace) -> Result<Option<T>, QueryFault>,
) -> Result<Vec<T>, QueryFault> {
    let mut search = Search { source, find, accept, seen: HashSet::new(), found: Vec::new() };
    if find.limit == 0 {
        return Ok(Vec::new());
    }
    let ids = Want::default();
    let scan = Scan {
        predicate: find.predicate,
        start_ns: find.start_ns,
        end_ns: find.end_ns,
        want: &ids,
        control: find.control,
    };
    source.scan(&scan, &mut |batch| {
        let mut newest: HashMap<TraceId, (i64, i64)> = HashMap::new();
        for span in &batch.spans {
            if !search.seen.contains(&span.trace_id) {
                let (first, last) = newest.entry(span.trace_id).or_insert((span.start_ns, span.start_ns));
                *first = span.start_ns.min(*first);
                *last = span.start_ns.max(*last);
            }
        }
        let mut candidates: Vec<Candidate> =
            newest.into_iter().map(|(id, (first_ns, last_ns))| Candidate { id, first_ns, last_ns }).collect();
        candidates.sort_unstable_by_key(|one| std::cmp::Reverse((one.last_ns, one.id)));
        search.look_at(&candidates)?;
        Ok(if search.is_done(batch.older_ns) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    search.sort();
    Ok(search.found.into_iter().map(|(_, found)| found).collect())
}

/// A trace with the times of its first and last span that were seen together.
struct Candidate {
    id: TraceId,
    first_ns: i64,
    last_ns: i64,
}

struct Search<'a, T> {
    source: &'a dyn SpanSource,
    find: &'a Find<'a>,
    accept: &'a mut dyn FnMut(Trace) -> Result<Option<T>, QueryFault>,
    seen: HashSet<TraceId>,
    /// With what they are sorted by.
    found: Vec<(i64, T)>,
}

impl<T> Search<'_, T> {
    fn look_at(&mut self, mut candidates: &[Candidate]) -> Result<(), QueryFault> {
        let mut size = self.find.limit.clamp(LOADED_MIN, LOADED_MAX);
        while let Some(next) = candidates.first() {
            if self.is_done(next.last_ns) || self.seen.len() >= CANDIDATES_MAX {
                break;
            }
            self.find.control.check()?;
            let (chunk, rest) = candidates.split_at(size.min(candidates.len()));
            let ids: Vec<TraceId> = chunk.iter().map(|one| one.id).collect();
            let first_ns = chunk.iter().map(|one| one.first_ns).min().unwrap_or(0);
            let last_ns = chunk.iter().map(|one| one.last_ns).max().unwrap_or(0);
            let range_ns = (first_ns.saturating_sub(AROUND_NS), last_ns.saturating_add(AROUND_NS));
            let Find { want, control, .. } = *self.find;
            let Some(traces) = load_if_few(self.source, &ids, range_ns, want, control, ROOM)? else {
                // One alone always fits.
                size = (ids.len() / 2).max(1);
                continue;
            };
            candidates = rest;
            self.seen.extend(&ids);
            for trace in traces {
                let key = match self.find.order {
                    TraceOrder::Recent => trace.start_ns(),
                    TraceOrder::Slowest => trace.duration_ns(),
                };
                if let Some(found) = (self.accept)(trace)? {
                    self.found.push((key, found));
                }
            }
            self.sort();
        }
        Ok(())
    }

    fn sort(&mut self) {
        self.found.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
        self.found.truncate(self.find.limit);
    }

    /// True when no trace whose spans all begin at this time or before can come before those that were found.
    fn is_done(&self, newest_ns: i64) -> bool {
        self.find.order == TraceOrder::Recent
            && self.found.len() == self.find.limit
            && self.found.last().is_some_and(|(start_ns, _)| *start_ns >= newest_ns)
            || self.seen.len() >= CANDIDATES_MAX
    }
}
