//! A frozen head becomes a segment.

use std::sync::Arc;

use model::{SampleColumns, TenantId, TimeRange};
use parking_lot::MutexGuard;

use super::{Counters, Engine};
use crate::error::{Result, StoreError};
use crate::manifest::Edit;
use crate::metrics::{Frozen, Head, MetricShard};
use crate::segment::{SegmentId, SegmentMeta, SegmentSpec, SeriesInput, write_segment};

const DAY_MS: i64 = 24 * 3600 * 1000;

impl Engine {
    /// Freezes a tenant's head, so that the next flushes write everything staged until now. Returns the last
    /// sequence in it; `None` when there is nothing new.
    pub fn rotate(&self, tenant: &TenantId) -> Option<u64> {
        self.known_shard(tenant)?.rotate()
    }

    /// Freezes the heads of all tenants.
    pub fn rotate_all(&self) {
        self.all_shards().iter().for_each(|shard| {
            shard.rotate();
        });
    }

    /// Flushes the oldest frozen head of some shard. `Ok(false)` when there is none, or while the log is
    /// still being replayed.
    pub fn flush_once(&self, now_ms: i64) -> Result<bool> {
        if !self.is_replayed() {
            return Ok(false);
        }
        let flushing = self.flushing.lock();
        self.flush_oldest(&flushing, None, now_ms)
    }

    /// Flushes the oldest frozen head of some tenant, or of the one given.
    pub(super) fn flush_oldest(
        &self,
        _flushing: &MutexGuard<'_, ()>,
        tenant: Option<&TenantId>,
        now_ms: i64,
    ) -> Result<bool> {
        let shards = self.all_shards().into_iter();
        let mut shards = shards.filter(|shard| tenant.is_none_or(|tenant| *tenant == shard.key.tenant));
        let frozen = shards.find_map(|shard| {
            let oldest = shard.with_heads(|heads| heads.frozen.front().cloned());
            oldest.map(|frozen| (shard, frozen))
        });
        let Some((shard, frozen)) = frozen else { return Ok(false) };
        let flushed = self.flush(&shard, &frozen, now_ms);
        let counter = if flushed.is_ok() { &self.counters.flushes } else { &self.counters.flush_failures };
        Counters::add(counter, 1);
        self.count_heads();
        flushed.map(|()| true)
    }

    /// Writes everything that was staged until now to segments.
    pub fn flush_all(&self, now_ms: i64) -> Result<()> {
        self.rotate_all();
        // A head is swapped when the last row before the rotation is committed.
        self.commit_once();
        self.rotate_failed();
        self.flush_frozen(now_ms)
    }

    /// Flushes every frozen head.
    pub fn flush_frozen(&self, now_ms: i64) -> Result<()> {
        while self.flush_once(now_ms)? {}
        Ok(())
    }

    fn flush(&self, shard: &MetricShard, frozen: &Frozen, now_ms: i64) -> Result<()> {
        let written = match self.write_head(shard, &frozen.head, now_ms) {
            Err(error) if error.is_disk_full() && self.wal.lock().has_spare() => {
                // This is what the spare file is for.
                self.wal.lock().release_spare()?;
                self.write_head(shard, &frozen.head, now_ms)?
            }
            written => written?,
        };
        let metadata = if written.is_none() { frozen.head.metadata() } else { Vec::new() };
        let edit = Edit {
            add: written.into_iter().collect(),
            flushed: vec![(shard.key.clone(), frozen.boundary_seq)],
            ..Edit::default()
        };
        self.commit_edit(edit, || {
            shard.with_heads(|heads| {
                heads.frozen.pop_front();
                // A segment needs a series; metadata alone waits for one.
                heads.active.take_over(metadata);
            });
        })?;
        self.collect_wal()
    }

    /// Writes a head as one segment; `None` where it has no samples.
    fn write_head(&self, shard: &MetricShard, head: &Arc<Head>, now_ms: i64) -> Result<Option<SegmentMeta>> {
        let facts = head.facts();
        if facts.is_empty() {
            return Ok(None);
        }
        let newest_ms = if facts.samples > 0 { facts.max_t_ms } else { now_ms };
        let day = i32::try_from(newest_ms.div_euclid(DAY_MS))
            .map_err(|_| StoreError::Refused(format!("timestamp {newest_ms} ms is outside the calendar")))?;
        let spec = SegmentSpec {
            id: SegmentId(self.take_id()),
            tenant: shard.key.tenant.clone(),
            signal: shard.key.signal,
            day,
            level: 0,
            min_seq: facts.min_seq,
            max_seq: facts.max_seq,
            created_ms: now_ms,
            tombstones_applied: 0,
        };
        let mut series = head.sorted_series().into_iter().map(|(labels, local)| {
            let mut columns = SampleColumns::default();
            head.read(local, TimeRange::ALL, &mut columns);
            Ok(SeriesInput { labels, columns, exemplars: head.exemplars(local, TimeRange::ALL) })
        });
        write_segment(&*self.disk, &spec, &mut series, &head.metadata())
    }

    /// Removes the files of the log that no head needs.
    pub(super) fn collect_wal(&self) -> Result<()> {
        if !self.is_replayed() {
            return Ok(());
        }
        let state = self.manifest_state();
        self.wal.lock().collect(|shard| state.flushed_seq(shard))
    }
}
