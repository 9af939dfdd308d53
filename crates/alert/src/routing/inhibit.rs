//! Inhibition: an alert that fires makes others needless, as in Alertmanager.
//!
//! An alert that satisfies both sides of a rule is not inhibited by another that does too, so that the two do not
//! silence each other. Labels of `equal` that both lack are equal. What is resolved inhibits nothing.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::alert::Alert;
use super::matcher::Matchers;
use crate::Labels;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inhibition {
    /// The name of its object, if any.
    pub name: Option<String>,
    /// What inhibits.
    pub source: Matchers,
    /// What is inhibited.
    pub target: Matchers,
    /// Labels whose values must be the same on both.
    pub equal: BTreeSet<String>,
}

/// By what an alert is inhibited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Inhibited {
    /// The rule, by its place.
    pub rule: usize,
    /// The identity of the alert that inhibits.
    pub by: u64,
}

/// The alerts that may inhibit, found by rule and equal labels. Made anew from all that is active, so that a
/// start or a reload forgets none (prometheus/alertmanager#4064); as large as the alerts it is given.
#[derive(Debug, Default)]
pub struct Inhibitor {
    rules: Vec<Sources>,
}

#[derive(Debug)]
struct Sources {
    rule: Inhibition,
    by_equal: HashMap<Vec<String>, Vec<Source>>,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    identity: u64,
    ends_at: Option<i64>,
    is_target: bool,
}

impl Inhibitor {
    /// Looks through all alerts once.
    pub fn new<'a>(rules: &[Inhibition], alerts: impl IntoIterator<Item = &'a Alert>) -> Self {
        let rules = rules.iter().map(|rule| Sources { rule: rule.clone(), by_equal: HashMap::new() });
        let mut inhibitor = Self { rules: rules.collect() };
        for alert in alerts {
            for sources in inhibitor.rules.iter_mut().filter(|s| s.rule.source.matches(&alert.labels)) {
                let is_target = sources.rule.target.matches(&alert.labels);
                let source = Source { identity: alert.identity, ends_at: alert.ends_at, is_target };
                sources.by_equal.entry(sources.rule.values(&alert.labels)).or_default().push(source);
            }
        }
        inhibitor
    }

    /// By what an alert with these labels is inhibited at `now`; `None` where by nothing.
    pub fn inhibited(&self, labels: &Labels, now: i64) -> Option<Inhibited> {
        self.rules.iter().enumerate().find_map(|(i, Sources { rule, by_equal })| {
            if !rule.target.matches(labels) {
                return None;
            }
            let two_sided = rule.source.matches(labels);
            let fires = |source: &&Source| {
                source.ends_at.is_none_or(|end| end > now) && !(two_sided && source.is_target)
            };
            let by = by_equal.get(&rule.values(labels))?.iter().find(fires)?.identity;
            Some(Inhibited { rule: i, by })
        })
    }
}

impl Inhibition {
    fn values(&self, labels: &Labels) -> Vec<String> {
        self.equal.iter().map(|name| labels.get(name).cloned().unwrap_or_default()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::matcher::Matcher;
    use super::*;

    fn labels(text: &str) -> Labels {
        let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn rule(source: &str, target: &str, equal: &[&str]) -> Inhibition {
        let read = |text| Matchers::new(Matcher::parse_list(text).expect(text));
        let equal = equal.iter().map(|name| (*name).into()).collect();
        Inhibition { name: None, source: read(source), target: read(target), equal }
    }

    #[test]
    fn alerts_are_inhibited_as_by_alertmanager() {
        let usual = || rule("severity=critical", "severity=warning", &["host"]);
        let rows = [
            ("same host", usual(), "severity=critical host=a", "severity=warning host=a", true),
            ("another host", usual(), "severity=critical host=a", "severity=warning host=b", false),
            ("both lack it", usual(), "severity=critical", "severity=warning", true),
            ("one lacks it", usual(), "severity=critical host=a", "severity=warning", false),
            ("no target", usual(), "severity=critical host=a", "severity=info host=a", false),
            ("no source", usual(), "severity=error host=a", "severity=warning host=a", false),
            ("nothing to equal", rule("a=1", "b=1", &[]), "a=1", "b=1 host=c", true),
            ("itself, both sides", rule("a=1", "b=1", &[]), "a=1 b=1", "a=1 b=1", false),
            ("another, both sides", rule("a=1", "b=1", &[]), "a=1 b=1 c=2", "a=1 b=1", false),
            ("a one-sided source", rule("a=1", "b=1", &[]), "a=1", "a=1 b=1", true),
            ("a two-sided source", rule("a=1", "b=1", &[]), "a=1 b=1", "b=1", true),
        ];
        for (name, rule, source, target, want) in rows {
            let source = Alert::firing(labels(source), 0);
            let inhibitor = Inhibitor::new(&[rule], [&source]);
            let got = inhibited(&inhibitor, target, 10);
            assert_eq!(got, want.then_some(source.identity), "{name}");
        }
    }

    fn inhibited(inhibitor: &Inhibitor, target: &str, now: i64) -> Option<u64> {
        inhibitor.inhibited(&labels(target), now).map(|inhibited| inhibited.by)
    }

    #[test]
    fn what_is_resolved_inhibits_nothing() {
        let source = Alert { ends_at: Some(100), ..Alert::firing(labels("a=1"), 0) };
        let inhibitor = Inhibitor::new(&[rule("a=1", "b=1", &[])], [&source]);
        assert!(inhibited(&inhibitor, "b=1", 99).is_some());
        assert!(inhibited(&inhibitor, "b=1", 100).is_none());
    }
}
