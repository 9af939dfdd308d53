//! A data folder in memory that forgets, at a crash, whatever was not synced.
//!
//! A crash keeps of each unsynced write a number of leading 512-byte sectors drawn from a seed, so that torn
//! records happen. Names that were not synced are gone, and so are files that have no name left.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, DiskFile};

/// Bytes that reach the disk together or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Default)]
struct Names {
    files: BTreeMap<String, u64>,
    folders: BTreeSet<String>,
}

#[derive(Default)]
struct Node {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

#[derive(Default)]
struct State {
    names: Names,
    synced: Names,
    nodes: BTreeMap<u64, Node>,
    node_next: u64,
    crashes: u64,
    bytes_max: Option<u64>,
    failing_syncs: u32,
    failing_writes: u32,
}

/// The folder. Clones share it; open files from before a crash only return errors.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

impl MemoryDisk {
    /// An empty folder of unlimited size.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses power. Seed 0 keeps no unsynced byte at all.
    pub fn crash(&self, seed: u64) {
        let state = &mut *self.0.lock();
        state.crashes += 1;
        let mut random = seed;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize
        };
        let kept: BTreeSet<u64> = state.synced.files.values().copied().collect();
        state.nodes.retain(|id, _| kept.contains(id));
        for node in state.nodes.values_mut() {
            for (offset, bytes) in std::mem::take(&mut node.unsynced) {
                let sectors = if seed == 0 { 0 } else { next() % (bytes.len() / SECTOR_BYTES + 2) };
                let survives = (sectors * SECTOR_BYTES).min(bytes.len());
                put(&mut node.synced, offset, &bytes[..survives]);
            }
            node.bytes.clone_from(&node.synced);
        }
        state.names = state.synced.clone();
        (state.failing_syncs, state.failing_writes) = (0, 0);
    }

    /// Limits the bytes of all files together; writes beyond it fail with `StorageFull`.
    pub fn set_bytes_max(&self, bytes_max: Option<u64>) {
        self.0.lock().bytes_max = bytes_max;
    }

    /// Makes the next `count` syncs of files fail.
    pub fn fail_syncs(&self, count: u32) {
        self.0.lock().failing_syncs = count;
    }

    /// Makes the next `count` writes fail.
    pub fn fail_writes(&self, count: u32) {
        self.0.lock().failing_writes = count;
    }

    /// Changes one byte of a file where it lies, as a worn disk does.
    pub fn damage(&self, path: &str, offset: usize) {
        let state = &mut *self.0.lock();
        if let Some(node) = state.names.files.get(path).and_then(|id| state.nodes.get_mut(id)) {
            for bytes in [&mut node.bytes, &mut node.synced] {
                if let Some(byte) = bytes.get_mut(offset) {
                    *byte ^= 0x5a;
                }
            }
        }
    }

    /// Bytes of all files.
    pub fn used_bytes(&self) -> u64 {
        self.0.lock().used()
    }

    fn file(&self, node: u64, crashes: u64) -> Box<dyn DiskFile> {
        Box::new(MemoryFile { disk: self.clone(), node, crashes })
    }
}

impl State {
    fn used(&self) -> u64 {
        let named: BTreeSet<u64> = self.names.files.values().copied().collect();
        named.iter().filter_map(|id| self.nodes.get(id)).map(|node| node.bytes.len() as u64).sum()
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    if new.is_empty() {
        return;
    }
    let end = offset + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(new);
}

fn parent(path: &str) -> &str {
    path.rfind('/').map_or("", |at| &path[..at])
}

fn not_found(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{path} is not there"))
}

impl Disk for MemoryDisk {
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let state = &mut *self.0.lock();
        if !parent(path).is_empty() && !state.names.folders.contains(parent(path)) {
            return Err(not_found(parent(path)));
        }
        if state.names.files.contains_key(path) || state.names.folders.contains(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.node_next += 1;
        state.nodes.insert(state.node_next, Node::default());
        state.names.files.insert(path.into(), state.node_next);
        Ok(self.file(state.node_next, state.crashes))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let state = self.0.lock();
        let node = *state.names.files.get(path).ok_or_else(|| not_found(path))?;
        Ok(self.file(node, state.crashes))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let state = &mut *self.0.lock();
        let node = state.names.files.remove(from).ok_or_else(|| not_found(from))?;
        state.names.files.insert(to.into(), node);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.0.lock().names.files.remove(path).map(|_| ()).ok_or_else(|| not_found(path))
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        if !self.list(path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.0.lock().names.folders.remove(path);
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        if !dir.is_empty() && !state.names.folders.contains(dir) {
            return Err(not_found(dir));
        }
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let all = state.names.files.keys().chain(&state.names.folders);
        let mut names: Vec<String> = all
            .filter_map(|path| path.strip_prefix(&prefix))
            .filter(|name| !name.is_empty() && !name.contains('/'))
            .map(String::from)
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir_all(&self, dir: &str) -> io::Result<()> {
        let state = &mut *self.0.lock();
        let mut path = dir;
        while !path.is_empty() {
            state.names.folders.insert(path.into());
            path = parent(path);
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let state = &mut *self.0.lock();
        if !dir.is_empty() && !state.names.folders.contains(dir) {
            return Err(not_found(dir));
        }
        state.synced.files.retain(|path, _| parent(path) != dir);
        state.synced.folders.retain(|path| parent(path) != dir);
        for (path, node) in state.names.files.iter().filter(|(path, _)| parent(path) == dir) {
            state.synced.files.insert(path.clone(), *node);
        }
        for path in state.names.folders.iter().filter(|path| parent(path) == dir) {
            state.synced.folders.insert(path.clone());
        }
        // A folder that is itself not durable takes its names with it.
        let folders = state.synced.folders.clone();
        let reachable = |path: &str| {
            let mut path = parent(path);
            while !path.is_empty() {
                if !folders.contains(path) {
                    return false;
                }
                path = parent(path);
            }
            true
        };
        state.synced.files.retain(|path, _| reachable(path));
        state.synced.folders.retain(|path| reachable(path));
        Ok(())
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        let state = self.0.lock();
        Ok(state.names.files.contains_key(path) || state.names.folders.contains(path))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.0.lock();
        Ok(state.bytes_max.map_or(1 << 40, |max| max.saturating_sub(state.used())))
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    node: u64,
    crashes: u64,
}

impl MemoryFile {
    fn with<T>(&self, act: impl FnOnce(&mut State, u64) -> io::Result<T>) -> io::Result<T> {
        let state = &mut *self.disk.0.lock();
        if state.crashes != self.crashes {
            return Err(io::Error::other("the machine crashed since this file was opened"));
        }
        act(state, self.node)
    }

    fn grow(state: &mut State, node: u64, end: usize) -> io::Result<()> {
        let len = state.nodes.get(&node).map_or(0, |n| n.bytes.len());
        let more = end.saturating_sub(len) as u64;
        match state.bytes_max {
            Some(max) if more > 0 && state.used() + more > max => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

fn node(state: &mut State, id: u64) -> &mut Node {
    state.nodes.entry(id).or_default()
}

impl DiskFile for MemoryFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|state, id| {
            if state.failing_writes > 0 {
                state.failing_writes -= 1;
                return Err(io::Error::other("write failed"));
            }
            Self::grow(state, id, offset as usize + bytes.len())?;
            let node = node(state, id);
            put(&mut node.bytes, offset as usize, bytes);
            node.unsynced.push((offset as usize, bytes.to_vec()));
            Ok(())
        })
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.with(|state, id| {
            let offset = offset as usize;
            let from = node(state, id).bytes.get(offset..offset + bytes.len());
            bytes.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state, id| {
            if state.failing_syncs > 0 {
                state.failing_syncs -= 1;
                return Err(io::Error::other("sync failed"));
            }
            let node = node(state, id);
            if node.synced.len() > node.bytes.len() {
                node.synced.truncate(node.bytes.len());
            }
            for (offset, bytes) in std::mem::take(&mut node.unsynced) {
                let end = (offset + bytes.len()).min(node.bytes.len());
                if offset < end {
                    put(&mut node.synced, offset, &node.bytes[offset..end]);
                }
            }
            node.synced.resize(node.bytes.len(), 0);
            Ok(())
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.with(|state, id| {
            Self::grow(state, id, len as usize)?;
            let node = node(state, id);
            if node.bytes.len() < len as usize {
                node.bytes.resize(len as usize, 0);
            }
            Ok(())
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(|state, id| {
            Self::grow(state, id, len as usize)?;
            let node = node(state, id);
            node.bytes.resize(len as usize, 0);
            node.unsynced.push((0, node.bytes.clone()));
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|state, id| Ok(node(state, id).bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disk: &MemoryDisk, path: &str) -> Option<Vec<u8>> {
        let file = disk.open(path).ok()?;
        let mut bytes = vec![0; file.len().ok()? as usize];
        file.read_at(0, &mut bytes).ok()?;
        Some(bytes)
    }

    #[test]
    fn a_crash_forgets_bytes_and_names_that_were_not_synced() {
        let disk = MemoryDisk::new();
        disk.create_dir_all("d").expect("folder");
        disk.sync_dir("").expect("sync");
        let kept = disk.create("d/kept").expect("file");
        kept.write_at(0, b"one").expect("write");
        kept.sync_data().expect("sync");
        disk.sync_dir("d").expect("sync");
        kept.write_at(3, b"two").expect("write");
        let nameless = disk.create("d/nameless").expect("file");
        nameless.sync_data().expect("sync");
        disk.crash(0);
        assert_eq!(read(&disk, "d/kept").as_deref(), Some(b"one".as_slice()));
        assert_eq!(read(&disk, "d/nameless"), None);
        assert!(kept.write_at(0, b"x").is_err());
    }

    #[test]
    fn a_removal_that_was_not_synced_comes_back() {
        let disk = MemoryDisk::new();
        disk.create("f").expect("file").sync_data().expect("sync");
        disk.sync_dir("").expect("sync");
        disk.remove("f").expect("remove");
        disk.crash(1);
        assert!(disk.exists("f").expect("exists"));
    }
}
