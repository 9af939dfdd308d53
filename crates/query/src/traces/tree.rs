//! Spans of one trace in the order of their tree: a span, then its children by start, each with its own.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::span::{SpanData, SpanId, TraceId};

/// Where a span stands in its tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeNode {
    /// Position of its parent; none for what stands at the top.
    pub parent: Option<u32>,
    /// Number of ancestors.
    pub depth: u32,
    /// Number of children.
    pub children: u32,
    /// One past the position of its last descendant, which all follow it.
    pub end: u32,
}

/// A trace as far as it has arrived.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The trace; zero where there are no spans.
    pub trace_id: TraceId,
    /// Its spans, every one behind its parent.
    pub spans: Vec<SpanData>,
    /// Where each stands.
    pub nodes: Vec<TreeNode>,
    /// Parents that spans name and that are not here, sorted.
    pub missing_parents: Vec<SpanId>,
    /// Spans that were not read, because there are too many of them; those that began first were.
    pub left_out: usize,
}

impl Trace {
    /// Puts the spans of one trace in order. A span that came twice is kept once. A span whose parent is missing
    /// or is its own descendant stands at the top.
    pub fn assemble(mut spans: Vec<SpanData>) -> Self {
        spans.sort_by_key(|span| (span.start_ns, std::cmp::Reverse(span.duration_ns), span.span_id));
        let mut seen: HashMap<(SpanId, i64, super::SpanKind), ()> = HashMap::with_capacity(spans.len());
        spans.retain(|span| seen.insert((span.span_id, span.start_ns, span.kind), ()).is_none());
        let mut by_id: HashMap<SpanId, u32> = HashMap::with_capacity(spans.len());
        for (at, span) in spans.iter().enumerate() {
            by_id.entry(span.span_id).or_insert(at as u32);
        }
        let mut children = vec![Vec::new(); spans.len()];
        let (mut tops, mut missing) = (Vec::new(), BTreeSet::new());
        for (at, span) in spans.iter().enumerate() {
            match span.parent_span_id {
                None => tops.push(at as u32),
                Some(id) => match by_id.get(&id) {
                    Some(parent) if *parent != at as u32 => children[*parent as usize].push(at as u32),
                    Some(_) => tops.push(at as u32),
                    None => {
                        missing.insert(id);
                        tops.push(at as u32);
                    }
                },
            }
        }
        let mut walk = Walk::new(&children);
        for top in tops {
            walk.from(top);
        }
        // What is left goes round in circles: the earliest span of each is its top.
        for at in 0..spans.len() as u32 {
            walk.from(at);
        }
        let Walk { order, nodes, .. } = walk;
        let trace_id = spans.first().map_or([0; 16], |span| span.trace_id);
        let mut slots: Vec<Option<SpanData>> = spans.into_iter().map(Some).collect();
        let spans = order.iter().filter_map(|at| slots[*at as usize].take()).collect();
        Self { trace_id, spans, nodes, missing_parents: missing.into_iter().collect(), left_out: 0 }
    }

    /// Positions of the children of a span, by start.
    pub fn children(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        self.siblings(at + 1, self.nodes[at].end as usize)
    }

    /// Positions of what stands at the top, by start.
    pub fn tops(&self) -> impl Iterator<Item = usize> + '_ {
        self.siblings(0, self.nodes.len())
    }

    fn siblings(&self, first: usize, end: usize) -> impl Iterator<Item = usize> + '_ {
        let inside = move |at: &usize| *at < end;
        std::iter::successors(Some(first).filter(inside), move |at| {
            Some(self.nodes[*at].end as usize).filter(inside)
        })
    }

    /// The span that has no parent; the earliest of several; none while it has not arrived.
    pub fn root(&self) -> Option<&SpanData> {
        self.tops().map(|at| &self.spans[at]).find(|span| span.parent_span_id.is_none())
    }

    /// The root, or, while it has not arrived, the earliest span at the top.
    pub fn first(&self) -> Option<&SpanData> {
        self.root().or_else(|| self.spans.first())
    }

    /// True when there is one root and nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.left_out == 0
            && self.missing_parents.is_empty()
            && self.tops().count() == 1
            && self.root().is_some()
    }

    /// When the earliest span began, nanoseconds since the Unix epoch.
    pub fn start_ns(&self) -> i64 {
        self.spans.iter().map(|span| span.start_ns).min().unwrap_or(0)
    }

    /// From the earliest start to the latest end, nanoseconds.
    pub fn duration_ns(&self) -> i64 {
        let end = self.spans.iter().map(SpanData::end_ns).max().unwrap_or(0);
        end.saturating_sub(self.start_ns())
    }
}

/// A walk through trees from parents to children, without recursion: traces may be chains.
struct Walk<'a> {
    children: &'a [Vec<u32>],
    visited: Vec<bool>,
    order: Vec<u32>,
    nodes: Vec<TreeNode>,
}

impl<'a> Walk<'a> {
    fn new(children: &'a [Vec<u32>]) -> Self {
        let spans = children.len();
        Self {
            children,
            visited: vec![false; spans],
            order: Vec::with_capacity(spans),
            nodes: Vec::with_capacity(spans),
        }
    }

    fn from(&mut self, top: u32) {
        let first = self.order.len();
        let mut stack = vec![(top, None)];
        while let Some((at, parent)) = stack.pop() {
            if std::mem::replace(&mut self.visited[at as usize], true) {
                continue;
            }
            let position = self.order.len() as u32;
            let depth = parent.map_or(0, |parent: u32| self.nodes[parent as usize].depth + 1);
            if let Some(parent) = parent {
                self.nodes[parent as usize].children += 1;
            }
            self.order.push(at);
            self.nodes.push(TreeNode { parent, depth, children: 0, end: position + 1 });
            stack.extend(self.children[at as usize].iter().rev().map(|child| (*child, Some(position))));
        }
        for at in (first..self.nodes.len()).rev() {
            let TreeNode { parent, end, .. } = self.nodes[at];
            if let Some(parent) = parent {
                let parent = &mut self.nodes[parent as usize];
                parent.end = parent.end.max(end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{id, spans};
    use super::*;

    /// `name(depth)` of every span in order, and what is missing.
    fn check(text: &str, want: &str, missing: &[u8], complete: bool) {
        let trace = Trace::assemble(spans(text));
        let names: Vec<String> = trace
            .spans
            .iter()
            .zip(&trace.nodes)
            .map(|(span, node)| format!("{}{}", span.name, node.depth))
            .collect();
        assert_eq!(names.join(" "), want, "{text}");
        assert_eq!(trace.missing_parents, missing.iter().map(|n| id(*n)).collect::<Vec<_>>(), "{text}");
        assert_eq!(trace.is_complete(), complete, "{text}");
        for (at, node) in trace.nodes.iter().enumerate() {
            assert_eq!(trace.children(at).count() as u32, node.children, "{text}");
            assert!(trace.children(at).all(|child| trace.nodes[child].parent == Some(at as u32)), "{text}");
        }
    }

    /// Rows are `name id parent start duration`, parent 0 for none.
    #[test]
    fn every_span_stands_once_behind_its_parent() {
        check("", "", &[], false);
        check("a 1 0 0 10, b 2 1 1 2, c 3 1 5 2, d 4 2 1 1", "a0 b1 d2 c1", &[], true);
        check("c 3 1 5 2, d 4 2 1 1, b 2 1 1 2, a 1 0 0 10", "a0 b1 d2 c1", &[], true);
        check("b 2 9 0 1, c 3 9 2 1, d 4 2 0 1", "b0 d1 c0", &[9], false);
        check("a 1 0 0 1, b 2 0 3 1", "a0 b0", &[], false);
        check("a 1 2 0 1, b 2 1 1 1, c 3 2 2 1", "a0 b1 c2", &[], false);
        check("a 1 1 0 1, b 2 1 1 1", "a0 b1", &[], false);
        check("a 1 0 0 1, a 1 0 0 1, b 2 1 0 1", "a0 b1", &[], true);
    }

    #[test]
    fn a_long_chain_is_no_deep_recursion() {
        let spans = (0..100_000u64).map(|n| SpanData {
            span_id: (n + 1).to_be_bytes(),
            parent_span_id: (n > 0).then(|| n.to_be_bytes()),
            start_ns: n as i64,
            duration_ns: 1_000_000 - n as i64,
            ..SpanData::default()
        });
        let trace = Trace::assemble(spans.collect());
        assert_eq!(trace.nodes[99_999].depth, 99_999);
        assert_eq!(trace.nodes[0].end, 100_000);
    }
}
