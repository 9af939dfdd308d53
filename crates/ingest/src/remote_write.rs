//! Prometheus remote write 1.0 and 2.0. The body is snappy (or another encoding of [`crate::compress`]);
//! decoding starts after that.
//!
//! The hot path: a known series costs no allocation here. The body becomes the text of the batch and every
//! label is a pair of spans into it (in 2.0, into its table of symbols).
//!
//! A refusal's index is the position of the series in the request, and it stands for all samples of that
//! series. An exemplar that cannot be kept is a refusal that stands for no sample.

mod encode; // the other way
mod histogram; // native histograms, the same message in both versions
pub mod v1; // prometheus.WriteRequest
pub mod v2; // io.prometheus.write.v2.Request

#[cfg(test)]
mod tests;

use model::{Labels, MetricType, Reason, Refusal};

pub use encode::encode;

use crate::rows::{self, CopyBudget};
use crate::wire::WireError;
use crate::{DecodeError, Decoded};

/// What a decoder of remote write needs to know beside the body: nothing yet, since every sample carries
/// its own time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    /// The server's clock when the request came, milliseconds.
    pub received_at_ms: i64,
}

/// Versions of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

impl Version {
    /// The version that a content type announces; `None` (415) when it is neither. A bare
    /// `application/x-protobuf` is 1.0.
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let mut parts = content_type.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case("application/x-protobuf") {
            return None;
        }
        for part in parts {
            if let Some(proto) = part.strip_prefix("proto=") {
                return match proto.trim_matches('"') {
                    "prometheus.WriteRequest" => Some(Self::V1),
                    "io.prometheus.write.v2.Request" => Some(Self::V2),
                    _ => None,
                };
            }
        }
        Some(Self::V1)
    }

    /// Decodes a decompressed body of this version.
    pub fn decode(self, body: Vec<u8>, context: &Context) -> Result<Decoded, DecodeError> {
        match self {
            Self::V1 => v1::decode(body, context),
            Self::V2 => v2::decode(body, context),
        }
    }
}

/// Why one series cannot be kept.
#[derive(Debug)]
struct Fault {
    field: &'static str,
    reason: Reason,
    message: String,
}

impl From<WireError> for Fault {
    fn from(error: WireError) -> Self {
        Self {
            field: "timeseries",
            reason: Reason::Malformed,
            message: format!("not valid protobuf: {error}"),
        }
    }
}

impl Fault {
    fn new(field: &'static str, reason: Reason, message: impl Into<String>) -> Self {
        Self { field, reason, message: message.into() }
    }

    fn refusal(self, index: u32, items: usize) -> Refusal {
        let Self { field, reason, message } = self;
        Refusal { index: index as usize, field: field.into(), reason, message, items }
    }
}

/// The labels of an exemplar, or the remark that it was left out.
fn exemplar_labels<'a>(
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    budget: &mut CopyBudget,
) -> Result<Labels, Fault> {
    rows::exemplar_labels(pairs, budget)
        .map_err(|message| Fault::new("exemplars", Reason::InvalidLabels, message))
}

/// Both versions number the types alike, and so does [`MetricType::ALL`].
fn metric_type(code: u64) -> MetricType {
    usize::try_from(code).ok().and_then(|i| MetricType::ALL.get(i)).copied().unwrap_or_default()
}
