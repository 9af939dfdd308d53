//! Conditions on labels, in Alertmanager's notation.

mod parse; // text to matchers

use std::borrow::Cow;
use std::fmt;

use model::MatchOp;
use regex::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::fingerprint::quoted;
use super::go_regex;
use crate::Labels;

/// Longest name or value of a condition.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Most conditions of one list.
pub(super) const MATCHERS_MAX: usize = 128;

/// A condition on one label; an absent label has the empty value. Regular expressions are Go's and match whole
/// values.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label.
    pub name: String,
    /// How it compares.
    pub op: MatchOp,
    /// A text, or an expression.
    pub value: String,
    regex: Option<Regex>,
}

/// A text that is no condition, or not one that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("matcher {matcher:?}: {reason}")]
pub struct InvalidMatcher {
    /// The start of what was given.
    pub matcher: String,
    /// What is wrong and what would do.
    pub reason: String,
}

impl InvalidMatcher {
    fn new(matcher: &str, reason: impl Into<String>) -> Self {
        Self { matcher: matcher.chars().take(120).collect(), reason: reason.into() }
    }
}

impl Matcher {
    /// Checks a condition and compiles its expression.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, InvalidMatcher> {
        let wrong = |reason: String| InvalidMatcher::new(&format!("{name}{op}{value}"), reason);
        if name.is_empty() {
            return Err(wrong("the label's name is missing; write it like severity=\"critical\"".into()));
        }
        if name.len().max(value.len()) > TEXT_BYTES_MAX {
            return Err(wrong(format!("names and values have at most {TEXT_BYTES_MAX} bytes")));
        }
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => {
                let compiled = go_regex::anchored(value);
                Some(compiled.map_err(|why| {
                    wrong(format!("the regular expression cannot be used: {why}; write it as RE2 does"))
                })?)
            }
        };
        Ok(Self { name: name.into(), op, value: value.into(), regex })
    }

    /// Reads one condition such as `severity=~"error|critical"`.
    pub fn parse(text: &str) -> Result<Self, InvalidMatcher> {
        let mut matchers = Self::parse_list(text)?;
        match (matchers.pop(), matchers.len()) {
            (Some(matcher), 0) => Ok(matcher),
            (None, _) => Err(InvalidMatcher::new(text, "it is empty; write it like severity=\"critical\"")),
            (Some(_), _) => Err(InvalidMatcher::new(text, "it holds several; write one")),
        }
    }

    /// Reads conditions separated by commas, in braces or not: `{a="b",c=~"d"}`. Both notations are read, the
    /// classic one and, where that fails, the one whose names may be any text in quotes; so does Alertmanager.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, InvalidMatcher> {
        let matchers = parse::classic(text).or_else(|classic| {
            // The newer notation is the more exact judge of a text that neither reads.
            parse::utf8(text).map_err(|utf8| if text.contains(['{', '}']) { utf8 } else { classic })
        })?;
        if matchers.len() > MATCHERS_MAX {
            return Err(InvalidMatcher::new(text, format!("at most {MATCHERS_MAX} conditions are read")));
        }
        Ok(matchers)
    }

    /// True where the label set satisfies the condition.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.get(&self.name).map_or("", String::as_str))
    }

    /// True where a label of this value does.
    pub fn matches_value(&self, value: &str) -> bool {
        let hit = || self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match self.op {
            MatchOp::Equal => self.value == value,
            MatchOp::NotEqual => self.value != value,
            MatchOp::Regex => hit(),
            MatchOp::NotRegex => !hit(),
        }
    }

    fn rank(&self) -> (&str, &str, u8) {
        let op = match self.op {
            MatchOp::Equal => 0,
            MatchOp::NotEqual => 1,
            MatchOp::Regex => 2,
            MatchOp::NotRegex => 3,
        };
        (&self.name, &self.value, op)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    /// `name="value"`, with the name in quotes too where it is not a plain word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(parse::is_reserved) {
            f.write_str(&quoted(&self.name))?;
        } else {
            f.write_str(&self.name)?;
        }
        write!(f, "{}{}", self.op, quoted(&self.value))
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Matcher {
    fn schema_name() -> Cow<'static, str> {
        "Matcher".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A condition on a label in Alertmanager's notation.",
            "examples": ["severity=\"critical\"", "service=~\"api|web\""],
        })
    }
}

/// Conditions that must all hold, in Alertmanager's order: by name, value, operator. None hold always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Matchers(Vec<Matcher>);

impl Matchers {
    /// Sorts them.
    pub fn new(mut matchers: Vec<Matcher>) -> Self {
        matchers.sort_by(|a, b| a.rank().cmp(&b.rank()));
        Self(matchers)
    }

    /// The conditions.
    pub fn as_slice(&self) -> &[Matcher] {
        &self.0
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True where all hold.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.failing(labels).is_none()
    }

    /// The first that does not hold.
    pub fn failing(&self, labels: &Labels) -> Option<&Matcher> {
        self.0.iter().find(|matcher| !matcher.matches(labels))
    }
}

impl fmt::Display for Matchers {
    /// `{a="b",c=~"d"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, matcher) in self.0.iter().enumerate() {
            write!(f, "{}{matcher}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests;
