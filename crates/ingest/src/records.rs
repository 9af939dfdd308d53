//! What the decoders of logs, spans and events return and share: the result, the clock of arrival, and how
//! severities, identifiers, times and JSON values become [`model::Value`]s.

mod id; // hexadecimal and bytes to identifiers
mod json; // JSON values to values of rows, and JSON text
mod severity; // OpenTelemetry's severity numbers and everybody's words for them
mod spans; // kinds, status codes, events and links
mod time; // numbers and texts to nanoseconds
mod word; // texts of our own, once per request

use model::{Records, Refusals};

pub use id::{id_of_bytes, id_of_hex, id_of_short_hex, push_id, trace_id_of_text, write_hex};
pub use json::{push_json_attrs, value_of_json, write_f64, write_str};
pub use severity::{severity_of_syslog, severity_of_word, severity_text};
pub(crate) use spans::{KINDS, STATUS_CODES, SpanLists};
pub use time::{ns_of_epoch, ns_of_rfc3339, ns_of_text};
pub(crate) use word::Words;

/// The readable part of a request, and what was wrong with the rest.
#[derive(Clone, Debug)]
pub struct DecodedRecords {
    /// Accepted rows.
    pub records: Records,
    /// Refused items.
    pub refusals: Refusals,
}

/// What a decoder needs to know beside the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The server's clock when the request came, nanoseconds since the Unix epoch: the time of rows that
    /// state none.
    pub received_at_ns: i64,
}
