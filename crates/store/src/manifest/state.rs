//! What the manifest says at one moment, and the rules that every change keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::edit::Edit;
use crate::rows::RowTombstone;
use crate::segment::{SegmentId, SegmentMeta};
use crate::tombstone::Tombstone;
use crate::wal::ShardKey;

/// Everything that the manifest knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) segments: BTreeMap<SegmentId, SegmentMeta>,
    pub(crate) flushed: BTreeMap<ShardKey, u64>,
    pub(crate) tombstones: BTreeMap<u64, (ShardKey, Tombstone)>,
    pub(crate) row_tombstones: BTreeMap<u64, (ShardKey, Arc<RowTombstone>)>,
    pub(crate) id_next: u64,
}

impl State {
    /// The sequence up to which a shard is flushed; 0 for a new one.
    pub(crate) fn flushed_seq(&self, shard: &ShardKey) -> u64 {
        self.flushed.get(shard).copied().unwrap_or(0)
    }

    /// The state as one edit.
    pub(crate) fn checkpoint(&self) -> Edit {
        Edit {
            is_checkpoint: true,
            add: self.segments.values().cloned().collect(),
            remove: Vec::new(),
            flushed: self.flushed.iter().map(|(shard, seq)| (shard.clone(), *seq)).collect(),
            add_tombstones: self.tombstones.values().cloned().collect(),
            add_row_tombstones: self.row_tombstones.values().cloned().collect(),
            remove_tombstones: Vec::new(),
            id_next: self.id_next,
        }
    }

    /// The state after an edit, or the rule that the edit breaks.
    pub(crate) fn after(&self, edit: &Edit) -> Result<Self, &'static str> {
        removes_known_segments(self, edit)?;
        adds_new_segments(self, edit)?;
        never_unflushes(self, edit)?;
        keeps_shards_apart(self, edit)?;
        let mut state = if edit.is_checkpoint { Self::default() } else { self.clone() };
        for id in &edit.remove {
            state.segments.remove(id);
        }
        for meta in &edit.add {
            state.segments.insert(meta.id, meta.clone());
        }
        for (shard, seq) in &edit.flushed {
            state.flushed.insert(shard.clone(), *seq);
        }
        for (shard, tombstone) in &edit.add_tombstones {
            state.tombstones.insert(tombstone.id, (shard.clone(), tombstone.clone()));
        }
        for (shard, tombstone) in &edit.add_row_tombstones {
            state.row_tombstones.insert(tombstone.id, (shard.clone(), Arc::clone(tombstone)));
        }
        for id in &edit.remove_tombstones {
            state.tombstones.remove(id);
            state.row_tombstones.remove(id);
        }
        let highest = state.segments.keys().next_back().map_or(0, |id| id.0 + 1);
        state.id_next = state.id_next.max(edit.id_next).max(highest);
        Ok(state)
    }
}

fn removes_known_segments(state: &State, edit: &Edit) -> Result<(), &'static str> {
    let known = edit.remove.iter().all(|id| state.segments.contains_key(id));
    known.then_some(()).ok_or("an edit removes a segment that is not there")
}

fn adds_new_segments(state: &State, edit: &Edit) -> Result<(), &'static str> {
    let new = edit.is_checkpoint || edit.add.iter().all(|meta| !state.segments.contains_key(&meta.id));
    let ranges = edit.add.iter().all(|meta| meta.min_t_ms <= meta.max_t_ms && meta.min_seq <= meta.max_seq);
    (new && ranges).then_some(()).ok_or("an edit adds a segment that is there, or has an empty range")
}

fn never_unflushes(state: &State, edit: &Edit) -> Result<(), &'static str> {
    let forward = edit.flushed.iter().all(|(shard, seq)| *seq >= state.flushed_seq(shard));
    forward.then_some(()).ok_or("an edit lowers a flushed sequence")
}

/// A compaction (an edit that adds and removes) stays inside one tenant and signal.
fn keeps_shards_apart(state: &State, edit: &Edit) -> Result<(), &'static str> {
    if edit.is_checkpoint || edit.remove.is_empty() || edit.add.is_empty() {
        return Ok(());
    }
    let removed = edit.remove.iter().filter_map(|id| state.segments.get(id));
    let mut shards = removed.chain(&edit.add).map(|meta| (&meta.tenant, meta.signal));
    let first = shards.next();
    let same = shards.all(|shard| Some(shard) == first);
    same.then_some(()).ok_or("an edit replaces segments of one tenant or signal by those of another")
}
