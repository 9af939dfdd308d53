//! A tenant's metrics at one moment: segments and heads in which every row is exactly once.
//!
//! Files and heads that a snapshot needs live until it is dropped. Rows that are committed later into a head
//! it holds may be seen too.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;
use model::{Exemplar, Labels, METRIC_NAME, Matcher, SampleColumns, Signal, TenantId, TimeRange};
use parking_lot::RwLock;
use roaring::RoaringBitmap;

use crate::engine::Engine;
use crate::error::Result;
use crate::heads::Head;
use crate::metrics::{LocalId, MetricHead, SeriesIndex};
use crate::segment::{StoredMetadata, merge_columns, retain_times};
use crate::tombstone::Tombstone;
use crate::view::{LiveSegment, ShardView};
use crate::wal::ShardKey;

/// A tenant's metrics at one moment.
#[derive(Clone)]
pub struct MetricSnapshot {
    segments: ShardView,
    heads: Vec<Arc<MetricHead>>,
    index: Option<Arc<RwLock<SeriesIndex>>>,
    /// What every series seen must fulfil.
    within: Arc<[Matcher]>,
}

/// A series that matched. Its samples have not been read yet.
pub struct StoredSeries {
    labels: Labels,
    /// In the order in which later ones win.
    sources: Vec<Source>,
}

enum Source {
    Segment { segment: Arc<LiveSegment>, row: u32, deleted: Vec<TimeRange> },
    Head { head: Arc<MetricHead>, local: LocalId },
}

impl Engine {
    /// A tenant's metrics as they are now. What is not replayed yet is missing: see [`Engine::replayed`].
    pub fn snapshot(&self, tenant: &TenantId) -> MetricSnapshot {
        let key = ShardKey { tenant: tenant.clone(), signal: Signal::Metrics };
        let shard = self.known_metrics(tenant);
        // Heads and segments change together, under the lock of the view.
        let all_heads = || shard.as_ref().map(|shard| shard.with_heads(|heads| heads.all()));
        let (view, heads) = self.view_with(all_heads);
        MetricSnapshot {
            segments: view.shards.get(&key).cloned().unwrap_or_default(),
            heads: heads.unwrap_or_default(),
            index: shard.map(|shard| Arc::clone(&shard.index)),
            within: Arc::default(),
        }
    }
}

impl MetricSnapshot {
    /// The same moment with only the series that these matchers accept, too; to whoever asks it, others do not
    /// exist.
    #[must_use]
    pub fn within(mut self, matchers: &[Matcher]) -> Self {
        self.within = self.within.iter().chain(matchers).cloned().collect();
        self
    }

    /// The matchers of a question and those of everyone who asks.
    fn narrowed<'a>(&self, matchers: &'a [Matcher]) -> Cow<'a, [Matcher]> {
        if self.within.is_empty() {
            return Cow::Borrowed(matchers);
        }
        Cow::Owned(matchers.iter().chain(self.within.iter()).cloned().collect())
    }

    /// The series that all matchers accept and that may have samples in the range, each once, in no order.
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<StoredSeries>> {
        let matchers = &*self.narrowed(matchers);
        let mut found = Found::default();
        for segment in self.segments_in(range) {
            let tombstones = self.tombstones(segment, range);
            for row in segment.segment.select(matchers, range)? {
                let hash = segment.segment.label_hash(row)?;
                let labels = || segment.segment.labels(row);
                let deleted = deleted(&tombstones, labels)?;
                if !is_all_deleted(segment, range, &deleted) {
                    let source = Source::Segment { segment: Arc::clone(segment), row, deleted };
                    found.add(hash, labels, source)?;
                }
            }
        }
        let slots = self.slots(matchers);
        for head in &self.heads {
            let mut added = Ok(());
            head.find(&slots, range, |local, labels, hash| {
                let source = Source::Head { head: Arc::clone(head), local };
                if added.is_ok() {
                    added = found.add(hash, || Ok(labels.clone()), source);
                }
            });
            added?;
        }
        Ok(found.series)
    }

    /// Names of the labels of series that all matchers accept, sorted. Without matchers it reads no series.
    pub fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<BTreeSet<String>> {
        let matchers = &*self.narrowed(matchers);
        let mut names = BTreeSet::new();
        for segment in self.segments_in(range) {
            let rows = self.rows(segment, matchers, range)?;
            names.extend(segment.segment.label_names(rows.as_deref())?);
        }
        self.with_head_slots(matchers, range, |index, slots| index.names(slots, &mut names));
        Ok(names)
    }

    /// Values of a label of series that all matchers accept, sorted. Without matchers it reads no series.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<BTreeSet<String>> {
        let matchers = &*self.narrowed(matchers);
        let mut values = BTreeSet::new();
        for segment in self.segments_in(range) {
            let rows = self.rows(segment, matchers, range)?;
            values.extend(segment.segment.label_values(name, rows.as_deref())?);
        }
        self.with_head_slots(matchers, range, |index, slots| index.values(name, slots, &mut values));
        Ok(values)
    }

    /// Labels of at most `limit` series that all matchers accept, sorted, and whether there are more.
    pub fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        limit: usize,
    ) -> Result<(Vec<Labels>, bool)> {
        let mut labels: Vec<_> = self.select(matchers, range)?.into_iter().map(|s| s.labels).collect();
        labels.sort_unstable();
        let more = labels.len() > limit;
        labels.truncate(limit);
        Ok((labels, more))
    }

    /// Exemplars inside the range of series that all matchers accept, each series' in order of time.
    pub fn exemplars(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<(Labels, Vec<Exemplar>)>> {
        let mut all = Vec::new();
        for series in self.select(matchers, range)? {
            let mut exemplars: Vec<Exemplar> = Vec::new();
            for source in &series.sources {
                exemplars.extend(source.exemplars(range)?);
            }
            exemplars.sort_by_key(|exemplar| exemplar.t_ms);
            exemplars.dedup();
            if !exemplars.is_empty() {
                all.push((series.labels, exemplars));
            }
        }
        Ok(all)
    }

    /// Metadata of metric families as last seen, by name; of one family where `metric` is given. A family without
    /// a series that may be seen is left out.
    pub fn metadata(&self, metric: Option<&str>) -> Result<Vec<StoredMetadata>> {
        let mut all = self.all_metadata(metric)?;
        if !self.within.is_empty() {
            let names = self.label_values(METRIC_NAME, &[], TimeRange::ALL)?;
            all.retain(|stored| has_series(&stored.metadata.metric, &names));
        }
        Ok(all)
    }

    fn all_metadata(&self, metric: Option<&str>) -> Result<Vec<StoredMetadata>> {
        let mut all: HashMap<String, StoredMetadata> = HashMap::new();
        let mut add = |stored: StoredMetadata| {
            if metric.is_some_and(|metric| metric != stored.metadata.metric) {
                return;
            }
            match all.get_mut(&stored.metadata.metric) {
                Some(known) if known.seen_ms > stored.seen_ms => {}
                Some(known) => *known = stored,
                None => {
                    all.insert(stored.metadata.metric.clone(), stored);
                }
            }
        };
        for segment in &self.segments.segments {
            segment.segment.metadata()?.into_iter().for_each(&mut add);
        }
        for head in &self.heads {
            head.metadata().into_iter().for_each(&mut add);
        }
        let mut all: Vec<_> = all.into_values().collect();
        all.sort_unstable_by(|a, b| a.metadata.metric.cmp(&b.metadata.metric));
        Ok(all)
    }

    /// First and last time of any sample, milliseconds; `None` where there is none, and where only a part of
    /// the series may be seen.
    pub fn time_span(&self) -> Option<(i64, i64)> {
        if !self.within.is_empty() {
            return None;
        }
        let segments = self.segments.segments.iter().map(|s| (s.meta().min_t_ms, s.meta().max_t_ms));
        let facts = self.heads.iter().map(|head| head.facts());
        let heads = facts.filter(|facts| facts.samples > 0).map(|facts| (facts.min_t_ms, facts.max_t_ms));
        segments.chain(heads).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    fn segments_in(&self, range: TimeRange) -> impl Iterator<Item = &Arc<LiveSegment>> {
        self.segments.segments.iter().filter(move |segment| {
            segment.meta().min_t_ms < range.end_ms && range.start_ms <= segment.meta().max_t_ms
        })
    }

    fn tombstones(&self, segment: &LiveSegment, range: TimeRange) -> Vec<&Tombstone> {
        let meta = segment.meta();
        let concerns = |t: &&Tombstone| t.concerns(meta.max_seq, meta.tombstones_applied);
        self.segments.tombstones.iter().filter(concerns).filter(|t| t.range.overlaps(&range)).collect()
    }

    /// The rows of a segment to look at; `None` where all are.
    fn rows(
        &self,
        segment: &LiveSegment,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Option<Vec<u32>>> {
        let tombstones = self.tombstones(segment, range);
        if matchers.is_empty() && tombstones.is_empty() {
            return Ok(None);
        }
        let mut rows = segment.segment.select(matchers, range)?;
        if !tombstones.is_empty() {
            let mut kept = Vec::with_capacity(rows.len());
            for row in rows {
                let deleted = deleted(&tombstones, || segment.segment.labels(row))?;
                if !is_all_deleted(segment, range, &deleted) {
                    kept.push(row);
                }
            }
            rows = kept;
        }
        Ok(Some(rows))
    }

    fn slots(&self, matchers: &[Matcher]) -> RoaringBitmap {
        self.index.as_ref().map(|index| index.read().select(matchers)).unwrap_or_default()
    }

    fn with_head_slots(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        act: impl FnOnce(&SeriesIndex, &RoaringBitmap),
    ) {
        let Some(index) = &self.index else { return };
        let mut present = RoaringBitmap::new();
        self.heads.iter().for_each(|head| present |= head.slots(range));
        let index = index.read();
        if !matchers.is_empty() {
            present &= index.select(matchers);
        }
        act(&index, &present);
    }
}

/// What the names of a family's series may have behind the family's own.
const SUFFIXES: [&str; 7] = ["_total", "_bucket", "_count", "_sum", "_info", "_created", "_gcount"];

/// True when one of the names is of a series of the family.
fn has_series(family: &str, names: &BTreeSet<String>) -> bool {
    names.contains(family) || SUFFIXES.iter().any(|suffix| names.contains(&format!("{family}{suffix}")))
}

#[derive(Default)]
struct Found {
    by_hash: HashMap<u128, usize>,
    series: Vec<StoredSeries>,
}

impl Found {
    fn add(&mut self, hash: u128, labels: impl FnOnce() -> Result<Labels>, source: Source) -> Result<()> {
        match self.by_hash.get(&hash) {
            Some(at) => self.series[*at].sources.push(source),
            None => {
                self.by_hash.insert(hash, self.series.len());
                self.series.push(StoredSeries { labels: labels()?, sources: vec![source] });
            }
        }
        Ok(())
    }
}

/// The ranges in which a series is deleted.
fn deleted(tombstones: &[&Tombstone], labels: impl FnOnce() -> Result<Labels>) -> Result<Vec<TimeRange>> {
    if tombstones.is_empty() {
        return Ok(Vec::new());
    }
    let labels = labels()?;
    Ok(tombstones.iter().filter(|t| t.hides(&labels)).map(|t| t.range).collect())
}

/// True when nothing that a segment may have inside the range is left.
fn is_all_deleted(segment: &LiveSegment, range: TimeRange, deleted: &[TimeRange]) -> bool {
    let start_ms = range.start_ms.max(segment.meta().min_t_ms);
    let last_ms = (range.end_ms - 1).min(segment.meta().max_t_ms);
    deleted.iter().any(|gone| gone.start_ms <= start_ms && last_ms < gone.end_ms)
}

impl StoredSeries {
    /// The series' labels, the name included.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Replaces `out` by the samples inside the range, sorted by time, unique in it, the last write of each
    /// time winning.
    pub fn read(&self, range: TimeRange, out: &mut SampleColumns) -> Result<()> {
        out.clear();
        if let [source] = self.sources.as_slice() {
            return source.read(range, out);
        }
        let mut parts = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            let mut part = SampleColumns::default();
            source.read(range, &mut part)?;
            if !part.is_empty() {
                parts.push(part);
            }
        }
        *out = merge_columns(&parts);
        Ok(())
    }
}

impl Source {
    fn read(&self, range: TimeRange, out: &mut SampleColumns) -> Result<()> {
        match self {
            Self::Head { head, local } => head.read(*local, range, out),
            Self::Segment { segment, row, deleted } => {
                segment.segment.read(*row, range, out)?;
                if !deleted.is_empty() {
                    retain_times(out, |t_ms| !deleted.iter().any(|gone| gone.contains(t_ms)));
                }
            }
        }
        Ok(())
    }

    fn exemplars(&self, range: TimeRange) -> Result<Vec<Exemplar>> {
        match self {
            Self::Head { head, local } => Ok(head.exemplars(*local, range)),
            Self::Segment { segment, row, deleted } => {
                let mut exemplars = segment.segment.exemplars(*row, range)?;
                exemplars.retain(|e| !deleted.iter().any(|gone| gone.contains(e.t_ms)));
                Ok(exemplars)
            }
        }
    }
}
