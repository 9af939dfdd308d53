//! The write-ahead log: one per data folder, shared by all tenants and signals.
//!
//! A group of records is durable when [`Wal::write_group`] returns. Records are numbered without gaps while
//! all goes well. A file whose write or sync failed is never written again. Which files can go is decided
//! here, from the sequences up to which each shard is flushed; when to flush is the engine's business.

mod reader; // a file to records
pub(crate) mod record; // what is on disk

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use model::{Signal, TenantId};

pub(crate) use reader::FileReader;
use reader::{HEADER_BYTES, Header};

use crate::disk::{Disk, DiskFile};
use crate::durable;
use crate::error::{Result, StoreError};

/// A tenant's telemetry of one kind: what has a head, a series table and segments of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ShardKey {
    pub(crate) tenant: TenantId,
    pub(crate) signal: Signal,
}

const DIR: &str = "wal";
const SPARE: &str = "wal/spare";
const SPARE_UNFINISHED: &str = "wal/spare.new";

fn file_path(no: u64) -> String {
    format!("{DIR}/{no:020}.wal")
}

fn file_no(name: &str) -> Option<u64> {
    name.strip_suffix(".wal").filter(|digits| digits.len() == 20)?.parse().ok()
}

/// A numbered record on its way to the disk.
pub(crate) struct Outgoing<'a> {
    pub(crate) shard: &'a ShardKey,
    pub(crate) seq: u64,
    pub(crate) bytes: &'a mut [u8],
}

/// What is known of a file that may still be needed.
#[derive(Debug)]
struct FileInfo {
    no: u64,
    bytes: u64,
    /// The last sequence of each shard that has a record in it.
    last: BTreeMap<ShardKey, u64>,
}

struct Current {
    file: Box<dyn DiskFile>,
    offset: u64,
    len: u64,
}

/// The log, open for writing.
pub(crate) struct Wal {
    disk: Arc<dyn Disk>,
    file_bytes: u64,
    current: Option<Current>,
    files: VecDeque<FileInfo>,
    no_next: u64,
    acknowledged_seq: u64,
    has_spare: bool,
    /// Files up to this number may have rows that were deleted: they are removed, and never become the spare.
    deleted_no: u64,
    group: Vec<u8>,
}

/// What a crash left behind: the files to replay, oldest first.
pub(crate) struct Leftover {
    pub(crate) file_nos: Vec<u64>,
    /// The last sequence that any file holds or any shard has flushed; 0 if there is none.
    pub(crate) last_seq: u64,
}

impl Wal {
    /// Finds the files of the last run and the last sequence in them. `flushed_seq` is the highest that any
    /// shard has flushed. The log cannot be written before the first [`Wal::roll`].
    pub(crate) fn open(disk: Arc<dyn Disk>, file_bytes: u64, flushed_seq: u64) -> Result<(Self, Leftover)> {
        durable::create_dir(&*disk, DIR)?;
        let names = disk.list(DIR).map_err(|e| StoreError::io("list", DIR, e))?;
        let mut file_nos: Vec<u64> = names.iter().filter_map(|name| file_no(name)).collect();
        let no_last = file_nos.last().copied().unwrap_or(0);
        if names.iter().any(|name| name == "spare.new") {
            durable::remove_files(&*disk, [SPARE_UNFINISHED])?;
        }
        // What the log itself holds. Flushed sequences may be higher: those of a write that failed.
        let (mut logged_seq, mut last_seq) = (0, flushed_seq);
        // Only the newest file can be unwritten; it takes the last sequence from the one before.
        while let Some(no) = file_nos.last() {
            if let Some(mut reader) = FileReader::open(&*disk, &file_path(*no), *no)? {
                logged_seq = reader.header().acknowledged_seq;
                let mut seq = reader.header().first_seq;
                // The group that needed this file may have begun in the one before.
                last_seq = last_seq.max(seq.saturating_sub(1));
                let (mut unproven, mut end) = (None, reader.offset());
                while reader.next_record()?.is_some_and(|record| record.seq == seq) {
                    // A flushed record may be that of a write that failed: nobody needs it, so it is not made
                    // durable below, and the next power loss may take it.
                    if seq > flushed_seq {
                        unproven.get_or_insert(end);
                        logged_seq = logged_seq.max(seq);
                    }
                    end = reader.offset();
                    seq += 1;
                }
                // The last process may have ended before its sync, or after one that failed. From now on
                // these records count, so they must be durable.
                if let Some(start) = unproven {
                    reader.write_again(start, end)?;
                }
                break;
            }
            durable::remove_files(&*disk, [file_path(*no).as_str()])?;
            file_nos.pop();
        }
        let wal = Self {
            has_spare: names.iter().any(|name| name == "spare"),
            disk,
            file_bytes,
            current: None,
            files: VecDeque::new(),
            no_next: no_last + 1,
            acknowledged_seq: logged_seq,
            deleted_no: 0,
            group: Vec::new(),
        };
        Ok((wal, Leftover { file_nos, last_seq: last_seq.max(logged_seq) }))
    }

    /// Opens a file that a crash left behind; `None` when nothing was ever acknowledged in it, because it
    /// could neither be started nor removed.
    pub(crate) fn leftover(disk: &dyn Disk, no: u64) -> Result<Option<FileReader>> {
        FileReader::open(disk, &file_path(no), no)
    }

    /// Takes note of a file that has been replayed, so that it goes when its shards are flushed.
    pub(crate) fn adopt(&mut self, no: u64, bytes: u64, last: BTreeMap<ShardKey, u64>) {
        let at = self.files.partition_point(|file| file.no < no);
        self.files.insert(at, FileInfo { no, bytes, last });
    }

    /// Starts a new file, large enough for a record of `record_bytes`. Nothing is lost when it fails.
    pub(crate) fn roll(&mut self, first_seq: u64, record_bytes: usize) -> Result<()> {
        self.current = None;
        let no = self.no_next;
        // The name may be taken from here on, whatever happens.
        self.no_next += 1;
        let path = file_path(no);
        let len = self.file_bytes.max(HEADER_BYTES + record_bytes as u64);
        let io = |action| {
            let path = path.clone();
            move |e| StoreError::io(action, &path, e)
        };
        let opened = if self.has_spare && len == self.file_bytes {
            self.has_spare = false;
            let renamed = self.disk.rename(SPARE, &path).map_err(io("rename"));
            renamed.and_then(|()| self.disk.open(&path).map_err(io("open")))
        } else {
            self.disk.create(&path).map_err(io("create"))
        };
        let header = Header { file_no: no, first_seq, acknowledged_seq: self.acknowledged_seq };
        let prepared = opened.and_then(|file| {
            file.allocate(len).map_err(io("allocate"))?;
            file.write_at(0, &header.encode()).map_err(io("write"))?;
            durable::seal(&*self.disk, &path, &*file)?;
            Ok(file)
        });
        let file = match prepared {
            Ok(file) => file,
            Err(error) => {
                // Give the room back. A file without records that stays goes in its turn.
                let removed = self.disk.remove(&path);
                if removed.is_err_and(|e| e.kind() != std::io::ErrorKind::NotFound) {
                    self.files.push_back(FileInfo { no, bytes: 0, last: BTreeMap::new() });
                }
                return Err(error);
            }
        };
        self.current = Some(Current { file, offset: HEADER_BYTES, len });
        self.files.push_back(FileInfo { no, bytes: len, last: BTreeMap::new() });
        Ok(())
    }

    /// Writes records in ascending sequence and makes them durable with as few syncs as files. After an
    /// error the file is closed for good, and nothing of the group counts as written.
    pub(crate) fn write_group(&mut self, records: &mut [Outgoing<'_>]) -> Result<()> {
        let mut group = std::mem::take(&mut self.group);
        let written = self.write_all(records, &mut group);
        group.clear();
        if group.capacity() <= 8 << 20 {
            self.group = group;
        }
        if written.is_err() {
            self.current = None;
        }
        written
    }

    fn write_all(&mut self, records: &mut [Outgoing<'_>], group: &mut Vec<u8>) -> Result<()> {
        for outgoing in records {
            let full = |current: &Current| {
                current.offset + (group.len() + outgoing.bytes.len()) as u64 > current.len
            };
            if self.current.as_ref().is_none_or(full) {
                self.write_durably(group)?;
                self.roll(outgoing.seq, outgoing.bytes.len())?;
            }
            if let Some(file) = self.files.back_mut() {
                record::stamp(outgoing.bytes, file.no);
                file.last.insert(outgoing.shard.clone(), outgoing.seq);
            }
            group.extend_from_slice(outgoing.bytes);
        }
        self.write_durably(group)
    }

    fn write_durably(&mut self, group: &mut Vec<u8>) -> Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if group.is_empty() {
            return Ok(());
        }
        let path = || self.files.back().map_or_else(String::new, |file| file_path(file.no));
        current.file.write_at(current.offset, group).map_err(|e| StoreError::io("write", &path(), e))?;
        current.file.sync_data().map_err(|e| StoreError::io("sync", &path(), e))?;
        current.offset += group.len() as u64;
        group.clear();
        Ok(())
    }

    /// Notes that everything up to a sequence was acknowledged; the next file's header says so.
    pub(crate) fn acknowledge(&mut self, seq: u64) {
        self.acknowledged_seq = seq;
    }

    /// The last sequence that was acknowledged.
    pub(crate) fn acknowledged_seq(&self) -> u64 {
        self.acknowledged_seq
    }

    /// Number of the newest file.
    pub(crate) fn newest_no(&self) -> u64 {
        self.no_next - 1
    }

    /// Number of the oldest file that is still needed.
    pub(crate) fn oldest_no(&self) -> u64 {
        self.files.front().map_or(self.no_next, |file| file.no)
    }

    /// Notes that rows were deleted: what is written until now shall not outlast the files it is in. Returns the
    /// number of the newest.
    pub(crate) fn note_delete(&mut self) -> u64 {
        self.deleted_no = self.newest_no();
        // The spare has old records, and would carry them into the next file. Where it cannot be removed, the next
        // one takes its name.
        if std::mem::take(&mut self.has_spare)
            && let Err(error) = durable::remove_files(&*self.disk, [SPARE])
        {
            tracing::warn!(%error, "cannot remove the spare file of the log");
        }
        self.deleted_no
    }

    /// True while there is a file to write to.
    pub(crate) fn is_open(&self) -> bool {
        self.current.is_some()
    }

    /// True when the spare file is in place.
    pub(crate) fn has_spare(&self) -> bool {
        self.has_spare
    }

    /// Bytes of all files that are still needed, the spare excluded.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Number of files that are still needed.
    pub(crate) fn file_count(&self) -> usize {
        self.files.len()
    }

    /// The shards whose unflushed records keep the oldest file.
    pub(crate) fn pinning(&self, flushed: impl Fn(&ShardKey) -> u64) -> Vec<ShardKey> {
        let Some(oldest) = self.files.front() else { return Vec::new() };
        let pins = oldest.last.iter().filter(|(shard, last)| flushed(shard) < **last);
        pins.map(|(shard, _)| shard.clone()).collect()
    }

    /// Removes the oldest files that no shard needs. The first one without deleted rows becomes the spare if there
    /// is none. Each is gone for good before the next goes, because a file that is missing between others counts as lost.
    pub(crate) fn collect(&mut self, flushed: impl Fn(&ShardKey) -> u64) -> Result<()> {
        let kept = usize::from(self.current.is_some());
        while self.files.len() > kept {
            let Some(oldest) = self.files.front() else { break };
            if oldest.last.iter().any(|(shard, last)| flushed(shard) < *last) {
                break;
            }
            let path = file_path(oldest.no);
            if !self.has_spare && oldest.bytes == self.file_bytes && oldest.no > self.deleted_no {
                self.disk.rename(&path, SPARE).map_err(|e| StoreError::io("rename", &path, e))?;
                self.has_spare = true;
                durable::sync_dir(&*self.disk, DIR)?;
            } else {
                // After a rename whose sync failed there is nothing left to remove, only to sync.
                durable::remove_files(&*self.disk, [path.as_str()])?;
            }
            self.files.pop_front();
        }
        Ok(())
    }

    /// Makes the spare file if it is missing.
    pub(crate) fn ensure_spare(&mut self) -> Result<()> {
        if self.has_spare {
            return Ok(());
        }
        let io = |action| move |e| StoreError::io(action, SPARE_UNFINISHED, e);
        // What an earlier attempt could not take away again would stand in the way.
        if self.disk.exists(SPARE_UNFINISHED).map_err(io("look at"))? {
            self.disk.remove(SPARE_UNFINISHED).map_err(io("remove"))?;
        }
        let made = self.disk.create(SPARE_UNFINISHED).map_err(io("create")).and_then(|file| {
            file.allocate(self.file_bytes).map_err(io("allocate"))?;
            file.sync_data().map_err(io("sync"))
        });
        if let Err(error) = made {
            let _ = self.disk.remove(SPARE_UNFINISHED);
            return Err(error);
        }
        self.disk.rename(SPARE_UNFINISHED, SPARE).map_err(io("rename"))?;
        durable::sync_dir(&*self.disk, DIR)?;
        self.has_spare = true;
        Ok(())
    }

    /// Gives the spare file's room back, so that a flush can succeed on a full disk.
    pub(crate) fn release_spare(&mut self) -> Result<()> {
        if std::mem::take(&mut self.has_spare) {
            durable::remove_files(&*self.disk, [SPARE])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
