//! What a query may look at: open segments and tombstones by shard, as of one manifest version.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::HashMap;
use model::Signal;

use crate::disk::Disk;
use crate::durable;
use crate::manifest::State;
use crate::rows::{Filter, RowSegment, RowTombstone};
use crate::segment::{Segment, SegmentId, SegmentMeta, TableCache};
use crate::tombstone::Tombstone;
use crate::wal::ShardKey;

/// What a view needs of a segment of any signal.
pub(crate) trait SegmentFiles {
    /// What the manifest knows of it.
    fn meta(&self) -> &SegmentMeta;

    /// Its files.
    fn paths(&self) -> [&str; 2];

    /// Removes the files, as soon as nobody reads them any more.
    fn remove(&self, disk: &dyn Disk) {
        if let Err(error) = durable::remove_files(disk, self.paths()) {
            // The next start finds the files without an entry and removes them.
            tracing::warn!(segment = %self.meta().id, %error, "cannot remove the files of a replaced segment");
        }
    }
}

impl SegmentFiles for Segment {
    fn meta(&self) -> &SegmentMeta {
        self.meta()
    }

    fn paths(&self) -> [&str; 2] {
        self.paths()
    }
}

impl SegmentFiles for RowSegment {
    fn meta(&self) -> &SegmentMeta {
        self.meta()
    }

    fn paths(&self) -> [&str; 2] {
        self.paths()
    }

    fn remove(&self, _disk: &dyn Disk) {
        // Slices may outlive the snapshot that they come from.
        self.remove_when_dropped();
    }
}

/// A segment that the manifest lists, or listed when a snapshot was taken. Once it is no longer listed, its
/// files go with the last one who holds it.
pub(crate) struct LiveSegment<S: SegmentFiles = Segment> {
    pub(crate) segment: Arc<S>,
    disk: Arc<dyn Disk>,
    is_doomed: AtomicBool,
}

impl<S: SegmentFiles> LiveSegment<S> {
    fn new(segment: S, disk: &Arc<dyn Disk>) -> Arc<Self> {
        let (segment, disk) = (Arc::new(segment), Arc::clone(disk));
        Arc::new(Self { segment, disk, is_doomed: AtomicBool::new(false) })
    }

    pub(crate) fn meta(&self) -> &SegmentMeta {
        self.segment.meta()
    }
}

impl<S: SegmentFiles> Drop for LiveSegment<S> {
    fn drop(&mut self) {
        if self.is_doomed.load(Ordering::Acquire) {
            self.segment.remove(&*self.disk);
        }
    }
}

/// The segments of one shard.
#[derive(Clone, Default)]
pub(crate) struct ShardView {
    /// Of metrics, in the order in which later ones win.
    pub(crate) segments: Vec<Arc<LiveSegment>>,
    pub(crate) tombstones: Vec<Tombstone>,
    /// Of rows, in the order of their last sequences.
    pub(crate) row_segments: Vec<Arc<LiveSegment<RowSegment>>>,
    pub(crate) row_tombstones: Vec<Arc<RowTombstone>>,
}

impl ShardView {
    /// What the manifest knows of each segment.
    pub(crate) fn metas(&self) -> impl Iterator<Item = &SegmentMeta> {
        let rows = self.row_segments.iter().map(|segment| segment.meta());
        self.segments.iter().map(|segment| segment.meta()).chain(rows)
    }

    /// The files of each segment.
    pub(crate) fn paths(&self) -> Vec<(SegmentId, [String; 2])> {
        let metrics = self.segments.iter().map(|live| (live.meta().id, live.segment.paths()));
        let rows = self.row_segments.iter().map(|live| (live.meta().id, live.segment.paths()));
        metrics.chain(rows).map(|(id, paths)| (id, paths.map(String::from))).collect()
    }

    /// The deletes that hide rows of a segment.
    pub(crate) fn hidden_in(&self, meta: &SegmentMeta) -> Arc<[Arc<Filter>]> {
        let concerns =
            |tombstone: &&Arc<RowTombstone>| tombstone.concerns(meta.max_seq, meta.tombstones_applied);
        let concerned = self.row_tombstones.iter().filter(concerns);
        concerned.map(|tombstone| Arc::clone(&tombstone.filter)).collect()
    }
}

/// The segments of all shards.
#[derive(Clone, Default)]
pub(crate) struct View {
    pub(crate) shards: BTreeMap<ShardKey, ShardView>,
}

impl View {
    /// The view of a newer manifest version; segments that are in both stay open.
    pub(crate) fn next(&self, state: &State, disk: &Arc<dyn Disk>, cache: &Arc<TableCache>) -> Self {
        let (mut metrics, mut rows) = (Open::of(self, |s| &s.segments), Open::of(self, |s| &s.row_segments));
        let mut next = Self::default();
        for meta in state.segments.values() {
            let key = ShardKey { tenant: meta.tenant.clone(), signal: meta.signal };
            let shard = next.shards.entry(key).or_default();
            let (disk_of, cache) = (Arc::clone(disk), Arc::clone(cache));
            if meta.signal == Signal::Metrics {
                let open = || Segment::open(disk_of, meta.clone(), cache);
                shard.segments.push(metrics.take(meta.id, disk, open));
            } else {
                let open = || RowSegment::open(disk_of, meta.clone(), cache);
                shard.row_segments.push(rows.take(meta.id, disk, open));
            }
        }
        metrics.doom();
        rows.doom();
        for (key, tombstone) in state.tombstones.values() {
            next.shards.entry(key.clone()).or_default().tombstones.push(tombstone.clone());
        }
        for (key, tombstone) in state.row_tombstones.values() {
            next.shards.entry(key.clone()).or_default().row_tombstones.push(Arc::clone(tombstone));
        }
        for shard in next.shards.values_mut() {
            shard.segments.sort_by_key(|segment| (segment.meta().max_seq, segment.meta().id));
            shard.row_segments.sort_by_key(|segment| (segment.meta().max_seq, segment.meta().id));
        }
        next
    }
}

/// The open segments of a view, to be taken over by the next.
struct Open<'a, S: SegmentFiles>(HashMap<SegmentId, &'a Arc<LiveSegment<S>>>);

impl<'a, S: SegmentFiles + 'a> Open<'a, S> {
    fn of(view: &'a View, of_shard: impl Fn(&'a ShardView) -> &'a Vec<Arc<LiveSegment<S>>>) -> Self {
        Self(view.shards.values().flat_map(of_shard).map(|segment| (segment.meta().id, segment)).collect())
    }

    fn take(&mut self, id: SegmentId, disk: &Arc<dyn Disk>, open: impl FnOnce() -> S) -> Arc<LiveSegment<S>> {
        self.0.remove(&id).map_or_else(|| LiveSegment::new(open(), disk), Arc::clone)
    }

    /// Those that nobody took go with their last holder.
    fn doom(self) {
        self.0.values().for_each(|gone| gone.is_doomed.store(true, Ordering::Release));
    }
}
