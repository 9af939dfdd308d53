//! Runs a script's commands in order against a target.
//!
//! An instant query is asked once as written, then pinned to its instant at other times, and each of these
//! again as the middle of a range query: all must answer alike.

use std::fmt;

use super::check::{check, check_failure, check_notes};
use super::load::Load;
use super::script::{Command, Eval, EvalTime, ScriptError, parse_script};
use super::variants::{looks_at_query, pinned};
use crate::eval::{QueryResult, SampleValue, Value, VectorSample};
use crate::syntax::parse;

/// How far around an instant the range query reaches, and its step.
const AROUND_MS: i64 = 60_000;

/// What stores series and answers queries. Errors are the texts that a script's `expect fail` sees.
pub trait Target {
    /// Forgets all series.
    fn clear(&mut self) -> Result<(), String>;

    /// Adds series.
    fn load(&mut self, load: &Load) -> Result<(), String>;

    /// Answers at one instant, milliseconds.
    fn instant(&self, query: &str, t_ms: i64) -> Result<QueryResult, String>;

    /// Answers at every step from start to end, milliseconds, both inside.
    fn range(&self, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<QueryResult, String>;
}

/// What came of a script.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Evaluations that answered as expected.
    pub passed: usize,
    /// The others.
    pub failures: Vec<Failure>,
}

impl Report {
    /// All evaluations.
    pub fn total(&self) -> usize {
        self.passed + self.failures.len()
    }
}

/// An evaluation that did not answer as expected.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The line of its command.
    pub line: usize,
    /// The query as the script has it.
    pub query: String,
    /// What was different.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}\n    {}", self.line, self.query, self.message)
    }
}

/// Runs a script to its end, whatever fails on the way.
pub fn run(script: &str, target: &mut dyn Target) -> Result<Report, ScriptError> {
    let commands = parse_script(script)?;
    let mut report = Report::default();
    let stored = |what: &str, done: Result<(), String>| {
        done.map_err(|error| ScriptError { line: 0, message: format!("cannot {what}: {error}") })
    };
    stored("clear", target.clear())?;
    for command in commands {
        match command {
            Command::Clear => stored("clear", target.clear())?,
            Command::Load(load) => stored("load", target.load(&load))?,
            Command::Eval(eval) => match evaluate(&eval, target) {
                Ok(()) => report.passed += 1,
                Err(message) => {
                    report.failures.push(Failure { line: eval.line, query: eval.query.clone(), message });
                }
            },
        }
    }
    Ok(report)
}

fn evaluate(eval: &Eval, target: &dyn Target) -> Result<(), String> {
    match eval.time {
        EvalTime::Range { start_ms, end_ms, step_ms } => {
            let grid = Some((start_ms, end_ms, step_ms));
            answer(eval, target.range(&eval.query, start_ms, end_ms, step_ms), grid).map(|_| ())
        }
        EvalTime::Instant(t_ms) => {
            // A script that expects a range of values names its end, which is when the query is asked.
            let t_ms = eval.expect.grid.map_or(t_ms, |(_, end_ms, _)| end_ms);
            instant(eval, target, &eval.query, t_ms)?;
            let expr = parse(&eval.query).map_err(|error| error.to_string())?;
            let Some((query, times)) = pinned(&expr, t_ms) else { return Ok(()) };
            for t_ms in times {
                instant(eval, target, &query, t_ms)?;
            }
            Ok(())
        }
    }
}

/// Asks at an instant, and again in the middle of a range.
fn instant(eval: &Eval, target: &dyn Target, query: &str, t_ms: i64) -> Result<(), String> {
    let place = |message: String| format!("{query} at {t_ms} ms: {message}");
    let Some(value) = answer(eval, target.instant(query, t_ms), eval.expect.grid).map_err(place)? else {
        return Ok(());
    };
    if eval.expect.grid.is_some() || eval.expect.string.is_some() || eval.expect.ordered {
        return Ok(());
    }
    if looks_at_query(&parse(query).map_err(|error| error.to_string())?) {
        return Ok(());
    }
    let place = |message: String| format!("{query} in a range around {t_ms} ms: {message}");
    let result = target.range(query, t_ms - AROUND_MS, t_ms + AROUND_MS, AROUND_MS).map_err(place)?;
    let middle = middle_of(result.value, t_ms, matches!(value, Value::Scalar(_))).map_err(place)?;
    check(&eval.expect, &middle, None).map_err(place)
}

/// Checks one answer; gives its value unless failure was expected.
fn answer(
    eval: &Eval,
    result: Result<QueryResult, String>,
    grid: Option<(i64, i64, i64)>,
) -> Result<Option<Value>, String> {
    let result = match (result, &eval.expect.fail) {
        (Err(error), Some(_)) => return check_failure(&eval.expect, &error).map(|()| None),
        (Err(error), None) => return Err(format!("failed: {error}")),
        (Ok(_), Some(_)) => return Err("should fail, but answered".into()),
        (Ok(result), None) => result,
    };
    check_notes(&eval.expect, &result)?;
    check(&eval.expect, &result.value, grid)?;
    Ok(Some(result.value))
}

/// What a range query says at one of its steps.
fn middle_of(value: Value, t_ms: i64, scalar: bool) -> Result<Value, String> {
    let Value::Matrix(series) = value else {
        return Err(format!("expected a matrix, but got a {}", value.type_name()));
    };
    if series.windows(2).any(|two| two[0].labels > two[1].labels) {
        return Err("series of a matrix must be sorted by labels".into());
    }
    if scalar {
        let point = series.first().and_then(|s| s.floats.iter().find(|point| point.t_ms == t_ms));
        return point.copied().map(Value::Scalar).ok_or_else(|| "no value at the instant".into());
    }
    let at = |series: crate::eval::MatrixSeries| {
        let float = series.floats.iter().find(|p| p.t_ms == t_ms).map(|p| SampleValue::Float(p.value));
        let histogram = || series.histograms.iter().find(|(t, _)| *t == t_ms);
        let value = float.or_else(|| histogram().map(|(_, h)| SampleValue::Histogram(h.clone())))?;
        Some(VectorSample { labels: series.labels, t_ms, value })
    };
    Ok(Value::Vector(series.into_iter().filter_map(at).collect()))
}
