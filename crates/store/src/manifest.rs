//! The list of segments, flushed sequences and tombstones: an append-only log of edits with checkpoints.
//!
//! An edit counts when [`Manifest::commit`] returns; the files it names must be durable before. After a
//! failed commit nobody knows whether the edit is on disk: the state in memory is the old one, the next
//! commit goes to a new file, and the files that the edit names stay until the next start decides.

mod edit; // one change
mod state; // what all changes add up to

use std::sync::Arc;

pub(crate) use edit::Edit;
pub(crate) use state::State;

use crate::codec::Reader;
use crate::disk::{Disk, DiskFile};
use crate::durable;
use crate::error::{Result, StoreError};

const DIR: &str = "manifest";
const MAGIC: &[u8; 8] = b"bwman\0\0\0";
/// 2 added deletes of rows.
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 12;

/// A file with as much is replaced by a checkpoint.
const LOG_BYTES_MAX: u64 = 1 << 20;

fn file_path(no: u64) -> String {
    format!("{DIR}/{no:020}.log")
}

fn file_no(name: &str) -> Option<u64> {
    name.strip_suffix(".log").filter(|digits| digits.len() == 20)?.parse().ok()
}

/// The manifest, open for commits.
pub(crate) struct Manifest {
    disk: Arc<dyn Disk>,
    state: Arc<State>,
    current: Option<(Box<dyn DiskFile>, u64)>,
    no: u64,
    checkpoint_bytes: u64,
}

impl Manifest {
    /// Reads the newest whole file and starts a new one with a checkpoint.
    pub(crate) fn open(disk: Arc<dyn Disk>) -> Result<Self> {
        durable::create_dir(&*disk, DIR)?;
        let (state, no) = newest_state(&*disk)?;
        let state = state.unwrap_or_default();
        let mut manifest = Self { disk, state: Arc::new(state), current: None, no, checkpoint_bytes: 0 };
        manifest.checkpoint(Arc::clone(&manifest.state))?;
        Ok(manifest)
    }

    /// The state after the last successful commit.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// Makes an edit durable and returns the new state.
    pub(crate) fn commit(&mut self, edit: &Edit) -> Result<Arc<State>> {
        let after = self.state.after(edit);
        let after = after.map_err(|rule| StoreError::Refused(format!("manifest commit refused: {rule}")))?;
        let after = Arc::new(after);
        // A log much longer than its checkpoint is replaced, so that opening stays quick.
        let log_bytes_max = LOG_BYTES_MAX.max(2 * self.checkpoint_bytes);
        match self.current.take() {
            Some((file, end)) if end < log_bytes_max => {
                let bytes = framed(edit, self.no);
                let path = file_path(self.no);
                file.write_at(end, &bytes).map_err(|e| StoreError::io("write", &path, e))?;
                file.sync_data().map_err(|e| StoreError::io("sync", &path, e))?;
                self.current = Some((file, end + bytes.len() as u64));
            }
            _ => self.checkpoint(Arc::clone(&after))?,
        }
        self.state = Arc::clone(&after);
        Ok(after)
    }

    /// Starts a new file with the whole state and removes the older ones.
    fn checkpoint(&mut self, state: Arc<State>) -> Result<()> {
        self.no += 1;
        let path = file_path(self.no);
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&framed(&state.checkpoint(), self.no));
        durable::write_new_file(&*self.disk, &path, &bytes)?;
        let file = self.disk.open(&path).map_err(|e| StoreError::io("open", &path, e))?;
        self.checkpoint_bytes = bytes.len() as u64;
        self.current = Some((file, self.checkpoint_bytes));
        // The new file is in effect, so nothing may fail the commit any more. What cannot be removed now goes
        // with the next checkpoint.
        if let Err(error) = self.remove_older() {
            tracing::warn!(%error, "cannot remove an older manifest");
        }
        Ok(())
    }

    fn remove_older(&self) -> Result<()> {
        let names = self.disk.list(DIR).map_err(|e| StoreError::io("list", DIR, e))?;
        let older = names.iter().filter(|name| file_no(name).is_some_and(|no| no < self.no));
        let older: Vec<String> = older.map(|name| format!("{DIR}/{name}")).collect();
        durable::remove_files(&*self.disk, older.iter().map(String::as_str))
    }
}

/// The state that the newest whole file holds, without changing anything; `None` where there is no manifest.
pub(crate) fn read_state(disk: &dyn Disk) -> Result<Option<State>> {
    match disk.exists(DIR).map_err(|e| StoreError::io("look at", DIR, e))? {
        true => newest_state(disk).map(|(state, _)| state),
        false => Ok(None),
    }
}

/// The state that the newest whole file holds, and the highest number of any file.
fn newest_state(disk: &dyn Disk) -> Result<(Option<State>, u64)> {
    let names = disk.list(DIR).map_err(|e| StoreError::io("list", DIR, e))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| file_no(name)).collect();
    let no = numbers.last().copied().unwrap_or(0);
    while let Some(newest) = numbers.pop() {
        if let Some(state) = read_log(disk, newest)? {
            return Ok((Some(state), no));
        }
        // A crash came before the checkpoint was whole; then the file before it is still there.
        if numbers.is_empty() && newest > 1 {
            return Err(StoreError::corrupt(&file_path(newest), 0, "no manifest has a whole checkpoint"));
        }
    }
    Ok((None, no))
}

/// Writes a whole manifest with this state into an empty data folder: for backups.
pub(crate) fn write_checkpoint(disk: Arc<dyn Disk>, state: &State) -> Result<()> {
    let mut manifest = Manifest::open(disk)?;
    manifest.checkpoint(Arc::new(state.clone()))
}

/// Length, checksum (with the file's number), edit.
fn framed(edit: &Edit, file_no: u64) -> Vec<u8> {
    let mut out = vec![0; 8];
    edit::encode(edit, &mut out);
    let len = (out.len() - 8) as u32;
    out[..4].copy_from_slice(&len.to_le_bytes());
    let sum = checksum(&out[8..], file_no);
    out[4..8].copy_from_slice(&sum.to_le_bytes());
    out
}

fn checksum(edit: &[u8], file_no: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&file_no.to_le_bytes()), edit)
}

/// The state that a file's edits add up to; `None` when not even its checkpoint is whole.
fn read_log(disk: &dyn Disk, no: u64) -> Result<Option<State>> {
    let path = file_path(no);
    let bytes = durable::read_file(disk, &path)?;
    let mut reader = Reader::new(&bytes);
    if reader.take(MAGIC.len()) != Some(MAGIC) {
        return Ok(None);
    }
    let version = match reader.u32() {
        None => return Ok(None),
        Some(version) if version > VERSION => {
            return Err(StoreError::TooNew { path, found: version, known: VERSION });
        }
        Some(version) => version,
    };
    let mut state: Option<State> = None;
    let mut offset = HEADER_BYTES;
    while let (Some(len), Some(sum)) = (reader.u32(), reader.u32()) {
        let Some(body) = reader.take(len as usize) else { break };
        if checksum(body, no) != sum {
            break;
        }
        let corrupt = |detail: &str| StoreError::corrupt(&path, offset as u64, detail);
        let edit = edit::decode(body, version).ok_or_else(|| corrupt("an edit is not readable"))?;
        if edit.is_checkpoint != state.is_none() {
            return Err(corrupt("a checkpoint is not where it should be"));
        }
        state = Some(state.unwrap_or_default().after(&edit).map_err(corrupt)?);
        offset += 8 + len as usize;
    }
    Ok(state)
}

#[cfg(test)]
mod tests;
