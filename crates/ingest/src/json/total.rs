//! Histograms and summaries that a sender has counted itself: running totals, stored as classic series.

use model::{MetricBatch, Reason};
use serde_json::{Map, Value};

use super::item::{Fault, Frame, number, short};

/// Buckets or quantiles of one item.
const PARTS_MAX: usize = 1024;

fn invalid(text: String) -> Fault {
    ("value", Reason::InvalidHistogram, text)
}

/// `{"count", "sum", "buckets"}` with cumulative buckets; the infinite one may be left out.
pub(super) fn histogram(
    batch: &mut MetricBatch,
    frame: &Frame,
    total: &Map<String, Value>,
) -> Result<(), Fault> {
    let mut buckets = parts(total.get("buckets"), "buckets", ["le", "count"])?;
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let infinite = buckets.last().filter(|(bound, _)| *bound == f64::INFINITY).map(|(_, count)| *count);
    let count = match total.get("count") {
        None | Some(Value::Null) => infinite.ok_or_else(|| invalid("a histogram needs its count".into()))?,
        Some(count) => number(count)?,
    };
    if infinite.is_none() {
        buckets.push((f64::INFINITY, count));
    }
    if buckets.windows(2).any(|two| two[0].0 == two[1].0) {
        return Err(invalid("two buckets have one bound".into()));
    }
    if count < 0.0 || buckets.windows(2).any(|two| two[0].1 > two[1].1) || buckets[0].1 < 0.0 {
        return Err(invalid("buckets are cumulative: each counts at least what those below it count".into()));
    }
    if infinite.is_some_and(|infinite| infinite != count) {
        return Err(invalid(format!("the bucket +Inf must equal the count, {count}")));
    }
    let sum = optional(total, "sum")?;
    for (bound, count) in buckets {
        frame.emit(batch, "_bucket", Some(("le", &crate::float::plain(bound))), count);
    }
    if let Some(sum) = sum {
        frame.emit(batch, "_sum", None, sum);
    }
    frame.emit(batch, "_count", None, count);
    Ok(())
}

/// `{"count", "sum", "quantiles"}`.
pub(super) fn summary(
    batch: &mut MetricBatch,
    frame: &Frame,
    total: &Map<String, Value>,
) -> Result<(), Fault> {
    let quantiles = parts(total.get("quantiles"), "quantiles", ["quantile", "value"])?;
    if let Some((quantile, _)) = quantiles.iter().find(|(q, _)| !(0.0..=1.0).contains(q)) {
        return Err(invalid(format!("quantile {quantile} is not between 0 and 1")));
    }
    let (count, sum) = (optional(total, "count")?, optional(total, "sum")?);
    if count.is_none() && sum.is_none() && quantiles.is_empty() {
        return Err(invalid("a summary needs count, sum or quantiles".into()));
    }
    if count.is_some_and(|count| count < 0.0) {
        return Err(invalid("a count cannot be negative".into()));
    }
    for (quantile, value) in quantiles {
        frame.emit(batch, "", Some(("quantile", &crate::float::plain(quantile))), value);
    }
    for (suffix, value) in [("_sum", sum), ("_count", count)] {
        if let Some(value) = value {
            frame.emit(batch, suffix, None, value);
        }
    }
    Ok(())
}

fn optional(total: &Map<String, Value>, field: &str) -> Result<Option<f64>, Fault> {
    match total.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => number(value).map(Some),
    }
}

/// `{"0.5": 3}` or `[{"le": 0.5, "count": 3}]` as pairs.
fn parts(given: Option<&Value>, field: &str, names: [&str; 2]) -> Result<Vec<(f64, f64)>, Fault> {
    let [key, value] = names;
    let pairs: Vec<(f64, f64)> = match given {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(map)) if map.len() <= PARTS_MAX => {
            map.iter().map(|(key, value)| Ok((bound(key)?, number(value)?))).collect::<Result<_, Fault>>()?
        }
        Some(Value::Array(list)) if list.len() <= PARTS_MAX => list
            .iter()
            .map(|part| {
                let bound = match part.get(key) {
                    Some(Value::String(text)) => bound(text)?,
                    other => number(other.unwrap_or(&Value::Null))?,
                };
                Ok((bound, number(part.get(value).unwrap_or(&Value::Null))?))
            })
            .collect::<Result<_, Fault>>()?,
        Some(Value::Object(_) | Value::Array(_)) => {
            return Err(invalid(format!("{field} may have {PARTS_MAX} entries")));
        }
        Some(other) => {
            return Err(invalid(format!("{field} {} is neither an object nor a list", short(other))));
        }
    };
    Ok(pairs)
}

fn bound(text: &str) -> Result<f64, Fault> {
    let bound = text.parse::<f64>().ok().filter(|bound| !bound.is_nan());
    bound.ok_or_else(|| invalid(format!("{} is not a number", crate::decoded::shown(text.as_bytes()))))
}
