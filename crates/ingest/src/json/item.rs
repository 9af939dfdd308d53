//! One metric of a batch to its series.

use model::{METRIC_NAME, Metadata, MetricBatch, MetricType, Point, Reason, Refusal, SeriesRow};
use serde_json::{Map, Value};

use super::{Context, total};
use crate::decoded::shown;
use crate::observed::Observed;
use crate::{Decoded, DeltaKind, rows};

/// Why an item is refused: field, class and text.
pub(super) type Fault = (&'static str, Reason, String);

/// Tags of one metric; a tenant's limit is below.
const TAGS_MAX: usize = 256;

/// What all series of an item share.
pub(super) struct Frame {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) tags: Vec<(String, String)>,
    pub(super) t_ms: i64,
}

impl Frame {
    /// Begins a series of the metric, with a suffix of its name and perhaps one more label.
    pub(super) fn begin(
        &self,
        batch: &mut MetricBatch,
        suffix: &str,
        extra: Option<(&str, &str)>,
    ) -> SeriesRow {
        let name = format!("{}{suffix}", self.name);
        let own = self.tags.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let own = own.filter(|(n, _)| extra.is_none_or(|(label, _)| label != *n));
        let row = batch.begin_series([(METRIC_NAME, name.as_str())].into_iter().chain(own).chain(extra));
        SeriesRow { index: self.index, ..row }
    }

    /// Adds a series with one float.
    pub(super) fn emit(
        &self,
        batch: &mut MetricBatch,
        suffix: &str,
        extra: Option<(&str, &str)>,
        value: f64,
    ) {
        let row = self.begin(batch, suffix, extra);
        rows::push_point(batch, Point { t_ms: self.t_ms, value }, 0);
        batch.end_series(row);
    }
}

/// Adds an item's series, or its refusal.
pub(super) fn push(decoded: &mut Decoded, index: usize, item: &Value, context: &Context) {
    if let Err((field, reason, message)) = try_push(decoded, index, item, context) {
        decoded.refusals.push(Refusal { index, field: field.into(), reason, message, items: 1 });
    }
}

fn try_push(decoded: &mut Decoded, index: usize, item: &Value, context: &Context) -> Result<(), Fault> {
    let Value::Object(item) = item else {
        return Err(("metrics", Reason::Malformed, "a metric is an object with name and value".into()));
    };
    let kind = metric_type(item)?;
    let frame = Frame {
        index: index as u32,
        name: metric_name(item)?,
        tags: tags(item, context)?,
        t_ms: timestamp_ms(item, context)?,
    };
    let unit = match item.get("unit") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(unit)) => rows::metadata_text(unit.as_bytes()),
        Some(other) => return Err(("unit", Reason::InvalidValue, format!("{} is not a text", short(other)))),
    };
    let value = item.get("value").unwrap_or(&Value::Null);
    let first = decoded.batch.series.len() as u32;
    match (kind, value) {
        (MetricType::Histogram, Value::Object(total)) => total::histogram(&mut decoded.batch, &frame, total)?,
        (MetricType::Summary, Value::Object(total)) => total::summary(&mut decoded.batch, &frame, total)?,
        (MetricType::Histogram, value) => {
            let mut observed = Observed::default();
            observed.add(number(value)?, 1.0);
            let row = frame.begin(&mut decoded.batch, "", None);
            rows::push_histogram(&mut decoded.batch, frame.t_ms, observed.histogram(), 0);
            decoded.batch.end_series(row);
            decoded.mark_delta(first, DeltaKind::Event);
        }
        (MetricType::Summary, value) => {
            let value = number(value)?;
            frame.emit(&mut decoded.batch, "_sum", None, value);
            frame.emit(&mut decoded.batch, "_count", None, 1.0);
            decoded.mark_delta(first, DeltaKind::Event);
        }
        (MetricType::Counter, value) => {
            let value = number(value)?;
            if value < 0.0 {
                let text = format!("a counter's value is an increment and cannot be {value}; use a gauge");
                return Err(("value", Reason::InvalidValue, text));
            }
            frame.emit(&mut decoded.batch, "", None, value);
            decoded.mark_delta(first, DeltaKind::Event);
        }
        (_, value) => frame.emit(&mut decoded.batch, "", None, number(value)?),
    }
    decoded.batch.metadata.push(Metadata { metric: frame.name, kind, unit, help: String::new() });
    Ok(())
}

fn metric_type(item: &Map<String, Value>) -> Result<MetricType, Fault> {
    let kind = match item.get("type") {
        None | Some(Value::Null) => return Ok(MetricType::Gauge),
        Some(kind) => kind,
    };
    match kind.as_str() {
        Some("gauge") => Ok(MetricType::Gauge),
        Some("counter") => Ok(MetricType::Counter),
        Some("histogram") => Ok(MetricType::Histogram),
        Some("summary") => Ok(MetricType::Summary),
        _ => {
            let text = format!("type {} is none of counter, gauge, histogram, summary", short(kind));
            Err(("type", Reason::InvalidValue, text))
        }
    }
}

fn metric_name(item: &Map<String, Value>) -> Result<String, Fault> {
    let Some(name) = item.get("name").and_then(Value::as_str) else {
        return Err(("name", Reason::InvalidLabels, "a metric needs a name, which is a text".into()));
    };
    plain(name, true).ok_or_else(|| {
        let text = format!(
            "name {} may have letters, digits, '_', ':', '.' and '-', and begins with a letter or '_'",
            shown(name.as_bytes())
        );
        ("name", Reason::InvalidLabels, text)
    })
}

/// The stored spelling of a name, if it has one.
fn plain(name: &str, colons: bool) -> Option<String> {
    let spelled: String = name.chars().map(|c| if matches!(c, '.' | '-') { '_' } else { c }).collect();
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    let starts_well = spelled.starts_with(|c: char| !c.is_ascii_digit());
    (starts_well && spelled.chars().all(good)).then_some(spelled)
}

fn tags(item: &Map<String, Value>, context: &Context) -> Result<Vec<(String, String)>, Fault> {
    let refused = |reason, text| Err(("tags", reason, text));
    let empty = Map::new();
    let given = match item.get("tags") {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(tags)) => tags,
        Some(other) => return refused(Reason::InvalidLabels, format!("{} is not an object", short(other))),
    };
    if given.len() > TAGS_MAX {
        return refused(Reason::TooManyLabels, format!("{} tags; the most is {TAGS_MAX}", given.len()));
    }
    let mut tags: Vec<(String, String)> = Vec::with_capacity(given.len() + context.default_tags.len());
    for (name, value) in given {
        let Some(spelled) = plain(name, false).filter(|name| !name.starts_with("__")) else {
            let name = shown(name.as_bytes());
            let text =
                format!("tag {name} may have letters, digits, '_', '.' and '-', and not begin with '__'");
            return refused(Reason::InvalidLabels, text);
        };
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => {
                let name = shown(name.as_bytes());
                return refused(
                    Reason::InvalidLabels,
                    format!("tag {name} must be a text, number or boolean"),
                );
            }
        };
        if tags.iter().any(|(other, _)| *other == spelled) {
            return refused(Reason::InvalidLabels, format!("two tags become {spelled:?}; rename one"));
        }
        tags.push((spelled, value));
    }
    for (name, value) in &context.default_tags {
        if tags.iter().all(|(own, _)| own != name) {
            tags.push((name.clone(), value.clone()));
        }
    }
    Ok(tags)
}

fn timestamp_ms(item: &Map<String, Value>, context: &Context) -> Result<i64, Fault> {
    let invalid = |value: &Value| {
        let text = format!("{} is neither milliseconds since 1970 nor RFC 3339", short(value));
        ("timestamp", Reason::InvalidValue, text)
    };
    let t_ms = match item.get("timestamp") {
        None | Some(Value::Null) => return Ok(context.received_at_ms),
        Some(value @ Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(ms), _) => ms,
            // Fractions of a millisecond, as browsers send them. A double holds every millisecond until the
            // year 287396; beyond that it is no time.
            (None, Some(ms)) if ms.abs() < 9e15 => ms.round() as i64,
            _ => return Err(invalid(value)),
        },
        Some(value @ Value::String(text)) => {
            text.parse::<jiff::Timestamp>().map_err(|_| invalid(value))?.as_millisecond()
        }
        Some(other) => return Err(invalid(other)),
    };
    if t_ms > context.received_at_ms.saturating_add(context.future_ms_max) {
        let ahead = t_ms.saturating_sub(context.received_at_ms) / 1000;
        let text =
            format!("{t_ms} ms is {ahead} s ahead of the server's clock; send milliseconds since 1970");
        return Err(("timestamp", Reason::TooFarInFuture, text));
    }
    Ok(t_ms)
}

/// A finite number; JSON writes no other, but senders turn them into `null` or texts.
pub(super) fn number(value: &Value) -> Result<f64, Fault> {
    value.as_f64().filter(|number| number.is_finite()).ok_or_else(|| {
        let text = format!("{} is not a finite number", short(value));
        ("value", Reason::InvalidValue, text)
    })
}

/// A value for a message.
pub(super) fn short(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        other => shown(other.to_string().as_bytes()).trim_matches('"').replace("\\\"", "\""),
    }
}
