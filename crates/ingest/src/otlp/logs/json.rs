//! OTLP/JSON: the messages of `ExportLogsServiceRequest` as JSON names their fields.

use model::{Reason, Signal};
use serde::{Deserialize, Deserializer};

use super::{Context, LogIn, push};
use crate::otlp::json::{
    self, Alone, AnyValue, Item, KeyValue, Mode, Resource, Scalar, Scope, Text, U64, Whole, begin_resource,
    begin_scope, or_default,
};
use crate::otlp::sink::{BadItem, Sink};
use crate::{DecodeError, DecodedRecords};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "M: Mode")]
struct Request<'a, M> {
    #[serde(borrow, deserialize_with = "or_default")]
    resource_logs: Vec<ResourceLogs<'a, M>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "M: Mode")]
struct ResourceLogs<'a, M> {
    #[serde(borrow, deserialize_with = "or_default")]
    resource: Resource<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    scope_logs: Vec<ScopeLogs<'a, M>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "M: Mode")]
struct ScopeLogs<'a, M> {
    #[serde(borrow, deserialize_with = "or_default")]
    scope: Scope<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    log_records: Vec<Item<LogRecord<'a>, M>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LogRecord<'a> {
    time_unix_nano: U64,
    observed_time_unix_nano: U64,
    severity_number: SeverityNumber,
    #[serde(borrow, deserialize_with = "or_default")]
    severity_text: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    body: AnyValue<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    attributes: Vec<KeyValue<'a>>,
    dropped_attributes_count: U64,
    flags: U64,
    #[serde(borrow, deserialize_with = "or_default")]
    trace_id: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    span_id: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    event_name: Text<'a>,
}

/// A severity by number or by name, such as `SEVERITY_NUMBER_INFO2`; 0 for what is neither.
#[derive(Clone, Copy, Debug, Default)]
struct SeverityNumber(u64);

impl<'de> Deserialize<'de> for SeverityNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Scalar::deserialize(deserializer)? {
            Scalar::Unsigned(number) => number,
            Scalar::Text(text) => {
                let name = text.strip_prefix("SEVERITY_NUMBER_").unwrap_or(&text);
                let number = crate::records::severity_of_word(name).map(i64::unsigned_abs);
                number.or_else(|| text.parse().ok()).unwrap_or(0)
            }
            _ => 0,
        }))
    }
}

pub(super) fn decode(body: &[u8], context: &Context) -> Result<DecodedRecords, DecodeError> {
    let size = body.len();
    json::read(
        body,
        |whole: Request<'_, Whole>| rows(&whole, size, context),
        |alone: Request<'_, Alone>| rows(&alone, size, context),
    )
}

fn rows<M: Mode>(
    request: &Request<'_, M>,
    size: usize,
    context: &Context,
) -> Result<DecodedRecords, DecodeError> {
    let mut sink = Sink::new(Signal::Logs, &[], size, context);
    for resource in &request.resource_logs {
        begin_resource(&mut sink, &resource.resource);
        for scope in &resource.scope_logs {
            begin_scope(&mut sink, &scope.scope);
            for record in &scope.log_records {
                let first = sink.begin_item()?;
                if let Err(bad) = record.get().and_then(|record| read(record, &mut sink, first)) {
                    sink.refuse(first, bad);
                }
            }
        }
    }
    Ok(sink.finish())
}

fn read(from: &LogRecord<'_>, sink: &mut Sink<'_>, first: u32) -> Result<(), BadItem> {
    let body = json::value(sink, &from.body).map_err(|error| BadItem {
        field: "body".into(),
        reason: Reason::InvalidValue,
        message: error.to_string(),
    })?;
    json::item_attrs(sink, &from.attributes)?;
    let log = LogIn {
        time_ns: from.time_unix_nano.0,
        observed_ns: from.observed_time_unix_nano.0,
        severity_number: from.severity_number.0,
        severity_text: json::text_of(sink, &from.severity_text),
        body,
        trace_id: sink.hex_id::<16>(&from.trace_id.0),
        span_id: sink.hex_id::<8>(&from.span_id.0),
        flags: from.flags.0 as u32,
        dropped_attributes: from.dropped_attributes_count.0,
        event_name: json::text_of(sink, &from.event_name),
    };
    push(sink, first, log);
    Ok(())
}
