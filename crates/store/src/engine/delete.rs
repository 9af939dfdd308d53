//! Deletes by matcher and by predicate.

use std::sync::Arc;

use model::record::columns;
use model::{Matcher, Predicate, Signal, TenantId, TimeRange};

use super::Engine;
use crate::error::{Result, StoreError};
use crate::manifest::Edit;
use crate::rows::RowTombstone;
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
        let key = ShardKey { tenant: tenant.clone(), signal: Signal::Metrics };
        let state = self.manifest_state();
        self.admit_delete(state.tombstones.values().filter(|(of, _)| *of == key).count())?;
        self.delete(&key, now_ms, |id, seq| {
            let tombstone = Tombstone { id, matchers: matchers.to_vec(), range, seq, created_ms: now_ms };
            Edit { add_tombstones: vec![(key.clone(), tombstone)], ..Edit::default() }
        })
        .map(|_| ())
    }

    /// Deletes the rows of a signal that fulfil a predicate, lie between two times (nanoseconds; the second
    /// excluded, `i64::MAX` for no end) and were written until now. They are invisible when this returns;
    /// compaction removes their bytes within a day. Returns the number of the delete in
    /// [`Self::pending_deletes`]. Blocks.
    pub fn delete_rows(
        &self,
        tenant: &TenantId,
        signal: Signal,
        predicate: &Predicate,
        start_ns: i64,
        end_ns: i64,
        now_ms: i64,
    ) -> Result<u64> {
        if columns(signal).is_empty() {
            return Err(StoreError::Refused(format!("{} are not rows", signal.as_str())));
        }
        let tombstone = RowTombstone::new(signal, predicate.clone(), start_ns, end_ns)
            .map_err(|error| StoreError::Refused(format!("the delete is not possible: {error}")))?;
        let key = ShardKey { tenant: tenant.clone(), signal };
        self.admit_delete(self.pending_deletes(tenant, signal).len())?;
        self.delete(&key, now_ms, |id, seq| {
            let tombstone = Arc::new(RowTombstone { id, seq, created_ms: now_ms, ..tombstone });
            Edit { add_row_tombstones: vec![(key.clone(), tombstone)], ..Edit::default() }
        })
    }

    /// Deletes of rows whose bytes are not gone yet, oldest first.
    pub fn pending_deletes(&self, tenant: &TenantId, signal: Signal) -> Vec<Arc<RowTombstone>> {
        let state = self.manifest_state();
        let of_shard =
            state.row_tombstones.values().filter(|(key, _)| key.tenant == *tenant && key.signal == signal);
        of_shard.map(|(_, tombstone)| Arc::clone(tombstone)).collect()
    }

    fn admit_delete(&self, live: usize) -> Result<()> {
        if !self.is_replayed() {
            let reason = "the log of the last run is still being read".into();
            return Err(StoreError::Unavailable { reason });
        }
        if live >= TOMBSTONES_MAX {
            let reason = format!("{live} deletes wait to be carried out");
            return Err(StoreError::Unavailable { reason });
        }
        Ok(())
    }

    /// Puts everything that a shard was sent until now into segments, then commits a tombstone for it.
    fn delete(&self, key: &ShardKey, now_ms: i64, edit: impl FnOnce(u64, u64) -> Edit) -> Result<u64> {
        // Until the tombstone is committed, no later row may get into a segment: compaction could merge it
        // with rows that are deleted.
        let flushing = self.flushing.lock();
        // What the last run left has sequences that the shard itself was not given.
        let seq_before = self.queue().seq_last();
        let seq_staged = self.rotate(&key.tenant, key.signal).unwrap_or(0);
        self.commit_once();
        self.rotate_failed();
        while self.flush_oldest_of(&flushing, key, now_ms)? {}
        // The log's files up to now have the deleted rows, too.
        let log_no = self.wal.lock().note_delete();
        let id = self.take_id();
        self.deleted_in_log.lock().insert(id, log_no);
        let committed = self.commit_edit(edit(id, seq_before.max(seq_staged)), || {});
        if committed.is_err() {
            self.deleted_in_log.lock().remove(&id);
        }
        committed.map(|()| id)
    }

    /// True when the log has nothing any more of what a delete hides. Where the file that takes writes still has,
    /// it is ended here; its bytes go when no head needs them.
    pub(crate) fn is_gone_from_log(&self, delete: u64) -> Result<bool> {
        if !self.is_replayed() {
            return Ok(false);
        }
        // Deletes of the last run concern the files that it left.
        let log_no = self.deleted_in_log.lock().get(&delete).copied().unwrap_or(self.log_no_first);
        if self.wal.lock().newest_no() <= log_no {
            self.roll_wal()?;
        }
        self.collect_wal()?;
        Ok(self.wal.lock().oldest_no() > log_no)
    }

    /// Takes note that deletes are carried out.
    pub(crate) fn finish_deletes(&self, done: Vec<u64>) -> Result<()> {
        let edit = Edit { remove_tombstones: done.clone(), ..Edit::default() };
        self.commit_edit(edit, || {})?;
        self.deleted_in_log.lock().retain(|id, _| !done.contains(id));
        Ok(())
    }

    /// Writes go to a new file of the log from now on.
    pub(super) fn roll_wal(&self) -> Result<()> {
        let _committing = self.committing.lock();
        // After a failure the next file is started when all heads are flushed.
        if self.queue().refused().is_some() {
            return Ok(());
        }
        let seq_next = self.queue().seq_next();
        self.wal.lock().roll(seq_next, 0)
    }
}
