//! What is wrong with a file, and where.

use crate::template::TemplateError;
use crate::yaml::Place;

/// Something wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// Name of the file.
    pub file: String,
    /// Where in it.
    pub at: Place,
    /// In which rule, if it is in one.
    pub rule: Option<RulePlace>,
    /// What is wrong.
    pub problem: Problem,
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.at.line, self.at.column)?;
        if let Some(rule) = &self.rule {
            write!(f, "group {:?}, rule {}, {:?}: ", rule.group, rule.number, rule.name)?;
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.problem)
    }
}

/// A rule by its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePlace {
    /// Name of the group.
    pub group: String,
    /// Which of its rules, from 1.
    pub number: usize,
    /// Name of the alert or the recorded metric; empty where it has none.
    pub name: String,
}

/// What the caller finds wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// What is wrong.
    pub message: String,
    /// Line of the expression, from 1.
    pub line: u32,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file is not YAML.
    #[error("{0}")]
    Yaml(String),
    /// A key that does not exist.
    #[error("field {key} not found in {within}; known are {}", known.join(", "))]
    UnknownKey {
        /// As written.
        key: String,
        /// What the map is.
        within: &'static str,
        /// Keys that exist.
        known: &'static [&'static str],
    },
    /// A value of another type.
    #[error("cannot unmarshal {found} into {wanted} for {key}")]
    Type {
        /// Whose value.
        key: String,
        /// What it has to be.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A duration that is none.
    #[error("{key}: {error}")]
    Duration {
        /// Whose value.
        key: String,
        /// What is wrong with it.
        error: super::DurationError,
    },
    /// A group without a name.
    #[error("Groupname must not be empty")]
    NoGroupName,
    /// Two groups of a name.
    #[error("groupname: {0:?} is repeated in the same file")]
    RepeatedGroup(String),
    /// A rule that both records and alerts.
    #[error("only one of 'record' and 'alert' must be set")]
    Both,
    /// A rule that does neither.
    #[error("one of 'record' or 'alert' must be set")]
    Neither,
    /// A rule without an expression.
    #[error("field 'expr' must be set in rule")]
    NoExpr,
    /// An expression that the caller refuses.
    #[error("could not parse expression: {0}")]
    Expr(String),
    /// A key of alerts in a rule that records.
    #[error("invalid field '{0}' in recording rule")]
    NotForRecording(&'static str),
    /// A metric's name that cannot be one.
    #[error("invalid recording rule name: {0}")]
    MetricName(String),
    /// An expression where the name belongs.
    #[error("braces present in the recording rule name; should it be in expr?: {0}")]
    Braces(String),
    /// A label's name that cannot be one.
    #[error("invalid label name: {0}")]
    LabelName(String),
    /// An annotation's name that cannot be one.
    #[error("invalid annotation name: {0}")]
    AnnotationName(String),
    /// A template that cannot be read.
    #[error("{kind} {name:?}: {error}")]
    Template {
        /// `label` or `annotation`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is wrong with it.
        error: TemplateError,
    },
    /// A group named twice in the order of evaluation.
    #[error("group name repeated in evaluation order: {0}")]
    RepeatedInOrder(String),
    /// A test of an alert that does not say which.
    #[error("an item under alert_rule_test misses required attribute alertname")]
    NoAlertName,
    /// More is wrong than is worth telling.
    #[error("too many errors; the first {0} are shown")]
    TooMany(usize),
}
