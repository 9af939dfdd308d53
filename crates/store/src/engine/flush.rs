//! A frozen head becomes a segment.

use std::sync::Arc;

use model::{SampleColumns, Signal, TenantId, TimeRange};
use parking_lot::MutexGuard;

use super::{Counters, Engine};
use crate::error::{Result, StoreError};
use crate::heads::{Facts, Head};
use crate::manifest::Edit;
use crate::metrics::{MetricHead, MetricShard};
use crate::rows::{Chunk, RowHead, RowShard, Slice, write_rows};
use crate::segment::{SegmentId, SegmentMeta, SegmentSpec, SeriesInput, write_segment};
use crate::shard::Shard;
use crate::wal::ShardKey;

const DAY_MS: i64 = 24 * 3600 * 1000;

impl Engine {
    /// Freezes a head, so that the next flushes write everything staged until now. Returns the last sequence
    /// that was staged before, even where there is nothing new; `None` when nothing was since the start.
    pub fn rotate(&self, tenant: &TenantId, signal: Signal) -> Option<u64> {
        Some(self.known_shard(&ShardKey { tenant: tenant.clone(), signal })?.rotate())
    }

    /// Freezes all heads.
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

    /// Flushes the oldest frozen head of some shard, or of the one given.
    pub(super) fn flush_oldest(
        &self,
        _flushing: &MutexGuard<'_, ()>,
        key: Option<&ShardKey>,
        now_ms: i64,
    ) -> Result<bool> {
        let mut shards = self.all_shards().into_iter();
        let due = |shard: &Shard| key.is_none_or(|key| key == shard.key()) && shard.has_frozen();
        let Some(shard) = shards.find(due) else { return Ok(false) };
        let flushed = match &shard {
            Shard::Metrics(shard) => self.flush_metrics(shard, now_ms),
            Shard::Rows(shard) => self.flush_rows(shard, now_ms),
        };
        let counter = if flushed.is_ok() { &self.counters.flushes } else { &self.counters.flush_failures };
        Counters::add(counter, 1);
        self.count_heads();
        self.flushed.notify_waiters();
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

    fn flush_metrics(&self, shard: &MetricShard, now_ms: i64) -> Result<()> {
        let Some(frozen) = shard.with_heads(|heads| heads.frozen.front().cloned()) else { return Ok(()) };
        let written = self.with_spare(|| self.write_metrics(shard, &frozen.head, now_ms))?;
        let metadata = if written.is_none() { frozen.head.metadata() } else { Vec::new() };
        self.commit_flush(&shard.key, written, frozen.boundary_seq, || {
            shard.with_heads(|heads| {
                heads.frozen.pop_front();
                // A segment needs a series; metadata alone waits for one.
                heads.active.take_over(metadata);
            });
        })
    }

    fn flush_rows(&self, shard: &RowShard, now_ms: i64) -> Result<()> {
        let Some(frozen) = shard.with_heads(|heads| heads.frozen.front().cloned()) else { return Ok(()) };
        let written = self.with_spare(|| self.write_row_head(shard, &frozen.head, now_ms))?;
        self.commit_flush(&shard.key, written, frozen.boundary_seq, || {
            shard.with_heads(|heads| heads.frozen.pop_front());
        })
    }

    /// Writes; where the disk is full, once more with the room of the spare file.
    fn with_spare<T>(&self, write: impl Fn() -> Result<T>) -> Result<T> {
        match write() {
            Err(error) if error.is_disk_full() && self.wal.lock().has_spare() => {
                // This is what the spare file is for.
                self.wal.lock().release_spare()?;
                write()
            }
            written => written,
        }
    }

    /// Puts a flushed head's segment in the place of the head.
    fn commit_flush(
        &self,
        key: &ShardKey,
        written: Option<SegmentMeta>,
        boundary_seq: u64,
        swap: impl FnOnce(),
    ) -> Result<()> {
        let edit = Edit {
            add: written.into_iter().collect(),
            flushed: vec![(key.clone(), boundary_seq)],
            ..Edit::default()
        };
        self.commit_edit(edit, swap)?;
        self.collect_wal()
    }

    /// What is known of a segment before it is written.
    fn flush_spec(&self, key: &ShardKey, facts: &Facts, newest_ms: i64, now_ms: i64) -> Result<SegmentSpec> {
        let day = i32::try_from(newest_ms.div_euclid(DAY_MS))
            .map_err(|_| StoreError::Refused(format!("timestamp {newest_ms} ms is outside the calendar")))?;
        Ok(SegmentSpec {
            id: SegmentId(self.take_id()),
            tenant: key.tenant.clone(),
            signal: key.signal,
            day,
            level: 0,
            min_seq: facts.min_seq,
            max_seq: facts.max_seq,
            created_ms: now_ms,
            tombstones_applied: 0,
        })
    }

    /// Writes a head as one segment; `None` where it has no samples.
    fn write_metrics(
        &self,
        shard: &MetricShard,
        head: &MetricHead,
        now_ms: i64,
    ) -> Result<Option<SegmentMeta>> {
        let facts = head.facts();
        if facts.is_empty() {
            return Ok(None);
        }
        let newest_ms = if facts.samples > 0 { facts.max_t_ms } else { now_ms };
        let spec = self.flush_spec(&shard.key, &facts, newest_ms, now_ms)?;
        let mut series = head.sorted_series().into_iter().map(|(labels, local)| {
            let mut columns = SampleColumns::default();
            head.read(local, TimeRange::ALL, &mut columns);
            Ok(SeriesInput { labels, columns, exemplars: head.exemplars(local, TimeRange::ALL) })
        });
        write_segment(&*self.disk, &spec, &mut series, &head.metadata())
    }

    /// Writes a head of rows as one segment; `None` where none are left. Of spans, the sampler says which ones
    /// are kept.
    fn write_row_head(&self, shard: &RowShard, head: &RowHead, now_ms: i64) -> Result<Option<SegmentMeta>> {
        let facts = head.facts();
        if facts.samples == 0 {
            return Ok(None);
        }
        let spec = self.flush_spec(&shard.key, &facts, facts.max_t_ms, now_ms)?;
        write_rows(&*self.disk, &spec, &self.sampled(&shard.key, head.chunks())?)
    }

    /// Of spans, those that the sampler keeps.
    fn sampled(&self, key: &ShardKey, chunks: Vec<Arc<Chunk>>) -> Result<Vec<Arc<Chunk>>> {
        let Some(sampler) = self.sampler.read().clone().filter(|_| key.signal == Signal::Traces) else {
            return Ok(chunks);
        };
        // A trace's spans may be in any of the chunks, and the sampler shall see them together.
        let refs: Vec<&Chunk> = chunks.iter().map(|chunk| &**chunk).collect();
        let all = Arc::new(Chunk::concat(key.signal, &refs));
        let kept = sampler.keep(&key.tenant, &Slice::of_chunk(Arc::clone(&all), Arc::default()));
        let Some(kept) = kept.filter(|kept| kept.len() == all.rows) else { return Ok(chunks) };
        Counters::add(&self.counters.rows_sampled, (all.rows - kept.count_set_bits()) as u64);
        all.filtered(&kept).map(|chunk| vec![Arc::new(chunk)])
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
