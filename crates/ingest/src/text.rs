//! What a Prometheus target exposes: the text format 0.0.4, OpenMetrics 1.0 (both with quoted UTF-8 names)
//! and the delimited protobuf format with native histograms. Serves scraping and import alike.
//!
//! `_created` lines of OpenMetrics become start timestamps of the series they are about. `le` and `quantile`
//! labels are spelled as floats (`1.0`), as Prometheus 3 does when it scrapes. The metadata of an OpenMetrics
//! counter is filed under the name that its samples have (`_total`).
//!
//! A refusal's index is the number of the line, from 1; in protobuf the number of the metric, from 0.

mod created; // start timestamps from `_created` lines
mod line; // one sample line
mod lines; // a whole text
mod protobuf; // delimited MetricFamily messages

#[cfg(test)]
mod tests;

use crate::{DecodeError, Decoded};

/// What the decoder needs to know beside the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The time of samples that state none, milliseconds.
    pub default_t_ms: i64,
    /// Whether stated times are used; otherwise every sample has the default one.
    pub honor_timestamps: bool,
    /// How the body is written.
    pub format: Format,
    /// Whether one bad line makes the whole body unreadable (a scrape), or only costs itself (an import).
    pub strict: bool,
    /// Protobuf: whether a native histogram is also stored as classic series where it has both forms.
    pub keep_classic: bool,
}

impl Context {
    /// For an import: bad lines cost themselves.
    pub fn import(format: Format, received_at_ms: i64) -> Self {
        Self {
            default_t_ms: received_at_ms,
            honor_timestamps: true,
            format,
            strict: false,
            keep_classic: false,
        }
    }

    /// For a scrape: all or nothing.
    pub fn scrape(format: Format, scraped_at_ms: i64) -> Self {
        Self { strict: true, ..Self::import(format, scraped_at_ms) }
    }
}

/// The formats of exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain`, version 0.0.4 or 1.0.0.
    Text,
    /// `application/openmetrics-text`.
    OpenMetrics,
    /// `application/vnd.google.protobuf`, delimited `io.prometheus.client.MetricFamily`.
    Protobuf,
}

impl Format {
    /// The format of a content type; `None` when it is none of them. What to fall back to is the caller's
    /// choice.
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let mut parts = content_type.split(';').map(str::trim);
        match parts.next()?.to_ascii_lowercase().as_str() {
            "text/plain" => Some(Self::Text),
            "application/openmetrics-text" => Some(Self::OpenMetrics),
            "application/vnd.google.protobuf" => {
                let delimited = |part: &str| part.eq_ignore_ascii_case("encoding=delimited");
                parts.any(delimited).then_some(Self::Protobuf)
            }
            _ => None,
        }
    }
}

/// Decodes a decompressed body.
pub fn decode(body: Vec<u8>, context: &Context) -> Result<Decoded, DecodeError> {
    match context.format {
        Format::Text | Format::OpenMetrics => lines::decode(body, context),
        Format::Protobuf => protobuf::decode(body, context),
    }
}
