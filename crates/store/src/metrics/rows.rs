//! Accepted rows of one write with their series resolved: what goes to the log and to the head.

use std::sync::Arc;

use model::{Exemplar, FloatHistogram, Labels, Metadata, Point};

/// Number of a series inside one head, dense from 0. The log uses it too.
pub(crate) type LocalId = u32;

/// Number of a series in its shard's index.
pub(crate) type Slot = u32;

/// A series that a head meets for the first time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Declared {
    pub(crate) local: LocalId,
    pub(crate) slot: Slot,
    pub(crate) labels: Labels,
}

/// Consecutive samples of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) local: LocalId,
    pub(crate) count: u32,
}

/// Rows in the order in which they were accepted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MetricRows {
    pub(crate) declared: Vec<Declared>,
    pub(crate) runs: Vec<Run>,
    pub(crate) points: Vec<Point>,
    /// Start timestamps of `points` (0 where unknown); empty when none has one.
    pub(crate) starts_ms: Vec<i64>,
    pub(crate) histogram_runs: Vec<Run>,
    pub(crate) histograms: Vec<(i64, Arc<FloatHistogram>)>,
    /// Start timestamps of `histograms` (0 where unknown); empty when none has one.
    pub(crate) histogram_starts_ms: Vec<i64>,
    pub(crate) exemplars: Vec<(LocalId, Exemplar)>,
    pub(crate) metadata: Vec<Metadata>,
    /// When the rows were accepted.
    pub(crate) received_ms: i64,
}

impl MetricRows {
    /// True when there is nothing to store.
    pub(crate) fn is_empty(&self) -> bool {
        self.points.is_empty()
            && self.histograms.is_empty()
            && self.exemplars.is_empty()
            && self.metadata.is_empty()
    }

    /// Float and histogram samples.
    pub(crate) fn samples(&self) -> usize {
        self.points.len() + self.histograms.len()
    }

    /// Adds a sample to the last run if it is of the same series, else to a new one.
    pub(crate) fn count_run(runs: &mut Vec<Run>, local: LocalId) {
        match runs.last_mut() {
            Some(run) if run.local == local => run.count += 1,
            _ => runs.push(Run { local, count: 1 }),
        }
    }
}
