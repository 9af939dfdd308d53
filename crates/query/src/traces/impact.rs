//! Whom a service's failure reaches, and the map as text for Graphviz.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write;
use std::sync::Arc;

use super::topology::{EdgeKind, Health, Topology};

/// Who depends on a service, and on whom it depends, nearest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Impact {
    /// Its callers, their callers, and so on: who is affected when it fails.
    pub upstream: Vec<Reached>,
    /// Whom it calls, whom they call, and so on: whose failure affects it.
    pub downstream: Vec<Reached>,
}

/// A service that can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Its name.
    pub name: Arc<str>,
    /// Over how many calls.
    pub distance: u32,
}

/// Follows the calls from a service both ways.
pub fn impact(topology: &Topology, service: &str) -> Impact {
    let calls = || topology.edges.iter().map(|edge| (&edge.from, &edge.to));
    Impact {
        upstream: reach(calls().map(|(from, to)| (to, from)).collect(), service),
        downstream: reach(calls().collect(), service),
    }
}

fn reach(steps: Vec<(&Arc<str>, &Arc<str>)>, service: &str) -> Vec<Reached> {
    let mut seen: BTreeSet<Arc<str>> = BTreeSet::from([service.into()]);
    let mut next: VecDeque<(Arc<str>, u32)> = VecDeque::from([(service.into(), 0)]);
    let mut reached = Vec::new();
    while let Some((name, distance)) = next.pop_front() {
        for (_, to) in steps.iter().filter(|(from, _)| **from == name) {
            if seen.insert(Arc::clone(to)) {
                next.push_back((Arc::clone(to), distance + 1));
                reached.push(Reached { name: Arc::clone(to), distance: distance + 1 });
            }
        }
    }
    reached
}

/// The map in Graphviz's language: colours by health, calls a second and errors on the edges. `seconds` is how
/// long the calls were counted.
pub fn dot(topology: &Topology, seconds: f64) -> String {
    let mut text = String::from("digraph services {\n  rankdir=LR;\n  node [shape=box, style=filled];\n");
    for node in &topology.nodes {
        let color = match Health::of(node.error_rate()) {
            Health::Ok => "palegreen",
            Health::Warn => "khaki",
            Health::Error => "lightcoral",
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {} [fillcolor={color}];", quoted(&node.name));
    }
    for edge in &topology.edges {
        let style = match edge.kind {
            EdgeKind::Call => "solid",
            EdgeKind::Messaging => "dashed",
            EdgeKind::Database => "bold",
        };
        let rate = edge.calls as f64 / seconds.max(1e-9);
        let errors = edge.error_rate() * 100.0;
        let label = format!("{rate:.3}/s, {errors:.1}% errors");
        let (from, to) = (quoted(&edge.from), quoted(&edge.to));
        let _ = writeln!(text, "  {from} -> {to} [style={style}, label={}];", quoted(&label));
    }
    text.push_str("}\n");
    text
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " "))
}

#[cfg(test)]
mod tests {
    use super::super::testing::spans;
    use super::super::topology::TopologyBuilder;
    use super::*;

    fn chain() -> Topology {
        let rows = "a 1 0 0 9 web server, b 2 1 1 7 api server, c 3 2 2 5 store server, d 4 3 3 1 api server, \
                    e 5 0 0 9 cron internal, f 6 5 1 7 store server";
        let mut builder = TopologyBuilder::default();
        spans(rows).iter().for_each(|span| builder.add(span));
        builder.finish()
    }

    #[test]
    fn impact_is_transitive_and_ends_in_circles() {
        let names = |reached: &[Reached]| {
            reached.iter().map(|one| format!("{}{}", one.name, one.distance)).collect::<Vec<_>>().join(" ")
        };
        for (service, upstream, downstream) in [
            ("store", "api1 cron1 web2", "api1"),
            ("web", "", "api1 store2"),
            ("api", "store1 web1 cron2", "store1"),
            ("unknown", "", ""),
        ] {
            let impact = impact(&chain(), service);
            assert_eq!(names(&impact.upstream), upstream, "{service}");
            assert_eq!(names(&impact.downstream), downstream, "{service}");
        }
    }

    #[test]
    fn dot_names_every_node_and_edge() {
        let mut topology = chain();
        topology.nodes[0].name = "a\"b\\".into();
        let text = dot(&topology, 10.0);
        assert!(text.contains(r#"  "a\"b\\" [fillcolor=palegreen];"#), "{text}");
        let edge = r#"  "web" -> "api" [style=solid, label="0.100/s, 0.0% errors"];"#;
        assert!(text.contains(edge), "{text}");
        assert_eq!(text.matches("->").count(), topology.edges.len());
    }
}
