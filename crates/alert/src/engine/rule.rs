//! A rule as it is evaluated, whether it is one of ours or of a Prometheus file.

use crate::Labels;
use crate::rule::{ChannelRef, Compiled, Invalid, RuleSpec};
use crate::severity::{Priority, Severity};
use crate::state::Policy;

use super::expand::Expander;

/// What is wrong with a rule.
pub type RuleError = Invalid;

/// A rule, ready to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What tells it apart for ever: `rule/<name>`, or file, group and place.
    pub key: String,
    /// The label `alertname`.
    pub name: String,
    /// Where it came from: `rule` or `prometheus`.
    pub source: &'static str,
    /// What is asked and judged.
    pub compiled: Compiled,
    /// What becomes of what is found.
    pub policy: Policy,
    /// How often it is evaluated, milliseconds.
    pub interval_ms: i64,
    /// Templates of its labels and annotations.
    pub expander: Expander,
    /// A runbook's name, or an address.
    pub runbook: Option<String>,
    /// Whom it tells, beside what the routes say.
    pub channels: Vec<ChannelRef>,
    /// How soon, if that does not follow from the severity.
    pub priority: Option<Priority>,
    /// Whether its alerts carry our label `severity`. Prometheus' rules say that themselves.
    pub labels_severity: bool,
}

impl Rule {
    /// A rule of ours.
    pub fn of(name: &str, spec: &RuleSpec, external_url: &str) -> Result<Self, RuleError> {
        let (compiled, policy) = spec.compile()?;
        let mut annotations = spec.annotations.clone();
        for (name, text) in [("description", &spec.description), ("owner", &spec.owner)] {
            if let Some(text) = text {
                annotations.entry(name.to_owned()).or_insert_with(|| text.clone());
            }
        }
        Ok(Self {
            key: format!("rule/{name}"),
            name: name.to_owned(),
            source: "rule",
            compiled,
            policy,
            interval_ms: spec.interval().millis(),
            expander: Expander::new(&spec.labels, &annotations, external_url)?,
            runbook: spec.runbook.clone(),
            channels: spec.channels.clone(),
            priority: spec.priority,
            labels_severity: true,
        })
    }

    /// How soon an alert of a severity is delivered.
    pub(super) fn priority(&self, severity: Severity) -> Priority {
        self.priority.map_or(severity.priority(), |own| own.max(severity.priority()))
    }

    /// The labels of an alert: what was found, the rule's own, its name.
    pub(super) fn labels(&self, found: &Labels, value: f64) -> Labels {
        let mut labels = found.clone();
        labels.remove("__name__");
        labels.extend(self.expander.labels(found, value));
        labels.insert("alertname".to_owned(), self.name.clone());
        labels.retain(|_, value| !value.is_empty());
        labels
    }
}
