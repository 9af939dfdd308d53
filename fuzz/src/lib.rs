//! What every target checks: a decoder never panics, and what it hands on keeps the promises of the batch.

use ingest::otlp::delta::{DeltaLimits, DeltaState};
use ingest::{DecodeError, Decoded};

/// Checks that every range and span of a result is inside its column, and runs the increments through the
/// accumulator.
pub fn check(body_len: usize, result: Result<Decoded, DecodeError>) {
    let Ok(mut decoded) = result else { return };
    check_columns(body_len, &decoded);
    let mut state = DeltaState::new(DeltaLimits { series_max: 64, idle_ms: 1000 });
    let changes = state.accumulate(&mut decoded, 0, |_| None);
    check_columns(body_len, &decoded);
    state.undo(changes);
}

fn check_columns(body_len: usize, decoded: &Decoded) {
    let batch = &decoded.batch;
    // Far above what any decoder needs; a runaway copy exceeds it at once.
    assert!(batch.text.len() <= 16 * body_len + (1 << 20), "text of {} bytes", batch.text.len());
    assert!(batch.labels.len() <= 8 * body_len + (1 << 17), "{} labels", batch.labels.len());
    assert!(batch.starts_ms.is_empty() || batch.starts_ms.len() == batch.points.len());
    assert!(
        batch.histogram_starts_ms.is_empty() || batch.histogram_starts_ms.len() == batch.histograms.len()
    );
    let (mut points, mut histograms, mut exemplars) = (0, 0, 0);
    for row in &batch.series {
        for label in &batch.labels[row.labels.start as usize..row.labels.end as usize] {
            for span in [label.name, label.value] {
                assert!(span.start as usize + span.len as usize <= batch.text.len(), "a span points outside");
            }
        }
        assert_eq!((row.points.start, row.histograms.start), (points, histograms), "columns follow the rows");
        assert_eq!(row.exemplars.start, exemplars);
        (points, histograms, exemplars) = (row.points.end, row.histograms.end, row.exemplars.end);
    }
    assert_eq!(points as usize, batch.points.len());
    assert_eq!(histograms as usize, batch.histograms.len());
    assert_eq!(exemplars as usize, batch.exemplars.len());
    for (_, histogram) in &batch.histograms {
        assert!(histogram.is_stale() || histogram.validate().is_ok(), "{histogram:?}");
    }
    for range in &decoded.deltas {
        assert!(range.rows.start < range.rows.end && range.rows.end as usize <= batch.series.len());
    }
}
