//! Zipkin v2 JSON, a list of spans, to rows of spans.
//!
//! The way back of OpenTelemetry's "OpenTelemetry to Zipkin Transformation": `localEndpoint` is the resource
//! (`service.name`, `network.local.address`, `network.local.port`), one for each different endpoint;
//! `remoteEndpoint` becomes `peer.service`, `network.peer.address` and `network.peer.port`; tags become
//! attributes, except those that state kind and status (`span.kind`, `error`, `otel.status_code`,
//! `otel.status_description`); annotations become events; no kind is an internal span. A span that shares its
//! id with its client's keeps it and gets the attribute `zipkin.shared`. Ids may be shorter than 128 and 64
//! bits.
//!
//! A refusal's index is the position of the span in the list.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

use model::record::span;
use model::{Attr, Reason, Records, Refusal, Refusals, Signal, Value};
use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

use crate::decoded::shown;
use crate::records::{Context, KINDS, STATUS_CODES, SpanLists, id_of_short_hex, push_id, value_of_json};
use crate::{DecodeError, DecodedRecords};

/// Decodes a decompressed body. A span that breaks a rule is refused alone.
pub fn decode(body: &[u8], context: &Context) -> Result<DecodedRecords, DecodeError> {
    let mut spans = Spans {
        decoded: DecodedRecords { records: Records::new(Signal::Traces), refusals: Refusals::default() },
        context,
        resources: HashMap::new(),
        lists: SpanLists::default(),
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = json.deserialize_seq(List(&mut spans)).and_then(|()| json.end());
    read.map_err(|error| DecodeError::Malformed(format!("not a list of Zipkin v2 spans: {error}")))?;
    Ok(spans.decoded)
}

/// Reads one span at a time, so that only one is in memory as JSON.
struct List<'s, 'c>(&'s mut Spans<'c>);

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of spans")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(item) = items.next_element::<Json>()? {
            let attrs = self.0.decoded.records.attrs.len();
            if let Err((field, message)) = self.0.push(index, &item) {
                self.0.decoded.records.attrs.truncate(attrs);
                let (index, field) = (index as usize, field.into());
                let reason = Reason::InvalidValue;
                self.0.decoded.refusals.push(Refusal { index, field, reason, message, items: 1 });
            }
            index += 1;
        }
        Ok(())
    }
}

/// The field at fault and what is wrong with it.
type Fault = (&'static str, String);

struct Spans<'c> {
    decoded: DecodedRecords,
    context: &'c Context,
    /// Resources by their endpoint as JSON.
    resources: HashMap<String, u32>,
    lists: SpanLists,
}

impl Spans<'_> {
    fn push(&mut self, index: u32, item: &Json) -> Result<(), Fault> {
        let Json::Object(item) = item else {
            return Err(("span", format!("{} is not an object", shown(item.to_string().as_bytes()))));
        };
        let trace_id = id::<16>(item, "traceId")?.ok_or_else(|| missing("traceId"))?;
        let span_id = id::<8>(item, "id")?.ok_or_else(|| missing("id"))?;
        let parent_span_id = id::<8>(item, "parentId")?;
        let start_ns = time_ns(item.get("timestamp"));
        let duration_ns = time_ns(item.get("duration")).unwrap_or(0);
        let resource = self.resource(item.get("localEndpoint"));
        let first_annotation_ns = self.annotations(item.get("annotations"));
        let records = &mut self.decoded.records;
        let first_attr = records.attrs.len() as u32;
        let status = tags(records, item);
        if let Some(Json::Object(endpoint)) = item.get("remoteEndpoint") {
            endpoint_attrs(records, endpoint, ["peer.service", "network.peer.address", "network.peer.port"]);
        }
        for (field, key) in [("shared", "zipkin.shared"), ("debug", "zipkin.debug")] {
            if item.get(field) == Some(&Json::Bool(true)) {
                records.push_attr(key, Value::Bool(true));
            }
        }
        let mut fields = [Value::Null; 11];
        let start_ns = start_ns.or(first_annotation_ns).unwrap_or(self.context.received_at_ns);
        fields[span::START] = Value::Int(start_ns);
        fields[span::DURATION] = Value::Int(duration_ns);
        fields[span::TRACE_ID] = push_id(records, Some(trace_id));
        fields[span::SPAN_ID] = push_id(records, Some(span_id));
        fields[span::PARENT_SPAN_ID] = push_id(records, parent_span_id);
        fields[span::NAME] = Value::Text(records.push_text(text(item.get("name"))));
        fields[span::KIND] = Value::Text(records.push_text(kind(item)));
        fields[span::STATUS_CODE] = Value::Text(records.push_text(STATUS_CODES[status.code]));
        if let Some(message) = status.message {
            fields[span::STATUS_MESSAGE] = Value::Text(records.push_text(message));
        }
        if !self.lists.events.is_empty() {
            let events = records.push_text(b"[");
            records.text.append(&mut self.lists.events);
            records.text.push(b']');
            let len = records.text.len() as u32 - events.start;
            fields[span::EVENTS] = Value::Json(model::Span { start: events.start, len });
        }
        records.push_row(index, resource, first_attr, &fields);
        Ok(())
    }

    /// The resource of an endpoint, made when it is new.
    fn resource(&mut self, endpoint: Option<&Json>) -> u32 {
        let key = endpoint.map(Json::to_string).unwrap_or_default();
        if let Some(resource) = self.resources.get(&key) {
            return *resource;
        }
        let records = &mut self.decoded.records;
        let first = records.attrs.len() as u32;
        if let Some(Json::Object(endpoint)) = endpoint {
            endpoint_attrs(
                records,
                endpoint,
                ["service.name", "network.local.address", "network.local.port"],
            );
        }
        let resource = records.end_resource(first);
        self.resources.insert(key, resource);
        resource
    }

    /// Annotations as events, and the time of the first. One without a time is left out.
    fn annotations(&mut self, annotations: Option<&Json>) -> Option<i64> {
        self.lists.clear();
        let mut first_ns = None;
        for annotation in annotations.and_then(Json::as_array).into_iter().flatten() {
            let Some(time_ns) = time_ns(annotation.get("timestamp")) else { continue };
            let out = self.lists.begin_event(time_ns, text(annotation.get("value")).as_bytes());
            out.extend(b"{}");
            SpanLists::end(out, 0);
            first_ns = Some(first_ns.map_or(time_ns, |first: i64| first.min(time_ns)));
        }
        first_ns
    }
}

/// What the tags say of the outcome.
#[derive(Default)]
struct Status<'a> {
    /// Into [`STATUS_CODES`].
    code: usize,
    message: Option<&'a str>,
}

/// Adds the tags as attributes, except those that state kind and status.
fn tags<'a>(records: &mut Records, item: &'a Map<String, Json>) -> Status<'a> {
    let mut status = Status::default();
    let Some(Json::Object(tags)) = item.get("tags") else { return status };
    for (key, value) in tags {
        match (key.as_str(), value.as_str()) {
            // Zipkin takes any `error` tag for an error; who writes `false` means none.
            ("error", Some("false")) => {}
            ("error", Some(message)) => {
                status.code = 2;
                if !matches!(message, "" | "true") {
                    status.message = Some(message);
                }
                continue;
            }
            ("otel.status_code", Some(code)) => {
                if let Some(code) = STATUS_CODES.iter().position(|known| known.eq_ignore_ascii_case(code)) {
                    // An `error` tag has the last word.
                    status.code = status.code.max(code);
                    continue;
                }
            }
            ("otel.status_description", Some(message)) => {
                status.message = status.message.or(Some(message));
                continue;
            }
            ("span.kind", Some(kind)) if KINDS.iter().any(|known| known.eq_ignore_ascii_case(kind)) => {
                continue;
            }
            _ => {}
        }
        let value = value_of_json(records, value);
        if value != Value::Null {
            let key = records.push_text(key);
            records.attrs.push(Attr { key, value });
        }
    }
    status
}

/// Zipkin's kinds are OpenTelemetry's in capitals; a span without one did not leave its process.
fn kind(item: &Map<String, Json>) -> &'static str {
    let tag = item.get("tags").and_then(|tags| tags.get("span.kind"));
    let word = item.get("kind").or(tag).and_then(Json::as_str).unwrap_or("");
    let known = ["server", "client", "producer", "consumer"];
    known.into_iter().find(|known| known.eq_ignore_ascii_case(word)).unwrap_or("internal")
}

/// Adds name, address and port of an endpoint under these keys.
fn endpoint_attrs(records: &mut Records, endpoint: &Map<String, Json>, keys: [&str; 3]) {
    let [name, address, port] = keys;
    let service = text(endpoint.get("serviceName"));
    if !service.is_empty() {
        let service = Value::Text(records.push_text(service));
        records.push_attr(name, service);
    }
    let ip = [text(endpoint.get("ipv4")), text(endpoint.get("ipv6"))].into_iter().find(|ip| !ip.is_empty());
    if let Some(ip) = ip {
        let ip = Value::Text(records.push_text(ip));
        records.push_attr(address, ip);
    }
    if let Some(number) = endpoint.get("port").and_then(Json::as_i64).filter(|port| *port != 0) {
        records.push_attr(port, Value::Int(number));
    }
}

fn text(value: Option<&Json>) -> &str {
    value.and_then(Json::as_str).unwrap_or("")
}

/// Microseconds, also where they have a fraction or come as a text, as nanoseconds. Zero is none.
fn time_ns(value: Option<&Json>) -> Option<i64> {
    let value = value?;
    let whole = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let ns = match (whole, value.as_f64()) {
        (Some(us), _) => us.saturating_mul(1000),
        (None, us) => (us? * 1000.0) as i64,
    };
    Some(ns.max(0)).filter(|ns| *ns != 0)
}

/// An id, padded at the front; `None` where there is none.
fn id<const N: usize>(item: &Map<String, Json>, field: &'static str) -> Result<Option<[u8; N]>, Fault> {
    let Some(value) = item.get(field).filter(|value| !value.is_null()) else { return Ok(None) };
    match value.as_str().and_then(|text| id_of_short_hex(text.as_bytes())) {
        Some(id) => Ok(Some(id)),
        None => {
            let value = shown(value.as_str().map_or_else(|| value.to_string(), Into::into).as_bytes());
            let digits = 2 * N;
            Err((field, format!("{value} is no id; send up to {digits} hexadecimal digits, not all zero")))
        }
    }
}

fn missing(field: &'static str) -> Fault {
    (field, "missing; a span needs traceId and id".into())
}
