//! Rows as JSON, in the shapes that the monitoring API answers with.

use model::Signal;
use model::record::{check, event, log, span};
use serde_json::{Map, Value, json};

use super::read::{Row, RowValue};
use super::view::level_name;

/// A row in the shape of its signal.
pub fn row_json(row: &Row) -> Value {
    match row.signal {
        Signal::Traces => span_json(row),
        Signal::Events => event_json(row),
        Signal::Checks => check_json(row),
        _ => log_json(row),
    }
}

/// `{"id","timestamp","observed_timestamp","severity_number","severity_text","level","service","body","trace_id",
/// "span_id","attributes","resource"}`
pub fn log_json(row: &Row) -> Value {
    let at = |position: usize| row.fixed.get(position).unwrap_or(&RowValue::Null);
    json!({
        "id": row.id,
        "timestamp": time_text(row.time_ns),
        "observed_timestamp": at(log::OBSERVED_TIMESTAMP).as_int().map(time_text),
        "severity_number": value_json(at(log::SEVERITY_NUMBER)),
        "severity_text": value_json(at(log::SEVERITY_TEXT)),
        "level": at(log::SEVERITY_NUMBER).as_int().and_then(level_name),
        "service": row.service,
        "body": value_json(at(log::BODY)),
        "trace_id": value_json(at(log::TRACE_ID)),
        "span_id": value_json(at(log::SPAN_ID)),
        "attributes": object(&row.attributes),
        "resource": object(&row.resource),
    })
}

/// `{"id","start","duration_ns","trace_id","span_id","parent_span_id","name","service","kind","status_code",
/// "status_message","attributes","resource","events","links"}`
pub fn span_json(row: &Row) -> Value {
    let at = |position: usize| row.fixed.get(position).unwrap_or(&RowValue::Null);
    json!({
        "id": row.id,
        "start": time_text(row.time_ns),
        "duration_ns": value_json(at(span::DURATION)),
        "trace_id": value_json(at(span::TRACE_ID)),
        "span_id": value_json(at(span::SPAN_ID)),
        "parent_span_id": value_json(at(span::PARENT_SPAN_ID)),
        "name": value_json(at(span::NAME)),
        "service": row.service,
        "kind": value_json(at(span::KIND)),
        "status_code": value_json(at(span::STATUS_CODE)),
        "status_message": value_json(at(span::STATUS_MESSAGE)),
        "attributes": object(&row.attributes),
        "resource": object(&row.resource),
        "events": list(at(span::EVENTS)),
        "links": list(at(span::LINKS)),
    })
}

/// `{"id","timestamp","name","kind","user_id","team_id","project_id","session_id","value","service","attributes",
/// "resource"}`
pub fn event_json(row: &Row) -> Value {
    let at = |position: usize| value_json(row.fixed.get(position).unwrap_or(&RowValue::Null));
    json!({
        "id": row.id,
        "timestamp": time_text(row.time_ns),
        "name": at(event::NAME),
        "kind": at(event::KIND),
        "user_id": at(event::USER_ID),
        "team_id": at(event::TEAM_ID),
        "project_id": at(event::PROJECT_ID),
        "session_id": at(event::SESSION_ID),
        "value": at(event::VALUE),
        "service": row.service,
        "attributes": object(&row.attributes),
        "resource": object(&row.resource),
    })
}

/// `{"id","timestamp","check_id","name","type","place","status","latency_ms","attempts","message","details"}`
pub fn check_json(row: &Row) -> Value {
    let at = |position: usize| row.fixed.get(position).unwrap_or(&RowValue::Null);
    json!({
        "id": row.id,
        "timestamp": time_text(row.time_ns),
        "check_id": value_json(at(check::CHECK_ID)),
        "name": value_json(at(check::NAME)),
        "type": value_json(at(check::KIND)),
        "place": value_json(at(check::PLACE)),
        "status": value_json(at(check::STATUS)),
        "latency_ms": value_json(at(check::LATENCY_MS)),
        "attempts": value_json(at(check::ATTEMPTS)),
        "message": value_json(at(check::MESSAGE)),
        "details": at(check::DETAILS).as_text().map_or(Value::Null, object),
    })
}

/// RFC 3339 in UTC with nine digits of the second.
pub fn time_text(time_ns: i64) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(time_ns)) {
        Ok(time) => format!("{time:.9}"),
        // Every number of nanoseconds in 64 bits is between the years 1677 and 2262.
        Err(_) => time_ns.to_string(),
    }
}

fn value_json(value: &RowValue) -> Value {
    match value {
        RowValue::Null => Value::Null,
        RowValue::Int(int) => json!(int),
        RowValue::Double(double) => json!(double),
        RowValue::Text(text) | RowValue::Id(text) => json!(text),
    }
}

fn object(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::Object(Map::new()))
}

fn list(value: &RowValue) -> Value {
    let parsed = value.as_text().and_then(|text| serde_json::from_str(text).ok());
    parsed.unwrap_or_else(|| Value::Array(Vec::new()))
}
