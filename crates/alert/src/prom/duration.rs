//! Prometheus' durations: whole numbers of years to milliseconds, the larger first.

use std::fmt::Write as _;
use std::time::Duration;

/// Names with milliseconds, in the order in which they are written. A year has 365 days.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Longest duration: what fits Go's nanoseconds, about 292 years.
const MS_MAX: u64 = i64::MAX as u64 / 1_000_000;

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing is written.
    #[error("empty duration string")]
    Empty,
    /// It is written otherwise.
    #[error("not a valid duration string: {0:?}; write for example 1h30m")]
    Syntax(String),
    /// Longer than 292 years.
    #[error("duration out of range")]
    Range,
}

/// Reads `1h30m`, `1y2w3d`, `0`: each unit at most once, the larger ones first.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let syntax = || DurationError::Syntax(text.chars().take(100).collect());
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let letters =
            rest[digits..].len() - rest[digits..].trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
        let place =
            units.iter().position(|(name, _)| *name == unit).filter(|_| digits > 0).ok_or_else(syntax)?;
        let milliseconds = units[place].1;
        units = &units[place + 1..];
        rest = &rest[digits + letters..];
        let number: u64 = number.parse().map_err(|_| DurationError::Range)?;
        total = number
            .checked_mul(milliseconds)
            .and_then(|ms| total.checked_add(ms))
            .ok_or(DurationError::Range)?;
    }
    if total > MS_MAX { Err(DurationError::Range) } else { Ok(Duration::from_millis(total)) }
}

/// Writes a duration as Prometheus does: years, weeks and days only where they go into it without a rest.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (name, milliseconds) in UNITS {
        let whole_only = matches!(name, "y" | "w" | "d");
        if rest < milliseconds || (whole_only && rest % milliseconds != 0) {
            continue;
        }
        write!(out, "{}{name}", rest / milliseconds).expect("writing to a string does not fail");
        rest %= milliseconds;
    }
    out
}
