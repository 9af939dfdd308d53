//! Pure decoders: bytes of every protocol to items and refusals.
//!
//! No I/O, no clock, no state between requests (the two accumulators, [`otlp::delta`] and
//! [`statsd::StatsdState`], are plain values their owner keeps). Every protocol has one function of the same
//! shape, `decode(body, &Context) -> Result<Decoded, DecodeError>`: a bad item costs that item, and only a
//! request that cannot be read at all is an error. Memory stays within a small multiple of the body. Logs,
//! spans and events come as [`DecodedRecords`].
//!
//! Whether labels are UTF-8, unique and within the tenant's limits is checked by `store` when it meets a
//! series for the first time; the decoders hand over spans of the body and check what the store never sees
//! as labels: exemplars, metadata and the shape of histograms.

pub mod bulk; // Elasticsearch's bulk requests
pub mod compress; // content encodings, bounded while decompressing
pub mod events; // our own `POST /api/v1/monitoring/events`
pub mod jaeger; // Jaeger's Thrift batches over HTTP
pub mod json; // our own `POST /api/metrics`
pub mod json_lines; // logs as JSON lines or a JSON array
pub mod loki; // Loki's push API, JSON and protobuf
pub mod otlp; // OpenTelemetry, protobuf and JSON; delta accumulation; answers
pub mod records; // what decoders of rows return, and what they share
pub mod remote_write; // Prometheus remote write 1.0 and 2.0
pub mod statsd; // StatsD and DogStatsD lines and their aggregation
pub mod syslog; // RFC 5424, RFC 3164, and streams of them
pub mod text; // Prometheus text, OpenMetrics and the protobuf exposition
pub mod zipkin; // Zipkin's v2 JSON

mod decoded; // what every decoder returns
mod float; // numbers as label values
mod json_rows; // JSON objects of any shape to log rows
mod native; // native histograms in protobuf
mod observed; // observations to a native histogram
mod rows; // filling a batch, with a way back
mod wire; // protobuf's bytes

#[cfg(test)]
mod testing; // decoded batches as lines of text
#[cfg(test)]
mod testing_rows; // decoded rows as lines of text

pub use decoded::{DecodeError, Decoded, DeltaKind, DeltaRows};
pub use records::DecodedRecords;
