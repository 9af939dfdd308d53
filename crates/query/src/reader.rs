//! What explorers ask: which labels, which values, which series, what they mean.

use std::collections::{BTreeMap, BTreeSet};

use model::{Exemplar, Labels, METRIC_NAME, Matcher, Metadata, TimeRange};
use store::MetricSnapshot;

use crate::error::QueryFault;

/// Looks things up in one tenant's snapshot. An empty list of selectors means every series.
#[derive(Clone)]
pub struct Reader {
    snapshot: MetricSnapshot,
}

/// How many series there are, and of what.
#[derive(Clone, Debug, Default)]
pub struct Cardinality {
    /// Series with samples in the range.
    pub series: u64,
    /// Distinct pairs of label name and value.
    pub label_pairs: u64,
    /// Chunks of samples in memory.
    pub chunks: u64,
    /// Earliest sample, milliseconds.
    pub min_ms: i64,
    /// Latest sample, milliseconds.
    pub max_ms: i64,
    /// Series by metric name, most first.
    pub series_by_metric: Vec<(String, u64)>,
    /// Distinct values by label name, most first.
    pub values_by_label: Vec<(String, u64)>,
    /// Bytes of values by label name, most first.
    pub bytes_by_label: Vec<(String, u64)>,
    /// Series by `name=value`, most first.
    pub series_by_pair: Vec<(String, u64)>,
}

impl Reader {
    /// A reader over a snapshot.
    pub fn new(snapshot: MetricSnapshot) -> Self {
        Self { snapshot }
    }

    /// Names of labels, sorted.
    pub fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<String>, QueryFault> {
        let mut names = BTreeSet::new();
        for matchers in or_all(selectors) {
            names.extend(self.snapshot.label_names(matchers, range)?);
        }
        Ok(names.into_iter().collect())
    }

    /// Values of one label, sorted.
    pub fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<String>, QueryFault> {
        let mut values = BTreeSet::new();
        for matchers in or_all(selectors) {
            values.extend(self.snapshot.label_values(name, matchers, range)?);
        }
        Ok(values.into_iter().collect())
    }

    /// Label sets of at most `limit` series that any selector matches, sorted.
    pub fn series(
        &self,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<Labels>, QueryFault> {
        let mut found = BTreeSet::new();
        for matchers in or_all(selectors) {
            found.extend(self.snapshot.series(matchers, range, limit)?.0);
        }
        Ok(found.into_iter().take(limit).collect())
    }

    /// Type, unit and help: of one metric, or of all, by name.
    pub fn metadata(&self, metric: Option<&str>) -> Result<Vec<Metadata>, QueryFault> {
        Ok(self.snapshot.metadata(metric)?.into_iter().map(|stored| stored.metadata).collect())
    }

    /// Exemplars of the series that any selector matches, by series.
    pub fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, QueryFault> {
        let mut by_series = BTreeMap::new();
        for matchers in selectors {
            for (labels, exemplars) in self.snapshot.exemplars(matchers, range)? {
                by_series.entry(labels).or_insert(exemplars);
            }
        }
        Ok(by_series.into_iter().collect())
    }

    /// The most numerous metrics, labels and pairs among series with samples in the range.
    pub fn cardinality(&self, range: TimeRange, limit: usize) -> Result<Cardinality, QueryFault> {
        let (active, _) = self.snapshot.series(&[], range, usize::MAX)?;
        let mut by_metric: BTreeMap<&str, u64> = BTreeMap::new();
        let mut by_pair: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for labels in &active {
            for (name, value) in labels.iter() {
                *by_pair.entry((name, value)).or_default() += 1;
            }
            *by_metric.entry(labels.get(METRIC_NAME).unwrap_or("")).or_default() += 1;
        }
        let mut values: BTreeMap<&str, u64> = BTreeMap::new();
        let mut bytes: BTreeMap<&str, u64> = BTreeMap::new();
        for ((name, value), series) in &by_pair {
            *values.entry(name).or_default() += 1;
            *bytes.entry(name).or_default() += value.len() as u64 * series;
        }
        let (min_ms, max_ms) = self.snapshot.time_span().unwrap_or((0, 0));
        Ok(Cardinality {
            series: active.len() as u64,
            label_pairs: by_pair.len() as u64,
            chunks: active.len() as u64,
            min_ms,
            max_ms,
            series_by_metric: top(by_metric.iter().map(|(name, n)| ((*name).to_owned(), *n)), limit),
            values_by_label: top(values.iter().map(|(name, n)| ((*name).to_owned(), *n)), limit),
            bytes_by_label: top(bytes.iter().map(|(name, n)| ((*name).to_owned(), *n)), limit),
            series_by_pair: top(
                by_pair.iter().map(|((name, value), n)| (format!("{name}={value}"), *n)),
                limit,
            ),
        })
    }
}

fn top(rows: impl Iterator<Item = (String, u64)>, limit: usize) -> Vec<(String, u64)> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    rows.truncate(limit);
    rows
}

/// The selectors, or one that matches everything.
fn or_all(selectors: &[Vec<Matcher>]) -> Vec<&[Matcher]> {
    if selectors.is_empty() { vec![&[]] } else { selectors.iter().map(Vec::as_slice).collect() }
}
