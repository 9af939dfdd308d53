//! OpenTelemetry's protocol, the same over HTTP and gRPC.

pub mod delta; // increments to running totals
pub mod metrics; // ExportMetricsServiceRequest, protobuf and JSON
pub mod response; // answers: partial success and status
