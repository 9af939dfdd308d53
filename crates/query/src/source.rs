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
        self.0.read(range, out).map_err(storage)
    }
}

fn storage(error: StoreError) -> SourceError {
    SourceError::Storage(error.to_string())
}
