//! Printed forms: what query results show, and what test scripts read.

use std::fmt::Write;

use model::{CounterResetHint, FloatHistogram, HistogramSpan};

use super::buckets::{negative_buckets, positive_buckets, zero_bucket};
use super::layout::compact;
use crate::syntax::format_compact;

/// `{count:3, sum:5, [-1,-0.5):1, (1,2]:2}`: populated buckets, ascending.
pub fn to_text(h: &FloatHistogram) -> String {
    let mut out = format!("{{count:{}, sum:{}", format_compact(h.count), format_compact(h.sum));
    let mut below: Vec<_> = negative_buckets(h).filter(|b| b.count != 0.0).collect();
    below.reverse();
    let zero = (h.zero_count != 0.0).then(|| zero_bucket(h));
    let above = positive_buckets(h).filter(|b| b.count != 0.0);
    for b in below.into_iter().chain(zero).chain(above) {
        // Writing to a text cannot fail.
        let _ = write!(out, ", {b}");
    }
    out.push('}');
    out
}

/// `{{schema:1 count:3 sum:5 buckets:[1 2]}}`, which [`crate::testing`] reads back.
pub fn test_expression(h: &FloatHistogram) -> String {
    /// Longest gap that is written as empty buckets; real histograms are far below.
    const EMPTY_MAX: usize = 10_000;
    let mut h = h.clone();
    compact(&mut h, EMPTY_MAX);
    let mut parts = Vec::new();
    if h.schema != 0 {
        parts.push(format!("schema:{}", h.schema));
    }
    for (name, value) in
        [("count", h.count), ("sum", h.sum), ("z_bucket", h.zero_count), ("z_bucket_w", h.zero_threshold)]
    {
        if value != 0.0 {
            parts.push(format!("{name}:{}", format_compact(value)));
        }
    }
    if h.uses_custom_buckets() {
        parts.push(format!("custom_values:{}", list(&h.custom_bounds)));
    }
    match h.counter_reset_hint {
        CounterResetHint::Unknown => {}
        CounterResetHint::Reset => parts.push("counter_reset_hint:reset".into()),
        CounterResetHint::NotReset => parts.push("counter_reset_hint:not_reset".into()),
        CounterResetHint::Gauge => parts.push("counter_reset_hint:gauge".into()),
    }
    for (prefix, spans, buckets) in
        [("", &h.positive_spans, &h.positive_buckets), ("n_", &h.negative_spans, &h.negative_buckets)]
    {
        if let Some(HistogramSpan { offset, .. }) = spans.first().filter(|span| span.offset != 0) {
            parts.push(format!("{prefix}offset:{offset}"));
        }
        if !buckets.is_empty() {
            parts.push(format!("{prefix}buckets:{}", list(buckets)));
        }
    }
    format!("{{{{{}}}}}", parts.join(" "))
}

fn list(values: &[f64]) -> String {
    let texts: Vec<String> = values.iter().map(|value| format_compact(*value)).collect();
    format!("[{}]", texts.join(" "))
}
