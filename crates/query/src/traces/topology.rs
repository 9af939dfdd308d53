//! Which services call which, out of spans in any order.
//!
//! An edge is a span whose parent is another service's. A client or producer span under which no other service
//! answers calls something without spans of its own, a database or a queue: it is named by the span's attributes.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::latency::Latency;
use super::span::{SpanData, SpanKind};

/// What part of failing calls is worth a look, and what part is trouble.
const ERROR_RATE_WARN: f64 = 0.01;
const ERROR_RATE_ERROR: f64 = 0.05;

/// Who is called where no span of theirs answers, most telling first, and what kind of call it is.
const PEERS: [(&str, EdgeKind); 7] = [
    ("peer.service", EdgeKind::Call),
    ("db.system.name", EdgeKind::Database),
    ("db.system", EdgeKind::Database),
    ("messaging.system", EdgeKind::Messaging),
    ("service.peer.name", EdgeKind::Call),
    ("server.address", EdgeKind::Call),
    ("net.peer.name", EdgeKind::Call),
];

/// How one service reaches another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EdgeKind {
    /// It waits for an answer.
    Call,
    /// It sends a message.
    Messaging,
    /// It asks a database.
    Database,
}

impl EdgeKind {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Messaging => "messaging",
            Self::Database => "database",
        }
    }
}

/// How a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Well.
    Ok,
    /// At least one call in a hundred fails.
    Warn,
    /// At least one call in twenty fails.
    Error,
}

impl Health {
    /// Of a part of calls that fail, 0 to 1.
    pub fn of(error_rate: f64) -> Self {
        match error_rate {
            rate if rate >= ERROR_RATE_ERROR => Self::Error,
            rate if rate >= ERROR_RATE_WARN => Self::Warn,
            _ => Self::Ok,
        }
    }

    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A service, or what services call.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: Arc<str>,
    /// What entered it.
    pub calls: u64,
    /// What of it ended badly.
    pub errors: u64,
    /// How long it took.
    pub latency: Latency,
}

/// Calls from one to another.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Who calls.
    pub from: Arc<str>,
    /// Who is called.
    pub to: Arc<str>,
    /// How.
    pub kind: EdgeKind,
    /// How often.
    pub calls: u64,
    /// How often it ended badly.
    pub errors: u64,
    /// How long the called took.
    pub latency: Latency,
}

/// Part of calls that fail, 0 to 1.
fn error_rate(calls: u64, errors: u64) -> f64 {
    if calls == 0 { 0.0 } else { errors as f64 / calls as f64 }
}

impl Node {
    /// Part of what entered it that failed, 0 to 1.
    pub fn error_rate(&self) -> f64 {
        error_rate(self.calls, self.errors)
    }
}

impl Edge {
    /// Part of the calls that failed, 0 to 1.
    pub fn error_rate(&self) -> f64 {
        error_rate(self.calls, self.errors)
    }
}

/// Services and their calls.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// By name.
    pub nodes: Vec<Node>,
    /// By caller, called and kind.
    pub edges: Vec<Edge>,
}

/// Collects spans; 40 bytes each.
#[derive(Clone, Debug, Default)]
pub struct TopologyBuilder {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    spans: Vec<Compact>,
}

#[derive(Clone, Copy, Debug)]
struct Compact {
    id: u64,
    /// Zero for none.
    parent: u64,
    duration_ns: i64,
    service: u32,
    peer: Option<(u32, EdgeKind)>,
    kind: SpanKind,
    error: bool,
}

impl TopologyBuilder {
    /// Attributes of spans that name who is called.
    pub fn keys() -> Vec<Arc<str>> {
        PEERS.iter().map(|(key, _)| (*key).into()).collect()
    }

    /// How many spans were collected.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True before the first.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Counts a span.
    pub fn add(&mut self, span: &SpanData) {
        let service = self.number(&span.service);
        let calls = matches!(span.kind, SpanKind::Client | SpanKind::Producer);
        let peer = calls.then(|| peer_of(span)).flatten();
        let peer = peer.map(|(name, kind)| (self.number(&name), kind));
        let key = |span_id| mix(&span.trace_id, span_id);
        self.spans.push(Compact {
            id: key(&span.span_id),
            parent: span.parent_span_id.as_ref().map_or(0, key),
            duration_ns: span.duration_ns,
            service,
            peer,
            kind: span.kind,
            error: span.is_error(),
        });
    }

    fn number(&mut self, name: &Arc<str>) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(Arc::clone(name));
        self.numbers.insert(Arc::clone(name), number);
        number
    }

    /// Finds every span's parent.
    pub fn finish(self) -> Topology {
        let by_id: HashMap<u64, u32> =
            self.spans.iter().enumerate().map(|(at, span)| (span.id, at as u32)).collect();
        let mut answered = HashSet::new();
        let mut nodes: BTreeMap<u32, Totals> = BTreeMap::new();
        let mut edges: BTreeMap<(u32, u32, EdgeKind), Totals> = BTreeMap::new();
        for span in &self.spans {
            let parent = by_id.get(&span.parent).map(|at| &self.spans[*at as usize]);
            let caller = parent.filter(|parent| parent.service != span.service);
            if let Some(caller) = caller {
                answered.insert(caller.id);
                let message = caller.kind == SpanKind::Producer || span.kind == SpanKind::Consumer;
                let kind = if message { EdgeKind::Messaging } else { EdgeKind::Call };
                edges.entry((caller.service, span.service, kind)).or_default().add(span);
            }
            let enters = caller.is_some() || span.kind.is_entry() || span.parent == 0;
            let node = nodes.entry(span.service).or_default();
            if enters {
                node.add(span);
            }
        }
        for span in self.spans.iter().filter(|span| !answered.contains(&span.id)) {
            if let Some((peer, kind)) = span.peer.filter(|(peer, _)| *peer != span.service) {
                edges.entry((span.service, peer, kind)).or_default().add(span);
                nodes.entry(peer).or_default().add(span);
            }
        }
        let name = |number: u32| Arc::clone(&self.names[number as usize]);
        let mut nodes: Vec<Node> = nodes
            .into_iter()
            .map(|(number, Totals { calls, errors, latency })| Node {
                name: name(number),
                calls,
                errors,
                latency,
            })
            .collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        let mut edges: Vec<Edge> = edges
            .into_iter()
            .map(|((from, to, kind), Totals { calls, errors, latency })| Edge {
                from: name(from),
                to: name(to),
                kind,
                calls,
                errors,
                latency,
            })
            .collect();
        edges.sort_by(|a, b| (&a.from, &a.to, a.kind).cmp(&(&b.from, &b.to, b.kind)));
        Topology { nodes, edges }
    }
}

#[derive(Clone, Debug, Default)]
struct Totals {
    calls: u64,
    errors: u64,
    latency: Latency,
}

impl Totals {
    fn add(&mut self, span: &Compact) {
        self.calls += 1;
        self.errors += u64::from(span.error);
        self.latency.add(span.duration_ns);
    }
}

fn peer_of(span: &SpanData) -> Option<(Arc<str>, EdgeKind)> {
    PEERS.iter().find_map(|(key, kind)| {
        let name = span.attributes.get(*key)?.as_str().filter(|name| !name.is_empty())?;
        Some((name.into(), *kind))
    })
}

/// One number for a span of a trace; ids are random, so that two spans hardly ever share one. Never zero.
fn mix(trace_id: &[u8; 16], span_id: &[u8; 8]) -> u64 {
    let part = |bytes: &[u8]| bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let trace = part(&trace_id[..8]) ^ part(&trace_id[8..]).rotate_left(32);
    (trace.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ part(span_id)).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::testing::spans;
    use super::*;

    #[test]
    fn edges_are_calls_between_services_and_to_what_has_no_spans() {
        let mut rows = spans(
            "get 1 0 0 100 web server, call 2 1 5 90 web client, handle 3 2 10 80 api server error, \
             query 4 3 20 30 api client, send 5 3 60 5 api producer, receive 6 5 70 9 worker consumer, \
             inner 7 3 15 3 api internal",
        );
        rows[3].attributes.insert("db.system".into(), "postgresql".into());
        // A peer that answers with spans of its own is known by these.
        rows[1].attributes.insert("peer.service".into(), "the-api".into());
        rows.reverse();
        let mut builder = TopologyBuilder::default();
        rows.iter().for_each(|span| builder.add(span));
        let topology = builder.finish();
        let edges: Vec<String> = topology
            .edges
            .iter()
            .map(|edge| {
                format!("{}>{} {} {}/{}", edge.from, edge.to, edge.kind.as_str(), edge.errors, edge.calls)
            })
            .collect();
        assert_eq!(edges, ["api>postgresql database 0/1", "api>worker messaging 0/1", "web>api call 1/1"]);
        let nodes: Vec<_> = topology.nodes.iter().map(|node| (node.name.to_string(), node.calls)).collect();
        let want = [("api", 1), ("postgresql", 1), ("web", 1), ("worker", 1)];
        assert_eq!(nodes, want.map(|(name, calls)| (name.to_owned(), calls)));
        assert_eq!(Health::of(topology.nodes[0].error_rate()), Health::Error);
    }
}
