//! Reads a segment: rows by matcher, samples by row.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use model::{Exemplar, Labels, Matcher, SampleColumns, TimeRange};
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_128;

use super::chunk::{self, Scratch};
use super::chunk_list::{ChunkEntry, ChunkKind, ChunkStats};
use super::columns;
use super::layout::{self, Directory, FOOTER_BYTES, FORMAT, Footer};
use super::meta::{SegmentMeta, StoredMetadata};
use super::table::{Table, TableCache};
use super::wire::Damaged;
use crate::disk::{Disk, DiskFile};
use crate::durable;
use crate::error::{Result, StoreError};

/// Most bytes that reading in file order reads ahead.
const AHEAD_BYTES_MAX: u64 = 256 << 10;
/// A row is read in file order with the one before when it begins this close behind it.
const NEAR_BYTES: u64 = 16 << 10;

/// An open segment. Opening costs nothing: the series table is read on first use and kept in the cache as
/// long as that has room.
pub struct Segment {
    disk: Arc<dyn Disk>,
    meta: SegmentMeta,
    cache: Arc<TableCache>,
    /// What the cache knows it by.
    number: u64,
    table_path: String,
    chunks_path: String,
    file: OnceLock<Arc<dyn DiskFile>>,
    /// Locked while the table is read, so that it is read once; knows it as long as anyone uses it, so that a
    /// table larger than the cache is not read again beside a reader that has it.
    in_use: Mutex<Weak<Table>>,
}

/// What is known of a chunk without reading it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChunkInfo {
    /// What it holds.
    pub kind: ChunkKind,
    /// Samples or exemplars in it.
    pub count: u32,
    /// Time of its first sample, milliseconds.
    pub min_t_ms: i64,
    /// Time of its last sample, milliseconds; inclusive.
    pub max_t_ms: i64,
    /// Statistics of its values; `None` for what is not floats, and where a value is not finite or is the
    /// stale marker.
    pub stats: Option<ChunkStats>,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Segment").field(&self.meta).finish()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.cache.forget(self.number);
    }
}

impl Segment {
    /// A segment that the manifest knows. Nothing is read.
    pub fn open(disk: Arc<dyn Disk>, meta: SegmentMeta, cache: Arc<TableCache>) -> Self {
        let [table_path, chunks_path] = layout::paths(&meta.tenant, meta.signal, meta.day, meta.id);
        let number = cache.next_segment();
        let (file, in_use) = (OnceLock::new(), Mutex::new(Weak::new()));
        Self { disk, meta, cache, number, table_path, chunks_path, file, in_use }
    }

    /// What the manifest knows of it.
    pub fn meta(&self) -> &SegmentMeta {
        &self.meta
    }

    /// Paths of its files, relative to the data folder.
    pub fn paths(&self) -> [&str; 2] {
        [&self.table_path, &self.chunks_path]
    }

    /// Rows that all matchers accept and that may have samples or exemplars in the range, ascending, which is
    /// by labels.
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<u32>> {
        Ok(self.table()?.select(matchers, range))
    }

    /// Number of rows.
    pub fn rows(&self) -> Result<u32> {
        Ok(self.table()?.rows())
    }

    /// The labels of a row; empty for a row that is not there.
    pub fn labels(&self, row: u32) -> Result<Labels> {
        Ok(self.table()?.labels(row))
    }

    /// A hash of a row's labels that is the same in every segment.
    pub fn label_hash(&self, row: u32) -> Result<u128> {
        Ok(label_hash(&self.labels(row)?))
    }

    /// Label names of these rows (ascending), or of all, sorted.
    pub fn label_names(&self, rows: Option<&[u32]>) -> Result<BTreeSet<String>> {
        Ok(self.table()?.label_names(rows))
    }

    /// Values of a label in these rows (ascending), or in all, sorted.
    pub fn label_values(&self, name: &str, rows: Option<&[u32]>) -> Result<BTreeSet<String>> {
        Ok(self.table()?.label_values(name, rows))
    }

    /// Metadata of metric families, as it was when the segment was written.
    pub fn metadata(&self) -> Result<Vec<StoredMetadata>> {
        Ok(self.table()?.metadata().to_vec())
    }

    /// What is known of the chunks of a row without reading them.
    pub fn chunks(&self, row: u32) -> Result<Vec<ChunkInfo>> {
        let mut entries = Vec::new();
        self.table()?.chunks(row, &mut entries).map_err(|e| self.table_damaged(e))?;
        let info = |e: &ChunkEntry| ChunkInfo {
            kind: e.kind,
            count: e.count,
            min_t_ms: e.min_t_ms,
            max_t_ms: e.max_t_ms,
            stats: e.stats.map(|s| s.stats(e.count)),
        };
        Ok(entries.iter().map(info).collect())
    }

    /// Appends the samples of a row that lie in the range.
    pub fn read(&self, row: u32, range: TimeRange, out: &mut SampleColumns) -> Result<()> {
        self.reader()?.read(row, range, out)
    }

    /// Exemplars of a row that lie in the range, by time.
    pub fn exemplars(&self, row: u32, range: TimeRange) -> Result<Vec<Exemplar>> {
        self.reader()?.exemplars(row, range)
    }

    /// A reader for many rows: it keeps its memory, and reads ahead when rows are asked for in order.
    pub fn reader(&self) -> Result<RowReader<'_>> {
        Ok(RowReader {
            segment: self,
            table: self.table()?,
            scratch: Scratch::default(),
            entries: Vec::new(),
            window: Vec::new(),
            window_start: 0,
            ahead: 0,
            times: None,
            values: Vec::new(),
            histograms: Vec::new(),
            starts: Vec::new(),
        })
    }

    fn table(&self) -> Result<Arc<Table>> {
        if let Some(table) = self.cache.table(self.number) {
            return Ok(table);
        }
        let mut in_use = self.in_use.lock();
        if let Some(table) = in_use.upgrade().or_else(|| self.cache.table(self.number)) {
            return Ok(table);
        }
        let table = Arc::new(self.load_table()?);
        *in_use = Arc::downgrade(&table);
        self.cache.put_table(self.number, table.clone());
        Ok(table)
    }

    fn load_table(&self) -> Result<Table> {
        let path = &self.chunks_path;
        let file = self.file()?;
        let len = file.len().map_err(|e| StoreError::io("read", path, e))?;
        let Some(footer_at) = len.checked_sub(FOOTER_BYTES) else {
            return Err(StoreError::corrupt(path, 0, "too short for a segment"));
        };
        let (footer, format) = Footer::decode(&self.read_bytes(footer_at, FOOTER_BYTES)?)
            .map_err(|e| StoreError::corrupt(path, footer_at, e.to_string()))?;
        if format > FORMAT {
            return Err(StoreError::TooNew { path: path.clone(), found: format, known: FORMAT });
        }
        let at = footer.directory_offset;
        if at.checked_add(u64::from(footer.directory_len)) != Some(footer_at) {
            return Err(StoreError::corrupt(path, footer_at, "directory outside the file"));
        }
        let stored = self.read_bytes(at, u64::from(footer.directory_len))?;
        if crc32c::crc32c(&stored) != footer.directory_crc {
            return Err(StoreError::corrupt(path, at, "checksum of the directory does not match"));
        }
        let directory = zstd::bulk::decompress(&stored, footer.directory_raw_len as usize)
            .map_err(|_| Damaged("directory"))
            // A vector takes 8 bytes of the file at least.
            .and_then(|raw| Directory::decode(&raw, (at / 8) as usize))
            .map_err(|e| StoreError::corrupt(path, at, e.to_string()))?;
        let parquet = durable::read_file(&*self.disk, &self.table_path)?;
        if parquet.len() as u64 != footer.table_len || crc32c::crc32c(&parquet) != footer.table_crc {
            let detail = "length or checksum differ from what the chunks file says";
            return Err(StoreError::corrupt(&self.table_path, 0, detail));
        }
        Table::decode(parquet, directory, at).map_err(|e| self.table_damaged(e))
    }

    fn table_damaged(&self, damaged: Damaged) -> StoreError {
        StoreError::corrupt(&self.table_path, 0, damaged.to_string())
    }

    fn file(&self) -> Result<&Arc<dyn DiskFile>> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = self.disk.open(&self.chunks_path);
        let file = file.map_err(|e| StoreError::io("open", &self.chunks_path, e))?;
        Ok(self.file.get_or_init(|| Arc::from(file)))
    }

    fn read_bytes(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        let read = self.file()?.read_at(offset, &mut bytes);
        read.map_err(|e| StoreError::io("read", &self.chunks_path, e))?;
        Ok(bytes)
    }
}

/// A hash of labels that is the same in every segment and every process.
pub fn label_hash(labels: &Labels) -> u128 {
    xxh3_128(labels.packed().as_bytes())
}

/// Reads rows of one segment.
pub struct RowReader<'a> {
    segment: &'a Segment,
    table: Arc<Table>,
    scratch: Scratch,
    entries: Vec<ChunkEntry>,
    /// A piece of the file.
    window: Vec<u8>,
    window_start: u64,
    /// Bytes to read beyond what is asked for; grows while reads follow one another.
    ahead: u64,
    /// The vector of timestamps used last; neighbouring rows often share it.
    times: Option<(u32, Arc<[i64]>)>,
    values: Vec<f64>,
    histograms: Vec<Arc<model::FloatHistogram>>,
    starts: Vec<i64>,
}

impl RowReader<'_> {
    /// Number of rows.
    pub fn rows(&self) -> u32 {
        self.table.rows()
    }

    /// The labels of a row; empty for a row that is not there.
    pub fn labels(&self, row: u32) -> Labels {
        self.table.labels(row)
    }

    /// As [`Segment::select`].
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> Vec<u32> {
        self.table.select(matchers, range)
    }

    /// Appends the samples of a row that lie in the range.
    pub fn read(&mut self, row: u32, range: TimeRange, out: &mut SampleColumns) -> Result<()> {
        let entries = self.entries(row, range, |kind| kind != ChunkKind::Exemplars)?;
        let end = entries.iter().map(|e| e.offset + u64::from(e.len)).max().unwrap_or(0);
        for entry in &entries {
            self.read_chunk(entry, range, end, out)?;
        }
        self.entries = entries;
        Ok(())
    }

    /// Exemplars of a row that lie in the range, by time.
    pub fn exemplars(&mut self, row: u32, range: TimeRange) -> Result<Vec<Exemplar>> {
        let entries = self.entries(row, range, |kind| kind == ChunkKind::Exemplars)?;
        let mut exemplars = Vec::new();
        for entry in &entries {
            let end = entry.offset + u64::from(entry.len);
            let at = self.fetch(entry.offset, entry.len, end)?;
            chunk::decode_exemplars(
                &self.window[at],
                entry.count as usize,
                &mut self.scratch,
                &mut exemplars,
            )
            .map_err(|e| damaged(self.segment, entry.offset, e))?;
        }
        self.entries = entries;
        exemplars.retain(|e| range.contains(e.t_ms));
        Ok(exemplars)
    }

    fn entries(
        &mut self,
        row: u32,
        range: TimeRange,
        wanted: impl Fn(ChunkKind) -> bool,
    ) -> Result<Vec<ChunkEntry>> {
        let mut entries = std::mem::take(&mut self.entries);
        self.table.chunks(row, &mut entries).map_err(|e| self.segment.table_damaged(e))?;
        entries.retain(|e| wanted(e.kind) && e.min_t_ms < range.end_ms && range.start_ms <= e.max_t_ms);
        Ok(entries)
    }

    /// `end` is where the last chunk of the row that will be asked for ends.
    fn read_chunk(
        &mut self,
        entry: &ChunkEntry,
        range: TimeRange,
        end: u64,
        out: &mut SampleColumns,
    ) -> Result<()> {
        let times = self.times(entry, end)?;
        let from = times.partition_point(|&t| t < range.start_ms);
        let to = times.partition_point(|&t| t < range.end_ms);
        if from >= to {
            return Ok(());
        }
        self.starts.clear();
        if entry.kind == ChunkKind::Histogram {
            let at = self.fetch(entry.offset, entry.len, end)?;
            self.histograms.clear();
            let (window, scratch) = (&self.window[at], &mut self.scratch);
            chunk::decode_histograms(window, &times, scratch, &mut self.histograms, &mut self.starts)
                .map_err(|e| damaged(self.segment, entry.offset, e))?;
            let starts = self.starts.get(from..to);
            columns::append_histograms(out, &times[from..to], &self.histograms[from..to], starts);
            return Ok(());
        }
        self.values.clear();
        match entry.stats.and_then(|s| s.constant()).filter(|_| entry.len == 0) {
            Some(value) => self.values.resize(times.len(), value),
            None => {
                let at = self.fetch(entry.offset, entry.len, end)?;
                let (window, scratch) = (&self.window[at], &mut self.scratch);
                chunk::decode_floats(window, &times, scratch, &mut self.values, &mut self.starts)
                    .map_err(|e| damaged(self.segment, entry.offset, e))?;
            }
        }
        columns::append_floats(out, &times[from..to], &self.values[from..to], self.starts.get(from..to));
        Ok(())
    }

    fn times(&mut self, entry: &ChunkEntry, end: u64) -> Result<Arc<[i64]>> {
        if let Some((_, times)) = self.times.as_ref().filter(|(index, _)| *index == entry.vector) {
            return Ok(times.clone());
        }
        let cache = &self.segment.cache;
        let times = match cache.times(self.segment.number, entry.vector) {
            Some(times) => times,
            None => {
                let vector = self.table.vector(entry.vector);
                let end = if entry.brings_vector {
                    end
                } else {
                    vector.offset.saturating_add(u64::from(vector.len))
                };
                let at = self.fetch(vector.offset, vector.len, end)?;
                let times = chunk::decode_times(&self.window[at], vector.count as usize, &mut self.scratch)
                    .map_err(|e| damaged(self.segment, vector.offset, e))?;
                let times: Arc<[i64]> = times.into();
                cache.put_times(self.segment.number, entry.vector, times.clone());
                times
            }
        };
        self.times = Some((entry.vector, times.clone()));
        Ok(times)
    }

    /// Where in the window a piece of the file is; reads it, and what follows up to `end`, if it is not there.
    fn fetch(&mut self, offset: u64, len: u32, end: u64) -> Result<std::ops::Range<usize>> {
        let len = u64::from(len);
        let window_end = self.window_start + self.window.len() as u64;
        let chunks_end = self.table.chunks_end();
        let piece_end = offset.checked_add(len).filter(|end| *end <= chunks_end);
        let piece_end =
            piece_end.ok_or_else(|| damaged(self.segment, offset, Damaged("length of a chunk")))?;
        if offset < self.window_start || piece_end > window_end {
            let follows = offset >= window_end && offset - window_end < NEAR_BYTES && window_end > 0;
            self.ahead = if follows { (self.ahead * 2).clamp(NEAR_BYTES, AHEAD_BYTES_MAX) } else { 0 };
            let wanted = end.min(offset + AHEAD_BYTES_MAX).max(piece_end);
            let read_end = (wanted + self.ahead).min(chunks_end);
            self.window.resize((read_end - offset) as usize, 0);
            self.window_start = offset;
            let read = self.segment.file()?.read_at(offset, &mut self.window);
            read.map_err(|e| {
                self.window.clear();
                StoreError::io("read", &self.segment.chunks_path, e)
            })?;
        }
        let at = (offset - self.window_start) as usize;
        Ok(at..at + len as usize)
    }
}

fn damaged(segment: &Segment, offset: u64, damaged: Damaged) -> StoreError {
    StoreError::corrupt(&segment.chunks_path, offset, damaged.to_string())
}
