//! The metrics of one tenant: its series, its heads, and where writes are put in order.

use std::sync::{Arc, Weak};

use model::Labels;
use parking_lot::{Mutex, RwLock};

use super::fingerprint::Fingerprinter;
use super::head::MetricHead;
use super::index::SeriesIndex;
use super::rows::{MetricRows, Slot};
use super::table::SeriesTable;
use crate::heads::Heads;
use crate::wal::ShardKey;

/// What the staging lock guards. Sequences are given under it, so their order is the order of staging.
pub(crate) struct Staging {
    pub(crate) table: SeriesTable,
    pub(crate) epoch: u64,
    pub(crate) local_next: u32,
    /// The last sequence that this shard was given; 0 when it has had none since the start.
    pub(crate) seq_last: u64,
    pub(crate) scratch: Vec<u8>,
}

/// The metrics of one tenant.
pub(crate) struct MetricShard {
    pub(crate) key: ShardKey,
    pub(crate) seed: u64,
    pub(crate) index: Arc<RwLock<SeriesIndex>>,
    pub(crate) staging: Mutex<Staging>,
    heads: Mutex<Heads<MetricHead>>,
    /// Every head that someone may still read, to know which series must not be forgotten.
    live: Mutex<Vec<Weak<MetricHead>>>,
}

impl MetricShard {
    /// A shard without series; its first epoch is `epoch`.
    pub(crate) fn new(key: ShardKey, seed: u64, epoch: u64) -> Self {
        let index = Arc::new(RwLock::new(SeriesIndex::default()));
        let heads = Heads::new(MetricHead::new(epoch, Arc::clone(&index)));
        Self {
            key,
            seed,
            index,
            live: Mutex::new(vec![Arc::downgrade(&heads.active)]),
            staging: Mutex::new(Staging {
                table: SeriesTable::default(),
                epoch,
                local_next: 0,
                seq_last: 0,
                scratch: Vec::new(),
            }),
            heads: Mutex::new(heads),
        }
    }

    /// Looks at the heads or changes them.
    pub(crate) fn with_heads<T>(&self, act: impl FnOnce(&mut Heads<MetricHead>) -> T) -> T {
        act(&mut self.heads.lock())
    }

    /// Adds committed rows to the head, in order of sequence.
    pub(crate) fn apply(&self, rows: MetricRows, seq: u64) {
        let active = Arc::clone(&self.heads.lock().active);
        active.apply(rows, seq);
        self.heads.lock().applied(seq, |epoch| self.fresh(epoch));
    }

    /// Ends the epoch: what is staged from now on goes to a new head. Returns the last sequence that was staged
    /// before, even where an earlier rotation has ended its epoch.
    pub(crate) fn rotate(&self) -> u64 {
        let mut staging = self.staging.lock();
        let mut heads = self.heads.lock();
        let boundary_seq = staging.seq_last;
        if heads.can_rotate(boundary_seq) {
            staging.epoch += 1;
            staging.local_next = 0;
            heads.rotate(boundary_seq, staging.epoch, |epoch| self.fresh(epoch));
        }
        boundary_seq
    }

    /// Ends the epoch after a failed write: nothing that is queued will be applied. `seq_last` is the last
    /// sequence that anyone was given.
    pub(crate) fn rotate_after_failure(&self, seq_last: u64) {
        let mut staging = self.staging.lock();
        staging.epoch += 1;
        staging.local_next = 0;
        staging.seq_last = seq_last;
        let mut heads = self.heads.lock();
        heads.rotate_after_failure(seq_last, staging.epoch, |epoch| self.fresh(epoch));
    }

    fn fresh(&self, epoch: u64) -> Arc<MetricHead> {
        let fresh = Arc::new(MetricHead::new(epoch, Arc::clone(&self.index)));
        let mut live = self.live.lock();
        live.retain(|head| head.strong_count() > 0);
        live.push(Arc::downgrade(&fresh));
        fresh
    }

    /// Adds a head that replay fills; it comes before all others.
    pub(crate) fn begin_replay(&self, epoch: u64) -> Arc<MetricHead> {
        self.fresh(epoch)
    }

    /// The slot of a series that the log declares.
    pub(crate) fn replay_series(&self, labels: &Labels, epoch: u64, now_ms: i64) -> Slot {
        let canonical = Fingerprinter::new(self.seed).of_labels(labels);
        let mut staging = self.staging.lock();
        let slot = staging.table.find(canonical).unwrap_or_else(|| {
            staging.table.insert(canonical, labels.clone(), &mut self.index.write(), now_ms)
        });
        staging.table.keep_for(slot, epoch);
        slot
    }

    /// Forgets series that nobody sent since `seen_before_ms` and no head has. Returns how many.
    pub(crate) fn forget(&self, seen_before_ms: i64) -> usize {
        let mut staging = self.staging.lock();
        let live = self.live.lock();
        let epochs = live.iter().filter_map(Weak::upgrade).map(|head| head.epoch);
        let oldest = epochs.min().unwrap_or(staging.epoch);
        drop(live);
        staging.table.forget(seen_before_ms, oldest, &mut self.index.write())
    }

    /// Number of active series and rough bytes of table and index.
    pub(crate) fn series(&self) -> (usize, usize) {
        let table = self.staging.lock().table.bytes();
        let index = self.index.read();
        (index.len(), table + index.bytes())
    }
}
