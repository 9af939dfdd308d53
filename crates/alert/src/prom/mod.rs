//! Prometheus rule files and the unit tests of `promtool test rules`, verbatim.
//!
//! [`parse`] reads and validates a rule file by the rules of Prometheus; [`parse_tests`] reads a test file. Each error
//! names file, line and column. What an expression means is not known here: the caller checks it.

mod check; // what Prometheus refuses
mod duration; // 1h30m
mod error; // problems with their places
mod fields; // maps read by key
mod tests_file; // promtool's unit tests
mod types; // what a rule file is

#[cfg(test)]
mod tests;

pub use check::{Names, Parsed, Warning, parse};
pub use duration::{DurationError, format_duration, parse_duration};
pub use error::{ExprError, FileError, Problem, RulePlace};
pub use tests_file::{
    AlertTest, ExpectedAlert, ExpectedSample, ExprTest, InputSeries, TestGroup, UnitTests, parse_tests,
};
pub use types::{AlertingRule, Group, RecordingRule, Rule, RuleFile, Templated};
