//! OpenTelemetry's protocol, the same over HTTP and gRPC.

pub mod delta; // increments to running totals
pub mod encode; // rows back to requests
pub mod logs; // ExportLogsServiceRequest to rows
pub mod metrics; // ExportMetricsServiceRequest to series
pub mod response; // answers: partial success and status
pub mod traces; // ExportTraceServiceRequest to rows

mod any_value; // protobuf's values of attributes to values of rows
mod groups; // the way down to the items of a protobuf request
mod json; // what JSON requests of all signals share
mod sink; // rows under construction: resources, scopes, refusals

#[cfg(test)]
mod oracle; // generated messages, and the rows they must become

/// The two encodings of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

impl Encoding {
    /// The encoding of a content type; `None` (415) when it is neither.
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let base = content_type.split(';').next().unwrap_or("").trim();
        match () {
            () if base.eq_ignore_ascii_case("application/x-protobuf") => Some(Self::Protobuf),
            () if base.eq_ignore_ascii_case("application/json") => Some(Self::Json),
            () => None,
        }
    }

    /// The content type of an answer, which is that of the request.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}
