//! Prometheus rule files and the unit tests of `promtool test rules`, verbatim.
//!
//! [`parse`] reads and validates a rule file by the rules of Prometheus; [`parse_tests`] reads a test file. Each error
//! names file, line and column. [`expression`] checks an expression as PromQL. The part `evaluate` holds what an evaluation does
//! with samples, without asking or storing anything, so that the server and unit tests do the same.

mod check; // what Prometheus refuses
mod duration; // 1h30m
mod error; // problems with their places
mod evaluate; // from samples to alerts and series
mod fields; // maps read by key
mod tests_file; // promtool's unit tests
mod types; // what a rule file is
mod unit; // carrying unit tests out

#[cfg(test)]
mod tests;

pub use check::{Names, Parsed, Warning, expression, parse};
pub use duration::{DurationError, format_duration, parse_duration};
pub use error::{ExprError, FileError, Problem, RulePlace};
pub(crate) use evaluate::template_sample;
pub use evaluate::{Answers, FoundAlert, Lacking, Sample, Server, alert_series, batch, found, recorded};
pub use tests_file::{
    AlertTest, ExpectedAlert, ExpectedSample, ExprTest, InputSeries, TestGroup, UnitTests, parse_tests,
};
pub use types::{AlertingRule, Group, RecordingRule, Rule, RuleFile, Templated};
pub use unit::{Disk, TestOutput, run_tests};
