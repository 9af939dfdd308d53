//! When a query must stop: its deadline has passed, or nobody waits for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::error::QueryFault;

/// Asked between pieces of work, such as slices.
#[derive(Clone, Debug, Default)]
pub struct Control {
    /// When the answer must be there; no limit without it.
    pub deadline: Option<Instant>,
    /// Set by whoever no longer wants the answer.
    pub cancelled: Arc<AtomicBool>,
}

impl Control {
    /// With a deadline.
    pub fn until(deadline: Instant) -> Self {
        Self { deadline: Some(deadline), cancelled: Arc::default() }
    }

    /// An error when the query must stop.
    pub fn check(&self) -> Result<(), QueryFault> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(QueryFault::Cancelled);
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(QueryFault::Timeout);
        }
        Ok(())
    }
}
