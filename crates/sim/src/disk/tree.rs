//! Folders and files with what is durable of them, and what a crash makes of the rest.

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::StdRng;

/// Bytes that a device writes together, at most.
const SECTOR_BYTES: usize = 512;

pub(super) type NodeId = u64;

/// The data folder itself.
pub(super) const ROOT: NodeId = 0;

/// A change of a folder's names that is not durable yet.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Link(String, NodeId),
    Unlink(String),
    /// Atomic, as journals make it: both names change, or neither.
    Rename(String, String, NodeId),
}

/// A change of a file's bytes that is not durable yet.
#[derive(Clone, Debug)]
pub(super) enum ByteChange {
    Write(usize, Vec<u8>),
    Resize(usize),
}

#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) names: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
    pending: Vec<NameChange>,
}

#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<ByteChange>,
    /// A sync failed: some bytes are only in memory, and no later sync writes them.
    is_diverged: bool,
}

#[derive(Debug)]
pub(super) enum Node {
    Folder(Folder),
    File(File),
}

/// What a crash keeps of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survival {
    Nothing,
    Everything,
    /// Any subset, torn anywhere.
    Anything,
}

impl Survival {
    pub(super) fn draw(rng: &mut StdRng) -> Self {
        match rng.random_range(0..10) {
            0..3 => Self::Nothing,
            3 => Self::Everything,
            _ => Self::Anything,
        }
    }
}

fn rename(names: &mut BTreeMap<String, NodeId>, change: &NameChange) {
    match change {
        NameChange::Link(name, node) => {
            names.insert(name.clone(), *node);
        }
        NameChange::Unlink(name) => {
            names.remove(name);
        }
        NameChange::Rename(from, to, node) => {
            if names.get(from) == Some(node) {
                names.remove(from);
            }
            names.insert(to.clone(), *node);
        }
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

impl ByteChange {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, new) => put(bytes, *offset, new),
            Self::Resize(len) => bytes.resize(*len, 0),
        }
    }

    /// Applies some of it.
    fn apply_torn(&self, bytes: &mut Vec<u8>, rng: &mut StdRng) {
        let Self::Write(offset, new) = self else {
            if rng.random() {
                self.apply(bytes);
            }
            return;
        };
        match rng.random_range(0..5) {
            0 => {}
            1 => put(bytes, *offset, new),
            // A prefix that ends anywhere.
            2 | 3 => put(bytes, *offset, &new[..rng.random_range(0..=new.len())]),
            // Any sectors.
            _ => {
                let mut from = 0;
                while from < new.len() {
                    let to = (from + SECTOR_BYTES - (offset + from) % SECTOR_BYTES).min(new.len());
                    if rng.random() {
                        put(bytes, offset + from, &new[from..to]);
                    }
                    from = to;
                }
            }
        }
    }
}

impl Folder {
    pub(super) fn change(&mut self, change: NameChange) {
        rename(&mut self.names, &change);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        self.pending.clear();
        self.durable.clone_from(&self.names);
    }

    fn crash(&mut self, survival: Survival, rng: &mut StdRng) {
        for change in std::mem::take(&mut self.pending) {
            let survives = match survival {
                Survival::Nothing => false,
                Survival::Everything => true,
                Survival::Anything => rng.random(),
            };
            if survives {
                rename(&mut self.durable, &change);
            }
        }
        self.names.clone_from(&self.durable);
    }
}

impl File {
    pub(super) fn change(&mut self, change: ByteChange) {
        change.apply(&mut self.bytes);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// The device refused some of the writes. Linux marks all of them clean and never tries again, while
    /// readers go on to see them.
    pub(super) fn fail_sync(&mut self, rng: &mut StdRng) {
        for change in std::mem::take(&mut self.pending) {
            change.apply_torn(&mut self.durable, rng);
        }
        self.is_diverged = self.bytes != self.durable;
    }

    /// The process ended. What the device lost may leave the memory too.
    fn kill(&mut self, rng: &mut StdRng) {
        if std::mem::take(&mut self.is_diverged) && rng.random() {
            self.bytes.clone_from(&self.durable);
            self.pending.clear();
        }
    }

    fn crash(&mut self, survival: Survival, rng: &mut StdRng) {
        for change in std::mem::take(&mut self.pending) {
            match survival {
                Survival::Nothing => {}
                Survival::Everything => change.apply(&mut self.durable),
                Survival::Anything => change.apply_torn(&mut self.durable, rng),
            }
        }
        self.bytes.clone_from(&self.durable);
        self.is_diverged = false;
    }
}

/// All nodes by number, so that a walk over them has one order.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<NodeId, Node>,
    next: NodeId,
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: BTreeMap::from([(ROOT, Node::Folder(Folder::default()))]), next: ROOT + 1 }
    }
}

impl Tree {
    pub(super) fn add(&mut self, node: Node) -> NodeId {
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, node);
        id
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    pub(super) fn file(&mut self, id: NodeId) -> Option<&mut File> {
        match self.nodes.get_mut(&id) {
            Some(Node::File(file)) => Some(file),
            _ => None,
        }
    }

    pub(super) fn folder(&mut self, id: NodeId) -> Option<&mut Folder> {
        match self.nodes.get_mut(&id) {
            Some(Node::Folder(folder)) => Some(folder),
            _ => None,
        }
    }

    /// The node of a path; `""` is the root.
    pub(super) fn find(&self, path: &str) -> Option<NodeId> {
        path.split('/').filter(|part| !part.is_empty()).try_fold(ROOT, |at, part| match self.nodes.get(&at) {
            Some(Node::Folder(folder)) => folder.names.get(part).copied(),
            _ => None,
        })
    }

    /// Bytes of all files that have a name.
    pub(super) fn used_bytes(&self) -> u64 {
        let named = self.reachable();
        let files = named.iter().filter_map(|id| match self.nodes.get(id) {
            Some(Node::File(file)) => Some(file.bytes.len() as u64),
            _ => None,
        });
        files.sum()
    }

    /// Paths of all files, sorted.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        let mut open = vec![(ROOT, String::new())];
        while let Some((id, path)) = open.pop() {
            match self.nodes.get(&id) {
                Some(Node::Folder(folder)) => {
                    let below = |(name, id): (&String, &NodeId)| {
                        (*id, if path.is_empty() { name.clone() } else { format!("{path}/{name}") })
                    };
                    open.extend(folder.names.iter().map(below));
                }
                Some(Node::File(_)) => paths.push(path),
                None => {}
            }
        }
        paths.sort_unstable();
        paths
    }

    fn reachable(&self) -> Vec<NodeId> {
        let mut reached = Vec::new();
        let mut open = vec![ROOT];
        while let Some(id) = open.pop() {
            reached.push(id);
            if let Some(Node::Folder(folder)) = self.nodes.get(&id) {
                open.extend(folder.names.values());
            }
        }
        reached.sort_unstable();
        reached.dedup();
        reached
    }

    fn drop_unreachable(&mut self) {
        let reached = self.reachable();
        self.nodes.retain(|id, _| reached.binary_search(id).is_ok());
    }

    /// The process ended; the operating system goes on.
    pub(super) fn kill(&mut self, rng: &mut StdRng) {
        for node in self.nodes.values_mut() {
            if let Node::File(file) = node {
                file.kill(rng);
            }
        }
    }

    /// The machine lost its power.
    pub(super) fn crash(&mut self, survival: Survival, rng: &mut StdRng) {
        for node in self.nodes.values_mut() {
            match node {
                Node::Folder(folder) => folder.crash(survival, rng),
                Node::File(file) => file.crash(survival, rng),
            }
        }
        self.drop_unreachable();
    }
}
