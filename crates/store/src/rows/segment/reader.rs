//! Opens a segment of rows: what its slices hold, and where the pages of its columns are.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arrow_schema::DataType;
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;

use super::group::Group;
use super::layout;
use super::pages::{Failure, Page, PageReader, pages_of};
use super::sidecar::{FOOTER_BYTES, FORMAT, Footer, Header};
use crate::disk::{Disk, DiskFile};
use crate::durable;
use crate::error::{Result, StoreError};
use crate::rows::filter::Filter;
use crate::rows::keys;
use crate::rows::slice::{KeyInfo, Slice, Source};
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
    is_doomed: AtomicBool,
}

/// What is known of a segment's rows without reading them.
pub(crate) struct RowTable {
    pub(super) header: Header,
    pub(super) arrow: ArrowReaderMetadata,
    pub(super) pages: Arc<[Page]>,
    /// Columns by key, for each scope.
    pub(super) by_key: [HashMap<Arc<str>, usize>; 2],
    /// Keys of the overflow, for each scope.
    pub(super) overflow: [HashSet<Arc<str>>; 2],
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
        if self.is_doomed.load(Ordering::Acquire)
            && let Err(error) = durable::remove_files(&*self.disk, self.paths())
        {
            // The next start finds the files without an entry and removes them.
            tracing::warn!(segment = %self.meta.id, %error, "cannot remove the files of a replaced segment");
        }
    }
}

impl RowSegment {
    /// A segment that the manifest knows. Nothing is read.
    pub fn open(disk: Arc<dyn Disk>, meta: SegmentMeta, cache: Arc<TableCache>) -> Self {
        let [parquet_path, filter_path] = layout::paths(&meta.tenant, meta.signal, meta.day, meta.id);
        let number = cache.next_segment();
        let (parquet, filters, in_use) = (OnceLock::new(), OnceLock::new(), Mutex::new(Weak::new()));
        let is_doomed = AtomicBool::new(false);
        Self { disk, meta, cache, number, parquet_path, filter_path, parquet, filters, in_use, is_doomed }
    }

    /// What the manifest knows of it.
    pub fn meta(&self) -> &SegmentMeta {
        &self.meta
    }

    /// Removes its files when nobody reads them any more.
    pub(crate) fn remove_when_dropped(&self) {
        self.is_doomed.store(true, Ordering::Release);
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
        let (arrow, pages) = self.load_footer(&header, footer.parquet_len)?;
        let mut by_key = [HashMap::new(), HashMap::new()];
        for (at, attr) in header.layout.attrs.iter().enumerate() {
            by_key[attr.scope as usize].insert(attr.key.clone(), at);
        }
        let mut overflow = [HashSet::new(), HashSet::new()];
        for key in &header.overflow {
            overflow[key.scope as usize].insert(key.key.clone());
        }
        let bytes = arrow.metadata().memory_size() + size_of_val(&*pages) + 4 * bytes.len() + 4096;
        Ok(RowTable { header, arrow, pages, by_key, overflow, bytes })
    }

    fn load_footer(&self, header: &Header, len: u64) -> Result<(ArrowReaderMetadata, Arc<[Page]>)> {
        let file = self.parquet_file()?;
        let found = file.len().map_err(|e| StoreError::io("read", &self.parquet_path, e))?;
        let corrupt = |detail: String| StoreError::corrupt(&self.parquet_path, 0, detail);
        if found != len {
            return Err(corrupt(format!("has {found} bytes instead of {len}")));
        }
        let checksums = &header.checksums;
        let Some(tail) = len.checked_sub(checksums.tail_offset) else {
            return Err(corrupt("its pages end beyond the file".into()));
        };
        let tail = read_bytes(&**file, &self.parquet_path, checksums.tail_offset, tail as usize)?;
        if crc32c::crc32c(&tail) != checksums.tail {
            let detail = "checksum of the footer does not match";
            return Err(StoreError::corrupt(&self.parquet_path, checksums.tail_offset, detail));
        }
        let reader = PageReader {
            file: Arc::clone(file),
            len,
            read: Arc::default(),
            pages: Arc::default(),
            failure: Failure::default(),
        };
        let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Required);
        let arrow = ArrowReaderMetadata::load(&reader, options).map_err(|e| self.damaged(e))?;
        let pages = pages_of(arrow.metadata()).filter(|pages| pages.len() == checksums.pages.len());
        let mut pages = pages.ok_or_else(|| corrupt("its pages are not those that were written".into()))?;
        pages.iter_mut().zip(&checksums.pages).for_each(|(page, crc)| page.crc = *crc);
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
        Ok((arrow, pages.into()))
    }

    pub(super) fn damaged(&self, error: ParquetError) -> StoreError {
        match error {
            ParquetError::External(source) => match source.downcast::<io::Error>() {
                Ok(source) => StoreError::io("read", &self.parquet_path, *source),
                Err(source) => StoreError::corrupt(&self.parquet_path, 0, source.to_string()),
            },
            other => StoreError::corrupt(&self.parquet_path, 0, other.to_string()),
        }
    }

    pub(super) fn parquet_file(&self) -> Result<&Arc<dyn DiskFile>> {
        self.opened(&self.parquet, &self.parquet_path)
    }

    pub(super) fn filter_file(&self) -> Result<&Arc<dyn DiskFile>> {
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

/// Bytes of a file.
pub(super) fn read_bytes(file: &dyn DiskFile, path: &str, offset: u64, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_at(offset, &mut bytes).map_err(|e| StoreError::io("read", path, e))?;
    Ok(bytes)
}
