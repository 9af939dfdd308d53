//! The frame of one query: what it may use, who may stop it, what it has cost so far.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::annotations::{Annotations, Note};
use super::error::QueryError;
use super::value::QueryStats;
use crate::source::SeriesSource;
use crate::syntax::ast::Pos;

/// What a caller grants to one query. The default grants the engine's limits and no end.
#[derive(Clone, Debug, Default)]
pub struct QueryContext {
    /// The query fails with [`QueryError::Timeout`] once this has passed.
    pub deadline: Option<Instant>,
    /// Set it to stop the query with [`QueryError::Cancelled`].
    pub cancelled: Arc<AtomicBool>,
    /// Most samples in memory at a time; the engine's limit when `None`.
    pub samples_max: Option<u64>,
    /// Most series that the selectors of the query may find together; no limit when `None`.
    pub series_max: Option<u64>,
    /// Most points of the result; no limit when `None`.
    pub result_points_max: Option<u64>,
    /// How far back an instant selector looks for a sample, milliseconds; the engine's setting when `None`.
    pub lookback_ms: Option<i64>,
}

/// The state of a query in progress, shared by the threads that work on it.
pub(crate) struct Frame<'q> {
    pub(crate) source: &'q dyn SeriesSource,
    pub(crate) annotations: Annotations,
    pub(crate) lookback_ms: i64,
    pub(crate) histogram_start_timestamps: bool,
    context: &'q QueryContext,
    samples_max: u64,
    samples_read: AtomicU64,
    series: AtomicU64,
    samples_held: AtomicU64,
    samples_peak: AtomicU64,
}

impl<'q> Frame<'q> {
    pub(crate) fn new(
        source: &'q dyn SeriesSource,
        context: &'q QueryContext,
        lookback_ms: i64,
        samples_max: u64,
        histogram_start_timestamps: bool,
    ) -> Self {
        Self {
            source,
            annotations: Annotations::default(),
            lookback_ms: context.lookback_ms.unwrap_or(lookback_ms).max(1),
            histogram_start_timestamps,
            context,
            samples_max: context.samples_max.unwrap_or(samples_max),
            samples_read: AtomicU64::new(0),
            series: AtomicU64::new(0),
            samples_held: AtomicU64::new(0),
            samples_peak: AtomicU64::new(0),
        }
    }

    /// Fails when the query should stop. Called once per series or per few thousand cells.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if self.context.cancelled.load(Ordering::Relaxed) {
            return Err(QueryError::Cancelled);
        }
        match self.context.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(QueryError::Timeout),
            _ => Ok(()),
        }
    }

    pub(crate) fn note(&self, pos: Pos, note: Note<'_>) {
        self.annotations.add(pos, note);
    }

    /// Counts samples read from storage.
    pub(crate) fn count_read(&self, samples: u64) {
        self.samples_read.fetch_add(samples, Ordering::Relaxed);
    }

    /// Counts series found by a selector, and fails above the limit.
    pub(crate) fn count_series(&self, found: usize) -> Result<(), QueryError> {
        let all = self.series.fetch_add(found as u64, Ordering::Relaxed) + found as u64;
        match self.context.series_max {
            Some(max) if all > max => Err(QueryError::Limit(format!(
                "the query selects {all} series, more than its limit of {max}: add matchers"
            ))),
            _ => Ok(()),
        }
    }

    /// Fails when a result is larger than the caller takes.
    pub(crate) fn check_result(&self, points: u64) -> Result<(), QueryError> {
        match self.context.result_points_max {
            Some(max) if points > max => Err(QueryError::Limit(format!(
                "the result has {points} points, more than its limit of {max}: use a longer step or aggregate"
            ))),
            _ => Ok(()),
        }
    }

    /// Accounts samples that now are in memory, until [`Self::release`].
    pub(crate) fn hold(&self, samples: u64) -> Result<(), QueryError> {
        let held = self.samples_held.fetch_add(samples, Ordering::Relaxed).saturating_add(samples);
        self.samples_peak.fetch_max(held, Ordering::Relaxed);
        if held > self.samples_max { Err(QueryError::TooManySamples) } else { Ok(()) }
    }

    /// Ends what [`Self::hold`] began.
    pub(crate) fn release(&self, samples: u64) {
        self.samples_held.fetch_sub(samples, Ordering::Relaxed);
    }

    /// Samples accounted at this moment.
    pub(crate) fn held(&self) -> u64 {
        self.samples_held.load(Ordering::Relaxed)
    }

    /// Ends everything that was accounted since [`Self::held`] gave this number.
    pub(crate) fn release_to(&self, held: u64) {
        self.samples_held.store(held, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> QueryStats {
        QueryStats {
            samples_read: self.samples_read.load(Ordering::Relaxed),
            series: self.series.load(Ordering::Relaxed),
            samples_peak: self.samples_peak.load(Ordering::Relaxed),
        }
    }
}
