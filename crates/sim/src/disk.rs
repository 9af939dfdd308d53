//! A data folder in memory that does to the store what disks do: it forgets what was not synced, tears
//! writes, fails and fills up, all by one seed.
//!
//! A crash keeps of each file any subset of the writes since its last sync, each perhaps cut at any byte or
//! missing any 512-byte sector, and of each folder any subset of the names created, renamed and removed
//! since its last sync. A failed sync writes any part of what waited and forgets the rest, as Linux does:
//! readers go on to see it, and no later sync writes it. A machine can crash inside any call, before or after
//! the call took effect; from then on every call fails until [`SimDisk::restart`].

mod tree; // what is durable and what is not

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use store::disk::{Disk, DiskFile};
use tree::{ByteChange, NameChange, Node, NodeId, Survival, Tree};

use crate::digest::Digest;

/// Calls that are kept for the report of a failure.
const RECORDED_MAX: usize = 400;

/// How often calls fail, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Writes; a part may have been written.
    pub writes: u32,
    /// Syncs of files.
    pub syncs: u32,
    /// Reads and looks at names.
    pub reads: u32,
    /// Creating, renaming, removing and syncing of names.
    pub names: u32,
}

/// Which syncs of files do nothing and say that they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lies {
    /// None: an honest disk.
    #[default]
    None,
    /// Those of the write-ahead log.
    Wal,
    /// All.
    All,
}

struct State {
    tree: Tree,
    rng: StdRng,
    /// Calls of handles of an earlier boot fail.
    boot: u64,
    faults: Faults,
    lies: Lies,
    bytes_max: Option<u64>,
    crash_in: Option<u64>,
    is_down: bool,
    injected: u64,
    calls: u64,
    digest: Digest,
    recorded: Option<VecDeque<String>>,
}

/// The folder as one boot of the machine sees it. Clones share it.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    boot: u64,
}

fn fault(what: &str) -> io::Error {
    io::Error::other(format!("injected: {what}"))
}

fn not_found(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{path} is not there"))
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl SimDisk {
    /// An empty folder. With `records`, calls are kept for [`Self::recorded`].
    pub fn new(seed: u64, lies: Lies, records: bool) -> Self {
        let state = State {
            tree: Tree::default(),
            rng: StdRng::seed_from_u64(seed),
            boot: 0,
            faults: Faults::default(),
            lies,
            bytes_max: None,
            crash_in: None,
            is_down: false,
            injected: 0,
            calls: 0,
            digest: Digest::default(),
            recorded: records.then(VecDeque::new),
        };
        Self { state: Arc::new(Mutex::new(state)), boot: 0 }
    }

    /// Sets how often calls fail.
    pub fn set_faults(&self, faults: Faults) {
        self.state.lock().faults = faults;
    }

    /// Limits the bytes of all files together.
    pub fn set_bytes_max(&self, bytes_max: Option<u64>) {
        self.state.lock().bytes_max = bytes_max;
    }

    /// Loses power inside the call that comes after this many others; `None` takes it back.
    pub fn crash_in(&self, calls: Option<u64>) {
        self.state.lock().crash_in = calls;
    }

    /// Replaces how often calls fail and when the next crash comes; returns what was set before.
    pub fn swap_faults(&self, faults: Faults, crash_in: Option<u64>) -> (Faults, Option<u64>) {
        let state = &mut *self.state.lock();
        (std::mem::replace(&mut state.faults, faults), std::mem::replace(&mut state.crash_in, crash_in))
    }

    /// True from the moment of a crash until the restart.
    pub fn is_down(&self) -> bool {
        self.state.lock().is_down
    }

    /// Faults that were injected so far, a full disk included.
    pub fn injected(&self) -> u64 {
        self.state.lock().injected
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// Bytes of all files.
    pub fn used_bytes(&self) -> u64 {
        self.state.lock().tree.used_bytes()
    }

    /// Digest of all calls so far.
    pub fn digest(&self) -> Digest {
        self.state.lock().digest
    }

    /// The last calls, if they are kept.
    pub fn recorded(&self) -> Vec<String> {
        self.state.lock().recorded.iter().flatten().cloned().collect()
    }

    /// Paths of all files, sorted.
    pub fn paths(&self) -> Vec<String> {
        self.state.lock().tree.paths()
    }

    /// Loses power and starts again: what was not synced is gone, or not.
    pub fn restart(&self) -> Self {
        let state = &mut *self.state.lock();
        let survival = Survival::draw(&mut state.rng);
        state.tree.crash(survival, &mut state.rng);
        self.rebooted(state, "power returns")
    }

    /// Ends the process at once and starts another: what was written is there, synced or not.
    pub fn kill(&self) -> Self {
        let state = &mut *self.state.lock();
        state.tree.kill(&mut state.rng);
        self.rebooted(state, "the process is killed")
    }

    fn rebooted(&self, state: &mut State, what: &str) -> Self {
        state.boot += 1;
        state.is_down = false;
        state.crash_in = None;
        if let Some(recorded) = &mut state.recorded {
            recorded.push_back(format!("-- {what}"));
        }
        Self { state: Arc::clone(&self.state), boot: state.boot }
    }

    /// One call: counts it, decides whether it fails or the machine crashes in it, and carries it out.
    fn call<T>(
        &self,
        call: Call<'_>,
        act: impl FnOnce(&mut State) -> io::Result<T>,
        act_partly: impl FnOnce(&mut State),
    ) -> io::Result<T> {
        let state = &mut *self.state.lock();
        if state.is_down || state.boot != self.boot {
            return Err(fault("the machine is down"));
        }
        state.calls += 1;
        state.digest.number(call.name.len() as u64 ^ call.number << 8);
        state.digest.bytes(call.path.as_bytes());
        state.digest.bytes(call.bytes);
        if state.crash_in == Some(0) {
            state.is_down = true;
            state.injected += 1;
            let took_effect = state.rng.random();
            state.record(&call, if took_effect { "crash after" } else { "crash before" });
            if took_effect {
                let _ = act(state);
            }
            return Err(fault("the machine crashes"));
        }
        state.crash_in = state.crash_in.map(|calls| calls - 1);
        let per_mille = call.kind.per_mille(&state.faults);
        if per_mille > 0 && state.rng.random_range(0..1000) < per_mille {
            state.injected += 1;
            state.record(&call, "fails");
            act_partly(state);
            return Err(fault(call.name));
        }
        let done = act(state);
        state.record(&call, if done.is_ok() { "" } else { "error" });
        done
    }

    fn handle(&self, node: NodeId, path: &str) -> Box<dyn DiskFile> {
        Box::new(SimFile { disk: self.clone(), node, path: path.into() })
    }
}

impl State {
    fn record(&mut self, call: &Call<'_>, how: &str) {
        if let Some(recorded) = &mut self.recorded {
            if recorded.len() == RECORDED_MAX {
                recorded.pop_front();
            }
            let Call { name, path, number, .. } = call;
            recorded.push_back(format!("{name} {path} {number} +{} {how}", call.bytes.len()));
        }
    }

    fn parent<'p>(&mut self, path: &'p str) -> io::Result<(NodeId, &'p str)> {
        let (folder, name) = split(path);
        let id = self.tree.find(folder).ok_or_else(|| not_found(folder))?;
        Ok((id, name))
    }

    fn change(&mut self, folder: NodeId, change: NameChange) -> io::Result<()> {
        self.tree.folder(folder).ok_or(io::ErrorKind::NotADirectory)?.change(change);
        Ok(())
    }

    fn make_room(&mut self, node: NodeId, end: u64) -> io::Result<()> {
        let Some(bytes_max) = self.bytes_max else { return Ok(()) };
        let len = self.tree.file(node).map_or(0, |file| file.bytes.len() as u64);
        if end > len && self.tree.used_bytes() + (end - len) > bytes_max {
            self.injected += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Write,
    Sync,
    Read,
    Name,
}

impl Kind {
    fn per_mille(self, faults: &Faults) -> u32 {
        match self {
            Self::Write => faults.writes,
            Self::Sync => faults.syncs,
            Self::Read => faults.reads,
            Self::Name => faults.names,
        }
    }
}

struct Call<'a> {
    kind: Kind,
    name: &'static str,
    path: &'a str,
    number: u64,
    bytes: &'a [u8],
}

impl<'a> Call<'a> {
    fn new(kind: Kind, name: &'static str, path: &'a str) -> Self {
        Self { kind, name, path, number: 0, bytes: &[] }
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let create = |state: &mut State| {
            let (folder, name) = state.parent(path)?;
            if state.tree.find(path).is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let node = state.tree.add(Node::File(tree::File::default()));
            state.change(folder, NameChange::Link(name.into(), node))?;
            Ok(node)
        };
        let node = self.call(Call::new(Kind::Name, "create", path), create, |_| {})?;
        Ok(self.handle(node, path))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let open = |state: &mut State| match state.tree.find(path) {
            Some(node) if matches!(state.tree.node(node), Some(Node::File(_))) => Ok(node),
            _ => Err(not_found(path)),
        };
        let node = self.call(Call::new(Kind::Read, "open", path), open, |_| {})?;
        Ok(self.handle(node, path))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let rename = |state: &mut State| {
            let node = state.tree.find(from).ok_or_else(|| not_found(from))?;
            let (from_folder, from_name) = state.parent(from)?;
            let (to_folder, to_name) = state.parent(to)?;
            if from_folder == to_folder {
                return state.change(from_folder, NameChange::Rename(from_name.into(), to_name.into(), node));
            }
            state.change(to_folder, NameChange::Link(to_name.into(), node))?;
            state.change(from_folder, NameChange::Unlink(from_name.into()))
        };
        self.call(Call { bytes: to.as_bytes(), ..Call::new(Kind::Name, "rename", from) }, rename, |_| {})
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let remove = |state: &mut State| {
            state.tree.find(path).ok_or_else(|| not_found(path))?;
            let (folder, name) = state.parent(path)?;
            state.change(folder, NameChange::Unlink(name.into()))
        };
        self.call(Call::new(Kind::Name, "remove", path), remove, |_| {})
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let remove = |state: &mut State| {
            let id = state.tree.find(path).ok_or_else(|| not_found(path))?;
            let folder = state.tree.folder(id).ok_or(io::ErrorKind::NotADirectory)?;
            if !folder.names.is_empty() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            let (parent, name) = state.parent(path)?;
            state.change(parent, NameChange::Unlink(name.into()))
        };
        self.call(Call::new(Kind::Name, "remove_dir", path), remove, |_| {})
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let list = |state: &mut State| {
            let id = state.tree.find(dir).ok_or_else(|| not_found(dir))?;
            let folder = state.tree.folder(id).ok_or(io::ErrorKind::NotADirectory)?;
            Ok(folder.names.keys().cloned().collect())
        };
        self.call(Call::new(Kind::Read, "list", dir), list, |_| {})
    }

    fn create_dir_all(&self, dir: &str) -> io::Result<()> {
        let create = |state: &mut State| {
            let mut path = String::new();
            for part in dir.split('/').filter(|part| !part.is_empty()) {
                let folder = state.tree.find(&path).ok_or_else(|| not_found(&path))?;
                path = if path.is_empty() { part.into() } else { format!("{path}/{part}") };
                if state.tree.find(&path).is_none() {
                    let node = state.tree.add(Node::Folder(tree::Folder::default()));
                    state.change(folder, NameChange::Link(part.into(), node))?;
                }
            }
            Ok(())
        };
        self.call(Call::new(Kind::Name, "create_dir_all", dir), create, |_| {})
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let sync = |state: &mut State| {
            let id = state.tree.find(dir).ok_or_else(|| not_found(dir))?;
            state.tree.folder(id).ok_or(io::ErrorKind::NotADirectory)?.sync();
            Ok(())
        };
        self.call(Call::new(Kind::Name, "sync_dir", dir), sync, |_| {})
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.call(Call::new(Kind::Read, "exists", path), |state| Ok(state.tree.find(path).is_some()), |_| {})
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let free = |state: &mut State| {
            Ok(state.bytes_max.map_or(1 << 40, |max| max.saturating_sub(state.tree.used_bytes())))
        };
        self.call(Call::new(Kind::Read, "free_bytes", ""), free, |_| {})
    }
}

struct SimFile {
    disk: SimDisk,
    node: NodeId,
    path: String,
}

impl SimFile {
    fn resize(&self, name: &'static str, len: u64, shrinks: bool) -> io::Result<()> {
        let node = self.node;
        let resize = |state: &mut State| {
            state.make_room(node, len)?;
            let file = state.tree.file(node).ok_or(io::ErrorKind::NotFound)?;
            if shrinks || file.bytes.len() < len as usize {
                file.change(ByteChange::Resize(len as usize));
            }
            Ok(())
        };
        let call = Call { number: len, ..Call::new(Kind::Write, name, &self.path) };
        self.disk.call(call, resize, |_| {})
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let node = self.node;
        let write = |state: &mut State| {
            state.make_room(node, offset + bytes.len() as u64)?;
            let file = state.tree.file(node).ok_or(io::ErrorKind::NotFound)?;
            file.change(ByteChange::Write(offset as usize, bytes.to_vec()));
            Ok(())
        };
        let write_partly = |state: &mut State| {
            let len = state.rng.random_range(0..=bytes.len());
            if let Some(file) = state.tree.file(node) {
                file.change(ByteChange::Write(offset as usize, bytes[..len].to_vec()));
            }
        };
        let call = Call { number: offset, bytes, ..Call::new(Kind::Write, "write", &self.path) };
        self.disk.call(call, write, write_partly)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let node = self.node;
        let call =
            Call { number: offset ^ (bytes.len() as u64) << 32, ..Call::new(Kind::Read, "read", &self.path) };
        let read = |state: &mut State| {
            let file = state.tree.file(node).ok_or(io::ErrorKind::NotFound)?;
            let offset = offset as usize;
            let from = file.bytes.get(offset..offset + bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            bytes.copy_from_slice(from);
            Ok(())
        };
        self.disk.call(call, read, |_| {})
    }

    fn sync_data(&self) -> io::Result<()> {
        let (node, path) = (self.node, self.path.as_str());
        let sync = |state: &mut State| {
            let lies = match state.lies {
                Lies::None => false,
                Lies::Wal => path.starts_with("wal/"),
                Lies::All => true,
            };
            if !lies {
                state.tree.file(node).ok_or(io::ErrorKind::NotFound)?.sync();
            }
            Ok(())
        };
        let fail = |state: &mut State| {
            if let (Some(Node::File(_)), rng) = (state.tree.node(node), &mut state.rng)
                && let Some(file) = state.tree.file(node)
            {
                file.fail_sync(rng);
            }
        };
        self.disk.call(Call::new(Kind::Sync, "sync", path), sync, fail)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.resize("allocate", len, false)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.resize("truncate", len, true)
    }

    fn len(&self) -> io::Result<u64> {
        let node = self.node;
        let len =
            |state: &mut State| Ok(state.tree.file(node).ok_or(io::ErrorKind::NotFound)?.bytes.len() as u64);
        self.disk.call(Call::new(Kind::Read, "len", &self.path), len, |_| {})
    }
}

#[cfg(test)]
mod tests;
