//! Native histograms as Prometheus defines them: exponential buckets by schema, or custom bounds.

use std::sync::Arc;

/// The schema of histograms with explicit upper bounds (`custom_bounds`).
pub const CUSTOM_BUCKETS_SCHEMA: i8 = -53;

/// What is known about whether a counter histogram was reset before this sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CounterResetHint {
    /// Nothing; compare with the previous sample.
    #[default]
    Unknown = 0,
    /// It was reset.
    Reset = 1,
    /// It was not.
    NotReset = 2,
    /// Not a counter at all.
    Gauge = 3,
}

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HistogramSpan {
    /// Buckets left out before this run; for the first span, the index of its first bucket.
    pub offset: i32,
    /// Buckets in the run.
    pub length: u32,
}

/// A histogram with absolute float counts. Integer histograms become this at intake: counts are exact up to 2^53.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatHistogram {
    /// Reset knowledge.
    pub counter_reset_hint: CounterResetHint,
    /// -4 to 8: bucket bounds grow by 2^(2^-schema); or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i8,
    /// Observations within this distance of zero are in the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of all observations; [`crate::STALE_NAN`] marks the end of the series.
    pub sum: f64,
    /// Runs of the positive buckets.
    pub positive_spans: Vec<HistogramSpan>,
    /// Counts of the positive buckets, one per bucket of the runs.
    pub positive_buckets: Vec<f64>,
    /// Runs of the negative buckets.
    pub negative_spans: Vec<HistogramSpan>,
    /// Counts of the negative buckets.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds, ascending, the last (+Inf) left out; only with [`CUSTOM_BUCKETS_SCHEMA`].
    pub custom_bounds: Arc<[f64]>,
}

impl FloatHistogram {
    /// True when the bounds are explicit.
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// The marker that ends a series of histograms.
    pub fn stale() -> Self {
        Self { sum: crate::STALE_NAN, ..Self::default() }
    }

    /// True for the marker that ends a series.
    pub fn is_stale(&self) -> bool {
        crate::is_stale(self.sum)
    }

    /// Bytes on the heap, for accounting.
    pub fn heap_bytes(&self) -> usize {
        8 * (self.positive_buckets.len()
            + self.negative_buckets.len()
            + self.positive_spans.len()
            + self.negative_spans.len())
    }

    /// Checks the shape that every reader relies on.
    pub fn validate(&self) -> Result<(), HistogramError> {
        if !(-4..=8).contains(&self.schema) && !self.uses_custom_buckets() {
            return Err(HistogramError::Schema(self.schema));
        }
        let custom = self.uses_custom_buckets();
        if custom
            && (self.zero_count != 0.0
                || !self.negative_buckets.is_empty()
                || !self.negative_spans.is_empty())
        {
            return Err(HistogramError::CustomWithOthers);
        }
        if self.custom_bounds.windows(2).any(|w| w[0] >= w[1])
            || self.custom_bounds.iter().any(|b| b.is_nan())
        {
            return Err(HistogramError::BoundsOrder);
        }
        for (spans, buckets) in
            [(&self.positive_spans, &self.positive_buckets), (&self.negative_spans, &self.negative_buckets)]
        {
            let covered: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
            if covered != buckets.len() as u64 {
                return Err(HistogramError::SpanLength { spans: covered, buckets: buckets.len() });
            }
            if spans.iter().skip(1).any(|s| s.offset < 0) {
                return Err(HistogramError::SpanOrder);
            }
            let first = spans.first().map_or(0, |s| i64::from(s.offset));
            let last = spans.iter().map(|s| i64::from(s.offset) + i64::from(s.length)).sum::<i64>();
            if i32::try_from(last).is_err()
                || (custom && (first < 0 || last > self.custom_bounds.len() as i64 + 1))
            {
                return Err(HistogramError::SpanOrder);
            }
            if buckets.iter().any(|b| *b < 0.0) {
                return Err(HistogramError::NegativeCount);
            }
        }
        if self.count < 0.0 || self.zero_count < 0.0 {
            return Err(HistogramError::NegativeCount);
        }
        Ok(())
    }
}

/// A histogram that breaks its own rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistogramError {
    /// Outside -4..=8 and not custom.
    #[error("schema {0} is not between -4 and 8, nor -53 for custom buckets")]
    Schema(i8),
    /// Custom buckets exclude zero and negative buckets.
    #[error("a histogram with custom buckets cannot have a zero bucket or negative buckets")]
    CustomWithOthers,
    /// Bounds must ascend.
    #[error("custom bucket bounds must be ascending numbers")]
    BoundsOrder,
    /// Spans and buckets differ.
    #[error("spans cover {spans} buckets but {buckets} are given")]
    SpanLength {
        /// Buckets that the spans describe.
        spans: u64,
        /// Buckets given.
        buckets: usize,
    },
    /// Spans overlap or run out of range.
    #[error("spans must not overlap and must stay in range")]
    SpanOrder,
    /// A count below zero.
    #[error("a count is negative")]
    NegativeCount,
}
