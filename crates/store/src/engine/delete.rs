//! Deletes by matcher.

use model::{Matcher, Signal, TenantId, TimeRange};

use super::Engine;
use crate::error::{Result, StoreError};
use crate::manifest::Edit;
use crate::tombstone::Tombstone;
use crate::wal::ShardKey;

/// Deletes of one tenant that compaction has not carried out yet. Each is looked at by every query.
const TOMBSTONES_MAX: usize = 1000;

impl Engine {
    /// Deletes the samples inside the range, written until now, of the series that all matchers accept. They
    /// are invisible when this returns; compaction removes their bytes within a day. Blocks.
    pub fn delete_series(
        &self,
        tenant: &TenantId,
        matchers: &[Matcher],
        range: TimeRange,
        now_ms: i64,
    ) -> Result<()> {
        if matchers.is_empty() {
            return Err(StoreError::Refused("a delete needs a matcher; add one".into()));
        }
        if !self.is_replayed() {
            let reason = "the log of the last run is still being read".into();
            return Err(StoreError::Unavailable { reason });
        }
        let key = ShardKey { tenant: tenant.clone(), signal: Signal::Metrics };
        let live = self.manifest_state().tombstones.values().filter(|(of, _)| *of == key).count();
        if live >= TOMBSTONES_MAX {
            let reason = format!("{live} deletes wait to be carried out");
            return Err(StoreError::Unavailable { reason });
        }
        // Until the tombstone is committed, no later row may get into a segment: compaction could merge it
        // with rows that are deleted.
        let flushing = self.flushing.lock();
        let seq_before = self.queue().seq_last();
        let seq = self.rotate(&key.tenant, key.signal).unwrap_or(seq_before);
        self.commit_once();
        self.rotate_failed();
        while self.flush_oldest(&flushing, Some(&key), now_ms)? {}
        let tombstone =
            Tombstone { id: self.take_id(), matchers: matchers.to_vec(), range, seq, created_ms: now_ms };
        self.commit_edit(Edit { add_tombstones: vec![(key, tombstone)], ..Edit::default() }, || {})
    }
}
