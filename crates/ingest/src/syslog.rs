//! Syslog: RFC 5424 with structured data, RFC 3164 as it is found in the wild, and whatever else arrives on
//! the port. A [`Framer`] makes messages of a stream; a datagram is one message.
//!
//! No message is refused: what has no header is a body. Host and application become the resource's `host.name`
//! and `service.name`; facility, process and message id the attributes `syslog.facility`, `process.pid` and
//! `syslog.msgid`; a parameter of structured data the attribute `<id>.<name>`. Severities are numbered as
//! OpenTelemetry's table for syslog says.

mod framer; // a stream to messages
mod message; // one message to its parts
mod time; // times without year or zone

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use model::record::log;
use model::{Records, Refusals, Signal, Value};

pub use framer::Framer;

use crate::records::{Context, DecodedRecords, severity_of_syslog};
use message::Message;

/// The standard's short words for its severities.
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// Gathers messages to one write.
#[derive(Debug)]
pub struct Batch {
    records: Records,
    /// Resources by host and application.
    resources: HashMap<(Vec<u8>, Vec<u8>), u32>,
}

impl Default for Batch {
    fn default() -> Self {
        Self { records: Records::new(Signal::Logs), resources: HashMap::new() }
    }
}

impl Batch {
    /// Adds one message; an empty one is none. One that was cut says so in `log.truncated`.
    pub fn push(&mut self, message: &[u8], cut: bool, context: &Context) {
        let message = message.trim_ascii();
        if !message.is_empty() {
            let message = message::parse(message, context.received_at_ns);
            self.push_message(&message, cut, context.received_at_ns);
        }
    }

    /// Messages so far.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True without messages.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes in memory so far, by which an owner decides when to write. A short message is mostly its row.
    pub fn bytes(&self) -> usize {
        self.records.bytes()
    }

    /// The rows so far; the batch begins anew.
    pub fn take(&mut self) -> DecodedRecords {
        let Self { records, .. } = std::mem::take(self);
        DecodedRecords { records, refusals: Refusals::default() }
    }

    fn push_message(&mut self, message: &Message<'_>, cut: bool, received_at_ns: i64) {
        let resource = self.resource(message);
        let records = &mut self.records;
        let first_attr = records.attrs.len() as u32;
        let mut fields = [Value::Null; 7];
        fields[log::TIMESTAMP] = Value::Int(message.time_ns.unwrap_or(received_at_ns));
        fields[log::OBSERVED_TIMESTAMP] = Value::Int(received_at_ns);
        if let Some(priority) = message.priority {
            let text = SEVERITIES[usize::from(priority % 8)];
            fields[log::SEVERITY_TEXT] = Value::Text(records.push_text(text));
            fields[log::SEVERITY_NUMBER] = Value::Int(severity_of_syslog(priority % 8));
            let facility = Value::Text(records.push_text(FACILITIES[usize::from(priority / 8)]));
            records.push_attr("syslog.facility", facility);
        }
        if let Some(process) = message.process {
            let process = String::from_utf8_lossy(process);
            let value = match process.parse() {
                Ok(number) => Value::Int(number),
                Err(_) => Value::Text(records.push_text(&*process)),
            };
            records.push_attr("process.pid", value);
        }
        if let Some(id) = message.id {
            let id = Value::Text(records.push_text(&*String::from_utf8_lossy(id)));
            records.push_attr("syslog.msgid", id);
        }
        for (key, value) in &message.parameters {
            let value = Value::Text(records.push_text(value));
            records.push_attr(key, value);
        }
        if cut {
            records.push_attr("log.truncated", Value::Bool(true));
        }
        if !message.body.is_empty() {
            fields[log::BODY] = Value::Text(records.push_text(&*String::from_utf8_lossy(message.body)));
        }
        let index = records.len() as u32;
        records.push_row(index, resource, first_attr, &fields);
    }

    fn resource(&mut self, message: &Message<'_>) -> u32 {
        let key = (message.host.unwrap_or_default().to_vec(), message.app.unwrap_or_default().to_vec());
        let records = &mut self.records;
        *self.resources.entry(key).or_insert_with_key(|(host, app)| {
            let first_attr = records.attrs.len() as u32;
            for (name, value) in [("service.name", app), ("host.name", host)] {
                if !value.is_empty() {
                    let value = Value::Text(records.push_text(&*String::from_utf8_lossy(value)));
                    records.push_attr(name, value);
                }
            }
            records.end_resource(first_attr)
        })
    }
}

/// Decodes a body with a message on every line.
pub fn decode(body: &[u8], context: &Context) -> DecodedRecords {
    let mut batch = Batch::default();
    for line in body.split(|b| *b == b'\n') {
        batch.push(line, false, context);
    }
    batch.take()
}
