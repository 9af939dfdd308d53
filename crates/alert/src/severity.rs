//! How bad it is, and how soon it is delivered.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Labels;

/// How bad something is, from least to worst. Read in any case: `Critical` and `critical` are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// May become a fault.
    Warning,
    /// A fault.
    Error,
    /// People are hurt by it now.
    Critical,
}

impl Severity {
    /// Every severity, from least to worst.
    pub const ALL: [Self; 4] = [Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// The spelling on the wire and in the label `severity`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// Reads the spelling, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str().eq_ignore_ascii_case(text))
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

    /// What the label `severity` says, in any of the words; `None` for a word nobody knows.
    pub fn of(labels: &Labels) -> Option<Self> {
        let text = labels.get("severity")?;
        let means = |severity: &Self| severity.words().iter().any(|word| word.eq_ignore_ascii_case(text));
        Self::ALL.into_iter().find(means)
    }

    /// The next worse one; the worst stays.
    pub fn worse(self) -> Self {
        Self::ALL.into_iter().find(|other| *other > self).unwrap_or(self)
    }

    /// How soon it is delivered unless something else is asked for.
    pub fn priority(self) -> Priority {
        match self {
            Self::Info => Priority::Low,
            Self::Warning => Priority::Normal,
            Self::Error => Priority::High,
            Self::Critical => Priority::Critical,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Severity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            serde::de::Error::custom(format!(
                "{shown:?} is no severity: write info, warning, error or critical"
            ))
        })
    }
}

/// How soon something is delivered when much waits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// When nothing else waits.
    Low,
    /// In turn.
    #[default]
    Normal,
    /// Before the others.
    High,
    /// Before everything.
    Critical,
}

impl Priority {
    /// How bad something is of which only the priority was given.
    pub fn severity(self) -> Severity {
        match self {
            Self::Low => Severity::Info,
            Self::Normal => Severity::Warning,
            Self::High => Severity::Error,
            Self::Critical => Severity::Critical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_read_in_any_case_and_nothing_else_is_one() {
        for (text, want) in [
            ("info", Some(Severity::Info)),
            ("Warning", Some(Severity::Warning)),
            ("ERROR", Some(Severity::Error)),
            ("critical", Some(Severity::Critical)),
            ("fatal", None),
            ("", None),
        ] {
            assert_eq!(Severity::parse(text), want, "{text:?}");
            assert_eq!(serde_json::from_value::<Severity>(text.into()).ok(), want, "{text:?}");
        }
    }

    #[test]
    fn labels_of_others_say_it_in_words_of_their_own() {
        for (text, want) in
            [("PAGE", Some(Severity::Critical)), ("warn", Some(Severity::Warning)), ("P1", None)]
        {
            assert_eq!(Severity::of(&Labels::from([("severity".into(), text.into())])), want, "{text}");
        }
        assert_eq!(Severity::of(&Labels::new()), None);
    }

    #[test]
    fn severity_and_priority_map_both_ways() {
        for severity in Severity::ALL {
            assert_eq!(severity.priority().severity(), severity);
        }
        assert_eq!(Severity::Critical.worse(), Severity::Critical);
        assert_eq!(Severity::Info.worse(), Severity::Warning);
    }
}
