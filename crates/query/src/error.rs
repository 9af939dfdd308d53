//! What can go wrong while answering.

use store::StoreError;

/// A question that was not answered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueryFault {
    /// The question is wrong: where, and what to write instead.
    #[error("{0}")]
    Invalid(String),
    /// More than a query may touch; names the limit and the remedy.
    #[error("{0}")]
    Limit(String),
    /// The store failed.
    #[error("cannot read the store: {0}")]
    Storage(String),
    /// Its deadline has passed.
    #[error("the query ran out of time: ask for a shorter range or a narrower selection")]
    Timeout,
    /// Nobody waits for the answer.
    #[error("the query was cancelled")]
    Cancelled,
}

impl From<StoreError> for QueryFault {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.to_string())
    }
}
