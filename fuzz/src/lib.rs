//! What every target checks: a decoder never panics, and what it hands on keeps the promises of the batch.

use ingest::otlp::delta::{DeltaLimits, DeltaState};
use ingest::otlp::encode::encode;
use ingest::otlp::{self, Encoding};
use ingest::records::Context;
use ingest::{DecodeError, Decoded, DecodedRecords};
use model::{Signal, Value, record};

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

/// The same for rows: every span is UTF-8 inside the text (identifiers aside), and every row has its columns.
pub fn check_rows(body_len: usize, result: Result<DecodedRecords, DecodeError>) {
    let Ok(DecodedRecords { records, .. }) = result else { return };
    assert!(records.text.len() <= 64 * body_len + (1 << 20), "text of {} bytes", records.text.len());
    assert!(records.attrs.len() <= 8 * body_len + (1 << 10), "{} attributes", records.attrs.len());
    assert_eq!(records.fields.len(), records.len() * record::columns(records.signal).len());
    let check = |value: Value| match value {
        Value::Text(span) | Value::Json(span) => {
            assert!(span.start as usize + span.len as usize <= records.text.len(), "a span points outside");
            assert!(std::str::from_utf8(span.of(&records.text)).is_ok(), "a text is not UTF-8");
        }
        Value::Bytes(span) => assert!(matches!(span.of(&records.text).len(), 8 | 16), "an identifier's length"),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Double(_) => {}
    };
    records.fields.iter().copied().for_each(check);
    for attr in &records.attrs {
        check(Value::Text(attr.key));
        check(attr.value);
    }
    for row in 0..records.len() {
        assert!((records.rows[row].resource as usize) < records.resources.len(), "a row without its resource");
        let _ = (records.attrs_of(row), records.resource_of(row));
    }
}

/// Rows of logs and spans are a request again, of which no row is lost.
pub fn check_otlp_round_trip(result: &Result<DecodedRecords, DecodeError>) {
    let Ok(DecodedRecords { records, .. }) = result else { return };
    let context = Context { received_at_ns: 1 };
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let body = encode(records, encoding);
        let again = match records.signal {
            Signal::Traces => otlp::traces::decode(body, encoding, &context),
            _ => otlp::logs::decode(body, encoding, &context),
        };
        // Rows of next to nothing may be more than a request of that size may have.
        let Ok(again) = again else { continue };
        assert_eq!(again.records.len() + again.refusals.items(), records.len());
    }
}
