//! Text to commands. An empty line or a comment ends a command.

use std::fmt;

use super::load::{Load, parse_load};
use super::series::{SequenceValue, parse_series_description};
use crate::syntax::{parse, parse_duration, parse_number, unquote_checked};
use model::Labels;

/// One command of a script.
#[derive(Clone, Debug)]
pub enum Command {
    /// Forgets all series.
    Clear,
    /// Adds series.
    Load(Load),
    /// Runs a query.
    Eval(Box<Eval>),
}

/// When a query is evaluated, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalTime {
    /// At one instant.
    Instant(i64),
    /// At every step of a range.
    Range {
        /// First step.
        start_ms: i64,
        /// Last step, at most.
        end_ms: i64,
        /// Distance of steps.
        step_ms: i64,
    },
}

/// A query and what it should answer.
#[derive(Clone, Debug)]
pub struct Eval {
    /// The line of the script, from 1.
    pub line: usize,
    /// The query.
    pub query: String,
    /// When.
    pub time: EvalTime,
    /// What should come back.
    pub(super) expect: Expectations,
}

/// What a query should answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Expectations {
    /// Vectors come in the order of the script.
    pub(super) ordered: bool,
    /// Queries fail, with a text that fits if one is given.
    pub(super) fail: Option<Vec<Text>>,
    /// Warnings: `None` for any number; a list with none for at least one.
    pub(super) warn: Option<Vec<Text>>,
    /// Infos, likewise.
    pub(super) info: Option<Vec<Text>>,
    /// No warnings.
    pub(super) no_warn: bool,
    /// No infos.
    pub(super) no_info: bool,
    /// The answer is this text.
    pub(super) string: Option<String>,
    /// The answer is this number.
    pub(super) scalar: Option<f64>,
    /// An instant query answers with a range of values on this grid.
    pub(super) grid: Option<(i64, i64, i64)>,
    /// The series of the answer, in the script's order.
    pub(super) series: Vec<(Labels, Vec<SequenceValue>)>,
}

/// A text to find in errors and annotations.
#[derive(Clone, Debug)]
pub(super) enum Text {
    /// Exactly.
    Exact(String),
    /// Anywhere.
    Pattern(regex::Regex),
}

impl Text {
    pub(super) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Exact(want) => want == text,
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(want) => write!(f, "{want:?}"),
            Self::Pattern(pattern) => write!(f, "/{pattern}/"),
        }
    }
}

/// A script that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ScriptError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl ScriptError {
    pub(super) fn new(line: usize, message: impl fmt::Display) -> Self {
        Self { line, message: message.to_string() }
    }
}

/// Reads a script.
pub fn parse_script(text: &str) -> Result<Vec<Command>, ScriptError> {
    let lines: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .map(|(i, line)| (i + 1, line.trim()))
        .map(|(i, line)| (i, if line.starts_with('#') { "" } else { line }))
        .collect();
    let mut commands = Vec::new();
    let mut rest = lines.as_slice();
    while let [(line, first), after @ ..] = rest {
        rest = after;
        if first.is_empty() {
            continue;
        }
        let word = first.split_whitespace().next().unwrap_or("");
        let block = &after[..after.iter().position(|(_, text)| text.is_empty()).unwrap_or(after.len())];
        commands.push(match word {
            "clear" => Command::Clear,
            "load" | "load_with_nhcb" => {
                rest = &after[block.len()..];
                let step = first[word.len()..].trim();
                let step = parse_duration(step)
                    .map_err(|e| ScriptError::new(*line, format!("invalid step definition {step:?}: {e}")))?;
                Command::Load(parse_load(step, word == "load_with_nhcb", block)?)
            }
            _ if word.starts_with("eval") => {
                let (eval, used) = parse_eval(*line, first, block)?;
                rest = &after[used..];
                Command::Eval(Box::new(eval))
            }
            _ => return Err(ScriptError::new(*line, format!("invalid command {first:?}"))),
        });
    }
    Ok(commands)
}

/// Reads an `eval` command; also says how many lines of the block are its own.
fn parse_eval(line: usize, first: &str, block: &[(usize, &str)]) -> Result<(Eval, usize), ScriptError> {
    let wrong = |message: String| ScriptError::new(line, message);
    let mut words = Words(first);
    let mut expect = Expectations::default();
    match words.next() {
        "eval" => {}
        "eval_fail" => expect.fail = Some(Vec::new()),
        "eval_warn" => expect.warn = Some(Vec::new()),
        "eval_info" => expect.info = Some(Vec::new()),
        "eval_ordered" => expect.ordered = true,
        other => return Err(wrong(format!("invalid command {other:?}"))),
    }
    let time = match words.next() {
        "instant" => EvalTime::Instant(words.duration("at").map_err(wrong)?),
        "range" => EvalTime::Range {
            start_ms: words.duration("from").map_err(wrong)?,
            end_ms: words.duration("to").map_err(wrong)?,
            step_ms: words.duration("step").map_err(wrong)?,
        },
        other => return Err(wrong(format!("expected instant or range, not {other:?}"))),
    };
    if let EvalTime::Range { start_ms, end_ms, .. } = time
        && end_ms < start_ms
    {
        return Err(wrong("the end of the range is before its start".into()));
    }
    let query = words.0.trim().to_owned();
    parse(&query).map_err(|error| wrong(error.to_string()))?;
    let mut used = 0;
    for (line, text) in block {
        used += 1;
        if parse_expectation(&mut expect, text).map_err(|e| ScriptError::new(*line, e))? == Next::Command {
            break;
        }
    }
    let instant = matches!(time, EvalTime::Instant(_));
    if instant && expect.grid.is_none() && expect.series.iter().any(|(_, values)| values.len() > 1) {
        return Err(wrong("several values for an instant need `expect range vector`".into()));
    }
    if (expect.warn.is_some() && expect.no_warn) || (expect.info.is_some() && expect.no_info) {
        return Err(wrong("annotations cannot be both expected and not".into()));
    }
    Ok((Eval { line, query, time, expect }, used))
}

/// What follows an expectation.
#[derive(PartialEq)]
enum Next {
    /// More of them.
    Expectation,
    /// The next command.
    Command,
}

fn parse_expectation(expect: &mut Expectations, text: &str) -> Result<Next, String> {
    if let Some(failures) = &mut expect.fail {
        if let Some(message) = text.strip_prefix("expected_fail_message") {
            failures.push(Text::Exact(message.trim().into()));
            return Ok(Next::Command);
        }
        if let Some(pattern) = text.strip_prefix("expected_fail_regexp") {
            failures.push(Text::Pattern(pattern_of(pattern)?));
            return Ok(Next::Command);
        }
    }
    let mut words = Words(text);
    if words.next() == "expect" {
        parse_expect_line(expect, words)?;
        return Ok(Next::Expectation);
    }
    if let Some(value) = parse_number(text) {
        expect.scalar = Some(value);
        return Ok(Next::Command);
    }
    let series = parse_series_description(text).map_err(|error| error.to_string())?;
    if series.values.is_empty() {
        return Err("a series without values is expected".into());
    }
    // A later line for the same series replaces the earlier.
    expect.series.retain(|(labels, _)| *labels != series.labels);
    expect.series.push((series.labels, series.values));
    Ok(Next::Expectation)
}

/// What follows `expect`.
fn parse_expect_line(expect: &mut Expectations, mut words: Words<'_>) -> Result<(), String> {
    match words.next() {
        "ordered" => expect.ordered = true,
        "no_warn" => expect.no_warn = true,
        "no_info" => expect.no_info = true,
        "fail" if expect.fail.as_ref().is_some_and(|texts| !texts.is_empty()) => {
            return Err("a query fails once; give one expect fail".into());
        }
        "fail" => expect.fail.get_or_insert_default().extend(text_of(words.0)?),
        "warn" => expect.warn.get_or_insert_default().extend(text_of(words.0)?),
        "info" => expect.info.get_or_insert_default().extend(text_of(words.0)?),
        "string" => {
            let quoted = words.0.trim();
            expect.string = Some(unquote_checked(quoted).ok_or("the expected text must be quoted")?);
        }
        "range" => {
            if words.next() != "vector" {
                return Err("expected `expect range vector from … to … step …`".into());
            }
            expect.grid = Some((words.duration("from")?, words.duration("to")?, words.duration("step")?));
        }
        other => return Err(format!("invalid expected error or annotation type {other:?}")),
    }
    Ok(())
}

/// `msg: text`, `regex: pattern`, or nothing.
fn text_of(text: &str) -> Result<Option<Text>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    match text.split_once(':') {
        Some(("msg", message)) => Ok(Some(Text::Exact(message.trim().into()))),
        Some(("regex", pattern)) => Ok(Some(Text::Pattern(pattern_of(pattern)?))),
        _ => Err(format!("expected msg: or regex:, not {text:?}")),
    }
}

fn pattern_of(pattern: &str) -> Result<regex::Regex, String> {
    regex::Regex::new(pattern.trim()).map_err(|error| format!("invalid pattern {pattern:?}: {error}"))
}

/// Takes words from the front of a line.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next(&mut self) -> &'a str {
        let text = self.0.trim_start();
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        self.0 = &text[end..];
        &text[..end]
    }

    /// The milliseconds behind a word.
    fn duration(&mut self, word: &str) -> Result<i64, String> {
        let found = self.next();
        if found != word {
            return Err(format!("expected {word:?}, not {found:?}"));
        }
        let text = self.next();
        parse_duration(text).map_err(|error| format!("invalid time {text:?} behind {word:?}: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_end_at_empty_lines_and_comments() {
        let script = "load 1m\n  m 1\n  n 2\n\n# c\nclear\neval instant at 1m m\n  expect ordered\n  {} 1\n\n\
                      eval range from 0 to 1m step 1m m\n  {} 1 2\n# c\neval instant at 0 1\n1\nclear";
        let commands = parse_script(script).expect("reads");
        let kinds: Vec<&str> = commands
            .iter()
            .map(|command| match command {
                Command::Clear => "clear",
                Command::Load(load) if load.series.len() == 2 => "load",
                Command::Load(_) => "?",
                Command::Eval(eval) if matches!(eval.time, EvalTime::Instant(_)) => "instant",
                Command::Eval(_) => "range",
            })
            .collect();
        assert_eq!(kinds, ["load", "clear", "instant", "range", "instant", "clear"]);
    }

    #[test]
    fn wrong_scripts_name_the_line() {
        for (script, want) in [
            ("\nnope", "line 2: invalid command \"nope\""),
            ("load x", "line 1: invalid step definition \"x\": not a valid duration string: \"x\""),
            ("eval instant at 1m 1 +", "line 1: 1:4: parse error: unexpected end of input"),
            (
                "eval instant at 1m m\n m 1 2",
                "line 1: several values for an instant need `expect range vector`",
            ),
            (
                "eval instant at 1m m\n expect nothing",
                "line 2: invalid expected error or annotation type \"nothing\"",
            ),
            ("eval range from 2m to 1m step 1m m", "line 1: the end of the range is before its start"),
            ("eval instant 1m m", "line 1: expected \"at\", not \"1m\""),
        ] {
            assert_eq!(parse_script(script).expect_err(script).to_string(), want);
        }
    }
}
