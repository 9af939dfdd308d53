//! Reads one file of the log, record by record.

use super::record::{self, Record};
use crate::disk::{Disk, DiskFile};
use crate::error::{Result, StoreError};

/// Bytes of a file's header.
pub(crate) const HEADER_BYTES: u64 = 64;
const MAGIC: &[u8; 8] = b"bwlog\0\0\0";
const VERSION: u32 = 1;

/// What we read at once; a longer record makes the buffer grow to its length.
const BUFFER_BYTES: usize = 1 << 20;

/// The start of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) file_no: u64,
    /// Sequence of the file's first record.
    pub(crate) first_seq: u64,
    /// The last sequence that was acknowledged when the file was started: earlier files must hold all up to it.
    pub(crate) acknowledged_seq: u64,
}

impl Header {
    pub(crate) fn encode(self) -> [u8; HEADER_BYTES as usize] {
        let mut out = [0; HEADER_BYTES as usize];
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..20].copy_from_slice(&self.file_no.to_le_bytes());
        out[20..28].copy_from_slice(&self.first_seq.to_le_bytes());
        out[28..36].copy_from_slice(&self.acknowledged_seq.to_le_bytes());
        let sum = crc32c::crc32c(&out[..60]);
        out[60..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// `Ok(None)` for bytes that are no header.
    fn decode(path: &str, bytes: &[u8; HEADER_BYTES as usize]) -> Result<Option<Self>> {
        let mut reader = crate::codec::Reader::new(bytes);
        let sum = crc32c::crc32c(&bytes[..60]).to_le_bytes();
        if reader.take(8) != Some(MAGIC) || sum != bytes[60..] {
            return Ok(None);
        }
        let fields = (reader.u32(), reader.u64(), reader.u64(), reader.u64());
        let (Some(version), Some(file_no), Some(first_seq), Some(acknowledged_seq)) = fields else {
            return Ok(None);
        };
        if version > VERSION {
            return Err(StoreError::TooNew { path: path.into(), found: version, known: VERSION });
        }
        Ok(Some(Self { file_no, first_seq, acknowledged_seq }))
    }
}

/// Reads a file from its first record.
pub(crate) struct FileReader {
    path: String,
    file: Box<dyn DiskFile>,
    header: Header,
    len: u64,
    /// Position in the file of `buffer[at]`.
    offset: u64,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
}

impl FileReader {
    /// Opens a file and reads its header; `None` when nothing was ever acknowledged in it.
    pub(crate) fn open(disk: &dyn Disk, path: &str, file_no: u64) -> Result<Option<Self>> {
        let read = |e| StoreError::io("read", path, e);
        let file = disk.open(path).map_err(read)?;
        let len = file.len().map_err(read)?;
        if len < HEADER_BYTES {
            return Ok(None);
        }
        let mut bytes = [0; HEADER_BYTES as usize];
        file.read_at(0, &mut bytes).map_err(read)?;
        let header = Header::decode(path, &bytes)?.filter(|header| header.file_no == file_no);
        let mut reader = Self {
            path: path.into(),
            file,
            header: header.unwrap_or(Header { file_no, first_seq: 0, acknowledged_seq: 0 }),
            len,
            offset: HEADER_BYTES,
            buffer: Vec::new(),
            at: 0,
            filled: 0,
        };
        if header.is_none() {
            // The header is durable before the first acknowledgement, so a record behind a damaged header
            // means that the disk lost something.
            return match reader.next_record()? {
                Some(_) => Err(StoreError::corrupt(path, 0, "the header is not readable")),
                None => Ok(None),
            };
        }
        Ok(Some(reader))
    }

    pub(crate) fn header(&self) -> Header {
        self.header
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Position of the next record, or of the end.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Writes a piece of the file again and makes it durable. A sync alone is not enough: where one failed
    /// before, the system holds bytes in memory that it no longer means to write.
    pub(crate) fn write_again(&self, start: u64, end: u64) -> Result<()> {
        let mut bytes = vec![0; BUFFER_BYTES];
        let mut at = start;
        while at < end {
            let piece = &mut bytes[..(end - at).min(BUFFER_BYTES as u64) as usize];
            self.file.read_at(at, piece).map_err(|e| StoreError::io("read", &self.path, e))?;
            self.file.write_at(at, piece).map_err(|e| StoreError::io("write", &self.path, e))?;
            at += piece.len() as u64;
        }
        self.file.sync_data().map_err(|e| StoreError::io("sync", &self.path, e))
    }

    /// The next record; `None` at the first place where no whole record of this file starts.
    pub(crate) fn next_record(&mut self) -> Result<Option<Record<'_>>> {
        if !self.fill(4)? {
            return Ok(None);
        }
        let prefix = [0, 1, 2, 3].map(|i| self.buffer[self.at + i]);
        let Some(len) = record::len_of(prefix) else { return Ok(None) };
        if !self.fill(len)? {
            return Ok(None);
        }
        let start = self.at;
        let Some(record) = record::parse(&self.buffer[start..start + len], self.header.file_no) else {
            return Ok(None);
        };
        self.at += len;
        self.offset += len as u64;
        Ok(Some(record))
    }

    /// Makes sure that `len` bytes from `at` on are in the buffer; false where the file is too short.
    fn fill(&mut self, len: usize) -> Result<bool> {
        if self.filled - self.at >= len {
            return Ok(true);
        }
        if self.offset + len as u64 > self.len {
            return Ok(false);
        }
        let want = (self.len - self.offset).min(len.max(BUFFER_BYTES) as u64) as usize;
        let kept = self.filled - self.at;
        self.buffer.copy_within(self.at..self.filled, 0);
        if self.buffer.len() < want {
            self.buffer.resize(want, 0);
        }
        let from = self.offset + kept as u64;
        let read = self.file.read_at(from, &mut self.buffer[kept..want]);
        read.map_err(|e| StoreError::io("read", &self.path, e))?;
        (self.at, self.filled) = (0, want);
        Ok(true)
    }
}
