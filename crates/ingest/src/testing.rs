//! Decoded batches as lines of text, so that tests are rows of data.

use model::{Labels, MetricBatch, SeriesRow, is_stale};

use crate::Decoded;

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
