//! What is due: heads to freeze, a log that is too long, writes to be taken again, series to forget,
//! segments beyond retention.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::Signal;

use super::evict::{Kept, evicted};
use super::{Counters, Engine};
use crate::error::{Result, StoreError};
use crate::manifest::{Edit, State};
use crate::segment::{SegmentId, SegmentMeta};
use crate::shard::Shard;
use crate::wal::ShardKey;

/// Time between looks for what is past retention and for series that nobody sends.
const SWEEP_MS: i64 = 60 * 1000;

/// What the last looks found.
#[derive(Default)]
pub(super) struct Upkeep {
    swept_ms: Option<i64>,
    /// A write failed; its series count as declared and are not.
    pub(super) must_rotate_all: bool,
}

impl Engine {
    /// Does what is due. Frozen heads are left to [`Engine::flush_once`]. Called about once a second.
    pub fn tick(&self, now_ms: i64) -> Result<()> {
        if self.queue.refused().is_some() {
            self.recover(now_ms)?;
        }
        self.freeze_due(now_ms);
        for shard in self.all_shards() {
            if let Shard::Rows(shard) = shard {
                shard.with_heads(|heads| Arc::clone(&heads.active)).join();
            }
        }
        self.count_heads();
        if self.is_replayed() {
            self.shorten_wal()?;
            self.ensure_spare();
            let due =
                self.upkeep.lock().swept_ms.is_none_or(|swept| now_ms.abs_diff(swept) >= SWEEP_MS as u64);
            if due {
                self.upkeep.lock().swept_ms = Some(now_ms);
                let seen_before_ms = now_ms.saturating_sub(self.settings.series_idle_ms_max);
                for shard in self.all_shards() {
                    if let Shard::Metrics(shard) = shard {
                        shard.forget(seen_before_ms);
                    }
                }
                self.retain_once(now_ms)?;
            }
        }
        Ok(())
    }

    /// Counts the bytes of all heads, frozen ones included.
    pub(super) fn count_heads(&self) {
        let bytes = self.all_shards().iter().flat_map(Shard::facts).map(|facts| facts.bytes).sum();
        self.heads_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Freezes heads that are large or old, and the largest of all while all together are too large.
    fn freeze_due(&self, now_ms: i64) {
        let mut active = Vec::new();
        for shard in self.all_shards() {
            let facts = shard.active_facts();
            if facts.is_empty() {
                continue;
            }
            let age_ms = now_ms.saturating_sub(facts.first_received_ms);
            if facts.bytes >= self.settings.head_bytes_max || age_ms >= self.settings.head_age_ms_max {
                shard.rotate();
            } else {
                active.push((facts.bytes, shard));
            }
        }
        let mut bytes: usize = active.iter().map(|(bytes, _)| bytes).sum();
        active.sort_unstable_by_key(|(bytes, _)| *bytes);
        while bytes > self.settings.heads_bytes_max
            && let Some((of_shard, shard)) = active.pop()
        {
            shard.rotate();
            bytes -= of_shard;
        }
    }

    /// Freezes the heads that keep the oldest file of a log that is too long.
    fn shorten_wal(&self) -> Result<()> {
        self.collect_wal()?;
        let state = self.manifest_state();
        let pinning = {
            let wal = self.wal.lock();
            if wal.bytes() <= self.settings.wal_bytes_max {
                return Ok(());
            }
            wal.pinning(|shard| state.flushed_seq(shard))
        };
        for key in pinning {
            self.rotate(&key.tenant, key.signal);
        }
        Ok(())
    }

    /// Makes the spare file. Where there is no room for it, writes are refused while there still is room to
    /// flush.
    fn ensure_spare(&self) {
        if self.queue.refused().is_some() {
            return;
        }
        let made = self.wal.lock().ensure_spare();
        if let Err(error) = made {
            let _committing = self.committing.lock();
            self.fail(error, Vec::new());
        }
    }

    /// After a failed write, freezes what was applied before it: rows that were queued will not come any more.
    pub(super) fn rotate_failed(&self) {
        let _committing = self.committing.lock();
        if std::mem::take(&mut self.upkeep.lock().must_rotate_all) {
            let seq_last = self.queue.seq_last();
            self.all_shards().iter().for_each(|shard| shard.rotate_after_failure(seq_last));
        }
    }

    /// Takes writes again after a failure: all heads are flushed, then a new file is started.
    fn recover(&self, now_ms: i64) -> Result<()> {
        self.rotate_failed();
        if !self.is_replayed() {
            return Ok(());
        }
        self.flush_all_frozen(now_ms)?;
        self.retain_once(now_ms)?;
        self.collect_wal()?;
        let seq_last = self.queue.seq_last();
        let mut wal = self.wal.lock();
        // Replay would stop at the gap that a refused write leaves in the numbers of a file.
        if !wal.is_open() || wal.acknowledged_seq() < seq_last {
            wal.roll(seq_last + 1, 0)?;
        }
        wal.ensure_spare()?;
        drop(wal);
        tracing::info!("writes are taken again");
        self.queue.resume();
        Ok(())
    }

    /// Drops the segments whose last sample or row is past retention, and the oldest ones while there are more
    /// bytes than there may be or too little room is left on the disk. Returns how many.
    pub fn retain_once(&self, now_ms: i64) -> Result<usize> {
        let expired = self.expired(&self.manifest_state(), now_ms)?;
        if expired.is_empty() {
            return Ok(0);
        }
        // A compaction may have the same segments in hand; then the next look drops what is left.
        let Some(_compacting) = self.compacting.try_lock() else { return Ok(0) };
        let remove = self.expired(&self.manifest_state(), now_ms)?;
        let count = remove.len();
        self.commit_edit(Edit { remove, ..Edit::default() }, || {})?;
        Counters::add(&self.counters.segments_expired, count as u64);
        Ok(count)
    }

    /// The segments that go.
    fn expired(&self, state: &State, now_ms: i64) -> Result<Vec<SegmentId>> {
        let oldest_ms = |meta: &SegmentMeta| match meta.signal {
            Signal::Metrics => {
                self.retention_ms(&meta.tenant).map_or(i64::MIN, |ms| now_ms.saturating_sub(ms))
            }
            signal => self.row_retention(&ShardKey { tenant: meta.tenant.clone(), signal }).oldest_ms(now_ms),
        };
        let (expired, kept): (Vec<&SegmentMeta>, Vec<&SegmentMeta>) =
            state.segments.values().partition(|meta| meta.max_t_ms < oldest_ms(meta));
        let bytes: u64 = kept.iter().map(|meta| meta.bytes).sum();
        let over = self.settings.storage_bytes_max.map_or(0, |most| bytes.saturating_sub(most));
        let free = match self.settings.free_bytes_min {
            0 => u64::MAX,
            _ => self.disk.free_bytes().map_err(|e| StoreError::io("measure", "", e))?,
        };
        // What is dropped gives its room back when the last query that reads it ends.
        let going: u64 = expired.iter().map(|meta| meta.bytes).sum();
        let missing = self.settings.free_bytes_min.saturating_sub(free).saturating_sub(going);
        let kept: Vec<Kept<'_>> = kept.into_iter().map(Kept::from).collect();
        let evicted = evicted(&kept, over.max(missing));
        Ok(expired.iter().map(|meta| meta.id).chain(evicted).collect())
    }
}
