//! Points of series: one, and columns of many.

use std::sync::Arc;

use crate::FloatHistogram;

/// The one NaN that says "this series ended here". Every other NaN is a value.
pub const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// True for the stale marker alone, which only its bits tell from other NaNs.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN.to_bits()
}

/// One float sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// The value; may be any NaN, the stale marker included.
    pub value: f64,
}

/// Half-open: `start_ms` is inside, `end_ms` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// First millisecond inside.
    pub start_ms: i64,
    /// First millisecond outside.
    pub end_ms: i64,
}

impl TimeRange {
    /// All time.
    pub const ALL: Self = Self { start_ms: i64::MIN, end_ms: i64::MAX };

    /// True when the instant is inside.
    pub fn contains(&self, t_ms: i64) -> bool {
        self.start_ms <= t_ms && t_ms < self.end_ms
    }

    /// True when the two share an instant.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start_ms < other.end_ms && other.start_ms < self.end_ms
    }

    /// True when nothing is inside.
    pub fn is_empty(&self) -> bool {
        self.start_ms >= self.end_ms
    }
}

/// Samples of one series by column, sorted by time and unique in it. A series may change between floats
/// and histograms, so the two kinds have columns of their own; no timestamp is in both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampleColumns {
    /// Times of the float samples, milliseconds.
    pub t_ms: Vec<i64>,
    /// Values of the float samples.
    pub values: Vec<f64>,
    /// Start timestamps of the float samples (0 where unknown); empty when none has one.
    pub starts_ms: Vec<i64>,
    /// Times of the histogram samples.
    pub histogram_t_ms: Vec<i64>,
    /// The histograms. A stale marker is a histogram whose `sum` is [`STALE_NAN`].
    pub histograms: Vec<Arc<FloatHistogram>>,
    /// Start timestamps of the histogram samples (0 where unknown); empty when none has one.
    pub histogram_starts_ms: Vec<i64>,
}

impl SampleColumns {
    /// Forgets the samples and keeps the memory.
    pub fn clear(&mut self) {
        self.t_ms.clear();
        self.values.clear();
        self.starts_ms.clear();
        self.histogram_t_ms.clear();
        self.histograms.clear();
        self.histogram_starts_ms.clear();
    }

    /// Number of samples of both kinds.
    pub fn len(&self) -> usize {
        self.t_ms.len() + self.histogram_t_ms.len()
    }

    /// True when there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
