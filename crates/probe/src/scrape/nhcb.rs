//! Classic histograms as native ones with custom buckets.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::{
    CUSTOM_BUCKETS_SCHEMA, FloatHistogram, HistogramSpan, LabelSpan, METRIC_NAME, MetricBatch, MetricType,
    SeriesRow, Span,
};

/// The series of one classic histogram.
#[derive(Default)]
struct Classic {
    /// Name and labels without `le`.
    labels: Vec<LabelSpan>,
    /// Upper bounds and what is at or below them.
    buckets: Vec<(f64, f64)>,
    sum: Option<f64>,
    count: Option<f64>,
    t_ms: i64,
    start_ms: i64,
    exemplars: Vec<model::Exemplar>,
    rows: Vec<usize>,
    index: u32,
}

enum Part {
    Bucket,
    Sum,
    Count,
}

/// Replaces the series of every classic histogram by one native histogram; with `keep` they stay beside it.
/// A histogram that contradicts itself, or that has a native form already, stays as it is.
pub(crate) fn convert(batch: &mut MetricBatch, keep: bool) {
    let families: HashSet<Vec<u8>> = batch
        .metadata
        .iter()
        .filter(|m| m.kind == MetricType::Histogram)
        .map(|m| m.metric.clone().into_bytes())
        .collect();
    if families.is_empty() {
        return;
    }
    let (mut found, native) = collect(batch, &families);
    found.sort_by_key(|classic| classic.index);
    let mut replaced = HashSet::new();
    for classic in found {
        if native.contains(&key(batch, &classic.labels)) {
            continue;
        }
        if let Some(histogram) = native_of(&classic) {
            replaced.extend(classic.rows.iter().copied());
            push(batch, classic, histogram);
        }
    }
    if !keep {
        let mut at = 0;
        batch.series.retain(|_| {
            at += 1;
            !replaced.contains(&(at - 1))
        });
    }
}

/// The classic histograms of a batch, and the keys of those series that are native already.
fn collect(batch: &MetricBatch, families: &HashSet<Vec<u8>>) -> (Vec<Classic>, HashSet<Vec<u8>>) {
    let mut found: HashMap<Vec<u8>, Classic> = HashMap::new();
    let mut native = HashSet::new();
    for (at, row) in batch.series.iter().enumerate() {
        let labels = &batch.labels[row.labels.start as usize..row.labels.end as usize];
        if !row.histograms.is_empty() {
            native.insert(key(batch, labels));
            continue;
        }
        let Some((labels, part, bound)) = part_of(batch, labels, families) else { continue };
        let Some(point) = batch.points.get(row.points.start as usize) else { continue };
        let key = key(batch, &labels);
        let classic = found.entry(key).or_insert_with(|| Classic { index: row.index, ..Classic::default() });
        match part {
            Part::Bucket => classic.buckets.extend(bound.map(|bound| (bound, point.value))),
            Part::Sum => classic.sum = Some(point.value),
            Part::Count => classic.count = Some(point.value),
        }
        let start = batch.starts_ms.get(row.points.start as usize).copied().unwrap_or_default();
        (classic.t_ms, classic.start_ms) = (point.t_ms, start);
        let exemplars = &batch.exemplars[row.exemplars.start as usize..row.exemplars.end as usize];
        classic.exemplars.extend_from_slice(exemplars);
        classic.labels = labels;
        classic.rows.push(at);
    }
    (found.into_values().collect(), native)
}

/// What a series is of a histogram: its labels with the family's name and without `le`, and the bound.
fn part_of(
    batch: &MetricBatch,
    labels: &[LabelSpan],
    families: &HashSet<Vec<u8>>,
) -> Option<(Vec<LabelSpan>, Part, Option<f64>)> {
    let text = |span: Span| span.of(&batch.text);
    let name = labels.iter().find(|label| text(label.name) == METRIC_NAME.as_bytes())?.value;
    let suffixes = [("_bucket", Part::Bucket), ("_sum", Part::Sum), ("_count", Part::Count)];
    let (family, part) = suffixes.into_iter().find_map(|(suffix, part)| {
        let family = text(name).strip_suffix(suffix.as_bytes())?;
        families.contains(family).then_some((family, part))
    })?;
    let family = Span { start: name.start, len: family.len() as u32 };
    let mut own = Vec::with_capacity(labels.len());
    let mut bound = None;
    for label in labels {
        match text(label.name) {
            b"le" if matches!(part, Part::Bucket) => {
                bound = Some(std::str::from_utf8(text(label.value)).ok()?.parse().ok()?);
            }
            name if name == METRIC_NAME.as_bytes() => {
                own.push(LabelSpan { name: label.name, value: family });
            }
            _ => own.push(*label),
        }
    }
    (bound.is_some() || !matches!(part, Part::Bucket)).then_some((own, part, bound))
}

/// The same bytes for the same labels in any order.
fn key(batch: &MetricBatch, labels: &[LabelSpan]) -> Vec<u8> {
    let mut pairs: Vec<(&[u8], &[u8])> =
        labels.iter().map(|label| (label.name.of(&batch.text), label.value.of(&batch.text))).collect();
    pairs.sort_unstable();
    let mut key = Vec::new();
    for (name, value) in pairs {
        // No UTF-8 text holds this byte.
        key.extend([name, &[0xff], value, &[0xff]].concat());
    }
    key
}

/// Counts by bucket from counts up to a bound; `None` where they fall or nothing is known.
fn native_of(classic: &Classic) -> Option<FloatHistogram> {
    let mut buckets = classic.buckets.clone();
    buckets.retain(|(bound, _)| !bound.is_nan());
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    buckets.dedup_by(|a, b| a.0 == b.0);
    let infinite = buckets.last().filter(|(bound, _)| *bound == f64::INFINITY).map(|(_, count)| *count);
    buckets.retain(|(bound, _)| *bound != f64::INFINITY);
    let count = classic.count.or(infinite)?;
    if model::is_stale(count) {
        return Some(FloatHistogram::stale());
    }
    let mut below = 0.0;
    let mut counts = Vec::with_capacity(buckets.len() + 1);
    for up_to in buckets.iter().map(|(_, up_to)| *up_to).chain([count]) {
        counts.push(up_to - below);
        below = up_to;
    }
    let length = counts.len() as u32;
    let histogram = FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count,
        sum: classic.sum.unwrap_or(0.0),
        positive_spans: vec![HistogramSpan { offset: 0, length }],
        positive_buckets: counts,
        custom_bounds: buckets.iter().map(|(bound, _)| *bound).collect(),
        ..FloatHistogram::default()
    };
    (histogram.validate().is_ok() && histogram.positive_buckets.iter().all(|c| *c >= 0.0))
        .then_some(histogram)
}

fn push(batch: &mut MetricBatch, classic: Classic, histogram: FloatHistogram) {
    let first = batch.labels.len() as u32;
    batch.labels.extend(classic.labels);
    let row = SeriesRow {
        index: classic.index,
        labels: first..batch.labels.len() as u32,
        points: batch.points.len() as u32..0,
        histograms: batch.histograms.len() as u32..0,
        exemplars: batch.exemplars.len() as u32..0,
    };
    if classic.start_ms != 0 || !batch.histogram_starts_ms.is_empty() {
        batch.histogram_starts_ms.resize(batch.histograms.len(), 0);
        batch.histogram_starts_ms.push(classic.start_ms);
    }
    batch.histograms.push((classic.t_ms, Arc::new(histogram)));
    batch.exemplars.extend(classic.exemplars);
    batch.end_series(row);
}

#[cfg(test)]
mod tests {
    use ingest::text::{self, Context, Format};

    use super::*;

    fn converted(body: &str, keep: bool) -> MetricBatch {
        let context = Context::scrape(Format::Text, 1000);
        let mut batch = text::decode(body.as_bytes().to_vec(), &context).expect("valid").batch;
        convert(&mut batch, keep);
        batch
    }

    fn names(batch: &MetricBatch) -> Vec<String> {
        let text = |span: Span| String::from_utf8_lossy(span.of(&batch.text)).into_owned();
        let name = |row: &SeriesRow| {
            let labels = &batch.labels[row.labels.start as usize..row.labels.end as usize];
            let mut words: Vec<String> = labels.iter().map(|l| text(l.value)).collect();
            words.sort();
            words.join(" ")
        };
        batch.series.iter().map(name).collect()
    }

    const BODY: &str = "# TYPE h histogram\nh_bucket{a=\"x\",le=\"1\"} 2\nh_bucket{a=\"x\",le=\"5\"} 3\nh_bucket{a=\"x\",le=\"+Inf\"} 7\nh_sum{a=\"x\"} 20\nh_count{a=\"x\"} 7\n# TYPE other counter\nother 1\n";

    #[test]
    fn buckets_become_one_histogram() {
        let batch = converted(BODY, false);
        assert_eq!(names(&batch), ["other", "h x"]);
        let (t_ms, histogram) = &batch.histograms[0];
        assert_eq!((*t_ms, histogram.count, histogram.sum), (1000, 7.0, 20.0));
        assert_eq!(histogram.positive_buckets, [2.0, 1.0, 4.0]);
        assert_eq!(&histogram.custom_bounds[..], [1.0, 5.0]);
        assert_eq!(converted(BODY, true).series.len(), 7);
    }

    #[test]
    fn what_contradicts_itself_or_is_no_histogram_stays() {
        let falling = BODY.replace("} 3", "} 1");
        assert_eq!(converted(&falling, false).series.len(), 6);
        let untyped = BODY.replace("# TYPE h histogram\n", "");
        assert_eq!(converted(&untyped, false).series.len(), 6);
    }
}
