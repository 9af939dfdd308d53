//! Inhibition: an alert that fires makes others needless, as in Alertmanager.
//!
//! An alert that satisfies both sides of a rule is not inhibited by another that does too, so that the two do not
//! silence each other. Labels of `equal` that both lack are equal. What is resolved inhibits nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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

/// The alerts that may inhibit, found by rule and equal labels. Made of all that is active before the first flush,
/// so that a start or a reload forgets none (prometheus/alertmanager#4064); as large as the alerts it is given.
#[derive(Debug, Default)]
pub struct Inhibitor {
    rules: Vec<Sources>,
}

#[derive(Debug)]
struct Sources {
    rule: Inhibition,
    /// By values of the equal labels, then by identity.
    by_equal: HashMap<Vec<String>, BTreeMap<u64, Source>>,
    /// Under which values an alert is there.
    places: HashMap<u64, Vec<String>>,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    ends_at: Option<i64>,
    is_target: bool,
}

impl Inhibitor {
    /// Looks through all alerts once.
    pub fn new<'a>(rules: &[Inhibition], alerts: impl IntoIterator<Item = &'a Alert>) -> Self {
        let empty = |rule: &Inhibition| Sources {
            rule: rule.clone(),
            by_equal: HashMap::new(),
            places: HashMap::new(),
        };
        let mut inhibitor = Self { rules: rules.iter().map(empty).collect() };
        for alert in alerts {
            inhibitor.set(alert);
        }
        inhibitor
    }

    /// Takes an alert, or what is new about it.
    pub fn set(&mut self, alert: &Alert) {
        self.remove(alert.identity);
        for sources in self.rules.iter_mut().filter(|sources| sources.rule.source.matches(&alert.labels)) {
            let values = sources.rule.values(&alert.labels);
            let is_target = sources.rule.target.matches(&alert.labels);
            let source = Source { ends_at: alert.ends_at, is_target };
            sources.places.insert(alert.identity, values.clone());
            sources.by_equal.entry(values).or_default().insert(alert.identity, source);
        }
    }

    /// Forgets an alert.
    pub fn remove(&mut self, identity: u64) {
        for Sources { by_equal, places, .. } in &mut self.rules {
            let Some(values) = places.remove(&identity) else { continue };
            if let Some(sources) = by_equal.get_mut(&values) {
                sources.remove(&identity);
                if sources.is_empty() {
                    by_equal.remove(&values);
                }
            }
        }
    }

    /// By what an alert with these labels is inhibited at `now`; `None` where by nothing.
    pub fn inhibited(&self, labels: &Labels, now: i64) -> Option<Inhibited> {
        self.rules.iter().enumerate().find_map(|(i, Sources { rule, by_equal, .. })| {
            if !rule.target.matches(labels) {
                return None;
            }
            let two_sided = rule.source.matches(labels);
            let fires = |source: &Source| {
                source.ends_at.is_none_or(|end| end > now) && !(two_sided && source.is_target)
            };
            let sources = by_equal.get(&rule.values(labels))?;
            sources.iter().find(|(_, source)| fires(source)).map(|(by, _)| Inhibited { rule: i, by: *by })
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

    #[test]
    fn alerts_come_change_and_go() {
        let source = Alert::firing(labels("a=1 host=x"), 0);
        let mut inhibitor = Inhibitor::new(&[rule("a=1", "b=1", &["host"])], [&source]);
        assert!(inhibited(&inhibitor, "b=1 host=x", 1).is_some());
        inhibitor.set(&Alert { labels: labels("a=1 host=y"), ..source.clone() });
        assert!(inhibited(&inhibitor, "b=1 host=x", 1).is_none());
        assert!(inhibited(&inhibitor, "b=1 host=y", 1).is_some());
        inhibitor.remove(source.identity);
        assert!(inhibited(&inhibitor, "b=1 host=y", 1).is_none());
    }
}
