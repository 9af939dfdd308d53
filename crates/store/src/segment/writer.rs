//! Writes a segment, series by series.
//!
//! Memory is bounded by the series table, the timestamps seen of late, and one series. Nothing counts as
//! written until [`SegmentWriter::finish`] returns; a writer that is dropped before removes its files.

use std::sync::Arc;

use hashbrown::HashMap;
use model::{Exemplar, Labels, SampleColumns};
use xxhash_rust::xxh3::xxh3_64;

use super::chunk::{self, Effort};
use super::chunk_list::{ChunkEntry, ChunkKind};
use super::columns::time_span;
use super::layout::{self, Directory, Footer, Vector};
use super::meta::{SegmentMeta, SegmentSpec, StoredMetadata};
use super::slices;
use super::table::{RowFacts, TableBuilder};
use crate::disk::{Disk, DiskFile};
use crate::durable;
use crate::error::{Result, StoreError};

/// One series on its way into a segment.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesInput {
    /// Its labels.
    pub labels: Labels,
    /// Its samples, sorted by time and unique in it.
    pub columns: SampleColumns,
    /// Its exemplars, in any order.
    pub exemplars: Vec<Exemplar>,
}

/// Bytes collected before they go to the file.
const WRITE_BYTES: usize = 1 << 20;
/// Timestamps remembered so that later series can share them. A scrape's series come together by metric,
/// so each vector comes again once per metric. This many take 32 MiB: ten thousand vectors of an hour.
const SHARED_TIMES_MAX: usize = 4 << 20;

/// Writes all series, which must come sorted by labels, as one segment. It is durable when this returns;
/// `None` when there was nothing to write. On an error nothing is left behind.
pub fn write_segment(
    disk: &dyn Disk,
    spec: &SegmentSpec,
    series: &mut dyn Iterator<Item = Result<SeriesInput>>,
    metadata: &[StoredMetadata],
) -> Result<Option<SegmentMeta>> {
    let mut writer = SegmentWriter::new(disk, spec.clone());
    for input in series {
        writer.add(&mut input?)?;
    }
    writer.finish(metadata)
}

/// A segment in the making.
pub(crate) struct SegmentWriter<'a> {
    disk: &'a dyn Disk,
    spec: SegmentSpec,
    effort: Effort,
    table_path: String,
    chunks_path: String,
    file: Option<Box<dyn DiskFile>>,
    /// Bytes that are in the file.
    written: u64,
    /// Bytes that follow them.
    pending: Vec<u8>,
    table: TableBuilder,
    directory: Directory,
    shared: SharedTimes,
    last_labels: Option<Labels>,
    list: Vec<u8>,
    samples: u64,
    span: Option<(i64, i64)>,
    is_finished: bool,
}

/// Vectors of timestamps seen of late, by hash; equality is checked.
#[derive(Default)]
struct SharedTimes {
    by_hash: HashMap<u64, (u32, Arc<[i64]>)>,
    times: usize,
}

impl<'a> SegmentWriter<'a> {
    pub(crate) fn new(disk: &'a dyn Disk, spec: SegmentSpec) -> Self {
        let [table_path, chunks_path] = layout::paths(&spec.tenant, spec.signal, spec.day, spec.id);
        Self {
            disk,
            effort: if spec.level == 0 { Effort::Quick } else { Effort::Dense },
            spec,
            table_path,
            chunks_path,
            file: None,
            written: 0,
            pending: Vec::new(),
            table: TableBuilder::default(),
            directory: Directory::default(),
            shared: SharedTimes::default(),
            last_labels: None,
            list: Vec::new(),
            samples: 0,
            span: None,
            is_finished: false,
        }
    }

    /// Bytes of chunks so far.
    pub(crate) fn chunk_bytes(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    /// Adds a series; one without samples and exemplars is left out. Sorts the exemplars.
    pub(crate) fn add(&mut self, input: &mut SeriesInput) -> Result<()> {
        assert!(
            self.last_labels.as_ref().is_none_or(|last| *last < input.labels),
            "series must come sorted by labels and once each"
        );
        let columns = &input.columns;
        input.exemplars.sort_by_key(|e| e.t_ms);
        let exemplar_span =
            input.exemplars.first().zip(input.exemplars.last()).map(|(a, b)| (a.t_ms, b.t_ms));
        let Some(span) = joined(time_span(columns), exemplar_span) else { return Ok(()) };
        self.last_labels = Some(input.labels.clone());
        if self.file.is_none() {
            self.create()?;
        }
        let mut facts = RowFacts {
            kinds: 0,
            samples: columns.len() as u64,
            min_t_ms: span.0,
            max_t_ms: span.1,
            offset: self.chunk_bytes(),
        };
        self.list.clear();
        for range in slices::float_chunks(&columns.t_ms, self.effort) {
            facts.kinds |= 1 << ChunkKind::Float as u8;
            let times = &columns.t_ms[range.clone()];
            let starts = columns.starts_ms.get(range.clone()).unwrap_or_default();
            let mut entry = self.vector_entry(ChunkKind::Float, times);
            let start = self.pending.len();
            entry.stats =
                chunk::encode_floats(times, &columns.values[range], starts, self.effort, &mut self.pending);
            if starts.is_empty() && entry.stats.is_some_and(|s| s.constant().is_some()) {
                self.pending.truncate(start);
            }
            self.push_entry(entry, start);
        }
        for range in slices::histogram_chunks(&columns.histogram_t_ms, &columns.histograms, self.effort) {
            facts.kinds |= 1 << ChunkKind::Histogram as u8;
            let times = &columns.histogram_t_ms[range.clone()];
            let starts = columns.histogram_starts_ms.get(range.clone()).unwrap_or_default();
            let entry = self.vector_entry(ChunkKind::Histogram, times);
            let start = self.pending.len();
            let histograms = &columns.histograms[range];
            chunk::encode_histograms(times, histograms, starts, self.effort, &mut self.pending);
            self.push_entry(entry, start);
        }
        for some in slices::exemplar_chunks(&input.exemplars) {
            facts.kinds |= 1 << ChunkKind::Exemplars as u8;
            let start = self.pending.len();
            chunk::encode_exemplars(some, self.effort, &mut self.pending);
            let entry = ChunkEntry {
                kind: ChunkKind::Exemplars,
                vector: 0,
                brings_vector: false,
                count: some.len() as u32,
                min_t_ms: some[0].t_ms,
                max_t_ms: some[some.len() - 1].t_ms,
                offset: 0,
                len: 0,
                stats: None,
            };
            self.push_entry(entry, start);
        }
        self.samples += facts.samples;
        self.span = joined(self.span, Some(span));
        self.table.push(&input.labels, facts, &self.list);
        if self.pending.len() >= WRITE_BYTES { self.write_pending() } else { Ok(()) }
    }

    /// Completes the files and makes them durable.
    pub(crate) fn finish(mut self, metadata: &[StoredMetadata]) -> Result<Option<SegmentMeta>> {
        let Some((min_t_ms, max_t_ms)) = self.span else { return Ok(None) };
        let series = self.table.rows() as u64;
        let table = std::mem::take(&mut self.table);
        let table = table
            .finish(self.key_values(min_t_ms, max_t_ms))
            .map_err(|e| StoreError::io("write", &self.table_path, std::io::Error::other(e)))?;
        self.directory.metadata = metadata.to_vec();
        let raw = self.directory.encode();
        let stored =
            zstd::bulk::compress(&raw, 3).map_err(|e| StoreError::io("write", &self.chunks_path, e))?;
        let too_large =
            |what, len: usize| StoreError::TooLarge { what, value: len as u64, limit: u64::from(u32::MAX) };
        let len = |len: usize| u32::try_from(len).map_err(|_| too_large("directory of a segment", len));
        let footer = Footer {
            directory_offset: self.chunk_bytes(),
            directory_len: len(stored.len())?,
            directory_raw_len: len(raw.len())?,
            directory_crc: crc32c::crc32c(&stored),
            table_len: table.len() as u64,
            table_crc: crc32c::crc32c(&table),
        };
        self.pending.extend_from_slice(&stored);
        self.pending.extend_from_slice(&footer.encode());
        self.write_pending()?;
        let file = self.file.take().expect("a segment with a time span has a file");
        file.sync_data().map_err(|e| StoreError::io("sync", &self.chunks_path, e))?;
        // Syncs the folder too, which makes both names durable.
        durable::write_new_file(self.disk, &self.table_path, &table)?;
        self.is_finished = true;
        let spec = self.spec.clone();
        Ok(Some(SegmentMeta {
            id: spec.id,
            tenant: spec.tenant,
            signal: spec.signal,
            day: spec.day,
            level: spec.level,
            min_t_ms,
            max_t_ms,
            min_seq: spec.min_seq,
            max_seq: spec.max_seq,
            series,
            samples: self.samples,
            bytes: self.written + table.len() as u64,
            created_ms: spec.created_ms,
            tombstones_applied: spec.tombstones_applied,
        }))
    }

    fn create(&mut self) -> Result<()> {
        durable::create_dir(self.disk, durable::parent(&self.chunks_path))?;
        let file = self.disk.create(&self.chunks_path);
        self.file = Some(file.map_err(|e| StoreError::io("create", &self.chunks_path, e))?);
        self.pending.extend_from_slice(layout::MAGIC);
        Ok(())
    }

    /// An entry with its vector of timestamps, which is written unless it has been.
    fn vector_entry(&mut self, kind: ChunkKind, times: &[i64]) -> ChunkEntry {
        let hash = hash_times(times);
        let known =
            self.shared.by_hash.get(&hash).filter(|(_, known)| **known == *times).map(|(index, _)| *index);
        let vector = known.unwrap_or_else(|| {
            let start = self.pending.len();
            let offset = self.chunk_bytes();
            chunk::encode_times(times, self.effort, &mut self.pending);
            self.directory.vectors.push(Vector {
                offset,
                len: (self.pending.len() - start) as u32,
                count: times.len() as u32,
                min_t_ms: times[0],
                max_t_ms: times[times.len() - 1],
            });
            let index = self.directory.vectors.len() as u32 - 1;
            if self.shared.times + times.len() > SHARED_TIMES_MAX {
                self.shared = SharedTimes::default();
            }
            self.shared.times += times.len();
            self.shared.by_hash.insert(hash, (index, times.into()));
            index
        });
        ChunkEntry {
            kind,
            vector,
            brings_vector: known.is_none(),
            count: times.len() as u32,
            min_t_ms: times[0],
            max_t_ms: times[times.len() - 1],
            offset: 0,
            len: 0,
            stats: None,
        }
    }

    fn push_entry(&mut self, mut entry: ChunkEntry, start: usize) {
        entry.len = (self.pending.len() - start) as u32;
        entry.encode(&mut self.list);
    }

    fn write_pending(&mut self) -> Result<()> {
        if let Some(file) = &self.file {
            file.write_at(self.written, &self.pending)
                .map_err(|e| StoreError::io("write", &self.chunks_path, e))?;
            self.written += self.pending.len() as u64;
            self.pending.clear();
        }
        Ok(())
    }

    /// For readers other than us: what the segment is.
    fn key_values(&self, min_t_ms: i64, max_t_ms: i64) -> Vec<(String, String)> {
        let spec = &self.spec;
        [
            ("format", layout::FORMAT.to_string()),
            ("tenant", spec.tenant.to_string()),
            ("signal", spec.signal.as_str().into()),
            ("level", spec.level.to_string()),
            ("sequence", format!("{}-{}", spec.min_seq, spec.max_seq)),
            ("time_ms", format!("{min_t_ms}..={max_t_ms}")),
            ("samples", self.samples.to_string()),
        ]
        .map(|(key, value)| (format!("bellwether.{key}"), value))
        .into()
    }
}

impl Drop for SegmentWriter<'_> {
    fn drop(&mut self) {
        if self.file.is_some() || (!self.is_finished && self.span.is_some()) {
            self.file = None;
            let paths = [self.table_path.as_str(), self.chunks_path.as_str()];
            if let Err(error) = durable::remove_files(self.disk, paths) {
                tracing::warn!(%error, "an unfinished segment stays until the next start");
            }
        }
    }
}

fn hash_times(times: &[i64]) -> u64 {
    let mut hash = times.len() as u64;
    for &time in times {
        hash = (hash ^ time as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    xxh3_64(&hash.to_le_bytes())
}

fn joined(a: Option<(i64, i64)>, b: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}
