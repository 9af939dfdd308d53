//! What a rule file is.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Labels;
use crate::template::Template;
use crate::yaml::{Place, Text};

/// A rule file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleFile {
    /// In the order of the file; names do not repeat.
    pub groups: Vec<Group>,
}

/// Rules that are evaluated one after the other at the same time.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name, not empty.
    pub name: String,
    /// Where it begins.
    pub at: Place,
    /// How often it is evaluated; `None` for the server's default.
    pub interval: Option<Duration>,
    /// How far back the expressions look; `None` for the server's default.
    pub query_offset: Option<Duration>,
    /// Most alerts or series that one of its rules may make; 0 for any number.
    pub limit: usize,
    /// Labels of all its rules; a rule's own go before them.
    pub labels: Labels,
    /// In the order of evaluation.
    pub rules: Vec<Rule>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Writes a metric.
    Recording(RecordingRule),
    /// Makes alerts.
    Alerting(AlertingRule),
}

impl Rule {
    /// Name of the metric or alert.
    pub fn name(&self) -> &str {
        match self {
            Self::Recording(rule) => &rule.record,
            Self::Alerting(rule) => &rule.alert,
        }
    }

    /// The expression.
    pub fn expr(&self) -> &Text {
        match self {
            Self::Recording(rule) => &rule.expr,
            Self::Alerting(rule) => &rule.expr,
        }
    }
}

/// A rule that writes a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingRule {
    /// Name of the metric.
    pub record: String,
    /// Where the rule begins.
    pub at: Place,
    /// What is written.
    pub expr: Text,
    /// Labels added to each series.
    pub labels: Labels,
}

/// A rule that makes alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertingRule {
    /// Name of its alerts.
    pub alert: String,
    /// Where the rule begins.
    pub at: Place,
    /// Each series of its result is an alert.
    pub expr: Text,
    /// How long an alert pends before it fires: `for`.
    pub hold: Duration,
    /// How long it fires on after its series is gone.
    pub keep_firing_for: Duration,
    /// Labels added to each alert.
    pub labels: BTreeMap<String, Templated>,
    /// What is said about each alert.
    pub annotations: BTreeMap<String, Templated>,
}

/// A text that is a template, read.
#[derive(Clone, Debug)]
pub struct Templated {
    /// As written.
    pub text: String,
    /// To be rendered with [`crate::template::RuleData`].
    pub template: Template,
}

impl PartialEq for Templated {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
