//! What can go wrong while answering.

use store::StoreError;

/// A question that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryFault {
    /// More than a query may touch; names the limit and the remedy.
    #[error("{0}")]
    Limit(String),
    /// The store failed.
    #[error("cannot read the store: {0}")]
    Storage(String),
}

impl From<StoreError> for QueryFault {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.to_string())
    }
}
