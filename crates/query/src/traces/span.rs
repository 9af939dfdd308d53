//! One span, owned.

use std::sync::Arc;

use serde_json::Value;

/// Identifies a trace.
pub type TraceId = [u8; 16];
/// Identifies a span within its trace.
pub type SpanId = [u8; 8];
/// Attributes by key.
pub type Attributes = serde_json::Map<String, Value>;

/// The resource attribute that names the service.
pub const SERVICE_NAME: &str = "service.name";

/// What a span does for its trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpanKind {
    /// Not said.
    #[default]
    Unspecified,
    /// Work within a service.
    Internal,
    /// Answers a call.
    Server,
    /// Makes a call.
    Client,
    /// Sends a message.
    Producer,
    /// Receives a message.
    Consumer,
}

impl SpanKind {
    /// Every kind, in the order of OpenTelemetry's numbers from 0.
    pub const ALL: [Self; 6] =
        [Self::Unspecified, Self::Internal, Self::Server, Self::Client, Self::Producer, Self::Consumer];

    /// The word that rows hold.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }

    /// The kind of a word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }

    /// True for what begins a service's part of a trace.
    pub fn is_entry(self) -> bool {
        matches!(self, Self::Server | Self::Consumer)
    }
}

/// How a span ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpanStatus {
    /// Not said.
    #[default]
    Unset,
    /// Well, says the application.
    Ok,
    /// Badly.
    Error,
}

impl SpanStatus {
    /// Every status, in the order of OpenTelemetry's numbers from 0.
    pub const ALL: [Self; 3] = [Self::Unset, Self::Ok, Self::Error];

    /// The word that rows hold.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }

    /// The status of a word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(text))
    }
}

/// Something that happened during a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanEvent {
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// What happened.
    pub name: String,
    /// More about it.
    pub attributes: Attributes,
}

/// Another span that this one has to do with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanLink {
    /// The other's trace.
    pub trace_id: TraceId,
    /// The other.
    pub span_id: SpanId,
    /// What they have to do with each other.
    pub attributes: Attributes,
}

/// A span with as much as was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanData {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// The span it is part of; none for a root.
    pub parent_span_id: Option<SpanId>,
    /// The operation.
    pub name: Arc<str>,
    /// The resource's `service.name`; empty where it has none.
    pub service: Arc<str>,
    /// What it does.
    pub kind: SpanKind,
    /// How it ended.
    pub status: SpanStatus,
    /// Why, where it ended badly.
    pub status_message: Arc<str>,
    /// Nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// Nanoseconds, never negative.
    pub duration_ns: i64,
    /// Its own attributes.
    pub attributes: Attributes,
    /// Its resource's attributes.
    pub resource: Arc<Attributes>,
    /// What happened during it.
    pub events: Vec<SpanEvent>,
    /// What it has to do with.
    pub links: Vec<SpanLink>,
}

impl Default for SpanData {
    fn default() -> Self {
        Self {
            trace_id: [0; 16],
            span_id: [0; 8],
            parent_span_id: None,
            name: "".into(),
            service: "".into(),
            kind: SpanKind::Unspecified,
            status: SpanStatus::Unset,
            status_message: "".into(),
            start_ns: 0,
            duration_ns: 0,
            attributes: Attributes::new(),
            resource: Arc::default(),
            events: Vec::new(),
            links: Vec::new(),
        }
    }
}

impl SpanData {
    /// When it ended, nanoseconds since the Unix epoch.
    pub fn end_ns(&self) -> i64 {
        self.start_ns.saturating_add(self.duration_ns.max(0))
    }

    /// True when it ended badly.
    pub fn is_error(&self) -> bool {
        self.status == SpanStatus::Error
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// A trace id in hexadecimal; clients leave leading zeros out. `None` for other text and for zero.
pub fn parse_trace_id(text: &str) -> Option<TraceId> {
    parse_hex(text)
}

/// A span id in hexadecimal; clients leave leading zeros out. `None` for other text and for zero.
pub fn parse_span_id(text: &str) -> Option<SpanId> {
    parse_hex(text)
}

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.is_empty() || text.len() > 2 * N || !text.is_ascii() {
        return None;
    }
    let mut id = [0u8; N];
    for (place, digit) in text.bytes().rev().enumerate() {
        let value = char::from(digit).to_digit(16)? as u8;
        id[N - 1 - place / 2] |= value << (4 * (place % 2));
    }
    (id != [0; N]).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_may_leave_leading_zeros_out() {
        for (text, want) in [
            ("0102030405060708", Some([1, 2, 3, 4, 5, 6, 7, 8])),
            ("102030405060708", Some([1, 2, 3, 4, 5, 6, 7, 8])),
            ("FF", Some([0, 0, 0, 0, 0, 0, 0, 255])),
            ("", None),
            ("0", None),
            ("00000000000000000", None),
            ("1g", None),
            ("é", None),
        ] {
            assert_eq!(parse_span_id(text), want, "{text}");
        }
        let id = *b"\x00\x01\xffabcdefghijklm";
        assert_eq!(parse_trace_id(&hex(&id)), Some(id));
    }
}
