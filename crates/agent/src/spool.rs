//! Requests on disk until the server has them: a bounded queue of parcels in files.
//!
//! A parcel is durable when [`Spool::put`] returns: all that arrived while the last sync ran share one. What is
//! sent is struck off by a cursor; a kill between the server's answer and the cursor's write sends a parcel
//! twice, never not at all.
//!
//! ```text
//! <number>.spool   length u32 · CRC32C u32 · parcel, again and again
//! cursor           file u64 · offset u64 · CRC32C u32
//! ```

mod file; // parcels as bytes

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

pub use file::Parcel;

/// A file is closed when it is this large, and removed when all of it is sent.
const FILE_BYTES: u64 = 8 << 20;

/// Why a parcel was not kept.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SpoolError {
    /// No room until the server takes some.
    #[error("the buffer holds {0} bytes, its limit: the server has been away for long; raise --buffer-bytes")]
    Full(u64),
    /// The disk refuses.
    #[error("the buffer {path:?} cannot be {action}: {source}")]
    Disk {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The agent is stopping.
    #[error("the agent is stopping")]
    Closed,
}

fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError::Disk { action, path, source: Arc::new(source) }
}

/// A place in the queue: behind a parcel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    file: u64,
    offset: u64,
}

/// The queue; clones share it.
#[derive(Clone)]
pub struct Spool(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    bytes_max: u64,
    state: Mutex<State>,
    /// Told when something was added.
    added: Notify,
    writer: Mutex<Option<mpsc::Sender<Write>>>,
}

#[derive(Default)]
struct State {
    /// Files that are not all sent, and how much of each is durable.
    files: VecDeque<(u64, u64)>,
    /// Up to where everything is sent.
    sent: Position,
    /// Bytes promised to writes under way.
    promised: u64,
}

struct Write {
    bytes: Vec<u8>,
    promise: Promise,
    done: oneshot::Sender<Result<(), SpoolError>>,
}

/// Bytes that a write under way will take. Whoever waits for the write may go away; the promise ends with the
/// write.
struct Promise {
    shared: Arc<Shared>,
    bytes: u64,
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.shared.state.lock().promised -= self.bytes;
    }
}

impl Spool {
    /// Opens a folder, making it where it is missing. A torn end, left by a kill, is cut off.
    pub fn open(folder: &Path, bytes_max: u64) -> Result<Self, SpoolError> {
        fs::create_dir_all(folder).map_err(disk("made", folder))?;
        let mut state = State { sent: file::read_cursor(&folder.join("cursor")), ..State::default() };
        for number in file::numbers(folder)? {
            let path = file::path(folder, number);
            if number < state.sent.file {
                fs::remove_file(&path).map_err(disk("removed", &path))?;
                continue;
            }
            let durable = file::cut_torn_end(&path)?;
            state.files.push_back((number, durable));
        }
        let newest = state.files.back().map_or(state.sent.file, |(number, _)| *number);
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            bytes_max,
            state: Mutex::new(state),
            added: Notify::new(),
            writer: Mutex::new(Some(sender)),
        });
        let of_writer = Arc::clone(&shared);
        kit::spawn::thread("agent-spool", move || write(&of_writer, newest + 1, &receiver))
            .map_err(disk("served", folder))?;
        Ok(Self(shared))
    }

    /// Keeps parcels, all or none. Durable when it returns.
    pub async fn put(&self, parcels: &[Parcel]) -> Result<(), SpoolError> {
        let mut bytes = Vec::new();
        for parcel in parcels {
            file::encode(parcel, &mut bytes);
        }
        let size = bytes.len() as u64;
        {
            let mut state = self.0.state.lock();
            let held = state.bytes();
            if held + size > self.0.bytes_max {
                return Err(SpoolError::Full(held));
            }
            state.promised += size;
        }
        let promise = Promise { shared: Arc::clone(&self.0), bytes: size };
        let (done, wait) = oneshot::channel();
        let sent = match &*self.0.writer.lock() {
            Some(writer) => writer.send(Write { bytes, promise, done }).is_ok(),
            None => false,
        };
        if sent { wait.await.unwrap_or(Err(SpoolError::Closed)) } else { Err(SpoolError::Closed) }
    }

    /// The first parcel behind a place, and the place behind it; waits for one.
    pub async fn next(&self, after: Position) -> Result<(Parcel, Position), SpoolError> {
        loop {
            let mut added = std::pin::pin!(self.0.added.notified());
            // From here on nothing that is added is missed.
            added.as_mut().enable();
            if let Some(found) = self.look(after)? {
                return Ok(found);
            }
            added.await;
        }
    }

    fn look(&self, after: Position) -> Result<Option<(Parcel, Position)>, SpoolError> {
        let files: Vec<(u64, u64)> = self.0.state.lock().files.iter().copied().collect();
        for (number, durable) in files {
            let offset = if number == after.file { after.offset } else { 0 };
            if number < after.file || offset >= durable {
                continue;
            }
            let path = file::path(&self.0.folder, number);
            let (parcel, end) = file::read_at(&path, offset)?;
            return Ok(Some((parcel, Position { file: number, offset: end })));
        }
        Ok(None)
    }

    /// Up to where everything is sent.
    pub fn sent(&self) -> Position {
        self.0.state.lock().sent
    }

    /// Strikes off everything up to a place.
    pub fn strike_off(&self, to: Position) -> Result<(), SpoolError> {
        let gone: Vec<u64> = {
            let mut state = self.0.state.lock();
            state.sent = state.sent.max(to);
            let mut gone = Vec::new();
            while let Some((number, durable)) = state.files.front().copied()
                && (number < to.file || number == to.file && to.offset >= durable && durable >= FILE_BYTES)
            {
                gone.push(number);
                state.files.pop_front();
            }
            gone
        };
        file::write_cursor(&self.0.folder.join("cursor"), to)?;
        for number in gone {
            let path = file::path(&self.0.folder, number);
            fs::remove_file(&path).map_err(disk("removed", &path))?;
        }
        Ok(())
    }

    /// Bytes that are not sent yet.
    pub fn bytes(&self) -> u64 {
        self.0.state.lock().bytes()
    }

    /// Takes no more parcels.
    pub fn close(&self) {
        *self.0.writer.lock() = None;
    }
}

impl State {
    fn bytes(&self) -> u64 {
        let in_files: u64 = self
            .files
            .iter()
            .map(|(number, durable)| match number.cmp(&self.sent.file) {
                std::cmp::Ordering::Less => 0,
                std::cmp::Ordering::Equal => durable.saturating_sub(self.sent.offset),
                std::cmp::Ordering::Greater => *durable,
            })
            .sum();
        in_files + self.promised
    }
}

/// Writes what arrives: one sync for all that came while the last one ran.
fn write(shared: &Shared, first: u64, arriving: &mpsc::Receiver<Write>) {
    let mut number = first;
    let mut current: Option<(fs::File, u64)> = None;
    while let Ok(write) = arriving.recv() {
        let mut group = vec![write];
        group.extend(arriving.try_iter());
        let bytes: Vec<u8> = group.iter().flat_map(|write| write.bytes.iter().copied()).collect();
        let outcome = append(shared, &mut current, &mut number, &bytes);
        if outcome.is_err() {
            // What a failed write left is not known: a new file begins, and the old one ends where it was.
            current = None;
        }
        for Write { promise, done, .. } in group {
            // Before the answer, so that whoever hears it sees these bytes once.
            drop(promise);
            let _ = done.send(outcome.clone());
        }
        if outcome.is_ok() {
            shared.added.notify_waiters();
        }
    }
}

fn append(
    shared: &Shared,
    current: &mut Option<(fs::File, u64)>,
    number: &mut u64,
    bytes: &[u8],
) -> Result<(), SpoolError> {
    if current.as_ref().is_none_or(|(_, length)| *length >= FILE_BYTES) {
        if current.is_some() || file::path(&shared.folder, *number).exists() {
            *number += 1;
        }
        *current = Some((file::create(&shared.folder, *number)?, 0));
        shared.state.lock().files.push_back((*number, 0));
    }
    let Some((open, length)) = current else { return Err(SpoolError::Closed) };
    let path = file::path(&shared.folder, *number);
    file::write_synced(open, bytes).map_err(disk("written", &path))?;
    *length += bytes.len() as u64;
    if let Some(last) = shared.state.lock().files.iter_mut().find(|(no, _)| no == number) {
        last.1 = *length;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
