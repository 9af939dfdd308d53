//! Query results as Prometheus's HTTP API writes them.

use model::{FloatHistogram, Labels};
use promql::histogram::buckets;
use promql::{MatrixSeries, QueryResult, SampleValue, Value};

use super::number::{push_seconds, push_string, push_value};

/// The whole answer: status, data, statistics and annotations.
pub(crate) fn to_json(result: &QueryResult, millis: f64) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 12);
    out.extend_from_slice(b"{\"status\":\"success\",\"data\":{\"resultType\":\"");
    out.extend_from_slice(result.value.type_name().as_bytes());
    out.extend_from_slice(b"\",\"result\":");
    push_result(&mut out, &result.value);
    let stats = &result.stats;
    // `timings` and `samples` carry upstream's names; `series` is ours.
    let text = format!(
        ",\"stats\":{{\"timings\":{{\"execTotalTime\":{:.6}}},\"samples\":{{\"totalQueryableSamples\":{},\"peakSamples\":{}}},\
         \"series\":{}}}}}",
        millis / 1000.0,
        stats.samples_read,
        stats.samples_peak,
        stats.series
    );
    out.extend_from_slice(text.as_bytes());
    for (name, notes) in [("warnings", &result.warnings), ("infos", &result.infos)] {
        if !notes.is_empty() {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            serde_json::to_writer(&mut out, notes).expect("writing to memory succeeds");
        }
    }
    out.push(b'}');
    out
}

fn push_result(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Scalar(point) => push_pair(out, point.t_ms, point.value),
        Value::String { t_ms, value } => {
            out.push(b'[');
            push_seconds(out, *t_ms);
            out.push(b',');
            push_string(out, value);
            out.push(b']');
        }
        Value::Vector(samples) => push_list(out, samples, |out, sample| {
            out.extend_from_slice(b"{\"metric\":");
            push_labels(out, &sample.labels);
            match &sample.value {
                SampleValue::Float(value) => {
                    out.extend_from_slice(b",\"value\":");
                    push_pair(out, sample.t_ms, *value);
                }
                SampleValue::Histogram(histogram) => {
                    out.extend_from_slice(b",\"histogram\":");
                    push_histogram_pair(out, sample.t_ms, histogram);
                }
            }
            out.push(b'}');
        }),
        Value::Matrix(series) => push_list(out, series, push_series),
    }
}

fn push_series(out: &mut Vec<u8>, series: &MatrixSeries) {
    out.extend_from_slice(b"{\"metric\":");
    push_labels(out, &series.labels);
    if !series.floats.is_empty() {
        out.extend_from_slice(b",\"values\":");
        push_list(out, &series.floats, |out, point| push_pair(out, point.t_ms, point.value));
    }
    if !series.histograms.is_empty() {
        out.extend_from_slice(b",\"histograms\":");
        push_list(out, &series.histograms, |out, (t_ms, histogram)| {
            push_histogram_pair(out, *t_ms, histogram)
        });
    }
    out.push(b'}');
}

fn push_list<T>(out: &mut Vec<u8>, items: &[T], mut push: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        push(out, item);
    }
    out.push(b']');
}

/// An object of labels in name order.
pub(crate) fn push_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (position, (name, value)) in labels.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        push_string(out, name);
        out.push(b':');
        push_string(out, value);
    }
    out.push(b'}');
}

fn push_quoted(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    push_value(out, value);
    out.push(b'"');
}

fn push_pair(out: &mut Vec<u8>, t_ms: i64, value: f64) {
    out.push(b'[');
    push_seconds(out, t_ms);
    out.push(b',');
    push_quoted(out, value);
    out.push(b']');
}

/// `[t, {count, sum, buckets: [[boundaries, lower, upper, count]]}]`; boundaries say which bounds are
/// included: 0 upper, 1 lower, 2 neither, 3 both.
fn push_histogram_pair(out: &mut Vec<u8>, t_ms: i64, histogram: &FloatHistogram) {
    out.push(b'[');
    push_seconds(out, t_ms);
    out.extend_from_slice(b",{\"count\":");
    push_quoted(out, histogram.count);
    out.extend_from_slice(b",\"sum\":");
    push_quoted(out, histogram.sum);
    let filled: Vec<_> = buckets(histogram).into_iter().filter(|bucket| bucket.count != 0.0).collect();
    if !filled.is_empty() {
        out.extend_from_slice(b",\"buckets\":");
        push_list(out, &filled, |out, bucket| {
            let boundaries = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => b'0',
                (true, false) => b'1',
                (false, false) => b'2',
                (true, true) => b'3',
            };
            out.extend_from_slice(&[b'[', boundaries]);
            for value in [bucket.lower, bucket.upper, bucket.count] {
                out.push(b',');
                push_quoted(out, value);
            }
            out.push(b']');
        });
    }
    out.extend_from_slice(b"}]");
}
