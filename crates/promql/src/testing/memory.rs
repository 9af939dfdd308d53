//! A series source in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{FloatHistogram, Labels, SampleColumns, TimeRange};

use super::load::Load;
use crate::histogram::set_hint;
use crate::source::{SelectRequest, SeriesHandle, SeriesSource, SourceError};

/// Series by labels. Loading adds samples; one at the same time replaces the earlier. Histograms come back
/// with the counter reset hints that a storage derives.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    series: BTreeMap<Labels, Arc<BTreeMap<i64, Sample>>>,
}

#[derive(Clone, Debug)]
struct Sample {
    value: SampleValue,
    start_ms: i64,
}

#[derive(Clone, Debug)]
enum SampleValue {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

impl Sample {
    fn before(&self) -> Option<&FloatHistogram> {
        match &self.value {
            SampleValue::Float(_) => None,
            SampleValue::Histogram(h) => Some(h),
        }
    }
}

impl MemorySource {
    /// An empty source.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the series of a `load` command.
    pub fn load(&mut self, load: &Load) {
        for series in &load.series {
            let stored = Arc::make_mut(self.series.entry(series.labels.clone()).or_default());
            let samples = &series.samples;
            let start = |starts: &[i64], i: usize| starts.get(i).copied().unwrap_or(0);
            for (i, (t_ms, value)) in samples.t_ms.iter().zip(&samples.values).enumerate() {
                let value = SampleValue::Float(*value);
                stored.insert(*t_ms, Sample { value, start_ms: start(&samples.starts_ms, i) });
            }
            for (i, (t_ms, h)) in samples.histogram_t_ms.iter().zip(&samples.histograms).enumerate() {
                let value = SampleValue::Histogram(Arc::clone(h));
                stored.insert(*t_ms, Sample { value, start_ms: start(&samples.histogram_starts_ms, i) });
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.series.clear();
    }
}

impl SeriesSource for MemorySource {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Box<dyn SeriesHandle>>, SourceError> {
        let selected =
            |labels: &Labels| request.matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or("")));
        let handle = |(labels, samples): (&Labels, &Arc<BTreeMap<i64, Sample>>)| {
            Box::new(Handle { labels: labels.clone(), samples: Arc::clone(samples) }) as Box<dyn SeriesHandle>
        };
        Ok(self.series.iter().filter(|(labels, _)| selected(labels)).map(handle).collect())
    }
}

struct Handle {
    labels: Labels,
    samples: Arc<BTreeMap<i64, Sample>>,
}

impl SeriesHandle for Handle {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, range: TimeRange, out: &mut SampleColumns) -> Result<(), SourceError> {
        out.clear();
        if range.is_empty() {
            return Ok(());
        }
        let last = self.samples.range(..range.start_ms).next_back();
        let mut before = last.and_then(|(_, sample)| sample.before());
        for (t_ms, sample) in self.samples.range(range.start_ms..range.end_ms) {
            match &sample.value {
                SampleValue::Float(value) => {
                    out.t_ms.push(*t_ms);
                    out.values.push(*value);
                    out.starts_ms.push(sample.start_ms);
                }
                SampleValue::Histogram(h) => {
                    out.histogram_t_ms.push(*t_ms);
                    let mut hinted = Arc::clone(h);
                    set_hint(&mut hinted, before);
                    out.histograms.push(hinted);
                    out.histogram_starts_ms.push(sample.start_ms);
                }
            }
            before = sample.before();
        }
        for starts in [&mut out.starts_ms, &mut out.histogram_starts_ms] {
            if starts.iter().all(|start| *start == 0) {
                starts.clear();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Command, parse_script};
    use model::{MatchOp, Matcher};

    #[test]
    fn series_are_found_by_matchers_and_read_by_range() {
        let script = parse_script("load 1m\n m{a=\"1\"} 1 2 3\n m{a=\"2\"} {{count:1}} 2\n@st -1s\n n 5")
            .expect("reads");
        let mut source = MemorySource::new();
        for command in &script {
            if let Command::Load(load) = command {
                source.load(load);
            }
        }
        let read = |label: &str, value: &str, start_ms: i64, end_ms: i64| {
            let matchers = [Matcher::new(label, MatchOp::Equal, value).expect("plain")];
            let range = TimeRange { start_ms, end_ms };
            let found =
                source.select(&SelectRequest { matchers: &matchers, range, step_ms: 0 }).expect("selects");
            let mut out = SampleColumns::default();
            found
                .iter()
                .map(|handle| {
                    handle.read(range, &mut out).expect("reads");
                    out.clone()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(read("__name__", "m", 0, 1).len(), 2);
        assert_eq!(read("a", "1", 60_000, 180_000)[0].values, [2.0, 3.0]);
        assert_eq!(read("a", "2", 0, 180_000)[0].histogram_t_ms, [0]);
        assert_eq!(read("a", "", 0, 1)[0].starts_ms, [-1000]);
        assert!(read("a", "1", 5, 5)[0].is_empty());
        source.clear();
        assert!(source.series.is_empty());
    }
}
