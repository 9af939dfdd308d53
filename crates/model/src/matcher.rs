//! How a query names series. Compiling the expression is the business of whoever evaluates it.

use std::fmt;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends.
    Regex,
    /// `!~`, anchored at both ends.
    NotRegex,
}

impl fmt::Display for MatchOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        })
    }
}

/// A condition on one label. A series without the label has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label's name.
    pub name: String,
    /// How to compare.
    pub op: MatchOp,
    /// What to compare with: a text, or a regular expression.
    pub value: String,
    regex: Option<regex::Regex>,
}

/// Largest compiled form of one expression, so that a short pattern cannot take the memory of a large one.
const REGEX_BYTES_MAX: usize = 4 << 20;

impl Matcher {
    /// Checks the expression of a regular-expression matcher and compiles it.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, InvalidMatcher> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            // `s`: as in Prometheus, `.` matches a line break too.
            MatchOp::Regex | MatchOp::NotRegex => Some(
                regex::RegexBuilder::new(&format!("^(?s:{value})$"))
                    .size_limit(REGEX_BYTES_MAX)
                    .build()
                    .map_err(|error| InvalidMatcher { pattern: value.into(), reason: error.to_string() })?,
            ),
        };
        Ok(Self { name: name.into(), op, value: value.into(), regex })
    }

    /// True when a label with this value (empty for an absent label) satisfies the condition.
    pub fn matches(&self, value: &str) -> bool {
        let hit = |regex: &Option<regex::Regex>| regex.as_ref().is_some_and(|r| r.is_match(value));
        match self.op {
            MatchOp::Equal => self.value == value,
            MatchOp::NotEqual => self.value != value,
            MatchOp::Regex => hit(&self.regex),
            MatchOp::NotRegex => !hit(&self.regex),
        }
    }

    /// True when a series without the label satisfies the condition.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op, self.value)
    }
}

/// A regular expression that does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid regular expression {pattern:?}: {reason}")]
pub struct InvalidMatcher {
    /// What was given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_compare_as_prometheus_does() {
        use MatchOp::{Equal, NotEqual, NotRegex, Regex};
        for (op, pattern, value, want) in [
            (Equal, "a", "a", true),
            (Equal, "a", "ab", false),
            (NotEqual, "a", "", true),
            (Regex, "a|b", "b", true),
            (Regex, "a|b", "ab", false),
            (Regex, "a.c", "a\nc", true),
            (NotRegex, "a.*", "abc", false),
            (Regex, "", "", true),
        ] {
            let matcher = Matcher::new("l", op, pattern).expect("compiles");
            assert_eq!(matcher.matches(value), want, "{matcher} on {value:?}");
        }
        assert!(Matcher::new("l", Regex, "(").is_err());
    }
}
