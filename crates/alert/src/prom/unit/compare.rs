//! What was expected and what there was, put as promtool does.

use promql::SampleValue;
use promql::testing::{SequenceValue, almost_equal, parse_series_description, same_histogram};

use super::super::{AlertTest, ExprTest, Sample, format_duration};
use crate::Labels;

/// Labels as Go's `labels.Labels.String` writes them.
fn labels_text(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// As Go's `strconv.Quote` does for what labels usually hold.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            '\r' => out += "\\r",
            c if c.is_control() => out += &format!("\\x{:02x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn alerts_text(alerts: &[(Labels, Labels)]) -> String {
    if alerts.is_empty() {
        return "[]".to_owned();
    }
    let each: Vec<String> = alerts
        .iter()
        .enumerate()
        .map(|(n, (labels, annotations))| {
            format!(
                "{n}:\n              Labels:{}\n              Annotations:{}",
                labels_text(labels),
                labels_text(annotations)
            )
        })
        .collect();
    format!("[\n            {}\n            ]", each.join(",\n            "))
}

/// Compares the alerts of a test; `None` when they are the same. `name` is that of the group of tests.
pub(super) fn alerts(
    test: &AlertTest,
    mut got: Vec<(Labels, Labels)>,
    time: &str,
    name: &str,
) -> Option<String> {
    let mut want: Vec<(Labels, Labels)> = test
        .exp_alerts
        .iter()
        .map(|alert| {
            let mut labels = alert.labels.clone();
            labels.insert("alertname".to_owned(), test.alertname.clone());
            (labels, alert.annotations.clone())
        })
        .collect();
    want.sort();
    got.sort();
    if want == got {
        return None;
    }
    let head = if name.is_empty() { String::new() } else { format!("    name: {name},\n") };
    let name = &test.alertname;
    Some(format!(
        "{head}    alertname: {name}, time: {time}, \n        exp:{}, \n        got:{}",
        alerts_text(&want),
        alerts_text(&got)
    ))
}

/// A value as Go's `%E`-like notation of promtool: the shortest digits, an exponent of two digits.
fn value_text(value: f64) -> String {
    if !value.is_finite() {
        return crate::number::text(value);
    }
    let text = format!("{value:E}");
    let Some((digits, power)) = text.split_once('E') else { return text };
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    format!("{digits}E{sign}{power:0>2}")
}

fn samples_text(samples: &[Sample]) -> String {
    if samples.is_empty() {
        return "nil".to_owned();
    }
    let each = samples.iter().map(|sample| {
        let value = match &sample.value {
            SampleValue::Float(value) => value_text(*value),
            SampleValue::Histogram(histogram) => promql::histogram::test_expression(histogram),
        };
        format!("{} {value}", labels_text(&sample.labels))
    });
    each.collect::<Vec<_>>().join(", ")
}

/// Compares the result of an expression; `None` when it is as expected.
pub(super) fn expression(test: &ExprTest, got: Result<Vec<Sample>, String>, fuzzy: bool) -> Option<String> {
    let expr = quoted(&test.expr.value);
    let time = format_duration(test.eval_time);
    let failed = |error: String| Some(format!("    expr: {expr}, time: {time}, err: {error}"));
    let mut got = match got {
        Ok(got) => got,
        Err(error) => return failed(error),
    };
    let mut want = Vec::with_capacity(test.exp_samples.len());
    for sample in &test.exp_samples {
        let described = match parse_series_description(&sample.labels) {
            Ok(described) => described,
            Err(error) => return failed(format!("labels {}: {error}", quoted(&sample.labels))),
        };
        let labels = super::super::evaluate::labels_of(&described.labels);
        let value = match sample.histogram.as_str() {
            "" => SampleValue::Float(sample.value),
            text => match parse_series_description(&format!("m {text}")).map(|read| read.values) {
                Ok(values) => match values.into_iter().next() {
                    Some(SequenceValue::Histogram(histogram, _)) => SampleValue::Histogram(histogram),
                    _ => return failed(format!("{} is no histogram", quoted(text))),
                },
                Err(error) => return failed(format!("histogram {}: {error}", quoted(text))),
            },
        };
        want.push(Sample { labels, value });
    }
    want.sort_by(|a, b| a.labels.cmp(&b.labels));
    got.sort_by(|a, b| a.labels.cmp(&b.labels));
    let same = |want: &Sample, got: &Sample| {
        want.labels == got.labels
            && match (&want.value, &got.value) {
                // Without `fuzzy_compare` NaN is not the same as NaN there.
                (SampleValue::Float(a), SampleValue::Float(b)) => a == b || (fuzzy && almost_equal(*a, *b)),
                (SampleValue::Histogram(a), SampleValue::Histogram(b)) => same_histogram(a, b, false),
                _ => false,
            }
    };
    if want.len() == got.len() && want.iter().zip(&got).all(|(want, got)| same(want, got)) {
        return None;
    }
    Some(format!(
        "    expr: {expr}, time: {time},\n        exp: {}\n        got: {}",
        samples_text(&want),
        samples_text(&got)
    ))
}
