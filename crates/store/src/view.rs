//! What a query may look at: open segments and tombstones by shard, as of one manifest version.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::HashMap;

use crate::disk::Disk;
use crate::durable;
use crate::manifest::State;
use crate::segment::{Segment, SegmentId, SegmentMeta, TableCache};
use crate::tombstone::Tombstone;
use crate::wal::ShardKey;

/// A segment that the manifest lists, or listed when a snapshot was taken. Once it is no longer listed, its
/// files go with the last one who holds it.
pub(crate) struct LiveSegment {
    pub(crate) segment: Arc<Segment>,
    disk: Arc<dyn Disk>,
    is_doomed: AtomicBool,
}

impl LiveSegment {
    pub(crate) fn meta(&self) -> &SegmentMeta {
        self.segment.meta()
    }
}

impl Drop for LiveSegment {
    fn drop(&mut self) {
        if self.is_doomed.load(Ordering::Acquire)
            && let Err(error) = durable::remove_files(&*self.disk, self.segment.paths())
        {
            // The next start finds the files without an entry and removes them.
            tracing::warn!(segment = %self.meta().id, %error, "cannot remove the files of a replaced segment");
        }
    }
}

/// The segments of one shard.
#[derive(Clone, Default)]
pub(crate) struct ShardView {
    /// In the order in which later ones win.
    pub(crate) segments: Vec<Arc<LiveSegment>>,
    pub(crate) tombstones: Vec<Tombstone>,
}

/// The segments of all shards.
#[derive(Clone, Default)]
pub(crate) struct View {
    pub(crate) shards: BTreeMap<ShardKey, ShardView>,
}

impl View {
    /// The view of a newer manifest version; segments that are in both stay open.
    pub(crate) fn next(&self, state: &State, disk: &Arc<dyn Disk>, cache: &Arc<TableCache>) -> Self {
        let open = self.shards.values().flat_map(|shard| &shard.segments);
        let mut open: HashMap<SegmentId, &Arc<LiveSegment>> = open.map(|s| (s.meta().id, s)).collect();
        let mut next = Self::default();
        for meta in state.segments.values() {
            let segment = match open.remove(&meta.id) {
                Some(segment) => Arc::clone(segment),
                None => Arc::new(LiveSegment {
                    segment: Arc::new(Segment::open(Arc::clone(disk), meta.clone(), Arc::clone(cache))),
                    disk: Arc::clone(disk),
                    is_doomed: AtomicBool::new(false),
                }),
            };
            let key = ShardKey { tenant: meta.tenant.clone(), signal: meta.signal };
            next.shards.entry(key).or_default().segments.push(segment);
        }
        for gone in open.values() {
            gone.is_doomed.store(true, Ordering::Release);
        }
        for (key, tombstone) in state.tombstones.values() {
            next.shards.entry(key.clone()).or_default().tombstones.push(tombstone.clone());
        }
        for shard in next.shards.values_mut() {
            shard.segments.sort_by_key(|segment| (segment.meta().max_seq, segment.meta().id));
        }
        next
    }
}
