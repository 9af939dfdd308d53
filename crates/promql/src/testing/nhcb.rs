//! Classic histograms as native ones with custom buckets: `x_bucket`, `x_count` and `x_sum` become `x`.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, HistogramSpan, Labels, METRIC_NAME, SampleColumns};

use super::load::LoadedSeries;
use crate::syntax::parse_number;

/// What the series of one histogram say at one time.
#[derive(Default)]
struct Parts {
    /// Upper bound and cumulative count.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// Which part of a histogram a series is.
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

/// The native histograms that classic series describe.
pub(super) fn convert(series: &[LoadedSeries]) -> Vec<LoadedSeries> {
    let mut found: BTreeMap<Labels, BTreeMap<i64, Parts>> = BTreeMap::new();
    for one in series {
        let Some((labels, part)) = part(&one.labels) else { continue };
        let by_time = found.entry(labels).or_default();
        for (t_ms, value) in one.samples.t_ms.iter().zip(&one.samples.values) {
            let parts = by_time.entry(*t_ms).or_default();
            match part {
                Part::Bucket(bound) => parts.buckets.push((bound, *value)),
                Part::Count => parts.count = Some(*value),
                Part::Sum => parts.sum = *value,
            }
        }
    }
    found
        .into_iter()
        .map(|(labels, by_time)| {
            let mut samples = SampleColumns::default();
            for (t_ms, parts) in by_time {
                samples.histogram_t_ms.push(t_ms);
                samples.histograms.push(Arc::new(histogram(parts)));
            }
            LoadedSeries { labels, samples }
        })
        .collect()
}

/// The labels of the whole, and which part of it a series is.
fn part(labels: &Labels) -> Option<(Labels, Part)> {
    let name = labels.metric_name()?;
    let (base, part) = if let Some(base) = name.strip_suffix("_bucket") {
        (base, Part::Bucket(parse_number(labels.get("le")?).filter(|bound| !bound.is_nan())?))
    } else if let Some(base) = name.strip_suffix("_count") {
        (base, Part::Count)
    } else {
        (name.strip_suffix("_sum")?, Part::Sum)
    };
    Some((labels.to_builder().remove("le").set(METRIC_NAME, base).build(), part))
}

fn histogram(parts: Parts) -> FloatHistogram {
    let Parts { mut buckets, count, sum } = parts;
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    buckets.dedup_by(|b, a| a.0 == b.0);
    let count = count.or(buckets.last().map(|last| last.1)).unwrap_or(0.0);
    if buckets.last().is_none_or(|last| last.0 != f64::INFINITY) {
        buckets.push((f64::INFINITY, count));
    }
    let mut below = 0.0;
    let positive_buckets: Vec<f64> = buckets
        .iter()
        .map(|(_, cumulative)| {
            let own = cumulative - below;
            below = *cumulative;
            own
        })
        .collect();
    let mut h = FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count,
        sum,
        positive_spans: vec![HistogramSpan { offset: 0, length: positive_buckets.len() as u32 }],
        positive_buckets,
        custom_bounds: buckets[..buckets.len() - 1].iter().map(|(bound, _)| *bound).collect(),
        ..FloatHistogram::default()
    };
    crate::histogram::compact(&mut h, 2);
    h
}
