//! Query results as CSV and as Prometheus text, for `format=csv` and `format=prometheus`.

use std::collections::BTreeSet;

use model::Labels;
use promql::{SampleValue, Value};

use super::number::{push_seconds, push_value};
use crate::error::Fault;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
    Prometheus,
}

impl Format {
    /// Reads `format=`; JSON when it is not given.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Fault> {
        match text {
            None | Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv),
            Some("prometheus") => Ok(Self::Prometheus),
            Some(other) => {
                Err(Fault::invalid("format", format!("{other:?} is none of json, csv, prometheus")))
            }
        }
    }

    /// The content type of the answer.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// One row of an export: labels, time, value. Histograms have no single value and are left out.
fn rows(value: &Value) -> Vec<(&Labels, i64, f64)> {
    match value {
        Value::Vector(samples) => samples
            .iter()
            .filter_map(|s| match s.value {
                SampleValue::Float(value) => Some((&s.labels, s.t_ms, value)),
                SampleValue::Histogram(_) => None,
            })
            .collect(),
        Value::Matrix(series) => {
            series.iter().flat_map(|s| s.floats.iter().map(move |p| (&s.labels, p.t_ms, p.value))).collect()
        }
        Value::Scalar(_) | Value::String { .. } => Vec::new(),
    }
}

/// RFC 4180: a column per label that any row has, then `timestamp` (seconds) and `value`.
pub(crate) fn csv(value: &Value) -> Vec<u8> {
    let rows = rows(value);
    let names: BTreeSet<&str> =
        rows.iter().flat_map(|(labels, ..)| labels.iter().map(|(name, _)| name)).collect();
    let mut out = Vec::new();
    for name in &names {
        push_cell(&mut out, name);
        out.push(b',');
    }
    out.extend_from_slice(b"timestamp,value\r\n");
    if let Value::Scalar(point) = value {
        push_end(&mut out, point.t_ms, point.value);
    }
    for (labels, t_ms, value) in rows {
        for name in &names {
            push_cell(&mut out, labels.get(name).unwrap_or(""));
            out.push(b',');
        }
        push_end(&mut out, t_ms, value);
    }
    out
}

fn push_end(out: &mut Vec<u8>, t_ms: i64, value: f64) {
    push_seconds(out, t_ms);
    out.push(b',');
    push_value(out, value);
    out.extend_from_slice(b"\r\n");
}

fn push_cell(out: &mut Vec<u8>, text: &str) {
    if text.contains(['"', ',', '\n', '\r']) {
        out.push(b'"');
        out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Lines of the text exposition with timestamps. Elements without a name are called `value`.
pub(crate) fn prometheus(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    if let Value::Scalar(point) = value {
        push_line(&mut out, &Labels::empty(), point.t_ms, point.value);
    }
    for (labels, t_ms, value) in rows(value) {
        push_line(&mut out, labels, t_ms, value);
    }
    out
}

/// One line: `name{label="value"} value time_ms`.
pub(crate) fn push_line(out: &mut Vec<u8>, labels: &Labels, t_ms: i64, value: f64) {
    let text = match labels.metric_name() {
        Some(_) => exposition(labels),
        None => format!("value{}", if labels.is_empty() { String::new() } else { exposition(labels) }),
    };
    out.extend_from_slice(text.as_bytes());
    out.push(b' ');
    push_value(out, value);
    out.extend_from_slice(format!(" {t_ms}\n").as_bytes());
}

/// A series as the exposition format writes it: like PromQL, without blanks and with its three escapes.
fn exposition(labels: &Labels) -> String {
    let plain = |name: &str| {
        !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
    };
    let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let name = labels.metric_name().unwrap_or("");
    let mut parts = Vec::new();
    if !name.is_empty() && !plain(name) {
        parts.push(format!("\"{}\"", escape(name)));
    }
    for (label, value) in labels.iter().filter(|(label, _)| *label != model::METRIC_NAME) {
        let quoted = if plain(label) { label.to_owned() } else { format!("\"{}\"", escape(label)) };
        parts.push(format!("{quoted}=\"{}\"", escape(value)));
    }
    let head = if plain(name) { name } else { "" };
    if parts.is_empty() { head.to_owned() } else { format!("{head}{{{}}}", parts.join(",")) }
}

#[cfg(test)]
mod tests {
    use promql::VectorSample;

    use super::*;

    fn vector() -> Value {
        let sample = |pairs: &[(&str, &str)], value| VectorSample {
            labels: Labels::from_pairs(pairs.iter().copied()).unwrap(),
            t_ms: 1500,
            value: SampleValue::Float(value),
        };
        Value::Vector(vec![
            sample(&[("__name__", "up"), ("job", "a,\"b\"")], 1.0),
            sample(&[("__name__", "up"), ("zone", "-1=x\n")], f64::NAN),
            sample(&[("my.label", "x")], 2.0),
        ])
    }

    #[test]
    fn csv_has_a_column_per_label_and_quotes_by_rfc_4180() {
        let text = String::from_utf8(csv(&vector())).unwrap();
        assert_eq!(
            text,
            "__name__,job,my.label,zone,timestamp,value\r\n\
             up,\"a,\"\"b\"\"\",,,1.5,1\r\n\
             up,,,\"-1=x\n\",1.5,NaN\r\n\
             ,,x,,1.5,2\r\n"
        );
    }

    #[test]
    fn text_escapes_and_quotes_as_the_exposition_does() {
        let text = String::from_utf8(prometheus(&vector())).unwrap();
        assert_eq!(
            text,
            "up{job=\"a,\\\"b\\\"\"} 1 1500\nup{zone=\"-1=x\\n\"} NaN 1500\nvalue{\"my.label\"=\"x\"} 2 1500\n"
        );
    }

    #[test]
    fn an_unknown_format_is_a_typed_error() {
        assert!(Format::parse(Some("xml")).is_err());
        assert_eq!(Format::parse(None), Ok(Format::Json));
    }
}
