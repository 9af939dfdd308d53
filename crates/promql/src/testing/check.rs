//! Answers against expectations. The errors say what was expected and what came.

use std::collections::HashSet;
use std::sync::Arc;

use model::{FloatHistogram, Labels};

use super::compare::{almost_equal, same_histogram};
use super::script::{Expectations, Text};
use super::series::SequenceValue;
use crate::eval::{MatrixSeries, QueryResult, SampleValue, Value, VectorSample};
use crate::histogram::test_expression;

/// First step, last step, distance of steps; milliseconds.
type Grid = (i64, i64, i64);

/// Checks a failure's text.
pub(super) fn check_failure(expect: &Expectations, error: &str) -> Result<(), String> {
    match expect.fail.iter().flatten().find(|text| !text.fits(error)) {
        Some(text) => Err(format!("should fail with {text}, but fails with {error:?}")),
        None => Ok(()),
    }
}

/// Checks warnings and infos.
pub(super) fn check_notes(expect: &Expectations, result: &QueryResult) -> Result<(), String> {
    for (what, wanted, none, found) in [
        ("warning", &expect.warn, expect.no_warn, &result.warnings),
        ("info", &expect.info, expect.no_info, &result.infos),
    ] {
        if none && !found.is_empty() {
            return Err(format!("expected no {what}, but got {found:?}"));
        }
        let Some(wanted) = wanted else { continue };
        if found.is_empty() {
            return Err(format!("expected a {what}, but got none"));
        }
        check_texts(what, wanted, found)?;
    }
    Ok(())
}

/// Every text expected is there, and every one there is expected.
fn check_texts(what: &str, wanted: &[Text], found: &[String]) -> Result<(), String> {
    if wanted.is_empty() {
        return Ok(());
    }
    if let Some(text) = wanted.iter().find(|text| !found.iter().any(|f| text.fits(f))) {
        return Err(format!("expected {what} {text}, but got {found:?}"));
    }
    match found.iter().find(|f| !wanted.iter().any(|text| text.fits(f))) {
        Some(extra) => Err(format!("unexpected {what} {extra:?}")),
        None => Ok(()),
    }
}

/// Checks a value; a matrix needs the grid its points stand on.
pub(super) fn check(expect: &Expectations, value: &Value, grid: Option<Grid>) -> Result<(), String> {
    let wants_series = expect.scalar.is_none() && expect.string.is_none();
    match value {
        Value::Scalar(point) => match expect.scalar {
            Some(want) if almost_equal(want, point.value) => Ok(()),
            Some(want) => Err(format!("expected scalar {want}, but got {}", point.value)),
            None => Err(format!("expected series, but got scalar {}", point.value)),
        },
        Value::String { value, .. } => match &expect.string {
            Some(want) if want == value => Ok(()),
            Some(want) => Err(format!("expected text {want:?}, but got {value:?}")),
            None => Err(format!("expected series, but got text {value:?}")),
        },
        Value::Vector(samples) if wants_series => check_vector(expect, samples),
        Value::Matrix(series) if wants_series && !expect.ordered => match grid {
            Some(grid) => check_matrix(expect, series, grid),
            None => Err("expected a vector, but got a matrix".into()),
        },
        other => Err(format!("expected something else than a {}", other.type_name())),
    }
}

fn check_vector(expect: &Expectations, samples: &[VectorSample]) -> Result<(), String> {
    let mut seen = HashSet::new();
    for (place, sample) in samples.iter().enumerate() {
        let got = show(&sample.value);
        let wanted = expect.series.iter().position(|(labels, _)| *labels == sample.labels);
        let Some(wanted) = wanted else {
            return Err(format!("unexpected series {} with {got}", sample.labels));
        };
        if !seen.insert(&sample.labels) {
            return Err(format!("series {} comes twice", sample.labels));
        }
        if expect.ordered && wanted != place {
            return Err(format!("series {} is in place {place}, expected in {wanted}", sample.labels));
        }
        let want = &expect.series[wanted].1[0];
        if !same_value(want, &sample.value) {
            return Err(format!("expected {} for {}, but got {got}", show_wanted(want), sample.labels));
        }
    }
    check_all_seen(expect, &seen)
}

fn check_all_seen(expect: &Expectations, seen: &HashSet<&Labels>) -> Result<(), String> {
    match expect.series.iter().find(|(labels, _)| !seen.contains(labels)) {
        Some((labels, values)) => {
            Err(format!("expected series {labels} with {}, but it is not there", show_wanted(&values[0])))
        }
        None => Ok(()),
    }
}

fn same_value(want: &SequenceValue, got: &SampleValue) -> bool {
    match (want, got) {
        (SequenceValue::Float(want), SampleValue::Float(got)) => almost_equal(*want, *got),
        (SequenceValue::Histogram(want, hint), SampleValue::Histogram(got)) => {
            same_histogram(want, got, *hint)
        }
        _ => false,
    }
}

fn check_matrix(expect: &Expectations, series: &[MatrixSeries], grid: Grid) -> Result<(), String> {
    let (start_ms, end_ms, step_ms) = grid;
    if series.windows(2).any(|two| two[0].labels >= two[1].labels) {
        return Err("series of a matrix must be sorted by labels, each once".into());
    }
    let mut seen = HashSet::new();
    for one in series {
        let Some((_, values)) = expect.series.iter().find(|(labels, _)| *labels == one.labels) else {
            return Err(format!("unexpected series {}", show_series(one)));
        };
        seen.insert(&one.labels);
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for (i, value) in values.iter().enumerate() {
            let t_ms = start_ms.saturating_add(step_ms.saturating_mul(i as i64));
            if t_ms > end_ms {
                return Err(format!(
                    "{} points are expected for {}, more than there are steps",
                    values.len(),
                    one.labels
                ));
            }
            match value {
                SequenceValue::Omitted => {}
                SequenceValue::Float(value) => floats.push((t_ms, *value)),
                SequenceValue::Histogram(h, hint) => histograms.push((t_ms, h, *hint)),
            }
        }
        let same_floats = floats.len() == one.floats.len()
            && floats
                .iter()
                .zip(&one.floats)
                .all(|((t, want), got)| *t == got.t_ms && almost_equal(*want, got.value));
        let same_histograms = histograms.len() == one.histograms.len()
            && histograms
                .iter()
                .zip(&one.histograms)
                .all(|((t, want, hint), (got_t, got))| t == got_t && same_histogram(want, got, *hint));
        if !same_floats || !same_histograms {
            let wanted: Vec<String> = values.iter().map(show_wanted).collect();
            return Err(format!("expected {} for {}", wanted.join(" "), show_series(one)));
        }
    }
    check_all_seen(expect, &seen)
}

fn show(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => value.to_string(),
        SampleValue::Histogram(h) => test_expression(h),
    }
}

fn show_wanted(value: &SequenceValue) -> String {
    match value {
        SequenceValue::Omitted => "_".into(),
        SequenceValue::Float(value) => value.to_string(),
        SequenceValue::Histogram(h, _) => test_expression(h),
    }
}

fn show_series(series: &MatrixSeries) -> String {
    let floats = series.floats.iter().map(|point| (point.t_ms, point.value.to_string()));
    let shown = |(t, h): &(i64, Arc<FloatHistogram>)| (*t, test_expression(h));
    let mut points: Vec<(i64, String)> = floats.chain(series.histograms.iter().map(shown)).collect();
    points.sort();
    let texts: Vec<String> = points.into_iter().map(|(t, value)| format!("{value}@{t}")).collect();
    format!("{}, which has {}", series.labels, texts.join(" "))
}
