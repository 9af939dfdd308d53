//! Requests between services. A request is a client's span and the server's span below it; they come from two
//! processes, in any order, so the first one waits for the other for a while.
//!
//! A client span that nobody answers stands for a request to what its attributes name, such as a database; a
//! server span at the root of its trace for one by a `user`.

use std::collections::VecDeque;

use hashbrown::HashMap;
use model::MetricBatch;

use super::latency::{Latency, Observation};
use super::table::{OVERFLOW, Table, counter};
use super::{SpanMetricsSettings, SpanRow};

/// Attributes that name whom a client calls, most telling first.
const PEERS: [&str; 7] = [
    "peer.service",
    "db.name",
    "db.namespace",
    "db.system",
    "messaging.destination.name",
    "server.address",
    "net.peer.name",
];

/// Trace, and the client's span in it.
type RequestId = ([u8; 16], [u8; 8]);

/// Figures of one edge.
#[derive(Debug, Default)]
struct Edge {
    requests: u64,
    failed: u64,
    server: Latency,
    client: Latency,
}

/// One side of a request.
#[derive(Clone, Debug)]
struct Side {
    is_client: bool,
    service: String,
    failed: bool,
    observation: Observation,
    connection: &'static str,
    /// Whom a client calls, by its attributes.
    peer: Option<String>,
}

/// All edges, and the sides that wait.
#[derive(Debug)]
pub(super) struct Graph {
    edges: Table<3, Edge>,
    waiting: HashMap<RequestId, Side>,
    /// Deadlines of those that wait, earliest first, `None` since the last drain; some have met their other half
    /// since.
    deadlines: VecDeque<(Option<i64>, RequestId)>,
    waiting_max: usize,
    wait_ms: i64,
    idle_ms: i64,
    bounds: Vec<f64>,
    turned_away: u64,
}

impl Graph {
    pub(super) fn new(settings: &SpanMetricsSettings) -> Self {
        Self {
            edges: Table::new(["client", "server", "connection_type"], settings.series_max),
            waiting: HashMap::new(),
            deadlines: VecDeque::new(),
            waiting_max: settings.waiting_max,
            wait_ms: settings.wait_ms,
            idle_ms: settings.idle_ms,
            bounds: settings.bounds.clone(),
            turned_away: 0,
        }
    }

    pub(super) fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Takes a span that is a side of a request.
    pub(super) fn observe(&mut self, span: &SpanRow<'_>) {
        let is_client = matches!(span.kind, "client" | "producer");
        if !is_client && !matches!(span.kind, "server" | "consumer") {
            return;
        }
        let side = Side {
            is_client,
            service: span.service.to_owned(),
            failed: span.failed,
            observation: span.observation(),
            connection: match span.kind {
                "producer" | "consumer" => "messaging_system",
                _ if is_client && (span.attr("db.system").or(span.attr("db.system.name"))).is_some() => {
                    "database"
                }
                _ => "",
            },
            peer: if is_client {
                PEERS.iter().find_map(|key| span.attr(key)).map(str::to_owned)
            } else {
                None
            },
        };
        let request_span = if is_client { Some(span.span_id) } else { span.parent_id };
        let Some(request_span) = request_span else {
            let user =
                Side { is_client: true, service: "user".into(), connection: "virtual_node", ..side.clone() };
            return self.count(&user, &side, Seen::Server);
        };
        let id = (span.trace_id, request_span);
        match self.waiting.get(&id) {
            Some(other) if other.is_client != is_client => {
                let other = other.clone();
                self.waiting.remove(&id);
                let (client, server) = if is_client { (&side, &other) } else { (&other, &side) };
                self.count(client, server, Seen::Both);
            }
            // The same span once more, or a second answer to the same request.
            Some(_) => {}
            None => {
                if self.waiting.len() >= self.waiting_max || self.deadlines.len() >= 4 * self.waiting_max {
                    self.turned_away += 1;
                    return;
                }
                self.waiting.insert(id, side);
                self.deadlines.push_back((None, id));
            }
        }
    }

    /// Counts what waited long enough, and writes all edges.
    pub(super) fn drain(&mut self, batch: &mut MetricBatch, now_ms: i64) {
        self.expire(now_ms);
        self.edges.expire(now_ms, self.idle_ms);
        let bounds = &self.bounds;
        for series in self.edges.sorted() {
            let (labels, edge) = series.split();
            counter(batch, "traces_service_graph_request_total", &labels, edge.requests as f64, now_ms);
            counter(batch, "traces_service_graph_request_failed_total", &labels, edge.failed as f64, now_ms);
            edge.server.push(batch, "traces_service_graph_request_server_seconds", &labels, bounds, now_ms);
            edge.client.push(batch, "traces_service_graph_request_client_seconds", &labels, bounds, now_ms);
        }
    }

    fn expire(&mut self, now_ms: i64) {
        while let Some((Some(deadline_ms), id)) = self.deadlines.front().copied()
            && deadline_ms <= now_ms
        {
            self.deadlines.pop_front();
            let Some(client) = self.waiting.remove(&id).filter(|side| side.is_client) else { continue };
            if let Some(peer) = client.peer.clone() {
                let connection =
                    if client.connection.is_empty() { "virtual_node" } else { client.connection };
                let server = Side { is_client: false, service: peer, connection, ..client.clone() };
                self.count(&client, &server, Seen::Client);
            }
        }
        for (deadline, _) in self.deadlines.iter_mut().rev().take_while(|(deadline, _)| deadline.is_none()) {
            *deadline = Some(now_ms.saturating_add(self.wait_ms));
        }
    }

    fn count(&mut self, client: &Side, server: &Side, seen: Seen) {
        let connection = [client.connection, server.connection].into_iter().find(|c| !c.is_empty());
        let connection = connection.unwrap_or_default();
        let values = [client.service.as_str(), server.service.as_str(), connection];
        let t_ms = client.observation.t_ms.max(server.observation.t_ms);
        let edge = self.edges.entry(values, [OVERFLOW, OVERFLOW, connection], t_ms);
        edge.requests += 1;
        edge.failed += u64::from(client.failed || server.failed);
        if seen != Seen::Client {
            edge.server.observe(&self.bounds, server.observation);
        }
        if seen != Seen::Server {
            edge.client.observe(&self.bounds, client.observation);
        }
    }
}

/// Which sides of a request were seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Both,
    Client,
    Server,
}
