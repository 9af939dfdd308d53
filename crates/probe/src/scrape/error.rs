//! Why a scrape failed.

use super::config::Period;

/// A scrape that failed. Its text is what the targets page shows; it never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScrapeError {
    /// The client of the job cannot be made: a certificate or a secret cannot be read.
    #[error("{0}")]
    Client(String),
    /// No answer.
    #[error("{0}")]
    Request(String),
    /// No whole answer in time.
    #[error("no answer within {0}")]
    Timeout(Period),
    /// An answer that is no success.
    #[error("server returned HTTP status {0}")]
    Status(String),
    /// More bytes than allowed.
    #[error("body size limit exceeded: more than {0} bytes")]
    BodyTooLarge(u64),
    /// A format that we cannot read.
    #[error("{0}")]
    ContentType(String),
    /// Bytes that do not follow their format.
    #[error("{0}")]
    Parse(String),
    /// More samples than allowed.
    #[error("sample limit exceeded: {samples} samples, limit {limit}")]
    SampleLimit {
        /// Samples after relabelling.
        samples: u64,
        /// What is allowed.
        limit: u64,
    },
    /// More targets in the job than allowed.
    #[error("target_limit exceeded (number of targets: {targets}, limit: {limit})")]
    TargetLimit {
        /// Targets of the job.
        targets: usize,
        /// What is allowed.
        limit: u64,
    },
    /// A series with more or longer labels than allowed, or without a valid name.
    #[error("{0}")]
    Labels(String),
    /// A histogram with more buckets than allowed that cannot be made coarser.
    #[error("histogram bucket limit exceeded: {buckets} buckets, limit {limit}")]
    BucketLimit {
        /// Buckets of the histogram.
        buckets: usize,
        /// What is allowed.
        limit: u64,
    },
}

impl ScrapeError {
    /// True for the limit on the size of the body, which `scrape_body_size_bytes` shows as -1.
    pub(crate) fn is_body_limit(&self) -> bool {
        matches!(self, Self::BodyTooLarge(_))
    }
}
