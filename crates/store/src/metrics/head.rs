//! The samples of one epoch of a shard, in memory, in the order of their sequences.
//!
//! The committer adds; queries read at the same time, series by series. A head that is frozen gets no more
//! rows and lives until its segment is in the manifest and the last snapshot that has it ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use model::{Exemplar, FloatHistogram, Labels, Metadata, Point, SampleColumns, TimeRange};
use parking_lot::RwLock;
use roaring::RoaringBitmap;

use super::arena::{Arena, Chain};
use super::index::SeriesIndex;
use super::rows::{Declared, LocalId, MetricRows, Slot};
use crate::heads::{Facts, Head};
use crate::segment::StoredMetadata;

/// Where a series that was not declared stands; a group that failed may leave such gaps.
const NO_SLOT: Slot = Slot::MAX;

/// Exemplars kept of one series in one head; the newest replace the oldest.
const EXEMPLARS_MAX: usize = 128;

struct HeadSeries {
    slot: Slot,
    chain: Chain,
    points: u32,
    min_t_ms: i64,
    max_t_ms: i64,
}

struct HistogramSample {
    t_ms: i64,
    start_ms: i64,
    value: Arc<FloatHistogram>,
    /// Float samples of the series that came before it.
    points_before: u32,
}

/// What few series have.
#[derive(Default)]
struct Side {
    /// Start timestamps of the first float samples; the rest have none.
    starts_ms: Vec<i64>,
    histograms: Vec<HistogramSample>,
    exemplars: Vec<Exemplar>,
}

#[derive(Default)]
struct Inner {
    series: Vec<HeadSeries>,
    by_slot: Vec<LocalId>,
    present: RoaringBitmap,
    arena: Arena,
    sides: HashMap<LocalId, Side>,
    side_bytes: usize,
    metadata: BTreeMap<String, StoredMetadata>,
    facts: Facts,
}

/// A head.
pub(crate) struct MetricHead {
    pub(crate) epoch: u64,
    index: Arc<RwLock<SeriesIndex>>,
    inner: RwLock<Inner>,
}

impl Head for MetricHead {
    fn facts(&self) -> Facts {
        let inner = self.inner.read();
        // A series takes its entry, a slot and a bit.
        let bytes = inner.arena.bytes()
            + inner.side_bytes
            + inner.series.capacity() * size_of::<HeadSeries>()
            + inner.by_slot.capacity() * size_of::<LocalId>();
        Facts { series: inner.present.len() as usize, bytes, ..inner.facts }
    }
}

impl MetricHead {
    pub(crate) fn new(epoch: u64, index: Arc<RwLock<SeriesIndex>>) -> Self {
        Self { epoch, index, inner: RwLock::default() }
    }

    /// The number of a series in this head, given on first use. Only replay asks: a write numbers its series
    /// when it is staged.
    pub(crate) fn declare(&self, slot: Slot) -> LocalId {
        let inner = &mut *self.inner.write();
        match inner.local(slot) {
            Some(local) => local,
            None => {
                let local = inner.series.len() as LocalId;
                inner.put(local, slot);
                local
            }
        }
    }

    /// Adds the rows of one record. Rows of series that were never declared are left out.
    pub(crate) fn apply(&self, rows: MetricRows, seq: u64) {
        let inner = &mut *self.inner.write();
        for Declared { local, slot, .. } in &rows.declared {
            inner.put(*local, *slot);
        }
        let mut points = rows.points.as_slice();
        let mut starts = rows.starts_ms.as_slice();
        for run in &rows.runs {
            let (of_run, rest) = points.split_at(run.count as usize);
            points = rest;
            let (starts_of_run, rest) = starts.split_at((run.count as usize).min(starts.len()));
            starts = rest;
            inner.add_points(run.local, of_run, starts_of_run);
        }
        let mut histograms = rows.histograms.into_iter();
        let mut starts = rows.histogram_starts_ms.into_iter();
        for run in &rows.histogram_runs {
            for (t_ms, value) in histograms.by_ref().take(run.count as usize) {
                inner.add_histogram(run.local, t_ms, value, starts.next().unwrap_or(0));
            }
        }
        for (local, exemplar) in rows.exemplars {
            inner.add_exemplar(local, exemplar);
        }
        for metadata in rows.metadata {
            inner.add_metadata(metadata, rows.received_ms);
        }
        inner.facts.add_record(seq, rows.received_ms);
    }

    /// Those of a set of series that are in this head and may have samples in the range: number, labels and
    /// identity of each.
    pub(crate) fn find(
        &self,
        of: &RoaringBitmap,
        range: TimeRange,
        mut each: impl FnMut(LocalId, &Labels, u128),
    ) {
        let index = self.index.read();
        let inner = self.inner.read();
        for slot in (of & &inner.present).iter() {
            let Some(local) = inner.local(slot) else { continue };
            let series = &inner.series[local as usize];
            if series.min_t_ms < range.end_ms
                && range.start_ms <= series.max_t_ms
                && let Some((labels, hash)) = index.identity(slot)
            {
                each(local, labels, hash);
            }
        }
    }

    /// The slots of the series that may have samples in the range.
    pub(crate) fn slots(&self, range: TimeRange) -> RoaringBitmap {
        let inner = self.inner.read();
        let facts = &inner.facts;
        if range.start_ms <= facts.min_t_ms && facts.max_t_ms < range.end_ms {
            return inner.present.clone();
        }
        let inside = |s: &&HeadSeries| s.min_t_ms < range.end_ms && range.start_ms <= s.max_t_ms;
        inner.series.iter().filter(|s| s.slot != NO_SLOT).filter(inside).map(|s| s.slot).collect()
    }

    /// All series of the head, sorted by labels.
    pub(crate) fn sorted_series(&self) -> Vec<(Labels, LocalId)> {
        let index = self.index.read();
        let inner = self.inner.read();
        let series = inner.present.iter().filter_map(|slot| {
            let local = inner.local(slot)?;
            index.labels(slot).map(|labels| (labels.clone(), local))
        });
        let mut series: Vec<_> = series.collect();
        series.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        series
    }

    /// Replaces `out` by the samples of a series inside the range, sorted and unique, the last write of each
    /// time winning.
    pub(crate) fn read(&self, local: LocalId, range: TimeRange, out: &mut SampleColumns) {
        out.clear();
        let inner = self.inner.read();
        let Some(series) = inner.series.get(local as usize) else { return };
        let points = inner.arena.iter(series.chain);
        let Some(side) = inner.sides.get(&local) else {
            read_points(points, range, out);
            return;
        };
        let mut samples: Vec<Sample<'_>> = Vec::with_capacity(series.points as usize + side.histograms.len());
        let mut histograms = side.histograms.iter().peekable();
        for (i, point) in points.enumerate() {
            while let Some(h) = histograms.next_if(|h| h.points_before as usize <= i) {
                samples.push((h.t_ms, h.start_ms, Value::Histogram(&h.value)));
            }
            let start_ms = side.starts_ms.get(i).copied().unwrap_or(0);
            samples.push((point.t_ms, start_ms, Value::Float(point.value)));
        }
        samples.extend(histograms.map(|h| (h.t_ms, h.start_ms, Value::Histogram(&h.value))));
        samples.retain(|sample| range.contains(sample.0));
        samples.sort_by_key(|sample| sample.0);
        write_samples(&samples, out);
    }

    /// Exemplars of a series inside the range, in order of time.
    pub(crate) fn exemplars(&self, local: LocalId, range: TimeRange) -> Vec<Exemplar> {
        let inner = self.inner.read();
        let all = inner.sides.get(&local).map_or(&[][..], |side| &side.exemplars);
        let mut inside: Vec<_> = all.iter().filter(|e| range.contains(e.t_ms)).cloned().collect();
        inside.sort_by_key(|e| e.t_ms);
        inside
    }

    /// Takes over metadata of an older head; what is here is newer.
    pub(crate) fn take_over(&self, metadata: Vec<StoredMetadata>) {
        let inner = &mut *self.inner.write();
        for stored in metadata {
            inner.metadata.entry(stored.metadata.metric.clone()).or_insert(stored);
        }
    }

    /// Metadata of metric families, in no order.
    pub(crate) fn metadata(&self) -> Vec<StoredMetadata> {
        self.inner.read().metadata.values().cloned().collect()
    }
}

enum Value<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

type Sample<'a> = (i64, i64, Value<'a>);

/// Floats without starts or histograms beside them, the usual case.
fn read_points(points: impl Iterator<Item = Point>, range: TimeRange, out: &mut SampleColumns) {
    let mut sorted = true;
    for point in points.filter(|point| range.contains(point.t_ms)) {
        match out.t_ms.last() {
            Some(last) if *last == point.t_ms && sorted => {
                out.values.pop();
                out.values.push(point.value);
                continue;
            }
            Some(last) => sorted &= *last < point.t_ms,
            None => {}
        }
        out.t_ms.push(point.t_ms);
        out.values.push(point.value);
    }
    if sorted {
        return;
    }
    let pairs = out.t_ms.iter().zip(&out.values);
    let mut points: Vec<_> = pairs.map(|(t_ms, value)| Point { t_ms: *t_ms, value: *value }).collect();
    points.sort_by_key(|point| point.t_ms);
    out.clear();
    for (i, point) in points.iter().enumerate() {
        if points.get(i + 1).is_none_or(|next| next.t_ms != point.t_ms) {
            out.t_ms.push(point.t_ms);
            out.values.push(point.value);
        }
    }
}

/// Writes sorted samples by kind, the last of each time.
fn write_samples(samples: &[Sample<'_>], out: &mut SampleColumns) {
    let last = samples.iter().enumerate().filter(|(i, s)| samples.get(i + 1).is_none_or(|n| n.0 != s.0));
    for (_, (t_ms, start_ms, value)) in last {
        match value {
            Value::Float(value) => {
                out.t_ms.push(*t_ms);
                out.values.push(*value);
                out.starts_ms.push(*start_ms);
            }
            Value::Histogram(value) => {
                out.histogram_t_ms.push(*t_ms);
                out.histograms.push(Arc::clone(value));
                out.histogram_starts_ms.push(*start_ms);
            }
        }
    }
    for starts in [&mut out.starts_ms, &mut out.histogram_starts_ms] {
        if starts.iter().all(|start| *start == 0) {
            starts.clear();
        }
    }
}

impl Inner {
    fn local(&self, slot: Slot) -> Option<LocalId> {
        self.by_slot.get(slot as usize).copied().filter(|local| *local != LocalId::MAX)
    }

    fn put(&mut self, local: LocalId, slot: Slot) {
        while self.series.len() <= local as usize {
            self.series.push(HeadSeries {
                slot: NO_SLOT,
                chain: Chain::EMPTY,
                points: 0,
                min_t_ms: i64::MAX,
                max_t_ms: i64::MIN,
            });
        }
        self.series[local as usize].slot = slot;
        if self.by_slot.len() <= slot as usize {
            self.by_slot.resize(slot as usize + 1, LocalId::MAX);
        }
        self.by_slot[slot as usize] = local;
        self.present.insert(slot);
    }

    fn add_points(&mut self, local: LocalId, points: &[Point], starts_ms: &[i64]) {
        let Some(series) = self.series.get_mut(local as usize) else { return };
        let before = series.points as usize;
        self.arena.extend(&mut series.chain, points);
        series.points += points.len() as u32;
        for point in points {
            series.min_t_ms = series.min_t_ms.min(point.t_ms);
            series.max_t_ms = series.max_t_ms.max(point.t_ms);
        }
        self.facts.min_t_ms = self.facts.min_t_ms.min(series.min_t_ms);
        self.facts.max_t_ms = self.facts.max_t_ms.max(series.max_t_ms);
        self.facts.samples += points.len() as u64;
        if starts_ms.iter().any(|start| *start != 0) {
            let side = self.sides.entry(local).or_default();
            side.starts_ms.resize(before, 0);
            side.starts_ms.extend_from_slice(starts_ms);
            self.side_bytes += 8 * starts_ms.len();
        }
    }

    fn add_histogram(&mut self, local: LocalId, t_ms: i64, value: Arc<FloatHistogram>, start_ms: i64) {
        let Some(series) = self.series.get_mut(local as usize) else { return };
        series.min_t_ms = series.min_t_ms.min(t_ms);
        series.max_t_ms = series.max_t_ms.max(t_ms);
        self.facts.min_t_ms = self.facts.min_t_ms.min(t_ms);
        self.facts.max_t_ms = self.facts.max_t_ms.max(t_ms);
        self.facts.samples += 1;
        self.side_bytes += size_of::<HistogramSample>() + size_of::<FloatHistogram>() + value.heap_bytes();
        let sample = HistogramSample { t_ms, start_ms, value, points_before: series.points };
        self.sides.entry(local).or_default().histograms.push(sample);
    }

    fn add_exemplar(&mut self, local: LocalId, exemplar: Exemplar) {
        if (local as usize) < self.series.len() {
            let exemplars = &mut self.sides.entry(local).or_default().exemplars;
            // Senders repeat the last exemplar with every scrape.
            if exemplars.last() == Some(&exemplar) {
                return;
            }
            if exemplars.len() == EXEMPLARS_MAX {
                exemplars.remove(0);
            } else {
                self.side_bytes += size_of::<Exemplar>() + exemplar.labels.bytes();
            }
            exemplars.push(exemplar);
        }
    }

    fn add_metadata(&mut self, metadata: Metadata, seen_ms: i64) {
        let metric = metadata.metric.clone();
        let bytes = 2 * metric.len() + metadata.unit.len() + metadata.help.len() + 128;
        if self.metadata.insert(metric, StoredMetadata { metadata, seen_ms }).is_none() {
            self.side_bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::rows::Run;
    use super::*;

    fn head_with(series: usize) -> MetricHead {
        let index = Arc::new(RwLock::new(SeriesIndex::default()));
        let head = MetricHead::new(1, Arc::clone(&index));
        for i in 0..series {
            let name = format!("m{}", series - i);
            let labels = Labels::from_pairs([("__name__", name.as_str())]).expect("labels");
            let slot = index.write().insert(labels);
            head.declare(slot);
        }
        head
    }

    fn floats(local: LocalId, samples: &[(i64, f64)]) -> MetricRows {
        MetricRows {
            runs: vec![Run { local, count: samples.len() as u32 }],
            points: samples.iter().map(|(t_ms, value)| Point { t_ms: *t_ms, value: *value }).collect(),
            ..MetricRows::default()
        }
    }

    #[test]
    fn a_histogram_and_a_float_of_one_time_replace_each_other() {
        let head = head_with(1);
        let histogram = |t_ms| MetricRows {
            histogram_runs: vec![Run { local: 0, count: 1 }],
            histograms: vec![(t_ms, Arc::new(FloatHistogram::default()))],
            histogram_starts_ms: vec![9],
            ..MetricRows::default()
        };
        head.apply(floats(0, &[(1, 1.0), (2, 2.0)]), 1);
        head.apply(histogram(2), 2);
        head.apply(histogram(3), 3);
        head.apply(floats(0, &[(3, 3.0)]), 4);
        let mut out = SampleColumns::default();
        head.read(0, TimeRange::ALL, &mut out);
        assert_eq!((out.t_ms, out.histogram_t_ms), (vec![1, 3], vec![2]));
        assert_eq!((out.starts_ms, out.histogram_starts_ms), (vec![], vec![9]));
        assert_eq!((head.facts().samples, head.facts().min_seq, head.facts().max_seq), (5, 1, 4));
    }

    #[test]
    fn starts_belong_to_their_samples() {
        let head = head_with(1);
        head.apply(floats(0, &[(1, 1.0)]), 1);
        head.apply(MetricRows { starts_ms: vec![0, 2], ..floats(0, &[(5, 5.0), (3, 3.0)]) }, 2);
        head.apply(floats(0, &[(6, 6.0)]), 3);
        let mut out = SampleColumns::default();
        head.read(0, TimeRange::ALL, &mut out);
        assert_eq!((out.t_ms, out.starts_ms), (vec![1, 3, 5, 6], vec![0, 2, 0, 0]));
    }

    #[test]
    fn series_come_sorted_by_labels() {
        let head = head_with(3);
        let names: Vec<_> = head.sorted_series().into_iter().map(|(l, id)| (l.to_string(), id)).collect();
        assert_eq!(names, [("m1".into(), 2), ("m2".into(), 1), ("m3".into(), 0)]);
    }

    proptest! {
        #[test]
        fn the_last_write_of_each_time_wins(writes: Vec<Vec<(i8, i8, u32)>>, start in -20..20i64, end in -20..20i64) {
            let head = head_with(3);
            let mut want = BTreeMap::new();
            for (seq, write) in writes.iter().enumerate() {
                for (t, series, value) in write {
                    let (series, t) = (series.rem_euclid(3) as u32, i64::from(*t));
                    head.apply(floats(series, &[(t, f64::from(*value))]), seq as u64 + 1);
                    want.insert((series, t), f64::from(*value));
                }
            }
            let range = TimeRange { start_ms: start, end_ms: end };
            for series in 0..3 {
                let mut out = SampleColumns::default();
                head.read(series, range, &mut out);
                let got: Vec<_> = out.t_ms.into_iter().zip(out.values).collect();
                let want: Vec<_> = want.iter().filter(|((s, t), _)| *s == series && range.contains(*t))
                    .map(|((_, t), v)| (*t, *v)).collect();
                prop_assert_eq!(got, want);
            }
        }
    }
}
