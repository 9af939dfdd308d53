//! How bad something is, and in which order messages about it leave.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Labels;

/// How bad. Alerts carry it as the label `severity`, in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Will become a problem.
    Warning,
    /// Is a problem.
    Error,
    /// Wakes people.
    Critical,
}

impl Severity {
    /// All of them, from mild to grave.
    pub const ALL: [Self; 4] = [Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// As labels and files write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// The words that mean it in labels, ours and those that rule files of others use.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Info => &["info", "information", "informational", "notice", "none"],
            Self::Warning => &["warning", "warn"],
            Self::Error => &["error", "err", "major", "high"],
            Self::Critical => &["critical", "crit", "page", "fatal", "emergency"],
        }
    }

    /// Reads it in any case, with the words that rule files of others use; `None` for a word nobody knows.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.words().iter().any(|word| word.eq_ignore_ascii_case(text)))
    }

    /// What the label `severity` says.
    pub fn of(labels: &Labels) -> Option<Self> {
        labels.get("severity").and_then(|text| Self::parse(text))
    }
}

/// The order in which messages leave: a higher one overtakes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// After all others.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Before the usual.
    High,
    /// Before all others.
    Critical,
}

impl From<Severity> for Priority {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Low,
            Severity::Warning => Self::Normal,
            Severity::Error => Self::High,
            Severity::Critical => Self::Critical,
        }
    }
}

impl From<Priority> for Severity {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Low => Self::Info,
            Priority::Normal => Self::Warning,
            Priority::High => Self::Error,
            Priority::Critical => Self::Critical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_and_priority_map_both_ways() {
        for severity in Severity::ALL {
            assert_eq!(Severity::from(Priority::from(severity)), severity);
            assert_eq!(Severity::parse(severity.as_str()), Some(severity));
        }
        assert_eq!(Severity::parse("PAGE"), Some(Severity::Critical));
        assert_eq!(Severity::parse("P1"), None);
    }
}
