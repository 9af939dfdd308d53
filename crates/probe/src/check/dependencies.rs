//! Checks that depend on others: their order, cycles, and failures that follow from others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::result::{CheckResult, CheckStatus};

/// Checks in a circle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("dependsOn goes in a circle: {}; take one of these out", .0.join(" -> "))]
pub struct Cycle(
    /// The names along the circle; the first is repeated at the end.
    pub Vec<String>,
);

/// Which check depends on which; without circles. A parent that does not exist suppresses nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    parents: BTreeMap<String, Vec<String>>,
}

impl Dependencies {
    /// Checks with those that they depend on.
    pub fn new(parents: BTreeMap<String, Vec<String>>) -> Result<Self, Cycle> {
        let graph = Self { parents };
        match graph.order_or_rest() {
            Ok(_) => Ok(graph),
            Err(rest) => Err(graph.cycle_within(&rest)),
        }
    }

    /// The checks in an order in which each comes after those that it depends on.
    pub fn order(&self) -> Vec<&str> {
        self.order_or_rest().unwrap_or_default()
    }

    /// Names that checks depend on and that do not exist: check and parent.
    pub fn missing(&self) -> Vec<(&str, &str)> {
        let pairs = self.parents.iter().flat_map(|(name, parents)| parents.iter().map(move |p| (name, p)));
        let missing = pairs.filter(|(_, parent)| !self.parents.contains_key(*parent));
        missing.map(|(name, parent)| (name.as_str(), parent.as_str())).collect()
    }

    /// The check whose failure explains that of `name`: a failing ancestor, the nearest ones searched first, those
    /// that fail because of others left for these.
    pub fn cause<'a>(&'a self, name: &str, status: impl Fn(&str) -> CheckStatus) -> Option<&'a str> {
        let parents = |name: &str| self.parents.get(name).into_iter().flatten().map(String::as_str);
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut left: VecDeque<&str> = parents(name).collect();
        let mut cause = None;
        while let Some(parent) = left.pop_front() {
            if !seen.insert(parent) {
                continue;
            }
            match status(parent) {
                // Something above may explain it; what is furthest up on the way of failures is the cause.
                CheckStatus::Unhealthy => cause = Some(parent),
                CheckStatus::Unknown => {}
                CheckStatus::Healthy => continue,
            }
            left.extend(parents(parent));
        }
        cause
    }

    /// All names in order, or those that are in circles or behind them.
    fn order_or_rest(&self) -> Result<Vec<&str>, BTreeSet<&str>> {
        let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
        let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, parents) in &self.parents {
            let own: BTreeSet<&str> = parents
                .iter()
                .map(String::as_str)
                .filter(|parent| self.parents.contains_key(*parent))
                .collect();
            waiting.insert(name, own.len());
            for parent in own {
                children.entry(parent).or_default().push(name);
            }
        }
        let ready = waiting.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name);
        let mut ready: VecDeque<&str> = ready.collect();
        let mut order = Vec::new();
        while let Some(name) = ready.pop_front() {
            order.push(name);
            waiting.remove(name);
            for child in children.get(name).into_iter().flatten() {
                if let Some(count) = waiting.get_mut(child) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push_back(child);
                    }
                }
            }
        }
        if waiting.is_empty() { Ok(order) } else { Err(waiting.into_keys().collect()) }
    }

    /// A circle among names each of which waits for another of them.
    fn cycle_within(&self, rest: &BTreeSet<&str>) -> Cycle {
        let mut path: Vec<&str> = Vec::new();
        let mut at = rest.first().copied();
        while let Some(name) = at {
            if let Some(begins) = path.iter().position(|seen| *seen == name) {
                let circle = path[begins..].iter().chain([&name]).map(|name| (*name).to_owned());
                return Cycle(circle.collect());
            }
            path.push(name);
            let parents = self.parents.get(name).into_iter().flatten().map(String::as_str);
            at = parents.into_iter().find(|parent| rest.contains(parent));
        }
        Cycle(path.into_iter().map(str::to_owned).collect())
    }
}

/// A result as it counts while `parent` fails: what is not healthy is unknown.
pub fn suppressed(result: CheckResult, parent: &str) -> CheckResult {
    if result.status == CheckStatus::Healthy {
        return result;
    }
    let why = result.message.map(|message| format!(": {message}")).unwrap_or_default();
    let message = Some(format!("not judged while {parent:?} fails, on which it depends{why}"));
    CheckResult { status: CheckStatus::Unknown, message, ..result }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(rows: &[(&str, &[&str])]) -> Result<Dependencies, Cycle> {
        let row = |(name, parents): &(&str, &[&str])| {
            ((*name).to_owned(), parents.iter().map(|p| (*p).to_owned()).collect())
        };
        Dependencies::new(rows.iter().map(row).collect())
    }

    #[test]
    fn parents_come_first_and_strangers_are_named() {
        let graph =
            graph(&[("api", &["db", "net", "gone"]), ("db", &["net"]), ("net", &[]), ("x", &[])]).unwrap();
        let order = graph.order();
        let at = |name| order.iter().position(|found| *found == name).unwrap();
        assert!(at("net") < at("db") && at("db") < at("api"));
        assert_eq!(order.len(), 4);
        assert_eq!(graph.missing(), [("api", "gone")]);
    }

    #[test]
    fn a_cycle_is_refused_by_name() {
        let error = graph(&[("a", &["b"]), ("b", &["x", "c"]), ("c", &["b"]), ("x", &[])]).unwrap_err();
        assert_eq!(error.to_string(), "dependsOn goes in a circle: b -> c -> b; take one of these out");
        assert_eq!(graph(&[("a", &["a"])]).unwrap_err(), Cycle(vec!["a".into(), "a".into()]));
    }

    #[test]
    fn the_cause_is_furthest_up_among_what_fails() {
        let graph = graph(&[("api", &["db"]), ("db", &["net"]), ("net", &[])]).unwrap();
        let (h, u, x) = (CheckStatus::Healthy, CheckStatus::Unhealthy, CheckStatus::Unknown);
        for (net, db, want) in [
            (h, h, None),
            (h, u, Some("db")),
            (u, u, Some("net")),
            (u, x, Some("net")),
            (u, h, None),
            (h, x, None),
        ] {
            let status = |name: &str| if name == "net" { net } else { db };
            assert_eq!(graph.cause("api", status), want, "net {net}, db {db}");
        }
        let failing = CheckResult { status: u, ..CheckResult::unknown(1, "refused") };
        let result = suppressed(failing, "db");
        assert_eq!(result.status, x);
        assert!(result.message.unwrap().contains("not judged while \"db\" fails"));
    }
}
