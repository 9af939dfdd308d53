//! The series source of PromQL over a snapshot.

use model::{Labels, SampleColumns, TimeRange};
use promql::source::{SelectRequest, SeriesHandle, SeriesSource, SourceError};
use store::{MetricSnapshot, StoreError, StoredSeries};

/// One tenant's series as of one moment.
#[derive(Clone)]
pub struct StoreSource {
    snapshot: MetricSnapshot,
}

impl StoreSource {
    /// A source over a snapshot.
    pub fn new(snapshot: MetricSnapshot) -> Self {
        Self { snapshot }
    }
}

impl SeriesSource for StoreSource {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Box<dyn SeriesHandle>>, SourceError> {
        let found = self.snapshot.select(request.matchers, request.range).map_err(storage)?;
        Ok(found.into_iter().map(|series| Box::new(Handle(series)) as Box<dyn SeriesHandle>).collect())
    }
}

struct Handle(StoredSeries);

impl SeriesHandle for Handle {
    fn labels(&self) -> &Labels {
        self.0.labels()
    }

    fn read(&self, range: TimeRange, out: &mut SampleColumns) -> Result<(), SourceError> {
        self.0.read(range, out).map_err(storage)?;
        if !out.histograms.is_empty() {
            // The first histogram's hint follows from the sample before the range.
            let start_ms = range.start_ms.saturating_sub(BEFORE_MS);
            self.0.read(TimeRange { start_ms, ..range }, out).map_err(storage)?;
            set_hints(out);
            cut_before(out, range.start_ms);
        }
        Ok(())
    }
}

/// How far before a range the sample is looked for that says whether a histogram was reset.
const BEFORE_MS: i64 = 3_600_000;

/// Drops the samples before `start_ms`.
fn cut_before(columns: &mut SampleColumns, start_ms: i64) {
    let floats = columns.t_ms.partition_point(|t| *t < start_ms);
    columns.t_ms.drain(..floats);
    columns.values.drain(..floats);
    columns.starts_ms.drain(..floats.min(columns.starts_ms.len()));
    let histograms = columns.histogram_t_ms.partition_point(|t| *t < start_ms);
    columns.histogram_t_ms.drain(..histograms);
    columns.histograms.drain(..histograms);
    columns.histogram_starts_ms.drain(..histograms.min(columns.histogram_starts_ms.len()));
}

/// Tells of each histogram what follows from the sample before it, as upstream's storage does. Nothing is
/// said of the first one in the range.
fn set_hints(columns: &mut SampleColumns) {
    for position in 0..columns.histograms.len() {
        let (before, rest) = columns.histograms.split_at_mut(position);
        let t_ms = columns.histogram_t_ms[position];
        let last_ms = position.checked_sub(1).map(|last| columns.histogram_t_ms[last]);
        // A float in between says nothing about buckets.
        let floats = columns.t_ms.partition_point(|t| *t < t_ms);
        let between =
            floats.checked_sub(1).is_some_and(|last| last_ms.is_none_or(|ms| columns.t_ms[last] > ms));
        let before = if between { None } else { before.last().map(|h| &**h) };
        promql::histogram::set_hint(&mut rest[0], before);
    }
}

fn storage(error: StoreError) -> SourceError {
    SourceError::Storage(error.to_string())
}
