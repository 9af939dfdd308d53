//! Reads a segment of rows: which blocks may have what is asked for, and blocks of columns.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use arrow_schema::DataType;
use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use model::record::columns;
use parking_lot::Mutex;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::reader::{ChunkReader, Length};

use super::layout;
use super::sidecar::{FOOTER_BYTES, FORMAT, Footer, Header, SliceInfo};
use crate::disk::{Disk, DiskFile};
use crate::error::{Result, StoreError};
use crate::rows::bloom;
use crate::rows::chunk::{Scope, ValueKind};
use crate::rows::filter::Filter;
use crate::rows::keys;
use crate::rows::probe::Probe;
use crate::rows::slice::{BLOCK_ROWS, Cost, KeyInfo, Loaded, Slice, Source, StoredColumn};
use crate::segment::{SegmentMeta, TableCache};

/// An open segment of rows. Opening costs nothing: its header and footer are read on first use and kept in the
/// cache as long as that has room.
pub struct RowSegment {
    disk: Arc<dyn Disk>,
    meta: SegmentMeta,
    cache: Arc<TableCache>,
    /// What the cache knows it by.
    number: u64,
    parquet_path: String,
    filter_path: String,
    parquet: OnceLock<Arc<dyn DiskFile>>,
    filters: OnceLock<Arc<dyn DiskFile>>,
    /// Locked while the table is read, so that it is read once.
    in_use: Mutex<Weak<RowTable>>,
}

/// What is known of a segment's rows without reading them.
pub(crate) struct RowTable {
    header: Header,
    arrow: ArrowReaderMetadata,
    /// Columns by key, for each scope.
    by_key: [HashMap<Arc<str>, usize>; 2],
    /// Keys of the overflow, for each scope.
    overflow: [HashSet<Arc<str>>; 2],
    bytes: usize,
}

impl RowTable {
    /// Rough size in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl fmt::Debug for RowSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RowSegment").field(&self.meta).finish()
    }
}

impl Drop for RowSegment {
    fn drop(&mut self) {
        self.cache.forget(self.number);
    }
}

impl RowSegment {
    /// A segment that the manifest knows. Nothing is read.
    pub fn open(disk: Arc<dyn Disk>, meta: SegmentMeta, cache: Arc<TableCache>) -> Self {
        let [parquet_path, filter_path] = layout::paths(&meta.tenant, meta.signal, meta.day, meta.id);
        let number = cache.next_segment();
        let (parquet, filters, in_use) = (OnceLock::new(), OnceLock::new(), Mutex::new(Weak::new()));
        Self { disk, meta, cache, number, parquet_path, filter_path, parquet, filters, in_use }
    }

    /// What the manifest knows of it.
    pub fn meta(&self) -> &SegmentMeta {
        &self.meta
    }

    /// Paths of its files, relative to the data folder.
    pub fn paths(&self) -> [&str; 2] {
        [&self.parquet_path, &self.filter_path]
    }

    /// Its slices that have a time from `start_ns` until before `end_ns` (`i64::MAX`: no end), in the order of
    /// the file, which mostly is that of time. `hidden` is what deletes hide in it.
    pub fn slices(
        self: &Arc<Self>,
        start_ns: i64,
        end_ns: i64,
        hidden: &Arc<[Arc<Filter>]>,
    ) -> Result<Vec<Slice>> {
        let table = self.table()?;
        let slices = table.header.slices.iter().enumerate();
        let wanted = slices
            .filter(|(_, s)| start_ns <= s.max_t_ns && (s.min_t_ns < end_ns || end_ns == i64::MAX))
            .map(|(index, _)| {
                let group = Group { segment: Arc::clone(self), table: Arc::clone(&table), index };
                Slice::new(Source::Group(group), Arc::clone(hidden))
            });
        Ok(wanted.collect())
    }

    /// The keys of its rows, each scope and kind apart.
    pub fn keys(&self) -> Result<Vec<KeyInfo>> {
        Ok(keys::merged([self.column_keys()?, self.table()?.header.overflow.clone()]))
    }

    /// The keys that have a column, and how many rows have each.
    pub(crate) fn column_keys(&self) -> Result<Vec<KeyInfo>> {
        let table = self.table()?;
        let slices = &table.header.slices;
        let own = table.header.layout.attrs.iter().enumerate().map(|(at, attr)| KeyInfo {
            scope: attr.scope,
            key: attr.key.clone(),
            kind: attr.kind,
            count: slices.iter().filter_map(|slice| slice.counts.get(at)).map(|n| u64::from(*n)).sum(),
        });
        Ok(own.collect())
    }

    fn table(&self) -> Result<Arc<RowTable>> {
        if let Some(table) = self.cache.rows(self.number) {
            return Ok(table);
        }
        let mut in_use = self.in_use.lock();
        if let Some(table) = in_use.upgrade().or_else(|| self.cache.rows(self.number)) {
            return Ok(table);
        }
        let table = Arc::new(self.load_table()?);
        *in_use = Arc::downgrade(&table);
        self.cache.put_rows(self.number, table.clone());
        Ok(table)
    }

    fn load_table(&self) -> Result<RowTable> {
        let path = &self.filter_path;
        let file = self.filter_file()?;
        let len = file.len().map_err(|e| StoreError::io("read", path, e))?;
        let Some(footer_at) = len.checked_sub(FOOTER_BYTES) else {
            return Err(StoreError::corrupt(path, 0, "too short for filters of rows"));
        };
        let footer = read_bytes(&**file, path, footer_at, FOOTER_BYTES as usize)?;
        let Some((footer, format)) = Footer::decode(&footer) else {
            return Err(StoreError::corrupt(path, footer_at, "malformed footer"));
        };
        if format > FORMAT {
            return Err(StoreError::TooNew { path: path.clone(), found: format, known: FORMAT });
        }
        let at = footer.header_offset;
        if at.checked_add(u64::from(footer.header_len)) != Some(footer_at) {
            return Err(StoreError::corrupt(path, footer_at, "header outside the file"));
        }
        let bytes = read_bytes(&**file, path, at, footer.header_len as usize)?;
        if crc32c::crc32c(&bytes) != footer.header_crc {
            return Err(StoreError::corrupt(path, at, "checksum of the header does not match"));
        }
        let header = Header::decode(&bytes, at).filter(|header| header.layout.signal == self.meta.signal);
        let header = header.ok_or_else(|| StoreError::corrupt(path, at, "malformed header"))?;
        let arrow = self.load_footer(&header, footer.parquet_len)?;
        let mut by_key = [HashMap::new(), HashMap::new()];
        for (at, attr) in header.layout.attrs.iter().enumerate() {
            by_key[attr.scope as usize].insert(attr.key.clone(), at);
        }
        let mut overflow = [HashSet::new(), HashSet::new()];
        for key in &header.overflow {
            overflow[key.scope as usize].insert(key.key.clone());
        }
        let bytes = arrow.metadata().memory_size() + 4 * bytes.len() + 4096;
        Ok(RowTable { header, arrow, by_key, overflow, bytes })
    }

    fn load_footer(&self, header: &Header, len: u64) -> Result<ArrowReaderMetadata> {
        let file = self.parquet_file()?;
        let found = file.len().map_err(|e| StoreError::io("read", &self.parquet_path, e))?;
        let corrupt = |detail: String| StoreError::corrupt(&self.parquet_path, 0, detail);
        if found != len {
            return Err(corrupt(format!("has {found} bytes instead of {len}")));
        }
        let reader = FileReader { file: Arc::clone(file), len, read: Arc::default() };
        let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Required);
        let arrow = ArrowReaderMetadata::load(&reader, options).map_err(|e| self.damaged(e))?;
        let want = header.layout.schema();
        let types = |schema: &arrow_schema::Schema| -> Vec<DataType> {
            schema.fields().iter().map(|field| field.data_type().clone()).collect()
        };
        if types(arrow.schema()) != types(&want) {
            return Err(corrupt("its columns are not those that the filters name".into()));
        }
        let rows = |group: usize| arrow.metadata().row_groups().get(group).map(|group| group.num_rows());
        let fits =
            header.slices.iter().enumerate().all(|(at, slice)| rows(at) == Some(i64::from(slice.rows)));
        if !fits || arrow.metadata().num_row_groups() != header.slices.len() {
            return Err(corrupt("its row groups are not the slices that the filters name".into()));
        }
        Ok(arrow)
    }

    fn damaged(&self, error: ParquetError) -> StoreError {
        match error {
            ParquetError::External(source) => match source.downcast::<io::Error>() {
                Ok(source) => StoreError::io("read", &self.parquet_path, *source),
                Err(source) => StoreError::corrupt(&self.parquet_path, 0, source.to_string()),
            },
            other => StoreError::corrupt(&self.parquet_path, 0, other.to_string()),
        }
    }

    fn parquet_file(&self) -> Result<&Arc<dyn DiskFile>> {
        self.opened(&self.parquet, &self.parquet_path)
    }

    fn filter_file(&self) -> Result<&Arc<dyn DiskFile>> {
        self.opened(&self.filters, &self.filter_path)
    }

    fn opened<'a>(&self, file: &'a OnceLock<Arc<dyn DiskFile>>, path: &str) -> Result<&'a Arc<dyn DiskFile>> {
        if let Some(file) = file.get() {
            return Ok(file);
        }
        let opened = self.disk.open(path).map_err(|e| StoreError::io("open", path, e))?;
        Ok(file.get_or_init(|| Arc::from(opened)))
    }
}

fn read_bytes(file: &dyn DiskFile, path: &str, offset: u64, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_at(offset, &mut bytes).map_err(|e| StoreError::io("read", path, e))?;
    Ok(bytes)
}

/// A slice of a segment.
#[derive(Clone)]
pub(crate) struct Group {
    segment: Arc<RowSegment>,
    table: Arc<RowTable>,
    index: usize,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("segment", &self.segment).field("index", &self.index).finish()
    }
}

impl Group {
    pub(crate) fn segment(&self) -> &RowSegment {
        &self.segment
    }

    pub(crate) fn info(&self) -> &SliceInfo {
        &self.table.header.slices[self.index]
    }

    /// All attribute columns that some row has: position, whose, key and kind.
    pub(crate) fn attrs(&self) -> impl Iterator<Item = (usize, Scope, &Arc<str>, ValueKind)> {
        let attrs = self.table.header.layout.attrs.iter().enumerate();
        let counts = &self.info().counts;
        attrs.filter(|(at, _)| counts[*at] > 0).map(|(at, attr)| (at, attr.scope, &attr.key, attr.kind))
    }

    /// The attribute column of a key, if some row has it.
    pub(crate) fn attr_of(&self, scope: Scope, key: &str) -> Option<(usize, ValueKind)> {
        let at = *self.table.by_key[scope as usize].get(key)?;
        (self.info().counts[at] > 0).then(|| (at, self.table.header.layout.attrs[at].kind))
    }

    pub(crate) fn overflow_may_have(&self, key: Option<(Scope, &str)>) -> bool {
        let header = &self.table.header;
        let has_any = self.info().counts.last().is_some_and(|count| *count > 0);
        has_any
            && key.is_none_or(|(scope, key)| {
                header.overflow_is_cut || self.table.overflow[scope as usize].contains(key)
            })
    }

    pub(crate) fn keys(&self) -> Vec<KeyInfo> {
        let counts = &self.info().counts;
        let own = self.attrs().map(|(at, scope, key, kind)| KeyInfo {
            scope,
            key: key.clone(),
            kind,
            count: counts[at].into(),
        });
        let overflow = counts.last().copied().unwrap_or(0);
        // How many rows of the slice have each is not known; not more than have any.
        let rest = self.table.header.overflow.iter().filter(|_| overflow > 0);
        let rest = rest.map(|key| KeyInfo { count: key.count.min(overflow.into()), ..key.clone() });
        keys::merged([own.collect(), rest.collect()])
    }

    /// The rows that the filters cannot rule out.
    pub(crate) fn candidates(&self, filter: &Filter, cost: &mut Cost) -> Result<BooleanBuffer> {
        let rows = self.info().rows as usize;
        let blocks = self.probe(&filter.probe, cost)?;
        let mut bits = BooleanBufferBuilder::new(rows);
        for block in 0..self.info().blocks() {
            bits.append_n(BLOCK_ROWS.min(rows - block * BLOCK_ROWS), blocks & (1 << block) != 0);
        }
        Ok(bits.finish())
    }

    /// The blocks that a probe cannot rule out, one bit each.
    fn probe(&self, probe: &Probe, cost: &mut Cost) -> Result<u32> {
        let every = ((1u64 << self.info().blocks()) - 1) as u32;
        Ok(match probe {
            Probe::Maybe => every,
            Probe::All(parts) => {
                let mut blocks = every;
                for part in parts {
                    if blocks == 0 {
                        break;
                    }
                    blocks &= self.probe(part, cost)?;
                }
                blocks
            }
            Probe::Any(parts) => {
                let mut blocks = 0;
                for part in parts {
                    if blocks == every {
                        break;
                    }
                    blocks |= self.probe(part, cost)?;
                }
                blocks
            }
            Probe::Token(token) => self.look_up(*token, cost)?,
            Probe::Attr { key, record, resource, inner } => {
                let scopes = [(Scope::Record, *record), (Scope::Resource, *resource)];
                let scopes = || scopes.iter().filter(|(_, asked)| *asked).map(|(scope, _)| *scope);
                let columns = || scopes().filter_map(|scope| self.attr_of(scope, key));
                let in_overflow = scopes().any(|scope| self.overflow_may_have(Some((scope, key))));
                if columns().next().is_none() && !in_overflow {
                    0
                } else if columns().all(|(_, kind)| kind == ValueKind::Text) {
                    self.probe(inner, cost)?
                } else {
                    every
                }
            }
        })
    }

    fn look_up(&self, token: u64, cost: &mut Cost) -> Result<u32> {
        let (offset, len) = self.info().lane_at(token);
        let path = &self.segment.filter_path;
        let row = read_bytes(&**self.segment.filter_file()?, path, offset, len)?;
        cost.bytes += len as u64;
        bloom::probe(&row, token)
            .ok_or_else(|| StoreError::corrupt(path, offset, "checksum of a filter does not match"))
    }

    /// Whole blocks that have one of the rows.
    pub(crate) fn to_load(&self, rows: &BooleanBuffer) -> Loaded {
        let len = self.info().rows as usize;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for start in (0..len).step_by(BLOCK_ROWS) {
            let end = (start + BLOCK_ROWS).min(len);
            if rows.slice(start, end - start).count_set_bits() > 0 {
                match ranges.last_mut().filter(|last| last.end == start) {
                    Some(last) => last.end = end,
                    None => ranges.push(start..end),
                }
            }
        }
        Loaded { ranges }
    }

    /// Arrays of stored columns with the rows of some blocks.
    pub(crate) fn load(
        &self,
        wanted: &[StoredColumn],
        loaded: &Loaded,
        cost: &mut Cost,
    ) -> Result<Vec<ArrayRef>> {
        let header = &self.table.header;
        let fixed = columns(header.layout.signal).len();
        let number = |column: &StoredColumn| match column {
            StoredColumn::Fixed(at) => *at,
            StoredColumn::Attr(at) => fixed + at,
            StoredColumn::Overflow => fixed + header.layout.attrs.len(),
        };
        let numbers: Vec<usize> = wanted.iter().map(number).collect();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let arrays = self.load_numbers(&sorted, loaded, cost)?;
        let place = |number: &usize| sorted.binary_search(number).ok().and_then(|at| arrays.get(at).cloned());
        numbers.iter().map(place).collect::<Option<_>>().ok_or_else(|| self.short())
    }

    fn load_numbers(&self, numbers: &[usize], loaded: &Loaded, cost: &mut Cost) -> Result<Vec<ArrayRef>> {
        let segment = &self.segment;
        let schema = self.table.arrow.schema();
        let rows = loaded.rows();
        if rows == 0 {
            let empty =
                numbers.iter().map(|number| arrow_array::new_empty_array(schema.field(*number).data_type()));
            return Ok(empty.map(as_stored).collect());
        }
        let file = segment.parquet_file()?;
        let read = Arc::new(AtomicU64::new(0));
        let len = file.len().map_err(|e| StoreError::io("read", &segment.parquet_path, e))?;
        let reader = FileReader { file: Arc::clone(file), len, read: Arc::clone(&read) };
        let arrow = self.table.arrow.clone();
        let mask = ProjectionMask::leaves(arrow.parquet_schema(), numbers.iter().copied());
        let selection =
            RowSelection::from_consecutive_ranges(loaded.ranges.iter().cloned(), self.info().rows as usize);
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(reader, arrow)
            .with_row_groups(vec![self.index])
            .with_projection(mask)
            .with_row_selection(selection)
            .with_batch_size(rows)
            .build()
            .map_err(|e| segment.damaged(e))?;
        let batches = batches.collect::<Result<Vec<_>, _>>();
        cost.bytes += read.load(Ordering::Relaxed);
        let corrupt =
            |e: arrow_schema::ArrowError| StoreError::corrupt(&segment.parquet_path, 0, e.to_string());
        let batches = batches.map_err(|e| match e {
            arrow_schema::ArrowError::ExternalError(source) => match source.downcast::<ParquetError>() {
                Ok(error) => segment.damaged(*error),
                Err(source) => StoreError::corrupt(&segment.parquet_path, 0, source.to_string()),
            },
            other => corrupt(other),
        })?;
        let mut arrays = Vec::with_capacity(numbers.len());
        for at in 0..numbers.len() {
            let parts: Vec<&dyn Array> =
                batches.iter().filter_map(|batch| batch.columns().get(at)).map(|array| &**array).collect();
            let array = match batches.as_slice() {
                [one] => one.columns().get(at).cloned(),
                _ => Some(arrow_select::concat::concat(&parts).map_err(corrupt)?),
            };
            arrays
                .push(array.filter(|array| array.len() == rows).map(as_stored).ok_or_else(|| self.short())?);
        }
        Ok(arrays)
    }

    fn short(&self) -> StoreError {
        let detail = format!("slice {} has fewer rows than it should", self.index);
        StoreError::corrupt(&self.segment.parquet_path, 0, detail)
    }
}

/// Times as the integers that chunks have.
fn as_stored(array: ArrayRef) -> ArrayRef {
    match array.as_primitive_opt::<TimestampNanosecondType>() {
        Some(times) => Arc::new(times.reinterpret_cast::<Int64Type>()),
        None => array,
    }
}

/// Reads a file for the Parquet reader, and counts.
struct FileReader {
    file: Arc<dyn DiskFile>,
    len: u64,
    read: Arc<AtomicU64>,
}

impl Length for FileReader {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for FileReader {
    type T = FileCursor;

    fn get_read(&self, start: u64) -> Result<FileCursor, ParquetError> {
        Ok(FileCursor {
            file: Arc::clone(&self.file),
            at: start,
            end: self.len,
            read: Arc::clone(&self.read),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.len) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are beyond the end")));
        }
        let mut bytes = vec![0; length];
        self.file.read_at(start, &mut bytes)?;
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(bytes.into())
    }
}

/// Reads on from a place.
struct FileCursor {
    file: Arc<dyn DiskFile>,
    at: u64,
    end: u64,
    read: Arc<AtomicU64>,
}

impl Read for FileCursor {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let take = bytes.len().min(self.end.saturating_sub(self.at) as usize);
        self.file.read_at(self.at, &mut bytes[..take])?;
        self.at += take as u64;
        self.read.fetch_add(take as u64, Ordering::Relaxed);
        Ok(take)
    }
}
