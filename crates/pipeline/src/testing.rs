//! Rows from lines of text and back, so that tests are rows of data.

use model::record::{columns, log, span};
use model::{Attr, Records, Signal, Value};
use serde_json::Value as Json;

use crate::field::text_of;
use crate::level::number_of_word;

/// Logs of lines `LEVEL "body" key=json … | resource's key=json …`; `-` is no level. Row `n` is at second `n`.
pub(crate) fn logs(lines: &[&str]) -> Records {
    let mut records = Records::new(Signal::Logs);
    for (row, line) in lines.iter().enumerate() {
        let (level, rest) = line.split_once(' ').expect("LEVEL \"body\" …");
        let (body, rest) = json(rest);
        let (own, resource) = rest.split_once(" | ").unwrap_or((rest, ""));
        let first_attr = records.attrs.len() as u32;
        attrs(&mut records, resource);
        let resource = records.end_resource(first_attr);
        let mut fields = [Value::Null; 7];
        fields[log::TIMESTAMP] = Value::Int(row as i64 * 1_000_000_000);
        if level != "-" {
            fields[log::SEVERITY_TEXT] = Value::Text(records.push_text(level));
            fields[log::SEVERITY_NUMBER] = number_of_word(level).map_or(Value::Null, Value::Int);
        }
        if let Json::String(body) = body {
            fields[log::BODY] = Value::Text(records.push_text(body));
        }
        let first_attr = records.attrs.len() as u32;
        attrs(&mut records, own);
        records.push_row(row as u32, resource, first_attr, &fields);
    }
    records
}

/// Spans of lines `trace span parent service name kind status start_ms duration_ms key=json …`, identifiers as
/// small numbers and parent 0 for a root.
pub(crate) fn spans(lines: &[&str]) -> Records {
    let mut records = Records::new(Signal::Traces);
    for (row, line) in lines.iter().enumerate() {
        let mut words = line.splitn(10, ' ');
        let mut word = || words.next().expect("nine words");
        let (trace, id, parent): (u128, u64, u64) = (number(word()), number(word()), number(word()));
        let (service, name, kind, status) = (word(), word(), word(), word());
        let (start_ms, duration_ms): (i64, i64) = (number(word()), number(word()));
        let rest = words.next().unwrap_or("");
        let first_attr = records.attrs.len() as u32;
        let service = Value::Text(records.push_text(service));
        records.push_attr("service.name", service);
        let resource = records.end_resource(first_attr);
        let mut fields = [Value::Null; 11];
        fields[span::START] = Value::Int(start_ms * 1_000_000);
        fields[span::DURATION] = Value::Int(duration_ms * 1_000_000);
        fields[span::TRACE_ID] = Value::Bytes(records.push_text(trace.to_be_bytes()));
        fields[span::SPAN_ID] = Value::Bytes(records.push_text(id.to_be_bytes()));
        if parent != 0 {
            fields[span::PARENT_SPAN_ID] = Value::Bytes(records.push_text(parent.to_be_bytes()));
        }
        fields[span::NAME] = Value::Text(records.push_text(name));
        fields[span::KIND] = Value::Text(records.push_text(kind));
        fields[span::STATUS_CODE] = Value::Text(records.push_text(status));
        let first_attr = records.attrs.len() as u32;
        attrs(&mut records, rest);
        records.push_row(row as u32, resource, first_attr, &fields);
    }
    records
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a number")
}

/// A JSON value at the front of a text, and what follows it.
fn json(text: &str) -> (Json, &str) {
    let mut values = serde_json::Deserializer::from_str(text).into_iter();
    let value = values.next().expect("a value").expect("JSON");
    (value, &text[values.byte_offset()..])
}

fn attrs(records: &mut Records, mut text: &str) {
    while let Some((key, rest)) = text.trim_start().split_once('=') {
        let (value, rest) = json(rest);
        let value = match value {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(flag),
            Json::Number(number) => {
                number.as_i64().map_or_else(|| Value::Double(number.as_f64().expect("a number")), Value::Int)
            }
            Json::String(text) => Value::Text(records.push_text(text)),
            nested => Value::Json(records.push_text(nested.to_string())),
        };
        records.push_attr(key, value);
        text = rest;
    }
}

/// Rows as [`logs`] reads them; of spans and events every column that is not null.
pub(crate) fn show(records: &Records) -> Vec<String> {
    (0..records.len()).map(|row| line(records, row)).collect()
}

fn line(records: &Records, row: usize) -> String {
    let fields = records.fields_of(row);
    let mut line = if records.signal == Signal::Logs {
        let level = text_of(records, fields[log::SEVERITY_TEXT]);
        let body = shown(records, fields[log::BODY]);
        format!("{} {body}", level.unwrap_or("-".into()))
    } else {
        let columns = columns(records.signal).iter().zip(fields).filter(|(_, value)| **value != Value::Null);
        let columns: Vec<_> =
            columns.map(|(c, value)| format!("{}={}", c.name, shown(records, *value))).collect();
        columns.join(" ")
    };
    let attrs = |line: &mut String, attrs: &[Attr]| {
        for attr in attrs {
            let key = String::from_utf8_lossy(attr.key.of(&records.text));
            *line += &format!(" {key}={}", shown(records, attr.value));
        }
    };
    attrs(&mut line, records.attrs_of(row));
    if !records.resource_of(row).is_empty() {
        line += " |";
        attrs(&mut line, records.resource_of(row));
    }
    line
}

fn shown(records: &Records, value: Value) -> String {
    match value {
        Value::Text(_) => Json::from(records.text_of(value).expect("UTF-8")).to_string(),
        other => text_of(records, other).map_or("null".into(), |text| text.into_owned()),
    }
}
