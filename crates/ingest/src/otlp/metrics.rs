//! `ExportMetricsServiceRequest` to series, as Prometheus 3 translates OTLP by default.
//!
//! `http.server.request.duration` in `s` becomes `http_server_request_duration_seconds`; attributes become
//! labels; `service.namespace/service.name` is `job`, `service.instance.id` is `instance`, and the other
//! attributes of a resource go to its `target_info` series. Histograms become classic series, exponential
//! histograms native ones. Delta points are marked in [`Decoded::deltas`] for [`super::delta`].
//!
//! A refusal's index is the position of the data point among all points of the request, as partial success
//! counts them; every series of a point carries that index too.

mod exponential; // exponential histograms to native ones
mod json; // OTLP/JSON to points
mod names; // names, units and labels as Prometheus spells them
mod point; // one data point of any type, as both encodings read it
mod protobuf; // OTLP/protobuf to points
mod series; // points to series
mod translate; // resources, scopes and metrics to names and labels

#[cfg(test)]
mod tests;

pub use super::Encoding;
use crate::{DecodeError, Decoded};

/// What the decoder needs to know beside the body.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The server's clock when the request came, milliseconds: the time of points that state none.
    pub received_at_ms: i64,
    /// How names are made.
    pub settings: Settings,
}

/// Options of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Resource attributes that become labels of every series, by their OpenTelemetry name.
    pub promoted_attributes: Vec<String>,
    /// Whether every resource attribute becomes a label; the identifying ones stay `job` and `instance` too.
    pub promote_all: bool,
    /// Whether scope name, version, schema URL and attributes become labels (`otel_scope_…`).
    pub promote_scope: bool,
    /// How names are spelled.
    pub translation: Translation,
}

/// How OpenTelemetry's names become Prometheus's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Translation {
    /// Characters outside `[a-zA-Z0-9_:]` become `_`, and unit and type become suffixes.
    #[default]
    UnderscoresAndSuffixes,
    /// Names stay as they are, in UTF-8.
    Off,
}

/// Decodes a decompressed body. A data point that breaks a rule is refused alone.
pub fn decode(body: Vec<u8>, encoding: Encoding, context: &Context) -> Result<Decoded, DecodeError> {
    match encoding {
        Encoding::Protobuf => protobuf::decode(body, context),
        Encoding::Json => json::decode(&body, context),
    }
}
