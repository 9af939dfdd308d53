//! Pages of the Parquet file: where they are, their checksums, and a reader that compares them.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};

use crate::disk::DiskFile;

/// CRC32C of each page in the order of the file, and of what follows the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checksums {
    pub(crate) pages: Vec<u32>,
    /// Where the last page ends.
    pub(crate) tail_offset: u64,
    pub(crate) tail: u32,
}

/// A page with its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) offset: u64,
    pub(crate) len: u32,
    pub(crate) crc: u32,
}

/// The pages of a file in its order, without checksums. `None` where they do not follow one another or are not
/// all known.
pub(crate) fn pages_of(metadata: &ParquetMetaData) -> Option<Vec<Page>> {
    let index = metadata.offset_index()?;
    let mut pages = Vec::new();
    for (group, columns) in metadata.row_groups().iter().zip(index) {
        for (column, index) in group.columns().iter().zip(columns) {
            let first = index.page_locations().first()?.offset;
            let start = column.byte_range().0;
            let dictionary = u32::try_from(u64::try_from(first).ok()?.checked_sub(start)?).ok()?;
            if dictionary > 0 {
                pages.push(Page { offset: start, len: dictionary, crc: 0 });
            }
            for page in index.page_locations() {
                let (offset, len) =
                    (page.offset.try_into().ok()?, page.compressed_page_size.try_into().ok()?);
                pages.push(Page { offset, len, crc: 0 });
            }
        }
    }
    let follow = |pair: &[Page]| pair[0].offset.checked_add(pair[0].len.into()) == Some(pair[1].offset);
    pages.windows(2).all(follow).then_some(pages)
}

/// Reads a finished file again for the checksums of its pages.
pub(crate) fn checksums(file: &Arc<dyn DiskFile>) -> Result<Checksums, ParquetError> {
    let len = file.len()?;
    let reader = PageReader {
        file: Arc::clone(file),
        len,
        read: Arc::default(),
        pages: Arc::default(),
        failure: Failure::default(),
    };
    let metadata = ParquetMetaDataReader::new()
        .with_offset_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&reader)?;
    let pages = pages_of(&metadata).ok_or_else(|| ParquetError::General("pages are not in order".into()))?;
    let tail_offset = pages.last().map_or(0, |page| page.offset + u64::from(page.len));
    let mut buffer = Vec::new();
    let mut crc = |offset: u64, len: u64| {
        buffer.resize(len as usize, 0);
        file.read_at(offset, &mut buffer)?;
        Ok::<u32, io::Error>(crc32c::crc32c(&buffer))
    };
    let tail = crc(tail_offset, len - tail_offset)?;
    let pages = pages.iter().map(|page| crc(page.offset, page.len.into())).collect::<Result<_, _>>()?;
    Ok(Checksums { pages, tail_offset, tail })
}

/// Reads a file for the Parquet reader: counts, and compares the checksums of pages.
pub(crate) struct PageReader {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) len: u64,
    /// Bytes that were read.
    pub(crate) read: Arc<AtomicU64>,
    pub(crate) pages: Arc<[Page]>,
    pub(crate) failure: Failure,
}

/// Why the disk did not give what was asked for: on its way through the Parquet reader an error may lose what it
/// is, and a disk that fails must not look like a file that is damaged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failure(Arc<Mutex<Option<io::Error>>>);

impl Failure {
    fn noted(&self, error: io::Error) -> io::Error {
        *self.0.lock() = Some(io::Error::new(error.kind(), error.to_string()));
        error
    }

    /// The last failure of the disk, if there was one.
    pub(crate) fn take(&self) -> Option<io::Error> {
        self.0.lock().take()
    }
}

impl Length for PageReader {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for PageReader {
    type T = PageCursor;

    fn get_read(&self, start: u64) -> Result<PageCursor, ParquetError> {
        Ok(PageCursor {
            file: Arc::clone(&self.file),
            at: start,
            end: self.len,
            read: Arc::clone(&self.read),
            failure: self.failure.clone(),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.len) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are beyond the end")));
        }
        let mut bytes = vec![0; length];
        self.file.read_at(start, &mut bytes).map_err(|error| self.failure.noted(error))?;
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        if let Ok(at) = self.pages.binary_search_by_key(&start, |page| page.offset)
            && self.pages[at].len as usize == length
            && self.pages[at].crc != crc32c::crc32c(&bytes)
        {
            return Err(ParquetError::General(format!("checksum of the page at {start} does not match")));
        }
        Ok(bytes.into())
    }
}

/// Reads on from a place.
pub(crate) struct PageCursor {
    file: Arc<dyn DiskFile>,
    at: u64,
    end: u64,
    read: Arc<AtomicU64>,
    failure: Failure,
}

impl Read for PageCursor {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let take = bytes.len().min(self.end.saturating_sub(self.at) as usize);
        self.file.read_at(self.at, &mut bytes[..take]).map_err(|error| self.failure.noted(error))?;
        self.at += take as u64;
        self.read.fetch_add(take as u64, Ordering::Relaxed);
        Ok(take)
    }
}
