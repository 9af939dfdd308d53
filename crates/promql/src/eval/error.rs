//! Why a query has no value.

use crate::source::SourceError;

/// A query that failed. The texts are upstream's, so that clients that look at them keep working.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The text is not PromQL; says where and why.
    #[error("{0}")]
    Parse(String),
    /// The query cannot be computed on this data, or asks for something that does not exist.
    #[error("{0}")]
    Execution(String),
    /// The deadline passed.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// The caller went away.
    #[error("query was canceled in expression evaluation")]
    Cancelled,
    /// More samples than the limit; ask for fewer series, a shorter range or a longer step.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// A limit of the storage or of the tenant; the text names it and the remedy.
    #[error("{0}")]
    Limit(String),
    /// The storage failed.
    #[error("expanding series: {0}")]
    Storage(String),
}

impl QueryError {
    pub(crate) fn execution(text: impl Into<String>) -> Self {
        Self::Execution(text.into())
    }

    pub(crate) fn same_labelset() -> Self {
        Self::execution("vector cannot contain metrics with the same labelset")
    }
}

impl From<SourceError> for QueryError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Limit(text) => Self::Limit(text),
            SourceError::Cancelled => Self::Cancelled,
            SourceError::Storage(text) => Self::Storage(text),
        }
    }
}
