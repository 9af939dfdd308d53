//! An answer to series, by its format.

use ingest::text::{self, Context, Format};
use model::MetricBatch;

use super::build::UNSTAMPED;
use super::config::{JobConfig, ScrapeProtocol};
use super::error::ScrapeError;
use super::fetch::Answer;
use super::nhcb;

/// Reads an answer whole; one bad line makes it unreadable, as upstream. Samples without a time of their own
/// get [`UNSTAMPED`].
pub(crate) fn parse(answer: Answer, job: &JobConfig) -> Result<MetricBatch, ScrapeError> {
    let format = match answer.format {
        ScrapeProtocol::PrometheusProto => Format::Protobuf,
        ScrapeProtocol::OpenMetricsText1_0_0 | ScrapeProtocol::OpenMetricsText0_0_1 => Format::OpenMetrics,
        ScrapeProtocol::PrometheusText1_0_0 | ScrapeProtocol::PrometheusText0_0_4 => Format::Text,
    };
    let histograms = &job.histograms;
    let context = Context {
        honor_timestamps: job.honor_timestamps,
        keep_classic: histograms.always_classic || !histograms.native,
        ..Context::scrape(format, UNSTAMPED)
    };
    let decoded = text::decode(answer.body, &context).map_err(|e| ScrapeError::Parse(e.to_string()))?;
    let mut batch = decoded.batch;
    if !histograms.native {
        batch.series.retain(|row| row.histograms.is_empty());
    }
    if histograms.convert_classic {
        nhcb::convert(&mut batch, histograms.always_classic);
    }
    Ok(batch)
}
