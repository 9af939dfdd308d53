//! Where series come from. The evaluator knows storage only through these two traits.

use model::{Labels, Matcher, SampleColumns, TimeRange};

/// What a selector needs.
#[derive(Clone, Debug)]
pub struct SelectRequest<'a> {
    /// All must hold.
    pub matchers: &'a [Matcher],
    /// Samples outside are not needed (they may be returned).
    pub range: TimeRange,
    /// Grid on which the samples will be looked at, milliseconds; 0 when unknown. A hint.
    pub step_ms: i64,
}

/// Answers selectors: the store on one machine, shard owners in a cluster, fixtures in tests.
pub trait SeriesSource: Send + Sync {
    /// The series that match and have (or may have) samples in the range, each once, in any order.
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Box<dyn SeriesHandle>>, SourceError>;
}

/// One series whose samples have not been read yet, so that reading and computing run in parallel, series
/// by series, and decoded samples live only as long as they are looked at.
pub trait SeriesHandle: Send + Sync {
    /// The series' labels, the name included.
    fn labels(&self) -> &Labels;

    /// Replaces `out` by the samples inside `range`, sorted by time, unique in it, stale markers included.
    fn read(&self, range: TimeRange, out: &mut SampleColumns) -> Result<(), SourceError>;
}

/// A source that cannot answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// More than the query may touch; the text names the limit and the remedy.
    #[error("{0}")]
    Limit(String),
    /// The query's deadline passed or its caller went away.
    #[error("query was cancelled")]
    Cancelled,
    /// The storage failed.
    #[error("cannot read series: {0}")]
    Storage(String),
}
