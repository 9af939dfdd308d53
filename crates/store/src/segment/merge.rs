//! Merges segments of one shard into denser ones, series by series.
//!
//! Memory is bounded by the series tables of inputs and outputs and the samples of one series. Where inputs
//! have samples of a series at the same time, the input of higher sequence wins.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Exemplar, Labels, SampleColumns, TimeRange};

use super::columns::{append_floats, append_histograms, merge_columns, retain_times};
use super::layout;
use super::meta::{SegmentId, SegmentMeta, SegmentSpec, StoredMetadata};
use super::reader::{RowReader, Segment};
use super::writer::{SegmentWriter, SeriesInput};
use crate::Tombstone;
use crate::disk::Disk;
use crate::durable;
use crate::error::{Result, StoreError};

/// What a merge shall make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergePlan {
    /// Level of the outputs; above 0 they are encoded densely.
    pub level: u8,
    /// Now, milliseconds.
    pub created_ms: i64,
    /// Samples and exemplars before this time are left out, milliseconds.
    pub oldest_t_ms: i64,
    /// At least one, ascending in time.
    pub slices: Vec<MergeSlice>,
}

/// One output of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeSlice {
    /// The number it gets.
    pub id: SegmentId,
    /// Days since the Unix epoch of its folder.
    pub day: i32,
    /// It takes what lies before this time and after the slice before it, milliseconds. The last slice takes
    /// the rest, whatever this says, so that no plan can lose a sample.
    pub end_ms: i64,
}

/// Merges segments of one shard, given in ascending sequence, and carries out tombstones: `tombstones` must
/// be all that are live in the shard. The outputs are durable when this returns; slices without a sample
/// have none. On an error nothing is left behind. The inputs stay as they are.
pub fn merge_segments(
    disk: &dyn Disk,
    inputs: &[Arc<Segment>],
    tombstones: &[Tombstone],
    plan: &MergePlan,
) -> Result<Vec<SegmentMeta>> {
    let specs = output_specs(inputs, tombstones, plan)?;
    let metadata = merged_metadata(inputs)?;
    let mut writers: Vec<SegmentWriter<'_>> =
        specs.iter().map(|spec| SegmentWriter::new(disk, spec.clone())).collect();
    let mut cursors =
        inputs.iter().map(|segment| Cursor::new(segment, tombstones)).collect::<Result<Vec<_>>>()?;
    while let Some(labels) = cursors.iter().filter_map(|c| c.labels.as_ref()).min().cloned() {
        let mut parts = Vec::new();
        let mut exemplars = Vec::new();
        for cursor in cursors.iter_mut().filter(|c| c.labels.as_ref() == Some(&labels)) {
            parts.push(cursor.take(plan.oldest_t_ms, &mut exemplars)?);
        }
        let columns = merge_columns(&parts);
        tidy(&mut exemplars);
        write_slices(&mut writers, plan, &labels, columns, exemplars)?;
    }
    finish(disk, writers, &metadata)
}

fn output_specs(
    inputs: &[Arc<Segment>],
    tombstones: &[Tombstone],
    plan: &MergePlan,
) -> Result<Vec<SegmentSpec>> {
    let (Some(first), false) = (inputs.first(), plan.slices.is_empty()) else {
        return Err(StoreError::Refused("a merge needs an input and a slice".into()));
    };
    let first = first.meta();
    let metas = || inputs.iter().map(|segment| segment.meta());
    if metas().any(|meta| (&meta.tenant, meta.signal) != (&first.tenant, first.signal)) {
        return Err(StoreError::Refused("segments of different tenants or signals cannot be merged".into()));
    }
    if !metas().is_sorted_by_key(|meta| meta.max_seq) {
        return Err(StoreError::Refused("segments to be merged must come in ascending sequence".into()));
    }
    let applied = metas().map(|meta| meta.tombstones_applied).chain(tombstones.iter().map(|t| t.id)).max();
    let specs = plan.slices.iter().map(|slice| SegmentSpec {
        id: slice.id,
        tenant: first.tenant.clone(),
        signal: first.signal,
        day: slice.day,
        level: plan.level,
        min_seq: metas().map(|meta| meta.min_seq).min().unwrap_or(0),
        max_seq: metas().map(|meta| meta.max_seq).max().unwrap_or(0),
        created_ms: plan.created_ms,
        tombstones_applied: applied.unwrap_or(0),
    });
    Ok(specs.collect())
}

/// Of each metric family what was seen last, by name.
fn merged_metadata(inputs: &[Arc<Segment>]) -> Result<Vec<StoredMetadata>> {
    let mut by_metric: BTreeMap<String, StoredMetadata> = BTreeMap::new();
    for segment in inputs {
        for row in segment.metadata()? {
            match by_metric.get(&row.metadata.metric) {
                Some(known) if known.seen_ms > row.seen_ms => {}
                _ => {
                    by_metric.insert(row.metadata.metric.clone(), row);
                }
            }
        }
    }
    Ok(by_metric.into_values().collect())
}

/// Reads one input row by row.
struct Cursor<'a> {
    segment: &'a Segment,
    reader: RowReader<'a>,
    /// Tombstones that are not yet carried out in this input.
    tombstones: Vec<&'a Tombstone>,
    row: u32,
    /// Labels of the row; `None` at the end.
    labels: Option<Labels>,
}

impl<'a> Cursor<'a> {
    fn new(segment: &'a Arc<Segment>, tombstones: &'a [Tombstone]) -> Result<Self> {
        let meta = segment.meta();
        let concerns = |t: &&Tombstone| t.concerns(meta.max_seq, meta.tombstones_applied);
        let tombstones = tombstones.iter().filter(concerns).collect();
        let mut cursor = Self { segment, reader: segment.reader()?, tombstones, row: 0, labels: None };
        cursor.load_labels()?;
        Ok(cursor)
    }

    fn load_labels(&mut self) -> Result<()> {
        let labels = (self.row < self.reader.rows()).then(|| self.reader.labels(self.row));
        // Rows out of order would end as a series that is written twice.
        if labels.is_some() && labels <= self.labels {
            let [path, _] = self.segment.paths();
            return Err(StoreError::corrupt(
                path,
                0,
                format!("row {} is not in the order of labels", self.row),
            ));
        }
        self.labels = labels;
        Ok(())
    }

    /// The samples of the row less what is deleted or too old; its exemplars are appended. Moves on.
    fn take(&mut self, oldest_t_ms: i64, exemplars: &mut Vec<Exemplar>) -> Result<SampleColumns> {
        let range = TimeRange { start_ms: oldest_t_ms, ..TimeRange::ALL };
        let mut columns = SampleColumns::default();
        self.reader.read(self.row, range, &mut columns)?;
        let mut own = self.reader.exemplars(self.row, range)?;
        if let Some(labels) = &self.labels {
            for tombstone in self.tombstones.iter().filter(|t| t.hides(labels)) {
                retain_times(&mut columns, |t| !tombstone.range.contains(t));
                own.retain(|e| !tombstone.range.contains(e.t_ms));
            }
        }
        exemplars.append(&mut own);
        self.row += 1;
        self.load_labels()?;
        Ok(columns)
    }
}

/// Sorts exemplars by time and drops repeated ones.
fn tidy(exemplars: &mut Vec<Exemplar>) {
    exemplars.sort_by(|a, b| (a.t_ms, &a.labels).cmp(&(b.t_ms, &b.labels)));
    exemplars
        .dedup_by(|a, b| (a.t_ms, &a.labels, a.value.to_bits()) == (b.t_ms, &b.labels, b.value.to_bits()));
}

fn write_slices(
    writers: &mut [SegmentWriter<'_>],
    plan: &MergePlan,
    labels: &Labels,
    columns: SampleColumns,
    exemplars: Vec<Exemplar>,
) -> Result<()> {
    if let [writer] = writers {
        return writer.add(&mut SeriesInput { labels: labels.clone(), columns, exemplars });
    }
    let mut start_ms = i64::MIN;
    let last = plan.slices.len() - 1;
    for (i, (writer, slice)) in writers.iter_mut().zip(&plan.slices).enumerate() {
        let inside = |t: i64| start_ms <= t && (t < slice.end_ms || i == last);
        let exemplars = exemplars.iter().filter(|e| inside(e.t_ms)).cloned().collect();
        let columns = part_of(&columns, inside);
        writer.add(&mut SeriesInput { labels: labels.clone(), columns, exemplars })?;
        start_ms = start_ms.max(slice.end_ms);
    }
    Ok(())
}

/// The samples of a slice. `inside` holds for consecutive times.
fn part_of(columns: &SampleColumns, inside: impl Fn(i64) -> bool) -> SampleColumns {
    let range = |times: &[i64]| {
        let start = times.iter().position(|&t| inside(t)).unwrap_or(times.len());
        start..start + times[start..].partition_point(|&t| inside(t))
    };
    let mut part = SampleColumns::default();
    let floats = range(&columns.t_ms);
    let starts = columns.starts_ms.get(floats.clone());
    append_floats(&mut part, &columns.t_ms[floats.clone()], &columns.values[floats], starts);
    let histograms = range(&columns.histogram_t_ms);
    let starts = columns.histogram_starts_ms.get(histograms.clone());
    let times = &columns.histogram_t_ms[histograms.clone()];
    append_histograms(&mut part, times, &columns.histograms[histograms], starts);
    part
}

fn finish(
    disk: &dyn Disk,
    writers: Vec<SegmentWriter<'_>>,
    metadata: &[StoredMetadata],
) -> Result<Vec<SegmentMeta>> {
    let mut outputs: Vec<SegmentMeta> = Vec::new();
    for writer in writers {
        match writer.finish(metadata) {
            Ok(output) => outputs.extend(output),
            Err(error) => {
                for output in outputs {
                    let paths = layout::paths(&output.tenant, output.signal, output.day, output.id);
                    // What cannot be removed is not in the manifest, and goes at the next start.
                    let _ = durable::remove_files(disk, paths.iter().map(String::as_str));
                }
                return Err(error);
            }
        }
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{floats, labels, open, read, segment, series, spec};
    use super::*;
    use crate::disk::memory::MemoryDisk;
    use crate::segment::{label_hash, write_segment};
    use model::{MatchOp, Matcher, Metadata, MetricType};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    type Samples = BTreeMap<(String, i64), f64>;

    fn plan(slices: &[(u64, i64)], oldest_t_ms: i64) -> MergePlan {
        let slice = |&(id, end_ms): &(u64, i64)| MergeSlice { id: SegmentId(id), day: 20_000, end_ms };
        MergePlan { level: 1, created_ms: 7, oldest_t_ms, slices: slices.iter().map(slice).collect() }
    }

    fn inputs(disk: &MemoryDisk, parts: &[Samples]) -> Vec<Arc<Segment>> {
        let nonempty = parts.iter().enumerate().filter(|(_, part)| !part.is_empty());
        nonempty
            .map(|(i, part)| {
                let names: BTreeSet<&str> = part.keys().map(|(name, _)| name.as_str()).collect();
                let all = names.into_iter().map(|name| {
                    let own = part.iter().filter(|((n, _), _)| n == name);
                    let samples: Vec<(i64, f64)> = own.map(|((_, t), v)| (*t, *v)).collect();
                    series(&[("__name__", name)], floats(&samples))
                });
                segment(disk, &spec(1 + i as u64, 0), all.collect())
            })
            .collect()
    }

    fn contents(disk: &MemoryDisk, metas: &[SegmentMeta]) -> Samples {
        let mut all = Samples::new();
        for meta in metas {
            let segment = open(disk, meta.clone());
            let mut samples = 0;
            for row in 0..segment.rows().expect("table") {
                let labels = segment.labels(row).expect("labels");
                let columns = read(&segment, row, TimeRange::ALL);
                samples += columns.len() as u64;
                for (t, v) in columns.t_ms.into_iter().zip(columns.values) {
                    assert!(meta.min_t_ms <= t && t <= meta.max_t_ms);
                    let name = labels.metric_name().unwrap_or("").to_owned();
                    assert_eq!(all.insert((name, t), v), None, "in two slices");
                }
            }
            assert_eq!(samples, meta.samples);
        }
        all
    }

    fn parts() -> impl Strategy<Value = Vec<Samples>> {
        let name = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("c".to_owned())];
        let part = prop::collection::btree_map((name, 0i64..50), 0u32..100, 0..40);
        let part = part.prop_map(|p| p.into_iter().map(|(k, v)| (k, f64::from(v))).collect());
        prop::collection::vec(part, 1..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_merge_holds_what_was_written_last_less_what_was_deleted(
            parts in parts(),
            ends in prop::collection::vec(0i64..60, 1..4),
            oldest in -10i64..20,
            deleted in (0i64..50, 0i64..30),
            deleted_seq in 0u64..60,
        ) {
            let disk = MemoryDisk::new();
            let inputs = inputs(&disk, &parts);
            prop_assume!(!inputs.is_empty());
            let mut ends = ends;
            ends.sort_unstable();
            let slices: Vec<(u64, i64)> = ends.iter().enumerate().map(|(i, end)| (100 + i as u64, *end)).collect();
            let tombstone = Tombstone {
                id: 3,
                matchers: vec![Matcher::new("__name__", MatchOp::Regex, "a|b").expect("matcher")],
                range: TimeRange { start_ms: deleted.0, end_ms: deleted.0 + deleted.1 },
                seq: deleted_seq,
                created_ms: 0,
            };
            let mut want = Samples::new();
            for (i, part) in parts.iter().enumerate() {
                let concerned = tombstone.concerns(spec(1 + i as u64, 0).max_seq, 0);
                for ((name, t), v) in part {
                    let hidden = concerned && name != "c" && tombstone.range.contains(*t);
                    if *t >= oldest && !hidden {
                        want.insert((name.clone(), *t), *v);
                    }
                }
            }
            let metas = merge_segments(&disk, &inputs, &[tombstone], &plan(&slices, oldest)).expect("merged");
            disk.crash(0);
            prop_assert_eq!(contents(&disk, &metas), want);
            for meta in &metas {
                prop_assert_eq!((meta.level, meta.tombstones_applied), (1, 3));
                prop_assert_eq!(meta.max_seq, inputs[inputs.len() - 1].meta().max_seq);
            }
        }
    }

    #[test]
    fn metadata_keeps_what_was_seen_last_and_exemplars_are_not_repeated() {
        let disk = MemoryDisk::new();
        let exemplar = Exemplar { t_ms: 3, value: 1.0, labels: labels(&[("trace_id", "x")]) };
        let mut inputs = Vec::new();
        for (id, seen_ms, help) in [(1, 50, "newer"), (2, 40, "older")] {
            let mut input = series(&[("__name__", "m")], floats(&[(id as i64, 1.0)]));
            input.exemplars = vec![exemplar.clone()];
            let metadata = Metadata {
                metric: "m".into(),
                kind: MetricType::Counter,
                unit: "".into(),
                help: help.into(),
            };
            let metadata = [StoredMetadata { metadata, seen_ms }];
            let meta = write_segment(&disk, &spec(id, 0), &mut [Ok(input)].into_iter(), &metadata);
            inputs.push(open(&disk, meta.expect("written").expect("not empty")));
        }
        let metas = merge_segments(&disk, &inputs, &[], &plan(&[(9, 0)], 0)).expect("merged");
        let merged = open(&disk, metas[0].clone());
        assert_eq!(merged.metadata().expect("metadata")[0].metadata.help, "newer");
        assert_eq!(merged.exemplars(0, TimeRange::ALL).expect("exemplars"), [exemplar]);
        assert_eq!(merged.label_hash(0).expect("hash"), label_hash(&labels(&[("__name__", "m")])));
        assert_eq!(read(&merged, 0, TimeRange::ALL), floats(&[(1, 1.0), (2, 1.0)]));
    }

    #[test]
    fn a_full_disk_leaves_the_inputs_alone() {
        let disk = MemoryDisk::new();
        let part = |v: f64| (0..40).map(|t| (("a".to_owned(), t), v * t as f64)).collect::<Samples>();
        let inputs = inputs(&disk, &[part(1.5), part(0.3)]);
        let folder = "tenants/default/metrics/2024-10-04";
        let before = disk.list(folder).expect("folder");
        let bytes: u64 = inputs.iter().map(|i| i.meta().bytes).sum();
        for spare in [10, 500, 1_500, 2_000] {
            disk.set_bytes_max(Some(bytes + spare));
            let merged = merge_segments(&disk, &inputs, &[], &plan(&[(90, 10), (91, 20)], 0));
            assert!(merged.is_err_and(|e| e.is_disk_full()), "{spare}");
            assert_eq!(disk.list(folder).expect("folder"), before, "{spare}");
        }
    }

    #[test]
    fn inputs_that_do_not_belong_together_are_refused() {
        let disk = MemoryDisk::new();
        let part: Samples = [(("a".to_owned(), 1), 1.0)].into();
        let inputs = inputs(&disk, &[part.clone(), part]);
        let swapped = [inputs[1].clone(), inputs[0].clone()];
        for (inputs, slices) in [(&[][..], &[(9, 0)][..]), (&inputs[..], &[]), (&swapped[..], &[(9, 0)])] {
            let merged = merge_segments(&disk, inputs, &[], &plan(slices, 0));
            assert!(matches!(merged, Err(StoreError::Refused(_))));
        }
    }
}
