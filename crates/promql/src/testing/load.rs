//! What a `load` command stores: samples on a grid, with start timestamps where `@st` lines give them.

use std::sync::Arc;

use model::{FloatHistogram, Labels, SampleColumns};

use super::nhcb;
use super::script::ScriptError;
use super::series::{SequenceValue, parse_labels, parse_series_description};
use crate::syntax::parse_duration;

/// The series of one `load` command.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// In the order of the script, each once.
    pub series: Vec<LoadedSeries>,
}

/// One series to store.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedSeries {
    /// The labels.
    pub labels: Labels,
    /// The samples; start timestamps only where a script gives them.
    pub samples: SampleColumns,
}

/// Offsets of start timestamps from their samples, milliseconds.
type Starts = Vec<Option<i64>>;

/// Reads the lines of a `load` command; `lines` are those behind its first, up to the next empty one.
pub(super) fn parse_load(
    step_ms: i64,
    with_nhcb: bool,
    lines: &[(usize, &str)],
) -> Result<Load, ScriptError> {
    let mut series: Vec<LoadedSeries> = Vec::new();
    let mut default_starts: Starts = Vec::new();
    let mut pending: Option<(usize, Labels, Starts)> = None;
    for &(line, text) in lines {
        if let Some((target, sequence)) = start_line(text) {
            if let Some((line, ..)) = pending {
                return Err(ScriptError::new(line, "@st line has no following sample line"));
            }
            let starts = parse_starts(sequence)
                .map_err(|e| ScriptError::new(line, format!("invalid @st sequence: {e}")))?;
            if target.is_empty() {
                default_starts = starts;
            } else {
                let labels = parse_labels(target).map_err(|e| ScriptError::new(line, e))?;
                pending = Some((line, labels, starts));
            }
            continue;
        }
        let described = parse_series_description(text).map_err(|e| ScriptError::new(line, e))?;
        let starts = match pending.take() {
            None => None,
            Some((line, labels, starts)) => {
                if labels != described.labels {
                    return Err(ScriptError::new(
                        line,
                        "@st metric does not match the following sample line metric",
                    ));
                }
                if starts.len() != described.values.len() {
                    let message = format!(
                        "@st line has {} values but sample line has {}",
                        starts.len(),
                        described.values.len()
                    );
                    return Err(ScriptError::new(line, message));
                }
                Some(starts)
            }
        };
        let start = |i: usize| match &starts {
            Some(starts) => starts[i],
            None if default_starts.is_empty() => None,
            None => default_starts[i % default_starts.len()],
        };
        let loaded =
            LoadedSeries { samples: columns(step_ms, &described.values, start), labels: described.labels };
        // A later line for the same series replaces the earlier.
        match series.iter_mut().find(|s| s.labels == loaded.labels) {
            Some(earlier) => *earlier = loaded,
            None => series.push(loaded),
        }
    }
    if let Some((line, ..)) = pending {
        return Err(ScriptError::new(line, "@st line has no following sample line"));
    }
    if with_nhcb {
        series.extend(nhcb::convert(&series));
    }
    Ok(Load { series })
}

fn columns(step_ms: i64, values: &[SequenceValue], start: impl Fn(usize) -> Option<i64>) -> SampleColumns {
    let mut out = SampleColumns::default();
    let mut any_start = false;
    for (i, value) in values.iter().enumerate() {
        let t_ms = step_ms.saturating_mul(i as i64);
        let start = start(i).map_or(0, |offset| t_ms.saturating_add(offset));
        match value {
            SequenceValue::Omitted => continue,
            SequenceValue::Float(value) => {
                out.t_ms.push(t_ms);
                out.values.push(*value);
                out.starts_ms.push(start);
            }
            SequenceValue::Histogram(h, _) => {
                out.histogram_t_ms.push(t_ms);
                out.histograms.push(Arc::<FloatHistogram>::clone(h));
                out.histogram_starts_ms.push(start);
            }
        }
        any_start |= start != 0;
    }
    if !any_start {
        out.starts_ms.clear();
        out.histogram_starts_ms.clear();
    }
    out
}

/// Splits `metric@st -1m …` or `@st -1m …`.
fn start_line(text: &str) -> Option<(&str, &str)> {
    let (target, sequence) = text.split_once([' ', '\t'])?;
    Some((target.strip_suffix("@st")?, sequence))
}

/// `-30s`, `-30sx2`, `-30s-1mx2`, `*`, `*x2`, `_`, `_x2`: offsets from each sample's time.
fn parse_starts(text: &str) -> Result<Starts, String> {
    /// As for the values of a series.
    const STARTS_MAX: usize = 1_000_000;
    let mut out: Starts = Vec::new();
    for item in text.split_whitespace() {
        let (value, times) = match item.rsplit_once('x') {
            Some((value, times)) => (
                value,
                Some(times.parse::<usize>().map_err(|e| format!("{item:?}: invalid repeat count: {e}"))?),
            ),
            None => (item, None),
        };
        let count = match (value, times) {
            ("_", times) => times.unwrap_or(1),
            (_, times) => times.map_or(1, |times| times.saturating_add(1)),
        };
        if count > STARTS_MAX - out.len().min(STARTS_MAX) {
            return Err(format!("{item:?}: more than {STARTS_MAX} values"));
        }
        match value {
            "_" => out.extend(std::iter::repeat_n(None, count)),
            "*" => {
                let last = out.iter().rev().find_map(|start| *start).unwrap_or(0);
                out.extend(std::iter::repeat_n(Some(last), count));
            }
            _ => {
                let (base, step) = progression(value).map_err(|e| format!("{item:?}: {e}"))?;
                if step.is_some() && times.is_none() {
                    return Err(format!("{item:?}: expected x and a count after the step"));
                }
                let step = step.unwrap_or(0);
                out.extend((0..count as i64).map(|i| Some(base.saturating_add(step.saturating_mul(i)))));
            }
        }
    }
    Ok(out)
}

/// `-30s` or `-30s-1m`.
fn progression(text: &str) -> Result<(i64, Option<i64>), String> {
    let signed = |text: &str| match text.strip_prefix('-') {
        Some(rest) => parse_duration(rest).map(|ms| -ms),
        None => parse_duration(text.strip_prefix('+').unwrap_or(text)),
    };
    match text.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')) {
        Some((at, _)) => Ok((signed(&text[..at])?, Some(signed(&text[at..])?))),
        None => Ok((signed(text)?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_sequences_expand() {
        for (text, want) in [
            ("_ _x2 -1m", vec![None, None, None, Some(-60_000)]),
            ("-30s-1mx2", vec![Some(-30_000), Some(-90_000), Some(-150_000)]),
            ("0+1msx1 *", vec![Some(0), Some(1), Some(1)]),
            ("-1mx1 _ *x1", vec![Some(-60_000), Some(-60_000), None, Some(-60_000), Some(-60_000)]),
        ] {
            assert_eq!(parse_starts(text), Ok(want), "{text}");
        }
        for bad in ["1", "-1m-1m", "1mx", "_x99999999999", "x3"] {
            assert!(parse_starts(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn samples_stand_on_the_grid() {
        let lines = [(1, "@st _ -5s"), (2, "m 1 _ 3 {{count:1}}"), (3, "n@st -1s"), (4, "n 7")];
        let load = parse_load(60_000, false, &lines).expect("reads");
        let m = &load.series[0].samples;
        assert_eq!((m.t_ms.as_slice(), m.values.as_slice()), (&[0, 120_000][..], &[1.0, 3.0][..]));
        assert_eq!(
            (m.histogram_t_ms.as_slice(), m.histogram_starts_ms.as_slice()),
            (&[180_000][..], &[175_000][..])
        );
        assert_eq!(load.series[1].samples.starts_ms, [-1000]);
    }
}
