//! Answers of OTLP/HTTP, in the encoding of the request: `Export…ServiceResponse` with what was refused, which
//! is the same for all signals in protobuf, and `google.rpc.Status` for a request that failed as a whole.

use model::Signal;
use serde_json::json;

use super::Encoding;
use crate::wire::Writer;

/// Status codes of gRPC that answers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// The request cannot be read.
    InvalidArgument = 3,
    /// A limit of the tenant; retry after the stated delay.
    ResourceExhausted = 8,
    /// Not allowed.
    PermissionDenied = 7,
    /// Not spoken here.
    Unimplemented = 12,
    /// Our fault.
    Internal = 13,
    /// Not now; retry.
    Unavailable = 14,
    /// Who are you?
    Unauthenticated = 16,
}

/// [`partial_success`] of metrics.
pub fn success(encoding: Encoding, rejected: u64, message: &str) -> Vec<u8> {
    partial_success(encoding, Signal::Metrics, rejected, message)
}

/// The answer to a request of which at least a part was accepted. `rejected` is the number of data points,
/// log records or spans refused; `message` says why, or is a remark where nothing was refused. Both empty is
/// full success.
pub fn partial_success(encoding: Encoding, signal: Signal, rejected: u64, message: &str) -> Vec<u8> {
    match encoding {
        Encoding::Json if rejected == 0 && message.is_empty() => b"{}".to_vec(),
        Encoding::Json => {
            let field = match signal {
                Signal::Logs | Signal::Events => "rejectedLogRecords",
                Signal::Traces => "rejectedSpans",
                Signal::Metrics | Signal::Audit | Signal::Checks => "rejectedDataPoints",
            };
            let partial = json!({ field: rejected.to_string(), "errorMessage": message });
            json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
        Encoding::Protobuf => {
            let mut partial = Writer::default();
            partial.varint(1, rejected);
            partial.bytes(2, message.as_bytes());
            let mut response = Writer::default();
            response.bytes(1, &partial.0);
            response.0
        }
    }
}

/// The body of an answer that is not 2xx.
pub fn status(encoding: Encoding, code: Code, message: &str) -> Vec<u8> {
    match encoding {
        Encoding::Json => json!({ "code": code as u8, "message": message }).to_string().into_bytes(),
        Encoding::Protobuf => {
            let mut status = Writer::default();
            status.varint(1, code as u64);
            status.bytes(2, message.as_bytes());
            status.0
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
    use prost::Message;

    use super::*;

    #[test]
    fn partial_success_reads_back() {
        let bytes = success(Encoding::Protobuf, 300, "why");
        let response = ExportMetricsServiceResponse::decode(bytes.as_slice()).expect("decodes");
        let partial = response.partial_success.expect("partial");
        assert_eq!((partial.rejected_data_points, partial.error_message.as_str()), (300, "why"));
        assert!(success(Encoding::Protobuf, 0, "").is_empty());
        assert_eq!(success(Encoding::Json, 0, ""), b"{}");
        let json = String::from_utf8(success(Encoding::Json, 3, "why")).expect("UTF-8");
        assert_eq!(json, r#"{"partialSuccess":{"errorMessage":"why","rejectedDataPoints":"3"}}"#);
    }

    #[test]
    fn every_signal_has_its_own_name_for_what_was_refused() {
        for (signal, field) in [(Signal::Logs, "rejectedLogRecords"), (Signal::Traces, "rejectedSpans")] {
            let json = partial_success(Encoding::Json, signal, 3, "why");
            let want = json!({"partialSuccess": {"errorMessage": "why", field: "3"}});
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&json).expect("JSON"), want);
        }
    }

    #[test]
    fn a_status_has_code_and_message() {
        assert_eq!(status(Encoding::Protobuf, Code::Unavailable, "no"), [8, 14, 18, 2, b'n', b'o']);
        let json = String::from_utf8(status(Encoding::Json, Code::InvalidArgument, "no")).expect("UTF-8");
        assert_eq!(json, r#"{"code":3,"message":"no"}"#);
    }
}
