//! Decoded batches as lines of text and decoded rows as JSON, so that tests are rows of data.

use model::{Attr, Labels, MetricBatch, Records, SeriesRow, Value, is_stale};

use crate::{Decoded, DecodedRecords};

/// Every series as `labels value@time<start`, histograms as `h(count,sum)`, exemplars behind `#`.
pub(crate) fn lines(decoded: &Decoded) -> Vec<String> {
    let batch = &decoded.batch;
    assert!(batch.starts_ms.is_empty() || batch.starts_ms.len() == batch.points.len(), "columns in step");
    let histogram_starts = batch.histogram_starts_ms.len();
    assert!(histogram_starts == 0 || histogram_starts == batch.histograms.len(), "columns in step");
    batch.series.iter().map(|row| line(batch, row)).collect()
}

/// The labels of a row.
pub(crate) fn labels(batch: &MetricBatch, row: &SeriesRow) -> Labels {
    let text = |span: model::Span| std::str::from_utf8(span.of(&batch.text)).expect("UTF-8");
    let spans = &batch.labels[row.labels.start as usize..row.labels.end as usize];
    Labels::from_pairs(spans.iter().map(|l| (text(l.name), text(l.value)))).expect("unique labels")
}

fn line(batch: &MetricBatch, row: &SeriesRow) -> String {
    let mut line = labels(batch, row).to_string();
    let start = |starts: &[i64], i: usize| match starts.get(i) {
        Some(start) if *start != 0 => format!("<{start}"),
        _ => String::new(),
    };
    for i in row.points.clone().map(|i| i as usize) {
        let point = batch.points[i];
        let value = if is_stale(point.value) { "stale".into() } else { point.value.to_string() };
        line += &format!(" {value}@{}{}", point.t_ms, start(&batch.starts_ms, i));
    }
    for i in row.histograms.clone().map(|i| i as usize) {
        let (t_ms, h) = &batch.histograms[i];
        let value = if h.is_stale() { "stale".into() } else { format!("h({},{})", h.count, h.sum) };
        line += &format!(" {value}@{t_ms}{}", start(&batch.histogram_starts_ms, i));
    }
    for exemplar in &batch.exemplars[row.exemplars.start as usize..row.exemplars.end as usize] {
        line += &format!(" # {} {}@{}", exemplar.labels, exemplar.value, exemplar.t_ms);
    }
    line
}

/// Refusals as `index field reason items`.
pub(crate) fn refusals(decoded: &Decoded) -> Vec<String> {
    let line = |r: &model::Refusal| format!("{} {} {} {}", r.index, r.field, r.reason, r.items);
    decoded.refusals.detailed().iter().map(line).collect()
}

/// Every row as an object of its fixed columns by name, without those that are null, `attributes` and
/// `resource`. Checks on the way that every text is UTF-8 and every JSON text JSON.
pub(crate) fn rows(decoded: &DecodedRecords) -> Vec<serde_json::Value> {
    (0..decoded.records.len()).map(|row| row_json(&decoded.records, row)).collect()
}

fn row_json(records: &Records, row: usize) -> serde_json::Value {
    let columns = model::record::columns(records.signal).iter().zip(records.fields_of(row));
    let mut object: serde_json::Map<String, serde_json::Value> = columns
        .filter(|(_, value)| **value != Value::Null)
        .map(|(column, value)| (column.name.to_owned(), value_json(records, *value)))
        .collect();
    for (name, attrs) in [("attributes", records.attrs_of(row)), ("resource", records.resource_of(row))] {
        object.insert(name.into(), attrs_json(records, attrs));
    }
    object.into()
}

fn attrs_json(records: &Records, attrs: &[Attr]) -> serde_json::Value {
    let mut object = serde_json::Map::new();
    for attr in attrs {
        let key = std::str::from_utf8(attr.key.of(&records.text)).expect("keys are UTF-8");
        // The first counts.
        object.entry(key).or_insert_with(|| value_json(records, attr.value));
    }
    object.into()
}

/// JSON values are in an object of their own to be told from texts; identifiers are hexadecimal.
fn value_json(records: &Records, value: Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Double(value) if !value.is_finite() => value.to_string().into(),
        Value::Double(value) => value.into(),
        Value::Text(_) => records.text_of(value).expect("texts are UTF-8").into(),
        Value::Json(_) => {
            let text = records.text_of(value).expect("JSON is UTF-8");
            serde_json::json!({ "json": serde_json::from_str::<serde_json::Value>(text).expect(text) })
        }
        Value::Bytes(span) => {
            let mut hex = Vec::new();
            crate::records::write_hex(&mut hex, span.of(&records.text));
            String::from_utf8(hex).expect("digits").into()
        }
    }
}

/// Refusals of rows as `index field reason items`.
pub(crate) fn row_refusals(decoded: &DecodedRecords) -> Vec<String> {
    let line = |r: &model::Refusal| format!("{} {} {} {}", r.index, r.field, r.reason, r.items);
    decoded.refusals.detailed().iter().map(line).collect()
}
