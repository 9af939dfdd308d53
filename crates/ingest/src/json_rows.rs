//! JSON objects of any shape to log rows, as JSON lines and `_bulk` share it.
//!
//! A member that has a column of its own fills it, by its first known name that holds something fit:
//!
//! - time: `@timestamp`, `timestamp`, `time`, `ts`, `date` (the first two must be times, the others are
//!   attributes where they are none); the time of arrival by default;
//! - severity: `log.level`, `level`, `severity`, `severity_text`, `lvl` or `levelname`, where the numbers 10 to 60
//!   that Node's loggers send are understood; `severity_number` is OpenTelemetry's, 1 to 24, and wins over a word;
//! - body: `message`, `msg`, `body`, `_msg`, `log`;
//! - `trace_id`, `trace.id`, `traceId`, `span_id`, `span.id`, `spanId`;
//! - the resource's `service.name`: `service.name`, `service_name`, `service`.
//!
//! Everything else is an attribute; objects are flattened with dots, lists stay JSON. Dotted names mean the
//! same as nested ones.

use std::collections::HashMap;

use model::record::log;
use model::{Reason, Records, Refusal, Refusals, Signal, Value};
use serde_json::{Map, Value as Json};

use crate::decoded::shown;
use crate::records::{
    Context, DecodedRecords, id_of_hex, ns_of_text, push_id, severity_of_word, severity_text,
    trace_id_of_text, value_of_json,
};
use crate::rows::CopyBudget;

/// Longest text of one object; parsed it takes up to sixteen times as much.
pub(crate) const ROW_BYTES_MAX: usize = 8 << 20;

const TIMES: [&str; 5] = ["@timestamp", "timestamp", "time", "ts", "date"];
/// How many of [`TIMES`] must be times where they are given.
const TIMES_SURE: usize = 2;
const LEVELS: [&str; 6] = ["log.level", "level", "severity", "severity_text", "lvl", "levelname"];
const SEVERITY_NUMBER: &str = "severity_number";
const BODIES: [&str; 5] = ["message", "msg", "body", "_msg", "log"];
const TRACES: [&str; 4] = ["trace_id", "trace.id", "traceId", "traceID"];
const SPANS: [&str; 4] = ["span_id", "span.id", "spanId", "spanID"];
const SERVICES: [&str; 3] = ["service.name", "service_name", "service"];

/// Why an object is refused: field, class and text.
pub(crate) type Fault = (&'static str, Reason, String);

/// Fills rows from objects.
pub(crate) struct JsonRows<'c> {
    pub(crate) decoded: DecodedRecords,
    context: &'c Context,
    /// Resources by their members as JSON.
    resources: HashMap<String, u32>,
    /// Bytes that keys may grow by when objects are flattened.
    budget: CopyBudget,
}

impl<'c> JsonRows<'c> {
    /// For a body of this many bytes.
    pub(crate) fn new(body_bytes: usize, context: &'c Context) -> Self {
        Self {
            decoded: DecodedRecords { records: Records::new(Signal::Logs), refusals: Refusals::default() },
            context,
            resources: HashMap::new(),
            budget: CopyBudget::new(body_bytes),
        }
    }

    /// Reads one object and adds its row, with a few attributes of the protocol before its own.
    pub(crate) fn push_text(&mut self, index: u32, text: &[u8], own: &[(&str, &str)]) -> Result<(), Fault> {
        let object = parse(text)?;
        self.push(index, &object, own)
    }

    /// Counts a refused object.
    pub(crate) fn refuse(&mut self, index: u32, (field, reason, message): Fault) {
        let index = index as usize;
        self.decoded.refusals.push(Refusal { index, field: field.into(), reason, message, items: 1 });
    }

    fn push(&mut self, index: u32, object: &Map<String, Json>, own: &[(&str, &str)]) -> Result<(), Fault> {
        let received_at_ns = self.context.received_at_ns;
        let mut taken = Vec::with_capacity(8);
        let mut fields = [Value::Null; 7];
        fields[log::OBSERVED_TIMESTAMP] = Value::Int(received_at_ns);
        fields[log::TIMESTAMP] = Value::Int(time_ns(object, &mut taken)?.unwrap_or(received_at_ns));
        let service = first(object, &SERVICES, &mut taken, |v| v.as_str().filter(|s| !s.is_empty()));
        let resource = self.resource(service, object.get("resource"));
        if matches!(object.get("resource"), Some(Json::Object(_))) {
            taken.push("resource");
        }
        let records = &mut self.decoded.records;
        let number = first(object, &[SEVERITY_NUMBER], &mut taken, severity_number);
        let (of_word, word) = first(object, &LEVELS, &mut taken, severity).unzip();
        let number = number.or(of_word.flatten());
        fields[log::SEVERITY_NUMBER] = number.map_or(Value::Null, Value::Int);
        if let Some(text) = word.or_else(|| severity_text(number?)) {
            fields[log::SEVERITY_TEXT] = Value::Text(records.push_text(text));
        }
        if let Some(body) = first(object, &BODIES, &mut taken, Json::as_str) {
            fields[log::BODY] = Value::Text(records.push_text(body));
        }
        if let Some(id) = first(object, &TRACES, &mut taken, |v| trace_id_of_text(v.as_str()?)) {
            fields[log::TRACE_ID] = push_id(records, Some(id));
        }
        if let Some(id) = first(object, &SPANS, &mut taken, |v| id_of_hex::<8>(v.as_str()?.as_bytes())) {
            fields[log::SPAN_ID] = push_id(records, Some(id));
        }
        let first_attr = records.attrs.len() as u32;
        for (key, value) in own {
            let value = Value::Text(records.push_text(value));
            records.push_attr(key, value);
        }
        let mut key = String::new();
        for (name, value) in object {
            if !taken.contains(&name.as_str()) {
                // The members of `attributes`, as our own export writes them, have no prefix.
                let inside = name == "attributes" && value.is_object();
                key.clear();
                key.push_str(if inside { "" } else { name });
                self.flatten(&mut key, value, if inside { &[] } else { &taken });
            }
        }
        self.decoded.records.push_row(index, resource, first_attr, &fields);
        Ok(())
    }

    /// Adds a member as attributes. `key` is its path so far, and is left as it was.
    fn flatten(&mut self, key: &mut String, value: &Json, taken: &[&str]) {
        let Json::Object(members) = value else { return self.attribute(key, value) };
        // Beyond the budget an object stays whole, so that deep nesting cannot repeat long paths.
        if members.is_empty() || !self.budget.take(key.len().saturating_mul(members.len())) {
            return self.attribute(key, value);
        }
        let path = key.len();
        for (name, value) in members {
            if path > 0 {
                key.push('.');
            }
            key.push_str(name);
            if !taken.contains(&key.as_str()) {
                self.flatten(key, value, taken);
            }
            key.truncate(path);
        }
    }

    fn attribute(&mut self, key: &str, value: &Json) {
        let records = &mut self.decoded.records;
        let value = value_of_json(records, value);
        if value != Value::Null {
            records.push_attr(key, value);
        }
    }

    /// The resource of a service and the members of `resource`, where that is an object.
    fn resource(&mut self, service: Option<&str>, given: Option<&Json>) -> u32 {
        let empty = Map::new();
        let given = given.and_then(Json::as_object).unwrap_or(&empty);
        let mut members = given.clone();
        if let Some(service) = service {
            members.insert("service.name".into(), service.into());
        }
        let id = serde_json::to_string(&members).unwrap_or_default();
        if let Some(known) = self.resources.get(&id) {
            return *known;
        }
        let first_attr = self.decoded.records.attrs.len() as u32;
        let mut key = String::new();
        for (name, value) in &members {
            key.clear();
            key.push_str(name);
            self.flatten(&mut key, value, &[]);
        }
        let resource = self.decoded.records.end_resource(first_attr);
        self.resources.insert(id, resource);
        resource
    }
}

/// Parses one object of bounded size.
fn parse(text: &[u8]) -> Result<Map<String, Json>, Fault> {
    if text.len() > ROW_BYTES_MAX {
        let message = format!("{} bytes in one record; the most is {ROW_BYTES_MAX}: split it", text.len());
        return Err(("record", Reason::RecordTooLarge, message));
    }
    match serde_json::from_slice(text) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err(("record", Reason::Malformed, format!("{} is not a JSON object", shown(text)))),
        Err(error) => {
            Err(("record", Reason::Malformed, format!("{} is not valid JSON: {error}", shown(text))))
        }
    }
}

/// The first member among `names` of which `read` makes something; its name is noted as taken.
fn first<'o, T>(
    object: &'o Map<String, Json>,
    names: &[&'static str],
    taken: &mut Vec<&'static str>,
    read: impl Fn(&'o Json) -> Option<T>,
) -> Option<T> {
    let (name, value) = names.iter().find_map(|name| Some((*name, read(member(object, name)?)?)))?;
    taken.push(name);
    Some(value)
}

/// A member by its name, or by its path where the name has a dot.
fn member<'o>(object: &'o Map<String, Json>, name: &str) -> Option<&'o Json> {
    object.get(name).or_else(|| {
        let (outer, inner) = name.split_once('.')?;
        object.get(outer)?.as_object()?.get(inner)
    })
}

fn time_ns(object: &Map<String, Json>, taken: &mut Vec<&'static str>) -> Result<Option<i64>, Fault> {
    for (i, name) in TIMES.into_iter().enumerate() {
        let Some(value) = object.get(name).filter(|value| !value.is_null()) else { continue };
        match ns_of_json(value) {
            Some(time_ns) => {
                taken.push(name);
                return Ok(Some(time_ns));
            }
            None if i < TIMES_SURE => {
                let message = format!(
                    "{} is no time; send RFC 3339 or a number since 1970",
                    shown(value.to_string().as_bytes())
                );
                return Err((name, Reason::InvalidValue, message));
            }
            None => {}
        }
    }
    Ok(None)
}

/// A number or text as nanoseconds. A date and time without zone, as Python's and log4j's loggers write it, is
/// UTC.
pub(crate) fn ns_of_json(value: &Json) -> Option<i64> {
    match value {
        Json::Number(number) => ns_of_text(&number.to_string()),
        Json::String(text) => ns_of_text(text).or_else(|| {
            let time: jiff::civil::DateTime = text.trim().parse().ok()?;
            let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
            i64::try_from(time.as_nanosecond()).ok()
        }),
        _ => None,
    }
}

/// OpenTelemetry's number of a severity.
fn severity_number(value: &Json) -> Option<i64> {
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
    (1..=24).contains(&number).then_some(number)
}

/// Number and text of a severity.
fn severity(value: &Json) -> Option<(Option<i64>, &str)> {
    if let Some(text) = value.as_str() {
        return (!text.is_empty()).then(|| (severity_of_word(text), text));
    }
    let number = match value.as_i64()? {
        // Pino and Bunyan count from 10 for trace to 60 for fatal.
        tens @ (10 | 20 | 30 | 40 | 50 | 60) => 4 * (tens / 10) - 3,
        number => number,
    };
    Some((Some(number), severity_text(number)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_of_any_unit_or_dates() {
        for (json, want) in [
            ("1700000000", Some(1_700_000_000_000_000_000)),
            ("1700000000123456789", Some(1_700_000_000_123_456_789)),
            ("1.5", Some(1_500_000_000)),
            ("\"1.5\"", Some(1_500_000_000)),
            ("\"1970-01-01T01:00:01.25+01:00\"", Some(1_250_000_000)),
            ("\"1970-01-01 00:00:01,5\"", Some(1_500_000_000)),
            ("\"1970-01-02T00:00\"", Some(86_400_000_000_000)),
            ("\"\"", None),
            ("\"soon\"", None),
            ("18446744073709551615", None),
            ("1e300", None),
            ("true", None),
        ] {
            let value = serde_json::from_str(json).expect("JSON");
            assert_eq!(ns_of_json(&value), want, "{json}");
        }
    }

    #[test]
    fn severities_are_words_or_numbers() {
        for (json, want) in [
            ("\"WARN\"", Some((Some(13), "WARN"))),
            ("\"loud\"", Some((None, "loud"))),
            ("30", Some((Some(9), "INFO"))),
            ("60", Some((Some(21), "FATAL"))),
            ("18", Some((Some(18), "ERROR2"))),
            ("0", None),
            ("25", None),
            ("\"\"", None),
            ("{}", None),
        ] {
            let value = serde_json::from_str(json).expect("JSON");
            assert_eq!(severity(&value), want, "{json}");
        }
    }
}
