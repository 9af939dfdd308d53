//! Who needs whom. Without recursion: a graph may be as deep as it has services.

use std::collections::{HashMap, HashSet};

/// A circle that passes through `start`, its first name repeated at the end.
pub(super) fn cycle_through(start: &str, needs: &dyn Fn(&str) -> Vec<String>) -> Option<Vec<String>> {
    // Each step of the path, with the names still to try from there.
    let mut path = vec![(start.to_owned(), needs(start))];
    let mut seen = HashSet::from([start.to_owned()]);
    while let Some((_, left)) = path.last_mut() {
        let Some(next) = left.pop() else {
            path.pop();
            continue;
        };
        if next == start {
            let mut names: Vec<_> = path.into_iter().map(|(name, _)| name).collect();
            names.push(next);
            return Some(names);
        }
        if seen.insert(next.clone()) {
            let further = needs(&next);
            path.push((next, further));
        }
    }
    None
}

/// Names in an order in which each comes after what it needs; among those that could come next, the first
/// registered. Needs that are not nodes are passed over. The graph has no circles.
pub(super) fn order(nodes: &[(String, Vec<String>)]) -> Vec<String> {
    let index: HashMap<&str, usize> =
        nodes.iter().enumerate().map(|(i, (name, _))| (name.as_str(), i)).collect();
    let needs = |node: usize| nodes[node].1.iter().filter_map(|name| index.get(name.as_str()).copied());
    let mut placed = vec![false; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    for root in 0..nodes.len() {
        let mut stack = vec![root];
        while let Some(&node) = stack.last() {
            let missing = needs(node).find(|need| !placed[*need]);
            match missing {
                Some(need) if !placed[node] => stack.push(need),
                _ => {
                    stack.pop();
                    if !std::mem::replace(&mut placed[node], true) {
                        order.push(nodes[node].0.clone());
                    }
                }
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(text: &str) -> Vec<(String, Vec<String>)> {
        text.split_whitespace()
            .map(|part| {
                let (name, needs) = part.split_once(':').unwrap_or((part, ""));
                let needs = needs.split(',').filter(|need| !need.is_empty()).map(str::to_owned).collect();
                (name.to_owned(), needs)
            })
            .collect()
    }

    #[test]
    fn each_comes_after_what_it_needs() {
        for (graph, want) in [
            ("", ""),
            ("a b c", "a b c"),
            ("a:b b:c c", "c b a"),
            ("a:b,c b:d c:d d", "d b c a"),
            ("a:missing b", "a b"),
        ] {
            assert_eq!(order(&nodes(graph)).join(" "), want, "{graph}");
        }
    }

    #[test]
    fn circles_are_found_and_named() {
        for (graph, want) in [
            ("a:a", Some("a a")),
            ("a:b b:c c:a", Some("a b c a")),
            ("a:b,c b:d c:d d", None),
            ("a:b b:c c:b", None), // not through a
        ] {
            let nodes = nodes(graph);
            let needs = |name: &str| {
                nodes.iter().find(|(n, _)| n == name).map(|(_, needs)| needs.clone()).unwrap_or_default()
            };
            assert_eq!(cycle_through("a", &needs).map(|names| names.join(" ")).as_deref(), want, "{graph}");
        }
    }
}
